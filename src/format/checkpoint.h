/* Writes checkpoints in the official layout: safetensors shards, one for what stands outside the
 * blocks and one per block, and model.safetensors.index.json. For the tools that make models of
 * random or no weights, and for tests. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "format/official.h"

/* Bytes [offset, offset + size) of a tensor into out. */
typedef void checkpoint_fill(void *ctx, const struct official_tensor *t, uint64_t offset, void *out,
                             size_t size);

/* dir must exist; config.json is the caller's. Without fill the files have their full size but no
 * data (holes that read as zero and take no disk). Memory: the list of tensors and a few MB. */
MUST_USE int checkpoint_write(const char *dir, const struct config *c, struct official_options o,
                              checkpoint_fill *fill, void *ctx, struct err *err);
