/* The tools of a Responses request: see responses_request.h, whose part it is. */
#pragma once
#include "serve/fields.h"

/* Reads tools, tool_choice and parallel_tool_calls; sets those of the chat body, and in `custom` a key for the
 * name of each custom tool. */
MUST_USE int responses_tools_read(const struct fields *body, json_t *chat, json_t *custom);
