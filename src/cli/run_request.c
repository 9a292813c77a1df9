#include "cli/run_request.h"

#include <stdlib.h>

#include "base/file.h"
#include "cli/interrupt.h"
#include "cli/run_completion.h"
#include "serve/chat_answer.h"
#include "serve/chat_job.h"
#include "serve/constraint_cache.h"
#include "serve/fields.h"

enum { MAX_BODY = 64 << 20, MAX_IDS = 4 << 20 };

struct asked {
    struct opened open;
    struct chat_request request;
    struct ids prompt;
    struct constraint_cache *constraints;
    struct constraint *constraint; /* or NULL */
    atomic_bool cancel;
    int n_drawn, n_reasoning;
};

/* One choice, and what hears of it. */
struct choice {
    struct asked *asked;
    struct chat_answer answer;
    struct generate_options generate;
};

static int refused(const struct api_error *e, const char *path, struct err *err)
{
    return err_set(err, ERR_ARGUMENT, "%s: %s (%d)", path, e->message, e->status);
}

static int read_body(json_t **body, const char *path, struct err *err)
{
    struct api_error e = {0};
    char *text;
    size_t size;
    *body = NULL;
    if (file_slurp_input(path, MAX_BODY, &text, &size, err)) return -1;
    int rc = body_parse(body, text, size, &e) ? refused(&e, path, err) : 0;
    free(text);
    return rc;
}

/* Takes body over. */
static int read_request(struct asked *a, const struct ask_options *o, const char *model,
                        const char *path, json_t *body, struct err *err)
{
    struct api_error e = {0};
    char *effort = open_effort(model);
    struct chat_rules rules = {.family = ask_prompt_options(o, model).family, .effort = effort};
    int rc = chat_request_read(&a->request, body, &rules, &e) ? refused(&e, path, err) : 0;
    free(effort);
    return rc;
}

static int prepare(struct asked *a, const char *path, struct err *err)
{
    const struct engine *engine = a->open.engine;
    struct chat_request *r = &a->request;
    struct api_error e = {0};
    if (sampling_check_ids(&r->sampling, &r->ends, engine_vocab(engine), &e) ||
        chat_job_limit_logprobs(r, &e))
        return refused(&e, path, err);
    if (engine_prompt(engine, r->messages, r->tools, &r->prompt, &a->prompt, err)) return -1;
    if (!r->is_bound) return 0;
    a->constraints = constraint_cache_new(engine);
    if (!a->constraints) return err_set(err, ERR_LIMIT, "no memory for a constraint");
    return constraint_cache_get(a->constraints, &(struct cache_tenant){0}, &r->answer,
                                &a->constraint, err);
}

static void on_event(void *ctx, const struct parse_event *e)
{
    struct choice *c = ctx;
    if (!c->asked->request.parallel_tool_calls && e->call > 0) return; /* one call is wanted */
    chat_answer_add(&c->answer, e);
}

static void on_drawn(void *ctx, const struct pick *p)
{
    struct choice *c = ctx;
    if (sampling_is_stop(&c->asked->request.ends, p->id)) return;
    chat_answer_pick(&c->answer, engine_tokenizer(c->asked->open.engine), &c->generate.parse.ids,
                     p);
}

static json_t *choice_json(struct choice *c, int index, enum finish finish)
{
    return json_pack("{s:i, s:o, s:s, s:o}", "index", index, "message",
                     chat_answer_message(&c->answer), "finish_reason", finish_name(finish),
                     "logprobs", chat_answer_logprobs(&c->answer));
}

static int answer(struct asked *a, int index, uint64_t seed, json_t *choices, struct err *err)
{
    struct choice c = {.asked = a};
    struct session *session = NULL;
    struct generation *g = NULL;
    c.generate = chat_job_options(a->open.engine, &a->request, &a->prompt, a->constraint);
    chat_answer_init(&c.answer, c.generate.parse.thinking);
    c.generate.emit = on_event;
    c.generate.drawn = a->request.logprobs ? on_drawn : NULL;
    c.generate.ctx = &c;
    c.generate.cancel = &a->cancel;
    int rc = engine_session_new(&session, a->open.engine, err);
    if (rc == 0) {
        session_set_key(session, (struct sampler_key){seed, (uint32_t)index});
        rc = session_append(session, a->prompt.data, (int)a->prompt.n, err);
    }
    if (rc == 0) rc = generation_open(&g, session, &c.generate, err);
    if (rc == 0) rc = generation_run(g, err);
    if (rc == 0) {
        const struct generation_result *result = generation_result(g);
        a->n_drawn += result->n;
        a->n_reasoning += result->text->n_reasoning_tokens;
        if (json_array_append_new(choices, choice_json(&c, index, result->finish)))
            rc = err_set(err, ERR_LIMIT, "no memory for the answer");
    }
    generation_close(g);
    session_free(session);
    chat_answer_fini(&c.answer);
    return rc;
}

static int print(const struct asked *a, json_t *choices, uint64_t seed, struct err *err)
{
    int n = (int)a->prompt.n;
    json_t *out = json_pack("{s:O, s:{s:i, s:i, s:i, s:{s:i}}, s:I}", "choices", choices, "usage",
                            "prompt_tokens", n, "completion_tokens", a->n_drawn, "total_tokens",
                            n + a->n_drawn, "completion_tokens_details", "reasoning_tokens",
                            a->n_reasoning, "seed", (json_int_t)seed);
    bool bad = !out || json_dumpf(out, stdout, JSON_COMPACT) || putchar('\n') == EOF;
    json_decref(out);
    return bad ? err_set(err, ERR_IO, "cannot write to standard output") : 0;
}

static int answer_all(struct asked *a, const struct ask_options *o, struct err *err)
{
    const struct chat_request *r = &a->request;
    uint64_t seed = r->has_seed ? r->seed : ask_seed(o);
    json_t *choices = json_array();
    int rc = 0;
    interrupt_watch(&a->cancel, true);
    for (int i = 0; rc == 0 && i < r->n && !atomic_load(&a->cancel); i++)
        rc = answer(a, i, seed, choices, err);
    interrupt_forget();
    if (rc == 0) rc = print(a, choices, seed, err);
    json_decref(choices);
    return rc;
}

int run_request(const struct ask_options *o, const char *model, const char *path, bool *cancelled,
                struct err *err)
{
    struct asked a = {0};
    struct engine_options engine = {.max_context = o->context, .drafts = o->drafts};
    json_t *body;
    if (read_body(&body, path, err)) return -1;
    if (run_is_completion(body)) return run_completion(o, model, path, body, cancelled, err);
    ids_init(&a.prompt, MAX_IDS);
    int rc = read_request(&a, o, model, path, body, err);
    if (rc == 0) rc = open_model(&a.open, model, &o->open, true, ask_mtp(o), &engine, err);
    if (rc == 0) rc = prepare(&a, path, err);
    if (rc == 0) rc = answer_all(&a, o, err);
    *cancelled = atomic_load(&a.cancel);
    constraint_drop(a.constraint);
    constraint_cache_free(a.constraints);
    chat_request_fini(&a.request);
    ids_fini(&a.prompt);
    open_close(&a.open);
    return rc;
}
