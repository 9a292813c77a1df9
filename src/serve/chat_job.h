/* From a chat request to a job of the scheduler: what every endpoint shares that answers messages. On the
 * prepare thread. */
#pragma once
#include "serve/chat_request.h"
#include "serve/exchange.h"

/* Reads the body (of POST /chat/completions, or what another dialect made of its own in that form; taken
 * over) into r, and its prompt's ids into x->prompt. 404 for a model that is not served, 400 for a prompt that
 * no context could hold. r wants chat_request_fini in both cases. */
MUST_USE int chat_job_encode(struct exchange *x, struct chat_request *r, json_t *body,
                             struct api_error *e);

/* The same, and fills x->job and x->wants_picks: 400 also when there is no room behind the prompt, or when
 * the answer would be too long to be held. r must stay where it is while the job runs. */
MUST_USE int chat_job_prepare(struct exchange *x, struct chat_request *r, json_t *body,
                              struct api_error *e);

/* Log-probabilities are kept until an answer that is no stream goes out, and a token of it takes kilobytes: bounds
 * max_tokens of such a request, 400 where it wants more. */
MUST_USE int chat_job_limit_logprobs(struct chat_request *r, struct api_error *e);

/* How the answer to the request is drawn; the prompt is made of it, the constraint of its `answer` (NULL when that is
 * not bound). Points into r. */
struct generate_options chat_job_options(const struct engine *e, const struct chat_request *r,
                                         const struct ids *prompt, struct constraint *constraint);
