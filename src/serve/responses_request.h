/* The body of POST /responses (OpenAI), made into one of POST /chat/completions, so that everything behind it
 * is the same.
 * Source: docs/spec, API, section 4. */
#pragma once
#include <jansson.h>
#include <stdbool.h>

#include "serve/api_error.h"

enum { RESPONSES_MAX_METADATA = 16, RESPONSES_MAX_KEY = 64, RESPONSES_MAX_VALUE = 512 };

struct responses_request {
    json_t *chat;   /* the chat body; owned until it is taken */
    json_t *echo;   /* what a response repeats of its request; owned */
    json_t *custom; /* names of custom tools, as the keys of an object; owned */
    bool summary;   /* the reasoning is told as its summary */
    bool encrypted; /* and as encrypted_content, too (serve/opaque.h) */
};

/* Takes body over. The chat body is for chat_request_read, which may refuse it still: numbers of sampling, and
 * what is not done yet. 400, 422; 503 when there is no memory.
 *
 *     instructions, messages of system and developer    system messages; those that follow each other are one,
 *                               with an empty line between
 *     messages of user          with an empty line between parts and messages that follow each other
 *     reasoning, messages of assistant, function_call, custom_tool_call   one assistant message, until
 *                               something else follows; of reasoning its content, else the encrypted_content
 *                               that was made here, else its summary
 *     function_call_output, custom_tool_call_output     tool's messages; other parts than text in them read
 *                               "[Unsupported TYPE]"
 *     custom tools              functions with one text, `input`; their grammar is told, not enforced
 *     max_output_tokens, reasoning.effort, text.format, tool_choice, user   their counterparts
 *     temperature, top_p, and the fields of a chat request that this API does not know
 *                               as they are: seed, top_k, ignore_eos, ...
 *
 * Tools that a service would run itself (web_search, file_search, ...) are left out; those that its clients
 * run in a way of their own (local_shell, computer_use, ...) are refused, as are previous_response_id,
 * conversation, background, prompt, images, files, items of other kinds, log-probabilities and allowed_tools.
 * Ignored: store, metadata (both come back), truncation, verbosity and all that is unknown. metadata has at most 16
 * pairs, keys of 64 and texts of 512 characters. */
MUST_USE int responses_request_read(struct responses_request *out, json_t *body,
                                    struct api_error *e);
/* 413 for the largest field of those that a response repeats, when they have more than `most` bytes together. */
MUST_USE int responses_request_limit(const struct responses_request *r, size_t most,
                                     struct api_error *e);
void responses_request_fini(struct responses_request *r); /* takes a zeroed one, too */
