/* base/fmath.h for 4 lanes: the same operations in the same order, hence the same bits.
 * Only for files built for ARM64 (*_neon.c). The scalar functions explain the maths. */
#pragma once
#include <arm_neon.h>

#include "base/fmath.h"

struct fm4_parts {
    float32x4_t hi, lo;
    int32x4_t n;
};

/* 2^n, n in [-126, 127] */
static inline float32x4_t fm4_power(int32x4_t n)
{
    return vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(n, vdupq_n_s32(127)), 23));
}

/* x where it is not less (not greater) than the bound; a NaN stays. */
static inline float32x4_t fm4_at_least(float32x4_t x, float bound)
{
    return vbslq_f32(vcltq_f32(x, vdupq_n_f32(bound)), vdupq_n_f32(bound), x);
}

static inline float32x4_t fm4_at_most(float32x4_t x, float bound)
{
    return vbslq_f32(vcgtq_f32(x, vdupq_n_f32(bound)), vdupq_n_f32(bound), x);
}

static inline struct fm4_parts fm4_exp_parts(float32x4_t x)
{
    struct fm4_parts y;
    float32x4_t round = vdupq_n_f32(FM_ROUND), one = vdupq_n_f32(1.0f);
    float32x4_t t = vfmaq_f32(round, x, vdupq_n_f32(0x1.715476p+0f));
    float32x4_t k = vsubq_f32(t, round);
    float32x4_t r = vfmsq_f32(x, k, vdupq_n_f32(0x1.62e43p-1f));
    r = vfmsq_f32(r, k, vdupq_n_f32(-0x1.05c61p-29f));
    float32x4_t q = vdupq_n_f32(0x1.6d5f32p-10f);
    q = vfmaq_f32(vdupq_n_f32(0x1.123be2p-7f), q, r);
    q = vfmaq_f32(vdupq_n_f32(0x1.5554d8p-5f), q, r);
    q = vfmaq_f32(vdupq_n_f32(0x1.55548ep-3f), q, r);
    q = vfmaq_f32(vdupq_n_f32(0x1p-1f), q, r);
    float32x4_t p = vfmaq_f32(r, vmulq_f32(r, r), q);
    y.hi = vaddq_f32(one, p);
    y.lo = vaddq_f32(vsubq_f32(one, y.hi), p);
    y.n = vsubq_s32(vreinterpretq_s32_f32(t), vdupq_n_s32(0x4b400000));
    return y;
}

static inline float32x4_t fm4_scale(float32x4_t x, int32x4_t n)
{
    int32x4_t half = vshrq_n_s32(n, 1);
    x = vmulq_f32(x, fm4_power(half));
    return vmulq_f32(x, fm4_power(vsubq_s32(n, half)));
}

/* y, but 0x7fc00000 where x is NaN */
static inline float32x4_t fm4_keep_nan(float32x4_t y, float32x4_t x)
{
    return vbslq_f32(vceqq_f32(x, x), y, vreinterpretq_f32_u32(vdupq_n_u32(0x7fc00000)));
}

static inline float32x4_t fm4_exp(float32x4_t x)
{
    struct fm4_parts e = fm4_exp_parts(fm4_at_most(fm4_at_least(x, -104.0f), 89.0f));
    return fm4_keep_nan(fm4_scale(e.hi, e.n), x);
}

static inline float32x4_t fm4_logistic(float32x4_t x, float32x4_t w)
{
    float32x4_t zero = vdupq_n_f32(0.0f), one = vdupq_n_f32(1.0f);
    uint32x4_t negative = vcltq_f32(x, zero);
    struct fm4_parts t = fm4_exp_parts(fm4_at_least(vnegq_f32(vabsq_f32(x)), -112.0f));

    float32x4_t s = fm4_power(vmaxq_s32(t.n, vdupq_n_s32(-126)));
    float32x4_t e = vmulq_f32(t.hi, s);
    float32x4_t d = vaddq_f32(one, e);
    float32x4_t d_lo = vfmaq_f32(vaddq_f32(vsubq_f32(one, d), e), t.lo, s);
    float32x4_t inverse = vdivq_f32(one, d);

    float32x4_t wh = vmulq_f32(w, t.hi);
    float32x4_t wh_lo = vfmaq_f32(vfmaq_f32(vnegq_f32(wh), w, t.hi), w, t.lo);
    float32x4_t p = vbslq_f32(negative, wh, w), p_lo = vbslq_f32(negative, wh_lo, zero);
    float32x4_t q = vmulq_f32(p, inverse);
    float32x4_t rest = vfmsq_f32(p, q, d);
    rest = vaddq_f32(rest, vsubq_f32(p_lo, vmulq_f32(q, d_lo)));
    float32x4_t y = vfmaq_f32(q, rest, inverse);
    y = fm4_scale(y, vandq_s32(t.n, vreinterpretq_s32_u32(negative)));
    y = vbslq_f32(vcgtq_f32(x, vdupq_n_f32(30.0f)), w, y);
    return fm4_keep_nan(y, x);
}

static inline float32x4_t fm4_sigmoid(float32x4_t x)
{
    return fm4_logistic(x, vdupq_n_f32(1.0f));
}

static inline float32x4_t fm4_silu(float32x4_t x)
{
    return fm4_logistic(x, fm4_at_least(x, -112.0f));
}
