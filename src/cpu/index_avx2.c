/* Indexer scores with AVX2: 16-bit sums of products of bytes. */
#include "cpu/index_ymm.h"
#include "cpu/kernels_avx2.h"

INLINE __m256i group_sum(const __m256i key[8], const int8_t *q, int32_t offset)
{
    __m256i p = _mm256_setzero_si256();
    UNROLL
    for (int i = 0; i < 8; i++)
        p = _mm256_add_epi16(p, _mm256_maddubs_epi16(key[i], spread32(q + 4 * i)));
    p = _mm256_madd_epi16(p, _mm256_set1_epi16(1));
    return _mm256_add_epi32(p, _mm256_set1_epi32(offset));
}

void index_scores_avx2(float *score, const int8_t *q, const float *q_scale, const float *w,
                       int heads, int dim, const uint8_t *keys, size_t key_bytes, int n_keys)
{
    score_keys(score, q, q_scale, w, heads, dim, keys, key_bytes, n_keys);
}
