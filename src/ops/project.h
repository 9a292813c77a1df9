/* Linears and RMS norm. */
#pragma once
#include "ops/tensor.h"
#include "ops/weight.h"

struct step;

enum { PROJECT_MAX = 8 };

struct project_args {
    int n;                         /* weights that share the input, at most PROJECT_MAX */
    struct tensor *y[PROJECT_MAX]; /* out [T, rows of w[i]] */
    const struct weight *w[PROJECT_MAX];
    const struct acts *x; /* [T, K] */
};

/* y[i] = w[i] x. Int8 activations for quantised formats in MODE_DEFAULT (numerics, section 3), else the
 * sixteen partial sums of numerics, section 4. */
void op_project(struct step *s, const struct project_args *a);

/* The plain matmul: one weight. */
void op_matmul(struct step *s, struct tensor *y, const struct acts *x, const struct weight *w);

struct project_grouped_args {
    struct acts *y;         /* out [T, rows of w] */
    const struct acts *x;   /* [T, groups * K] */
    const struct weight *w; /* [groups * M, K]: group g maps x[g K ..] to y[g M ..] */
    int groups;
};

/* Block-diagonal linear: `groups` independent matmuls. */
void op_project_grouped(struct step *s, const struct project_grouped_args *a);

struct norm_args {
    struct acts *y;         /* out [T, D] */
    const struct tensor *x; /* [T, D] */
    const struct weight *w; /* [1, D] F32 */
    float eps;
};

/* RMS norm: mean = (sum of squares, numerics section 4) / n, r = 1 / sqrt(mean + eps),
 * y = (x * r) * w. */
void op_norm(struct step *s, const struct norm_args *a);
