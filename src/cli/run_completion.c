#include "cli/run_completion.h"

#include <stdlib.h>

#include "cli/interrupt.h"
#include "serve/completion_request.h"
#include "serve/constraint_cache.h"
#include "serve/token_log.h"
#include "text/prompt.h"

enum { MAX_IDS = 4 << 20, MAX_TEXT = 64 << 20 };

struct asked {
    struct opened open;
    struct completion_request request;
    struct ids prompts[COMPLETION_MAX_CHOICES];
    struct constraint_cache *constraints;
    struct constraint *constraint; /* or NULL */
    atomic_bool cancel;
    uint64_t seed;
    int n_prompt, n_drawn;
};

/* One choice, and what hears of it. */
struct choice {
    struct asked *asked;
    const struct ids *prompt;
    struct buf text;
    struct token_log told, drawn; /* of the prompt, and of the answer */
};

bool run_is_completion(const json_t *body)
{
    return !json_object_get(body, "messages") &&
           (json_object_get(body, "prompt") || json_object_get(body, "input_prefix"));
}

static int refused(const struct api_error *e, const char *path, struct err *err)
{
    return err_set(err, ERR_ARGUMENT, "%s: %s (%d)", path, e->message, e->status);
}

/* Of which endpoint it is: n_predict, n_probs and return_tokens are llama.cpp's alone; a model without them is
 * asked for of OpenAI's. */
static enum completion_shape shape_of(const json_t *body)
{
    static const char *const llama[] = {"n_predict", "n_probs", "return_tokens"};
    if (json_object_get(body, "input_prefix")) return COMPLETION_INFILL;
    for (size_t i = 0; i < sizeof llama / sizeof *llama; i++)
        if (json_object_get(body, llama[i])) return COMPLETION_LLAMA;
    return json_object_get(body, "model") ? COMPLETION_OPENAI : COMPLETION_LLAMA;
}

static int read_body(struct asked *a, const char *path, json_t *body, struct err *err)
{
    struct api_error e = {0};
    enum completion_shape shape = shape_of(body);
    for (int i = 0; i < COMPLETION_MAX_CHOICES; i++)
        ids_init(&a->prompts[i], MAX_IDS);
    return completion_request_read(&a->request, body, shape, &e) ? refused(&e, path, err) : 0;
}

static int prepare(struct asked *a, const char *path, struct err *err)
{
    const struct engine *engine = a->open.engine;
    struct completion_request *r = &a->request;
    int n_ids[COMPLETION_MAX_CHOICES];
    struct api_error e = {0};
    if (sampling_check_ids(&r->sampling, &r->ends, engine_vocab(engine), &e))
        return refused(&e, path, err);
    for (int i = 0; i < r->n_prompts; i++) {
        if (completion_prompt_ids(r, i, engine_tokenizer(engine), &a->prompts[i], &e))
            return refused(&e, path, err);
        n_ids[i] = (int)a->prompts[i].n;
        a->n_prompt += n_ids[i];
    }
    if (completion_request_limit(r, n_ids, engine_context(engine), &e))
        return refused(&e, path, err);
    if (!r->form.field) return 0;
    a->constraints = constraint_cache_new(engine);
    if (!a->constraints) return err_set(err, ERR_LIMIT, "no memory for a constraint");
    return constraint_cache_get(a->constraints, &(struct cache_tenant){0}, &r->form.spec,
                                &a->constraint, err);
}

static void on_event(void *ctx, const struct parse_event *e)
{
    struct choice *c = ctx;
    if (e->kind == PARSE_CONTENT) buf_add(&c->text, e->text, e->size);
}

static void on_drawn(void *ctx, const struct pick *p)
{
    struct choice *c = ctx;
    const struct sampling_ends *ends = &c->asked->request.ends;
    bool is_eos = p->id == engine_eos(c->asked->open.engine);
    token_log_add(&c->drawn, p->id, p,
                  (is_eos && !ends->ignore_eos) || sampling_is_stop(ends, p->id));
}

static void on_prompted(void *ctx, const struct pick *p)
{
    struct choice *c = ctx;
    token_log_add(&c->told, p->id, p, false);
}

static struct generate_options options_for(struct choice *c)
{
    struct asked *a = c->asked;
    const struct completion_request *r = &a->request;
    struct generate_options g = completion_generate_options(r, a->open.engine, a->constraint);
    g.emit = on_event;
    g.drawn = r->logprobs ? on_drawn : NULL;
    g.prompted = r->logprobs && r->echo ? on_prompted : NULL;
    g.ctx = c;
    g.cancel = &a->cancel;
    return g;
}

static json_t *logprobs_json(struct choice *c)
{
    const struct completion_request *r = &c->asked->request;
    const struct tokenizer *t = engine_tokenizer(c->asked->open.engine);
    size_t chars = 0;
    if (!r->logprobs) return json_null();
    json_t *lists = token_log_json();
    if (lists && token_log_write(&c->told, 0, t, &chars, lists) &&
        token_log_write(&c->drawn, 0, t, &chars, lists))
        return lists;
    json_decref(lists);
    return NULL;
}

/* Draws; the result is what its session says until that is freed. */
static int draw(struct choice *c, int number, struct session *s, enum finish *how, struct err *err)
{
    struct asked *a = c->asked;
    struct generate_options go = options_for(c);
    struct generation *g = NULL;
    session_set_key(s, (struct sampler_key){a->seed, (uint32_t)number});
    int rc = session_append(s, c->prompt->data, (int)c->prompt->n, err);
    if (rc == 0) rc = generation_open(&g, s, &go, err);
    if (rc == 0) rc = generation_run(g, err);
    if (rc == 0) {
        *how = generation_result(g)->finish;
        a->n_drawn += generation_result(g)->n;
    }
    generation_close(g);
    return rc;
}

static int answer(struct asked *a, int prompt, int number, json_t *choices, struct err *err)
{
    const struct completion_request *r = &a->request;
    const struct tokenizer *t = engine_tokenizer(a->open.engine);
    struct choice c = {.asked = a, .prompt = &a->prompts[prompt]};
    struct session *s = NULL;
    enum finish how = FINISH_STOP;
    buf_init(&c.text, MAX_TEXT);
    if (r->echo) completion_request_echo(r, prompt, t, c.prompt, &c.text);
    if (r->logprobs && r->echo)
        token_log_add(&c.told, c.prompt->data[0], NULL,
                      completion_request_adds_bos(r, prompt, t, c.prompt));
    int rc = engine_session_new(&s, a->open.engine, err);
    if (rc == 0) rc = draw(&c, number, s, &how, err);
    if (rc == 0) {
        json_t *one = json_pack("{s:i, s:s%, s:o, s:s}", "index", prompt * r->n + number, "text",
                                buf_text(&c.text), c.text.size, "logprobs", logprobs_json(&c),
                                "finish_reason", finish_name(how));
        if (c.text.failed || json_array_append_new(choices, one))
            rc = err_set(err, ERR_LIMIT, "no memory for the answer");
    }
    session_free(s);
    buf_fini(&c.text);
    token_log_fini(&c.told);
    token_log_fini(&c.drawn);
    return rc;
}

static int print(const struct asked *a, json_t *choices, struct err *err)
{
    json_t *out = json_pack("{s:O, s:{s:i, s:i, s:i}, s:I}", "choices", choices, "usage",
                            "prompt_tokens", a->n_prompt, "completion_tokens", a->n_drawn,
                            "total_tokens", a->n_prompt + a->n_drawn, "seed", (json_int_t)a->seed);
    bool bad = !out || json_dumpf(out, stdout, JSON_COMPACT) || putchar('\n') == EOF;
    json_decref(out);
    return bad ? err_set(err, ERR_IO, "cannot write to standard output") : 0;
}

static int answer_all(struct asked *a, const struct ask_options *o, struct err *err)
{
    const struct completion_request *r = &a->request;
    json_t *choices = json_array();
    int rc = 0;
    a->seed = r->has_seed ? r->seed : ask_seed(o);
    interrupt_watch(&a->cancel, true);
    for (int i = 0; rc == 0 && i < r->n_prompts * r->n && !atomic_load(&a->cancel); i++)
        rc = answer(a, i / r->n, i % r->n, choices, err);
    interrupt_forget();
    if (rc == 0) rc = print(a, choices, err);
    json_decref(choices);
    return rc;
}

int run_completion(const struct ask_options *o, const char *model, const char *path, json_t *body,
                   bool *cancelled, struct err *err)
{
    struct asked a = {0};
    struct engine_options engine = {.max_context = o->context, .drafts = o->drafts};
    int rc = read_body(&a, path, body, err);
    if (rc == 0) rc = open_model(&a.open, model, &o->open, true, ask_mtp(o), &engine, err);
    if (rc == 0) rc = prepare(&a, path, err);
    if (rc == 0) rc = answer_all(&a, o, err);
    *cancelled = atomic_load(&a.cancel);
    constraint_drop(a.constraint);
    constraint_cache_free(a.constraints);
    completion_request_fini(&a.request);
    for (int i = 0; i < COMPLETION_MAX_CHOICES; i++)
        ids_fini(&a.prompts[i]);
    open_close(&a.open);
    return rc;
}
