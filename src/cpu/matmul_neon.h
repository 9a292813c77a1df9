/* Integer linears on R8K4 with vectors of 128 bits; numerics, section 3. Lanes are rows, so each lane keeps
 * its own chain. What is common to matmul_neon.c and matmul_i8mm.c: each defines add_products. Private to
 * these two. */
#pragma once
#include <string.h>

#include "cpu/neon.h"

enum { TOKENS = 8, AHEAD = 4096 };

/* Keeps the compiler from doing all sums first, for which there are too few registers. */
INLINE float32x4_t in_register(float32x4_t v)
{
    __asm__ volatile("" : "+w"(v));
    return v;
}

/* p[i] += products of 4 rows and token t + i over group g, for n tokens, 1 or 2; n is constant after
 * inlining. */
INLINE void add_products(int32x4_t p[2], const int8x16_t w[8], const struct tile *x, int t, int g,
                         int n);

/* 16 e4m3 codes as integers sign * floor(64 |value| + 1/2) = 256 high + low. In an f16 64 value is exact, and
 * vcvta rounds halves away from zero. */
INLINE void fp8_planes(int8x16_t *low, int8x16_t *high, const uint8_t *code)
{
    int8x16_t v = vreinterpretq_s8_u8(vld1q_u8(code));
    float16x8_t scale = vreinterpretq_f16_u16(vdupq_n_u16(0x7400)); /* 2^14 */
    int16x8_t half = vdupq_n_s16(128);
    int16x8_t a = vcvtaq_s16_f16(vmulq_f16(e4m3_halves(vget_low_s8(v)), scale));
    int16x8_t b = vcvtaq_s16_f16(vmulq_f16(e4m3_halves(vget_high_s8(v)), scale));
    *low = vuzp1q_s8(vreinterpretq_s8_s16(a), vreinterpretq_s8_s16(b));
    *high = vcombine_s8(vaddhn_s16(a, half), vaddhn_s16(b, half));
}

/* One step of n chains of 4 rows: acc[t] = fma(sum over group g, ws as, acc[t]). */
INLINE void add_group(float32x4_t acc[TOKENS], const uint8_t *code, float32x4_t ws,
                      const struct tile *x, int g, int n, enum weight_format f)
{
    int8x16_t w[8], high[8];
    if (f == WF_FP8) {
        UNROLL
        for (int i = 0; i < 8; i++)
            fp8_planes(&w[i], &high[i], code + 32 * i);
    } else {
        unpack_rows(w, code, f);
    }
    UNROLL
    for (int t = 0; t < n; t += 2) {
        int32x4_t p[2] = {vdupq_n_s32(0), vdupq_n_s32(0)};
        int two = t + 1 < n ? 2 : 1;
        if (f == WF_FP8) {
            add_products(p, high, x, t, g, two);
            p[0] = vshlq_n_s32(p[0], 8);
            p[1] = vshlq_n_s32(p[1], 8);
        }
        add_products(p, w, x, t, g, two);
        UNROLL
        for (int i = 0; i < two; i++) {
            float32x4_t s = vmulq_n_f32(ws, x->scale[t + i][g]);
            acc[t + i] = in_register(vfmaq_f32(acc[t + i], vcvtq_f32_s32(p[i]), s));
        }
    }
}

/* ws of 8 rows, of the bytes at p: 2^(byte - 128) for FP4, else f16. */
INLINE void load_scales(float32x4_t ws[2], const uint8_t *p, enum weight_format f)
{
    if (f == WF_FP4) {
        uint16x8_t e = vsubq_u16(vmovl_u8(vld1_u8(p)), vdupq_n_u16(1));
        ws[0] = vreinterpretq_f32_u32(vshlq_n_u32(vmovl_u16(vget_low_u16(e)), 23));
        ws[1] = vreinterpretq_f32_u32(vshlq_n_u32(vmovl_high_u16(e), 23));
    } else {
        float16x8_t s = vreinterpretq_f16_u8(vld1q_u8(p));
        ws[0] = vcvt_f32_f16(vget_low_f16(s));
        ws[1] = vcvt_high_f32_f16(s);
    }
}

/* ws of 8 rows at group g; rows beyond the matrix repeat the last. */
static void fp8_scales(float32x4_t ws[2], const struct packed *w, int row, int g)
{
    float s[PACK_ROWS];
    for (int i = 0; i < PACK_ROWS; i++)
        s[i] = packed_fp8_scale(w, row + i < w->base.rows ? row + i : w->base.rows - 1, GROUP * g);
    ws[0] = vmulq_n_f32(vld1q_f32(s), 1.0f / 64.0f);
    ws[1] = vmulq_n_f32(vld1q_f32(s + 4), 1.0f / 64.0f);
}

/* 8 rows against n tokens, n and f constant after inlining; out [n][8]. */
INLINE void rows_of(float *out, const struct packed *w, int row, const struct tile *x, int n,
                    enum weight_format f)
{
    const uint8_t *block = w->data + (size_t)(row / PACK_ROWS) * w->group_bytes;
    const size_t scales = packed_scale_bytes(f), codes = (packed_block_bytes(f) - scales) / 4;
    int groups = w->base.cols / GROUP, rescale = 0;
    float32x4_t acc[2][TOKENS], ws[2] = {vdupq_n_f32(0), vdupq_n_f32(0)};
    UNROLL
    for (int t = 0; t < n; t++)
        acc[0][t] = acc[1][t] = vdupq_n_f32(0);
    for (int g = 0; g < groups; block += scales + 4 * codes) {
        if (scales) prefetch(block, AHEAD);
        for (int b = 0; b < 4 && g < groups; b++, g++) {
            const uint8_t *code = block + scales + (size_t)b * codes;
            UNROLL
            for (size_t at = 0; at < codes; at += 64)
                prefetch(code + at, AHEAD);
            if (f != WF_FP8) {
                load_scales(ws, block + (size_t)b * (scales / 4), f);
            } else if (g == rescale) {
                fp8_scales(ws, w, row, g);
                rescale = w->block_cols < w->base.cols ? g + w->block_cols / GROUP : groups;
            }
            add_group(acc[0], code, ws[0], x, g, n, f);
            add_group(acc[1], code + 16, ws[1], x, g, n, f);
        }
    }
    UNROLL
    for (int t = 0; t < n; t++) {
        vst1q_f32(out + PACK_ROWS * t, acc[0][t]);
        vst1q_f32(out + PACK_ROWS * t + 4, acc[1][t]);
    }
}

INLINE void rows_any(float *out, const struct packed *w, int row, const struct tile *x, int n)
{
    switch (w->base.format) {
    case WF_FP4:
    case WF_MXFP4:
        rows_of(out, w, row, x, n, WF_FP4);
        break;
    case WF_Q4_0:
        rows_of(out, w, row, x, n, WF_Q4_0);
        break;
    case WF_Q8_0:
        rows_of(out, w, row, x, n, WF_Q8_0);
        break;
    default:
        rows_of(out, w, row, x, n, WF_FP8);
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

static void rows_8(float *out, const struct packed *w, int row, const struct tile *x)
{
    rows_any(out, w, row, x, 8);
}

/* Rows [row0, row1) against n_t tokens: what matmul_int is (cpu/kernels.h). */
static void matmul_rows(float *y, size_t ldy, const struct packed *w, int row0, int row1,
                        const struct acts *x, int x_first, const int32_t *idx, int n_t)
{
    static void (*const rows[])(float *, const struct packed *, int, const struct tile *) = {
        NULL, rows_1, rows_2, rows_3, rows_4, NULL, NULL, NULL, rows_8};
    float out[TOKENS][PACK_ROWS];
    struct tile tile;
    for (int row = row0; row < row1; row += PACK_ROWS) {
        int n_rows = row1 - row < PACK_ROWS ? row1 - row : PACK_ROWS;
        for (int t0 = 0; t0 < n_t; t0 += tile.n) {
            int left = n_t - t0, n = left < 4 ? left : left == 5 ? 3 : left < TOKENS ? 4 : TOKENS;
            tile_init(&tile, x, x_first, idx, t0, n);
            rows[n](out[0], w, row, &tile);
            for (int t = 0; t < n; t++)
                memcpy(y + (size_t)(t0 + t) * ldy + row, out[t], (size_t)n_rows * sizeof(float));
        }
    }
}
