/* The lightning indexer: which compressed entries a CSA query attends to.
 * Source: spec deepseek-v4 section 3.6; bits: numerics, section 7. */
#pragma once
#include "ops/kv.h"
#include "ops/tensor.h"

struct step;

struct select_args {
    struct itensor *ids;   /* out [T, topk]: chosen entries, ascending; the first count are valid */
    struct itensor *count; /* out [T, 1] */
    const struct tensor *q; /* [T, heads index_dim], as projected; left alone */
    const struct tensor
        *w; /* [T, heads], as projected: scaled by index_dim^-1/2 heads^-1/2 inside */
    const struct tensor *cs;
    const struct layer_kv *layer;
    int n_heads, topk;
};

/* Per row: all visible entries when they are at most topk; else rope, Hadamard and fp4_sim on each
 * head's q, score_i = sum over heads ascending of fmaf(max(q . key_i, 0), w, score), the topk largest
 * (ties to the lower id, -0 equals +0), sorted by id. */
void op_select(struct step *s, const struct select_args *a);
