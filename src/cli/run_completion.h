/* `tenon run --request` of a body that continues raw text: what POST /completions gives for it, or /completion and
 * /infill in their shapes. */
#pragma once
#include "cli/ask.h"

/* Whether the body is one of those: it has a prompt, or what comes before a hole, and no messages. */
bool run_is_completion(const json_t *body);

/* Takes body over, which came from path. Prints the choices, in the shape of POST /completions. *cancelled: it was
 * interrupted, and choices may be missing. */
MUST_USE int run_completion(const struct ask_options *o, const char *model, const char *path,
                            json_t *body, bool *cancelled, struct err *err);
