/* Activations to int8 groups: quant/act8 for 8 lanes. */
#include <immintrin.h>

#include "base/fmath.h"
#include "cpu/kernels_avx2.h"
#include "cpu/unroll.h"
#include "quant/act8.h"

/* Bits of the largest magnitude; as integers infinity and NaN are above all numbers. */
INLINE uint32_t largest(const __m256 x[4])
{
    const __m256i size = _mm256_set1_epi32(0x7fffffff);
    __m256i m = _mm256_and_si256(_mm256_castps_si256(x[0]), size);
    UNROLL
    for (int i = 1; i < 4; i++)
        m = _mm256_max_epi32(m, _mm256_and_si256(_mm256_castps_si256(x[i]), size));
    __m128i a = _mm_max_epi32(_mm256_castsi256_si128(m), _mm256_extracti128_si256(m, 1));
    a = _mm_max_epi32(a, _mm_unpackhi_epi64(a, a));
    a = _mm_max_epi32(a, _mm_shuffle_epi32(a, 1));
    return (uint32_t)_mm_cvtsi128_si32(a);
}

/* rint(x r) of 32 values. The conversion rounds ties to even; a product of at most 127 (1 + 2^-23) rounds to
 * 127 at most, so nothing is left to clamp. */
INLINE __m256i round_group(const __m256 x[4], float r)
{
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    __m256i v[4];
    UNROLL
    for (int i = 0; i < 4; i++)
        v[i] = _mm256_cvtps_epi32(_mm256_mul_ps(x[i], _mm256_set1_ps(r)));
    __m256i a = _mm256_packs_epi32(v[0], v[1]), b = _mm256_packs_epi32(v[2], v[3]);
    return _mm256_permutevar8x32_epi32(_mm256_packs_epi16(a, b), order);
}

/* Sums of q over k mod 4 in {0, 1} and {2, 3}, as a pair of int16. */
INLINE int32_t pair_sums(__m256i q)
{
    __m256i s = _mm256_maddubs_epi16(_mm256_set1_epi8(1), q);
    __m128i a = _mm_add_epi16(_mm256_castsi256_si128(s), _mm256_extracti128_si256(s, 1));
    a = _mm_add_epi16(a, _mm_unpackhi_epi64(a, a));
    a = _mm_add_epi16(a, _mm_shuffle_epi32(a, 1));
    return _mm_cvtsi128_si32(a);
}

void quantise_avx2(int8_t *q, float *scale, int16_t *pairs, const float *x, int n)
{
    for (int g = 0; g < n / ACT8_GROUP; g++) {
        __m256 v[4];
        UNROLL
        for (int i = 0; i < 4; i++)
            v[i] = _mm256_loadu_ps(x + ACT8_GROUP * g + 8 * i);
        uint32_t most = largest(v);
        __m256i codes = _mm256_setzero_si256();
        if (most >= 0x0d800000u && most < 0x7f800000u) { /* 2^-100 */
            float amax = fm_float(most);
            codes = round_group(v, 127.0f / amax);
            scale[g] = amax / 127.0f;
        } else {
            scale[g] = most < 0x0d800000u ? 0.0f : fm_nan();
        }
        _mm256_storeu_si256((__m256i *)(void *)(q + ACT8_GROUP * g), codes);
        int32_t sums = pair_sums(codes);
        memcpy(pairs + 2 * g, &sums, sizeof sums);
    }
}
