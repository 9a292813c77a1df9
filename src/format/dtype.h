/* Element types of stored tensors, over all containers. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum dtype {
    DT_F32,
    DT_F16,
    DT_BF16,
    DT_F8_E4M3,
    DT_F8_E8M0,
    DT_FP4, /* packed e2m1, two a byte, low nibble first (official experts; stored as I8) */
    DT_I8,
    DT_U8,
    DT_I32,
    DT_I64,
    DT_Q8_0,  /* GGUF: 32 values: f16 scale, 32 int8 */
    DT_Q4_0,  /* GGUF: 32 values: f16 scale, 16 bytes; low nibbles are values 0..15 */
    DT_MXFP4, /* GGUF: 32 values: e8m0 byte, 16 bytes; low nibbles are values 0..15 */
    DT_COUNT
};

const char *dtype_name(enum dtype t);

/* Values that are stored together: 32 for Q8_0, Q4_0 and MXFP4, 2 for FP4, else 1. */
int dtype_block(enum dtype t);

/* Bytes of `n` values along a row; n must be a multiple of dtype_block. */
uint64_t dtype_row_bytes(enum dtype t, uint64_t n);
