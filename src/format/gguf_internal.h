/* What gguf.c (parsing) and gguf_meta.c (metadata access) share. Private to format/. */
#pragma once
#include "base/file.h"
#include "format/gguf.h"

/* One metadata value. */
struct gguf_kv {
    char *key;
    enum gguf_type type, element; /* element: of arrays */
    uint64_t count;               /* elements of an array, bytes of a string, else 1 */
    size_t payload, size;         /* bytes after the type tag, in head */
    size_t data;                  /* first element of an array, first byte of a string */
    uint32_t *starts;             /* arrays of strings: where each one's length stands, in head */
};

/* The header of one file. */
struct gguf_part {
    const uint8_t *head; /* from byte 0 of the file to the end of the header */
    uint8_t *owned;      /* the same when it must be freed, NULL when borrowed */
    int n_kv;
    struct gguf_kv *kv;
    struct gguf_kv **by_key; /* [n_kv], sorted */
    int n_tensors;
    struct gguf_tensor *tensors;
};

struct gguf {
    char *path;
    int n_files;
    struct file *files;    /* [n_files] */
    struct gguf_part meta; /* of the first file; its tensors moved to the list below */
    int n_tensors;
    struct gguf_tensor *tensors;
    const struct gguf_tensor **by_name; /* [n_tensors], sorted */
};

/* Bytes of a scalar type, 0 for strings and arrays and unknown numbers. */
int gguf_scalar_bytes(uint32_t type);

/* n little-endian bytes. */
uint64_t gguf_le(const uint8_t *p, int n);

const struct gguf_kv *gguf_kv_find(const struct gguf_part *part, const char *key);
/* A non-negative integer; false when absent or of another type. */
bool gguf_kv_u64(const struct gguf_part *part, const struct gguf_kv *kv, uint64_t *v);
