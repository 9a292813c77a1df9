#include "cpu/packed.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/size.h"
#include "cpu/unroll.h"
#include "quant/convert.h"
#include "quant/fp8_int.h"

enum { GROUP = 32, READ_BYTES = 256 << 10, SLACK = 64 };

/* Finds the first refused byte; n is a row's or a grid's size. */
static int check_scale_bytes(const struct weight_src *src, const uint8_t *byte, int rows, int cols,
                             struct err *err)
{
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < cols; c++)
            if (byte[(size_t)r * (size_t)cols + (size_t)c] == 255)
                return err_set(err, ERR_FORMAT, "%s: scale [%d, %d] is NaN (e8m0 255)", src->name,
                               r, c);
    return 0;
}

static int check_shape(const struct weight_src *src, struct err *err)
{
    if (src->rows < 1 || src->cols < 1 || (unsigned)src->format >= WF_COUNT)
        return err_set(err, ERR_FORMAT, "%s: %d x %d values of format %d", src->name, src->rows,
                       src->cols, (int)src->format);
    if (!weight_is_quantised(src->format)) return 0;
    if (src->cols % GROUP)
        return err_set(err, ERR_UNSUPPORTED,
                       "%s: rows of %d values; a quantised row must be a multiple of %d", src->name,
                       src->cols, GROUP);
    if (src->format != WF_FP8 && src->format != WF_FP4) return 0;

    int rows = src->block_rows, cols = src->block_cols;
    if (src->scale == SCALE_NONE) return err_set(err, ERR_FORMAT, "%s: has no scales", src->name);
    if (rows < 1 || cols < 1 || src->scale_rows != (src->rows - 1) / rows + 1 ||
        src->scale_cols != (src->cols - 1) / cols + 1)
        return err_set(err, ERR_FORMAT, "%s: %d x %d scales of %d x %d values for %d x %d",
                       src->name, src->scale_rows, src->scale_cols, rows, cols, src->rows,
                       src->cols);
    if (src->format == WF_FP8 && cols % GROUP && cols < src->cols)
        return err_set(err, ERR_UNSUPPORTED,
                       "%s: scales over %d values of a row; must be a multiple of %d", src->name,
                       cols, GROUP);
    if (src->format == WF_FP4 && (rows != 1 || cols != GROUP || src->scale != SCALE_E8M0))
        return err_set(err, ERR_UNSUPPORTED,
                       "%s: FP4 scales over %d x %d values; must be e8m0 over 1 x %d", src->name,
                       rows, cols, GROUP);
    return 0;
}

static size_t scale_size(const struct weight_src *src)
{
    return src->scale == SCALE_F32 ? 4 : 1;
}

static int out_of_memory(const struct weight_src *src, size_t size, struct err *err)
{
    return err_set(err, ERR_LIMIT, "%s: no memory for %zu bytes", src->name, size);
}

/* Sizes of the matrix, packed and as stored. */
static int set_sizes(struct packed *w, const struct weight_src *src, struct err *err)
{
    uint64_t row = weight_row_bytes(src->format, src->cols), stored, scales = 0, total;
    uint64_t k = 0, rows = (uint64_t)src->rows;
    if (weight_is_quantised(src->format)) {
        if (size_align((uint64_t)src->cols, PACK_K, &k) || k > INT32_MAX ||
            size_align(rows, PACK_ROWS, &rows) ||
            size_mul(k / PACK_K, packed_block_bytes(src->format), &total) ||
            size_align(total, 64, &total))
            goto too_large;
        w->k_padded = (int)k;
        w->group_bytes = (size_t)total;
        if (size_mul(total, rows / PACK_ROWS, &total)) goto too_large;
    } else {
        w->row_bytes = (size_t)row;
        if (size_mul(row, rows, &total)) goto too_large;
    }
    if (src->scale != SCALE_NONE &&
        size_mul((uint64_t)src->scale_rows * (uint64_t)src->scale_cols, scale_size(src), &scales))
        goto too_large;
    if (size_add(total, SLACK, &total) || size_mul(row, (uint64_t)src->rows, &stored) ||
        size_add(stored, scales, &stored) || stored > INT64_MAX)
        goto too_large;
    w->base.bytes = (size_t)stored;
    w->data_bytes = (size_t)total;
    if (src->format == WF_FP8) w->n_scales = (size_t)src->scale_rows * (size_t)src->scale_cols;
    return 0;

too_large:
    return err_set(err, ERR_LIMIT, "%s: %d x %d values are too many", src->name, src->rows,
                   src->cols);
}

static bool has_scales_apart(const struct weight_src *src)
{
    return src->format == WF_FP8 || src->format == WF_FP4;
}

/* All scales as stored. */
static int read_scales(uint8_t *out, const struct weight_src *src, struct err *err)
{
    if (src->read_scales(src->ctx, out, err)) return -1;
    if (src->scale == SCALE_E8M0)
        return check_scale_bytes(src, out, src->scale_rows, src->scale_cols, err);
    for (size_t i = 0; i < (size_t)src->scale_rows * (size_t)src->scale_cols; i++) {
        float v;
        memcpy(&v, out + 4 * i, sizeof v);
        if (!__builtin_isfinite(v))
            return err_set(err, ERR_FORMAT, "%s: scale [%zu, %zu] is not finite", src->name,
                           i / (size_t)src->scale_cols, i % (size_t)src->scale_cols);
    }
    return 0;
}

/* FP8 keeps its grid of scales as f32. */
static void keep_scales(const struct packed *w, const struct weight_src *src, const uint8_t *stored)
{
    if (src->scale == SCALE_F32)
        memcpy(w->scales, stored, w->n_scales * sizeof *w->scales);
    else
        for (size_t i = 0; i < w->n_scales; i++)
            w->scales[i] = e8m0_to_f32(stored[i]);
}

/* Position (row, k) of a group's codes inside a packed group. */
static uint8_t *codes_at(const struct packed *w, int row, int g)
{
    enum weight_format f = w->base.format;
    size_t block = packed_block_bytes(f), scale = packed_scale_bytes(f);
    return w->data + (size_t)(row / PACK_ROWS) * w->group_bytes + (size_t)(g / 4) * block + scale +
           (size_t)(g % 4) * ((block - scale) / 4) + (size_t)(row % PACK_ROWS) * 4;
}

/* Where the scale of (row, group g) lies: one byte (e8m0) or two (f16). */
static uint8_t *scale_at(const struct packed *w, int row, int g)
{
    enum weight_format f = w->base.format;
    size_t at = (size_t)(g % 4 * PACK_ROWS + row % PACK_ROWS) * (packed_scale_bytes(f) / 32);
    return w->data + (size_t)(row / PACK_ROWS) * w->group_bytes +
           (size_t)(g / 4) * packed_block_bytes(f) + at;
}

/* n bytes of one row's group, four to each vector of 32. */
INLINE void put_codes(uint8_t *to, const uint8_t *code, int n)
{
    for (int t = 0; t < n / 4; t++)
        memcpy(to + 32 * t, code + 4 * t, 4);
}

static int nan_scale(const struct packed *w, int row, int g, struct err *err)
{
    return err_set(err, ERR_FORMAT, "%s: the scale of row %d, column %d is NaN (e8m0 255)",
                   w->base.name, row, g * GROUP);
}

/* Bytes 0..3 to the even bytes of eight. */
static uint64_t spread_bytes(uint64_t x)
{
    x = (x | x << 16) & 0x0000ffff0000ffffu;
    return (x | x << 8) & 0x00ff00ff00ff00ffu;
}

/* Natural order (low nibble first) to bytes that hold values i and i + 16: even ones from the low
 * nibbles of in[i / 2] and in[i / 2 + 8], odd ones from the high nibbles. Little-endian, as all of
 * the packed layout. */
static void split_nibbles(uint8_t out[16], const uint8_t in[16])
{
    const uint64_t low = 0x0f0f0f0f0f0f0f0fu;
    uint64_t first, second;
    memcpy(&first, in, 8);
    memcpy(&second, in + 8, 8);
    uint64_t even = (first & low) | (second & low) << 4;
    uint64_t odd = (first >> 4 & low) | (second & ~low);
    uint64_t halves[2] = {
        spread_bytes(even & 0xffffffffu) | spread_bytes(odd & 0xffffffffu) << 8,
        spread_bytes(even >> 32) | spread_bytes(odd >> 32) << 8,
    };
    memcpy(out, halves, 16);
}

static int infinite_scale(const struct packed *w, int row, int g, struct err *err)
{
    return err_set(err, ERR_FORMAT, "%s: the scale of row %d, column %d is not finite",
                   w->base.name, row, g * GROUP);
}

static int check_fp8(const struct packed *w, int row, int g, const uint8_t code[32],
                     struct err *err)
{
    int bad = 0;
    for (int i = 0; i < 32; i++)
        bad |= e4m3_is_nan(code[i]);
    for (int i = 0; bad && i < 32; i++)
        if (e4m3_is_nan(code[i]))
            return err_set(err, ERR_FORMAT, "%s: the value of row %d, column %d is NaN",
                           w->base.name, row, g * GROUP + i);
    return 0;
}

/* A stored row of groups, each a scale of s bytes, then n bytes of codes. Constant after inlining; so is
 * f. Loading is this loop, where the disk is fast. */
INLINE int pack_groups(struct packed *w, enum weight_format f, int row, const uint8_t *in,
                       struct err *err)
{
    const int s = f == WF_FP8     ? 0
                  : f == WF_MXFP4 ? 1
                                  : 2,
              n = f == WF_FP8 || f == WF_Q8_0 ? 32 : 16;
    const size_t scales = packed_scale_bytes(f), block = packed_block_bytes(f);
    static const uint8_t zeros[16];
    uint8_t *at = w->data + (size_t)(row / PACK_ROWS) * w->group_bytes;
    int r = row % PACK_ROWS;
    for (int g = 0; g < w->base.cols / GROUP; g++, in += s + n) {
        const uint8_t *code = in + s;
        uint8_t *to = at + (size_t)(g / 4) * block;
        if (f == WF_MXFP4) {
            if (in[0] == 255) return nan_scale(w, row, g, err);
            if (in[0] < 2) code = zeros;
            to[g % 4 * PACK_ROWS + r] = in[0] < 2 ? 127 : in[0];
        } else if (f == WF_FP8) {
            if (check_fp8(w, row, g, code, err)) return -1;
        } else {
            if ((in[1] & 0x7c) == 0x7c) return infinite_scale(w, row, g, err);
            memcpy(to + 2 * (g % 4 * PACK_ROWS + r), in, 2);
        }
        put_codes(to + scales + g % 4 * 8 * n + 4 * r, code, n);
    }
    return 0;
}

/* FP4, whose scales lie apart, and nibbles in another order. */
static int pack_fp4(struct packed *w, int row, const uint8_t *in, const uint8_t *scale,
                    struct err *err)
{
    const size_t block = packed_block_bytes(WF_FP4);
    uint8_t *at = w->data + (size_t)(row / PACK_ROWS) * w->group_bytes;
    int r = row % PACK_ROWS;
    for (int g = 0; g < w->base.cols / GROUP; g++) {
        uint8_t code[16] = {0};
        uint8_t *to = at + (size_t)(g / 4) * block;
        if (scale[g] == 255) return nan_scale(w, row, g, err);
        if (scale[g] >= 2) split_nibbles(code, in + 16 * (size_t)g);
        to[g % 4 * PACK_ROWS + r] = scale[g] < 2 ? 127 : scale[g];
        put_codes(to + 32 + g % 4 * 128 + 4 * r, code, 16);
    }
    return 0;
}

/* One stored row; scale: its e8m0 bytes (FP4). */
static int pack_row(struct packed *w, int row, const uint8_t *in, const uint8_t *scale,
                    struct err *err)
{
    switch (w->base.format) {
    case WF_FP4:
        return pack_fp4(w, row, in, scale, err);
    case WF_MXFP4:
        return pack_groups(w, WF_MXFP4, row, in, err);
    case WF_Q4_0:
        return pack_groups(w, WF_Q4_0, row, in, err);
    case WF_Q8_0:
        return pack_groups(w, WF_Q8_0, row, in, err);
    default:
        return pack_groups(w, WF_FP8, row, in, err);
    }
}

/* What pads rows to 8 and k to 128: e8m0 scales of 1, and the code of zero for Q4_0. All else is 0. */
static void fill_padding(struct packed *w)
{
    enum weight_format f = w->base.format;
    size_t block = packed_block_bytes(f), scale = packed_scale_bytes(f);
    if (w->base.cols == w->k_padded && w->base.rows % PACK_ROWS == 0) return;
    memset(w->data, 0, w->data_bytes);
    if (f != WF_FP4 && f != WF_MXFP4 && f != WF_Q4_0) return;
    int groups = (w->base.rows + PACK_ROWS - 1) / PACK_ROWS, blocks = w->k_padded / PACK_K;
    int tail = w->base.cols != w->k_padded;
    for (int i = 0; i < groups; i++) {
        int whole = i + 1 < groups || w->base.rows % PACK_ROWS == 0;
        for (int b = whole ? blocks - tail : 0; b < blocks; b++) {
            uint8_t *at = w->data + (size_t)i * w->group_bytes + (size_t)b * block;
            if (f == WF_Q4_0)
                memset(at + scale, 0x88, block - scale);
            else
                memset(at, 127, scale);
        }
    }
}

/* Rows that are read at once. */
static int rows_at_once(const struct weight_src *src)
{
    size_t row_bytes = weight_row_bytes(src->format, src->cols);
    int n = row_bytes < READ_BYTES / PACK_ROWS ? (int)(READ_BYTES / row_bytes) : PACK_ROWS;
    return n < src->rows ? n : src->rows;
}

/* in: room for rows_at_once. */
static int pack_rows(struct packed *w, const struct weight_src *src, const uint8_t *scales,
                     uint8_t *in, struct err *err)
{
    size_t row_bytes = weight_row_bytes(src->format, src->cols);
    int at_once = rows_at_once(src);
    for (int row = 0; row < src->rows; row += at_once) {
        int n = src->rows - row < at_once ? src->rows - row : at_once;
        if (src->read_rows(src->ctx, row, n, in, err)) return -1;
        for (int i = 0; i < n; i++) {
            size_t r = (size_t)(row + i);
            if (pack_row(w, row + i, in + (size_t)i * row_bytes,
                         scales ? scales + r * (size_t)src->scale_cols : NULL, err))
                return -1;
        }
    }
    return 0;
}

int packed_init(struct packed *w, const struct weight_src *src, struct err *err)
{
    *w = (struct packed){0};
    if (check_shape(src, err) || set_sizes(w, src, err)) return -1;
    w->base.name = xstrdup(src->name);
    w->base.format = src->format;
    w->base.rows = src->rows;
    w->base.cols = src->cols;
    w->scale_cols = src->scale_cols;
    w->block_rows = src->block_rows;
    w->block_cols = src->block_cols;
    return 0;
}

/* Stored scales lie first. */
static size_t stored_scale_bytes(const struct weight_src *src)
{
    size_t n = (size_t)src->scale_rows * (size_t)src->scale_cols * scale_size(src);
    return has_scales_apart(src) ? (n + 63) / 64 * 64 : 0;
}

size_t packed_work_bytes(const struct weight_src *src)
{
    if (!weight_is_quantised(src->format)) return 0;
    return stored_scale_bytes(src) +
           (size_t)rows_at_once(src) * weight_row_bytes(src->format, src->cols);
}

int packed_fill(struct packed *w, const struct weight_src *src, uint8_t *work, struct err *err)
{
    if (!weight_is_quantised(src->format))
        return src->read_rows(src->ctx, 0, src->rows, w->data, err);
    if (has_scales_apart(src) && read_scales(work, src, err)) return -1;
    if (src->format == WF_FP8) keep_scales(w, src, work);
    fill_padding(w);
    return pack_rows(w, src, src->format == WF_FP4 ? work : NULL, work + stored_scale_bytes(src),
                     err);
}

int packed_load(struct weight **out, const struct weight_src *src, struct err *err)
{
    struct packed *w = xcalloc(1, sizeof *w);
    uint8_t *work = NULL;
    *out = NULL;
    if (packed_init(w, src, err)) goto fail;
    size_t work_bytes = packed_work_bytes(src);
    w->data = mem_pages(w->data_bytes);
    w->scales = malloc(w->n_scales * sizeof *w->scales + 1);
    work = malloc(work_bytes + 1);
    if (!w->data || !w->scales || !work) {
        out_of_memory(src, w->data_bytes + work_bytes, err);
        goto fail;
    }
    if (packed_fill(w, src, work, err)) goto fail;
    free(work);
    *out = &w->base;
    return 0;

fail:
    free(work);
    packed_free(&w->base);
    return -1;
}

void packed_free(struct weight *base)
{
    struct packed *w = (struct packed *)base;
    if (!w) return;
    mem_pages_free(w->data, w->data_bytes);
    free(w->scales);
    free(w->base.name);
    free(w);
}

void packed_ints(int16_t out[32], const struct packed *w, int row, int g)
{
    const uint8_t *code = codes_at(w, row, g);
    enum weight_format f = w->base.format;
    for (int i = 0; i < 32; i++) {
        if (f == WF_Q8_0 || f == WF_FP8) {
            uint8_t c = code[i / 4 * 32 + i % 4];
            out[i] = (int16_t)(f == WF_FP8 ? fp8_int[c] : (int8_t)c);
        } else {
            int c = code[i % 16 / 4 * 32 + i % 4] >> (i / 16 * 4) & 15;
            out[i] = (int16_t)(f == WF_Q4_0 ? c - 8 : e2m1_doubled((uint8_t)c));
        }
    }
}

float packed_scale(const struct packed *w, int row, int g)
{
    if (w->base.format == WF_FP8) return packed_fp8_scale(w, row, g * GROUP) / 64.0f;
    const uint8_t *at = scale_at(w, row, g);
    if (w->base.format == WF_FP4 || w->base.format == WF_MXFP4)
        return e8m0_to_f32((uint8_t)(*at - 1));
    return f16_to_f32((uint16_t)(at[0] | at[1] << 8));
}

static void group_f32(float *out, const struct packed *w, int row, int g)
{
    if (w->base.format == WF_FP8) {
        const uint8_t *code = codes_at(w, row, g);
        float s = packed_fp8_scale(w, row, g * GROUP);
        for (int i = 0; i < 32; i++)
            out[i] = e4m3_to_f32(code[i / 4 * 32 + i % 4]) * s;
        return;
    }
    int16_t v[32];
    float s = packed_scale(w, row, g);
    packed_ints(v, w, row, g);
    for (int i = 0; i < 32; i++)
        out[i] = (float)v[i] * s;
}

static void float_row(float *out, const struct packed *w, int row, int k0, int n)
{
    const uint8_t *at = w->data + (size_t)row * w->row_bytes;
    CHECK(w->base.format <= WF_BF16, "%s: a table has no float values", w->base.name);
    if (w->base.format == WF_F32) {
        memcpy(out, at + 4 * (size_t)k0, (size_t)n * sizeof *out);
        return;
    }
    at += 2 * (size_t)k0;
    for (int k = 0; k < n; k++) {
        uint16_t v = (uint16_t)(at[2 * k] | at[2 * k + 1] << 8);
        out[k] = w->base.format == WF_F16 ? f16_to_f32(v) : bf16_to_f32(v);
    }
}

void packed_tile_f32(float *out, size_t ld, const struct packed *w, int row, int n_rows, int k0,
                     int n)
{
    for (int i = 0; i < n_rows; i++) {
        float *to = out + (size_t)i * ld;
        if (!weight_is_quantised(w->base.format))
            float_row(to, w, row + i, k0, n);
        else
            for (int k = 0; k < n; k += GROUP)
                group_f32(to + k, w, row + i, (k0 + k) / GROUP);
    }
}

void packed_row_f32(float *out, const struct packed *w, int row)
{
    packed_tile_f32(out, 0, w, row, 1, 0, w->base.cols);
}
