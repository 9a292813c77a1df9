/* Integer linears of many tokens with AVX-512 and VNNI: codes of up to 48 rows are unpacked once for all
 * tokens, a slice of k at a time, then multiplied in tiles of 4 tokens x 3 vectors of 16 rows, so that a load
 * feeds several products. Meanwhile the codes that come next are prefetched, as a slice of a row is too short
 * for the processor to see where reading goes on. Chains and bits: numerics, section 3; the sums of a group
 * are int32 and exact, so the order inside is free.
 *
 * A product takes four unsigned bytes of codes and four signed ones of a token; of FP8, whose integers have
 * 16 bits, two words of each. */
#include <immintrin.h>
#include <string.h>

#include "cpu/avx512.h"
#include "cpu/kernels_avx512.h"

enum { TOKENS = 4, VECTORS = 3, STEP = ROWS * VECTORS };
enum { SLICE = 16, SLICE_FP8 = 8, BLOCK = 128 }; /* groups of a slice; tokens of a block */
enum { BYTES = 8 * 64 };                         /* of a group of 32 k of 16 rows, as bytes */
enum { OFFSET_FP4 = 12, OFFSET_INT4 = 8, OFFSET_INT8 = 128 };

/* Codes of up to 3 x 16 rows. */
struct panel {
    int groups, is_words;
    uint8_t code[VECTORS][SLICE * BYTES]
        __attribute__((aligned(64))); /* [v][group][k / 4 or 2][64] */
    float ws[VECTORS][SLICE][ROWS] __attribute__((aligned(64)));
};

/* What a block of tokens needs beside its codes, for a slice. */
union slice {
    /* What a group's sums start at, to make up for codes that are some offset too large. */
    int32_t start[BLOCK][SLICE];
    int16_t words[BLOCK][SLICE_FP8 * GROUP]; /* the codes, for FP8 */
} __attribute__((aligned(64)));

/* Codes to prefetch, some lines a group: those of n groups of 8 rows. */
struct ahead {
    const uint8_t *at[2 * VECTORS];
    int n, lines; /* of each */
    int per_group;
    int i, line; /* the next one */
};

struct tokens {
    struct ahead *ahead;
    const void *q[TOKENS];
    const float *scale[TOKENS];
    const int32_t *start[TOKENS]; /* NULL for FP8 */
    float *y[TOKENS];
};

/* --- unpacking --- */

INLINE void unpack_4bit(uint8_t *out, const uint8_t *a, const uint8_t *b, int is_fp4)
{
    UNROLL
    for (int i = 0; i < 4; i++) {
        __m512i first, second;
        codes_4bit(&first, &second, load2(a + 32 * i, b + 32 * i), is_fp4);
        _mm512_store_si512(out + 64 * i, first);
        _mm512_store_si512(out + 64 * (i + 4), second);
    }
}

INLINE void unpack_8bit(uint8_t *out, const uint8_t *a, const uint8_t *b)
{
    UNROLL
    for (int i = 0; i < 8; i++)
        _mm512_store_si512(out + 64 * i, codes_8bit(load2(a + 32 * i, b + 32 * i)));
}

/* Rows 0 and 1 of each four come apart from 2 and 3, with k 0, 1 beside k 2, 3: all rows of k 0, 1, then of
 * k 2, 3. */
INLINE void unpack_fp8(uint8_t *out, const uint8_t *a, const uint8_t *b)
{
    UNROLL
    for (int i = 0; i < 8; i++) {
        __m512i w01, w23;
        fp8_integers(&w01, &w23, load2(a + 32 * i, b + 32 * i));
        __m512 x = _mm512_castsi512_ps(w01), y = _mm512_castsi512_ps(w23);
        _mm512_store_ps(out + 128 * i, _mm512_shuffle_ps(x, y, 0x88));
        _mm512_store_ps(out + 128 * i + 64, _mm512_shuffle_ps(x, y, 0xdd));
    }
}

/* Groups [g0, g0 + p->groups) of 16 rows to vector v of the panel; g0 is a multiple of 4. */
static void unpack_rows(struct panel *p, int v, const struct packed *w, int row, int g0)
{
    enum weight_format f = w->base.format;
    int is_fp4 = f == WF_FP4 || f == WF_MXFP4;
    size_t scales = packed_scale_bytes(f), codes = packed_block_bytes(f) - scales;
    const uint8_t *a = w->data + (size_t)(row / PACK_ROWS) * w->group_bytes +
                       (size_t)(g0 / 4) * packed_block_bytes(f);
    /* A last group of 8 rows alone is taken twice; the copy's results are dropped. */
    const uint8_t *b = row + PACK_ROWS < w->base.rows ? a + w->group_bytes : a;
    for (int g = 0; g < p->groups; g++) {
        size_t block = (size_t)(g / 4) * (scales + codes), at = block + scales;
        size_t code = at + (size_t)(g % 4) * (codes / 4);
        if (f == WF_FP8) {
            unpack_fp8(p->code[v] + 2 * BYTES * g, a + code, b + code);
            _mm512_store_ps(p->ws[v][g], fp8_scales(w, row, g0 + g));
        } else if (f == WF_Q8_0) {
            unpack_8bit(p->code[v] + BYTES * g, a + code, b + code);
            size_t s = block + 16 * (size_t)(g % 4);
            _mm512_store_ps(p->ws[v][g], f16_scales(a + s, b + s));
        } else {
            unpack_4bit(p->code[v] + BYTES * g, a + code, b + code, is_fp4);
            size_t s = block + (is_fp4 ? 8 : 16) * (size_t)(g % 4);
            _mm512_store_ps(p->ws[v][g],
                            is_fp4 ? e8m0_scales(a + s, b + s) : f16_scales(a + s, b + s));
        }
    }
}

/* --- prefetching --- */

/* Of `groups` groups of k from g0 on, for the panel whose first row is `row`; `row1` ends the rows.
 * Nothing where g0 is beyond the last. */
static void ahead_set(struct ahead *a, const struct packed *w, int row, int row1, int g0,
                      int groups)
{
    size_t block = packed_block_bytes(w->base.format);
    *a = (struct ahead){.lines = (int)(block * (size_t)((groups + 3) / 4) / 64)};
    for (; groups > 0 && a->n < 2 * VECTORS && row < row1; row += PACK_ROWS)
        a->at[a->n++] =
            w->data + (size_t)(row / PACK_ROWS) * w->group_bytes + (size_t)(g0 / 4) * block;
}

/* All of them within n tokens' tiles. */
static void ahead_share(struct ahead *a, int n, int groups)
{
    int steps = (n + TOKENS - 1) / TOKENS * groups;
    a->per_group = (a->n * a->lines + steps - 1) / steps;
}

INLINE void ahead_fetch(struct ahead *a)
{
    for (int k = 0; k < a->per_group && a->i < a->n; k++) {
        _mm_prefetch((const char *)a->at[a->i] + 64 * a->line, _MM_HINT_T1);
        if (++a->line < a->lines) continue;
        a->line = 0;
        a->i++;
    }
}

/* --- products --- */

/* n tokens x `vectors` x 16 rows; these and is_words are constant after inlining. */
INLINE void multiply(const struct panel *p, const struct tokens *x, const __mmask16 *rows,
                     int first, int n, int vectors, int is_words)
{
    const int steps = is_words ? 16 : 8;
    __m512 acc[TOKENS][VECTORS];
    UNROLL
    for (int t = 0; t < n; t++)
        UNROLL
    for (int v = 0; v < vectors; v++)
        acc[t][v] =
            first ? _mm512_setzero_ps() : _mm512_maskz_loadu_ps(rows[v], x->y[t] + ROWS * v);
    for (int g = 0; g < p->groups; g++) {
        __m512i sum[TOKENS][VECTORS];
        UNROLL
        for (int t = 0; t < n; t++)
            UNROLL
        for (int v = 0; v < vectors; v++)
            sum[t][v] = is_words ? _mm512_setzero_si512() : _mm512_set1_epi32(x->start[t][g]);
        UNROLL
        for (int i = 0; i < steps; i++) {
            size_t at = (size_t)(g * steps + i);
            UNROLL
            for (int t = 0; t < n; t++) {
                __m512i q = spread32((const int8_t *)x->q[t] + 4 * at);
                UNROLL
                for (int v = 0; v < vectors; v++) {
                    __m512i code = _mm512_load_si512(p->code[v] + 64 * at);
                    sum[t][v] = is_words ? _mm512_dpwssd_epi32(sum[t][v], code, q)
                                         : _mm512_dpbusd_epi32(sum[t][v], code, q);
                }
            }
        }
        ahead_fetch(x->ahead);
        UNROLL
        for (int v = 0; v < vectors; v++) {
            __m512 ws = _mm512_load_ps(p->ws[v][g]);
            UNROLL
            for (int t = 0; t < n; t++)
                acc[t][v] = chain(acc[t][v], sum[t][v], ws, x->scale[t] + g);
        }
    }
    UNROLL
    for (int t = 0; t < n; t++)
        UNROLL
    for (int v = 0; v < vectors; v++)
        _mm512_mask_storeu_ps(x->y[t] + ROWS * v, rows[v], acc[t][v]);
}

typedef void tile_fn(const struct panel *p, const struct tokens *x, const __mmask16 *rows,
                     int first);

#define TILE_OF(n, vectors, is_words)                                                              \
    static void tile_##n##_##vectors##_##is_words(const struct panel *p, const struct tokens *x,   \
                                                  const __mmask16 *rows, int first)                \
    {                                                                                              \
        multiply(p, x, rows, first, n, vectors, is_words);                                         \
    }
#define TILES_OF(vectors, is_words)                                                                \
    TILE_OF(1, vectors, is_words)                                                                  \
    TILE_OF(2, vectors, is_words)                                                                  \
    TILE_OF(3, vectors, is_words)                                                                  \
    TILE_OF(4, vectors, is_words)
TILES_OF(1, 0)
TILES_OF(2, 0)
TILES_OF(3, 0)
TILES_OF(1, 1)
TILES_OF(2, 1)
TILES_OF(3, 1)

static tile_fn *const tiles[2][VECTORS][TOKENS] = {
    {{tile_1_1_0, tile_2_1_0, tile_3_1_0, tile_4_1_0},
     {tile_1_2_0, tile_2_2_0, tile_3_2_0, tile_4_2_0},
     {tile_1_3_0, tile_2_3_0, tile_3_3_0, tile_4_3_0}},
    {{tile_1_1_1, tile_2_1_1, tile_3_1_1, tile_4_1_1},
     {tile_1_2_1, tile_2_2_1, tile_3_2_1, tile_4_2_1},
     {tile_1_3_1, tile_2_3_1, tile_3_3_1, tile_4_3_1}}};

/* --- loops --- */

struct job {
    float *y;
    size_t ldy;
    const struct packed *w;
    const struct acts *x;
    int x_first;
    const int32_t *idx;
};

static int offset_of(enum weight_format f)
{
    return f == WF_Q8_0 ? OFFSET_INT8 : f == WF_Q4_0 ? OFFSET_INT4 : OFFSET_FP4;
}

/* Index of token t's first group in the activations. */
static size_t first_group(const struct job *j, int t)
{
    return (size_t)(j->idx ? j->idx[t] : t) * (size_t)(j->x->k / GROUP) +
           (size_t)(j->x_first / GROUP);
}

static void make_words(union slice *s, const struct job *j, int t0, int n, int g0, int groups)
{
    for (int t = 0; t < n; t++) {
        const int8_t *q = j->x->q + GROUP * (first_group(j, t0 + t) + (size_t)g0);
        for (int k = 0; k < GROUP * groups; k += GROUP) {
            __m256i bytes = _mm256_loadu_si256((const __m256i *)(const void *)(q + k));
            _mm512_store_si512(s->words[t] + k, _mm512_cvtepi8_epi16(bytes));
        }
    }
}

/* A vector of starts for each token. */
static void make_starts(union slice *s, const struct job *j, int t0, int n, int g0, int groups)
{
    const __m512i factor = _mm512_set1_epi16((short)-offset_of(j->w->base.format));
    for (int t = 0; t < n; t++) {
        const int16_t *pairs = j->x->pairs + 2 * (first_group(j, t0 + t) + (size_t)g0);
        __m512i sums = _mm512_maskz_loadu_epi32((__mmask16)((1u << groups) - 1), pairs);
        _mm512_store_si512(s->start[t], _mm512_madd_epi16(sums, factor));
    }
}

/* Tokens [t0, t0 + n) times the panel, whose first row is `row`. */
static void run_tokens(const struct job *j, const struct panel *p, const union slice *s,
                       struct ahead *ahead, int t0, int n, int g0, int row, int row1)
{
    int vectors = (row1 - row + ROWS - 1) / ROWS;
    __mmask16 rows[VECTORS];
    vectors = vectors < VECTORS ? vectors : VECTORS;
    for (int v = 0; v < vectors; v++) {
        int left = row1 - row - ROWS * v;
        rows[v] = (__mmask16)(left < ROWS ? (1u << left) - 1 : 0xffff);
    }
    ahead_share(ahead, n, p->groups);
    for (int t = 0, count, left = (n + TOKENS - 1) / TOKENS; t < n; t += count, left--) {
        struct tokens x = {.ahead = ahead};
        count = (n - t + left - 1) / left; /* 5 as 3 + 2, which is faster than 4 + 1 */
        for (int i = 0; i < count; i++) {
            size_t at = first_group(j, t0 + t + i) + (size_t)g0;
            x.q[i] = p->is_words ? (const void *)s->words[t + i] : j->x->q + at * GROUP;
            x.scale[i] = j->x->scale + at;
            x.start[i] = p->is_words ? NULL : s->start[t + i];
            x.y[i] = j->y + (size_t)(t0 + t + i) * j->ldy + row;
        }
        tiles[p->is_words][vectors - 1][count - 1](p, &x, rows, g0 == 0);
    }
}

/* The codes after those of slice g0 and the rows before `row`: of the next rows, of the next slice, or,
 * as tasks mostly go on there, of the rows after row1. */
static void next_panel(struct ahead *a, const struct job *j, int row0, int row1, int row, int g0,
                       int slice)
{
    int all = j->w->base.cols / GROUP;
    if (row >= row1) {
        row = row0;
        g0 += slice;
    }
    if (g0 >= all) {
        row = row1;
        row1 = j->w->base.rows;
        g0 = 0;
    }
    ahead_set(a, j->w, row, row1, g0, all - g0 < slice ? all - g0 : slice);
}

void matmul_panel_avx512(float *y, size_t ldy, const struct packed *w, int row0, int row1,
                         const struct acts *x, int x_first, const int32_t *idx, int n_t)
{
    struct job j = {y, ldy, w, x, x_first, idx};
    struct panel p; /* large: no part of it is set before there is use for it */
    union slice s;
    struct ahead ahead;
    p.is_words = w->base.format == WF_FP8;
    int all = w->base.cols / GROUP, slice = p.is_words ? SLICE_FP8 : SLICE;
    for (int t0 = 0; t0 < n_t; t0 += BLOCK) {
        int n = n_t - t0 < BLOCK ? n_t - t0 : BLOCK;
        for (int g0 = 0; g0 < all; g0 += slice) {
            p.groups = all - g0 < slice ? all - g0 : slice;
            (p.is_words ? make_words : make_starts)(&s, &j, t0, n, g0, p.groups);
            for (int row = row0; row < row1; row += STEP) {
                for (int v = 0; ROWS * v < STEP && row + ROWS * v < row1; v++)
                    unpack_rows(&p, v, w, row + ROWS * v, g0);
                next_panel(&ahead, &j, row0, row1, row + STEP, g0, slice);
                run_tokens(&j, &p, &s, &ahead, t0, n, g0, row, row1);
            }
        }
    }
}
