#include "serve/chat_job.h"

#include <string.h>

#include "serve/sampling.h"
#include "serve/server_state.h"

enum { MAX_LOGPROBS = 4096 }; /* tokens of an answer that is not a stream */

_Static_assert((int)EXCHANGE_MAX_CHOICES >= (int)CHAT_MAX_CHOICES, "an exchange holds all choices");

static bool begins_thinking(const struct tokenizer *t, const struct ids *prompt)
{
    return prompt->n && prompt->data[prompt->n - 1] == parse_ids_of(t).think;
}

/* Tokens that fit behind the prompt. */
static int check_length(const struct exchange *x, const struct chat_request *r, bool compat,
                        struct api_error *e)
{
    int context = engine_context(x->server->engine), n = (int)x->prompt.n, left = context - n;
    if (left >= 1 && (!compat || r->max_tokens <= left)) return 0;
    return api_refuse_length(e, "messages", context, n, r->max_tokens > 0 ? r->max_tokens : 1);
}

int chat_job_limit_logprobs(struct chat_request *r, struct api_error *e)
{
    int most = MAX_LOGPROBS / r->n;
    if (!r->logprobs || r->stream) return 0;
    if (r->max_tokens < 0) r->max_tokens = most;
    if (r->max_tokens <= most) return 0;
    return api_refuse(e, 400, "max_tokens",
                      "logprobs of more than %d tokens (all choices together) want a stream",
                      MAX_LOGPROBS);
}

/* Compiles what the answer must look like; what is wrong with it is the request's fault. */
static int bind_answer(struct exchange *x, const struct chat_request *r, struct api_error *e)
{
    struct err err = {0};
    if (!r->is_bound || !exchange_bind(x, &r->answer, &err)) return 0;
    return api_refuse(e, 400, r->answer_field, "%s: %s", r->answer_field, err.message);
}

struct generate_options chat_job_options(const struct engine *e, const struct chat_request *r,
                                         const struct ids *prompt, struct constraint *constraint)
{
    struct generate_options g =
        engine_generate_options(e, begins_thinking(engine_tokenizer(e), prompt));
    g.max_tokens = r->max_tokens;
    sampling_set_ends(&g, &r->ends);
    g.sampling = r->sampling;
    g.parse.stops = r->stops;
    g.parse.n_stops = r->n_stops;
    g.parse.tools = r->tools;
    g.constraint = constraint;
    return g;
}

static void fill_job(struct exchange *x, const struct chat_request *r)
{
    x->job.generate = chat_job_options(x->server->engine, r, &x->prompt, x->constraint);
    x->job.n = r->n;
    x->wants_picks = r->logprobs;
    x->job.seed = r->has_seed ? r->seed : sampling_new_seed();
}

int chat_job_encode(struct exchange *x, struct chat_request *r, json_t *body, struct api_error *e)
{
    const struct server *s = x->server;
    struct err err = {0};
    if (chat_request_read(r, body, &s->o.rules, e)) return -1;
    if (exchange_check_model(x, r->model, e)) return -1;
    if (sampling_check_ids(&r->sampling, &r->ends, engine_vocab(s->engine), e)) return -1;
    if (engine_prompt(s->engine, r->messages, r->tools, &r->prompt, &x->prompt, &err) == 0)
        return 0;
    if (err.code != ERR_LIMIT || x->prompt.n < x->prompt.max) return api_refuse_err(e, &err);
    api_refuse(e, 400, "messages", "This model's maximum context length is %d tokens: %s",
               engine_context(s->engine), err.message);
    e->code = "context_length_exceeded";
    return -1;
}

int chat_job_prepare(struct exchange *x, struct chat_request *r, json_t *body, struct api_error *e)
{
    if (chat_job_encode(x, r, body, e) ||
        check_length(x, r, x->server->o.rules.deepseek_compat, e) || chat_job_limit_logprobs(r, e))
        return -1;
    exchange_share(x, &r->sharing);
    if (bind_answer(x, r, e)) return -1;
    fill_job(x, r);
    return 0;
}
