/* Manifold-constrained hyper-connections: several residual streams, mixed around each block.
 * Source: spec deepseek-v4 section 2 (hc_pre, hc_post); arithmetic order: numerics, sections 4, 7. */
#pragma once
#include "ops/tensor.h"
#include "ops/weight.h"

struct step;

/* The mixing parameters of one block. n streams, m = n (2 + n) values (head: m = n). */
struct hyper {
    const struct weight *fn;    /* [m, n D] F32 (or BF16) */
    const struct weight *base;  /* [1, m] F32 */
    const struct weight *scale; /* [1, 3] F32; head: [1, 1] */
    int n;                      /* streams */
    int iters;                  /* Sinkhorn normalisations of the columns */
    float eps;                  /* added after sigmoid and softmax, and to every divisor */
    float norm_eps;             /* inside the rms of the streams and the block's norm */
};

struct hc_mix_args {
    struct acts *x;         /* out [T, D]: RMS norm of the mixed streams, the block's input */
    struct tensor *post;    /* out [T, n] */
    struct tensor *comb;    /* out [T, n n]: row = source stream, column = target */
    const struct tensor *h; /* [T, n D] */
    const struct hyper *hyper;
    const struct weight *norm; /* [1, D] F32 */
};

/* v = the n streams of a row, one after another. rs = 1 / sqrt(mean(v^2) + norm_eps);
 * m = (fn . v) * rs; pre[j] = sigmoid(m[j] s0 + b[j]) + eps; post[j] = 2 sigmoid(m[n+j] s1 + b[n+j]);
 * comb = softmax over rows of m[2n..] s2 + b, + eps, then Sinkhorn: columns, (rows, columns) iters - 1
 * times. x = RMS(sum_j pre[j] h[j]; norm): acc = pre[0] h[0], then fmaf ascending.
 * m s + b is a multiplication, then an addition. */
void op_hc_mix(struct step *s, const struct hc_mix_args *a);

struct hc_join_args {
    struct tensor *h;       /* in and out [T, n D] */
    const struct tensor *y; /* [T, D] the block's output */
    const struct tensor *post, *comb;
};

/* h'[k] = post[k] y + sum_j comb[j][k] h[j]: acc = post[k] * y, then fmaf(comb[j][k], h[j]) with j
 * ascending. */
void op_hc_join(struct step *s, const struct hc_join_args *a);
