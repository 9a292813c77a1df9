/* The stored state of one sequence, as ops see it.
 *
 * Two kinds of blocks on the device:
 * - the live block, one per sequence: per layer a ring of `window` kv rows (slot = position mod
 *   window) and the compressor carries; then MTP's ring and the last token's streams;
 * - pages, one per 128 positions: per compressed layer the rows (and index keys) of the entries
 *   that end inside those positions. Entry i of a layer with ratio R covers positions
 *   [i R, i R + R), lies in page i R / 128 as number i mod (128 / R) and exists once its last
 *   position has been seen.
 *
 * Row: see enum row_format; numerics, section 5.
 * Index key, rounded: n / 2 bytes of e2m1 (low nibble first), n / 32 e8m0 scales. Float: n f32. */
#pragma once
#include <stddef.h>

#include "ops/tensor.h"

enum { KV_PAGE = 128, KV_FP8_GROUP = 64, KV_FP4_GROUP = 32 };

/* How a kv row lies in memory: d - r e4m3 codes, r values, (d - r) / 64 e8m0 scales, padded to a
 * multiple of 8 bytes; or d f32 values. */
enum row_format {
    ROW_F32,       /* --float */
    ROW_E4M3_BF16, /* default: the r rotated values in bf16; 584 bytes for V4 */
    ROW_E4M3_F32,  /* --activations f32: the rotated values in f32, as the golden runs kept them */
};

/* A compressor's carry: the K and S rows (f32, `width` values; S with ape added) of the last
 * `slots` positions; slot = position mod slots. */
struct carry_place {
    int slots, width;
    size_t k, s; /* offsets in the live block, bytes */
};

/* Geometry and place of one layer's attention; offsets in bytes. */
struct layer_kv {
    int ratio; /* R: 0, 4 (overlapping entries, indexer) or another divisor of 128 */
    int window;
    int head_dim, rope_dim;
    int index_dim; /* R = 4 only */
    enum row_format row_format;
    size_t row_bytes; /* of a stored row */
    size_t key_bytes; /* of a stored index key */
    size_t ring;      /* in the live block */
    struct carry_place carry, key_carry;
    size_t rows, keys; /* in a page */
};

static inline enum row_format kv_row_format(enum numeric_mode mode)
{
    return mode == MODE_FLOAT ? ROW_F32 : mode == MODE_DEFAULT ? ROW_E4M3_BF16 : ROW_E4M3_F32;
}

static inline size_t kv_row_bytes(enum row_format format, int head_dim, int rope_dim)
{
    if (format == ROW_F32) return 4 * (size_t)head_dim;
    size_t n = (size_t)(head_dim - rope_dim);
    size_t rope = (size_t)rope_dim * (format == ROW_E4M3_BF16 ? 2 : 4);
    return (n + rope + n / KV_FP8_GROUP + 7) / 8 * 8;
}

static inline size_t kv_key_bytes(enum numeric_mode mode, int index_dim)
{
    size_t n = (size_t)index_dim;
    return mode == MODE_FLOAT ? 4 * n : n / 2 + n / KV_FP4_GROUP;
}

/* Entries of ratio R that a query at position pos sees: those whose last source is at most pos. */
static inline int kv_visible(int ratio, int pos)
{
    return ratio ? (pos + 1) / ratio : 0;
}
