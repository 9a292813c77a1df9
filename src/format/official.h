/* The tensors that a checkpoint of some configuration has when DeepSeek publishes it: names, stored
 * dtypes and shapes. For telling what a file lacks, and for writing checkpoints.
 * Source: the V4 spec, section 8. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "format/config.h"
#include "format/dtype.h"

struct official_tensor {
    const char *name; /* valid during the call */
    int layer;        /* n_layers for MTP, -1 outside the blocks */
    enum dtype dtype; /* as stored: packed FP4 is I8 [out, in / 2] */
    int n_dims;       /* 1 or 2 */
    int dim[2];
    bool scale; /* block scales of the tensor before it */
};

struct official_options {
    bool fp8_experts; /* as in the Base checkpoints; otherwise FP4 */
    bool mtp;
};

/* Calls fn for each; stops when it gives something other than 0 and returns that. */
int official_each(const struct config *c, struct official_options o,
                  int (*fn)(void *ctx, const struct official_tensor *t), void *ctx);
