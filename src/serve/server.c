#include "serve/server.h"

#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sha256.h"
#include "secure/tls.h"
#include "serve/cors.h"
#include "serve/server_state.h"
#include "text/utf8.h"

struct server_options server_defaults(void)
{
    return (struct server_options){.http = http_defaults(),
                                   .max_streams = 16,
                                   .max_rows = ENGINE_CHUNK,
                                   .max_queue = 256,
                                   .max_queue_tokens = 4 << 20,
                                   .max_wait = 600,
                                   .rules = {.family = FAMILY_OFFICIAL},
                                   .cache = {.every = PREFIX_EVERY},
                                   .keep_alive_ms = 5000,
                                   .tick_ms = 50,
                                   .drain_seconds = 30};
}

bool server_has_model(const struct server *s, const char *name)
{
    static const char *const aliases[] = {"deepseek-v4-flash", "deepseek-v4-pro", "deepseek-flash",
                                          "deepseek-chat", "deepseek-reasoner"};
    if (s->o.any_model || !strcmp(name, s->o.model)) return true;
    for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++)
        if (!strcmp(name, aliases[i])) return true;
    return false;
}

/* --- messages --- */

static void wake(void *ctx)
{
    struct server *s = ctx;
    const uint64_t one = 1;
    int saved = errno; /* may be called from a signal handler */
    /* A counter that is full, the only failure there is, has woken the loop already. */
    ssize_t n = write(s->wake_fd, &one, sizeof one);
    (void)n;
    errno = saved;
}

static void take_messages(struct server *s)
{
    struct queue_item *i = queue_take(s->mailbox);
    for (struct queue_item *next; i; i = next) {
        next = i->next;
        exchange_take((struct message *)(void *)((char *)i - offsetof(struct message, item)));
    }
}

/* --- the end --- */

static void on_drain_over(evutil_socket_t fd, short what, void *ctx)
{
    struct server *s = ctx;
    (void)fd;
    (void)what;
    log_warn("serve: %d answers did not end in time, they are cut off", s->n_exchanges);
    event_base_loopbreak(s->base);
}

/* Done when every answer has been written, which is when the connections are gone. */
static void on_drain_tick(evutil_socket_t fd, short what, void *ctx)
{
    struct server *s = ctx;
    (void)fd;
    (void)what;
    if (!s->n_exchanges && !http_connections(s->http)) event_base_loopexit(s->base, NULL);
}

static void begin_drain(struct server *s)
{
    struct timeval most = {s->o.drain_seconds, 0}, tick = {0, 10000};
    s->draining = true;
    http_stop(s->http);
    log_info("serve: stopping, %d answers under way", s->n_exchanges);
    evtimer_add(s->drain_timer, &most);
    event_add(s->drain_tick, &tick);
    exchange_send_all(s);
}

static void on_woken(evutil_socket_t fd, short what, void *ctx)
{
    struct server *s = ctx;
    uint64_t count;
    (void)what;
    if (read(fd, &count, sizeof count) == (ssize_t)sizeof count) take_messages(s);
    if (atomic_load(&s->stop) && !s->draining) begin_drain(s);
}

static void on_signal(evutil_socket_t fd, short what, void *ctx)
{
    struct server *s = ctx;
    (void)fd;
    (void)what;
    if (s->draining)
        event_base_loopbreak(s->base);
    else
        begin_drain(s);
}

/* --- reading files again --- */

static int read_keys(struct server *s, struct err *err)
{
    struct keys *keys = NULL;
    if (!s->o.keys && !s->has_key) return 0;
    if (keys_read(&keys, s->o.keys, s->has_key ? s->key_hash : NULL, err)) return -1;
    limits_set_keys(s->limits, keys);
    keys_release(s->keys);
    s->keys = keys;
    return 0;
}

static void reload_tls(struct server *s)
{
    struct err err = {0};
    if (!s->tls) return;
    if (tls_reload(s->tls, &err))
        log_error("serve: the certificate stays as it was: %s", err.message);
    else
        log_info("serve: %s is used from now on", s->o.tls_cert);
}

static void on_hang_up(evutil_socket_t fd, short what, void *ctx)
{
    struct server *s = ctx;
    struct err err = {0};
    (void)fd;
    (void)what;
    if (read_keys(s, &err))
        log_error("serve: the keys stay as they were: %s", err.message);
    else if (s->o.keys)
        log_info("serve: %d keys", keys_count(s->keys));
    audit_reopen(s->audit);
    reload_tls(s);
}

/* --- opening --- */

static void on_answered(void *ctx, int status)
{
    struct server *s = ctx;
    metrics_count_status(s->metrics, status);
}

static bool is_loopback(const char *host)
{
    return !strncmp(host, "127.", 4) || !strcmp(host, "::1");
}

/* Whether a client can send the key as the value of a header. */
static bool is_sendable(const char *key)
{
    for (; *key; key++)
        if ((unsigned char)*key <= ' ' || *key == 0x7f) return false;
    return true;
}

static int check_options(const struct server_options *o, struct err *err)
{
    if (!o->model[0] || !utf8_valid(o->model, strlen(o->model)))
        return err_set(err, ERR_ARGUMENT, "\"%s\" is no name for a model", o->model);
    if (strlen(o->model) > CHAT_MAX_MODEL)
        return err_set(err, ERR_ARGUMENT, "\"%.32s...\": a model's name has at most %d bytes",
                       o->model, CHAT_MAX_MODEL);
    if (o->rules.effort && !chat_effort_exists(o->rules.effort))
        return err_set(err, ERR_ARGUMENT,
                       "effort \"%s\": there are minimal, low, medium, high, xhigh, max and ultra",
                       o->rules.effort);
    if (!o->api_key && !o->keys && !is_loopback(o->http.host))
        return err_set(err, ERR_ARGUMENT, "%s can be reached by others: that needs a key (--keys)",
                       o->http.host);
    if (o->cors && cors_check(o->cors, err)) return -1;
    if (!o->tls_cert != !o->tls_key)
        return err_set(err, ERR_ARGUMENT, "TLS wants a certificate and a key, and there is one");
    if (o->api_key && strlen(o->api_key) < 8)
        return err_set(err, ERR_ARGUMENT, "a key has at least 8 characters");
    if (o->api_key && !is_sendable(o->api_key))
        return err_set(err, ERR_ARGUMENT, "a key has no blanks and no control bytes");
    return 0;
}

static int open_events(struct server *s, struct err *err)
{
    struct event_config *config = event_config_new();
    s->base = config ? event_base_new_with_config(config) : NULL;
    if (config) event_config_free(config);
    s->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (!s->base || s->wake_fd < 0)
        return err_set(err, ERR_IO, "no event loop: %s", strerror(errno));
    s->woken = event_new(s->base, s->wake_fd, EV_READ | EV_PERSIST, on_woken, s);
    s->on_term = evsignal_new(s->base, SIGTERM, on_signal, s);
    s->on_int = evsignal_new(s->base, SIGINT, on_signal, s);
    s->on_hup = evsignal_new(s->base, SIGHUP, on_hang_up, s);
    s->drain_timer = evtimer_new(s->base, on_drain_over, s);
    s->drain_tick = event_new(s->base, -1, EV_PERSIST, on_drain_tick, s);
    if (!s->woken || !s->on_term || !s->on_int || !s->on_hup || !s->drain_timer || !s->drain_tick ||
        event_add(s->woken, NULL) || event_add(s->on_term, NULL) || event_add(s->on_int, NULL) ||
        event_add(s->on_hup, NULL))
        return err_set(err, ERR_LIMIT, "no memory for an event loop");
    return 0;
}

int server_open(struct server **out, struct engine *e, const struct server_options *o,
                struct err *err)
{
    struct http_handler handler = {.request = routes_request,
                                   .head = routes_head,
                                   .error_body = routes_error_body,
                                   .answered = on_answered};
    struct scheduler_options scheduling = {.max_streams = o->max_streams,
                                           .max_rows = o->max_rows,
                                           .max_queue = o->max_queue,
                                           .max_queue_tokens = o->max_queue_tokens,
                                           .max_wait = o->max_wait};
    *out = NULL;
    if (check_options(o, err)) return -1;
    struct server *s = xcalloc(1, sizeof *s);
    *s = (struct server){.o = *o, .engine = e, .wake_fd = -1, .started = clock_seconds()};
    handler.ctx = s;
    s->has_key = o->api_key != NULL;
    if (o->api_key) sha256_of(o->api_key, strlen(o->api_key), s->key_hash);
    s->o.api_key = NULL; /* its hash is enough */
    s->limits = limits_new();
    s->metrics = metrics_new(o->model);
    s->mailbox = queue_new(wake, s);
    s->to_prepare = queue_new(NULL, NULL);
    s->constraints = constraint_cache_new(e);
    if (!s->constraints) {
        err_set(err, ERR_LIMIT, "no memory for a server");
        goto fail;
    }
    if (o->audit && audit_open(&s->audit, o->audit, err)) goto fail;
    if (o->tls_cert && tls_open(&s->tls, o->tls_cert, o->tls_key, err)) goto fail;
    s->o.http.tls = s->tls;
    if (read_keys(s, err) || open_events(s, err) || engine_cache_open(&s->cache, e, &o->cache, err))
        goto fail;
    scheduling.cache = s->cache;
    if (scheduler_open(&s->scheduler, e, &scheduling, err)) goto fail;
    if (pthread_create(&s->prepare_thread, NULL, exchange_prepare_loop, s)) {
        err_set(err, ERR_LIMIT, "no thread to prepare requests");
        goto fail;
    }
    s->has_prepare = true;
    if (http_open(&s->http, s->base, &s->o.http, &handler, err)) goto fail;
    *out = s;
    return 0;

fail:
    server_close(s);
    return -1;
}

int server_port(const struct server *s)
{
    return http_port(s->http);
}

void server_run(struct server *s)
{
    event_base_dispatch(s->base);
}

void server_stop(struct server *s)
{
    atomic_store(&s->stop, true);
    wake(s);
}

void server_close(struct server *s)
{
    if (!s) return;
    if (s->on_term) event_free(s->on_term); /* a signal now ends the process */
    if (s->on_int) event_free(s->on_int);
    if (s->on_hup) event_free(s->on_hup);
    http_close(s->http); /* what is not answered is cancelled */
    queue_close(s->to_prepare);
    if (s->has_prepare) pthread_join(s->prepare_thread, NULL);
    if (s->mailbox) take_messages(s);
    scheduler_close(s->scheduler);
    prefix_cache_close(s->cache);
    if (s->mailbox) take_messages(s);
    struct event *events[] = {s->woken, s->drain_timer, s->drain_tick};
    for (size_t i = 0; i < sizeof events / sizeof *events; i++)
        if (events[i]) event_free(events[i]);
    if (s->base) event_base_free(s->base);
    if (s->wake_fd >= 0) close(s->wake_fd);
    queue_free(s->mailbox);
    queue_free(s->to_prepare);
    tls_close(s->tls);
    audit_close(s->audit);
    limits_free(s->limits);
    keys_release(s->keys);
    metrics_free(s->metrics);
    constraint_cache_free(s->constraints);
    free(s);
}
