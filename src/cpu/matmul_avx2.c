/* Integer linears on R8K4; numerics, section 3. Lanes are rows, so each lane keeps its own chain.
 * Design and measurements: cpu-kernels, sections 6 and 7. */
#include <immintrin.h>
#include <string.h>

#include "cpu/kernels_avx2.h"
#include "cpu/unroll.h"

enum { GROUP = 32, TOKENS = 6, AHEAD = 4096 };

/* Up to TOKENS rows of activations, from the first group of the slice on. */
struct tile {
    int n;
    const int8_t *q[TOKENS];
    const float *scale[TOKENS];
    const int16_t *pairs[TOKENS];
};

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

/* Integers of the group first, then the products: both at once need more registers than there are. */
INLINE void group_fp8(__m256 *acc, const uint8_t *code, __m256 ws, const struct tile *x, int g,
                      int n)
{
    _Alignas(32) int16_t q[TOKENS][GROUP];
    __m256i w[8][2], lo[TOKENS], hi[TOKENS];
    UNROLL
    for (int t = 0; t < n; t++) {
        const __m128i *from = (const __m128i *)(const void *)(x->q[t] + GROUP * g);
        _mm256_store_si256((__m256i *)q[t], _mm256_cvtepi8_epi16(_mm_loadu_si128(from)));
        _mm256_store_si256((__m256i *)(q[t] + 16), _mm256_cvtepi8_epi16(_mm_loadu_si128(from + 1)));
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

static void tile_init(struct tile *tile, const struct acts *x, int x_first, const int32_t *idx,
                      int t0, int n)
{
    size_t groups = (size_t)x->k / GROUP;
    tile->n = n;
    for (int t = 0; t < n; t++) {
        size_t at = (size_t)(idx ? idx[t0 + t] : t0 + t) * groups + (size_t)(x_first / GROUP);
        tile->q[t] = x->q + at * GROUP;
        tile->scale[t] = x->scale + at;
        tile->pairs[t] = x->pairs + 2 * at;
    }
}

void matmul_int_avx2(float *y, size_t ldy, const struct packed *w, int row0, int row1,
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
