/* Integer linears with AVX2: 16-bit sums of products of bytes. */
#include "cpu/kernels_avx2.h"
#include "cpu/matmul_ymm.h"

/* 4 bits: codes as unsigned bytes, `offset` too large; the 16-bit sums start at what that adds. A wrap in
 * between is harmless: the true sum is at most 24384. */
INLINE void group_4bit(__m256 *acc, const uint8_t *code, __m256 ws, const struct tile *x, int g,
                       int n, int is_fp4)
{
    const __m256i low = _mm256_set1_epi8(15);
    const __m256i lut = _mm256_setr_epi8(12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0,
                                         12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0);
    const __m256i offset = _mm256_set1_epi16(is_fp4 ? -12 : -8);
    __m256i p[TOKENS];
    UNROLL
    for (int t = 0; t < n; t++)
        p[t] = _mm256_mullo_epi16(spread32(x->pairs[t] + 2 * g), offset);
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
            p[t] = in_register(_mm256_add_epi16(p[t], _mm256_maddubs_epi16(a, spread32(q))));
            p[t] = in_register(_mm256_add_epi16(p[t], _mm256_maddubs_epi16(b, spread32(q + 16))));
        }
    }
    UNROLL
    for (int t = 0; t < n; t++)
        acc[t] = chain(acc[t], _mm256_madd_epi16(p[t], _mm256_set1_epi16(1)), ws, x->scale[t] + g);
}

/* int8: |w| times x with w's sign. 128 * 127 * 2 fits 16 bits, so a weight of -128 is exact too. */
INLINE void group_8bit(__m256 *acc, const uint8_t *code, __m256 ws, const struct tile *x, int g,
                       int n)
{
    __m256i p[TOKENS];
    UNROLL
    for (int t = 0; t < n; t++)
        p[t] = _mm256_setzero_si256();
    UNROLL
    for (int i = 0; i < 8; i++) {
        __m256i v = load(code + 32 * i), a = _mm256_abs_epi8(v);
        UNROLL
        for (int t = 0; t < n; t++) {
            __m256i s = _mm256_sign_epi8(spread32(x->q[t] + GROUP * g + 4 * i), v);
            __m256i m = _mm256_madd_epi16(_mm256_maddubs_epi16(a, s), _mm256_set1_epi16(1));
            p[t] = in_register(_mm256_add_epi32(p[t], m));
        }
    }
    UNROLL
    for (int t = 0; t < n; t++)
        acc[t] = chain(acc[t], p[t], ws, x->scale[t] + g);
}

/* Integers of the group first, then the products: both at once need more registers than there are. */
INLINE void group_fp8(__m256 *acc, const uint8_t *code, __m256 ws, const struct tile *x, int g,
                      int n)
{
    _Alignas(32) int16_t q[TOKENS][GROUP];
    __m256i w[8][2], lo[TOKENS], hi[TOKENS];
    UNROLL
    for (int t = 0; t < n; t++) {
        widen(q[t], x->q[t] + GROUP * g);
        lo[t] = hi[t] = _mm256_setzero_si256();
    }
    __asm__("" : "+m"(q)); /* broadcasts from memory cost less than from a register */
    UNROLL
    for (int i = 0; i < 8; i++)
        fp8_integers(&w[i][0], &w[i][1], load(code + 32 * i));
    UNROLL
    for (int i = 0; i < 8; i++) {
        UNROLL
        for (int t = 0; t < n; t++) {
            __m256i s = spread64(q[t] + 4 * i);
            lo[t] = in_register(_mm256_add_epi32(lo[t], _mm256_madd_epi16(w[i][0], s)));
            hi[t] = in_register(_mm256_add_epi32(hi[t], _mm256_madd_epi16(w[i][1], s)));
        }
    }
    UNROLL
    for (int t = 0; t < n; t++)
        acc[t] = chain(acc[t], _mm256_hadd_epi32(lo[t], hi[t]), ws, x->scale[t] + g);
}

void matmul_int_avx2(float *y, size_t ldy, const struct packed *w, int row0, int row1,
                     const struct acts *x, int x_first, const int32_t *idx, int n_t)
{
    matmul_rows(y, ldy, w, row0, row1, x, x_first, idx, n_t);
}
