/* Indexer scores; numerics, section 7, written out. */
#include "base/fmath.h"
#include "cpu/kernels_ref.h"
#include "quant/convert.h"

enum { GROUP = 32 };

/* Exact sum of 32 products; the key's low nibble comes first. */
static int32_t group_sum(const int8_t *q, const uint8_t *key)
{
    int32_t sum = 0;
    for (int i = 0; i < GROUP / 2; i++)
        sum += q[2 * i] * e2m1_doubled(key[i] & 15) + q[2 * i + 1] * e2m1_doubled(key[i] >> 4);
    return sum;
}

void index_scores_ref(float *score, const int8_t *q, const float *q_scale, const float *w,
                      int heads, int dim, const uint8_t *keys, size_t key_bytes, int n_keys)
{
    int groups = dim / GROUP;
    for (int i = 0; i < n_keys; i++) {
        const uint8_t *key = keys + (size_t)i * key_bytes, *key_scale = key + dim / 2;
        float sum = 0.0f;
        for (int h = 0; h < heads; h++) {
            float s = 0.0f;
            for (int g = 0; g < groups; g++) {
                float ks = 0.5f * e8m0_to_f32(key_scale[g]);
                int32_t dot =
                    group_sum(q + (size_t)h * (size_t)dim + g * GROUP, key + g * GROUP / 2);
                s = __builtin_fmaf((float)dot, q_scale[h * groups + g] * ks, s);
            }
            sum = __builtin_fmaf(s > 0.0f ? s : 0.0f, w[h], sum);
        }
        score[i] = sum;
    }
}
