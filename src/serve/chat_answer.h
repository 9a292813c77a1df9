/* An answer in OpenAI's shape, from the parser's events.
 * Source: docs/spec, API, sections 2.2 and 2.3. */
#pragma once
#include <jansson.h>
#include <stdbool.h>

#include "base/buf.h"
#include "serve/exchange.h"
#include "text/parse.h"

struct chat_call {
    char id[EXCHANGE_ID];
    char *name;
    struct buf arguments;
    bool complete;
};

struct chat_answer {
    bool thinking;           /* it begins in the reasoning */
    const char *call_prefix; /* of the calls' ids; "call_" unless set otherwise */
    struct buf reasoning, content;
    struct chat_call *calls;
    int n_calls, cap;
    /* Log-probabilities not yet told, as JSON; NULL: none are kept. */
    json_t *content_picks, *reasoning_picks;
    bool in_reasoning; /* so is the next pick */
    bool failed;       /* memory was short: something is missing */
};

void chat_answer_init(struct chat_answer *a, bool thinking);
void chat_answer_fini(struct chat_answer *a); /* takes a zeroed one, too */

/* Keeps what the event brings. */
void chat_answer_add(struct chat_answer *a, const struct parse_event *e);

/* The delta that tells of the event, which has been added; NULL for one that nothing is told of. The
 * caller owns it. */
json_t *chat_answer_delta(const struct chat_answer *a, const struct parse_event *e);

/* The message of a complete answer: calls that never closed are left out. NULL when memory is out. */
json_t *chat_answer_message(const struct chat_answer *a);

/* Keeps the log-probabilities of a token; the one that closes the reasoning counts to it. EOS has none. */
void chat_answer_pick(struct chat_answer *a, const struct tokenizer *t, const struct parse_ids *ids,
                      const struct pick *p);

/* Those kept since the last call, {"content", "reasoning_content"}; the caller owns it. JSON null when
 * there are none. */
json_t *chat_answer_logprobs(struct chat_answer *a);
