/* Float dot products; numerics, section 4: a vector holds the sixteen partial sums of an output.
 * A few tokens read the rows as they are stored; with more of them a tile of 8 rows is first made f32. */
#include <immintrin.h>
#include <string.h>

#include "cpu/kernels_avx512.h"
#include "cpu/unroll.h"

/* TILE_ROWS x TOKENS chains leave registers for what they are made of; a tile, TILE_K long, fits the first
 * cache beside the tokens. */
enum {
    GROUP = 32,
    SUMS = 16,
    ROWS = 4,
    TILE_ROWS = PACK_ROWS,
    TOKENS = 3,
    TOKEN_TILES = 11,
    STORED_TOKENS = 6,
    TILE_K = 512,
    AHEAD = 2048
};

/* Beyond the end of the data nothing is fetched. */
INLINE void prefetch(const uint8_t *p, size_t ahead)
{
    _mm_prefetch((const char *)(uintptr_t)((uintptr_t)p + ahead), _MM_HINT_T0);
}

/* Keeps the compiler from reading a weight again for every token. */
INLINE __m512 in_register(__m512 v)
{
    __asm__("" : "+v"(v));
    return v;
}

/* Adds the sums as the contract's tree does. */
static float tree(__m512 p)
{
    __m256 s = _mm256_add_ps(_mm512_castps512_ps256(p), _mm512_extractf32x8_ps(p, 1));
    __m128 a = _mm_add_ps(_mm256_castps256_ps128(s), _mm256_extractf128_ps(s, 1));
    __m128 b = _mm_add_ps(a, _mm_movehl_ps(a, a));
    return _mm_cvtss_f32(_mm_add_ss(b, _mm_movehdup_ps(b)));
}

/* Sixteen weights, those in the mask; nothing else is read. */
INLINE __m512 load_16(const uint8_t *p, enum weight_format f, __mmask16 mask)
{
    if (f == WF_F32) return _mm512_maskz_loadu_ps(mask, p);
    __m256i v = _mm256_maskz_loadu_epi16(mask, p);
    if (f == WF_F16) return _mm512_cvtph_ps(v);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(v), 16));
}

INLINE __mmask16 first_lanes(int n)
{
    return (__mmask16)((1u << n) - 1);
}

/* Some rows against some tokens. */
struct span {
    const uint8_t *w[TILE_ROWS];
    const float *x[TOKENS];
    int n; /* values: a multiple of 16, or up to a row's end */
};

/* The last values of rows that are no multiple of 16, from k on: those lanes only. */
INLINE void dot_tail(__m512 p[][TOKENS], const struct span *in, int k, int rows, int n_t,
                     enum weight_format f)
{
    __mmask16 lanes = first_lanes(in->n - k);
    for (int r = 0; r < rows; r++) {
        __m512 w = load_16(in->w[r] + (size_t)k * (f == WF_F32 ? 4 : 2), f, lanes);
        for (int t = 0; t < n_t; t++) {
            __m512 x = _mm512_maskz_loadu_ps(lanes, in->x[t] + k);
            p[r][t] = _mm512_mask3_fmadd_ps(w, x, p[r][t], lanes);
        }
    }
}

/* p[r][t] += row r times token t. A stream is whole rows one after the other, so what comes ahead of a row's
 * end is `rows` rows further. */
INLINE void dot(__m512 p[][TOKENS], const struct span *in, int rows, int n_t, enum weight_format f,
                int is_stream)
{
    size_t size = f == WF_F32 ? 4 : 2, row_bytes = (size_t)in->n * size;
    __m512 s[TILE_ROWS][TOKENS], x[TOKENS];
    int k = 0;
    UNROLL
    for (int r = 0; r < rows; r++) {
        UNROLL
        for (int t = 0; t < n_t; t++)
            s[r][t] = p[r][t];
    }
    for (; k + SUMS <= in->n; k += SUMS) {
        size_t at = (size_t)k * size;
        size_t ahead = at + AHEAD < row_bytes ? AHEAD : AHEAD + (size_t)(rows - 1) * row_bytes;
        UNROLL
        for (int t = 0; t < n_t; t++)
            x[t] = _mm512_loadu_ps(in->x[t] + k);
        UNROLL
        for (int r = 0; r < rows; r++) {
            if (is_stream) prefetch(in->w[r] + at, ahead);
            __m512 w = in_register(load_16(in->w[r] + at, f, 0xffff));
            UNROLL
            for (int t = 0; t < n_t; t++)
                s[r][t] = _mm512_fmadd_ps(w, x[t], s[r][t]);
        }
    }
    UNROLL
    for (int r = 0; r < rows; r++) {
        UNROLL
        for (int t = 0; t < n_t; t++)
            p[r][t] = s[r][t];
    }
    if (k < in->n) dot_tail(p, in, k, rows, n_t, f);
}

INLINE void dot_tokens(__m512 p[][TOKENS], const struct span *in, int rows, int n_t,
                       enum weight_format f, int is_stream)
{
    if (n_t == 1)
        dot(p, in, rows, 1, f, is_stream);
    else if (n_t == 2)
        dot(p, in, rows, 2, f, is_stream);
    else
        dot(p, in, rows, 3, f, is_stream);
}

static void dot_f32(__m512 p[ROWS][TOKENS], const struct span *in, int n_t)
{
    dot_tokens(p, in, ROWS, n_t, WF_F32, 1);
}

static void dot_f16(__m512 p[ROWS][TOKENS], const struct span *in, int n_t)
{
    dot_tokens(p, in, ROWS, n_t, WF_F16, 1);
}

static void dot_bf16(__m512 p[ROWS][TOKENS], const struct span *in, int n_t)
{
    dot_tokens(p, in, ROWS, n_t, WF_BF16, 1);
}

static void dot_tile(__m512 p[TILE_ROWS][TOKENS], const struct span *in, int n_t)
{
    dot_tokens(p, in, TILE_ROWS, n_t, WF_F32, 0);
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

/* The rows from `row` on; those beyond the last repeat it. */
static void point_at_rows(const uint8_t *w[], const struct job *j, int row, int n_rows, int rows)
{
    for (int r = 0; r < rows; r++)
        w[r] = j->w->data + (size_t)(row + (r < n_rows ? r : n_rows - 1)) * j->w->row_bytes;
}

static void store(const struct job *j, const __m512 p[][TOKENS], int row, int n_rows, int t0,
                  int n_t)
{
    for (int t = 0; t < n_t; t++)
        for (int r = 0; r < n_rows; r++)
            j->y[(size_t)(t0 + t) * j->ldy + (size_t)(row + r)] = tree(p[r][t]);
}

/* Few tokens against rows as they are stored. */
static void stored_rows(const struct job *j, int row0, int row1)
{
    struct span in = {.n = j->w->base.cols};
    for (int row = row0; row < row1; row += ROWS) {
        int n_rows = row1 - row < ROWS ? row1 - row : ROWS;
        point_at_rows(in.w, j, row, n_rows, ROWS);
        for (int t0 = 0; t0 < j->n_t; t0 += TOKENS) {
            __m512 p[ROWS][TOKENS];
            int n_t = point_at_tokens(in.x, j, t0);
            memset(p, 0, sizeof p);
            if (j->w->base.format == WF_F32)
                dot_f32(p, &in, n_t);
            else if (j->w->base.format == WF_F16)
                dot_f16(p, &in, n_t);
            else
                dot_bf16(p, &in, n_t);
            store(j, p, row, n_rows, t0, n_t);
        }
    }
}

/* v[t] = four bytes of each of 8 rows to v[row] = 32 bytes. */
INLINE void transpose(__m256i v[8])
{
    __m256i a[8];
    UNROLL
    for (int i = 0; i < 8; i += 2) {
        a[i] = _mm256_unpacklo_epi32(v[i], v[i + 1]);
        a[i + 1] = _mm256_unpackhi_epi32(v[i], v[i + 1]);
    }
    UNROLL
    for (int i = 0; i < 8; i += 4) {
        v[i] = _mm256_unpacklo_epi64(a[i], a[i + 2]);
        v[i + 1] = _mm256_unpackhi_epi64(a[i], a[i + 2]);
        v[i + 2] = _mm256_unpacklo_epi64(a[i + 1], a[i + 3]);
        v[i + 3] = _mm256_unpackhi_epi64(a[i + 1], a[i + 3]);
    }
    UNROLL
    for (int i = 0; i < 4; i++) {
        a[i] = _mm256_permute2x128_si256(v[i], v[i + 4], 0x20);
        a[i + 4] = _mm256_permute2x128_si256(v[i], v[i + 4], 0x31);
    }
    memcpy(v, a, sizeof a);
}

INLINE __m256i load_32(const uint8_t *p)
{
    return _mm256_load_si256((const __m256i *)(const void *)p);
}

/* The codes of 8 rows x 32, row after row; 4 bits as their integers. */
INLINE void load_codes(__m256i v[8], const uint8_t *code, enum weight_format f)
{
    const __m256i low = _mm256_set1_epi8(15);
    const __m128i fp4 = _mm_setr_epi8(0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12);
    const __m128i q4 = _mm_setr_epi8(-8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7);
    const __m256i lut = _mm256_broadcastsi128_si256(f == WF_Q4_0 ? q4 : fp4);
    UNROLL
    for (int i = 0; i < 4; i++) {
        __m256i c = load_32(code + 32 * i);
        if (f == WF_FP8 || f == WF_Q8_0) {
            v[i] = c;
            v[i + 4] = load_32(code + 128 + 32 * i);
        } else {
            __m256i high = _mm256_and_si256(_mm256_srli_epi16(c, 4), low);
            v[i] = _mm256_shuffle_epi8(lut, _mm256_and_si256(c, low));
            v[i + 4] = _mm256_shuffle_epi8(lut, high);
        }
    }
    transpose(v);
}

/* Sixteen codes to values before the scale. e4m3 goes by way of f16, of which it is 2^-8 when sign,
 * exponent and mantissa are in their places. */
INLINE __m512 code_values(__m128i code, enum weight_format f)
{
    if (f != WF_FP8) return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(code));
    __m256i half = _mm256_slli_epi16(_mm256_cvtepi8_epi16(code), 7);
    half = _mm256_and_si256(half, _mm256_set1_epi16((short)0xbf80));
    return _mm512_mul_ps(_mm512_cvtph_ps(half), _mm512_set1_ps(256.0f));
}

INLINE void unpack_codes(float *tile, const uint8_t *code, const float scale[8],
                         enum weight_format f)
{
    __m256i v[8];
    load_codes(v, code, f);
    UNROLL
    for (int r = 0; r < 8; r++, tile += TILE_K) {
        __m512 s = _mm512_set1_ps(scale[r]);
        __m512 low = code_values(_mm256_castsi256_si128(v[r]), f);
        __m512 high = code_values(_mm256_extracti128_si256(v[r], 1), f);
        _mm512_storeu_ps(tile, _mm512_mul_ps(low, s));
        _mm512_storeu_ps(tile + SUMS, _mm512_mul_ps(high, s));
    }
}

/* Rows beyond the matrix get a scale of 0 or what padding has. */
static void load_scales(float scale[8], const struct packed *w, int row, int g,
                        const uint8_t *block)
{
    enum weight_format f = w->base.format;
    if (f == WF_FP8) {
        for (int r = 0; r < 8; r++)
            scale[r] = row + r < w->base.rows ? packed_fp8_scale(w, row + r, GROUP * g) : 0.0f;
    } else if (packed_scale_bytes(f) == 32) {
        __m128i bytes = _mm_loadl_epi64((const __m128i *)(const void *)(block + 8 * (g % 4)));
        __m256i e = _mm256_sub_epi32(_mm256_cvtepu8_epi32(bytes), _mm256_set1_epi32(1));
        _mm256_storeu_ps(scale, _mm256_castsi256_ps(_mm256_slli_epi32(e, 23)));
    } else {
        __m128i halves = _mm_load_si128((const __m128i *)(const void *)(block + 16 * (g % 4)));
        _mm256_storeu_ps(scale, _mm256_cvtph_ps(halves));
    }
}

/* Rows [row, row + 8) of group g of a quantised format. */
static void unpack_group(float *tile, const struct packed *w, int row, int g)
{
    enum weight_format f = w->base.format;
    size_t bytes = packed_block_bytes(f), scales = packed_scale_bytes(f);
    const uint8_t *block = w->data + (size_t)(row / PACK_ROWS) * w->group_bytes;
    block += (size_t)(g / 4) * bytes;
    const uint8_t *code = block + scales + (size_t)(g % 4) * ((bytes - scales) / 4);
    float scale[8];
    load_scales(scale, w, row, g, block);
    if (f == WF_FP8)
        unpack_codes(tile, code, scale, WF_FP8);
    else if (f == WF_Q8_0)
        unpack_codes(tile, code, scale, WF_Q8_0);
    else if (f == WF_Q4_0)
        unpack_codes(tile, code, scale, WF_Q4_0);
    else
        unpack_codes(tile, code, scale, WF_FP4);
}

/* Points `in` at k values of 8 rows from k0 on, as f32: in the tile, unless they are f32 already. */
static void unpack_rows(float *tile, struct span *in, const struct job *j, int row, int n_rows,
                        int k0)
{
    enum weight_format f = j->w->base.format;
    if (weight_is_quantised(f)) {
        for (int k = 0; k < in->n; k += GROUP)
            unpack_group(tile + k, j->w, row, (k0 + k) / GROUP);
    } else {
        point_at_rows(in->w, j, row, n_rows, TILE_ROWS);
        for (int r = 0; r < TILE_ROWS; r++)
            in->w[r] += (size_t)k0 * (f == WF_F32 ? 4 : 2);
        if (f == WF_F32) return;
        for (int r = 0; r < TILE_ROWS; r++)
            for (int k = 0; k < in->n; k += SUMS) {
                __mmask16 mask = in->n - k < SUMS ? first_lanes(in->n - k) : 0xffff;
                const uint8_t *from = in->w[r] + 2 * (size_t)k;
                prefetch(from, (size_t)j->w->row_bytes * TILE_ROWS);
                _mm512_storeu_ps(tile + r * TILE_K + k, f == WF_F16 ? load_16(from, WF_F16, mask)
                                                                    : load_16(from, WF_BF16, mask));
            }
    }
    for (int r = 0; r < TILE_ROWS; r++)
        in->w[r] = (const uint8_t *)(tile + r * TILE_K);
}

/* Tokens [t0, ...) against 8 rows, a tile of k at a time. */
static void tiled_rows(const struct job *j, int row, int n_rows, int t0, int n_tiles)
{
    _Alignas(64) float tile[TILE_ROWS * TILE_K];
    __m512 p[TOKEN_TILES][TILE_ROWS][TOKENS];
    memset(p, 0, sizeof p[0] * (size_t)n_tiles);
    for (int k = 0; k < j->w->base.cols; k += TILE_K) {
        struct span in = {.n = j->w->base.cols - k < TILE_K ? j->w->base.cols - k : TILE_K};
        unpack_rows(tile, &in, j, row, n_rows, k);
        for (int i = 0; i < n_tiles; i++) {
            int n_t = point_at_tokens(in.x, j, t0 + TOKENS * i);
            for (int t = 0; t < n_t; t++)
                in.x[t] += k;
            dot_tile(p[i], &in, n_t);
        }
    }
    for (int i = 0; i < n_tiles; i++) {
        int from = t0 + TOKENS * i;
        store(j, p[i], row, n_rows, from, j->n_t - from < TOKENS ? j->n_t - from : TOKENS);
    }
}

void matmul_f32_avx512(float *y, size_t ldy, const struct packed *w, int row0, int row1,
                       const struct acts *x, int x_first, const int32_t *idx, int n_t)
{
    struct job j = {y, ldy, w, x, x_first, idx, n_t};
    if (n_t <= STORED_TOKENS && !weight_is_quantised(w->base.format)) {
        stored_rows(&j, row0, row1);
        return;
    }
    /* Rows inside tokens, so that these stay in the second cache. */
    for (int t0 = 0; t0 < n_t; t0 += TOKENS * TOKEN_TILES) {
        int tiles = (n_t - t0 + TOKENS - 1) / TOKENS;
        tiles = tiles < TOKEN_TILES ? tiles : TOKEN_TILES;
        for (int row = row0; row < row1; row += TILE_ROWS)
            tiled_rows(&j, row, row1 - row < TILE_ROWS ? row1 - row : TILE_ROWS, t0, tiles);
    }
}

float sum_squares_avx512(const float *x, int n)
{
    __m512 p = _mm512_setzero_ps();
    int k = 0;
    for (; k + SUMS <= n; k += SUMS) {
        __m512 v = _mm512_loadu_ps(x + k);
        p = _mm512_fmadd_ps(v, v, p);
    }
    __mmask16 lanes = first_lanes(n - k);
    __m512 v = _mm512_maskz_loadu_ps(lanes, x + k);
    return tree(_mm512_mask3_fmadd_ps(v, v, p, lanes));
}
