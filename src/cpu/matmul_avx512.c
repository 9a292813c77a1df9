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
enum { TOKENS = MAX_TOKENS, MANY = 13, AHEAD = 8192 };
enum { MOST_GROUPS = 512 }; /* of k: longer rows are for the panel, which has slices */

/* A tile with what each group needs of each of its n tokens side by side, [group][n], so that one pointer
 * is enough. Codes are unsigned and some offset too large: start is what the sum of a group starts at to
 * make up for that. */
struct tokens {
    struct tile tile;
    int32_t start[MOST_GROUPS * TOKENS];
    float scale[MOST_GROUPS * TOKENS];
};

static void tokens_set(struct tokens *x, int groups, int offset)
{
    int n = x->tile.n;
    for (int t = 0; t < n; t++)
        for (int g = 0; g < groups; g++) {
            x->start[g * n + t] = -offset * (x->tile.pairs[t][2 * g] + x->tile.pairs[t][2 * g + 1]);
            x->scale[g * n + t] = x->tile.scale[t][g];
        }
}

/* How far ahead of the first of the two streams to prefetch, `left` bytes before the end of its rows. What
 * follows there is the second stream, which is read meanwhile: what is needed next lies behind that. */
INLINE size_t ahead_of(size_t left, size_t group_bytes)
{
    return AHEAD + (left <= AHEAD ? 2 * group_bytes : 0);
}

/* One line of each of the two streams. */
INLINE void prefetch2(const uint8_t *a, const uint8_t *b, size_t ahead)
{
    _mm_prefetch((const char *)(uintptr_t)((uintptr_t)a + ahead), _MM_HINT_T1);
    _mm_prefetch((const char *)(uintptr_t)((uintptr_t)b + AHEAD), _MM_HINT_T1);
}

INLINE void group_4bit(__m512 *acc, const uint8_t *a, const uint8_t *b, __m512 ws,
                       const struct tokens *x, int g, int n, int is_fp4)
{
    __m512i p[TOKENS];
    UNROLL
    for (int t = 0; t < n; t++)
        p[t] = _mm512_set1_epi32(x->start[g * n + t]);
    UNROLL
    for (int i = 0; i < 4; i++) {
        __m512i first, second;
        codes_4bit(&first, &second, load2(a + 32 * i, b + 32 * i), is_fp4);
        UNROLL
        for (int t = 0; t < n; t++) {
            const int8_t *q = x->tile.q[t] + GROUP * g + 4 * i;
            p[t] = _mm512_dpbusd_epi32(p[t], first, spread32(q));
            p[t] = _mm512_dpbusd_epi32(p[t], second, spread32(q + 16));
        }
    }
    UNROLL
    for (int t = 0; t < n; t++)
        acc[t] = chain(acc[t], p[t], ws, x->scale + g * n + t);
}

INLINE void rows_4bit(__m512 *acc, const uint8_t *a, const uint8_t *b, int groups,
                      const struct tokens *x, int n, int is_fp4)
{
    size_t scales = is_fp4 ? 32 : 64, group_bytes = (size_t)(b - a);
    const uint8_t *end = b;
    for (int g = 0; g < groups;) {
        const uint8_t *code_a = a + scales, *code_b = b + scales;
        size_t ahead = ahead_of((size_t)(end - a), group_bytes);
        prefetch2(a, b, ahead);
        for (int i = 0; i < 4 && g < groups; i++, g++, code_a += 128, code_b += 128) {
            prefetch2(code_a, code_b, ahead);
            prefetch2(code_a + 64, code_b + 64, ahead);
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
                       const struct tokens *x, int g, int n)
{
    __m512i p[TOKENS];
    UNROLL
    for (int t = 0; t < n; t++)
        p[t] = _mm512_set1_epi32(x->start[g * n + t]);
    UNROLL
    for (int i = 0; i < 8; i++) {
        __m512i v = codes_8bit(load2(a + 32 * i, b + 32 * i));
        UNROLL
        for (int t = 0; t < n; t++)
            p[t] = _mm512_dpbusd_epi32(p[t], v, spread32(x->tile.q[t] + GROUP * g + 4 * i));
    }
    UNROLL
    for (int t = 0; t < n; t++)
        acc[t] = chain(acc[t], p[t], ws, x->scale + g * n + t);
}

INLINE void prefetch_256(const uint8_t *a, const uint8_t *b, size_t ahead)
{
    UNROLL
    for (int i = 0; i < 256; i += 64)
        prefetch2(a + i, b + i, ahead);
}

INLINE void rows_8bit(__m512 *acc, const uint8_t *a, const uint8_t *b, int groups,
                      const struct tokens *x, int n)
{
    size_t group_bytes = (size_t)(b - a);
    const uint8_t *end = b;
    for (int g = 0; g < groups;) {
        const uint8_t *code_a = a + 64, *code_b = b + 64;
        size_t ahead = ahead_of((size_t)(end - a), group_bytes);
        prefetch2(a, b, ahead);
        for (int i = 0; i < 4 && g < groups; i++, g++, code_a += 256, code_b += 256) {
            prefetch_256(code_a, code_b, ahead);
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
                      const struct tokens *x, int g, int n)
{
    _Alignas(32) int16_t q[TOKENS][GROUP];
    __m512i lo[TOKENS], hi[TOKENS];
    UNROLL
    for (int t = 0; t < n; t++) {
        const __m256i *from = (const __m256i *)(const void *)(x->tile.q[t] + GROUP * g);
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
        acc[t] = chain(acc[t], join_rows(lo[t], hi[t]), ws, x->scale + g * n + t);
}

INLINE void rows_fp8(__m512 *acc, const struct packed *w, int row, const uint8_t *a,
                     const uint8_t *b, const struct tokens *x, int n)
{
    int groups = w->base.cols / GROUP, per_block = w->block_cols / GROUP;
    if (w->block_cols >= w->base.cols) per_block = groups;
    for (int g = 0; g < groups;) {
        __m512 ws = fp8_scales(w, row, g);
        int end = groups - g < per_block ? groups : g + per_block;
        size_t ahead = ahead_of((size_t)(groups - g) * 256, w->group_bytes);
        for (; g < end; g++, a += 256, b += 256) {
            prefetch_256(a, b, ahead);
            group_fp8(acc, a, b, ws, x, g, n);
        }
    }
}

/* 16 rows against n tokens, n constant after inlining; out [n][16]. */
INLINE void rows_any(float *out, const struct packed *w, int row, const struct tokens *x, int n)
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
    static void rows_##n(float *out, const struct packed *w, int row, const struct tokens *x)      \
    {                                                                                              \
        rows_any(out, w, row, x, n);                                                               \
    }
ROWS_OF(1)
ROWS_OF(2)
ROWS_OF(3)
ROWS_OF(4)
ROWS_OF(6)
ROWS_OF(8)
ROWS_OF(10)
ROWS_OF(12)

/* Tokens of the next tile: the largest there is a function for. */
static int tile_size(int left)
{
    static const int sizes[MANY] = {0, 1, 2, 3, 4, 4, 6, 6, 8, 8, 10, 10, 12};
    return sizes[left];
}

static int offset_of(enum weight_format f)
{
    return f == WF_Q8_0 ? 128 : f == WF_Q4_0 ? 8 : 12; /* of FP8 none is used */
}

void matmul_int_avx512(float *y, size_t ldy, const struct packed *w, int row0, int row1,
                       const struct acts *x, int x_first, const int32_t *idx, int n_t)
{
    static void (*const rows[])(float *, const struct packed *, int, const struct tokens *) = {
        NULL, rows_1, rows_2, rows_3,  rows_4, NULL,   rows_6,
        NULL, rows_8, NULL,   rows_10, NULL,   rows_12};
    int groups = w->base.cols / GROUP, last = (row1 - row0 - 1) / PACK_ROWS * PACK_ROWS;
    if (n_t >= MANY || groups > MOST_GROUPS) {
        matmul_panel_avx512(y, ldy, w, row0, row1, x, x_first, idx, n_t);
        return;
    }
    /* A last group of 8 rows alone is for AVX2. */
    int end = last % ROWS ? row1 : row0 + last;
    struct tokens tokens; /* large: no part of it is set before there is use for it */
    for (int t0 = 0; t0 < n_t; t0 += tokens.tile.n) {
        tile_init(&tokens.tile, x, x_first, idx, t0, tile_size(n_t - t0));
        tokens_set(&tokens, groups, offset_of(w->base.format));
        for (int row = row0; row < end; row += ROWS) {
            float out[TOKENS][ROWS];
            int n_rows = row1 - row < ROWS ? row1 - row : ROWS;
            rows[tokens.tile.n](out[0], w, row, &tokens);
            for (int t = 0; t < tokens.tile.n; t++)
                memcpy(y + (size_t)(t0 + t) * ldy + row, out[t], (size_t)n_rows * sizeof(float));
        }
    }
    if (end < row1) matmul_int_avx2(y, ldy, w, end, row1, x, x_first, idx, n_t);
}
