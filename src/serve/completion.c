#include "serve/completion.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "serve/server_state.h"
#include "text/prompt.h"

enum { MAX_TEXT = 64 << 20 };

_Static_assert((int)EXCHANGE_MAX_CHOICES >= (int)COMPLETION_MAX_CHOICES, "room for all choices");

/* ---- before ---- */

static struct ids *list_of(struct exchange *x, int i)
{
    return i == 0 ? &x->prompt : &x->more[i - 1].prompt;
}

static const struct ids *ids_of(const struct exchange *x, int i)
{
    return i == 0 ? &x->prompt : &x->more[i - 1].prompt;
}

/* The first token of each prompt has no log-probability; a BOS that the server put there is not in the text. */
static void begin_logs(struct exchange *x, struct completion *c)
{
    const struct tokenizer *t = engine_tokenizer(x->server->engine);
    for (int i = 0; i < c->request.n_prompts; i++) {
        const struct ids *ids = ids_of(x, i);
        token_log_add(&c->prompts[i], ids->data[0], NULL,
                      completion_request_adds_bos(&c->request, i, t, ids));
        c->failed |= c->prompts[i].failed;
    }
}

static void fill_job(const struct exchange *x, struct scheduler_job *job,
                     const struct completion_request *r, uint64_t seed)
{
    job->generate = completion_generate_options(r, x->server->engine, x->constraint);
    job->n = r->n;
    job->seed = seed;
}

static int check_request(const struct exchange *x, const struct completion_request *r,
                         struct api_error *e)
{
    if (exchange_check_model(x, r->model ? r->model : x->server->o.model, e)) return -1;
    return sampling_check_ids(&r->sampling, &r->ends, engine_vocab(x->server->engine), e);
}

static int bind_answer(struct exchange *x, const struct form *form, struct api_error *e)
{
    struct err err = {0};
    if (!form->field || !exchange_bind(x, &form->spec, &err)) return 0;
    return api_refuse(e, 400, form->field, "%s: %s", form->field, err.message);
}

int completion_prepare(struct exchange *x, json_t *body, enum completion_shape shape,
                       struct api_error *e)
{
    const struct tokenizer *t = engine_tokenizer(x->server->engine);
    struct completion *c = calloc(1, sizeof *c);
    if (!c) {
        json_decref(body);
        return api_refuse_memory(e);
    }
    x->request = c;
    struct completion_request *r = &c->request;
    for (int i = 0; i < EXCHANGE_MAX_CHOICES; i++)
        buf_init(&c->choices[i].text, MAX_TEXT);
    if (completion_request_read(r, body, shape, e) || check_request(x, r, e) ||
        (r->n_prompts > 1 && exchange_add_prompts(x, r->n_prompts - 1, e)))
        return -1;
    int n_ids[COMPLETION_MAX_CHOICES];
    for (int i = 0; i < r->n_prompts; i++) {
        if (completion_prompt_ids(r, i, t, list_of(x, i), e)) return -1;
        n_ids[i] = (int)ids_of(x, i)->n;
    }
    exchange_share(x, &r->sharing);
    if (completion_request_limit(r, n_ids, engine_context(x->server->engine), e) ||
        bind_answer(x, &r->form, e))
        return -1;
    uint64_t seed = r->has_seed ? r->seed : sampling_new_seed();
    for (int i = 0; i < r->n_prompts; i++)
        fill_job(x, i == 0 ? &x->job : &x->more[i - 1].job, r, seed);
    x->wants_picks = r->logprobs || r->return_tokens;
    x->wants_prompts = r->logprobs && r->echo;
    if (x->wants_prompts) begin_logs(x, c);
    return 0;
}

void completion_fini(struct exchange *x)
{
    struct completion *c = x->request;
    if (!c) return;
    for (int i = 0; i < EXCHANGE_MAX_CHOICES; i++) {
        buf_fini(&c->choices[i].text);
        token_log_fini(&c->choices[i].log);
        token_log_fini(&c->prompts[i]);
    }
    completion_request_fini(&c->request);
    free(c);
    x->request = NULL;
}

/* ---- while it runs ---- */

bool completion_streams(const struct exchange *x)
{
    const struct completion *c = x->request;
    return c->request.stream;
}

void completion_keep(struct exchange *x, int choice, const struct parse_event *e)
{
    struct completion *c = x->request;
    struct buf *text = &c->choices[choice].text;
    if (e->kind != PARSE_CONTENT || c->request.stream) return;
    buf_add(text, e->text, e->size);
    c->failed |= text->failed;
}

void completion_drawn(struct exchange *x, int choice, const struct pick *p)
{
    struct completion *c = x->request;
    const struct engine *e = x->server->engine;
    token_log_add(&c->choices[choice].log, p->id, p,
                  (p->id == engine_eos(e) && !c->request.ends.ignore_eos) ||
                      sampling_is_stop(&c->request.ends, p->id));
}

void completion_prompted(struct exchange *x, int first_choice, const struct pick *p)
{
    struct completion *c = x->request;
    struct token_log *log = &c->prompts[completion_prompt_of(x, first_choice)];
    token_log_add(log, p->id, p, false);
    c->failed |= log->failed;
}

/* ---- afterwards ---- */

int completion_prompt_of(const struct exchange *x, int choice)
{
    return choice / x->job.n;
}

void completion_echo(const struct exchange *x, int i, struct buf *out)
{
    const struct completion *c = x->request;
    completion_request_echo(&c->request, i, engine_tokenizer(x->server->engine), ids_of(x, i), out);
}

json_t *completion_logprobs(struct exchange *x, int choice)
{
    struct completion *c = x->request;
    struct completion_choice *one = &c->choices[choice];
    if (!c->request.logprobs) return json_null();
    const struct tokenizer *t = engine_tokenizer(x->server->engine);
    json_t *lists = token_log_json();
    bool ok = lists != NULL;
    if (ok && c->request.echo && !one->told)
        ok =
            token_log_write(&c->prompts[completion_prompt_of(x, choice)], 0, t, &one->chars, lists);
    ok = ok && token_log_write(&one->log, 0, t, &one->chars, lists);
    one->told = true;
    one->log.n = one->log.n_tops = 0;
    if (ok) return lists;
    json_decref(lists);
    return NULL;
}
