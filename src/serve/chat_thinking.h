/* Whether a chat request wants reasoning, and how much: see chat_request.h. Private to the chat request.
 * Source: docs/spec, API, section 2.1; tokenizer and prompt, section 2. */
#pragma once
#include "serve/chat_request.h"
#include "serve/fields.h"

/* Reads thinking, reasoning_effort and chat_template_kwargs into r->prompt; r->model is known. */
MUST_USE int chat_thinking_read(struct chat_request *r, const struct fields *body,
                                const struct chat_rules *rules);
