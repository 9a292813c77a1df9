#include <stdlib.h>

#include "base/mem.h"
#include "cpu/cpu.h"
#include "measure/bench_kernels.h"

enum { EXPERTS = 256, USED = 6, WIDTH = 4096, INNER = 2048, SETS = 8, MAX_TOKENS = 512 };

struct moe {
    struct backend *backend;
    struct expert experts[EXPERTS];
    struct acts x;      /* [MAX_TOKENS, WIDTH] */
    int32_t *ids[SETS]; /* [MAX_TOKENS, USED] each: steps take them in turn */
    float *w;           /* [MAX_TOKENS, USED] */
    int *zeros;         /* [MAX_TOKENS]: tokens, positions and sequences do not count here */
    int n, set;
};

static int run_layer(void *ctx, int times, struct err *err)
{
    struct moe *j = ctx;
    struct step_seq seq = {.n = j->n};
    struct step_rows rows = {j->n, 1, j->zeros, j->zeros, j->zeros, &seq};
    for (int i = 0; i < times; i++) {
        struct step s;
        step_begin(&s, j->backend, &rows, NULL);
        struct tensor y = step_f32(&s, j->n, WIDTH), w = {j->n, USED, j->w};
        struct itensor ids = {j->n, USED, j->ids[j->set++ % SETS]};
        struct acts x = j->x;
        x.rows = j->n;
        op_experts(&s, &(struct experts_args){.y = &y,
                                              .x = &x,
                                              .ids = &ids,
                                              .w = &w,
                                              .experts = j->experts,
                                              .n_experts = EXPERTS,
                                              .limit = 10.0f});
        if (step_end(&s, err)) return -1;
    }
    return 0;
}

/* Experts that a step of n tokens reads; mean over the sets. */
static double distinct(const struct moe *j)
{
    int count = 0;
    for (int s = 0; s < SETS; s++) {
        bool used[EXPERTS] = {false};
        for (int i = 0; i < j->n * USED; i++) {
            count += !used[j->ids[s][i]];
            used[j->ids[s][i]] = true;
        }
    }
    return (double)count / SETS;
}

static double limit(void *ctx, const struct rates *r)
{
    const struct moe *j = ctx;
    const struct expert *e = &j->experts[0];
    double bytes = (double)(e->gate->bytes + e->up->bytes + e->down->bytes) * distinct(j);
    double memory = bytes / r->read, work = 6.0 * WIDTH * INNER * USED * j->n / r->int_ops;
    return memory > work ? memory : work;
}

/* USED different ids for each token, ascending. */
static void choose(int32_t *ids, uint32_t *state)
{
    for (int t = 0; t < MAX_TOKENS; t++, ids += USED)
        for (int i = 0; i < USED;) {
            int32_t id = (int32_t)(bench_random(state) % EXPERTS);
            int at = i, same = 0;
            for (int k = 0; k < i; k++)
                same |= ids[k] == id;
            if (same) continue;
            for (; at > 0 && ids[at - 1] > id; at--)
                ids[at] = ids[at - 1];
            ids[at] = id;
            i++;
        }
}

static int make_experts(struct moe *j, struct err *err)
{
    for (int e = 0; e < EXPERTS; e++) {
        struct expert *x = &j->experts[e];
        uint32_t seed = (uint32_t)e;
        if (bench_weight(&x->gate, WF_MXFP4, INNER, WIDTH, seed, err) ||
            bench_weight(&x->up, WF_MXFP4, INNER, WIDTH, seed + 1000, err) ||
            bench_weight(&x->down, WF_MXFP4, WIDTH, INNER, seed + 2000, err))
            return -1;
    }
    return 0;
}

static void moe_free(struct moe *j)
{
    for (int e = 0; e < EXPERTS; e++) {
        packed_free(j->experts[e].gate);
        packed_free(j->experts[e].up);
        packed_free(j->experts[e].down);
    }
    for (int s = 0; s < SETS; s++)
        free(j->ids[s]);
    bench_acts_fini(&j->x);
    free(j->w);
    free(j->zeros);
    if (j->backend) j->backend->close(j->backend);
    free(j);
}

static void moe_init(struct moe *j, const struct bench_kernels *b)
{
    uint32_t state = 11;
    j->x = bench_acts(b->kernels, MAX_TOKENS, WIDTH);
    j->w = xmalloc((size_t)MAX_TOKENS * USED * sizeof *j->w);
    for (int i = 0; i < MAX_TOKENS * USED; i++)
        j->w[i] = 1.0f / USED;
    j->zeros = xcalloc(MAX_TOKENS, sizeof *j->zeros);
    for (int s = 0; s < SETS; s++) {
        j->ids[s] = xmalloc((size_t)MAX_TOKENS * USED * sizeof *j->ids[s]);
        choose(j->ids[s], &state);
    }
}

int bench_moe(const struct bench_kernels *b, struct err *err)
{
    static const int tokens[] = {1, 4, 16, 32, 128, MAX_TOKENS};
    struct moe *j = xcalloc(1, sizeof *j);
    moe_init(j, b);
    int rc = cpu_open(&j->backend, MODE_DEFAULT, pool_threads(b->pool), b->kernels->name, err);
    if (rc == 0) rc = make_experts(j, err);
    for (size_t i = 0; i < sizeof tokens / sizeof *tokens && rc == 0; i++) {
        j->n = tokens[i];
        struct rounds_job job = {run_layer, limit, j};
        rc = bench_case(b, "moe", j->n, 0, "tokens/s", j->n, &job, err);
    }
    moe_free(j);
    return rc;
}
