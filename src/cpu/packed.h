/* Weights as the CPU keeps them: layout R8K4 for quantised formats, rows as stored for float ones.
 * Source: docs/spec/cpu-kernels.md section 6.
 *
 * R8K4: groups of 8 rows; inside a group blocks of 128 k; codes of [t][row 0..7][j 0..3] for k =
 * 4 t + j (4 bit: low nibble k = 32 b + 4 t + j, high nibble 16 further). Rows are padded to 8 and k
 * to 128 with zero codes. */
#pragma once
#include "ops/weight.h"

enum { PACK_ROWS = 8, PACK_K = 128 };

struct slot_expert;

struct packed {
    struct weight base;
    size_t group_bytes; /* of 8 rows; 0 for float formats and tables */
    size_t row_bytes;   /* float formats and tables: bytes between rows */
    int k_padded;
    uint8_t *data; /* mem_pages; of a deferred expert in its slot, NULL where it has none */
    size_t data_bytes;
    float *scales; /* FP8: [ceil(rows/block_rows), ceil(cols/block_cols)] as f32 */
    size_t n_scales;
    int scale_cols, block_rows, block_cols;
    struct slot_expert *expert; /* the deferred expert that this is part of (slots.h), or NULL */
};

/* Packs from the source, reading a few rows at a time. FP8 NaN codes, e8m0 255 and scales that are not
 * finite are refused (ERR_FORMAT), and so is a quantised K that is no multiple of 32
 * (ERR_UNSUPPORTED); ERR_LIMIT when the host is out of memory. Blocks of FP4 and MXFP4 whose scale
 * byte is 0 or 1 become zeros with byte 127. Thread-safe. */
MUST_USE int packed_load(struct weight **out, const struct weight_src *src, struct err *err);
void packed_free(struct weight *w); /* takes NULL */

/* The two halves of packed_load, for memory of the caller. packed_init checks the source and sets
 * all but data and scales; base.name is then the caller's to free. packed_fill reads and packs into
 * data (data_bytes, 64-byte aligned, any content) and scales (n_scales), with packed_work_bytes of
 * work memory, and allocates nothing; it may be called again. */
MUST_USE int packed_init(struct packed *w, const struct weight_src *src, struct err *err);
size_t packed_work_bytes(const struct weight_src *src);
/* data, then scales, each rounded up to 64 bytes. */
static inline size_t packed_bytes(const struct packed *w)
{
    return (w->data_bytes + 63) / 64 * 64 + (w->n_scales * sizeof *w->scales + 63) / 64 * 64;
}
MUST_USE int packed_fill(struct packed *w, const struct weight_src *src, uint8_t *work,
                         struct err *err);

static inline int packed_is_deferred(const struct weight *w)
{
    return ((const struct packed *)w)->expert != NULL;
}

/* The row as f32 values: what the f32 modes multiply with, and what embed reads. */
void packed_row_f32(float *out, const struct packed *w, int row);

/* The same for k in [k0, k0 + n) of rows [row, row + n_rows): out[i * ld + k - k0]. For quantised
 * formats k0 is a multiple of 32, and n is one too. */
void packed_tile_f32(float *out, size_t ld, const struct packed *w, int row, int n_rows, int k0,
                     int n);

/* The integers and the scale ws of group g (k = 32 g ..) of a quantised row; numerics, section 3. */
void packed_ints(int16_t out[32], const struct packed *w, int row, int g);
float packed_scale(const struct packed *w, int row, int g);

/* FP8: the scale of the block that (row, k) is in. */
static inline float packed_fp8_scale(const struct packed *w, int row, int k)
{
    return w->scales[(size_t)(row / w->block_rows) * (size_t)w->scale_cols +
                     (size_t)(k / w->block_cols)];
}

/* Bytes of 8 rows x 128 k; first come packed_scale_bytes of scales [4][8] (FP8 has none there). */
static inline size_t packed_scale_bytes(enum weight_format f)
{
    return f == WF_FP4 || f == WF_MXFP4 ? 32 : f == WF_Q4_0 || f == WF_Q8_0 ? 64 : 0;
}

static inline size_t packed_block_bytes(enum weight_format f)
{
    return packed_scale_bytes(f) + (f == WF_Q8_0 || f == WF_FP8 ? 1024 : 512);
}

/* F32 vectors and tables: the values themselves. */
static inline const float *packed_f32(const struct weight *w)
{
    return (const float *)(const void *)((const struct packed *)w)->data;
}

static inline const int32_t *packed_i32(const struct weight *w)
{
    return (const int32_t *)(const void *)((const struct packed *)w)->data;
}
