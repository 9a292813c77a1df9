/* Elementwise kernels. Tails go through the reference: an element's bits do not depend on its place. */
#include <immintrin.h>
#include <string.h>

#include "cpu/fmath_avx2.h"
#include "cpu/kernels_avx2.h"
#include "cpu/kernels_ref.h"
#include "quant/convert.h"

enum { LANES = 8 };

/* e4m3: sign, exponent and mantissa at their places in an f16 are the value 2^-8. (In an f32 small ones would
 * be subnormal, which costs some processors a hundred times more to multiply.) */
static __m256 e4m3_values(const uint8_t *p)
{
    __m128i c = _mm_cvtepi8_epi16(_mm_loadl_epi64((const __m128i *)(const void *)p));
    __m128i half = _mm_and_si128(_mm_slli_epi16(c, 7), _mm_set1_epi16((short)0xbf80));
    __m128i is_nan = _mm_cmpeq_epi16(_mm_and_si128(c, _mm_set1_epi16(0x7f)), _mm_set1_epi16(0x7f));
    half = _mm_blendv_epi8(half, _mm_set1_epi16(0x7e00), is_nan);
    return _mm256_mul_ps(_mm256_cvtph_ps(half), _mm256_set1_ps(256.0f));
}

void row_decode_avx2(float *out, const uint8_t *row, int head_dim, int rope_dim, int rounded)
{
    if (!rounded) {
        memcpy(out, row, (size_t)head_dim * sizeof *out);
        return;
    }
    int n = head_dim - rope_dim, i = 0;
    const uint8_t *rope = row + n, *scale = rope + 2 * (size_t)rope_dim;
    for (int g = 0; g < n / KV_FP8_GROUP; g++) {
        __m256 s = _mm256_set1_ps(e8m0_to_f32(scale[g]));
        for (int k = g * KV_FP8_GROUP; k < (g + 1) * KV_FP8_GROUP; k += LANES)
            _mm256_storeu_ps(out + k, _mm256_mul_ps(e4m3_values(row + k), s));
    }
    for (; i + LANES <= rope_dim; i += LANES) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)(rope + 2 * i));
        __m256 x = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(v), 16));
        __m256 quiet = _mm256_and_ps(_mm256_cmp_ps(x, x, _CMP_UNORD_Q),
                                     _mm256_castsi256_ps(_mm256_set1_epi32(0x400000)));
        _mm256_storeu_ps(out + n + i, _mm256_or_ps(x, quiet));
    }
    for (; i < rope_dim; i++)
        out[n + i] = bf16_to_f32((uint16_t)(rope[2 * i] | rope[2 * i + 1] << 8));
}

/* min and max give their second operand when one is NaN. */
void swiglu_avx2(float *out, const float *g, const float *u, int n, float limit, float w)
{
    __m256 most = _mm256_set1_ps(limit), least = _mm256_set1_ps(-limit), weight = _mm256_set1_ps(w);
    int i = 0;
    for (; i + LANES <= n; i += LANES) {
        __m256 gate = _mm256_min_ps(most, _mm256_loadu_ps(g + i));
        __m256 up = _mm256_max_ps(least, _mm256_min_ps(most, _mm256_loadu_ps(u + i)));
        _mm256_storeu_ps(out + i, _mm256_mul_ps(_mm256_mul_ps(fm8_silu(gate), up), weight));
    }
    swiglu_ref(out + i, g + i, u + i, n - i, limit, w);
}

void mix_avx2(float *y, const float *x, size_t ldx, const float *a, int n_streams, int n)
{
    int i = 0;
    for (; i + LANES <= n; i += LANES) {
        __m256 sum = _mm256_mul_ps(_mm256_set1_ps(a[0]), _mm256_loadu_ps(x + i));
        for (int j = 1; j < n_streams; j++) {
            __m256 v = _mm256_loadu_ps(x + (size_t)j * ldx + i);
            sum = _mm256_fmadd_ps(_mm256_set1_ps(a[j]), v, sum);
        }
        _mm256_storeu_ps(y + i, sum);
    }
    mix_ref(y + i, x + i, ldx, a, n_streams, n - i);
}

/* Products of the first of each pair, then of the second fused with them. */
void rope_avx2(float *x, const float *cs, int r, int inverse)
{
    const __m256 sign = _mm256_set1_ps(-0.0f);
    const __m256 even = _mm256_blend_ps(_mm256_setzero_ps(), sign, 0x55);
    const __m256 odd = _mm256_blend_ps(_mm256_setzero_ps(), sign, 0xaa);
    int i = 0;
    for (; i + LANES <= r; i += LANES) {
        __m256 v = _mm256_loadu_ps(x + i), cos_sin = _mm256_loadu_ps(cs + i);
        if (inverse) cos_sin = _mm256_xor_ps(cos_sin, odd);
        __m256 sin_cos = _mm256_xor_ps(_mm256_permute_ps(cos_sin, 0xb1), even);
        __m256 first = _mm256_mul_ps(_mm256_moveldup_ps(v), cos_sin);
        _mm256_storeu_ps(x + i, _mm256_fmadd_ps(_mm256_movehdup_ps(v), sin_cos, first));
    }
    rope_ref(x + i, cs + i, r - i, inverse);
}
