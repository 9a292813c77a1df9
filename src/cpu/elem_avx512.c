/* Elementwise kernels. Tails are masked, as an element's bits do not depend on its place. */
#include <immintrin.h>
#include <string.h>

#include "cpu/fmath_avx512.h"
#include "cpu/kernels_avx512.h"
#include "quant/convert.h"

enum { LANES = 16 };

static __mmask16 lanes_of(int n)
{
    return n < LANES ? (__mmask16)((1u << n) - 1) : 0xffff;
}

/* e4m3: sign, exponent and mantissa at their places in an f16 are the value 2^-8. */
static __m512 e4m3_values(const uint8_t *p)
{
    const __m256i size = _mm256_set1_epi16(0x7f);
    __m256i c = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)p));
    __mmask16 is_nan = _mm256_cmpeq_epi16_mask(_mm256_and_si256(c, size), size);
    __m256i half = _mm256_and_si256(_mm256_slli_epi16(c, 7), _mm256_set1_epi16((short)0xbf80));
    half = _mm256_mask_mov_epi16(half, is_nan, _mm256_set1_epi16(0x7e00));
    return _mm512_mul_ps(_mm512_cvtph_ps(half), _mm512_set1_ps(256.0f));
}

void row_decode_avx512(float *out, const uint8_t *row, int head_dim, int rope_dim, int rounded)
{
    if (!rounded) {
        memcpy(out, row, (size_t)head_dim * sizeof *out);
        return;
    }
    int n = head_dim - rope_dim;
    const uint8_t *rope = row + n, *scale = rope + 2 * (size_t)rope_dim;
    for (int g = 0; g < n / KV_FP8_GROUP; g++) {
        __m512 s = _mm512_set1_ps(e8m0_to_f32(scale[g]));
        for (int k = g * KV_FP8_GROUP; k < (g + 1) * KV_FP8_GROUP; k += LANES)
            _mm512_storeu_ps(out + k, _mm512_mul_ps(e4m3_values(row + k), s));
    }
    for (int i = 0; i < rope_dim; i += LANES) {
        __mmask16 lanes = lanes_of(rope_dim - i);
        __m512i v = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(lanes, rope + 2 * i));
        __m512 x = _mm512_castsi512_ps(_mm512_slli_epi32(v, 16));
        __mmask16 is_nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
        __m512 quiet = _mm512_castsi512_ps(_mm512_set1_epi32(0x400000));
        _mm512_mask_storeu_ps(out + n + i, lanes, _mm512_mask_or_ps(x, is_nan, x, quiet));
    }
}

/* min and max give their second operand when one is NaN. */
void swiglu_avx512(float *out, const float *g, const float *u, int n, float limit, float w)
{
    __m512 most = _mm512_set1_ps(limit), least = _mm512_set1_ps(-limit), weight = _mm512_set1_ps(w);
    for (int i = 0; i < n; i += LANES) {
        __mmask16 lanes = lanes_of(n - i);
        __m512 gate = _mm512_min_ps(most, _mm512_maskz_loadu_ps(lanes, g + i));
        __m512 up = _mm512_min_ps(most, _mm512_maskz_loadu_ps(lanes, u + i));
        up = _mm512_max_ps(least, up);
        __m512 y = _mm512_mul_ps(_mm512_mul_ps(fm16_silu(gate), up), weight);
        _mm512_mask_storeu_ps(out + i, lanes, y);
    }
}

void mix_avx512(float *y, const float *x, size_t ldx, const float *a, int n_streams, int n)
{
    for (int i = 0; i < n; i += LANES) {
        __mmask16 lanes = lanes_of(n - i);
        __m512 sum = _mm512_mul_ps(_mm512_set1_ps(a[0]), _mm512_maskz_loadu_ps(lanes, x + i));
        for (int j = 1; j < n_streams; j++) {
            __m512 v = _mm512_maskz_loadu_ps(lanes, x + (size_t)j * ldx + i);
            sum = _mm512_fmadd_ps(_mm512_set1_ps(a[j]), v, sum);
        }
        _mm512_mask_storeu_ps(y + i, lanes, sum);
    }
}
