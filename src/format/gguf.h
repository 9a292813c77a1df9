/* Reader of GGUF version 3, little endian: one file or a split set (-00001-of-0000N.gguf).
 *
 * Opening reads and checks the whole header (rules F1-F5 of the security spec): counts against the
 * bytes left, types, duplicate names, alignment, byte ranges of tensors against the file's size and
 * against each other. Afterwards only I/O can fail. Metadata of a split set is that of its first
 * file. Pointers to strings are borrowed and live until gguf_close; strings are counted, not
 * NUL-terminated, and may hold any byte.
 *
 * Source: the GGUF specification of ggml, docs/gguf.md. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "format/dtype.h"

struct file;
struct gguf;

enum gguf_type {
    GGUF_U8 = 0,
    GGUF_I8 = 1,
    GGUF_U16 = 2,
    GGUF_I16 = 3,
    GGUF_U32 = 4,
    GGUF_I32 = 5,
    GGUF_F32 = 6,
    GGUF_BOOL = 7,
    GGUF_STRING = 8,
    GGUF_ARRAY = 9,
    GGUF_U64 = 10,
    GGUF_I64 = 11,
    GGUF_F64 = 12,
    GGUF_TYPE_COUNT
};

enum { GGUF_MAX_DIMS = 4 };

struct gguf_tensor {
    const char *name; /* NUL-terminated, without a NUL inside */
    enum dtype dtype;
    int n_dims;                  /* 1..GGUF_MAX_DIMS */
    uint64_t dim[GGUF_MAX_DIMS]; /* ne[0] first: the fastest moving; 1 where unused */
    int file;                    /* index of the file of the set */
    uint64_t offset;             /* in that file, absolute */
    uint64_t bytes;
};

/* path: a file, or the first of a split set, whose other files lie in the same folder. */
MUST_USE int gguf_open(struct gguf **out, const char *path, struct err *err);

/* The same for one file's bytes in memory, which must live as long as *out: for fuzzing and tests.
 * There is no file to read tensors from; split sets are refused. */
MUST_USE int gguf_open_bytes(struct gguf **out, const char *what, const void *data, size_t size,
                             struct err *err);

void gguf_close(struct gguf *g); /* takes NULL */

/* ---- metadata ----
 * gguf_get_*: the value of a key. A missing key or one of another type is ERR_FORMAT and names key,
 * type found and type wanted. Use gguf_has for optional keys. */

bool gguf_has(const struct gguf *g, const char *key);

MUST_USE int gguf_get_string(const struct gguf *g, const char *key, const char **s, size_t *len,
                             struct err *err);
/* Any integer type whose value is not negative. */
MUST_USE int gguf_get_u64(const struct gguf *g, const char *key, uint64_t *v, struct err *err);
/* F32, F64 or any integer type; never NaN or infinite. */
MUST_USE int gguf_get_f64(const struct gguf *g, const char *key, double *v, struct err *err);
MUST_USE int gguf_get_bool(const struct gguf *g, const char *key, bool *v, struct err *err);

/* One array. Elements are read with gguf_*_at, index in [0, count) (checked: CHECK). */
struct gguf_array {
    enum gguf_type type; /* of the elements */
    size_t count;
    const uint8_t *data;    /* internal */
    const uint32_t *starts; /* internal */
};

/* An array of strings. */
MUST_USE int gguf_get_strings(const struct gguf *g, const char *key, struct gguf_array *a,
                              struct err *err);
/* An array of any integer type. */
MUST_USE int gguf_get_ints(const struct gguf *g, const char *key, struct gguf_array *a,
                           struct err *err);
/* An array of F32, F64 or any integer type. */
MUST_USE int gguf_get_floats(const struct gguf *g, const char *key, struct gguf_array *a,
                             struct err *err);

const char *gguf_string_at(const struct gguf_array *a, size_t i, size_t *len);
int64_t gguf_int_at(const struct gguf_array *a, size_t i); /* U64 above 2^63 - 1 wraps */
double gguf_float_at(const struct gguf_array *a, size_t i);

/* Type of a key's value as text for messages and listings ("u32", "string", "array of f32"); NULL
 * when there is no such key. */
const char *gguf_type_of(const struct gguf *g, const char *key);

/* Keys in the order of the file. */
int gguf_key_count(const struct gguf *g);
const char *gguf_key_at(const struct gguf *g, int i); /* NUL-terminated */

/* A value as it stands in the file, to copy it elsewhere: type, and the bytes after the type tag
 * (for an array element type, count and elements). */
enum gguf_type gguf_raw_at(const struct gguf *g, int i, const uint8_t **data, size_t *size);

/* ---- tensors and files ---- */

int gguf_tensor_count(const struct gguf *g);
const struct gguf_tensor *gguf_tensor_at(const struct gguf *g, int i);
const struct gguf_tensor *gguf_tensor_find(const struct gguf *g, const char *name); /* or NULL */

int gguf_file_count(const struct gguf *g);
const struct file *gguf_file_at(const struct gguf *g, int i);
