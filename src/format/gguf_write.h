/* Writer of GGUF version 3: metadata first, then tensors in the order they were declared, streamed.
 *
 *     gguf_writer_open(&w, "model.gguf", err)
 *     gguf_put_...(w, ...)                  metadata, any number
 *     gguf_declare(w, "a", DT_F32, ...)     every tensor
 *     gguf_begin(w, err)                    writes the header
 *     gguf_write(w, data, size, err)        bytes of all tensors one after the other, in any pieces
 *     gguf_finish(w, err)                   checks, syncs, renames
 *     gguf_writer_close(w)                  in any case
 *
 * The bytes go to a temporary file beside path, which takes path's name only in gguf_finish: a
 * reader never sees half a file. Calls out of order, or a tensor too short, are CHECKs. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "format/dtype.h"
#include "format/gguf.h"

struct gguf_writer;

MUST_USE int gguf_writer_open(struct gguf_writer **out, const char *path, struct err *err);
void gguf_writer_close(struct gguf_writer *w); /* takes NULL; removes an unfinished file */

void gguf_put_u32(struct gguf_writer *w, const char *key, uint32_t v);
void gguf_put_f32(struct gguf_writer *w, const char *key, float v);
void gguf_put_bool(struct gguf_writer *w, const char *key, bool v);
void gguf_put_string(struct gguf_writer *w, const char *key, const char *s, size_t size);
/* A value as gguf_raw_at gives it. */
void gguf_put_raw(struct gguf_writer *w, const char *key, enum gguf_type type, const void *data,
                  size_t size);

/* An array: then exactly count elements of its type. */
void gguf_put_array(struct gguf_writer *w, const char *key, enum gguf_type element, uint64_t count);
void gguf_add_string(struct gguf_writer *w, const char *s, size_t size);
void gguf_add_i32(struct gguf_writer *w, int32_t v);
void gguf_add_f32(struct gguf_writer *w, float v);

/* dim[0] moves fastest; the dtype is one that GGUF has. */
void gguf_declare(struct gguf_writer *w, const char *name, enum dtype dtype, int n_dims,
                  const uint64_t *dim);

/* Bytes of all declared tensors, without padding. */
uint64_t gguf_declared_bytes(const struct gguf_writer *w);

MUST_USE int gguf_begin(struct gguf_writer *w, struct err *err);
MUST_USE int gguf_write(struct gguf_writer *w, const void *data, size_t size, struct err *err);
MUST_USE int gguf_finish(struct gguf_writer *w, struct err *err);
