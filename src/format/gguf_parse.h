/* The parser of one GGUF file's header. Private to format/. */
#pragma once
#include "format/gguf_internal.h"

/* f: the file, or NULL when bytes [size] is all of it. file_index goes into the tensors. On failure
 * *part is empty. */
MUST_USE int gguf_part_parse(struct gguf_part *part, const char *what, const struct file *f,
                             const void *bytes, size_t size, int file_index, struct err *err);

void gguf_part_fini(struct gguf_part *part);
