/* One view over the tensors of a model, whatever holds them: one safetensors file, shards with an
 * index, GGUF or split GGUF; official, transformers or GGUF names. Callers see official names
 * (spec deepseek-v4.md section 8), experts one by one.
 *
 * Everything about a tensor is checked when the model is opened (rules F1-F5 of the security spec):
 * shape, dtype, byte range and file size agree; reading it later can fail only by I/O.
 * Thread-safe after weights_open. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "format/config.h"
#include "format/dtype.h"

/* Where the bytes of a matrix lie: rows of row_bytes, row_stride apart. */
struct extent {
    int file; /* index of the shard */
    uint64_t offset;
    uint64_t row_bytes;
    uint64_t row_stride;
};

/* One tensor, as [rows, cols]; a vector is one row. tid2eid is [vocab, k]. */
struct weight_view {
    const char *name; /* official, e.g. "layers.3.ffn.experts.7.w1.weight"; owned by weights */
    enum dtype dtype;
    int rows, cols; /* logical: for FP4 cols counts values, not bytes */
    bool is_vector;
    struct extent data;
    /* Block scales of F8_E4M3 and FP4 in safetensors; scale_rows 0 when there are none. One scale
     * covers block_rows x block_cols values. dtype F8_E8M0 or F32. */
    enum dtype scale_dtype;
    int scale_rows, scale_cols;
    int block_rows, block_cols;
    struct extent scale;
};

struct weights;

/* path: a folder with *.safetensors and config.json (or inference/config.json), a .gguf file (the
 * first of a split set finds the others) or a .safetensors file with its config beside it. */
MUST_USE int weights_open(struct weights **out, const char *path, struct err *err);
void weights_close(struct weights *w); /* takes NULL */

const struct config *weights_config(const struct weights *w);
const char *weights_path(const struct weights *w);
/* "safetensors" or "gguf". */
const char *weights_container(const struct weights *w);

/* NULL when there is no such tensor. Constant time. */
const struct weight_view *weights_find(const struct weights *w, const char *official_name);

/* All views in order of official name. */
int weights_count(const struct weights *w);
const struct weight_view *weights_at(const struct weights *w, int i);

/* Stored bytes of rows [row, row + n) into out, row_bytes each, without gaps. */
MUST_USE int weights_read(const struct weights *w, const struct weight_view *v, int row, int n,
                          void *out, struct err *err);
/* All scales, scale_rows x scale_cols in their stored dtype. */
MUST_USE int weights_read_scales(const struct weights *w, const struct weight_view *v, void *out,
                                 struct err *err);

/* The same while a model runs that does not fit in memory: past the system's cache where that does not
 * hold the bytes (file_read_once), and ERR_IO too when the files were written to or cut since they
 * were opened. */
MUST_USE int weights_read_once(const struct weights *w, const struct weight_view *v, int row, int n,
                               void *out, struct err *err);
MUST_USE int weights_read_scales_once(const struct weights *w, const struct weight_view *v,
                                      void *out, struct err *err);

/* True when the files hold an MTP block that section 6 describes (e_proj, h_proj, ...). A DSpark
 * drafter under mtp.* gives false, and one warning when the model is opened. */
bool weights_have_mtp(const struct weights *w);

/* Bytes of all files, and of all tensors. */
uint64_t weights_file_bytes(const struct weights *w);
uint64_t weights_tensor_bytes(const struct weights *w);

/* Model digest of numerics.md section 8: canonical config, then name, dtype, shape and stored bytes
 * of each tensor in order of official name. Reads every byte once, with a progress bar. */
MUST_USE int weights_digest(const struct weights *w, uint8_t out[32], struct err *err);
