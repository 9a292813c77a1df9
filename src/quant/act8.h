/* Activations of quantised linears: int8 in groups of 32.
 * Source: numerics, section 2.
 *
 * Per group: amax = max|x|. Below 2^-100 all is 0; else r = 127 / amax, q = rint(x * r) (ties to even),
 * scale = amax / 127. q lies in [-127, 127], never -128: kernels depend on it. A group with an infinity
 * or NaN gets scale NaN and q 0, so that the outputs it feeds are NaN. */
#pragma once
#include <stdint.h>

enum { ACT8_GROUP = 32 };

/* n values, a multiple of 32. scale [n / 32]. pairs [n / 32, 2], or NULL: the sums of q over k mod 4 in
 * {0, 1} and in {2, 3}, for kernels that store weights with an offset. */
void act8_encode(int8_t *q, float *scale, int16_t *pairs, const float *x, int n);
