/* JSON text as Python's json.dumps(value, ensure_ascii=False) writes it, which is what the models
 * were trained on: ", " and ": " between, keys in their order, floats as their shortest form.
 * Source: docs/spec, tokenizer and prompt, section 3.3. */
#pragma once
#include <jansson.h>

#include "base/buf.h"

void pyjson_add(struct buf *out, const json_t *value);

/* A string with its quotes. */
void pyjson_add_string(struct buf *out, const char *s, size_t size);
/* The same without quotes, so that a string can be written in parts; no part may end inside a
 * character. */
void pyjson_add_escaped(struct buf *out, const char *s, size_t size);

/* repr(x) of Python, for finite x. out holds 64 bytes. */
void pyjson_float(double x, char out[64]);
