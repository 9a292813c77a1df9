/* An answer in the shape of OpenAI's Responses API, from the parser's events: items of reasoning, message,
 * function_call and custom_tool_call.
 * Source: docs/spec, API, section 4.
 *
 *     response.created, response.in_progress
 *     response.output_item.added, what the item's kind has, response.output_item.done    for each item
 *     response.completed, response.incomplete or response.failed
 *
 * Every event has a sequence_number, from 0. The same items make up the whole response of an answer that is no
 * stream. */
#pragma once
#include "serve/chat_answer.h"
#include "serve/responses_request.h"

struct responses_answer {
    /* Sends an event; takes data over, which is NULL when there was no memory for it. NULL: no stream. */
    void (*send)(void *ctx, const char *name, json_t *data);
    void *ctx;
    const struct responses_request *request; /* borrowed, as are the next two */
    const char *id, *model;                  /* of the response: "resp_..." */
    long created;                            /* unix time */
    /* the answer's own; zeroed at first */
    bool begun;
    int sequence;
    json_t *output;       /* items that are complete */
    bool is_open;         /* an item is, */
    enum parse_kind open; /* of this kind: PARSE_REASONING, PARSE_CONTENT or PARSE_CALL, */
    size_t from;          /* whose text begins here in the answer's, */
    int call;             /* or which call it is, */
    bool is_custom;       /* of a custom tool */
    bool failed;          /* memory was short */
};

void responses_answer_fini(struct responses_answer *r); /* takes a zeroed one, too */

/* The first two events, once. */
void responses_answer_begin(struct responses_answer *r);

/* Tells of an event that has been added to `a`; begins if it must. */
void responses_answer_event(struct responses_answer *r, const struct chat_answer *a,
                            const struct parse_event *e);

/* The whole response at the end of an answer, the caller's own; NULL when memory is out. As a stream it is sent,
 * as the last event, and the result is NULL. */
json_t *responses_answer_end(struct responses_answer *r, const struct chat_answer *a,
                             const struct choice_end *end);

/* Of a stream: the last event when the answer could not be completed. */
void responses_answer_fail(struct responses_answer *r, const struct api_error *e);
