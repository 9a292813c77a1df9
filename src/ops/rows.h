/* Rope, kv rows, compressed entries, queries.
 * Source: RoFormer, arXiv:2104.09864, section 3.4.2; YaRN, arXiv:2309.00071; spec deepseek-v4
 * sections 3.1, 3.5, 5, 7; bits: numerics, sections 5 and 7. */
#pragma once
#include "ops/kv.h"
#include "ops/tensor.h"
#include "ops/weight.h"

struct step;

/* Frequencies of the r / 2 pairs, radians per position, in host memory. */
struct rope {
    int dim;     /* r */
    float *freq; /* [r / 2], owned by the model */
};

struct rope_rows_args {
    struct tensor *cs; /* out [T, r]: cos and sin of each pair, interleaved */
    const struct rope *rope;
};

/* angle = (float)pos * freq; cos, sin by fmath. Once a step and rope type. */
void op_rope_rows(struct step *s, const struct rope_rows_args *a);

struct rows_append_args {
    struct rows *rows;         /* out: the rows of this step in stored form */
    const struct tensor *kv;   /* [T, d] */
    const struct weight *norm; /* [1, d] F32 */
    const struct tensor *cs;   /* of the layer's rope */
    const struct layer_kv *layer;
    float eps;
};

/* RMS norm, rope on the last r values at the row's position, fp8_sim on the others, store. The ring
 * takes them later (op_rows_keep), since rows of this step may still need what they replace. */
void op_rows_append(struct step *s, const struct rows_append_args *a);

struct rows_keep_args {
    const struct rows *rows; /* of this step, from op_rows_append */
    const struct layer_kv *layer;
};

/* The last `window` rows of each sequence go into its ring. After op_attend, if there is one. */
void op_rows_keep(struct step *s, const struct rows_keep_args *a);

struct compress_args {
    const struct tensor *k, *s; /* [T, coff e]; S without ape; coff = 2 when R = 4, else 1 */
    const struct weight *ape;   /* [R, coff e] F32 */
    const struct weight *norm;  /* [1, e] F32 */
    const struct rope *rope;
    const struct layer_kv *layer;
    int is_index; /* 0: attention rows, e = d; 1: index keys, e = index_dim: Hadamard and fp4_sim */
    float eps;
};

/* Closes every entry whose last position is a row of this step: softmax over its slots per channel,
 * RMS norm, rope at its first position, rounding, store in its page; then keeps the carry. */
void op_compress(struct step *s, const struct compress_args *a);

struct query_args {
    struct tensor *q; /* in and out [T, H d] */
    const struct tensor *cs;
    int n_heads, head_dim, rope_dim;
    float eps;
};

/* Per head: q *= 1 / sqrt(mean(q^2) + eps), then rope on the last r values. */
void op_query(struct step *s, const struct query_args *a);
