/* The tensors of both containers in one form, with official names. Private to format/. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "format/dtype.h"
#include "format/gguf.h"
#include "format/names.h"
#include "format/safetensors.h"

/* A tensor as a container lists it, dimensions outermost first. */
struct stored {
    const char *spelled; /* its name in the file, for messages; borrowed */
    char *official;      /* see struct name; owned */
    enum name_kind kind;
    bool scale;
    enum dtype dtype;
    int n_dims;
    uint64_t dim[SAFETENSORS_MAX_DIMS];
    int file;
    uint64_t offset;
    uint64_t bytes;
};

/* Those of one file into list, which has room for st->n; file is its index. */
MUST_USE int stored_from_safetensors(struct stored *list, const struct safetensors *st, int file,
                                     const char *what, struct err *err);

/* All of g into list, which has room for gguf_tensor_count. */
MUST_USE int stored_from_gguf(struct stored *list, const struct gguf *g, int n_layers,
                              const char *what, struct err *err);

void stored_free(struct stored *list, int n); /* entries may be zeroed */
