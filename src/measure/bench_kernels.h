/* Speed of kernels alone beside the machine's limits: on V4-Flash's shapes, with weights of random codes
 * that no cache holds. */
#pragma once
#include "base/pool.h"
#include "cpu/kernels.h"
#include "measure/bench.h"
#include "measure/rounds.h"

struct bench_kernels {
    struct machine *machine;
    const struct cpu_kernels *kernels;
    struct pool *pool;
    int rounds;
    const char *format; /* of bench_matmul: this one alone; NULL: all */
    void (*found)(void *ctx, const struct bench_row *row); /* called for each row */
    void *ctx;
};

/* Matrices [2048, 4096] of each weight format times n tokens. GB/s of stored weights for one token, else
 * GOP/s, or GFLOP/s of BF16 and F32. ERR_ARGUMENT for an unknown format. */
MUST_USE int bench_matmul(const struct bench_kernels *b, struct err *err);

/* Attention of n query rows, 64 heads x 512, over `context` keys in f32; GFLOP/s. */
MUST_USE int bench_attention(const struct bench_kernels *b, struct err *err);

/* Scores of one query, 64 heads x 128, against `context` index keys; GOP/s. */
MUST_USE int bench_indexer(const struct bench_kernels *b, struct err *err);

/* A layer of 256 experts [2048, 4096], MXFP4, 6 used for each of n tokens, chosen at random; tokens/s
 * of this layer. Takes 3.4 GB. */
MUST_USE int bench_moe(const struct bench_kernels *b, struct err *err);

/* --- for these files alone --- */

/* A weight of random codes under ordinary scales, packed for the CPU; free with packed_free. */
MUST_USE int bench_weight(struct weight **out, enum weight_format format, int rows, int cols,
                          uint32_t seed, struct err *err);

/* Activations of random values in -1..1, quantised; free with bench_acts_fini. */
struct acts bench_acts(const struct cpu_kernels *k, int rows, int cols);
void bench_acts_fini(struct acts *x);

uint32_t bench_random(uint32_t *state); /* 24 bits */

/* Runs the rounds and reports a row: rate = `amount` of the unit for each time the job is done. */
MUST_USE int bench_case(const struct bench_kernels *b, const char *name, int n, int context,
                        const char *unit, double amount, const struct rounds_job *job,
                        struct err *err);
