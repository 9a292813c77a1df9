#include "cpu/linear.h"

enum { MAX_CHUNK = 192, MIN_TOKENS = 16 };

/* A work unit is a chunk of rows times a part of the tokens. */
struct job {
    const struct cpu *cpu;
    const struct linear *list;
    int n;
    int chunk;        /* rows */
    int parts;        /* of the tokens */
    const int *first; /* [n + 1] number of the first chunk of each linear */
};

struct acts acts_from(const struct acts *a, int first)
{
    size_t at = (size_t)first * (size_t)a->k;
    struct acts v = {.rows = a->rows - first, .k = a->k, .f32 = a->f32 + at};
    if (a->q) {
        v.q = a->q + at;
        v.scale = a->scale + at / 32;
        v.pairs = a->pairs + at / 16;
    }
    return v;
}

/* Tokens [t0, t1). */
static void run_rows(const struct cpu *c, const struct linear *l, int row0, int row1, int t0,
                     int t1)
{
    const struct packed *w = (const struct packed *)l->w;
    const int32_t *idx = l->idx ? l->idx + t0 : NULL;
    struct acts x = l->idx ? *l->x : acts_from(l->x, t0);
    /* Kernels write column `row`; the slice's first row belongs in column 0. */
    float *y = l->y + (size_t)t0 * l->ldy - l->row0;
    if (x.q && weight_is_quantised(l->w->format))
        c->k->matmul_int(y, l->ldy, w, row0, row1, &x, l->x_first, idx, t1 - t0);
    else
        c->k->matmul_f32(y, l->ldy, w, row0, row1, &x, l->x_first, idx, t1 - t0);
}

static void run_chunk(void *ctx, int first, int last, int thread)
{
    const struct job *job = ctx;
    (void)thread;
    for (int u = first; u < last; u++) {
        int c = u / job->parts, part = u % job->parts;
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
        int t0 = (int)((long)l->n_t * part / job->parts);
        int t1 = (int)((long)l->n_t * (part + 1) / job->parts);
        if (t0 < t1) run_rows(job->cpu, l, l->row0 + from, l->row0 + to, t0, t1);
    }
}

/* More than one where rows alone would leave threads idle. */
static int token_parts(const struct step *s, const struct linear *list, int n, int n_chunks)
{
    int wanted = 4 * pool_threads(cpu_of(s)->pool), most = 1;
    for (int i = 0; i < n; i++)
        if (list[i].n_t / MIN_TOKENS > most) most = list[i].n_t / MIN_TOKENS;
    int parts = n_chunks ? (wanted + n_chunks - 1) / n_chunks : 1;
    return parts < most ? parts : most;
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
    struct job job = {cpu_of(s), list, n, chunk, token_parts(s, list, n, first[n]), first};
    cpu_run(s, first[n] * job.parts, 1, run_chunk, &job);
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
