/* Elementary functions with the same bits everywhere.
 * Only IEEE add, mul, fma, div and integer operations: no libm but fma, which is exact. So compiler,
 * optimisation, ISA and vector width do not show in the result (with -ffp-contract=off).
 * Contract: numerics, sections 0 and 7.
 *
 * All take and give f32 with at most 2 ulp of error over every finite input (tools/check-fmath tries
 * each of them). Subnormals are kept. Every NaN that comes out is 0x7fc00000, whatever NaN went
 * in. cpu/fmath_avx2.h and fmath_avx512.h have exp, sigmoid and silu for 8 and 16 lanes, equal bit for
 * bit. */
#pragma once
#include <stdint.h>
#include <string.h>

static inline float fm_exp(float x);
static inline float fm_sigmoid(float x); /* 1 / (1 + exp(-x)) */
static inline float fm_silu(float x);    /* x * sigmoid(x); -0 at -infinity, +0 at +-0 */

float fm_log(float x);      /* -infinity at +-0, NaN below */
float fm_log1p(float x);    /* log(1 + x) */
float fm_softplus(float x); /* x when x > 20, else log1p(exp(x)) */
float fm_sin(float x);      /* NaN at +-infinity */
float fm_cos(float x);

/* The same in f64, for values made once and rounded once (rope frequencies): within 2 ulp of f64.
 * exp64: |x| <= 700. log64: x positive and normal. Outside: NaN. */
double fm_exp64(double x);
double fm_log64(double x);

static inline uint32_t fm_bits(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

static inline float fm_float(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline float fm_nan(void)
{
    return fm_float(0x7fc00000u);
}

/* Adding and subtracting it rounds to the nearest integer, ties to even; the low bits of the sum
 * are the integer. */
#define FM_ROUND 0x1.8p23f

/* exp(x) = (hi + lo) * 2^n for x in [-112, 89], hi in [0.7, 1.42], lo below half an ulp of it.
 * The reduction is exact up to the last fma; the polynomial is a minimax fit, off by 3.3e-9 at most. */
static inline void fm_exp_parts(float x, float *hi, float *lo, uint32_t *n)
{
    float t = __builtin_fmaf(x, 0x1.715476p+0f, FM_ROUND); /* 1 / ln 2 */
    float k = t - FM_ROUND;
    float r = __builtin_fmaf(-k, 0x1.62e43p-1f, x); /* ln 2 in two parts */
    r = __builtin_fmaf(-k, -0x1.05c61p-29f, r);
    float q = 0x1.6d5f32p-10f;
    q = __builtin_fmaf(q, r, 0x1.123be2p-7f);
    q = __builtin_fmaf(q, r, 0x1.5554d8p-5f);
    q = __builtin_fmaf(q, r, 0x1.55548ep-3f);
    q = __builtin_fmaf(q, r, 0x1p-1f);
    float p = __builtin_fmaf(r * r, q, r);
    *hi = 1.0f + p;
    *lo = (1.0f - *hi) + p;
    *n = fm_bits(t) - 0x4b400000u; /* the bits of FM_ROUND */
}

/* x * 2^n, n in [-252, 254]; two exact factors, so that a subnormal result is rounded once. */
static inline float fm_scale(float x, uint32_t n)
{
    uint32_t half = (uint32_t)((int32_t)n >> 1);
    return x * fm_float((half + 127u) << 23) * fm_float((n - half + 127u) << 23);
}

static inline float fm_exp(float x)
{
    float hi, lo, c = x;
    uint32_t n;
    c = c < -104.0f ? -104.0f : c; /* exp is 0 there, */
    c = c > 89.0f ? 89.0f : c;     /* and infinity here */
    fm_exp_parts(c, &hi, &lo, &n);
    float y = fm_scale(hi, n);
    return x == x ? y : fm_nan();
}

/* w * sigmoid(x), w = 1 or x. With e = exp(-|x|): w / (1 + e), or w e / (1 + e) below zero. The
 * quotient gets one correction by its exact remainder, in which the parts of e and of 1 + e that
 * rounding cut off count too. */
static inline float fm_logistic(float x, float w)
{
    float hi, lo;
    uint32_t n;
    int negative = x < 0.0f;
    float a = negative ? x : -x;
    a = a < -112.0f ? -112.0f : a;
    fm_exp_parts(a, &hi, &lo, &n);

    float s = fm_float(((int32_t)n < -126 ? 1u : n + 127u) << 23);
    float e = hi * s;
    float d = 1.0f + e;
    float d_lo = __builtin_fmaf(lo, s, (1.0f - d) + e);
    float inverse = 1.0f / d;

    float p = negative ? w * hi : w;
    float p_lo = negative ? __builtin_fmaf(w, lo, __builtin_fmaf(w, hi, -p)) : 0.0f;
    float q = p * inverse;
    float rest = __builtin_fmaf(-q, d, p) + (p_lo - q * d_lo);
    float y = __builtin_fmaf(rest, inverse, q);
    y = fm_scale(y, negative ? n : 0u);
    y = x > 30.0f ? w : y;
    return x == x ? y : fm_nan();
}

static inline float fm_sigmoid(float x)
{
    return fm_logistic(x, 1.0f);
}

static inline float fm_silu(float x)
{
    return fm_logistic(x, x < -112.0f ? -112.0f : x);
}
