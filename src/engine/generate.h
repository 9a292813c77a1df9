/* Generation: one answer appended to a session.
 *
 *     struct generation *g = NULL;
 *     session_append(s, prompt...)
 *     if (generation_open(&g, s, &options, err)) ...
 *     if (generation_run(g, err)) ...
 *     ... generation_result(g) ...
 *     generation_close(g);
 *
 * A scheduler of many (engine/batch.h) does what generation_run does for one: collect
 * generation_input of each, one model_forward, generation_accept for each share that asked for
 * logits. */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>

#include "engine/sampler.h"
#include "engine/session.h"
#include "text/parse.h"

enum finish {
    FINISH_STOP,       /* EOS or a stop string */
    FINISH_LENGTH,     /* max_tokens, or the context is full */
    FINISH_TOOL_CALLS, /* at least one complete tool call */
    FINISH_CANCELLED
};

/* "stop", "length", "tool_calls", "cancelled". */
const char *finish_name(enum finish f);

struct generate_options {
    int max_tokens;  /* of the answer; -1: until the context is full; 0: feed the prompt only */
    int max_context; /* most tokens that the session may hold, prompt included */
    int chunk;       /* prompt rows per step of generation_run, >= 1 */
    int eos;         /* token that ends the answer; -1: none */
    bool ignore_eos; /* EOS is a token like others and adds no text */
    struct sampler_options sampling;
    /* Text of the answer. NULL: ids only, and `parse` is not looked at. Else parse.ids.eos is set
     * from eos above. */
    const struct tokenizer *tokenizer;
    struct parse_options parse;
    void (*emit)(void *ctx, const struct parse_event *e); /* or NULL */
    void *ctx;
    const atomic_bool *cancel; /* or NULL; looked at before each step */
    /* When not NULL, gets a fork just before the prompt's last token (the caller frees it): the point
     * where a later turn's prompt can differ, since that token opens or closes the reasoning. */
    struct session **snapshot;
};

struct generation_stats {
    int n_prompt; /* tokens in the session when it began */
    int n_reused; /* of these, already in its state */
    int n_generated;
    double prompt_seconds; /* for display: from the first step to the first token, */
    double decode_seconds; /* and from there to the end */
};

struct generation_result {
    enum finish finish;
    const int32_t *ids; /* tokens drawn, EOS included; borrowed until the session changes */
    int n;
    const struct pick *picks;        /* [n] with options.sampling.logprobs >= 0, else NULL */
    const struct parse_result *text; /* NULL without tokenizer */
    struct generation_stats stats;
};

struct generation;

/* Borrows s. ERR_ARGUMENT for bad options; ERR_LIMIT when the prompt does not fit max_context; at
 * least one token of s must be pending. */
MUST_USE int generation_open(struct generation **out, struct session *s,
                             const struct generate_options *o, struct err *err);
void generation_close(struct generation *g); /* takes NULL */

/* Feeds what is pending and draws until the answer is complete. On failure (see model_forward) the
 * session must be freed or replaced. ERR_CANCELLED never comes out: it is a finish. */
MUST_USE int generation_run(struct generation *g, struct err *err);

/* For a scheduler: this answer's share of a step, as session_input gives it; takes the snapshot on its
 * way. ERR_LIMIT when there is no memory for that. */
MUST_USE int generation_input(struct generation *g, int max_rows, struct model_input *in,
                              struct err *err);

/* For a scheduler: draws from the logits [V] of the session's last token. 1: the answer is complete.
 * Else the drawn token is pending and wants to be fed. */
MUST_USE int generation_accept(struct generation *g, const float *logits, struct err *err);

/* For a scheduler: whether options.cancel is set; and the end of the answer at what it has, which is
 * FINISH_CANCELLED. The session is as good as before. */
bool generation_is_cancelled(const struct generation *g);
MUST_USE int generation_cancel(struct generation *g, struct err *err);

/* Complete after generation_run, once generation_accept gave 1, or after generation_cancel. */
const struct generation_result *generation_result(const struct generation *g);
