/* What flows between ops. Shape letters as in docs/notation.md. */
#pragma once
#include <stddef.h>
#include <stdint.h>

/* Numeric modes; numerics, section 1. */
enum numeric_mode {
    MODE_DEFAULT,  /* int8 activations in quantised linears; kv rows and index keys rounded */
    MODE_F32_ACTS, /* f32 activations; kv rows and index keys rounded */
    MODE_FLOAT,    /* nothing rounded */
};

/* f32 [rows, cols], row-major, scratch of the step. data is a pointer of the step's device: only a
 * backend may follow it (NULL on the null backend). */
struct tensor {
    int rows, cols;
    float *data;
};

/* i32 [rows, cols], the same otherwise. */
struct itensor {
    int rows, cols;
    int32_t *data;
};

/* The input of linears, [rows, k]: f32 always; in MODE_DEFAULT, where k is a multiple of 32, also
 * int8 with one scale per 32 (numerics, section 2). */
struct acts {
    int rows, k;
    float *f32;     /* [rows, k] */
    int8_t *q;      /* [rows, k], -127..127; NULL in the f32 modes */
    float *scale;   /* [rows, k / 32] */
    int16_t *pairs; /* [rows, k / 32, 2]: sums of q over k mod 4 in {0, 1} and {2, 3}; a kernel that
                       stores weights with an offset needs them */
};

/* Stored kv rows of this step, [rows, row_bytes]; see ops/kv.h. */
struct rows {
    int rows;
    size_t row_bytes;
    uint8_t *data;
};
