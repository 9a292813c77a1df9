#include "serve/exchange.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/hmac.h"
#include "base/log.h"
#include "base/mem.h"
#include "serve/fields.h"
#include "serve/pace.h"
#include "serve/server_state.h"

enum { MAX_CHUNK = 64 << 20, STALL_SECONDS = 10, MAX_PROMPT = 4 << 20, MAX_ANSWER = 256 << 20 };

static const char SSE[] = "text/event-stream; charset=utf-8";
static const char JSON[] = "application/json";

/* --- the beginning, on the I/O thread --- */

static void stop_timer(struct event **timer)
{
    if (*timer) event_free(*timer);
    *timer = NULL;
}

/* Answered, or the client is gone: nothing of the request is ours any more. */
static void let_go(struct exchange *x)
{
    stop_timer(&x->keep_alive);
    stop_timer(&x->stall);
    stop_timer(&x->tick);
    x->http = NULL;
}

static void leave_pace(struct exchange *x);

static void on_gone(void *ctx)
{
    struct exchange *x = ctx;
    let_go(x);
    x->gone = true;
    atomic_store(&x->cancel, true);
    leave_pace(x);
}

/* What the answers took so far; those under way are not counted. A prompt counts once for all its choices. */
static struct used used_of(const struct exchange *x)
{
    struct used used = {0};
    for (int i = 0; i < EXCHANGE_MAX_CHOICES; i++)
        used.n_tokens += x->ends[i].n_tokens;
    for (int i = -1; i < x->n_more; i++) {
        const struct choice_end *first = &x->ends[i < 0 ? x->part.first : x->more[i].part.first];
        used.n_prompt += first->n_prompt;
        used.n_cached += first->n_reused;
    }
    return used;
}

static void tell_audit(const struct exchange *x, const struct used *used)
{
    double now = clock_seconds(), begun = x->job.begun, submitted = x->job.submitted;
    struct audit_entry e = {
        .unix_seconds = routes_unix_now() - (now - x->came),
        .request_id = x->request_id,
        .key = x->pass.key ? x->pass.key->name : NULL,
        .endpoint = x->endpoint,
        .model = x->server->o.model,
        .status = x->gone           ? AUDIT_GONE
                  : x->error.status ? x->error.status
                                    : 200,
        .finish =
            begun > 0 && (x->gone || !x->error.status) ? finish_name(x->ends[0].finish) : NULL,
        .n_prompt = used->n_prompt,
        .n_cached = used->n_cached,
        .n_tokens = used->n_tokens,
        .queue = begun > 0       ? begun - submitted
                 : submitted > 0 ? now - submitted
                                 : -1,
        .first_token = used->n_tokens ? begun - x->came + x->ends[0].prompt_seconds : -1,
        .total = now - x->came,
    };
    for (int i = 0; i < EXCHANGE_MAX_CHOICES; i++)
        e.n_reasoning += x->ends[i].n_reasoning;
    audit_add(x->server->audit, &e);
}

/* Into the list of those that only send, and out of it. */
static void begin_sending(struct exchange *x)
{
    struct server *s = x->server;
    x->next_sending = s->sending;
    if (s->sending) s->sending->at_sending = &x->next_sending;
    x->at_sending = &s->sending;
    s->sending = x;
    s->n_sending++;
}

static void end_sending(struct exchange *x)
{
    if (!x->at_sending) return;
    *x->at_sending = x->next_sending;
    if (x->next_sending) x->next_sending->at_sending = x->at_sending;
    x->at_sending = NULL;
    x->server->n_sending--;
}

static void free_exchange(struct exchange *x)
{
    struct server *s = x->server;
    struct used used = used_of(x);
    tell_audit(x, &used);
    limits_leave(s->limits, &x->pass, &used, moment_now());
    let_go(x);
    end_sending(x);
    x->api->fini(x);
    constraint_drop(x->constraint);
    ids_fini(&x->prompt);
    for (int i = 0; i < x->n_more; i++)
        ids_fini(&x->more[i].prompt);
    free(x->more);
    buf_fini(&x->answer);
    pace_free(x->pace);
    for (int i = 0; i < EXCHANGE_MAX_CHOICES; i++) {
        free(x->last[i]);
    }
    free(x->prepared);
    free(x->body);
    free(x);
    s->n_exchanges--;
}

/* The head of an answer in pieces, once. */
static void begin_stream(struct exchange *x)
{
    if (x->begun) return;
    x->begun = true;
    reply_add_id(x->http, x->api->dialect, x->request_id);
    http_add_header(x->http, "cache-control", "no-cache");
    http_add_header(x->http, "x-accel-buffering", "no");
    http_stream_begin(x->http, 200, x->api->streams(x) ? SSE : JSON);
}

/* A sign of life: an event or a comment between events, or white space before JSON. */
static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
    struct exchange *x = ctx;
    (void)fd;
    (void)what;
    bool streams = x->api->streams(x);
    begin_stream(x);
    if (streams && x->api->alive && x->api->alive(x)) return;
    if (streams && x->pace) return; /* the next tick is one */
    if (streams)
        http_stream_send(x->http, ": keep-alive\n\n", 14);
    else
        http_stream_send(x->http, "\n", 1);
    x->n_signs += !streams;
}

static void start_timer(struct exchange *x)
{
    int ms = x->server->o.keep_alive_ms;
    struct timeval every = {ms / 1000, ms % 1000 * 1000};
    x->keep_alive = event_new(x->server->base, -1, EV_PERSIST, on_timer, x);
    if (x->keep_alive) event_add(x->keep_alive, &every);
}

static bool make_messages(struct exchange *x, struct message **out, int n)
{
    for (int i = 0; i < n; i++) {
        out[i] = calloc(1, sizeof *out[i]);
        if (!out[i]) return false;
        out[i]->x = x;
    }
    return true;
}

/* The key may have gone, or others may have come first, while the body was read. */
static int enter(struct server *s, const struct http_request *r, struct pass *pass,
                 struct api_error *e)
{
    const struct key *key = routes_key(s, r);
    if (s->keys && !key)
        return api_refuse(e, 401, NULL, "Authentication Fails, Your api key is invalid");
    return limits_enter(s->limits, key, pass, e);
}

void exchange_begin(struct server *s, struct http_request *r, const struct api *api)
{
    struct api_error e = {0};
    struct pass pass = {0};
    if (enter(s, r, &pass, &e)) {
        char id[EXCHANGE_ID];
        routes_request_id(r, id);
        routes_audit_refusal(s, r, &e, id);
        reply_refusal(r, api->dialect, &e, id);
        return;
    }
    struct exchange *x = calloc(1, sizeof *x);
    size_t size;
    const char *body = http_body(r, &size);
    if (x) x->body = malloc(size + 1);
    if (!x || !x->body || !make_messages(x, &x->prepared, 1)) {
        free(x ? x->body : NULL);
        free(x);
        limits_leave(s->limits, &pass, &(struct used){0}, moment_now());
        api_refuse_memory(&e);
        reply_refusal(r, api->dialect, &e, NULL);
        return;
    }
    memcpy(x->body, body, size);
    x->body[size] = 0;
    x->body_size = size;
    x->server = s;
    x->pass = pass;
    x->api = api;
    x->http = r;
    x->created = (long)time(NULL);
    x->came = clock_seconds();
    x->part = (struct exchange_part){x, 0};
    x->endpoint = routes_endpoint(r);
    ids_init(&x->prompt, MAX_PROMPT);
    buf_init(&x->answer, MAX_ANSWER);
    random_id(x->id, api->id_prefix);
    routes_request_id(r, x->request_id);
    x->prepared->kind = MESSAGE_PREPARED;
    s->n_exchanges++;
    s->held_bytes += size;
    http_on_gone(r, on_gone, x);
    queue_put(s->to_prepare, &x->to_prepare);
}

/* --- the prepare thread --- */

int exchange_check_model(const struct exchange *x, const char *name, struct api_error *e)
{
    const struct server *s = x->server;
    const struct key *key = x->pass.key;
    if (!server_has_model(s, name))
        return api_refuse(e, 404, "model", "The model `%s` does not exist", name);
    if (key && !key_allows(key, name, s->o.model))
        return api_refuse(e, 403, "model", "The model `%s` is not for this key", name);
    return 0;
}

void exchange_share(struct exchange *x, const struct sharing *with)
{
    const struct key *key = x->pass.key;
    struct hmac h;
    hmac_init(&h, "scope", 5);
    if (key) hmac_field(&h, "key", key->hash, sizeof key->hash);
    if (with->user) hmac_field(&h, "user", with->user, strlen(with->user));
    if (with->salt) hmac_field(&h, "salt", with->salt, strlen(with->salt));
    hmac_end(&h, x->job.scope);
    x->job.no_cache = !with->cache_prompt;
}

int exchange_bind(struct exchange *x, const struct constraint_spec *spec, struct err *err)
{
    struct cache_tenant t = {.group = x->pass.group};
    memcpy(t.scope, x->job.scope, sizeof t.scope);
    return constraint_cache_get(x->server->constraints, &t, spec, &x->constraint, err);
}

static struct exchange *exchange_of(struct queue_item *item)
{
    return (struct exchange *)(void *)((char *)item - offsetof(struct exchange, to_prepare));
}

int exchange_add_prompts(struct exchange *x, int n, struct api_error *e)
{
    CHECK(!x->more, "further prompts come once");
    x->more = calloc((size_t)n, sizeof *x->more);
    if (!x->more) return api_refuse_memory(e);
    x->n_more = n;
    for (int i = 0; i < n; i++)
        ids_init(&x->more[i].prompt, MAX_PROMPT);
    return 0;
}

/* Numbers the choices of all prompts. */
static void count_choices(struct exchange *x)
{
    x->n_choices = x->job.n;
    for (int i = 0; i < x->n_more; i++) {
        x->more[i].part = (struct exchange_part){x, x->n_choices};
        x->n_choices += x->more[i].job.n;
    }
    CHECK(x->n_choices <= EXCHANGE_MAX_CHOICES, "%d choices", x->n_choices);
}

static void prepare(struct exchange *x)
{
    json_t *body = NULL;
    exchange_share(x, &(struct sharing){.cache_prompt = true});
    if (!atomic_load(&x->cancel) && body_parse(&body, x->body, x->body_size, &x->error) == 0 &&
        x->api->prepare(x, body, &x->error) == 0 && !x->answered) {
        count_choices(x);
        if (!make_messages(x, x->last, x->n_choices)) api_refuse_memory(&x->error);
    }
    if (x->answer.failed) api_refuse_memory(&x->error);
    queue_put(x->server->mailbox, &x->prepared->item);
}

void *exchange_prepare_loop(void *ctx)
{
    struct server *s = ctx;
    struct queue_item *i;
    while ((i = queue_wait(s->to_prepare)))
        for (struct queue_item *next; i; i = next) {
            next = i->next;
            prepare(exchange_of(i));
        }
    return NULL;
}

/* --- the engine's thread --- */

static void lose(struct exchange *x)
{
    atomic_store(&x->lost, true);
    atomic_store(&x->cancel, true);
}

static void on_event(void *ctx, int choice, const struct parse_event *e)
{
    const struct exchange_part *part = ctx;
    struct exchange *x = part->x;
    if (atomic_load(&x->lost)) return;
    struct message *m = malloc(sizeof *m + e->size + 1);
    if (!m) {
        lose(x);
        return;
    }
    *m = (struct message){
        .x = x, .kind = MESSAGE_EVENT, .choice = part->first + choice, .event = *e};
    memcpy(m + 1, e->text, e->size + 1);
    queue_put(x->server->mailbox, &m->item);
}

static void put_pick(struct exchange *x, enum message_kind kind, int choice, const struct pick *p)
{
    size_t size = offsetof(struct pick, top) + (size_t)p->n_top * sizeof *p->top;
    if (atomic_load(&x->lost)) return;
    struct message *m = malloc(sizeof *m + size);
    if (!m) {
        lose(x);
        return;
    }
    *m = (struct message){.x = x, .kind = kind, .choice = choice, .event.size = size};
    memcpy(m + 1, p, size);
    queue_put(x->server->mailbox, &m->item);
}

static void on_drawn(void *ctx, int choice, const struct pick *p)
{
    const struct exchange_part *part = ctx;
    struct exchange *x = part->x;
    double now = clock_seconds(), *last = &x->last_token[part->first + choice];
    if (*last > 0) metrics_count_gap(x->server->metrics, now - *last);
    *last = now;
    if (x->wants_picks) put_pick(x, MESSAGE_DRAWN, part->first + choice, p);
}

static void on_prompted(void *ctx, const struct pick *p)
{
    const struct exchange_part *part = ctx;
    put_pick(part->x, MESSAGE_PROMPTED, part->first, p);
}

static struct choice_end end_of(const struct generation_result *r)
{
    struct choice_end end = {.finish = r->finish,
                             .n_tokens = r->n,
                             .n_prompt = r->stats.n_prompt,
                             .n_reused = r->stats.n_reused,
                             .stop = -1,
                             .prompt_seconds = r->stats.prompt_seconds,
                             .decode_seconds = r->stats.decode_seconds};
    if (r->text) {
        end.n_reasoning = r->text->n_reasoning_tokens;
        end.stop = r->text->stop;
    }
    return end;
}

static void count_answer(const struct exchange *x, int choice, int max_tokens,
                         const struct generation_result *r)
{
    double now = clock_seconds();
    struct metrics_answer a = {.failed = !r,
                               .is_first = choice == 0,
                               .max_tokens = max_tokens,
                               .since_arrival = now - x->came,
                               .since_submit = now - x->submitted};
    if (r) {
        a.finish = r->finish;
        a.n_prompt = r->stats.n_prompt;
        a.n_reused = r->stats.n_reused;
        a.n_drawn = r->n;
        a.prompt_seconds = r->stats.prompt_seconds;
        a.decode_seconds = r->stats.decode_seconds;
    }
    metrics_count_answer(x->server->metrics, &a);
}

static const struct scheduler_job *job_of(const struct exchange_part *part)
{
    if (part == &part->x->part) return &part->x->job;
    return &((const struct exchange_more *)(const void *)((const char *)part -
                                                          offsetof(struct exchange_more, part)))
                ->job;
}

static void on_done(void *ctx, int choice, const struct generation_result *r,
                    const struct err *failure)
{
    const struct exchange_part *part = ctx;
    struct exchange *x = part->x;
    int index = part->first + choice;
    struct message *m = x->last[index];
    m->kind = MESSAGE_ENDED;
    m->choice = index;
    if (r) x->ends[index] = end_of(r);
    if (failure) x->ends[index].failure = *failure;
    x->ends[index].waited_too_long = job_of(part)->waited_too_long;
    count_answer(x, choice, x->job.generate.max_tokens, r);
    queue_put(x->server->mailbox, &m->item);
}

/* --- back on the I/O thread --- */

/* The worst case, of the key's tokens. */
static int reserve(struct exchange *x)
{
    struct demand d = {.n_choices = x->n_choices};
    int most = 0;
    for (int i = -1; i < x->n_more; i++) {
        const struct generate_options *g = i < 0 ? &x->job.generate : &x->more[i].job.generate;
        int n = (int)(i < 0 ? x->prompt.n : x->more[i].prompt.n);
        int left = g->max_context > n ? g->max_context - n : 0;
        int own = g->max_tokens >= 0 && g->max_tokens < left ? g->max_tokens : left;
        d.n_prompt += n;
        if (own > most) most = own;
    }
    d.max_tokens = most;
    if (limits_reserve(&x->pass, &d, moment_now(), &x->error)) return -1;
    if (d.max_tokens == most) return 0;
    x->job.generate.max_tokens = d.max_tokens;
    for (int i = 0; i < x->n_more; i++)
        x->more[i].job.generate.max_tokens = d.max_tokens;
    return 0;
}

/* The key's name: the numbers of groups and the keys themselves change. */
static void set_owner(struct scheduler_job *job, const struct key *key)
{
    struct hmac h;
    hmac_init(&h, "owner", 5);
    if (key) hmac_field(&h, "name", key->name, strlen(key->name));
    hmac_end(&h, job->owner);
}

static int submit_job(struct exchange *x, struct scheduler_job *job, struct ids *prompt,
                      struct exchange_part *part)
{
    struct err err = {0};
    job->ids = prompt->data;
    job->n_ids = (int)prompt->n;
    job->group = x->pass.group;
    set_owner(job, x->pass.key);
    job->priority = x->pass.key ? x->pass.key->priority : 0;
    job->n_system = engine_system_length(x->server->engine, job->ids, job->n_ids);
    job->cancel = &x->cancel;
    job->event = on_event;
    job->drawn = on_drawn;
    job->prompted = x->wants_prompts ? on_prompted : NULL;
    job->done = on_done;
    job->ctx = part;
    if (scheduler_submit(x->server->scheduler, job, &err) == 0) return 0;
    if (err.code == ERR_LIMIT)
        return api_refuse(&x->error, 429, NULL, "Too many requests: %s", err.message);
    return api_refuse_err(&x->error, &err);
}

static int start_pace(struct exchange *x);

/* All prompts, or none: what has begun when one is refused ends. */
static void submit(struct exchange *x)
{
    int n_begun = 0, rc = reserve(x);
    if (rc == 0) start_timer(x);
    if (rc == 0 && x->server->o.padding == PADDING_PACED) rc = start_pace(x);
    x->submitted = clock_seconds();
    if (rc == 0) rc = submit_job(x, &x->job, &x->prompt, &x->part);
    if (rc == 0) n_begun = x->job.n;
    for (int i = 0; rc == 0 && i < x->n_more; i++) {
        struct exchange_more *more = &x->more[i];
        more->job.no_cache = x->job.no_cache;
        memcpy(more->job.scope, x->job.scope, sizeof more->job.scope);
        rc = submit_job(x, &more->job, &more->prompt, &more->part);
        if (rc == 0) n_begun += more->job.n;
    }
    if (rc == 0) return;
    atomic_store(&x->cancel, true);
    exchange_fail(x, &x->error);
    x->n_choices = n_begun;
    if (n_begun == 0) free_exchange(x);
}

/* What needs no engine. */
static void send_answer(struct exchange *x)
{
    reply_add_id(x->http, x->api->dialect, x->request_id);
    http_reply(x->http, 200, JSON, x->answer.data, x->answer.size);
    free_exchange(x);
}

static void take_prepared(struct exchange *x)
{
    x->server->held_bytes -= x->body_size;
    free(x->body);
    x->body = NULL;
    if (x->error.status && x->http) exchange_fail(x, &x->error);
    if (x->error.status || !x->http)
        free_exchange(x);
    else if (x->answered)
        send_answer(x);
    else
        submit(x);
}

static void take_event(struct message *m)
{
    struct exchange *x = m->x;
    if (!x->http || x->error.status) return;
    m->event.text = (const char *)(m + 1);
    if (x->api->streams(x)) stop_timer(&x->keep_alive);
    x->api->event(x, m->choice, &m->event);
}

static void take_pick(struct message *m)
{
    struct exchange *x = m->x;
    struct pick pick = {0};
    memcpy(&pick, m + 1, m->event.size);
    if (!x->http || x->error.status) return;
    if (m->kind == MESSAGE_DRAWN)
        x->api->drawn(x, m->choice, &pick);
    else
        x->api->prompted(x, m->choice, &pick);
}

static void take_end(struct message *m)
{
    struct exchange *x = m->x;
    const struct err *failure = &x->ends[m->choice].failure;
    if (failure->code != ERR_NONE) {
        log_error("serve: %s: %s", x->request_id, failure->message);
        api_refuse_err(&x->error, failure);
    } else if (x->overran) {
        api_refuse(&x->error, 503, NULL,
                   "More than %d MiB of the answer wait for ticks: ask for less, or no "
                   "log-probabilities",
                   PACE_MAX_WAITING >> 20);
    } else if (atomic_load(&x->lost)) {
        api_refuse_memory(&x->error);
    } else if (x->ends[m->choice].waited_too_long) {
        api_refuse(&x->error, 503, NULL, "The server is overloaded: it did not begin in %d seconds",
                   x->server->o.max_wait);
    } else if (x->ends[m->choice].finish == FINISH_CANCELLED) {
        api_refuse(&x->error, 503, NULL, "The server is shutting down");
    }
    if (x->error.status)
        atomic_store(&x->cancel, true);
    else if (x->http && x->api->ended)
        x->api->ended(x, m->choice, &x->ends[m->choice]);
    if (++x->n_ended < x->n_choices) return;
    if (x->http && x->error.status)
        exchange_fail(x, &x->error);
    else if (x->http)
        x->api->complete(x);
    if (!x->http) free_exchange(x); /* else its last events wait for their ticks */
}

/* The message stays the caller's, but the exchange may be freed, with those of ends. */
static void handle(struct message *m)
{
    if (m->kind == MESSAGE_ENDED)
        take_end(m);
    else if (m->kind == MESSAGE_EVENT)
        take_event(m);
    else
        take_pick(m);
}

static void handle_and_free(struct message *m)
{
    bool is_end = m->kind == MESSAGE_ENDED;
    handle(m);
    if (!is_end) free(m);
}

/* A stream's messages wait for ticks, of a whole answer the ends alone. */
static bool must_wait(const struct message *m)
{
    const struct exchange *x = m->x;
    return x->pace && x->http && (m->kind == MESSAGE_ENDED || x->api->streams(x));
}

static void watch_sending(struct exchange *x);

void exchange_take(struct message *m)
{
    struct exchange *x = m->x;
    if (m->kind == MESSAGE_PREPARED) {
        take_prepared(x);
    } else if (!must_wait(m)) {
        handle_and_free(m);
    } else if (!pace_put(x->pace, m)) {
        x->overran = true;
        atomic_store(&x->cancel, true);
        free(m);
    } else if (m->kind == MESSAGE_ENDED) {
        watch_sending(x);
    }
}

/* --- ticks --- */

static void watch_reader(struct exchange *x);

/* The exchange may be freed. */
static void leave_pace(struct exchange *x)
{
    struct pace *p = x->pace;
    struct message *m;
    if (!p) return; /* then the prepare thread may have x */
    bool is_complete = x->n_ended == x->n_choices;
    x->pace = NULL;
    stop_timer(&x->tick);
    while ((m = pace_take(p)))
        handle_and_free(m);
    pace_free(p);
    if (is_complete) free_exchange(x);
}

/* True: the stream is over, and the exchange has been freed. */
static bool tick_stream(struct exchange *x)
{
    struct message *m;
    begin_stream(x);
    while (!pace_has_cell(x->pace) && (m = pace_next(x->pace)))
        handle(m);
    http_stream_send(x->http, pace_cell(x->pace), PADDING_CELL);
    watch_reader(x);
    if (!pace_is_over(x->pace)) return false;
    http_stream_end(x->http);
    let_go(x);
    free_exchange(x);
    return true;
}

/* What is left, without ticks; all choices have ended. The exchange is freed. */
static void send_rest(struct exchange *x)
{
    if (!x->api->streams(x)) {
        leave_pace(x);
        return;
    }
    pace_hurry(x->pace);
    while (!tick_stream(x))
        continue;
}

/* An end has come: when it was the last one, all that is left is to send. */
static void watch_sending(struct exchange *x)
{
    if (x->n_ended + pace_n_ends(x->pace) < x->n_choices) return;
    if (x->server->draining || x->server->n_sending >= routes_max_exchanges(x->server))
        send_rest(x);
    else
        begin_sending(x);
}

void exchange_send_all(struct server *s)
{
    while (s->sending)
        send_rest(s->sending);
}

static void on_tick(evutil_socket_t fd, short what, void *ctx)
{
    struct exchange *x = ctx;
    (void)fd;
    (void)what;
    x->n_ticks++;
    if (x->api->streams(x))
        tick_stream(x);
    else if (pace_n_ends(x->pace) == x->n_choices && padding_class(x->n_ticks) == x->n_ticks)
        leave_pace(x); /* all is there, and it is time for it */
}

static int start_pace(struct exchange *x)
{
    int ms = x->server->o.tick_ms;
    struct timeval every = {ms / 1000, ms % 1000 * 1000};
    x->pace = pace_new();
    x->tick = event_new(x->server->base, -1, EV_PERSIST, on_tick, x);
    if (x->pace && x->tick && event_add(x->tick, &every) == 0) return 0;
    return api_refuse_memory(&x->error);
}

/* --- what endpoints write --- */

/* What is being written has a hole: the exchange ends with an error. */
static void fail_for_memory(struct exchange *x)
{
    atomic_store(&x->cancel, true);
    api_refuse_memory(&x->error);
}

/* Text of JSON, which is given back; "" when memory is out, and then the exchange is lost. */
static char *text_of(struct exchange *x, json_t *body, size_t *size)
{
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    json_decref(body);
    *size = text ? strlen(text) : 0;
    if (!text) fail_for_memory(x);
    return text;
}

/* Text of JSON with the spaces that padding wants. */
static char *padded_text_of(struct exchange *x, json_t *body, size_t *size)
{
    char *text = text_of(x, body, size);
    size_t sent = x->n_signs, whole = padding_body(x->server->o.padding, sent + *size) - sent;
    if (!text || whole == *size) return text;
    char *grown = realloc(text, whole + 1);
    if (!grown) {
        free(text);
        fail_for_memory(x);
        return NULL;
    }
    memset(grown + *size, ' ', whole - *size);
    grown[whole] = 0;
    *size = whole;
    return grown;
}

void exchange_reply(struct exchange *x, int status, json_t *body)
{
    size_t size;
    char *text = padded_text_of(x, body, &size);
    if (x->begun) { /* 200 has been sent: what the body says counts */
        if (text) http_stream_send(x->http, text, size);
        http_stream_end(x->http);
    } else {
        reply_add_id(x->http, x->api->dialect, x->request_id);
        http_reply(x->http, text ? status : 503, JSON, text ? text : "{}", text ? size : 2);
    }
    free(text);
    let_go(x);
}

static void end_stream(struct exchange *x, bool done_mark)
{
    if (x->pace) { /* the ticks bring what waits */
        stop_timer(&x->keep_alive);
        pace_end(x->pace, done_mark);
        return;
    }
    if (done_mark) http_stream_send(x->http, "data: [DONE]\n\n", 14);
    http_stream_end(x->http);
    let_go(x);
}

void exchange_fail(struct exchange *x, const struct api_error *e)
{
    bool is_stream = x->begun && x->api->streams(x);
    if (is_stream && x->api->failed) {
        x->api->failed(x, e);
        end_stream(x, false);
        return;
    }
    json_t *body = api_error_json(e, x->api->dialect, x->request_id);
    if (is_stream) {
        exchange_event(x, x->api->dialect == API_ANTHROPIC ? "error" : NULL, body);
        end_stream(x, false);
    } else if (x->begun) {
        exchange_reply(x, 200, body);
    } else {
        json_decref(body);
        reply_refusal(x->http, x->api->dialect, e, x->request_id);
        let_go(x);
    }
}

/* The client has not read for long: what is written for it would only grow. */
static void on_stalled(evutil_socket_t fd, short what, void *ctx)
{
    struct exchange *x = ctx;
    (void)fd;
    (void)what;
    log_warn("serve: %s: the client does not read, its answer ends", x->request_id);
    atomic_store(&x->cancel, true);
    api_refuse(&x->error, 408, NULL, "The client does not read");
    struct pace *p = x->pace;
    x->pace = NULL; /* what it says now is said at once */
    exchange_fail(x, &x->error);
    x->pace = p;
    leave_pace(x);
}

static void on_drained(void *ctx)
{
    struct exchange *x = ctx;
    stop_timer(&x->stall);
}

static void watch_reader(struct exchange *x)
{
    struct timeval most = {STALL_SECONDS, 0};
    if (x->stall || !http_is_full(x->http)) return;
    x->stall = evtimer_new(x->server->base, on_stalled, x);
    if (!x->stall) return;
    evtimer_add(x->stall, &most);
    http_on_drained(x->http, on_drained, x);
}

/* Sends an event now. */
static void send_event(struct exchange *x, const char *name, const char *text, size_t size)
{
    struct buf event;
    buf_init(&event, MAX_CHUNK);
    padding_event(&event, name, text, size, x->server->o.padding ? PADDING_BUCKET_BYTES : 0);
    if (event.failed)
        fail_for_memory(x);
    else
        http_stream_send(x->http, event.data, event.size);
    watch_reader(x);
    buf_fini(&event);
}

void exchange_event(struct exchange *x, const char *name, json_t *data)
{
    size_t size;
    char *text = text_of(x, data, &size);
    if (!text) return;
    begin_stream(x);
    if (!x->pace)
        send_event(x, name, text, size);
    else if (!pace_event(x->pace, name, text, size))
        fail_for_memory(x);
    free(text);
}

void exchange_end_stream(struct exchange *x, bool done_mark)
{
    if (x->error.status) /* the last event found no memory */
        exchange_fail(x, &x->error);
    else
        end_stream(x, done_mark);
}
