/* POST /completions: raw text goes on. */
#include "serve/completion.h"
#include "serve/server_state.h"

enum { MAX_TEXT = 64 << 20 };

static int prepare(struct exchange *x, json_t *body, struct api_error *e)
{
    return completion_prepare(x, body, COMPLETION_OPENAI, e);
}

static json_t *envelope(const struct exchange *x)
{
    return json_pack("{s:s, s:s, s:I, s:s, s:s}", "id", x->id, "object", "text_completion",
                     "created", (json_int_t)x->created, "model", x->server->o.model,
                     "system_fingerprint", "fp_tenon_" TENON_VERSION);
}

/* An element of `choices`: with the log-probabilities of the tokens drawn since the last one. */
static json_t *choice_json(struct exchange *x, int choice, const char *text, size_t size,
                           const char *finish)
{
    return json_pack("{s:i, s:s%, s:o, s:s?}", "index", choice, "text", text, size, "logprobs",
                     completion_logprobs(x, choice), "finish_reason", finish);
}

static void send_chunk(struct exchange *x, int choice, const char *text, size_t size,
                       const char *finish)
{
    struct completion *c = x->request;
    json_t *chunk = envelope(x), *one = choice_json(x, choice, text, size, finish);
    if (!one) c->failed = true;
    json_object_set_new(chunk, "choices", json_pack("[o]", one));
    if (c->request.include_usage) json_object_set_new(chunk, "usage", json_null());
    exchange_event(x, NULL, chunk);
}

/* The prompt, before the first chunk of a choice that is to echo it. */
static void begin(struct exchange *x, int choice)
{
    struct completion *c = x->request;
    struct buf echo;
    if (c->choices[choice].begun || !c->request.echo) return;
    c->choices[choice].begun = true;
    buf_init(&echo, MAX_TEXT);
    completion_echo(x, completion_prompt_of(x, choice), &echo);
    c->failed |= echo.failed;
    send_chunk(x, choice, buf_text(&echo), echo.size, NULL);
    buf_fini(&echo);
}

static void event(struct exchange *x, int choice, const struct parse_event *e)
{
    completion_keep(x, choice, e);
    if (!completion_streams(x) || e->kind != PARSE_CONTENT) return;
    begin(x, choice);
    send_chunk(x, choice, e->text, e->size, NULL);
}

static void ended(struct exchange *x, int choice, const struct choice_end *end)
{
    if (!completion_streams(x)) return;
    begin(x, choice);
    send_chunk(x, choice, "", 0, finish_name(end->finish));
}

/* Each prompt counts once. */
static json_t *usage_of(const struct exchange *x)
{
    int prompt = 0, hit = 0, drawn = 0;
    for (int i = 0; i < x->n_choices; i++) {
        bool is_first = i % x->job.n == 0;
        prompt += is_first ? x->ends[i].n_prompt : 0;
        hit += is_first ? x->ends[i].n_reused : 0;
        drawn += x->ends[i].n_tokens;
    }
    return json_pack("{s:i, s:i, s:i, s:i, s:i, s:{s:i}}", "prompt_tokens", prompt,
                     "completion_tokens", drawn, "total_tokens", prompt + drawn,
                     "prompt_cache_hit_tokens", hit, "prompt_cache_miss_tokens", prompt - hit,
                     "prompt_tokens_details", "cached_tokens", hit);
}

static void complete_stream(struct exchange *x)
{
    const struct completion *c = x->request;
    if (c->failed) api_refuse_memory(&x->error);
    if (c->request.include_usage && !x->error.status) {
        json_t *chunk = envelope(x);
        json_object_set_new(chunk, "choices", json_array());
        json_object_set_new(chunk, "usage", usage_of(x));
        exchange_event(x, NULL, chunk);
    }
    if (x->error.status)
        exchange_fail(x, &x->error);
    else
        exchange_end_stream(x, true);
}

/* NULL when memory is out. */
static json_t *whole_choice(struct exchange *x, int i)
{
    const struct completion *c = x->request;
    const struct buf *drawn = &c->choices[i].text;
    struct buf text;
    buf_init(&text, MAX_TEXT);
    if (c->request.echo) completion_echo(x, completion_prompt_of(x, i), &text);
    buf_add(&text, buf_text(drawn), drawn->size);
    json_t *out =
        text.failed ? NULL
                    : choice_json(x, i, buf_text(&text), text.size, finish_name(x->ends[i].finish));
    buf_fini(&text);
    return out;
}

static void complete(struct exchange *x)
{
    const struct completion *c = x->request;
    if (completion_streams(x)) {
        complete_stream(x);
        return;
    }
    json_t *choices = json_array();
    int n_bad = c->failed;
    for (int i = 0; !n_bad && i < x->n_choices; i++)
        n_bad = json_array_append_new(choices, whole_choice(x, i));
    if (n_bad) {
        json_decref(choices);
        api_refuse_memory(&x->error);
        exchange_fail(x, &x->error);
        return;
    }
    json_t *body = envelope(x);
    json_object_set_new(body, "choices", choices);
    json_object_set_new(body, "usage", usage_of(x));
    exchange_reply(x, 200, body);
}

const struct api completions_api = {.id_prefix = "cmpl-",
                                    .dialect = API_OPENAI,
                                    .prepare = prepare,
                                    .streams = completion_streams,
                                    .event = event,
                                    .drawn = completion_drawn,
                                    .prompted = completion_prompted,
                                    .ended = ended,
                                    .complete = complete,
                                    .fini = completion_fini};
