/* Token embedding and the input of the MTP block on the CPU. */
#include "cpu/ops.h"

#include <string.h>

#include "cpu/linear.h"
#include "cpu/vec.h"

struct embed_job {
    const struct step *s;
    const struct embed_args *a;
};

static void embed_rows(void *ctx, int first, int last, int thread)
{
    const struct embed_job *job = ctx;
    const struct embed_args *a = job->a;
    int dim = a->table->cols, n = a->h->cols / dim;
    (void)thread;
    for (int t = first; t < last; t++) {
        float *h = a->h->data + (size_t)t * (size_t)a->h->cols;
        packed_row_f32(h, (const struct packed *)a->table, job->s->rows.tokens[t]);
        for (int j = 1; j < n; j++)
            memcpy(h + (size_t)j * (size_t)dim, h, (size_t)dim * sizeof *h);
    }
}

void cpu_embed(struct step *s, const struct embed_args *a)
{
    struct embed_job job = {s, a};
    cpu_run(s, a->h->rows, 1, embed_rows, &job);
}

static float *kept_streams(const struct step *s, int seq, size_t offset)
{
    return (float *)(void *)((char *)s->rows.seqs[seq].live + offset);
}

void cpu_mtp_streams(struct step *s, const struct mtp_streams_args *a)
{
    size_t n = (size_t)a->h->cols;
    for (int t = 0; t < a->hs->rows; t++) {
        const float *from = a->row[t] < 0 ? kept_streams(s, s->rows.seq[t], a->kept)
                                          : a->h->data + (size_t)a->row[t] * n;
        memcpy(a->hs->data + (size_t)t * n, from, n * sizeof *from);
    }
    for (int i = 0; a->last && i < s->rows.n_seqs; i++)
        memcpy(kept_streams(s, i, a->kept), a->h->data + (size_t)a->last[i] * n, n * sizeof(float));
}

struct join_job {
    const struct step *s;
    const struct mtp_join_args *a;
    struct acts *e, *h;
    struct tensor *ye;
};

static void norm_inputs(void *ctx, int first, int last, int thread)
{
    const struct join_job *job = ctx;
    const struct mtp_join_args *a = job->a;
    const struct cpu *c = cpu_of(job->s);
    int dim = a->embed->cols;
    (void)thread;
    for (int t = first; t < last; t++) {
        float *e = job->e->f32 + (size_t)t * (size_t)dim;
        packed_row_f32(e, (const struct packed *)a->embed, job->s->rows.tokens[t]);
        vec_rms_norm(c, e, e, packed_f32(a->enorm), dim, a->eps);
        acts_quantise(c, job->e, t, 1);
        for (int i = t * a->n; i < (t + 1) * a->n; i++) {
            size_t at = (size_t)i * (size_t)dim;
            vec_rms_norm(c, job->h->f32 + at, a->hs->data + at, packed_f32(a->hnorm), dim, a->eps);
            acts_quantise(c, job->h, i, 1);
        }
    }
}

/* h holds h_proj's outputs: add e_proj's to every stream. */
static void add_embedding(void *ctx, int first, int last, int thread)
{
    const struct join_job *job = ctx;
    int dim = job->ye->cols, n = job->a->n;
    (void)thread;
    for (int t = first; t < last; t++) {
        const float *e = job->ye->data + (size_t)t * (size_t)dim;
        float *h = job->a->h->data + (size_t)t * (size_t)(n * dim);
        for (int j = 0; j < n; j++, h += dim)
            for (int i = 0; i < dim; i++)
                h[i] = e[i] + h[i];
    }
}

void cpu_mtp_join(struct step *s, const struct mtp_join_args *a)
{
    int rows = a->hs->rows, dim = a->embed->cols;
    size_t mark = step_mark(s);
    struct acts e = step_acts(s, rows, dim), h = step_acts(s, rows * a->n, dim);
    struct tensor ye = step_f32(s, rows, dim);
    if (s->err.code != ERR_NONE) return;
    struct join_job job = {s, a, &e, &h, &ye};
    cpu_run(s, rows, 1, norm_inputs, &job);
    struct linear list[2] = {
        {.y = ye.data, .ldy = (size_t)dim, .w = a->e_proj, .n_rows = dim, .x = &e, .n_t = rows},
        {.y = a->h->data,
         .ldy = (size_t)dim,
         .w = a->h_proj,
         .n_rows = dim,
         .x = &h,
         .n_t = h.rows}};
    linears_run(s, list, 2);
    cpu_run(s, rows, 1, add_embedding, &job);
    step_release(s, mark);
}
