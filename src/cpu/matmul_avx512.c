/* Integer linears on R8K4 with AVX-512 and VNNI; numerics, section 3. Two groups of 8 rows side by side in
 * a vector, so lanes are 16 rows and each keeps its own chain; a last group of 8 goes to the AVX2
 * kernel. Sums of a group are int32 from the start, so their order is free.
 * Design: cpu-kernels, sections 7 and 10. */
#include <immintrin.h>
#include <string.h>

#include "cpu/avx512.h"
#include "cpu/kernels_avx2.h"
#include "cpu/kernels_avx512.h"
#include "cpu/matmul_tile.h"

/* From MANY tokens on, unpacking once for all of them pays. */
enum { TOKENS = MAX_TOKENS, MANY = 16, AHEAD = 4096 };

/* One line of each of the two streams, some way ahead. */
INLINE void prefetch2(const uint8_t *a, const uint8_t *b)
{
    _mm_prefetch((const char *)(uintptr_t)((uintptr_t)a + AHEAD), _MM_HINT_T0);
    _mm_prefetch((const char *)(uintptr_t)((uintptr_t)b + AHEAD), _MM_HINT_T0);
}

/* Codes are unsigned and `offset` too large: what the sum of a group starts at to make up for that. */
INLINE __m512i start(const struct tile *x, int t, int g, int offset)
{
    return _mm512_set1_epi32(-offset * (x->pairs[t][2 * g] + x->pairs[t][2 * g + 1]));
}

INLINE void group_4bit(__m512 *acc, const uint8_t *a, const uint8_t *b, __m512 ws,
                       const struct tile *x, int g, int n, int is_fp4)
{
    __m512i p[TOKENS];
    UNROLL
    for (int t = 0; t < n; t++)
        p[t] = start(x, t, g, is_fp4 ? 12 : 8);
    UNROLL
    for (int i = 0; i < 4; i++) {
        __m512i first, second;
        codes_4bit(&first, &second, load2(a + 32 * i, b + 32 * i), is_fp4);
        UNROLL
        for (int t = 0; t < n; t++) {
            const int8_t *q = x->q[t] + GROUP * g + 4 * i;
            p[t] = _mm512_dpbusd_epi32(p[t], first, spread32(q));
            p[t] = _mm512_dpbusd_epi32(p[t], second, spread32(q + 16));
        }
    }
    UNROLL
    for (int t = 0; t < n; t++)
        acc[t] = chain(acc[t], p[t], ws, x->scale[t] + g);
}

INLINE void rows_4bit(__m512 *acc, const uint8_t *a, const uint8_t *b, int groups,
                      const struct tile *x, int n, int is_fp4)
{
    size_t scales = is_fp4 ? 32 : 64;
    for (int g = 0; g < groups;) {
        const uint8_t *code_a = a + scales, *code_b = b + scales;
        prefetch2(a, b);
        for (int i = 0; i < 4 && g < groups; i++, g++, code_a += 128, code_b += 128) {
            prefetch2(code_a, code_b);
            prefetch2(code_a + 64, code_b + 64);
            __m512 ws =
                is_fp4 ? e8m0_scales(a + 8 * i, b + 8 * i) : f16_scales(a + 16 * i, b + 16 * i);
            group_4bit(acc, code_a, code_b, ws, x, g, n, is_fp4);
        }
        a += scales + 512;
        b += scales + 512;
    }
}

/* int8: w + 128 is unsigned. */
INLINE void group_8bit(__m512 *acc, const uint8_t *a, const uint8_t *b, __m512 ws,
                       const struct tile *x, int g, int n)
{
    __m512i p[TOKENS];
    UNROLL
    for (int t = 0; t < n; t++)
        p[t] = start(x, t, g, 128);
    UNROLL
    for (int i = 0; i < 8; i++) {
        __m512i v = codes_8bit(load2(a + 32 * i, b + 32 * i));
        UNROLL
        for (int t = 0; t < n; t++)
            p[t] = _mm512_dpbusd_epi32(p[t], v, spread32(x->q[t] + GROUP * g + 4 * i));
    }
    UNROLL
    for (int t = 0; t < n; t++)
        acc[t] = chain(acc[t], p[t], ws, x->scale[t] + g);
}

INLINE void prefetch_256(const uint8_t *a, const uint8_t *b)
{
    UNROLL
    for (int i = 0; i < 256; i += 64)
        prefetch2(a + i, b + i);
}

INLINE void rows_8bit(__m512 *acc, const uint8_t *a, const uint8_t *b, int groups,
                      const struct tile *x, int n)
{
    for (int g = 0; g < groups;) {
        const uint8_t *code_a = a + 64, *code_b = b + 64;
        prefetch2(a, b);
        for (int i = 0; i < 4 && g < groups; i++, g++, code_a += 256, code_b += 256) {
            prefetch_256(code_a, code_b);
            group_8bit(acc, code_a, code_b, f16_scales(a + 16 * i, b + 16 * i), x, g, n);
        }
        a += 64 + 1024;
        b += 64 + 1024;
    }
}

/* Lanes (r0 k01, r0 k23, r1 k01, r1 k23) of lo, the same of r2 and r3 in hi, to r0 r1 r2 r3. */
INLINE __m512i join_rows(__m512i lo, __m512i hi)
{
    __m512 a = _mm512_castsi512_ps(lo), b = _mm512_castsi512_ps(hi);
    __m512i even = _mm512_castps_si512(_mm512_shuffle_ps(a, b, 0x88));
    return _mm512_add_epi32(even, _mm512_castps_si512(_mm512_shuffle_ps(a, b, 0xdd)));
}

INLINE void group_fp8(__m512 *acc, const uint8_t *a, const uint8_t *b, __m512 ws,
                      const struct tile *x, int g, int n)
{
    _Alignas(32) int16_t q[TOKENS][GROUP];
    __m512i lo[TOKENS], hi[TOKENS];
    UNROLL
    for (int t = 0; t < n; t++) {
        const __m256i *from = (const __m256i *)(const void *)(x->q[t] + GROUP * g);
        _mm512_storeu_si512(q[t], _mm512_cvtepi8_epi16(_mm256_loadu_si256(from)));
        lo[t] = hi[t] = _mm512_setzero_si512();
    }
    __asm__("" : "+m"(q)); /* broadcasts from memory cost less than from a register */
    UNROLL
    for (int i = 0; i < 8; i++) {
        __m512i w_lo, w_hi;
        fp8_integers(&w_lo, &w_hi, load2(a + 32 * i, b + 32 * i));
        UNROLL
        for (int t = 0; t < n; t++) {
            int64_t four;
            memcpy(&four, q[t] + 4 * i, sizeof four);
            __m512i s = _mm512_set1_epi64(four);
            lo[t] = _mm512_dpwssd_epi32(lo[t], w_lo, s);
            hi[t] = _mm512_dpwssd_epi32(hi[t], w_hi, s);
        }
    }
    UNROLL
    for (int t = 0; t < n; t++)
        acc[t] = chain(acc[t], join_rows(lo[t], hi[t]), ws, x->scale[t] + g);
}

INLINE void rows_fp8(__m512 *acc, const struct packed *w, int row, const uint8_t *a,
                     const uint8_t *b, const struct tile *x, int n)
{
    int groups = w->base.cols / GROUP, per_block = w->block_cols / GROUP;
    if (w->block_cols >= w->base.cols) per_block = groups;
    for (int g = 0; g < groups;) {
        __m512 ws = fp8_scales(w, row, g);
        int end = groups - g < per_block ? groups : g + per_block;
        for (; g < end; g++, a += 256, b += 256) {
            prefetch_256(a, b);
            group_fp8(acc, a, b, ws, x, g, n);
        }
    }
}

/* 16 rows against n tokens, n constant after inlining; out [n][16]. */
INLINE void rows_any(float *out, const struct packed *w, int row, const struct tile *x, int n)
{
    const uint8_t *a = w->data + (size_t)(row / PACK_ROWS) * w->group_bytes;
    const uint8_t *b = a + w->group_bytes;
    int groups = w->base.cols / GROUP;
    __m512 acc[TOKENS];
    UNROLL
    for (int t = 0; t < n; t++)
        acc[t] = _mm512_setzero_ps();
    switch (w->base.format) {
    case WF_FP4:
    case WF_MXFP4:
        rows_4bit(acc, a, b, groups, x, n, 1);
        break;
    case WF_Q4_0:
        rows_4bit(acc, a, b, groups, x, n, 0);
        break;
    case WF_Q8_0:
        rows_8bit(acc, a, b, groups, x, n);
        break;
    default:
        rows_fp8(acc, w, row, a, b, x, n);
    }
    UNROLL
    for (int t = 0; t < n; t++)
        _mm512_storeu_ps(out + ROWS * t, acc[t]);
}

#define ROWS_OF(n)                                                                                 \
    static void rows_##n(float *out, const struct packed *w, int row, const struct tile *x)        \
    {                                                                                              \
        rows_any(out, w, row, x, n);                                                               \
    }
ROWS_OF(1)
ROWS_OF(2)
ROWS_OF(3)
ROWS_OF(4)
ROWS_OF(6)
ROWS_OF(8)

/* Tokens of the next tile: 8, or what is left as 6, 4, 3, 2, 1. */
static int tile_size(int left)
{
    static const int sizes[] = {0, 1, 2, 3, 4, 4, 6, 6, 8};
    return left < TOKENS ? sizes[left] : TOKENS;
}

void matmul_int_avx512(float *y, size_t ldy, const struct packed *w, int row0, int row1,
                       const struct acts *x, int x_first, const int32_t *idx, int n_t)
{
    static void (*const rows[])(float *, const struct packed *, int, const struct tile *) = {
        NULL, rows_1, rows_2, rows_3, rows_4, NULL, rows_6, NULL, rows_8};
    if (n_t >= MANY) {
        matmul_panel_avx512(y, ldy, w, row0, row1, x, x_first, idx, n_t);
        return;
    }
    float out[TOKENS][ROWS];
    struct tile tile;
    int row = row0;
    for (; row1 - row > PACK_ROWS; row += ROWS) {
        int n_rows = row1 - row < ROWS ? row1 - row : ROWS;
        for (int t0 = 0; t0 < n_t; t0 += tile.n) {
            tile_init(&tile, x, x_first, idx, t0, tile_size(n_t - t0));
            rows[tile.n](out[0], w, row, &tile);
            for (int t = 0; t < tile.n; t++)
                memcpy(y + (size_t)(t0 + t) * ldy + row, out[t], (size_t)n_rows * sizeof(float));
        }
    }
    if (row < row1) matmul_int_avx2(y, ldy, w, row, row1, x, x_first, idx, n_t);
}
