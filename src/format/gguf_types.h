/* Numbers that GGUF files use for tensor types. Source: ggml.h, enum ggml_type. */
#pragma once
#include <stdint.h>

#include "format/dtype.h"

/* The dtype of a ggml type number, or DT_COUNT when Tenon does not read it. */
enum dtype gguf_dtype(uint32_t ggml_type);

/* The number of a dtype, or -1 when GGUF has none for it. */
int gguf_number_of(enum dtype t);

/* "Q4_K", or "?" for a number no known ggml version uses. */
const char *gguf_type_name(uint32_t ggml_type);
