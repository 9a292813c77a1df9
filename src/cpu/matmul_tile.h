/* A tile of activations for the integer linears. Private to cpu/matmul_*. */
#pragma once
#include "cpu/kernels.h"

enum { GROUP = 32, MAX_TOKENS = 12 };

/* Up to MAX_TOKENS rows of activations, from the first group of the slice on. */
struct tile {
    int n;
    const int8_t *q[MAX_TOKENS];
    const float *scale[MAX_TOKENS];
    const int16_t *pairs[MAX_TOKENS];
};

/* Rows t0 .. t0 + n - 1 of x, or of those that idx names. */
static inline void tile_init(struct tile *tile, const struct acts *x, int x_first,
                             const int32_t *idx, int t0, int n)
{
    size_t groups = (size_t)x->k / GROUP;
    tile->n = n;
    for (int t = 0; t < n; t++) {
        size_t at = (size_t)(idx ? idx[t0 + t] : t0 + t) * groups + (size_t)(x_first / GROUP);
        tile->q[t] = x->q + at * GROUP;
        tile->scale[t] = x->scale + at;
        tile->pairs[t] = x->pairs + 2 * at;
    }
}
