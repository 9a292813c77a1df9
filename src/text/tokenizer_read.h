/* Readers of the two forms of a tokenizer. Private to text. Each fills a vocabulary that
 * vocab_init made, and names the pre-tokenizer. */
#pragma once
#include <jansson.h>

#include "base/err.h"
#include "text/pretoken.h"
#include "text/vocab.h"

MUST_USE int tokenizer_read_json(struct vocab *v, enum pretoken_kind *kind, const json_t *root,
                                 struct err *err);
MUST_USE int tokenizer_read_gguf(struct vocab *v, enum pretoken_kind *kind, const char *path,
                                 struct err *err);
