/* base/fmath.h for 8 lanes: the same operations in the same order, hence the same bits.
 * Only for files built with AVX2 and FMA (*_avx2.c). The scalar functions explain the maths. */
#pragma once
#include <immintrin.h>

#include "base/fmath.h"

struct fm8_parts {
    __m256 hi, lo;
    __m256i n;
};

static inline __m256 fm8_set(float x)
{
    return _mm256_set1_ps(x);
}

/* 2^n, n in [-126, 127] */
static inline __m256 fm8_power(__m256i n)
{
    __m256i biased = _mm256_add_epi32(n, _mm256_set1_epi32(127));
    return _mm256_castsi256_ps(_mm256_slli_epi32(biased, 23));
}

static inline struct fm8_parts fm8_exp_parts(__m256 x)
{
    struct fm8_parts y;
    __m256 t = _mm256_fmadd_ps(x, fm8_set(0x1.715476p+0f), fm8_set(FM_ROUND));
    __m256 k = _mm256_sub_ps(t, fm8_set(FM_ROUND));
    __m256 r = _mm256_fnmadd_ps(k, fm8_set(0x1.62e43p-1f), x);
    r = _mm256_fnmadd_ps(k, fm8_set(-0x1.05c61p-29f), r);
    __m256 q = fm8_set(0x1.6d5f32p-10f);
    q = _mm256_fmadd_ps(q, r, fm8_set(0x1.123be2p-7f));
    q = _mm256_fmadd_ps(q, r, fm8_set(0x1.5554d8p-5f));
    q = _mm256_fmadd_ps(q, r, fm8_set(0x1.55548ep-3f));
    q = _mm256_fmadd_ps(q, r, fm8_set(0x1p-1f));
    __m256 p = _mm256_fmadd_ps(_mm256_mul_ps(r, r), q, r);
    __m256 one = fm8_set(1.0f);
    y.hi = _mm256_add_ps(one, p);
    y.lo = _mm256_add_ps(_mm256_sub_ps(one, y.hi), p);
    y.n = _mm256_sub_epi32(_mm256_castps_si256(t), _mm256_set1_epi32(0x4b400000));
    return y;
}

static inline __m256 fm8_scale(__m256 x, __m256i n)
{
    __m256i half = _mm256_srai_epi32(n, 1);
    x = _mm256_mul_ps(x, fm8_power(half));
    return _mm256_mul_ps(x, fm8_power(_mm256_sub_epi32(n, half)));
}

/* y, but 0x7fc00000 where x is NaN */
static inline __m256 fm8_keep_nan(__m256 y, __m256 x)
{
    __m256 nan = _mm256_castsi256_ps(_mm256_set1_epi32(0x7fc00000));
    return _mm256_blendv_ps(y, nan, _mm256_cmp_ps(x, x, _CMP_UNORD_Q));
}

static inline __m256 fm8_exp(__m256 x)
{
    /* max and min give their second operand when the other is NaN */
    __m256 c = _mm256_max_ps(fm8_set(-104.0f), x);
    c = _mm256_min_ps(fm8_set(89.0f), c);
    struct fm8_parts e = fm8_exp_parts(c);
    return fm8_keep_nan(fm8_scale(e.hi, e.n), x);
}

static inline __m256 fm8_logistic(__m256 x, __m256 w)
{
    __m256 sign = fm8_set(-0.0f), one = fm8_set(1.0f), zero = _mm256_setzero_ps();
    __m256 negative = _mm256_cmp_ps(x, zero, _CMP_LT_OQ);
    __m256 a = _mm256_max_ps(fm8_set(-112.0f), _mm256_or_ps(x, sign));
    struct fm8_parts t = fm8_exp_parts(a);

    __m256 s = fm8_power(_mm256_max_epi32(t.n, _mm256_set1_epi32(-126)));
    __m256 e = _mm256_mul_ps(t.hi, s);
    __m256 d = _mm256_add_ps(one, e);
    __m256 d_lo = _mm256_fmadd_ps(t.lo, s, _mm256_add_ps(_mm256_sub_ps(one, d), e));
    __m256 inverse = _mm256_div_ps(one, d);

    __m256 wh = _mm256_mul_ps(w, t.hi);
    __m256 wh_lo = _mm256_fmadd_ps(w, t.lo, _mm256_fmsub_ps(w, t.hi, wh));
    __m256 p = _mm256_blendv_ps(w, wh, negative);
    __m256 p_lo = _mm256_and_ps(wh_lo, negative);
    __m256 q = _mm256_mul_ps(p, inverse);
    __m256 rest = _mm256_fnmadd_ps(q, d, p);
    rest = _mm256_add_ps(rest, _mm256_sub_ps(p_lo, _mm256_mul_ps(q, d_lo)));
    __m256 y = _mm256_fmadd_ps(rest, inverse, q);
    y = fm8_scale(y, _mm256_and_si256(t.n, _mm256_castps_si256(negative)));
    y = _mm256_blendv_ps(y, w, _mm256_cmp_ps(x, fm8_set(30.0f), _CMP_GT_OQ));
    return fm8_keep_nan(y, x);
}

static inline __m256 fm8_sigmoid(__m256 x)
{
    return fm8_logistic(x, fm8_set(1.0f));
}

static inline __m256 fm8_silu(__m256 x)
{
    return fm8_logistic(x, _mm256_max_ps(fm8_set(-112.0f), x));
}
