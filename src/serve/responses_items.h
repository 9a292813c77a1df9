/* The input of a Responses request as messages: see responses_request.h, whose part it is. */
#pragma once
#include "serve/fields.h"

/* Reads instructions and input; sets messages of the chat body. */
MUST_USE int responses_items_read(const struct fields *body, json_t *chat);
