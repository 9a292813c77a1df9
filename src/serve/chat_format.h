/* The form that the answer of a chat request must have: see chat_request.h. */
#pragma once
#include "serve/chat_request.h"
#include "serve/fields.h"

/* Fills answer, is_bound and answer_field; the tools are read already. */
MUST_USE int chat_format_read(struct chat_request *r, const struct fields *body);
