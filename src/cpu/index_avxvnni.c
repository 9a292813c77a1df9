/* Indexer scores with AVX-VNNI: four products a lane straight to its int32 sum. */
#include "cpu/index_ymm.h"
#include "cpu/kernels_avxvnni.h"

INLINE __m256i group_sum(const __m256i key[8], const int8_t *q, int32_t offset)
{
    __m256i p[2] = {_mm256_set1_epi32(offset), _mm256_setzero_si256()};
    UNROLL
    for (int i = 0; i < 8; i++)
        p[i % 2] = _mm256_dpbusd_avx_epi32(p[i % 2], key[i], spread32(q + 4 * i));
    return _mm256_add_epi32(p[0], p[1]);
}

void index_scores_avxvnni(float *score, const int8_t *q, const float *q_scale, const float *w,
                          int heads, int dim, const uint8_t *keys, size_t key_bytes, int n_keys)
{
    score_keys(score, q, q_scale, w, heads, dim, keys, key_bytes, n_keys);
}
