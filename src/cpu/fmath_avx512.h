/* base/fmath.h for 16 lanes: the same operations in the same order, hence the same bits, but scaling by 2^n
 * is one instruction that rounds once, as the two factors of the scalar code do.
 * Only for files built with AVX-512 F and DQ (*_avx512.c). The scalar functions explain the maths. */
#pragma once
#include <immintrin.h>

#include "base/fmath.h"

struct fm16_parts {
    __m512 hi, lo;
    __m512 n; /* an integer */
};

static inline __m512 fm16_set(float x)
{
    return _mm512_set1_ps(x);
}

static inline struct fm16_parts fm16_exp_parts(__m512 x)
{
    struct fm16_parts y;
    __m512 t = _mm512_fmadd_ps(x, fm16_set(0x1.715476p+0f), fm16_set(FM_ROUND));
    __m512 k = _mm512_sub_ps(t, fm16_set(FM_ROUND));
    __m512 r = _mm512_fnmadd_ps(k, fm16_set(0x1.62e43p-1f), x);
    r = _mm512_fnmadd_ps(k, fm16_set(-0x1.05c61p-29f), r);
    __m512 q = fm16_set(0x1.6d5f32p-10f);
    q = _mm512_fmadd_ps(q, r, fm16_set(0x1.123be2p-7f));
    q = _mm512_fmadd_ps(q, r, fm16_set(0x1.5554d8p-5f));
    q = _mm512_fmadd_ps(q, r, fm16_set(0x1.55548ep-3f));
    q = _mm512_fmadd_ps(q, r, fm16_set(0x1p-1f));
    __m512 p = _mm512_fmadd_ps(_mm512_mul_ps(r, r), q, r);
    __m512 one = fm16_set(1.0f);
    y.hi = _mm512_add_ps(one, p);
    y.lo = _mm512_add_ps(_mm512_sub_ps(one, y.hi), p);
    y.n = k;
    return y;
}

/* y, but 0x7fc00000 where x is NaN */
static inline __m512 fm16_keep_nan(__m512 y, __m512 x)
{
    __mmask16 nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
    return _mm512_mask_mov_ps(y, nan, _mm512_castsi512_ps(_mm512_set1_epi32(0x7fc00000)));
}

static inline __m512 fm16_exp(__m512 x)
{
    /* max and min give their second operand when the other is NaN */
    __m512 c = _mm512_max_ps(fm16_set(-104.0f), x);
    c = _mm512_min_ps(fm16_set(89.0f), c);
    struct fm16_parts e = fm16_exp_parts(c);
    return fm16_keep_nan(_mm512_scalef_ps(e.hi, e.n), x);
}

static inline __m512 fm16_logistic(__m512 x, __m512 w)
{
    __m512 one = fm16_set(1.0f);
    __mmask16 negative = _mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_LT_OQ);
    __m512 a = _mm512_max_ps(fm16_set(-112.0f), _mm512_or_ps(x, fm16_set(-0.0f)));
    struct fm16_parts t = fm16_exp_parts(a);

    __m512 s = _mm512_scalef_ps(one, _mm512_max_ps(t.n, fm16_set(-126.0f)));
    __m512 e = _mm512_mul_ps(t.hi, s);
    __m512 d = _mm512_add_ps(one, e);
    __m512 d_lo = _mm512_fmadd_ps(t.lo, s, _mm512_add_ps(_mm512_sub_ps(one, d), e));
    __m512 inverse = _mm512_div_ps(one, d);

    __m512 wh = _mm512_mul_ps(w, t.hi);
    __m512 wh_lo = _mm512_fmadd_ps(w, t.lo, _mm512_fmsub_ps(w, t.hi, wh));
    __m512 p = _mm512_mask_mov_ps(w, negative, wh);
    __m512 p_lo = _mm512_maskz_mov_ps(negative, wh_lo);
    __m512 q = _mm512_mul_ps(p, inverse);
    __m512 rest = _mm512_fnmadd_ps(q, d, p);
    rest = _mm512_add_ps(rest, _mm512_sub_ps(p_lo, _mm512_mul_ps(q, d_lo)));
    __m512 y = _mm512_fmadd_ps(rest, inverse, q);
    y = _mm512_mask_scalef_ps(y, negative, y, t.n);
    y = _mm512_mask_mov_ps(y, _mm512_cmp_ps_mask(x, fm16_set(30.0f), _CMP_GT_OQ), w);
    return fm16_keep_nan(y, x);
}

static inline __m512 fm16_sigmoid(__m512 x)
{
    return fm16_logistic(x, fm16_set(1.0f));
}

static inline __m512 fm16_silu(__m512 x)
{
    return fm16_logistic(x, _mm512_max_ps(fm16_set(-112.0f), x));
}
