/* How V4 stores index keys, and rounds index queries: e2m1 codes in groups of 32 under a
 * power-of-two scale.
 * Source: spec deepseek-v4, section 7 (fp4_sim); numerics, sections 5 and 7.
 *
 * Per group: amax = max(max|x|, 6 * 2^-126); scale = 2^ceil(log2(amax * (1 / 6))), the exponent read
 * from the product's bits; code = e2m1 of x / scale, ties to the even code. A group with an infinity
 * or NaN gets scale byte 255 and codes 0, which decode to NaN. */
#pragma once
#include <stdint.h>

enum { FP4_SIM_GROUP = 32 };

/* n values, a multiple of 32, to n / 2 bytes of codes (low nibble first) and n / 32 e8m0 bytes. */
void fp4_sim_encode(uint8_t *codes, uint8_t *scales, const float *x, int n);

/* Back to f32: value = code * scale, exact. */
void fp4_sim_decode(float *out, const uint8_t *codes, const uint8_t *scales, int n);

/* One group as integers: code[i] = 2 * e2m1 in -12..12. Returns their scale, 2^(byte - 128). */
float fp4_sim_doubled(int8_t code[32], const float x[32]);
