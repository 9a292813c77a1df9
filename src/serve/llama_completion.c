/* POST /completion and /infill: raw text goes on, in the shape of llama-server.
 * Source: docs/spec, API, sections 3 and 7. */
#include "serve/completion.h"
#include "serve/server_state.h"

enum { MAX_NAME = 1 << 20 };

static int prepare(struct exchange *x, json_t *body, struct api_error *e)
{
    return completion_prepare(x, body, COMPLETION_LLAMA, e);
}

static int prepare_infill(struct exchange *x, json_t *body, struct api_error *e)
{
    return completion_prepare(x, body, COMPLETION_INFILL, e);
}

/* ---- tokens ---- */

/* {"id", "token", "bytes", "logprob"}; NULL when memory is out. */
static json_t *token_json(const struct tokenizer *t, int id, float logprob)
{
    size_t size;
    const char *piece = tokenizer_piece(t, id, &size);
    struct buf name;
    json_t *bytes = json_array();
    int n_bad = 0;
    buf_init(&name, MAX_NAME);
    token_name(t, id, &name);
    for (size_t i = 0; piece && i < size; i++)
        n_bad += json_array_append_new(bytes, json_integer((unsigned char)piece[i]));
    json_t *out = json_pack("{s:i, s:s%, s:o, s:f}", "id", id, "token", buf_text(&name), name.size,
                            "bytes", bytes, "logprob", (double)logprob);
    n_bad += name.failed;
    buf_fini(&name);
    if (!n_bad) return out;
    json_decref(out);
    return NULL;
}

static json_t *probability_json(const struct tokenizer *t, const struct token_log *l,
                                const struct logged *at)
{
    json_t *out = token_json(t, at->id, at->logprob), *tops = json_array();
    int n_bad = 0;
    for (int i = 0; i < at->n_top; i++) {
        const struct logprob *top = &l->tops[at->top + i];
        n_bad += json_array_append_new(tops, token_json(t, top->id, top->logprob));
    }
    n_bad += json_object_set_new(out, "top_logprobs", tops);
    if (!n_bad) return out;
    json_decref(out);
    return NULL;
}

/* Adds what is asked for of the tokens drawn since the last event, which are told with that. */
static void add_tokens(struct exchange *x, json_t *answer)
{
    struct completion *c = x->request;
    struct token_log *l = &c->choices[0].log;
    const struct tokenizer *t = engine_tokenizer(x->server->engine);
    json_t *ids = json_array(), *probabilities = json_array();
    int n_bad = l->failed;
    for (int i = 0; i < l->n; i++) {
        n_bad += json_array_append_new(ids, json_integer(l->at[i].id));
        if (c->request.logprobs)
            n_bad += json_array_append_new(probabilities, probability_json(t, l, &l->at[i]));
    }
    l->n = l->n_tops = 0;
    if (c->request.return_tokens) n_bad += json_object_set(answer, "tokens", ids);
    if (c->request.logprobs)
        n_bad += json_object_set(answer, "completion_probabilities", probabilities);
    json_decref(ids);
    json_decref(probabilities);
    if (n_bad) c->failed = true;
}

/* ---- answers ---- */

static double per_second(int n, double seconds)
{
    return seconds > 0 ? n / seconds : 0;
}

static json_t *timings_json(const struct choice_end *end)
{
    int fed = end->n_prompt - end->n_reused;
    return json_pack("{s:i, s:f, s:f, s:i, s:f, s:f}", "prompt_n", fed, "prompt_ms",
                     1000 * end->prompt_seconds, "prompt_per_second",
                     per_second(fed, end->prompt_seconds), "predicted_n", end->n_tokens,
                     "predicted_ms", 1000 * end->decode_seconds, "predicted_per_second",
                     per_second(end->n_tokens, end->decode_seconds));
}

/* The answer, or the last event of a stream, whose text has been told. */
static json_t *end_json(struct exchange *x, const char *text, size_t size)
{
    const struct completion *c = x->request;
    const struct choice_end *end = &x->ends[0];
    bool is_word = end->stop >= 0, is_limit = end->finish == FINISH_LENGTH;
    json_t *out = json_pack("{s:i, s:s%, s:b, s:s, s:s, s:s, s:i, s:i, s:i, s:b, s:o}", "index", 0,
                            "content", text, size, "stop", 1, "stop_type",
                            is_word    ? "word"
                            : is_limit ? "limit"
                                       : "eos",
                            "stopping_word", is_word ? c->request.stops[end->stop] : "", "model",
                            x->server->o.model, "tokens_predicted", end->n_tokens,
                            "tokens_evaluated", end->n_prompt, "tokens_cached", end->n_reused,
                            "truncated", 0, "timings", timings_json(end));
    add_tokens(x, out);
    return out;
}

static void event(struct exchange *x, int choice, const struct parse_event *e)
{
    completion_keep(x, choice, e);
    if (!completion_streams(x) || e->kind != PARSE_CONTENT) return;
    json_t *piece =
        json_pack("{s:i, s:s%, s:b}", "index", 0, "content", e->text, e->size, "stop", 0);
    add_tokens(x, piece);
    exchange_event(x, NULL, piece);
}

static void ended(struct exchange *x, int choice, const struct choice_end *end)
{
    (void)choice;
    (void)end;
    if (completion_streams(x)) exchange_event(x, NULL, end_json(x, "", 0));
}

static void complete(struct exchange *x)
{
    struct completion *c = x->request;
    const struct buf *text = &c->choices[0].text;
    bool streams = completion_streams(x);
    json_t *body = streams ? NULL : end_json(x, buf_text(text), text->size);
    if (c->failed) {
        json_decref(body);
        api_refuse_memory(&x->error);
        exchange_fail(x, &x->error);
    } else if (streams) {
        exchange_end_stream(x, false);
    } else {
        exchange_reply(x, 200, body);
    }
}

const struct api llama_completion_api = {.id_prefix = "cmpl-",
                                         .dialect = API_OPENAI,
                                         .prepare = prepare,
                                         .streams = completion_streams,
                                         .event = event,
                                         .drawn = completion_drawn,
                                         .ended = ended,
                                         .complete = complete,
                                         .fini = completion_fini};

const struct api infill_api = {.id_prefix = "cmpl-",
                               .dialect = API_OPENAI,
                               .prepare = prepare_infill,
                               .streams = completion_streams,
                               .event = event,
                               .drawn = completion_drawn,
                               .ended = ended,
                               .complete = complete,
                               .fini = completion_fini};
