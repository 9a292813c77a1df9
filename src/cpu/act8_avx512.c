/* Activations to int8 groups: quant/act8, four groups at a time, so that what is one number a group
 * fills vectors too. */
#include <immintrin.h>
#include <string.h>

#include "base/fmath.h"
#include "cpu/kernels_avx2.h"
#include "cpu/kernels_avx512.h"
#include "cpu/unroll.h"
#include "quant/act8.h"

enum { GROUPS = 4, SUMS = 2 };

/* Bits of the largest magnitude of each group; as integers infinity and NaN are above all numbers. */
INLINE __m128i largest(const __m512 x[GROUPS][2])
{
    const __m512i size = _mm512_set1_epi32(0x7fffffff);
    __m512i m[GROUPS];
    UNROLL
    for (int g = 0; g < GROUPS; g++) {
        __m512i a = _mm512_and_si512(_mm512_castps_si512(x[g][0]), size);
        m[g] = _mm512_max_epi32(a, _mm512_and_si512(_mm512_castps_si512(x[g][1]), size));
    }
    __m512i a =
        _mm512_max_epi32(_mm512_unpacklo_epi32(m[0], m[1]), _mm512_unpackhi_epi32(m[0], m[1]));
    __m512i b =
        _mm512_max_epi32(_mm512_unpacklo_epi32(m[2], m[3]), _mm512_unpackhi_epi32(m[2], m[3]));
    a = _mm512_max_epi32(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
    __m256i h = _mm256_max_epi32(_mm512_castsi512_si256(a), _mm512_extracti64x4_epi64(a, 1));
    return _mm_max_epi32(_mm256_castsi256_si128(h), _mm256_extracti128_si256(h, 1));
}

/* rint(x r) of a group as int32, zeros where the group is not to be coded. The conversion rounds ties to
 * even; a product of at most 127 (1 + 2^-23) rounds to 127 at most, so nothing is left to clamp. */
INLINE __m512i round_half(__m512 x, float r, __mmask16 coded)
{
    return _mm512_maskz_cvtps_epi32(coded, _mm512_mul_ps(x, _mm512_set1_ps(r)));
}

/* Codes of two groups, one after the other. */
INLINE __m512i round_groups(const __m512 a[2], float ra, __mmask16 a_coded, const __m512 b[2],
                            float rb, __mmask16 b_coded)
{
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    __m512i v = _mm512_packs_epi32(round_half(a[0], ra, a_coded), round_half(a[1], ra, a_coded));
    __m512i w = _mm512_packs_epi32(round_half(b[0], rb, b_coded), round_half(b[1], rb, b_coded));
    return _mm512_permutexvar_epi32(order, _mm512_packs_epi16(v, w));
}

/* Sums of codes over k mod 4 in {0, 1} and {2, 3}, as pairs of int16; even has groups 0 and 2, odd 1 and
 * 3. */
INLINE void store_pairs(int16_t *pairs, __m512i even, __m512i odd)
{
    even = _mm512_maddubs_epi16(_mm512_set1_epi8(1), even);
    odd = _mm512_maddubs_epi16(_mm512_set1_epi8(1), odd);
    __m512i s =
        _mm512_add_epi16(_mm512_unpacklo_epi32(even, odd), _mm512_unpackhi_epi32(even, odd));
    s = _mm512_add_epi16(s, _mm512_unpackhi_epi64(s, s));
    s = _mm512_add_epi16(s, _mm512_shuffle_i64x2(s, s, 0xb1));
    _mm_storel_epi64((__m128i *)(void *)pairs, _mm512_castsi512_si128(s));
    _mm_storel_epi64((__m128i *)(void *)(pairs + 2 * SUMS), _mm512_extracti64x2_epi64(s, 2));
}

INLINE void store_codes(int8_t *q, __m512i v, int first, int second)
{
    __m256i *to = (__m256i *)(void *)q;
    _mm256_storeu_si256(to + first, _mm512_castsi512_si256(v));
    _mm256_storeu_si256(to + second, _mm512_extracti64x4_epi64(v, 1));
}

INLINE void quantise_4(int8_t *q, float *scale, int16_t *pairs, const float *from)
{
    __m512 x[GROUPS][2];
    float r[GROUPS];
    UNROLL
    for (int g = 0; g < GROUPS; g++) {
        x[g][0] = _mm512_loadu_ps(from + ACT8_GROUP * g);
        x[g][1] = _mm512_loadu_ps(from + ACT8_GROUP * g + ACT8_GROUP / 2);
    }
    __m128i most = largest(x);
    __mmask8 small = _mm_cmplt_epi32_mask(most, _mm_set1_epi32(0x0d800000)); /* 2^-100 */
    __mmask8 wild = _mm_cmpgt_epi32_mask(most, _mm_set1_epi32(0x7f7fffff));
    __mmask8 coded = (__mmask8) ~(small | wild);
    __m128 amax = _mm_castsi128_ps(most), limit = _mm_set1_ps(127.0f);
    __m128 s = _mm_maskz_div_ps((__mmask8)~small, amax, limit);
    _mm_storeu_ps(scale, _mm_mask_mov_ps(s, wild, _mm_set1_ps(fm_nan())));
    _mm_storeu_ps(r, _mm_maskz_div_ps(coded, limit, amax));
    __mmask16 all[GROUPS];
    UNROLL
    for (int g = 0; g < GROUPS; g++)
        all[g] = (__mmask16) - (coded >> g & 1);
    __m512i even = round_groups(x[0], r[0], all[0], x[2], r[2], all[2]);
    __m512i odd = round_groups(x[1], r[1], all[1], x[3], r[3], all[3]);
    store_codes(q, even, 0, 2);
    store_codes(q, odd, 1, 3);
    store_pairs(pairs, even, odd);
}

void quantise_avx512(int8_t *q, float *scale, int16_t *pairs, const float *x, int n)
{
    int k = 0, g = 0;
    for (; k + GROUPS * ACT8_GROUP <= n; k += GROUPS * ACT8_GROUP, g += GROUPS)
        quantise_4(q + k, scale + g, pairs + SUMS * g, x + k);
    quantise_avx2(q + k, scale + g, pairs + SUMS * g, x + k, n - k);
}
