/* The messages of a chat request, checked and made as text/prompt.h wants them: see chat_request.h.
 * Private to the chat request.
 * Source: docs/spec, API, sections 2.1, 2.6. */
#pragma once
#include "serve/chat_request.h"
#include "serve/fields.h"

/* Reads messages, continue_final_message and add_generation_prompt; changes the messages in place and sets
 * r->messages and r->continues. r->prompt.thinking is known. */
MUST_USE int chat_messages_read(struct chat_request *r, const struct fields *body,
                                const struct chat_rules *rules);
