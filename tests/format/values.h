/* What the stored bytes of a view mean, written apart from src/quant. */
#pragma once
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "files.h"
#include "format/weights.h"

static inline double value_le(const unsigned char *p, int n)
{
    uint64_t v = 0;
    for (int i = n - 1; i >= 0; i--)
        v = v << 8 | p[i];
    return (double)v;
}

static inline double value_float(const unsigned char *p)
{
    float f;
    memcpy(&f, p, 4);
    return (double)f;
}

static inline double value_bf16(const unsigned char *p)
{
    unsigned char wide[4] = {0, 0, p[0], p[1]};
    return value_float(wide);
}

static inline double value_f16(const unsigned char *p)
{
    int bits = p[0] | p[1] << 8, e = bits >> 10 & 31, m = bits & 1023;
    double v = e ? ldexp(1024 + m, e - 25) : ldexp(m, -24);
    return bits >> 15 ? -v : v;
}

static inline double value_e4m3(int code)
{
    int e = code >> 3 & 15, m = code & 7;
    double v = e ? ldexp(8 + m, e - 10) : ldexp(m, -9);
    return code & 128 ? -v : v;
}

static inline double value_e2m1(int code)
{
    static const double v[8] = {0, 0.5, 1, 1.5, 2, 3, 4, 6};
    return code & 8 ? -v[code & 7] : v[code & 7];
}

/* Value k of a row; scale [its row of scales]. */
static inline double value_at(const struct weight_view *v, const unsigned char *row,
                              const unsigned char *scale, int k)
{
    int i = k % 32;
    double s = 1;
    if (v->scale_rows) {
        int b = k / v->block_cols;
        s = v->scale_dtype == DT_F32 ? value_float(scale + 4 * b) : ldexp(1, scale[b] - 127);
    }
    switch (v->dtype) {
    case DT_F32:
        return value_float(row + 4 * k);
    case DT_BF16:
        return value_bf16(row + 2 * k);
    case DT_F16:
        return value_f16(row + 2 * k);
    case DT_F8_E4M3:
        return value_e4m3(row[k]) * s;
    case DT_FP4:
        return value_e2m1(row[k / 2] >> (k % 2 * 4) & 15) * s;
    case DT_I32:
        return (double)(int32_t)value_le(row + 4 * k, 4);
    case DT_I64:
        return value_le(row + 8 * k, 8);
    case DT_Q8_0:
        row += k / 32 * 34;
        return value_f16(row) * (int8_t)row[2 + i];
    case DT_MXFP4:
        row += k / 32 * 17;
        return ldexp(value_e2m1(row[1 + i % 16] >> (i / 16 * 4) & 15), row[0] - 127);
    default:
        fail_msg("no values of %s here", dtype_name(v->dtype));
        return 0;
    }
}

/* All values of a view; the caller frees. */
static inline double *values_of(const struct weights *w, const struct weight_view *v)
{
    struct err err = {0};
    unsigned char *row = malloc(v->data.row_bytes);
    unsigned char *scales = malloc((size_t)v->scale_rows * v->scale.row_bytes + 1);
    double *out = malloc((size_t)v->rows * (size_t)v->cols * sizeof *out);
    assert_true(row && scales && out);
    if (v->scale_rows) assert_int_equal(weights_read_scales(w, v, scales, &err), 0);
    for (int r = 0; r < v->rows; r++) {
        const unsigned char *line =
            v->scale_rows ? scales + (size_t)(r / v->block_rows) * v->scale.row_bytes : scales;
        assert_int_equal(weights_read(w, v, r, 1, row, &err), 0);
        for (int k = 0; k < v->cols; k++)
            out[(size_t)r * (size_t)v->cols + (size_t)k] = value_at(v, row, line, k);
    }
    free(row);
    free(scales);
    return out;
}
