/* Rows of stored weights to f32, and Q8_0 back.
 * Formats: spec deepseek-v4, section 7; GGUF blocks of 32. n is the number of values of the row, a
 * multiple of 32 (FP8: any). Pointers may be unaligned; values come out exact, but FP8 under an f32
 * scale, which is one rounded product.
 *
 *   Q8_0   34 bytes: f16 scale, 32 int8
 *   Q4_0   18 bytes: f16 scale, 16 bytes; low nibbles are values 0..15, high ones 16..31; code - 8
 *   MXFP4  17 bytes: e8m0 scale, 16 bytes, nibbles as in Q4_0; e2m1
 *   FP4    n / 2 bytes, low nibble first; e8m0 scale per 32, apart
 *   FP8    n bytes e4m3; a scale per `block` values, apart
 *
 * In MXFP4 and FP4 a group with scale byte 0 or 1 counts as zeros (numerics, section 3); byte 255 and
 * the NaN codes of FP8 decode to NaN. */
#pragma once
#include <stdint.h>

#include "base/err.h"

enum { BLOCK_VALUES = 32, Q8_0_BYTES = 34, Q4_0_BYTES = 18, MXFP4_BYTES = 17 };

void q8_0_decode(float *out, const uint8_t *row, int n);
void q4_0_decode(float *out, const uint8_t *row, int n);
void mxfp4_decode(float *out, const uint8_t *row, int n);
void fp4_decode(float *out, const uint8_t *codes, const uint8_t *scales, int n);

/* scales: those of the row, ceil(n / block). */
void fp8_decode(float *out, const uint8_t *codes, const float *scales, int block, int n);

/* Rounds to Q8_0: scale = f16 of amax / 127 (the next larger one where that is below amax / 127.5),
 * q = rint(x / scale) in [-127, 127], by the scale as stored: off by half a step at most. -1, and out undefined, when a value is not finite or too large for an f16 scale. */
MUST_USE int q8_0_encode(uint8_t *out, const float *x, int n);
