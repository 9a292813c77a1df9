#include "cpu/linear.h"

enum { MAX_CHUNK = 128 };

struct job {
    const struct cpu *cpu;
    const struct linear *list;
    int n;
    int chunk;        /* rows */
    const int *first; /* [n + 1] number of the first chunk of each linear */
};

static void run_rows(const struct cpu *c, const struct linear *l, int row0, int row1)
{
    const struct packed *w = (const struct packed *)l->w;
    /* Kernels write column `row`; the slice's first row belongs in column 0. */
    float *y = l->y - l->row0;
    if (l->x->q && weight_is_quantised(l->w->format))
        c->k->matmul_int(y, l->ldy, w, row0, row1, l->x, l->x_first, l->idx, l->n_t);
    else
        c->k->matmul_f32(y, l->ldy, w, row0, row1, l->x, l->x_first, l->idx, l->n_t);
}

static void run_chunk(void *ctx, int first, int last, int thread)
{
    const struct job *job = ctx;
    (void)thread;
    for (int c = first; c < last; c++) {
        int lo = 0, hi = job->n - 1;
        while (lo < hi) {
            int mid = (lo + hi + 1) / 2;
            if (job->first[mid] <= c)
                lo = mid;
            else
                hi = mid - 1;
        }
        const struct linear *l = &job->list[lo];
        int from = (c - job->first[lo]) * job->chunk;
        int to = from + job->chunk < l->n_rows ? from + job->chunk : l->n_rows;
        run_rows(job->cpu, l, l->row0 + from, l->row0 + to);
    }
}

void linears_run(struct step *s, const struct linear *list, int n)
{
    size_t mark = step_mark(s);
    int *first = cpu_scratch(s, (size_t)(n + 1) * sizeof *first);
    if (!first) return;
    long total = 0;
    for (int i = 0; i < n; i++)
        total += list[i].n_rows;
    long share = total / (8L * pool_threads(cpu_of(s)->pool));
    int chunk =
        share >= MAX_CHUNK ? MAX_CHUNK : (int)(share + PACK_ROWS - 1) / PACK_ROWS * PACK_ROWS;
    if (chunk < PACK_ROWS) chunk = PACK_ROWS;

    first[0] = 0;
    for (int i = 0; i < n; i++)
        first[i + 1] = first[i] + (list[i].n_rows + chunk - 1) / chunk;
    struct job job = {cpu_of(s), list, n, chunk, first};
    cpu_run(s, first[n], 1, run_chunk, &job);
    step_release(s, mark);
}

void acts_quantise(const struct cpu *c, const struct acts *a, int row, int n)
{
    if (!a->q) return;
    for (int r = row; r < row + n; r++) {
        size_t at = (size_t)r * (size_t)a->k;
        c->k->quantise(a->q + at, a->scale + at / 32, a->pairs + at / 16, a->f32 + at, a->k);
    }
}
