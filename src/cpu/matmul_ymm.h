/* Integer linears on R8K4 with vectors of 256 bits; numerics, section 3. Lanes are rows, so each lane keeps
 * its own chain. What is common to matmul_avx2.c and matmul_avxvnni.c: each defines the three group
 * functions. Design and measurements: cpu-kernels, sections 6 and 7. Private to these two. */
#pragma once
#include <immintrin.h>
#include <string.h>

#include "cpu/matmul_tile.h"
#include "cpu/unroll.h"

enum { TOKENS = 6, AHEAD = 4096 };

/* One step of n chains: acc[t] = fma(sum over group g, ws as, acc[t]). `code` is the group's of 8 rows; n
 * and is_fp4 are constant after inlining. */
INLINE void group_4bit(__m256 *acc, const uint8_t *code, __m256 ws, const struct tile *x, int g,
                       int n, int is_fp4);
INLINE void group_8bit(__m256 *acc, const uint8_t *code, __m256 ws, const struct tile *x, int g,
                       int n);
INLINE void group_fp8(__m256 *acc, const uint8_t *code, __m256 ws, const struct tile *x, int g,
                      int n);

/* Keeps the compiler from moving a partial sum to memory. */
INLINE __m256i in_register(__m256i v)
{
    __asm__ volatile("" : "+x"(v));
    return v;
}

INLINE __m256i load(const uint8_t *p)
{
    return _mm256_load_si256((const __m256i *)(const void *)p);
}

INLINE __m256i spread32(const void *p)
{
    int32_t v;
    memcpy(&v, p, sizeof v);
    return _mm256_set1_epi32(v);
}

INLINE __m256i spread64(const int16_t *p)
{
    int64_t v;
    memcpy(&v, p, sizeof v);
    return _mm256_set1_epi64x(v);
}

/* Two lines of the stream, some way ahead; beyond the end of the data nothing is fetched. */
INLINE void prefetch(const uint8_t *p)
{
    _mm_prefetch((const char *)(uintptr_t)((uintptr_t)p + AHEAD), _MM_HINT_T0);
    _mm_prefetch((const char *)(uintptr_t)((uintptr_t)p + AHEAD + 64), _MM_HINT_T0);
}

/* 32 int8 to int16. */
INLINE void widen(int16_t out[GROUP], const int8_t *q)
{
    const __m128i *from = (const __m128i *)(const void *)q;
    __m256i *to = (__m256i *)(void *)out;
    _mm256_store_si256(to, _mm256_cvtepi8_epi16(_mm_loadu_si128(from)));
    _mm256_store_si256(to + 1, _mm256_cvtepi8_epi16(_mm_loadu_si128(from + 1)));
}

INLINE __m256 f16_scales(const uint8_t *p)
{
    return _mm256_cvtph_ps(_mm_load_si128((const __m128i *)(const void *)p));
}

/* 2^(byte - 128) */
INLINE __m256 e8m0_scales(const uint8_t *p)
{
    __m256i e = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)p));
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_sub_epi32(e, _mm256_set1_epi32(1)), 23));
}

/* The step of the chain: acc = fma(sum, ws as, acc). */
INLINE __m256 chain(__m256 acc, __m256i sum, __m256 ws, const float *as)
{
    __m256 s = _mm256_mul_ps(ws, _mm256_set1_ps(*as));
    return _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum), s, acc);
}

INLINE void rows_4bit(float *out, const uint8_t *w, int groups, const struct tile *x, int n,
                      int is_fp4)
{
    __m256 acc[TOKENS];
    size_t scales = is_fp4 ? 32 : 64;
    UNROLL
    for (int t = 0; t < n; t++)
        acc[t] = _mm256_setzero_ps();
    for (int g = 0; g < groups;) {
        const uint8_t *code = w + scales;
        prefetch(w);
        for (int b = 0; b < 4 && g < groups; b++, g++, code += 128) {
            prefetch(code);
            __m256 ws = is_fp4 ? e8m0_scales(w + 8 * b) : f16_scales(w + 16 * b);
            group_4bit(acc, code, ws, x, g, n, is_fp4);
        }
        w += scales + 512;
    }
    UNROLL
    for (int t = 0; t < n; t++)
        _mm256_store_ps(out + 8 * t, acc[t]);
}

INLINE void rows_8bit(float *out, const uint8_t *w, int groups, const struct tile *x, int n)
{
    __m256 acc[TOKENS];
    UNROLL
    for (int t = 0; t < n; t++)
        acc[t] = _mm256_setzero_ps();
    for (int g = 0; g < groups;) {
        const uint8_t *code = w + 64;
        for (int b = 0; b < 4 && g < groups; b++, g++, code += 256) {
            prefetch(code);
            prefetch(code + 128);
            group_8bit(acc, code, f16_scales(w + 16 * b), x, g, n);
        }
        w += 64 + 1024;
    }
    UNROLL
    for (int t = 0; t < n; t++)
        _mm256_store_ps(out + 8 * t, acc[t]);
}

/* 32 e4m3 codes to sign * floor(64 |value| + 1/2), 16 bits each: lo rows 0 1 4 5, hi rows 2 3 6 7. With n
 * the low four bits of the code (exponent's last bit, mantissa) and h the other three of the exponent,
 * 64 |value| = a 4^h / 16, a = (8 + m) << e0; but 2 n for exponent 0, which rounds to 0 below code 4 and
 * to 1 from there, as a does. mulhrs takes a with the opposite sign, and -2 4^h, as +2 4^7 would not fit.
 * It rounds half up; a negative value is pushed down by the low byte of its factor, too little to show
 * but at a half. */
INLINE void fp8_integers(__m256i *lo, __m256i *hi, __m256i v)
{
    /* -4 a by (code - 4) mod 16; a shuffle gives 0 where code - 4 is negative */
    const __m256i mantissa = _mm256_setr_epi8(
        -48, -52, -56, -60, -64, -72, -80, -88, -96, -104, -112, -120, -32, -36, -40, -44, -48, -52,
        -56, -60, -64, -72, -80, -88, -96, -104, -112, -120, -32, -36, -40, -44);
    /* -2 * 4^h, low and high byte */
    const __m256i power_lo =
        _mm256_setr_epi8(-2, -8, -32, -128, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, -2, -8, -32, -128,
                         0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    const __m256i power_hi =
        _mm256_setr_epi8(-1, -1, -1, -1, -2, -8, -32, -128, 0, 0, 0, 0, 0, 0, 0, 0, -1, -1, -1, -1,
                         -2, -8, -32, -128, 0, 0, 0, 0, 0, 0, 0, 0);
    __m256i size = _mm256_and_si256(v, _mm256_set1_epi8(0x7f));
    __m256i a = _mm256_shuffle_epi8(mantissa, _mm256_sub_epi8(size, _mm256_set1_epi8(4)));
    __m256i h = _mm256_and_si256(_mm256_srli_epi16(size, 4), _mm256_set1_epi8(15));
    __m256i bl = _mm256_shuffle_epi8(power_lo, h), bh = _mm256_shuffle_epi8(power_hi, h);
    __m256i push = _mm256_and_si256(bl, _mm256_cmpgt_epi8(_mm256_setzero_si256(), v));
    a = _mm256_sign_epi8(a, v);
    *lo = _mm256_mulhrs_epi16(_mm256_unpacklo_epi8(push, a), _mm256_unpacklo_epi8(bl, bh));
    *hi = _mm256_mulhrs_epi16(_mm256_unpackhi_epi8(push, a), _mm256_unpackhi_epi8(bl, bh));
}

/* ws of 8 rows at group g; rows beyond the matrix repeat the last. */
static __m256 fp8_scales(const struct packed *w, int row, int g)
{
    _Alignas(32) float s[PACK_ROWS];
    for (int i = 0; i < PACK_ROWS; i++)
        s[i] = packed_fp8_scale(w, row + i < w->base.rows ? row + i : w->base.rows - 1, GROUP * g);
    return _mm256_mul_ps(_mm256_load_ps(s), _mm256_set1_ps(1.0f / 64.0f));
}

INLINE void rows_fp8(float *out, const struct packed *w, int row, const struct tile *x, int n)
{
    const uint8_t *code = w->data + (size_t)(row / PACK_ROWS) * w->group_bytes;
    int groups = w->base.cols / GROUP, per_block = w->block_cols / GROUP;
    __m256 acc[TOKENS];
    UNROLL
    for (int t = 0; t < n; t++)
        acc[t] = _mm256_setzero_ps();
    if (w->block_cols >= w->base.cols) per_block = groups;
    for (int g = 0; g < groups;) {
        __m256 ws = fp8_scales(w, row, g);
        int end = groups - g < per_block ? groups : g + per_block;
        for (; g < end; g++, code += 256) {
            prefetch(code);
            prefetch(code + 128);
            group_fp8(acc, code, ws, x, g, n);
        }
    }
    UNROLL
    for (int t = 0; t < n; t++)
        _mm256_store_ps(out + 8 * t, acc[t]);
}

/* 8 rows against n tokens, n constant after inlining; out [n][8]. */
INLINE void rows_any(float *out, const struct packed *w, int row, const struct tile *x, int n)
{
    const uint8_t *group = w->data + (size_t)(row / PACK_ROWS) * w->group_bytes;
    int groups = w->base.cols / GROUP;
    switch (w->base.format) {
    case WF_FP4:
    case WF_MXFP4:
        rows_4bit(out, group, groups, x, n, 1);
        break;
    case WF_Q4_0:
        rows_4bit(out, group, groups, x, n, 0);
        break;
    case WF_Q8_0:
        rows_8bit(out, group, groups, x, n);
        break;
    default:
        rows_fp8(out, w, row, x, n);
    }
}

static void rows_1(float *out, const struct packed *w, int row, const struct tile *x)
{
    rows_any(out, w, row, x, 1);
}

static void rows_2(float *out, const struct packed *w, int row, const struct tile *x)
{
    rows_any(out, w, row, x, 2);
}

static void rows_3(float *out, const struct packed *w, int row, const struct tile *x)
{
    rows_any(out, w, row, x, 3);
}

static void rows_4(float *out, const struct packed *w, int row, const struct tile *x)
{
    rows_any(out, w, row, x, 4);
}

static void rows_6(float *out, const struct packed *w, int row, const struct tile *x)
{
    rows_any(out, w, row, x, 6);
}

/* Rows [row0, row1) against n_t tokens: what matmul_int is (cpu/kernels.h). */
static void matmul_rows(float *y, size_t ldy, const struct packed *w, int row0, int row1,
                        const struct acts *x, int x_first, const int32_t *idx, int n_t)
{
    static void (*const rows[])(float *, const struct packed *, int, const struct tile *) = {
        NULL, rows_1, rows_2, rows_3, rows_4, NULL, rows_6};
    _Alignas(32) float out[TOKENS][PACK_ROWS];
    struct tile tile;
    for (int row = row0; row < row1; row += PACK_ROWS) {
        int n_rows = row1 - row < PACK_ROWS ? row1 - row : PACK_ROWS;
        for (int t0 = 0; t0 < n_t; t0 += tile.n) {
            int left = n_t - t0;
            tile_init(&tile, x, x_first, idx, t0, left >= TOKENS ? TOKENS : left == 5 ? 3 : left);
            rows[tile.n](out[0], w, row, &tile);
            for (int t = 0; t < tile.n; t++)
                memcpy(y + (size_t)(t0 + t) * ldy + row, out[t], (size_t)n_rows * sizeof(float));
        }
    }
}
