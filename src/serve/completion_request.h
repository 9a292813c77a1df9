/* The bodies of requests that continue raw text, checked: POST /completions in OpenAI's shape, and POST /completion
 * and /infill in llama-server's.
 * Source: docs/spec, API, sections 3 and 7; tokenizer and prompt, section 3.7; security, rules P1, P2, P5. */
#pragma once
#include <jansson.h>
#include <stdbool.h>

#include "engine/engine.h"
#include "serve/api_error.h"
#include "serve/form.h"
#include "serve/sampling.h"
#include "text/ids.h"
#include "text/parse.h"
#include "text/tokenizer.h"

enum {
    COMPLETION_MAX_CHOICES = 16, /* of all prompts together */
    COMPLETION_TOKENS = 16,      /* max_tokens when none is given */
    COMPLETION_FIM_TOKENS = 4096 /* the same where a suffix is */
};

/* Text, or ids as the client made them. */
struct completion_prompt {
    const char *text; /* NULL: ids */
    const json_t *ids;
};

/* Which shape the body has. */
enum completion_shape { COMPLETION_OPENAI, COMPLETION_LLAMA, COMPLETION_INFILL };

/* Not to be copied or moved: sampling points to bias. */
struct completion_request {
    json_t *body;      /* owned; the rest borrows from it */
    const char *model; /* as asked for; NULL only in llama-server's shapes */
    struct completion_prompt prompts[COMPLETION_MAX_CHOICES];
    int n_prompts;      /* >= 1; several in OpenAI's shape only */
    const char *suffix; /* fill-in-the-middle between a text and this; NULL: none */
    struct buf
        prefix; /* of COMPLETION_INFILL: the text before the hole; there is no prompts[0].text */
    const char *begun; /* of COMPLETION_INFILL: how the middle begins, maybe "" */
    bool bos;          /* BOS comes before a text */
    /* sampler_defaults() but for what is asked; its logprobs too. */
    struct sampler_options sampling;
    struct logit_bias bias[SAMPLING_MAX_BIAS];
    struct sharing sharing;
    uint64_t seed;
    bool has_seed;
    int n;          /* choices of each prompt; n * n_prompts <= COMPLETION_MAX_CHOICES */
    int max_tokens; /* >= 0; -1: until the context is full */
    struct sampling_ends ends;
    struct form form; /* of what is new */
    bool echo, logprobs;
    bool stream, include_usage;
    bool return_tokens; /* of COMPLETION_LLAMA */
    const char *stops[PARSE_MAX_STOPS];
    int n_stops;
};

/* Checks. Takes body over, which nobody else may hold (also on failure, and frees it then). 400, 422; 503
 * when there is no memory.
 *
 * OpenAI's shape: model and prompt must be there; a prompt is a text, a list of texts, a list of ids, or a list of
 * such lists; each makes n choices. best_of only says what n says. suffix goes with texts, and without echo.
 * add_special_tokens false leaves BOS out. Logprobs are a number, 0 to 20 alternatives.
 *
 * llama-server's: prompt is a text or a list of ids; n_predict (-1 and -2: until the context is full),
 * repeat_penalty, repeat_last_n, n_probs (0: none) instead of OpenAI's names, other names as OpenAI's;
 * infill: input_prefix, input_suffix, and input_extra, a list of {"text", "filename"} that goes before the
 * prefix, each under a line "--- FILENAME".
 *
 * The form of the answer: as serve/form.h says, in all shapes.
 *
 * Refused by name with 400: use_beam_search, logit_bias together with log-probabilities, and what
 * sampling_check_ends refuses. */
MUST_USE int completion_request_read(struct completion_request *out, json_t *body,
                                     enum completion_shape shape, struct api_error *e);
void completion_request_fini(struct completion_request *r); /* takes what read left, too */

/* Appends the ids of prompt i. A text has BOS before it, if the model knows one and bos is set, once: a BOS that
 * is spelled out at its start counts as that. No other text becomes a control token. Ids are taken as they are;
 * each must name a token (400). 400 too for a model without the tokens of fill-in-the-middle, for no ids at all
 * and for more than fit in out; 503. */
MUST_USE int completion_prompt_ids(const struct completion_request *r, int i,
                                   const struct tokenizer *t, struct ids *out, struct api_error *e);

/* With prompts of so many ids [n_prompts]: 400 where there is no room behind one of them. Log-probabilities of
 * prompts that are echoed, and of answers that are no streams, are kept until these go out: bounds max_tokens,
 * 400 where they are too many. */
MUST_USE int completion_request_limit(struct completion_request *r, const int *n_ids, int context,
                                      struct api_error *e);

/* What echo gives back of prompt i, whose ids are `ids`: added to out, whose `failed` tells of a failure. */
void completion_request_echo(const struct completion_request *r, int i, const struct tokenizer *t,
                             const struct ids *ids, struct buf *out);
/* Whether the first of the ids of prompt i is a BOS that is not in its text. */
bool completion_request_adds_bos(const struct completion_request *r, int i,
                                 const struct tokenizer *t, const struct ids *ids);

/* How an answer is drawn; the constraint is made of `form` (NULL: none). Points into r. */
struct generate_options completion_generate_options(const struct completion_request *r,
                                                    const struct engine *e,
                                                    struct constraint *constraint);
