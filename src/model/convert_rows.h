/* One row of values from one stored form to another. Private to model/.
 * Source: the V4 spec, section 7; block layouts in format/dtype.h. */
#pragma once
#include <stdint.h>

#include "base/err.h"

/* n values of packed FP4 (n / 2 bytes) and their n / 32 E8M0 scales to n / 32 blocks of MXFP4. Every
 * bit is kept. A scale of 255 (NaN) is ERR_NUMERIC. */
MUST_USE int row_fp4_to_mxfp4(const uint8_t *codes, const uint8_t *scales, int n, uint8_t *out,
                              struct err *err);

/* n values of e4m3, value k times scale[k / block], to n / 32 blocks of Q8_0 (quant/blocks.h says
 * how it rounds); values [n] is scratch. Codes and scales that are not finite, and values that Q8_0
 * does not hold, are ERR_NUMERIC. */
MUST_USE int row_fp8_to_q8_0(const uint8_t *codes, const float *scale, int block, int n,
                             float *values, uint8_t *out, struct err *err);

void row_bf16_to_f32(const uint8_t *in, int n, uint8_t *out);
void row_f16_to_f32(const uint8_t *in, int n, uint8_t *out);

/* Values outside i32 are ERR_NUMERIC. */
MUST_USE int row_i64_to_i32(const uint8_t *in, int n, uint8_t *out, struct err *err);
