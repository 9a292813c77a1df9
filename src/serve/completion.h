/* A request that continues raw text, under way: what the endpoints in OpenAI's and llama-server's shape share. */
#pragma once
#include "serve/completion_request.h"
#include "serve/exchange.h"
#include "serve/token_log.h"

struct completion {
    struct completion_request request;
    struct completion_choice {
        struct buf text;      /* not of a stream */
        struct token_log log; /* tokens drawn and not yet told */
        size_t chars;         /* of the text before these */
        bool told;            /* the prompt's tokens have been */
        bool begun;           /* the first event has been sent */
    } choices[EXCHANGE_MAX_CHOICES];
    struct token_log
        prompts[EXCHANGE_MAX_CHOICES]; /* with echo and logprobs: each prompt's tokens */
    bool failed;                       /* memory was short: something is missing */
};

/* api.prepare for a body of this shape: checks, ids, one job for each prompt. */
MUST_USE int completion_prepare(struct exchange *x, json_t *body, enum completion_shape shape,
                                struct api_error *e);

/* api.streams, api.drawn, api.prompted, api.fini; and api.event, but for the sending. */
bool completion_streams(const struct exchange *x);
void completion_keep(struct exchange *x, int choice, const struct parse_event *e);
void completion_drawn(struct exchange *x, int choice, const struct pick *p);
void completion_prompted(struct exchange *x, int first_choice, const struct pick *p);
void completion_fini(struct exchange *x);

/* The prompt that a choice continues. */
int completion_prompt_of(const struct exchange *x, int choice);

/* Prompt i as text, which echo gives back, added to out. */
void completion_echo(const struct exchange *x, int i, struct buf *out);

/* What the tokens of the choice that are not yet told have for log-probabilities, with echo first those of its
 * prompt, in the shape of
 * serve/token_log.h; JSON null without any. The caller owns it; NULL when memory is out. */
json_t *completion_logprobs(struct exchange *x, int choice);
