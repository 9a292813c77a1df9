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
 * generation_input of each, then round_run and round_accept (engine/round.h). */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>

#include "engine/sampler.h"
#include "engine/session.h"
#include "text/constraint.h"
#include "text/parse.h"

enum finish {
    FINISH_STOP,       /* EOS, a stop token or a stop string */
    FINISH_LENGTH,     /* max_tokens, or the context is full */
    FINISH_TOOL_CALLS, /* at least one complete tool call */
    FINISH_CANCELLED
};

/* "stop", "length", "tool_calls", "cancelled". */
const char *finish_name(enum finish f);

struct speculate;

enum {
    GENERATE_MAX_DRAFT = 1,      /* drafted tokens in a step */
    GENERATE_PROMPT_LOGITS = 64, /* rows of prompts in a step whose logits are wanted: `prompted` */
};

struct generate_options {
    int max_tokens;  /* of the answer; -1: until the context is full; 0: feed the prompt only */
    int max_context; /* most tokens that the session may hold, prompt included */
    int chunk;       /* prompt rows per step of generation_run, >= 1 */
    int eos;         /* token that ends the answer; -1: none */
    bool ignore_eos; /* EOS is a token like others and adds no text */
    /* Tokens that end the answer as EOS does, also with ignore_eos; they add no text. Borrowed until the generation is
     * closed. */
    const int32_t *stop_ids;
    int n_stop_ids;
    int min_tokens; /* before so many are drawn none of them is, nor EOS unless it is ignored */
    struct sampler_options sampling;
    /* Text of the answer. NULL: ids only, and `parse` is not looked at. Else parse.ids.eos is set
     * from eos above. */
    const struct tokenizer *tokenizer;
    struct parse_options parse;
    void (*emit)(void *ctx, const struct parse_event *e); /* or NULL; leaves the session alone */
    void (*drawn)(void *ctx, const struct pick *p); /* or NULL; each token, before its events */
    /* Or NULL. Each token of the prompt but the first that is fed here, in order: its log-probability and the
     * sampling.logprobs most likely there. Then the prompt is fed in smaller steps. */
    void (*prompted)(void *ctx, const struct pick *p);
    void *ctx;                 /* of emit, drawn, prompted, pause */
    const atomic_bool *cancel; /* or NULL; looked at before each step */
    /* When not NULL, gets a fork just before the prompt's last token (the caller frees it): the point
     * where a later turn's prompt can differ, since that token opens or closes the reasoning. */
    struct session **snapshot;
    /* Or NULL: called when the prompt has been fed as far as it said at the call before, the first time before
     * anything is fed; returns how far, which is more than session_fed(s). A fork of s is then the state there. */
    int (*pause)(void *ctx, const struct session *s);
    /* What the answer must look like, NULL: anything. Borrowed until the generation is closed; used on its thread
     * only. It binds from </think> on when parse.thinking says that the answer thinks, else at once; a stop
     * string, stop_ids, max_tokens and the context end the answer as ever, complete or not. Needs tokenizer, and no
     * ignore_eos nor min_tokens. When nothing but EOS can follow the answer ends without it. */
    struct constraint *constraint;
    /* Drafts by MTP where this controller wants them (engine/speculate.h, engine/round.h): they change speed
     * only. Borrowed; one for all answers of a step. NULL, or a model without MTP: none. */
    struct speculate *speculate;
};

struct generation_stats {
    int n_prompt; /* tokens in the session when it began */
    int n_reused; /* of these, already in its state */
    int n_generated;
    int n_drafts, n_right; /* tokens drafted, and of these the ones that came true */
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

/* For a scheduler: this answer's share of a step, as session_input gives it; takes the snapshot and
 * pauses on its way. ERR_LIMIT when there is no memory for that. */
MUST_USE int generation_input(struct generation *g, int max_rows, struct model_input *in,
                              struct err *err);

/* For a scheduler: whether every row of the next share wants its logits, since they tell of the prompt. Of such
 * rows a step may hold GENERATE_PROMPT_LOGITS, of all answers together; a share that is one row does not
 * count. */
bool generation_wants_prompt(const struct generation *g);

/* For a scheduler, between generation_input and the pass. The controller of its options; whether a draft may
 * come behind its share, which is then one token drawn before; and that draft, drawn from MTP's logits [V]
 * for that token: *in gets a row more and wants logits of both. False when there is to be none: it would
 * end the answer, or there is no room for it. */
struct speculate *generation_speculate(const struct generation *g);
bool generation_wants_draft(const struct generation *g);
bool generation_draft(struct generation *g, const float *mtp_logits, struct model_input *in);

/* For a scheduler: draws from the logits of the session's last token, and of the draft behind it when it
 * is right, and tells of the prompt: logits [in->n_logits, V], and with a draft the streams [2, n D] of these rows. 1: the answer is
 * complete. Else the token drawn last is pending and wants to be fed. */
MUST_USE int generation_accept(struct generation *g, const float *logits, const float *streams,
                               struct err *err);

/* For a scheduler: whether options.cancel is set; and the end of the answer at what it has, which is
 * FINISH_CANCELLED. The session is as good as before. */
bool generation_is_cancelled(const struct generation *g);
MUST_USE int generation_cancel(struct generation *g, struct err *err);

/* Complete after generation_run, once generation_accept gave 1, or after generation_cancel. */
const struct generation_result *generation_result(const struct generation *g);
