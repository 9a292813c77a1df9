/* Weights in stored form for tests, and what each stored value means, written apart from src/. */
#pragma once
#include "ops/weight.h"
#include "random.h"

struct stored {
    struct weight_src src;
    uint8_t *rows, *scales; /* stored bytes; change them before loading */
    size_t row_bytes;
};

/* Random codes and scales of ordinary size, none that a loader refuses. block_rows x block_cols: FP8
 * only, with scales of `scale`. */
void stored_init(struct stored *s, enum weight_format format, int rows, int cols,
                 enum scale_format scale, int block_rows, int block_cols, struct random *r);
void stored_fini(struct stored *s);

/* Numerics, section 3: the integer of (row, k) and the scale ws of its group. */
int stored_int(const struct stored *s, int row, int k);
float stored_ws(const struct stored *s, int row, int group);

/* The value that the f32 modes multiply with. */
float stored_value(const struct stored *s, int row, int k);
