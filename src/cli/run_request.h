/* tenon run --request: the body of POST /chat/completions, or of one that continues raw text (cli/run_completion.h),
 * answered without a server. */
#pragma once
#include "cli/ask.h"

/* Answers the body in the file at path ("-": standard input) and prints {"choices", "usage", "seed"} as JSON; the answers
 * are those of the server, byte for byte, but for the random ids of calls. From o come the options that open
 * the model. *cancelled: Ctrl-C ended it, and what there was is printed. */
MUST_USE int run_request(const struct ask_options *o, const char *model, const char *path,
                         bool *cancelled, struct err *err);
