/* Token embedding. */
#pragma once
#include "ops/tensor.h"
#include "ops/weight.h"

struct step;

struct embed_args {
    struct tensor *h;           /* out [T, n D]: n equal streams */
    const struct weight *table; /* [V, D] F32, F16, BF16 or Q8_0; values used as they are */
};

/* h[t] = table[token of row t], n times. Tokens were checked against V by the caller. */
void op_embed(struct step *s, const struct embed_args *a);
