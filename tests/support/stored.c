#include "stored.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { GROUP = 32 };

static int read_rows(void *ctx, int row, int n, void *out, struct err *err)
{
    const struct stored *s = ctx;
    (void)err;
    memcpy(out, s->rows + (size_t)row * s->row_bytes, (size_t)n * s->row_bytes);
    return 0;
}

static size_t scale_size(const struct stored *s)
{
    return (size_t)s->src.scale_rows * (size_t)s->src.scale_cols *
           (s->src.scale == SCALE_F32 ? 4 : 1);
}

static int read_scales(void *ctx, void *out, struct err *err)
{
    const struct stored *s = ctx;
    (void)err;
    memcpy(out, s->scales, scale_size(s));
    return 0;
}

static uint16_t random_half(struct random *r)
{
    return (uint16_t)(random_int(r, 0, 1) << 15 | random_int(r, 5, 18) << 10 |
                      random_int(r, 0, 1023));
}

static void put16(uint8_t *at, uint16_t v)
{
    at[0] = (uint8_t)v;
    at[1] = (uint8_t)(v >> 8);
}

static void fill_rows(struct stored *s, struct random *r)
{
    enum weight_format f = s->src.format;
    size_t n = (size_t)s->src.rows * s->row_bytes;
    int block = f == WF_MXFP4 ? 17 : f == WF_Q8_0 ? 34 : f == WF_Q4_0 ? 18 : 0;
    for (size_t i = 0; i < n; i++)
        s->rows[i] = (uint8_t)random_u64(r);
    if (f == WF_F32) random_floats(r, (float *)(void *)s->rows, (int)(n / 4));
    for (size_t i = 0; (f == WF_F16 || f == WF_BF16) && i < n; i += 2) {
        float x = random_wild(r);
        uint32_t bits;
        memcpy(&bits, &x, 4);
        put16(s->rows + i, f == WF_F16 ? random_half(r) : (uint16_t)(bits >> 16));
    }
    for (size_t i = 0; f == WF_FP8 && i < n; i++)
        if ((s->rows[i] & 0x7f) == 0x7f) s->rows[i] ^= 1;
    for (size_t i = 0; block && i < n; i += (size_t)block) {
        if (f == WF_MXFP4)
            s->rows[i] = (uint8_t)random_int(r, 110, 130);
        else
            put16(s->rows + i, random_half(r));
    }
}

static void fill_scales(struct stored *s, struct random *r)
{
    size_t n = scale_size(s);
    for (size_t i = 0; s->src.scale == SCALE_E8M0 && i < n; i++)
        s->scales[i] = (uint8_t)random_int(r, 110, 130);
    for (size_t i = 0; s->src.scale == SCALE_F32 && i < n; i += 4) {
        float x = 0.001f + fabsf(random_float(r)) * 0.01f;
        memcpy(s->scales + i, &x, 4);
    }
}

void stored_init(struct stored *s, enum weight_format format, int rows, int cols,
                 enum scale_format scale, int block_rows, int block_cols, struct random *r)
{
    memset(s, 0, sizeof *s);
    s->src = (struct weight_src){.name = "test.weight",
                                 .format = format,
                                 .rows = rows,
                                 .cols = cols,
                                 .read_rows = read_rows,
                                 .read_scales = read_scales};
    if (format == WF_FP4) {
        scale = SCALE_E8M0;
        block_rows = 1;
        block_cols = GROUP;
    }
    if (format == WF_FP4 || format == WF_FP8) {
        s->src.scale = scale;
        s->src.block_rows = block_rows;
        s->src.block_cols = block_cols;
        s->src.scale_rows = (rows + block_rows - 1) / block_rows;
        s->src.scale_cols = (cols + block_cols - 1) / block_cols;
    }
    s->row_bytes = weight_row_bytes(format, cols);
    s->rows = malloc((size_t)rows * s->row_bytes);
    s->scales = malloc(scale_size(s) + 1);
    if (!s->rows || !s->scales) abort();
    fill_rows(s, r);
    fill_scales(s, r);
    s->src.ctx = s;
}

void stored_fini(struct stored *s)
{
    free(s->rows);
    free(s->scales);
}

static double half_value(const uint8_t *at)
{
    int bits = at[0] | at[1] << 8, e = bits >> 10 & 31, m = bits & 1023;
    double v = e ? ldexp(1024 + m, e - 25) : ldexp(m, -24);
    return bits >> 15 ? -v : v;
}

static double fp4_value(int code)
{
    static const double value[8] = {0, 0.5, 1, 1.5, 2, 3, 4, 6};
    return code & 8 ? -value[code & 7] : value[code & 7];
}

static double fp8_value(int code)
{
    int e = code >> 3 & 15, m = code & 7;
    double v = e ? ldexp(8 + m, e - 10) : ldexp(m, -9);
    return code & 0x80 ? -v : v;
}

static int e8m0_byte(const struct stored *s, int row, int group)
{
    if (s->src.format == WF_MXFP4) return s->rows[(size_t)row * s->row_bytes + (size_t)group * 17];
    return s->scales[(size_t)row * (size_t)s->src.scale_cols + (size_t)group];
}

/* FP8: the scale of the value's block. */
static double grid_scale(const struct stored *s, int row, int k)
{
    size_t i = (size_t)(row / s->src.block_rows) * (size_t)s->src.scale_cols +
               (size_t)(k / s->src.block_cols);
    if (s->src.scale == SCALE_E8M0) return ldexp(1, s->scales[i] - 127);
    float x;
    memcpy(&x, s->scales + 4 * i, 4);
    return (double)x;
}

static int nibble(uint8_t byte, int high)
{
    return high ? byte >> 4 : byte & 15;
}

int stored_int(const struct stored *s, int row, int k)
{
    const uint8_t *at = s->rows + (size_t)row * s->row_bytes;
    int g = k / GROUP, i = k % GROUP;
    switch (s->src.format) {
    case WF_FP4:
        if (e8m0_byte(s, row, g) < 2) return 0;
        return (int)(2 * fp4_value(nibble(at[k / 2], k % 2)));
    case WF_MXFP4:
        if (e8m0_byte(s, row, g) < 2) return 0;
        return (int)(2 * fp4_value(nibble(at[17 * g + 1 + i % 16], i / 16)));
    case WF_Q4_0:
        return nibble(at[18 * g + 2 + i % 16], i / 16) - 8;
    case WF_Q8_0:
        return (int8_t)at[34 * g + 2 + i];
    default: {
        double v = fp8_value(at[k]);
        int n = (int)floor(64 * fabs(v) + 0.5);
        return v < 0 ? -n : n;
    }
    }
}

float stored_ws(const struct stored *s, int row, int group)
{
    const uint8_t *at = s->rows + (size_t)row * s->row_bytes;
    switch (s->src.format) {
    case WF_FP4:
    case WF_MXFP4:
        if (e8m0_byte(s, row, group) < 2) return 0.5f; /* of zeros */
        return (float)ldexp(1, e8m0_byte(s, row, group) - 128);
    case WF_Q4_0:
        return (float)half_value(at + 18 * group);
    case WF_Q8_0:
        return (float)half_value(at + 34 * group);
    default:
        return (float)(grid_scale(s, row, group * GROUP) / 64);
    }
}

float stored_value(const struct stored *s, int row, int k)
{
    const uint8_t *at = s->rows + (size_t)row * s->row_bytes;
    float x;
    uint32_t bits;
    switch (s->src.format) {
    case WF_F32:
        memcpy(&x, at + 4 * k, 4);
        return x;
    case WF_BF16:
        bits = (uint32_t)(at[2 * k] | at[2 * k + 1] << 8) << 16;
        memcpy(&x, &bits, 4);
        return x;
    case WF_F16:
        return (float)half_value(at + 2 * k);
    case WF_FP8:
        return (float)(fp8_value(at[k]) * grid_scale(s, row, k));
    default:
        return (float)((double)stored_int(s, row, k) * (double)stored_ws(s, row, k / GROUP));
    }
}
