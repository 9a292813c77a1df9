/* How V4 stores the first d - r values of a kv row: e4m3 codes in groups of 64 under a power-of-two
 * scale. The model was trained with this rounding, so it is part of its arithmetic.
 * Source: spec deepseek-v4, section 7 (act_quant, fp8_sim); numerics, section 5.
 *
 * Per group: amax = max(max|x|, 1e-4); scale = 2^ceil(log2(amax * (1 / 448))), the exponent read from
 * the product's bits; code = e4m3 of x / scale, ties to even, at most +-448. A group with an infinity
 * or NaN gets scale byte 255 and codes 0, which decode to NaN. */
#pragma once
#include <stdint.h>

enum { FP8_SIM_GROUP = 64 };

/* n values, a multiple of 64, to n codes and n / 64 e8m0 bytes. */
void fp8_sim_encode(uint8_t *codes, uint8_t *scales, const float *x, int n);

/* Back to f32: value = code * scale, exact. */
void fp8_sim_decode(float *out, const uint8_t *codes, const uint8_t *scales, int n);
