/* Small floating-point formats to and from f32, one value at a time.
 * Encoders round to nearest, ties to even; decoders are exact. No dependence on the rounding mode's
 * or the platform's NaN habits: a NaN decodes to 0x7fc00000, or in the 16-bit formats to the quiet
 * NaN of the same sign and payload. */
#pragma once
#include <stdint.h>

#include "base/fmath.h"

/* IEEE binary16 */
static inline float f16_to_f32(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000u) << 16, e = h >> 10 & 31u, m = h & 0x3ffu;
    if (e == 0) return fm_float(sign | fm_bits((float)m * 0x1p-24f));
    if (e == 31) return fm_float(sign | 0x7f800000u | m << 13 | (m ? 0x400000u : 0u));
    return fm_float(sign | (e + 112u) << 23 | m << 13);
}

/* Too large becomes infinity, NaN 0x7e00 with its sign. */
static inline uint16_t f32_to_f16(float x)
{
    uint32_t u = fm_bits(x), sign = u >> 16 & 0x8000u, a = u & 0x7fffffffu;
    if (a > 0x7f800000u) return (uint16_t)(sign | 0x7e00u);
    if (a >= 0x477ff000u) return (uint16_t)(sign | 0x7c00u); /* 65520 and up */
    if (a < 0x38800000u) /* subnormal: steps of 2^-24, as at 0.5 */
        return (uint16_t)(sign | (fm_bits(fm_float(a) + 0.5f) - 0x3f000000u));
    return (uint16_t)(sign | (a + 0xfffu + (a >> 13 & 1u) - 0x38000000u) >> 13);
}

/* The upper half of an f32 */
static inline float bf16_to_f32(uint16_t h)
{
    uint32_t u = (uint32_t)h << 16;
    return fm_float((u & 0x7fffffffu) > 0x7f800000u ? u | 0x400000u : u);
}

static inline uint16_t f32_to_bf16(float x)
{
    uint32_t u = fm_bits(x);
    if ((u & 0x7fffffffu) > 0x7f800000u) return (uint16_t)(u >> 16 | 0x40u);
    return (uint16_t)((u + 0x7fffu + (u >> 16 & 1u)) >> 16);
}

/* e8m0, a power of two: 2^(code - 127); 0 is 2^-127, a subnormal f32; 255 is NaN. */
static inline float e8m0_to_f32(uint8_t code)
{
    if (code == 0) return 0x1p-127f;
    return code == 255 ? fm_nan() : fm_float((uint32_t)code << 23);
}

/* e4m3fn: bias 7, no infinity, 0x7f and 0xff are NaN, largest 448, subnormal step 2^-9. */
static inline int e4m3_is_nan(uint8_t code)
{
    return (code & 0x7fu) == 0x7fu;
}

static inline float e4m3_to_f32(uint8_t code)
{
    uint32_t sign = (uint32_t)(code & 0x80u) << 24, e = code >> 3 & 15u, m = code & 7u;
    if (e4m3_is_nan(code)) return fm_nan();
    if (e == 0) return fm_float(sign | fm_bits((float)m * 0x1p-9f));
    return fm_float(sign | (e + 120u) << 23 | m << 20);
}

/* Beyond +-448, infinity included, becomes +-448; NaN 0x7f with its sign. */
static inline uint8_t f32_to_e4m3(float x)
{
    uint32_t u = fm_bits(x), sign = u >> 24 & 0x80u, a = u & 0x7fffffffu;
    if (a > 0x7f800000u) return (uint8_t)(sign | 0x7fu);
    if (a >= 0x43e00000u) return (uint8_t)(sign | 0x7eu);
    if (a < 0x3c800000u) /* subnormal: steps of 2^-9, as at 2^14 */
        return (uint8_t)(sign | (fm_bits(fm_float(a) + 0x1p14f) - 0x46800000u));
    return (uint8_t)(sign | (((a + 0x7ffffu + (a >> 20 & 1u)) >> 20) - 960u));
}

/* e2m1: sign << 3 | m, m -> 0 0.5 1 1.5 2 3 4 6. Doubled it is an integer. */
static inline int e2m1_doubled(uint8_t code)
{
    int m = code & 7, v = m < 4 ? m : m < 6 ? 2 * m - 4 : 4 * m - 16;
    return code & 8 ? -v : v;
}

/* Code 8 gives +0: the sign of a zero is not kept. */
static inline float e2m1_to_f32(uint8_t code)
{
    return 0.5f * (float)e2m1_doubled(code);
}

/* Beyond +-6 becomes +-6; a tie goes to the even code. NaN becomes a zero: look for it before. */
static inline uint8_t f32_to_e2m1(float x)
{
    uint32_t u = fm_bits(x);
    float a = fm_float(u & 0x7fffffffu);
    int m = (a > 0.25f) + (a >= 0.75f) + (a > 1.25f) + (a >= 1.75f) + (a > 2.5f) + (a >= 3.5f) +
            (a > 5.0f);
    return (uint8_t)((u >> 28 & 8u) | (uint32_t)m);
}

/* The largest magnitude of n values, as the bits of an f32: integers order magnitudes as floats do,
 * and infinity and NaN lie above all numbers. */
static inline uint32_t largest_bits(const float *x, int n)
{
    uint32_t most = 0;
    for (int i = 0; i < n; i++) {
        uint32_t a = fm_bits(x[i]) & 0x7fffffffu;
        most = a > most ? a : most;
    }
    return most;
}
