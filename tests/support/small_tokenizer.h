/* A tokenizer.json of 256 byte symbols (ids 0..255), a few merges and a few added tokens, to be bent
 * by tests. The caller owns it. Needs jansson only. */
#pragma once
#include <jansson.h>

json_t *small_tokenizer(void);
