/* Base files: the log-probabilities of a model on a text, to measure others against.
 *
 * All numbers little-endian.
 *   0  8  magic "TENONKL1"
 *   8  4  version (1)
 *  12  4  vocabulary V
 *  16  4  windows
 *  20  4  tokens of a window L
 *  24  4  skip: positions skip .. L - 2 of a window are there (measure/windows.h)
 *  28  4  numeric mode of the model (0 default, 1 f32 activations, 2 float)
 *  32 32  digest of the model
 *  64 32  SHA-256 of the windows' tokens (4 bytes each)
 *  96 32  SHA-256 of all other bytes of the file
 * 128     log-probabilities, f32 [windows, L - 1 - skip, V], natural logarithm
 * f32 as they are computed: a divergence from the file is that from the model, to the bit.
 *
 * Nothing is used before size and hash are right. The hash guards against damage, not against an
 * author; values that are no log-probabilities are refused where they are read. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { KL_BASE_VERSION = 1, KL_BASE_HEADER = 128 };

#define KL_BASE_MAX_BYTES ((size_t)4 << 30)

struct kl_base_id {
    uint32_t vocab, windows, length, skip, mode;
    uint8_t model[32], tokens[32];
};

/* A file taken apart: borrowed from its bytes. */
struct kl_base_view {
    struct kl_base_id id;
    const uint8_t *rows;
    size_t n_rows;
};

/* Checks all that can be checked without a model; `what` names the file. ERR_FORMAT, or
 * ERR_UNSUPPORTED for another version. */
MUST_USE int kl_base_parse(struct kl_base_view *out, const char *what, const void *data,
                           size_t size, struct err *err);

/* The file must be of this vocabulary and these windows; the model and its mode may be any. */
MUST_USE int kl_base_match(const struct kl_base_view *v, const struct kl_base_id *want,
                           struct err *err);

/* Copies row `row` (below n_rows) to out [V]. ERR_FORMAT for a value that is none of [-1e30, 0.001]. */
MUST_USE int kl_base_row(const struct kl_base_view *v, size_t row, float *out, struct err *err);

/* A file being made, whole in memory. */
struct kl_base_image {
    uint8_t *data;
    size_t size;
};

/* Header written, rows zero. ERR_LIMIT above KL_BASE_MAX_BYTES or when memory is out. Free data with
 * free(). */
MUST_USE int kl_base_new(struct kl_base_image *image, const struct kl_base_id *id, struct err *err);
void kl_base_put(struct kl_base_image *image, size_t row, const float *logprobs, int vocab);
void kl_base_seal(struct kl_base_image *image);
