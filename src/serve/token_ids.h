/* Token ids that clients send, and those of the texts that they send.
 * Source: docs/spec, API, sections 3 and 7; security, rules P2 and P5. */
#pragma once
#include "serve/fields.h"
#include "text/ids.h"
#include "text/tokenizer.h"

/* list, called path, must be one of integers that could be ids, and not empty. */
MUST_USE int token_ids_check(const struct fields *f, const char *path, const json_t *list);

/* Appends those of a list that was checked; each must name a token. 400; 503. */
MUST_USE int token_ids_add(const json_t *list, const struct tokenizer *t, const char *param,
                           struct ids *out, struct api_error *e);

/* Appends the ids of a text, none of which is a control token. bos: BOS before them, if there is one, once: a BOS
 * that is spelled out at the text's start counts as that. 400 for more than fit in out; 503. */
MUST_USE int token_ids_of_text(const char *text, bool bos, const struct tokenizer *t,
                               const char *param, struct ids *out, struct api_error *e);

/* Refuses with what a step towards the ids said. Returns -1. */
int token_ids_refuse(const struct ids *out, const char *param, const struct err *err,
                     struct api_error *e);
