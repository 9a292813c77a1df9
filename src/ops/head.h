/* Logits, and the input of the MTP block.
 * Source: spec deepseek-v4 sections 2 (hc_head) and 6. */
#pragma once
#include "ops/hyper.h"
#include "ops/tensor.h"
#include "ops/weight.h"

struct step;

struct head_args {
    struct tensor *logits;     /* out [R, V] */
    const struct tensor *h;    /* [T, n D] */
    const int *rows;           /* [R] rows of h, host memory */
    const struct hyper *hyper; /* m = n values; Sinkhorn is not used */
    const struct weight *norm; /* [1, D] F32 */
    const struct weight *w;    /* [V, D] */
};

/* z = sum_j (sigmoid(m[j] s + b[j]) + eps) h[j]; logits = w RMS(z; norm). */
void op_head(struct step *s, const struct head_args *a);

struct mtp_streams_args {
    struct tensor *hs;      /* out [T', n D]: streams at the positions of the step's rows */
    const struct tensor *h; /* [T, n D] streams of the main pass, rows grouped by sequence */
    const int *row;         /* [T'] row of h, or -1: the streams kept in the live block */
    const int *last;        /* [n_seqs] row of h to keep in the live block; NULL: keep none */
    size_t kept;            /* its offset there: n D f32 values */
};

/* Gathers the streams that the MTP rows need and keeps the newest for the next step. Runs on the
 * MTP rows (position p - 1 pairs the streams at p - 1 with the token at p). */
void op_mtp_streams(struct step *s, const struct mtp_streams_args *a);

struct mtp_join_args {
    struct tensor *h;                     /* out [T', n D] */
    const struct tensor *hs;              /* [T', n D] */
    const struct weight *embed;           /* [V, D]; the rows' tokens are the next tokens */
    const struct weight *enorm, *hnorm;   /* [1, D] F32 */
    const struct weight *e_proj, *h_proj; /* [D, D] */
    int n;                                /* streams */
    float eps;
};

/* h[j] = e_proj RMS(embed[token]; enorm) + h_proj RMS(hs[j]; hnorm). */
void op_mtp_join(struct step *s, const struct mtp_join_args *a);
