/* Hyper-connections and the head on the CPU. */
#include "cpu/ops.h"

#include <string.h>

#include "base/fmath.h"
#include "cpu/linear.h"
#include "cpu/vec.h"

enum { MAX_STREAMS = 8 };

/* dots[t] = fn . (streams of row idx[t]), all of them, not yet scaled by the rms. */
static struct tensor stream_dots(struct step *s, const struct tensor *h, const struct hyper *hc,
                                 const int32_t *idx, int n_t)
{
    struct tensor dots = step_f32(s, n_t, hc->fn->rows);
    struct acts v = {.rows = h->rows, .k = h->cols, .f32 = h->data};
    struct linear l = {.y = dots.data,
                       .ldy = (size_t)dots.cols,
                       .w = hc->fn,
                       .n_rows = hc->fn->rows,
                       .x = &v,
                       .idx = idx,
                       .n_t = n_t};
    if (dots.data) linears_run(s, &l, 1);
    return dots;
}

static float stream_rs(const struct cpu *c, const float *v, int n, float eps)
{
    float mean = c->k->sum_squares(v, n) / (float)n;
    return 1.0f / __builtin_sqrtf(mean + eps);
}

/* comb [n, n] in place: softmax of each row, + eps, then columns and (rows, columns) iters - 1 times. */
static void sinkhorn(float *c, int n, int iters, float eps)
{
    for (int j = 0; j < n; j++) {
        float *row = c + j * n;
        float max = row[0];
        for (int k = 1; k < n; k++)
            max = row[k] > max ? row[k] : max;
        for (int k = 0; k < n; k++)
            row[k] = fm_exp(row[k] - max);
        float sum = row[0];
        for (int k = 1; k < n; k++)
            sum += row[k];
        for (int k = 0; k < n; k++)
            row[k] = row[k] / sum + eps;
    }
    for (int i = 0; i < iters; i++) {
        for (int j = 0; i > 0 && j < n; j++) {
            float *row = c + j * n;
            float sum = row[0];
            for (int k = 1; k < n; k++)
                sum += row[k];
            sum += eps;
            for (int k = 0; k < n; k++)
                row[k] /= sum;
        }
        for (int k = 0; k < n; k++) {
            float sum = c[k];
            for (int j = 1; j < n; j++)
                sum += c[j * n + k];
            sum += eps;
            for (int j = 0; j < n; j++)
                c[j * n + k] /= sum;
        }
    }
}

struct mix_job {
    const struct cpu *cpu;
    const struct hc_mix_args *a;
    const struct tensor *dots;
};

static void mix_rows(void *ctx, int first, int last, int thread)
{
    const struct mix_job *job = ctx;
    const struct hc_mix_args *a = job->a;
    const struct hyper *hc = a->hyper;
    const float *base = packed_f32(hc->base), *scale = packed_f32(hc->scale);
    int n = hc->n, dim = a->x->k;
    (void)thread;

    for (int t = first; t < last; t++) {
        const float *h = a->h->data + (size_t)t * (size_t)a->h->cols;
        const float *m = job->dots->data + (size_t)t * (size_t)job->dots->cols;
        float rs = stream_rs(job->cpu, h, a->h->cols, hc->norm_eps);
        float pre[MAX_STREAMS];
        float *post = a->post->data + (size_t)t * (size_t)n;
        float *comb = a->comb->data + (size_t)t * (size_t)(n * n);
        for (int j = 0; j < n; j++) {
            pre[j] = fm_sigmoid(m[j] * rs * scale[0] + base[j]) + hc->eps;
            post[j] = 2.0f * fm_sigmoid(m[n + j] * rs * scale[1] + base[n + j]);
        }
        for (int i = 0; i < n * n; i++)
            comb[i] = m[2 * n + i] * rs * scale[2] + base[2 * n + i];
        sinkhorn(comb, n, hc->iters, hc->eps);

        float *x = a->x->f32 + (size_t)t * (size_t)dim;
        job->cpu->k->mix(x, h, (size_t)dim, pre, n, dim);
        vec_rms_norm(job->cpu, x, x, packed_f32(a->norm), dim, hc->norm_eps);
        acts_quantise(job->cpu, a->x, t, 1);
    }
}

void cpu_hc_mix(struct step *s, const struct hc_mix_args *a)
{
    CHECK(a->hyper->n <= MAX_STREAMS, "hc_mix: %d streams", a->hyper->n);
    size_t mark = step_mark(s);
    struct tensor dots = stream_dots(s, a->h, a->hyper, NULL, a->h->rows);
    if (!dots.data) return;
    struct mix_job job = {cpu_of(s), a, &dots};
    cpu_run(s, a->h->rows, 1, mix_rows, &job);
    step_release(s, mark);
}

struct join_job {
    const struct cpu *cpu;
    const struct hc_join_args *a;
};

enum { JOIN_TILE = 512 };

/* Work unit: JOIN_TILE channels of one row, all streams of them. */
static void join_tiles(void *ctx, int first, int last, int thread)
{
    const struct join_job *job = ctx;
    const struct hc_join_args *a = job->a;
    int n = a->post->cols, dim = a->y->cols, tiles = (dim + JOIN_TILE - 1) / JOIN_TILE;
    float in[(MAX_STREAMS + 1) * JOIN_TILE];
    (void)thread;

    for (int i = first; i < last; i++) {
        int t = i / tiles, at = i % tiles * JOIN_TILE;
        int size = dim - at < JOIN_TILE ? dim - at : JOIN_TILE;
        float *h = a->h->data + (size_t)t * (size_t)a->h->cols + at;
        const float *y = a->y->data + (size_t)t * (size_t)dim + at;
        const float *post = a->post->data + (size_t)t * (size_t)n;
        const float *comb = a->comb->data + (size_t)t * (size_t)(n * n);
        memcpy(in, y, (size_t)size * sizeof *in);
        for (int j = 0; j < n; j++)
            memcpy(in + (j + 1) * JOIN_TILE, h + (size_t)j * (size_t)dim,
                   (size_t)size * sizeof *in);
        for (int k = 0; k < n; k++) {
            float w[MAX_STREAMS + 1] = {post[k]};
            for (int j = 0; j < n; j++)
                w[j + 1] = comb[j * n + k];
            job->cpu->k->mix(h + (size_t)k * (size_t)dim, in, JOIN_TILE, w, n + 1, size);
        }
    }
}

void cpu_hc_join(struct step *s, const struct hc_join_args *a)
{
    CHECK(a->post->cols <= MAX_STREAMS, "hc_join: %d streams", a->post->cols);
    int tiles = (a->y->cols + JOIN_TILE - 1) / JOIN_TILE;
    struct join_job job = {cpu_of(s), a};
    cpu_run(s, a->h->rows * tiles, 1, join_tiles, &job);
}

struct head_job {
    const struct cpu *cpu;
    const struct head_args *a;
    const struct tensor *dots;
    struct acts *z;
};

static void head_rows(void *ctx, int first, int last, int thread)
{
    const struct head_job *job = ctx;
    const struct head_args *a = job->a;
    const struct hyper *hc = a->hyper;
    const float *base = packed_f32(hc->base), *scale = packed_f32(hc->scale);
    int n = hc->n, dim = job->z->k;
    (void)thread;

    for (int i = first; i < last; i++) {
        const float *h = a->h->data + (size_t)a->rows[i] * (size_t)a->h->cols;
        const float *m = job->dots->data + (size_t)i * (size_t)n;
        float rs = stream_rs(job->cpu, h, a->h->cols, hc->norm_eps);
        float w[MAX_STREAMS];
        for (int j = 0; j < n; j++)
            w[j] = fm_sigmoid(m[j] * rs * scale[0] + base[j]) + hc->eps;
        float *z = job->z->f32 + (size_t)i * (size_t)dim;
        job->cpu->k->mix(z, h, (size_t)dim, w, n, dim);
        vec_rms_norm(job->cpu, z, z, packed_f32(a->norm), dim, hc->norm_eps);
        acts_quantise(job->cpu, job->z, i, 1);
    }
}

void cpu_head(struct step *s, const struct head_args *a)
{
    CHECK(a->hyper->n <= MAX_STREAMS, "head: %d streams", a->hyper->n);
    int n_rows = a->logits->rows;
    size_t mark = step_mark(s);
    struct acts z = step_acts(s, n_rows, a->w->cols);
    struct tensor dots = stream_dots(s, a->h, a->hyper, a->rows, n_rows);
    if (s->err.code != ERR_NONE) return;
    struct head_job job = {cpu_of(s), a, &dots, &z};
    cpu_run(s, n_rows, 1, head_rows, &job);
    struct linear l = {.y = a->logits->data,
                       .ldy = (size_t)a->logits->cols,
                       .w = a->w,
                       .n_rows = a->w->rows,
                       .x = &z,
                       .n_t = n_rows};
    linears_run(s, &l, 1);
    step_release(s, mark);
}
