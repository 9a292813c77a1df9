/* A matrix of the model on a device. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum weight_format {
    WF_F32,
    WF_F16,
    WF_BF16,
    WF_FP8,   /* e4m3, one byte a value; block scales apart */
    WF_FP4,   /* e2m1, two a byte, low nibble first; e8m0 scale per 32 along a row, apart */
    WF_MXFP4, /* GGUF block of 32: e8m0 byte, 16 bytes; low nibbles are values 0..15 */
    WF_Q8_0,  /* GGUF block of 32: f16 scale, 32 int8 */
    WF_Q4_0,  /* GGUF block of 32: f16 scale, 16 bytes; value = code - 8 */
    WF_I32,   /* a table, not a linear */
    WF_COUNT
};

enum scale_format { SCALE_NONE, SCALE_E8M0, SCALE_F32 };

/* Where a weight's bytes come from. Rows are read in stored form, ascending. */
struct weight_src {
    const char *name;
    enum weight_format format;
    int rows, cols; /* [out, in]; a vector is [1, n] */
    enum scale_format scale;
    int scale_rows, scale_cols; /* one scale per block_rows x block_cols values */
    int block_rows, block_cols;
    void *ctx;
    /* Rows [row, row + n) as stored, gapless. NULL on the null backend, which reads nothing. */
    int (*read_rows)(void *ctx, int row, int n, void *out, struct err *err);
    /* All scales, [scale_rows, scale_cols]. */
    int (*read_scales)(void *ctx, void *out, struct err *err);
};

/* A loaded weight. Backends embed it at the start of a larger struct of their own. */
struct weight {
    char *name;
    enum weight_format format;
    int rows, cols;
    size_t bytes; /* stored bytes that one use of the whole matrix reads */
};

/* True for formats whose linears take int8 activations in MODE_DEFAULT. */
static inline int weight_is_quantised(enum weight_format f)
{
    return f >= WF_FP8 && f <= WF_Q4_0;
}

/* Bytes of n values along one row, without FP8/FP4 scales; n a multiple of the block. */
static inline size_t weight_row_bytes(enum weight_format f, int n)
{
    size_t k = (size_t)n;
    switch (f) {
    case WF_F32:
    case WF_I32:
        return 4 * k;
    case WF_F16:
    case WF_BF16:
        return 2 * k;
    case WF_FP8:
        return k;
    case WF_FP4:
        return k / 2;
    case WF_MXFP4:
        return k / 32 * 17;
    case WF_Q8_0:
        return k / 32 * 34;
    case WF_Q4_0:
        return k / 32 * 18;
    default:
        return 0;
    }
}
