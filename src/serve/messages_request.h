/* The body of POST /v1/messages (Anthropic) and of its count_tokens, made into one of POST /chat/completions,
 * so that everything behind it is the same.
 * Source: docs/spec, API, section 5; tokenizer and prompt, section 3.2. */
#pragma once
#include <jansson.h>
#include <stdbool.h>

#include "serve/api_error.h"

/* Takes body over; *chat is the caller's, for chat_request_read, which may refuse it still: numbers of
 * sampling, and what is not done yet. counts: for count_tokens, which needs no max_tokens and streams
 * nothing. 400, 422; 503 when there is no memory.
 *
 *     system                    a system message; several blocks are joined by a line feed
 *     text of a user's turn     blocks and messages that follow each other, with an empty line between
 *     tool_result               a tool's message, before the text of its turn; other parts than text in it
 *                               read "[Unsupported TYPE]"; is_error is ignored
 *     thinking, text, tool_use  reasoning_content, content and tool_calls of one assistant message; several
 *                               are put together; a signature may be anything
 *     the last message          of the assistant: the answer goes on in it
 *     max_tokens, stop_sequences, metadata.user_id, output_config.effort, thinking.type, tools, tool_choice,
 *     output_config.format (or output_format)   their counterparts
 *     temperature, top_p, top_k, and the fields of a chat request that Anthropic's API does not know
 *                               as they are: seed, min_p, ignore_eos, ...
 *
 * Refused by name: images and documents in a turn, redacted_thinking, tools that have a type of their own.
 * Ignored: cache_control, budget_tokens, service_tier, container, mcp_servers and all that is unknown. */
MUST_USE int messages_request_read(json_t **chat, json_t *body, bool counts, struct api_error *e);
