/* POST /chat/completions. */
#include <stdlib.h>

#include "serve/chat_answer.h"
#include "serve/chat_job.h"
#include "serve/server_state.h"

struct chat {
    struct chat_request request;
    struct chat_answer answers[EXCHANGE_MAX_CHOICES];
    bool begun[EXCHANGE_MAX_CHOICES]; /* the choice's first chunk has been sent */
};

static int prepare(struct exchange *x, json_t *body, struct api_error *e)
{
    struct chat *c = calloc(1, sizeof *c);
    if (!c) {
        json_decref(body);
        return api_refuse_memory(e);
    }
    x->request = c;
    if (chat_job_prepare(x, &c->request, body, e)) return -1;
    for (int i = 0; i < c->request.n; i++)
        chat_answer_init(&c->answers[i], x->job.generate.parse.thinking);
    return 0;
}

static bool streams(const struct exchange *x)
{
    const struct chat *c = x->request;
    return c->request.stream;
}

static json_t *envelope(const struct exchange *x, const char *object)
{
    const struct server *s = x->server;
    return json_pack("{s:s, s:s, s:I, s:s, s:s}", "id", x->id, "object", object, "created",
                     (json_int_t)x->created, "model", s->o.model, "system_fingerprint",
                     "fp_tenon_" TENON_VERSION);
}

/* Takes delta over. finish NULL while the choice goes on. With it go the log-probabilities of the tokens
 * drawn since the chunk before. */
static void send_chunk(struct exchange *x, int choice, json_t *delta, const char *finish)
{
    struct chat *c = x->request;
    json_t *chunk = envelope(x, "chat.completion.chunk");
    json_t *one = json_pack("{s:i, s:o, s:o, s:s?}", "index", choice, "delta", delta, "logprobs",
                            chat_answer_logprobs(&c->answers[choice]), "finish_reason", finish);
    json_object_set_new(chunk, "choices", json_pack("[o]", one));
    if (!one) c->answers[choice].failed = true;
    if (c->request.include_usage) json_object_set_new(chunk, "usage", json_null());
    exchange_event(x, NULL, chunk);
}

/* The chunk that opens a choice. */
static void begin(struct exchange *x, int choice)
{
    struct chat *c = x->request;
    if (c->begun[choice]) return;
    c->begun[choice] = true;
    send_chunk(
        x, choice,
        x->job.generate.parse.thinking
            ? json_pack("{s:s, s:n, s:s}", "role", "assistant", "content", "reasoning_content", "")
            : json_pack("{s:s, s:s}", "role", "assistant", "content", ""),
        NULL);
}

static void event(struct exchange *x, int choice, const struct parse_event *e)
{
    struct chat *c = x->request;
    if (!c->request.parallel_tool_calls && e->call > 0) return; /* one call is wanted */
    chat_answer_add(&c->answers[choice], e);
    if (!streams(x)) return;
    begin(x, choice);
    json_t *delta = chat_answer_delta(&c->answers[choice], e);
    if (delta) send_chunk(x, choice, delta, NULL);
}

static void drawn(struct exchange *x, int choice, const struct pick *p)
{
    struct chat *c = x->request;
    if (sampling_is_stop(&c->request.ends, p->id)) return; /* as EOS */
    chat_answer_pick(&c->answers[choice], engine_tokenizer(x->server->engine),
                     &x->job.generate.parse.ids, p);
}

static void ended(struct exchange *x, int choice, const struct choice_end *end)
{
    if (!streams(x)) return;
    begin(x, choice);
    send_chunk(x, choice, json_pack("{s:s}", "content", ""), finish_name(end->finish));
}

static json_t *usage_of(const struct exchange *x)
{
    int prompt = x->ends[0].n_prompt, hit = x->ends[0].n_reused, drawn = 0, reasoning = 0;
    for (int i = 0; i < x->job.n; i++) {
        drawn += x->ends[i].n_tokens;
        reasoning += x->ends[i].n_reasoning;
    }
    return json_pack("{s:i, s:i, s:i, s:i, s:i, s:{s:i}, s:{s:i}}", "prompt_tokens", prompt,
                     "completion_tokens", drawn, "total_tokens", prompt + drawn,
                     "prompt_cache_hit_tokens", hit, "prompt_cache_miss_tokens", prompt - hit,
                     "prompt_tokens_details", "cached_tokens", hit, "completion_tokens_details",
                     "reasoning_tokens", reasoning);
}

static void complete_stream(struct exchange *x)
{
    const struct chat *c = x->request;
    for (int i = 0; i < x->job.n; i++)
        if (c->answers[i].failed) api_refuse_memory(&x->error);
    if (c->request.include_usage && !x->error.status) {
        json_t *chunk = envelope(x, "chat.completion.chunk");
        json_object_set_new(chunk, "choices", json_array());
        json_object_set_new(chunk, "usage", usage_of(x));
        exchange_event(x, NULL, chunk);
    }
    if (x->error.status)
        exchange_fail(x, &x->error);
    else
        exchange_end_stream(x, true);
}

static void complete(struct exchange *x)
{
    struct chat *c = x->request;
    if (streams(x)) {
        complete_stream(x);
        return;
    }
    json_t *choices = json_array();
    int n_bad = 0;
    for (int i = 0; i < x->job.n; i++)
        n_bad += json_array_append_new(choices,
                                       json_pack("{s:i, s:o, s:s, s:o}", "index", i, "message",
                                                 chat_answer_message(&c->answers[i]),
                                                 "finish_reason", finish_name(x->ends[i].finish),
                                                 "logprobs", chat_answer_logprobs(&c->answers[i])));
    if (n_bad) { /* without memory for all of it */
        json_decref(choices);
        api_refuse_memory(&x->error);
        exchange_fail(x, &x->error);
        return;
    }
    json_t *body = envelope(x, "chat.completion");
    json_object_set_new(body, "choices", choices);
    json_object_set_new(body, "usage", usage_of(x));
    exchange_reply(x, 200, body);
}

static void fini(struct exchange *x)
{
    struct chat *c = x->request;
    if (!c) return;
    for (int i = 0; i < EXCHANGE_MAX_CHOICES; i++)
        chat_answer_fini(&c->answers[i]);
    chat_request_fini(&c->request);
    free(c);
    x->request = NULL;
}

const struct api chat_api = {.id_prefix = "chatcmpl-",
                             .dialect = API_OPENAI,
                             .prepare = prepare,
                             .streams = streams,
                             .event = event,
                             .drawn = drawn,
                             .ended = ended,
                             .complete = complete,
                             .fini = fini};
