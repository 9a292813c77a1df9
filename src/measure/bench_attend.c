#include <stdlib.h>

#include "base/mem.h"
#include "measure/bench_kernels.h"

enum { HEADS = 64, HEAD_DIM = 512, BLOCK = 64, UNIT = 32, MAX_KEYS = 1152, QUERIES = 8 };
enum { INDEX_DIM = 128, PER_PAGE = 32, KEY_BYTES = INDEX_DIM / 2 + INDEX_DIM / 32 };

/* --- attention --- */

struct attention {
    const struct bench_kernels *b;
    float *q, *o;  /* [QUERIES, HEADS, HEAD_DIM] */
    float *keys;   /* [MAX_KEYS, HEAD_DIM] */
    float *scores; /* [threads, ...] */
    float *sink;   /* [HEADS] */
    int32_t *ends; /* of the blocks */
    size_t size;   /* of a thread's scores */
    int n, n_blocks;
};

/* A unit is UNIT heads of one query, as in the forward pass of many rows. */
static void attend_units(void *ctx, int first, int last, int thread)
{
    const struct attention *j = ctx;
    for (int i = first; i < last; i++) {
        size_t at = (size_t)(i / (HEADS / UNIT)) * HEADS * HEAD_DIM;
        int head = i % (HEADS / UNIT) * UNIT;
        j->b->kernels->attend(j->o + at, j->q + at, head, head + UNIT, HEAD_DIM, j->keys, j->n,
                              j->ends, j->n_blocks, j->sink, 0.04f,
                              j->scores + (size_t)thread * j->size);
    }
}

static int attend(void *ctx, int times, struct err *err)
{
    struct attention *j = ctx;
    (void)err;
    for (int i = 0; i < times; i++)
        pool_run(j->b->pool, QUERIES * HEADS / UNIT, 1, attend_units, j);
    return 0;
}

static double flops(const struct attention *j)
{
    return 4.0 * QUERIES * HEADS * HEAD_DIM * j->n;
}

static double attention_limit(void *ctx, const struct rates *r)
{
    return flops(ctx) / r->float_ops;
}

static void fill(float *x, size_t n)
{
    uint32_t state = 3;
    for (size_t i = 0; i < n; i++)
        x[i] = (float)bench_random(&state) * 0x1p-23f - 1.0f;
}

int bench_attention(const struct bench_kernels *b, struct err *err)
{
    static const int lengths[] = {128, 640, MAX_KEYS};
    size_t rows = (size_t)QUERIES * HEADS * HEAD_DIM, threads = (size_t)pool_threads(b->pool);
    struct attention j = {.b = b, .size = (size_t)(MAX_KEYS + HEAD_DIM) * (UNIT + 16)};
    int rc = 0;
    j.q = xmalloc(rows * sizeof *j.q);
    j.o = xmalloc(rows * sizeof *j.o);
    j.keys = xmalloc((size_t)MAX_KEYS * HEAD_DIM * sizeof *j.keys);
    j.scores = xmalloc(threads * j.size * sizeof *j.scores);
    j.sink = xcalloc(HEADS, sizeof *j.sink);
    j.ends = xmalloc((MAX_KEYS / BLOCK) * sizeof *j.ends);
    fill(j.q, rows);
    fill(j.keys, (size_t)MAX_KEYS * HEAD_DIM);
    for (int i = 0; i < MAX_KEYS / BLOCK; i++)
        j.ends[i] = (i + 1) * BLOCK;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths && rc == 0; i++) {
        j.n = lengths[i];
        j.n_blocks = j.n / BLOCK;
        struct rounds_job job = {attend, attention_limit, &j};
        rc = bench_case(b, "attention", QUERIES, j.n, "GFLOP/s", flops(&j) * 1e-9, &job, err);
    }
    free(j.q);
    free(j.o);
    free(j.keys);
    free(j.scores);
    free(j.sink);
    free(j.ends);
    return rc;
}

/* --- indexer --- */

struct indexer {
    const struct bench_kernels *b;
    int8_t *q;                   /* [HEADS, INDEX_DIM] */
    float *q_scale, *w, *scores; /* [HEADS, INDEX_DIM / 32], [HEADS], [n] */
    uint8_t *keys;
    int n;
};

static void score_pages(void *ctx, int first, int last, int thread)
{
    const struct indexer *j = ctx;
    (void)thread;
    for (int i = first; i < last; i++)
        j->b->kernels->index_scores(j->scores + (size_t)i * PER_PAGE, j->q, j->q_scale, j->w, HEADS,
                                    INDEX_DIM, j->keys + (size_t)i * PER_PAGE * KEY_BYTES,
                                    KEY_BYTES, PER_PAGE);
}

static int score(void *ctx, int times, struct err *err)
{
    struct indexer *j = ctx;
    (void)err;
    for (int i = 0; i < times; i++)
        pool_run(j->b->pool, j->n / PER_PAGE, 4, score_pages, j);
    return 0;
}

static double index_ops(const struct indexer *j)
{
    return 2.0 * HEADS * INDEX_DIM * j->n;
}

static double index_limit(void *ctx, const struct rates *r)
{
    const struct indexer *j = ctx;
    double memory = (double)KEY_BYTES * j->n / r->read, work = index_ops(j) / r->int_ops;
    return memory > work ? memory : work;
}

int bench_indexer(const struct bench_kernels *b, struct err *err)
{
    static const int lengths[] = {1024, 8192, 32768}; /* of 4k, 32k and 128k positions */
    enum { MOST = 32768 };
    struct indexer j = {.b = b};
    uint32_t state = 5;
    int rc = 0;
    j.q = xmalloc(HEADS * INDEX_DIM);
    j.q_scale = xmalloc(HEADS * INDEX_DIM / 32 * sizeof *j.q_scale);
    j.w = xmalloc(HEADS * sizeof *j.w);
    j.scores = xmalloc(MOST * sizeof *j.scores);
    j.keys = xmalloc((size_t)MOST * KEY_BYTES);
    for (int i = 0; i < HEADS * INDEX_DIM; i++)
        j.q[i] = (int8_t)(bench_random(&state) % 25) - 12;
    for (int i = 0; i < HEADS * INDEX_DIM / 32; i++)
        j.q_scale[i] = 0.5f;
    fill(j.w, HEADS);
    for (int i = 0; i < MOST * KEY_BYTES; i++)
        j.keys[i] = i % KEY_BYTES < INDEX_DIM / 2 ? (uint8_t)bench_random(&state) : 127;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths && rc == 0; i++) {
        j.n = lengths[i];
        struct rounds_job job = {score, index_limit, &j};
        rc = bench_case(b, "indexer", 1, j.n, "GOP/s", index_ops(&j) * 1e-9, &job, err);
    }
    free(j.q);
    free(j.q_scale);
    free(j.w);
    free(j.scores);
    free(j.keys);
    return rc;
}
