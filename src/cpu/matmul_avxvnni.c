/* Integer linears with AVX-VNNI: four products a lane straight to its int32 sum. */
#include "cpu/kernels_avxvnni.h"
#include "cpu/matmul_ymm.h"

/* Codes are unsigned and `offset` too large: what the sum of a group starts at to make up for that. */
INLINE __m256i start(const struct tile *x, int t, int g, int offset)
{
    return _mm256_set1_epi32(-offset * (x->pairs[t][2 * g] + x->pairs[t][2 * g + 1]));
}

INLINE void group_4bit(__m256 *acc, const uint8_t *code, __m256 ws, const struct tile *x, int g,
                       int n, int is_fp4)
{
    const __m256i low = _mm256_set1_epi8(15);
    const __m256i lut = _mm256_setr_epi8(12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0,
                                         12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0);
    __m256i p[TOKENS];
    UNROLL
    for (int t = 0; t < n; t++)
        p[t] = start(x, t, g, is_fp4 ? 12 : 8);
    UNROLL
    for (int i = 0; i < 4; i++) {
        __m256i v = load(code + 32 * i);
        __m256i a = _mm256_and_si256(v, low), b = _mm256_and_si256(_mm256_srli_epi16(v, 4), low);
        if (is_fp4) {
            a = _mm256_shuffle_epi8(lut, a);
            b = _mm256_shuffle_epi8(lut, b);
        }
        UNROLL
        for (int t = 0; t < n; t++) {
            const int8_t *q = x->q[t] + GROUP * g + 4 * i;
            p[t] = in_register(_mm256_dpbusd_avx_epi32(p[t], a, spread32(q)));
            p[t] = in_register(_mm256_dpbusd_avx_epi32(p[t], b, spread32(q + 16)));
        }
    }
    UNROLL
    for (int t = 0; t < n; t++)
        acc[t] = chain(acc[t], p[t], ws, x->scale[t] + g);
}

/* int8: w + 128 is unsigned. */
INLINE void group_8bit(__m256 *acc, const uint8_t *code, __m256 ws, const struct tile *x, int g,
                       int n)
{
    __m256i p[TOKENS];
    UNROLL
    for (int t = 0; t < n; t++)
        p[t] = start(x, t, g, 128);
    UNROLL
    for (int i = 0; i < 8; i++) {
        __m256i v = _mm256_xor_si256(load(code + 32 * i), _mm256_set1_epi8(-128));
        UNROLL
        for (int t = 0; t < n; t++)
            p[t] = in_register(
                _mm256_dpbusd_avx_epi32(p[t], v, spread32(x->q[t] + GROUP * g + 4 * i)));
    }
    UNROLL
    for (int t = 0; t < n; t++)
        acc[t] = chain(acc[t], p[t], ws, x->scale[t] + g);
}

INLINE void group_fp8(__m256 *acc, const uint8_t *code, __m256 ws, const struct tile *x, int g,
                      int n)
{
    _Alignas(32) int16_t q[TOKENS][GROUP];
    __m256i lo[TOKENS], hi[TOKENS];
    UNROLL
    for (int t = 0; t < n; t++) {
        widen(q[t], x->q[t] + GROUP * g);
        lo[t] = hi[t] = _mm256_setzero_si256();
    }
    __asm__("" : "+m"(q)); /* broadcasts from memory cost less than from a register */
    UNROLL
    for (int i = 0; i < 8; i++) {
        __m256i w_lo, w_hi;
        fp8_integers(&w_lo, &w_hi, load(code + 32 * i));
        UNROLL
        for (int t = 0; t < n; t++) {
            __m256i s = spread64(q[t] + 4 * i);
            lo[t] = in_register(_mm256_dpwssd_avx_epi32(lo[t], w_lo, s));
            hi[t] = in_register(_mm256_dpwssd_avx_epi32(hi[t], w_hi, s));
        }
    }
    UNROLL
    for (int t = 0; t < n; t++)
        acc[t] = chain(acc[t], _mm256_hadd_epi32(lo[t], hi[t]), ws, x->scale[t] + g);
}

void matmul_int_avxvnni(float *y, size_t ldy, const struct packed *w, int row0, int row1,
                        const struct acts *x, int x_first, const int32_t *idx, int n_t)
{
    matmul_rows(y, ldy, w, row0, row1, x, x_first, idx, n_t);
}
