/* The lightning indexer on the CPU. */
#include "cpu/ops.h"

#include <string.h>

#include "cpu/linear.h"
#include "cpu/vec.h"
#include "quant/fp4_sim.h"

enum { MAX_SCORES_BYTES = 16 << 20 };

struct select_job {
    const struct step *s;
    const struct select_args *a;
    const int *rows; /* rows of the step that must choose, [n] */
    int n;
    int longest; /* most visible entries of them */
    float weight_scale;
    /* per row of the batch */
    float *q;      /* [n, heads dim] rotated; float mode */
    int8_t *codes; /* [n, heads dim] doubled e2m1 */
    float *scales; /* [n, heads dim / 32]: 2^(byte - 128) */
    float *w;      /* [n, heads] */
    float *score;  /* [n, longest] */
    int32_t *heap; /* [n, topk] */
};

static int visible(const struct select_job *job, int i)
{
    return kv_visible(job->a->layer->ratio, job->s->rows.pos[job->rows[i]]);
}

/* Heads of one row: rope, Hadamard, and in the rounded modes fp4. */
static void prepare_rows(void *ctx, int first, int last, int thread)
{
    const struct select_job *job = ctx;
    const struct select_args *a = job->a;
    int dim = a->layer->index_dim, r = a->layer->rope_dim;
    (void)thread;
    for (int i = first; i < last; i++) {
        size_t t = (size_t)job->rows[i];
        size_t at = (size_t)i * (size_t)(a->n_heads * dim);
        memcpy(job->q + at, a->q->data + t * (size_t)a->q->cols,
               (size_t)a->q->cols * sizeof *job->q);
        for (int h = 0; h < a->n_heads; h++) {
            float *q = job->q + at + (size_t)h * (size_t)dim;
            size_t head = at + (size_t)h * (size_t)dim;
            cpu_of(job->s)->k->rope(q + dim - r, a->cs->data + t * (size_t)r, r, 0);
            vec_hadamard(q, dim);
            for (int g = 0; job->s->mode != MODE_FLOAT && g < dim / KV_FP4_GROUP; g++)
                job->scales[head / KV_FP4_GROUP + (size_t)g] =
                    fp4_sim_doubled(job->codes + head + g * KV_FP4_GROUP, q + g * KV_FP4_GROUP);
            job->w[i * a->n_heads + h] =
                a->w->data[t * (size_t)a->n_heads + (size_t)h] * job->weight_scale;
        }
    }
}

/* Float mode: a chain over d per head and key. */
static void score_float(float *score, const float *q, const float *w, int heads, int dim,
                        const float *keys, int n)
{
    for (int i = 0; i < n; i++) {
        float sum = 0.0f;
        for (int h = 0; h < heads; h++) {
            float dot = 0.0f;
            for (int k = 0; k < dim; k++)
                dot = __builtin_fmaf(q[h * dim + k], keys[i * dim + k], dot);
            sum = __builtin_fmaf(dot > 0.0f ? dot : 0.0f, w[h], sum);
        }
        score[i] = sum;
    }
}

/* Work unit: one page of keys for one row. */
static void score_pages(void *ctx, int first, int last, int thread)
{
    const struct select_job *job = ctx;
    const struct select_args *a = job->a;
    const struct layer_kv *l = a->layer;
    int per_page = KV_PAGE / l->ratio, dim = l->index_dim;
    int pages = (job->longest + per_page - 1) / per_page;
    (void)thread;
    for (int u = first; u < last; u++) {
        int i = u / pages, page = u % pages;
        int n = visible(job, i) - page * per_page;
        if (n <= 0) continue;
        n = n < per_page ? n : per_page;
        const struct step_seq *seq = &job->s->rows.seqs[job->s->rows.seq[job->rows[i]]];
        const uint8_t *keys = (const uint8_t *)seq->pages[page] + l->keys;
        size_t at = (size_t)i * (size_t)(a->n_heads * dim);
        float *score = job->score + (size_t)i * (size_t)job->longest + page * per_page;
        const float *w = job->w + (size_t)i * (size_t)a->n_heads;
        if (job->s->mode == MODE_FLOAT)
            score_float(score, job->q + at, w, a->n_heads, dim, (const float *)(const void *)keys,
                        n);
        else
            cpu_of(job->s)->k->index_scores(score, job->codes + at, job->scales + at / KV_FP4_GROUP,
                                            w, a->n_heads, dim, keys, l->key_bytes, n);
    }
}

/* True when a is chosen before b: larger score, then lower id. */
static int before(const float *score, int32_t a, int32_t b)
{
    return score[a] > score[b] || (!(score[b] > score[a]) && a < b);
}

/* heap[0] is the entry that leaves first. */
static void sift_down(int32_t *heap, int n, const float *score)
{
    int i = 0;
    int32_t id = heap[0];
    for (;;) {
        int child = 2 * i + 1;
        if (child >= n) break;
        if (child + 1 < n && before(score, heap[child], heap[child + 1])) child++;
        if (!before(score, id, heap[child])) break;
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = id;
}

static void sift_up(int32_t *heap, int i, const float *score)
{
    int32_t id = heap[i];
    while (i > 0 && before(score, heap[(i - 1) / 2], id)) {
        heap[i] = heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    heap[i] = id;
}

static void choose_rows(void *ctx, int first, int last, int thread)
{
    const struct select_job *job = ctx;
    const struct select_args *a = job->a;
    int k = a->topk;
    (void)thread;
    for (int i = first; i < last; i++) {
        float *score = job->score + (size_t)i * (size_t)job->longest;
        int32_t *heap = job->heap + (size_t)i * (size_t)k;
        int n = visible(job, i);
        for (int32_t id = 0; id < n; id++) {
            if (id < k) {
                heap[id] = id;
                sift_up(heap, id, score);
            } else if (before(score, id, heap[0])) {
                heap[0] = id;
                sift_down(heap, k, score);
            }
        }
        /* The worst of the chosen is the threshold: a scan in ascending id sorts for free. */
        int32_t worst = heap[0];
        int32_t *ids = a->ids->data + (size_t)job->rows[i] * (size_t)k;
        int count = 0;
        for (int32_t id = 0; id < n && count < k; id++)
            if (id == worst || before(score, id, worst)) ids[count++] = id;
        a->count->data[job->rows[i]] = count;
    }
}

static void take_all(const struct select_args *a, int row, int n)
{
    for (int i = 0; i < n; i++)
        a->ids->data[(size_t)row * (size_t)a->topk + (size_t)i] = i;
    a->count->data[row] = n;
}

static void select_batch(struct step *s, struct select_job *job)
{
    const struct select_args *a = job->a;
    size_t n = (size_t)job->n, size = (size_t)a->n_heads * (size_t)a->layer->index_dim;
    size_t mark = step_mark(s);
    job->q = cpu_scratch(s, n * size * sizeof(float));
    job->codes = cpu_scratch(s, n * size);
    job->scales = cpu_scratch(s, n * size / KV_FP4_GROUP * sizeof(float));
    job->w = cpu_scratch(s, n * (size_t)a->n_heads * sizeof(float));
    job->score = cpu_scratch(s, n * (size_t)job->longest * sizeof(float));
    job->heap = cpu_scratch(s, n * (size_t)a->topk * sizeof(int32_t));
    if (s->err.code != ERR_NONE) return;
    int per_page = KV_PAGE / a->layer->ratio;
    cpu_run(s, job->n, 1, prepare_rows, job);
    cpu_run(s, job->n * ((job->longest + per_page - 1) / per_page), 4, score_pages, job);
    cpu_run(s, job->n, 1, choose_rows, job);
    step_release(s, mark);
}

void cpu_select(struct step *s, const struct select_args *a)
{
    size_t mark = step_mark(s);
    int *rows = cpu_scratch(s, (size_t)s->rows.n_rows * sizeof *rows);
    if (!rows) return;
    float scale = (float)(1.0 / __builtin_sqrt((double)a->layer->index_dim * (double)a->n_heads));
    struct select_job job = {.s = s, .a = a, .rows = rows, .weight_scale = scale};
    for (int t = 0; t <= s->rows.n_rows; t++) {
        int n = t < s->rows.n_rows ? kv_visible(a->layer->ratio, s->rows.pos[t]) : 0;
        if (n > 0 && n > a->topk) {
            rows[job.n++] = t;
            job.longest = n > job.longest ? n : job.longest;
        } else if (t < s->rows.n_rows) {
            take_all(a, t, n);
        }
        int full = (size_t)job.n * (size_t)job.longest * sizeof(float) > MAX_SCORES_BYTES;
        if (job.n && (full || t >= s->rows.n_rows - 1)) {
            select_batch(s, &job);
            job.n = job.longest = 0;
        }
    }
    step_release(s, mark);
}
