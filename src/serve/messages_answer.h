/* An answer in the shape of Anthropic's API, from the parser's events: blocks of thinking, text and
 * tool_use.
 * Source: docs/spec, API, section 5.
 *
 *     message_start, ping
 *     content_block_start, content_block_delta ..., content_block_stop      for each block, from index 0
 *     message_delta, message_stop */
#pragma once
#include "serve/chat_answer.h"

struct messages_stream {
    /* Sends an event; takes data over, which is NULL when there was no memory for it. */
    void (*send)(void *ctx, const char *name, json_t *data);
    void *ctx;
    const char *id, *model; /* of the message; borrowed */
    bool begun;
    bool is_open;         /* a block is, */
    enum parse_kind open; /* of this kind: PARSE_REASONING, PARSE_CONTENT or PARSE_CALL */
    int n_blocks;         /* begun */
};

/* The first two events, once. How many of the prompt's tokens were at hand already is not known yet: the usage
 * of message_delta says it. */
void messages_stream_begin(struct messages_stream *s, int n_prompt);

/* A sign of life. */
void messages_stream_ping(struct messages_stream *s);

/* Tells of an event that has been added to `a`. Begins the message if it must. */
void messages_stream_event(struct messages_stream *s, const struct chat_answer *a,
                           const struct parse_event *e, int n_prompt);

/* The end of an answer. stop: the stop string that ended it, or NULL. */
void messages_stream_end(struct messages_stream *s, const struct choice_end *end, const char *stop);

/* The whole message; calls that never closed are left out. The caller owns it; NULL when memory is out. */
json_t *messages_answer_json(const struct chat_answer *a, const char *id, const char *model,
                             const struct choice_end *end, const char *stop);
