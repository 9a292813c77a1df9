/* Attention over the window and the compressed entries, with a sink and inverse rope.
 * Source: spec deepseek-v4 section 3.2; bits: numerics, section 6. */
#pragma once
#include "ops/kv.h"
#include "ops/tensor.h"
#include "ops/weight.h"

struct step;

struct attend_args {
    struct acts *o;                    /* out [T, H d] */
    const struct tensor *q;            /* [T, H d] */
    const struct rows *rows;           /* this step's rows, from op_rows_append */
    const struct itensor *ids, *count; /* from op_select; NULL: all visible entries (R = 0: none) */
    const struct weight *sink;         /* [1, H] F32 */
    const struct tensor *cs;
    const struct layer_kv *layer;
    int n_heads;
    float scale; /* of the scores: d^-1/2 */
};

/* Keys of the query at position t: raw rows of positions max(0, t - window + 1) .. t (from the ring, or
 * from `rows` when they are of this step), then entries. The ring
 * stays as it is (op_rows_keep). */
void op_attend(struct step *s, const struct attend_args *a);
