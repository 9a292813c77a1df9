/* The metadata of a converted model. Private to model/. */
#pragma once
#include <stdbool.h>

#include "format/config.h"
#include "format/gguf_write.h"

/* The configuration as deepseek4.* keys; with mtp the block counts include one MTP block. */
void convert_put_config(struct gguf_writer *w, const struct config *c, bool mtp);

/* Tokenizer keys: those of the GGUF `from` when it is not NULL, else from the file tokenizer_json,
 * else (it does not exist) dummy tokens. */
MUST_USE int convert_put_tokenizer(struct gguf_writer *w, const struct config *c,
                                   const struct gguf *from, const char *tokenizer_json,
                                   struct err *err);
