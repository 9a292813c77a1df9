/* Float dot products; numerics, section 4: four vectors hold the sixteen partial sums of an output. */
#include <string.h>

#include "cpu/kernels_neon.h"
#include "cpu/neon.h"
#include "quant/convert.h"

enum { SUMS = 16, VECTORS = 4, ROWS = 2, TOKENS = 3, TOKEN_TILES = 4, TILE_K = 256, AHEAD = 2048 };

struct sums {
    float32x4_t v[VECTORS]; /* partial sums 4 i .. 4 i + 3 */
};

/* Adds the sums as the contract's tree does. */
static float tree(const struct sums *p)
{
    float32x4_t a = vaddq_f32(vaddq_f32(p->v[0], p->v[2]), vaddq_f32(p->v[1], p->v[3]));
    float32x2_t b = vadd_f32(vget_low_f32(a), vget_high_f32(a));
    return vget_lane_f32(b, 0) + vget_lane_f32(b, 1);
}

INLINE float32x4_t load_4(const uint8_t *p, enum weight_format f)
{
    if (f == WF_F32) return vreinterpretq_f32_u8(vld1q_u8(p));
    uint16x4_t v = vreinterpret_u16_u8(vld1_u8(p));
    if (f == WF_F16) return vcvt_f32_f16(vreinterpret_f16_u16(v));
    return vreinterpretq_f32_u32(vshlq_n_u32(vmovl_u16(v), 16));
}

static float load_1(const uint8_t *p, enum weight_format f)
{
    float v;
    uint16_t half;
    memcpy(&half, p, sizeof half);
    if (f == WF_F16) return f16_to_f32(half);
    if (f == WF_BF16) return bf16_to_f32(half);
    memcpy(&v, p, sizeof v);
    return v;
}

/* The last n < 16 values. */
static void add_tail(struct sums *p, const uint8_t *w, const float *x, int n, enum weight_format f)
{
    size_t size = f == WF_F32 ? 4 : 2;
    float s[SUMS];
    if (n == 0) return;
    for (int i = 0; i < VECTORS; i++)
        vst1q_f32(s + 4 * i, p->v[i]);
    for (int k = 0; k < n; k++)
        s[k] = __builtin_fmaf(load_1(w + size * (size_t)k, f), x[k], s[k]);
    for (int i = 0; i < VECTORS; i++)
        p->v[i] = vld1q_f32(s + 4 * i);
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
    struct sums s[ROWS][TOKENS];
    int k = 0, n = in->n;
    UNROLL
    for (int t = 0; t < n_t; t++) {
        s[0][t] = p[0][t];
        s[1][t] = p[1][t];
    }
    for (; k + SUMS <= n; k += SUMS) {
        size_t at = (size_t)k * size, ahead = at + AHEAD < row_bytes ? AHEAD : AHEAD + row_bytes;
        prefetch(in->w[0] + at, ahead);
        prefetch(in->w[1] + at, ahead);
        UNROLL
        for (int i = 0; i < VECTORS; i++) {
            float32x4_t a = load_4(in->w[0] + at + 4 * size * (size_t)i, f);
            float32x4_t b = load_4(in->w[1] + at + 4 * size * (size_t)i, f);
            UNROLL
            for (int t = 0; t < n_t; t++) {
                float32x4_t x = vld1q_f32(in->x[t] + k + 4 * i);
                s[0][t].v[i] = vfmaq_f32(s[0][t].v[i], a, x);
                s[1][t].v[i] = vfmaq_f32(s[1][t].v[i], b, x);
            }
        }
    }
    UNROLL
    for (int t = 0; t < n_t; t++) {
        UNROLL
        for (int r = 0; r < ROWS; r++) {
            p[r][t] = s[r][t];
            add_tail(&p[r][t], in->w[r] + (size_t)k * size, in->x[t] + k, n - k, f);
        }
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

static void store(const struct job *j, struct sums p[ROWS][TOKENS], int row, int n_rows, int t0,
                  int n_t)
{
    for (int r = 0; r < n_rows; r++)
        for (int t = 0; t < n_t; t++)
            j->y[(size_t)(t0 + t) * j->ldy + (size_t)(row + r)] = tree(&p[r][t]);
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

/* Eight values, four of each of two rows, times the scales of those rows. */
INLINE void put_values(float *row, float32x4_t a, float32x4_t b, const float scale[2])
{
    vst1q_f32(row, vmulq_n_f32(a, scale[0]));
    vst1q_f32(row + TILE_K, vmulq_n_f32(b, scale[1]));
}

INLINE void put_ints(float *row, int8x8_t v, const float scale[2])
{
    int16x8_t i = vmovl_s8(v);
    put_values(row, vcvtq_f32_s32(vmovl_s16(vget_low_s16(i))), vcvtq_f32_s32(vmovl_high_s16(i)),
               scale);
}

INLINE void put_fp8(float *row, int8x8_t v, const float scale[2])
{
    float16x8_t f = e4m3_halves(v);
    put_values(row, vmulq_n_f32(vcvt_f32_f16(vget_low_f16(f)), 256.0f),
               vmulq_n_f32(vcvt_high_f32_f16(f), 256.0f), scale);
}

/* Rows 4 half .. 4 half + 3 of a group of 32. */
INLINE void unpack_half(float *tile, const uint8_t *code, const float *scale, enum weight_format f)
{
    int8x16_t w[8];
    if (f != WF_FP8) unpack_rows(w, code, f);
    for (int i = 0; i < 8; i++) {
        if (f == WF_FP8) {
            int8x16_t v = vreinterpretq_s8_u8(vld1q_u8(code + 32 * i));
            put_fp8(tile + 4 * i, vget_low_s8(v), scale);
            put_fp8(tile + 2 * TILE_K + 4 * i, vget_high_s8(v), scale + 2);
        } else {
            put_ints(tile + 4 * i, vget_low_s8(w[i]), scale);
            put_ints(tile + 2 * TILE_K + 4 * i, vget_high_s8(w[i]), scale + 2);
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
    float scale[PACK_ROWS] = {0};
    for (int r = 0; r < PACK_ROWS && row + r < w->base.rows; r++)
        scale[r] =
            f == WF_FP8 ? packed_fp8_scale(w, row + r, GROUP * g) : packed_scale(w, row + r, g);
    for (int half = 0; half < 2; half++)
        unpack_half(tile + 4 * half * TILE_K, code + 16 * half, scale + 4 * half, f);
}

/* Tokens [t0, ...) against 8 rows, a tile of k at a time. */
static void quantised_rows(const struct job *j, int row, int n_rows, int t0, int n_tiles)
{
    float tile[PACK_ROWS * TILE_K];
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

void matmul_f32_neon(float *y, size_t ldy, const struct packed *w, int row0, int row1,
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

float sum_squares_neon(const float *x, int n)
{
    struct sums p;
    int k = 0;
    for (int i = 0; i < VECTORS; i++)
        p.v[i] = vdupq_n_f32(0);
    for (; k + SUMS <= n; k += SUMS) {
        UNROLL
        for (int i = 0; i < VECTORS; i++) {
            float32x4_t v = vld1q_f32(x + k + 4 * i);
            p.v[i] = vfmaq_f32(p.v[i], v, v);
        }
    }
    add_tail(&p, (const uint8_t *)(x + k), x + k, n - k, WF_F32);
    return tree(&p);
}
