/* One safetensors file: u64 little-endian header size, JSON header, bytes.
 * Source: the safetensors format description, version 0.4, and rules F1-F5 of the security spec. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "format/dtype.h"

enum { SAFETENSORS_MAX_DIMS = 8 };

struct safetensor {
    const char *name; /* in the header; lives as long as struct safetensors */
    enum dtype dtype;
    int n_dims; /* 0 for a single value */
    uint64_t dim[SAFETENSORS_MAX_DIMS];
    uint64_t offset; /* in the file, absolute */
    uint64_t bytes;
};

struct safetensors {
    struct safetensor *tensors; /* by offset */
    int n;
    char *header; /* owned, holds the names */
};

struct file;

/* Reads and checks the header. On failure *s is empty. */
MUST_USE int safetensors_open(struct safetensors *s, const struct file *f, struct err *err);

/* The same for a header in memory (the JSON alone, size bytes; the byte after it must be there and
 * is overwritten) and the size of the file it stands for. Takes ownership of header in any case. */
MUST_USE int safetensors_parse(struct safetensors *s, const char *what, char *header, size_t size,
                               uint64_t file_size, struct err *err);

void safetensors_close(struct safetensors *s); /* takes an empty one */
