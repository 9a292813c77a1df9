/* The tools of a chat request, and which of them it may call. Private to the chat request.
 * Source: docs/spec, API, sections 2.1, 2.4. */
#pragma once
#include "serve/chat_request.h"
#include "serve/fields.h"

/* Reads tools, tool_choice and parallel_tool_calls. Strict tools are refused; the other choices are for the
 * caller to refuse where they are not done. */
MUST_USE int chat_tools_read(struct chat_request *r, const struct fields *body);
