/* Float dot products; numerics, section 4: two vectors hold the sixteen partial sums of an output. */
#include <immintrin.h>
#include <string.h>

#include "cpu/kernels_avx2.h"
#include "cpu/unroll.h"

enum { GROUP = 32, SUMS = 16, ROWS = 2, TOKENS = 3, TOKEN_TILES = 4, TILE_K = 256, AHEAD = 2048 };

struct sums {
    __m256 lo, hi; /* partial sums 0..7 and 8..15 */
};

/* Keeps the compiler from moving a partial sum to memory. */
INLINE __m256 in_register(__m256 v)
{
    __asm__ volatile("" : "+x"(v));
    return v;
}

/* Beyond the end of the data nothing is fetched. */
INLINE void prefetch(const uint8_t *p, size_t ahead)
{
    _mm_prefetch((const char *)(uintptr_t)((uintptr_t)p + ahead), _MM_HINT_T0);
}

/* Adds the sums as the contract's tree does. */
static float tree(struct sums p)
{
    __m256 s = _mm256_add_ps(p.lo, p.hi);
    __m128 a = _mm_add_ps(_mm256_castps256_ps128(s), _mm256_extractf128_ps(s, 1));
    __m128 b = _mm_add_ps(a, _mm_movehl_ps(a, a));
    return _mm_cvtss_f32(_mm_add_ss(b, _mm_movehdup_ps(b)));
}

INLINE __m256 load_8(const uint8_t *p, enum weight_format f)
{
    if (f == WF_F32) return _mm256_loadu_ps((const float *)(const void *)p);
    __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
    if (f == WF_F16) return _mm256_cvtph_ps(v);
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(v), 16));
}

/* The last n < 16 values: those lanes only. Copies, so that nothing beyond them is read. */
static void add_tail(struct sums *p, const uint8_t *w, const float *x, int n, enum weight_format f)
{
    size_t size = f == WF_F32 ? 4 : 2;
    uint8_t wt[4 * SUMS] = {0};
    float xt[SUMS] = {0};
    if (n == 0) return;
    memcpy(wt, w, (size_t)n * size);
    memcpy(xt, x, (size_t)n * sizeof *x);
    __m256 i = _mm256_setr_ps(0, 1, 2, 3, 4, 5, 6, 7);
    __m256 in_lo = _mm256_cmp_ps(i, _mm256_set1_ps((float)n), _CMP_LT_OQ);
    __m256 in_hi = _mm256_cmp_ps(i, _mm256_set1_ps((float)(n - 8)), _CMP_LT_OQ);
    __m256 lo = _mm256_fmadd_ps(load_8(wt, f), _mm256_loadu_ps(xt), p->lo);
    __m256 hi = _mm256_fmadd_ps(load_8(wt + 8 * size, f), _mm256_loadu_ps(xt + 8), p->hi);
    p->lo = _mm256_blendv_ps(p->lo, lo, in_lo);
    p->hi = _mm256_blendv_ps(p->hi, hi, in_hi);
}

/* Two rows against n_t tokens. Their bytes lie one after the other, so what comes ahead of a row's end
 * is two rows further. */
struct span {
    const uint8_t *w[ROWS];
    const float *x[TOKENS];
    int n; /* values: a multiple of 16, or up to a row's end */
};

/* p[r][t] += row r times token t. */
INLINE void dot(struct sums p[ROWS][TOKENS], const struct span *in, int n_t, enum weight_format f)
{
    size_t size = f == WF_F32 ? 4 : 2, row_bytes = (size_t)in->n * size;
    const uint8_t *w0 = in->w[0], *w1 = in->w[1];
    __m256 s[ROWS][TOKENS][2];
    int k = 0, n = in->n;
    UNROLL
    for (int t = 0; t < n_t; t++) {
        s[0][t][0] = p[0][t].lo;
        s[0][t][1] = p[0][t].hi;
        s[1][t][0] = p[1][t].lo;
        s[1][t][1] = p[1][t].hi;
    }
    for (; k + SUMS <= n; k += SUMS) {
        size_t at = (size_t)k * size, ahead = at + AHEAD < row_bytes ? AHEAD : AHEAD + row_bytes;
        prefetch(w0 + at, ahead);
        prefetch(w1 + at, ahead);
        UNROLL
        for (int half = 0; half < 2; half++) {
            __m256 a = load_8(w0 + at + 8 * size * (size_t)half, f);
            __m256 b = load_8(w1 + at + 8 * size * (size_t)half, f);
            UNROLL
            for (int t = 0; t < n_t; t++) {
                __m256 x = _mm256_loadu_ps(in->x[t] + k + 8 * half);
                s[0][t][half] = in_register(_mm256_fmadd_ps(a, x, s[0][t][half]));
                s[1][t][half] = in_register(_mm256_fmadd_ps(b, x, s[1][t][half]));
            }
        }
    }
    UNROLL
    for (int t = 0; t < n_t; t++) {
        p[0][t].lo = s[0][t][0];
        p[0][t].hi = s[0][t][1];
        p[1][t].lo = s[1][t][0];
        p[1][t].hi = s[1][t][1];
        add_tail(&p[0][t], w0 + (size_t)k * size, in->x[t] + k, n - k, f);
        add_tail(&p[1][t], w1 + (size_t)k * size, in->x[t] + k, n - k, f);
    }
}

INLINE void dot_tokens(struct sums p[ROWS][TOKENS], const struct span *in, int n_t,
                       enum weight_format f)
{
    if (n_t == 1)
        dot(p, in, 1, f);
    else if (n_t == 2)
        dot(p, in, 2, f);
    else
        dot(p, in, 3, f);
}

static void dot_f32(struct sums p[ROWS][TOKENS], const struct span *in, int n_t)
{
    dot_tokens(p, in, n_t, WF_F32);
}

static void dot_f16(struct sums p[ROWS][TOKENS], const struct span *in, int n_t)
{
    dot_tokens(p, in, n_t, WF_F16);
}

static void dot_bf16(struct sums p[ROWS][TOKENS], const struct span *in, int n_t)
{
    dot_tokens(p, in, n_t, WF_BF16);
}

/* Where outputs go and inputs come from. */
struct job {
    float *y;
    size_t ldy;
    const struct packed *w;
    const struct acts *x;
    int x_first;
    const int32_t *idx;
    int n_t;
};

static int point_at_tokens(const float *x[TOKENS], const struct job *j, int t0)
{
    int n = j->n_t - t0 < TOKENS ? j->n_t - t0 : TOKENS;
    for (int t = 0; t < n; t++) {
        size_t row = (size_t)(j->idx ? j->idx[t0 + t] : t0 + t);
        x[t] = j->x->f32 + row * (size_t)j->x->k + j->x_first;
    }
    return n;
}

static void store(const struct job *j, const struct sums p[ROWS][TOKENS], int row, int n_rows,
                  int t0, int n_t)
{
    for (int r = 0; r < n_rows; r++)
        for (int t = 0; t < n_t; t++)
            j->y[(size_t)(t0 + t) * j->ldy + (size_t)(row + r)] = tree(p[r][t]);
}

static void float_rows(const struct job *j, int row0, int row1)
{
    for (int row = row0; row < row1; row += ROWS) {
        /* The last row of an odd number is its own second row, and stored once. */
        int n_rows = row1 - row < ROWS ? 1 : ROWS;
        const uint8_t *first = j->w->data + (size_t)row * j->w->row_bytes;
        struct span in = {.w = {first, first + (n_rows > 1 ? j->w->row_bytes : 0)},
                          .n = j->w->base.cols};
        for (int t0 = 0; t0 < j->n_t; t0 += TOKENS) {
            struct sums p[ROWS][TOKENS];
            int n = point_at_tokens(in.x, j, t0);
            memset(p, 0, sizeof p);
            if (j->w->base.format == WF_F32)
                dot_f32(p, &in, n);
            else if (j->w->base.format == WF_F16)
                dot_f16(p, &in, n);
            else
                dot_bf16(p, &in, n);
            store(j, p, row, n_rows, t0, n);
        }
    }
}

/* Eight signed bytes, four of each of two rows, times the scales of those rows. */
INLINE void put_ints(float *row, const int8_t *v, __m256 scale)
{
    __m256i i = _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)v));
    __m256 f = _mm256_mul_ps(_mm256_cvtepi32_ps(i), scale);
    _mm_storeu_ps(row, _mm256_castps256_ps128(f));
    _mm_storeu_ps(row + TILE_K, _mm256_extractf128_ps(f, 1));
}

/* The same of e4m3: sign, exponent and mantissa at their places in an f16 are the value 2^-8. (In an f32
 * small ones would be subnormal, which costs some processors a hundred times more to multiply.) */
INLINE void put_fp8(float *row, const uint8_t *v, __m256 scale)
{
    __m128i c = _mm_cvtepi8_epi16(_mm_loadl_epi64((const __m128i *)(const void *)v));
    c = _mm_and_si128(_mm_slli_epi16(c, 7), _mm_set1_epi16((short)0xbf80));
    __m256 f = _mm256_mul_ps(_mm256_cvtph_ps(c), _mm256_set1_ps(256.0f));
    f = _mm256_mul_ps(f, scale);
    _mm_storeu_ps(row, _mm256_castps256_ps128(f));
    _mm_storeu_ps(row + TILE_K, _mm256_extractf128_ps(f, 1));
}

/* 8 x 32 values whose codes are one byte each. */
static void unpack_8bit(float *tile, const uint8_t *code, const __m256 scale[4], int is_fp8)
{
    for (int i = 0; i < 8; i++)
        for (int r = 0; r < 4; r++) {
            const uint8_t *v = code + 32 * i + 8 * r;
            float *to = tile + 2 * r * TILE_K + 4 * i;
            if (is_fp8)
                put_fp8(to, v, scale[r]);
            else
                put_ints(to, (const int8_t *)v, scale[r]);
        }
}

static void unpack_4bit(float *tile, const uint8_t *code, const __m256 scale[4], int is_fp4)
{
    const __m128i low = _mm_set1_epi8(15);
    const __m128i fp4 = _mm_setr_epi8(0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12);
    const __m128i q4 = _mm_setr_epi8(-8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7);
    const __m128i lut = is_fp4 ? fp4 : q4;
    int8_t v[2][16];
    for (int i = 0; i < 4; i++)
        for (int r = 0; r < 4; r += 2) {
            __m128i c = _mm_loadu_si128((const __m128i *)(const void *)(code + 32 * i + 8 * r));
            __m128i high = _mm_and_si128(_mm_srli_epi16(c, 4), low);
            _mm_storeu_si128((__m128i *)v[0], _mm_shuffle_epi8(lut, _mm_and_si128(c, low)));
            _mm_storeu_si128((__m128i *)v[1], _mm_shuffle_epi8(lut, high));
            for (int h = 0; h < 2; h++) {
                float *to = tile + 2 * r * TILE_K + 16 * h + 4 * i;
                put_ints(to, v[h], scale[r]);
                put_ints(to + 2 * TILE_K, v[h] + 8, scale[r + 1]);
            }
        }
}

/* Rows [row, row + 8) of a group of 32. Rows beyond the matrix come out as anything. */
static void unpack_group(float *tile, const struct packed *w, int row, int g)
{
    enum weight_format f = w->base.format;
    size_t block = packed_block_bytes(f), scales = packed_scale_bytes(f);
    const uint8_t *code = w->data + (size_t)(row / PACK_ROWS) * w->group_bytes +
                          (size_t)(g / 4) * block + scales +
                          (size_t)(g % 4) * ((block - scales) / 4);
    __m256 scale[4];
    for (int r = 0; r < 4; r++) {
        float s[2] = {0, 0};
        for (int i = 0; i < 2; i++)
            if (row + 2 * r + i < w->base.rows)
                s[i] = f == WF_FP8 ? packed_fp8_scale(w, row + 2 * r + i, GROUP * g)
                                   : packed_scale(w, row + 2 * r + i, g);
        scale[r] = _mm256_setr_m128(_mm_set1_ps(s[0]), _mm_set1_ps(s[1]));
    }
    if (f == WF_FP8 || f == WF_Q8_0)
        unpack_8bit(tile, code, scale, f == WF_FP8);
    else
        unpack_4bit(tile, code, scale, f != WF_Q4_0);
}

/* Tokens [t0, ...) against 8 rows, a tile of k at a time. */
static void quantised_rows(const struct job *j, int row, int n_rows, int t0, int n_tiles)
{
    _Alignas(32) float tile[PACK_ROWS * TILE_K];
    struct sums p[PACK_ROWS / ROWS][TOKEN_TILES][ROWS][TOKENS];
    memset(p, 0, sizeof p);
    for (int k = 0; k < j->w->base.cols; k += TILE_K) {
        int n = j->w->base.cols - k < TILE_K ? j->w->base.cols - k : TILE_K;
        for (int g = 0; g < n / GROUP; g++)
            unpack_group(tile + GROUP * g, j->w, row, k / GROUP + g);
        for (int i = 0; i < n_tiles; i++) {
            struct span in = {.n = n};
            int n_t = point_at_tokens(in.x, j, t0 + TOKENS * i);
            for (int t = 0; t < n_t; t++)
                in.x[t] += k;
            for (int r = 0; r < n_rows; r += ROWS) {
                const float *at = tile + r * TILE_K;
                in.w[0] = (const uint8_t *)at;
                in.w[1] = (const uint8_t *)(at + TILE_K);
                dot_f32(p[r / ROWS][i], &in, n_t);
            }
        }
    }
    for (int i = 0; i < n_tiles; i++) {
        int from = t0 + TOKENS * i, n_t = j->n_t - from < TOKENS ? j->n_t - from : TOKENS;
        for (int r = 0; r < n_rows; r += ROWS)
            store(j, p[r / ROWS][i], row + r, n_rows - r < ROWS ? 1 : ROWS, from, n_t);
    }
}

void matmul_f32_avx2(float *y, size_t ldy, const struct packed *w, int row0, int row1,
                     const struct acts *x, int x_first, const int32_t *idx, int n_t)
{
    struct job j = {y, ldy, w, x, x_first, idx, n_t};
    if (!weight_is_quantised(w->base.format)) {
        float_rows(&j, row0, row1);
        return;
    }
    for (int row = row0; row < row1; row += PACK_ROWS) {
        int n_rows = row1 - row < PACK_ROWS ? row1 - row : PACK_ROWS;
        for (int t0 = 0; t0 < n_t; t0 += TOKENS * TOKEN_TILES) {
            int tiles = (n_t - t0 + TOKENS - 1) / TOKENS;
            quantised_rows(&j, row, n_rows, t0, tiles < TOKEN_TILES ? tiles : TOKEN_TILES);
        }
    }
}

float sum_squares_avx2(const float *x, int n)
{
    struct sums p = {_mm256_setzero_ps(), _mm256_setzero_ps()};
    int k = 0;
    for (; k + SUMS <= n; k += SUMS) {
        __m256 lo = _mm256_loadu_ps(x + k), hi = _mm256_loadu_ps(x + k + 8);
        p.lo = _mm256_fmadd_ps(lo, lo, p.lo);
        p.hi = _mm256_fmadd_ps(hi, hi, p.hi);
    }
    add_tail(&p, (const uint8_t *)(x + k), x + k, n - k, WF_F32);
    return tree(p);
}
