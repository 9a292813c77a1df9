/* A conversation on its way from another dialect, where it is a list of blocks or items, to the messages
 * that chat_request_read takes. Parts of one role that follow each other become one message.
 *
 *     dialogue_init(&d)
 *     dialogue_text(&d, TURN_USER, text, "\n\n") ...
 *     messages = dialogue_end(&d)         NULL when memory was short
 *     dialogue_fini(&d)
 *
 * Work and memory are linear in what is added. */
#pragma once
#include <jansson.h>
#include <stdbool.h>

#include "base/buf.h"

enum turn { TURN_NONE, TURN_SYSTEM, TURN_USER, TURN_ASSISTANT };

struct dialogue {
    json_t *messages;
    enum turn open; /* the message being made */
    struct buf text, reasoning;
    bool has_reasoning;
    json_t *calls; /* NULL: none */
    bool failed;   /* memory was short */
};

void dialogue_init(struct dialogue *d);
void dialogue_fini(struct dialogue *d);

/* Adds text, a JSON string, to a message of that role; `between` stands between it and text that the message
 * has already, where neither is empty. */
void dialogue_text(struct dialogue *d, enum turn role, const json_t *text, const char *between);

/* For the assistant's message. arguments: a JSON string or object; borrowed, its reference count goes up. */
void dialogue_reasoning(struct dialogue *d, const char *text, size_t size);
void dialogue_call(struct dialogue *d, const char *id, const char *name, json_t *arguments);

/* What a tool gave: a JSON string or list of parts, which become one text: that of parts of the types
 * `text_type` and "text", with an empty line between them, "[Unsupported TYPE]" for others, as DeepSeek's own
 * encoder writes them. Parts are objects with a string `type` and, for text, a string `text`: checked by the
 * caller. NULL: empty. */
void dialogue_result(struct dialogue *d, const char *call_id, const json_t *content,
                     const char *text_type);

/* The list; the caller owns it. */
json_t *dialogue_end(struct dialogue *d);
