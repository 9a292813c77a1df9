#include "serve/v1_engine.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "serve/server_state.h"
#include "text/prompt.h"

static const double STUCK_SECONDS = 60;

enum { MAX_METRICS = 8 << 20 }; /* KEYS_MAX keys have 2 MB */

struct key_list {
    struct key_totals *keys;
    int n, max;
};

static void add_key(void *ctx, const struct key_totals *t)
{
    struct key_list *l = ctx;
    if (l->n < l->max) l->keys[l->n++] = *t;
}

/* Whether the key of --api-key came: what others do with theirs is for nobody else. */
static bool is_operator(const struct server *s, const struct http_request *r)
{
    const struct key *key = routes_key(s, r);
    return key && s->has_key && !memcmp(key->hash, s->key_hash, sizeof key->hash);
}

void v1_metrics(struct server *s, struct http_request *r)
{
    struct key_list list = {.max = 2 * KEYS_MAX};
    list.keys = is_operator(s, r) ? calloc((size_t)list.max, sizeof *list.keys) : NULL;
    if (list.keys) limits_each(s->limits, moment_now(), add_key, &list);
    struct metrics_now now = {.engine = scheduler_stats(s->scheduler),
                              .n_exchanges = s->n_exchanges,
                              .n_connections = http_connections(s->http),
                              .audit_lost = audit_lost(s->audit),
                              .keys = list.keys,
                              .n_keys = list.n};
    char id[EXCHANGE_ID];
    struct buf text;
    buf_init(&text, MAX_METRICS);
    metrics_print(s->metrics, &now, &text);
    free(list.keys);
    routes_request_id(r, id);
    http_add_header(r, "x-request-id", id);
    if (text.failed)
        http_reply(r, 503, NULL, NULL, 0);
    else
        http_reply(r, 200, "text/plain; version=0.0.4; charset=utf-8", text.data, text.size);
    buf_fini(&text);
}

static json_t *token_text(const struct tokenizer *t, int id)
{
    size_t size;
    const char *piece = tokenizer_piece(t, id, &size);
    return piece ? json_stringn(piece, size) : json_string("");
}

void v1_props(struct server *s, struct http_request *r)
{
    const struct tokenizer *t = engine_tokenizer(s->engine);
    struct sampler_options o = sampler_defaults();
    json_t *params = json_pack(
        "{s:f, s:i, s:f, s:f, s:f, s:f, s:f, s:i, s:i, s:i, s:b, s:[]}", "temperature",
        (double)o.temperature, "top_k", o.top_k, "top_p", (double)o.top_p, "min_p", (double)o.min_p,
        "repeat_penalty", (double)o.repeat_penalty, "presence_penalty", (double)o.presence_penalty,
        "frequency_penalty", (double)o.frequency_penalty, "repeat_last_n", o.penalty_last_n,
        "n_predict", -1, "seed", -1, "stream", 0, "stop");
    reply_json(r, 200,
               json_pack("{s:{s:i, s:o}, s:i, s:s, s:s, s:s, s:o, s:o, s:{s:b, s:b}, s:s}",
                         "default_generation_settings", "n_ctx", engine_context(s->engine),
                         "params", params, "total_slots", s->o.max_streams, "model_path",
                         s->o.model, "model_alias", s->o.model, "chat_template", "", "bos_token",
                         token_text(t, prompt_bos(t)), "eos_token",
                         token_text(t, engine_eos(s->engine)), "modalities", "vision", 0, "audio",
                         0, "build_info", "tenon " TENON_VERSION));
}

void v1_tokenizer_info(struct server *s, struct http_request *r)
{
    const struct tokenizer *t = engine_tokenizer(s->engine);
    json_t *eos = token_text(t, engine_eos(s->engine));
    reply_json(r, 200,
               json_pack("{s:s, s:o, s:O, s:o, s:i}", "tokenizer_class", "tenon", "bos_token",
                         token_text(t, prompt_bos(t)), "pad_token", eos, "eos_token", eos,
                         "vocab_size", engine_vocab(s->engine)));
}

void v1_slots(struct server *s, struct http_request *r)
{
    int n = s->o.max_streams;
    struct scheduler_slot *slots = calloc((size_t)n, sizeof *slots);
    struct api_error e = {0};
    if (!slots) {
        api_refuse_memory(&e);
        reply_refusal(r, API_OPENAI, &e, NULL);
        return;
    }
    scheduler_slots(s->scheduler, slots);
    json_t *list = json_array();
    for (int i = 0; i < n; i++)
        json_array_append_new(
            list, json_pack("{s:i, s:i, s:b, s:i, s:i, s:{s:i}}", "id", i, "n_ctx",
                            engine_context(s->engine), "is_processing", slots[i].is_running,
                            "n_prompt_tokens", slots[i].n_prompt, "n_tokens_computed",
                            slots[i].n_fed, "next_token", "n_decoded", slots[i].n_drawn));
    free(slots);
    reply_json(r, 200, list);
}

/* Requests under way. */
void v1_load(struct server *s, struct http_request *r)
{
    reply_json(r, 200, json_pack("{s:i}", "server_load", s->n_exchanges));
}

void v1_loads(struct server *s, struct http_request *r)
{
    struct scheduler_stats stats = scheduler_stats(s->scheduler);
    reply_json(r, 200,
               json_pack("{s:[{s:i, s:i, s:i, s:i}]}", "loads", "dp_rank", 0, "num_running_reqs",
                         stats.n_running, "num_waiting_reqs", stats.n_waiting, "num_reqs",
                         stats.n_running + stats.n_waiting));
}

void v1_server_info(struct server *s, struct http_request *r)
{
    struct scheduler_stats stats = scheduler_stats(s->scheduler);
    reply_json(r, 200,
               json_pack("{s:s, s:s, s:i, s:i, s:i, s:I, s:I, s:I}", "version", TENON_VERSION,
                         "served_model_name", s->o.model, "context_length",
                         engine_context(s->engine), "max_running_requests", s->o.max_streams,
                         "max_queued_requests", s->o.max_queue, "memory_bytes",
                         (json_int_t)stats.memory, "memory_reserved_bytes",
                         (json_int_t)stats.reserved, "steps", (json_int_t)stats.n_steps));
}

void v1_model_info(struct server *s, struct http_request *r)
{
    reply_json(r, 200,
               json_pack("{s:s, s:s, s:b, s:i, s:i}", "model_path", s->o.model, "tokenizer_path",
                         s->o.model, "is_generation", 1, "max_model_len", engine_context(s->engine),
                         "vocab_size", engine_vocab(s->engine)));
}

void v1_health_generate(struct server *s, struct http_request *r)
{
    struct scheduler_stats stats = scheduler_stats(s->scheduler);
    double now = clock_seconds(), under_way = stats.step_began > 0 ? now - stats.step_began : 0;
    struct api_error e = {0};
    if (s->draining)
        api_refuse(&e, 503, NULL, "The server is shutting down");
    else if (stats.step_failed)
        api_refuse(&e, 503, NULL, "The engine's last step failed");
    else if (under_way > STUCK_SECONDS)
        api_refuse(&e, 503, NULL, "The engine's step is under way for %.0f seconds", under_way);
    if (e.status)
        reply_refusal(r, API_OPENAI, &e, NULL);
    else if (stats.last_good > 0)
        reply_json(
            r, 200,
            json_pack("{s:s, s:f}", "status", "ok", "seconds_since_step", now - stats.last_good));
    else
        reply_json(r, 200, json_pack("{s:s, s:n}", "status", "ok", "seconds_since_step"));
}

void v1_lora_adapters(struct server *s, struct http_request *r)
{
    (void)s;
    reply_json(r, 200, json_array());
}

/* ---- what is not here ---- */

bool absent_refuse(const char *path, struct api_error *e)
{
    static const struct {
        const char *path; /* this, and all below it */
        int status;
        const char *message;
    } absent[] = {
        {"/embeddings", 404, "This server makes no embeddings: its model generates text"},
        {"/embedding", 404, "This server makes no embeddings: its model generates text"},
        {"/rerank", 404, "This server does not rank: its model generates text"},
        {"/score", 404, "This server does not score: its model generates text"},
        {"/moderations", 404, "This server does not moderate"},
        {"/images", 404, "This server makes no images"},
        {"/audio", 404, "This server neither reads nor makes audio"},
        {"/files", 404, "This server keeps no files"},
        {"/batches", 404, "This server takes no batches: send the requests themselves"},
        {"/fine_tuning", 404, "This server does not train"},
        {"/slots", 501, "Saving, restoring and erasing slots is not done here"},
        {"/flush_cache", 501, "The prefix cache is not emptied from outside"},
        {"/reset_prefix_cache", 501, "The prefix cache is not emptied from outside"},
        {"/abort_request", 501, "A request ends when its client closes the connection"},
        {"/sleep", 501, "Sleeping is not done here"},
        {"/wake_up", 501, "Sleeping is not done here"},
    };
    for (size_t i = 0; i < sizeof absent / sizeof *absent; i++) {
        size_t n = strlen(absent[i].path);
        if (strncmp(path, absent[i].path, n) != 0 || (path[n] && path[n] != '/')) continue;
        api_refuse(e, absent[i].status, NULL, "%s", absent[i].message);
        return true;
    }
    return false;
}
