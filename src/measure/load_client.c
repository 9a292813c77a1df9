#include "measure/load_client.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <math.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/mem.h"
#include "measure/events.h"
#include "measure/reply.h"

enum { PIECE = 16 << 10 };

struct load_client {
    struct load_client_options o;
    struct bufferevent *bev; /* NULL: no connection */
    struct event *timer;     /* the answer is late; or the pause is over */
    struct reply *reply;
    struct events events;
    struct chat_stream stream;
    bool connected;
    bool busy;      /* a request is under way */
    bool is_stream; /* its answer comes in events; looked at with the first content */
    bool looked;
    double planned, first, last; /* the clock's times: first and last text */
    void *user;
};

/* ---- where to ---- */

/* host and port of "host", "host:port", "[v6]:port"; false when it is none of these. */
static bool split_host(const char *s, size_t n, char *host, size_t host_size, char *port,
                       size_t port_size)
{
    bool v6 = n > 0 && *s == '[';
    const char *end = v6 ? memchr(s, ']', n) : memchr(s, ':', n);
    const char *name = s + v6;
    if (v6 && !end) return false;
    size_t length = end ? (size_t)(end - name) : n;
    const char *rest = end ? end + v6 : s + n;
    const char *number = *rest == ':' && rest < s + n ? rest + 1 : "80";
    size_t digits = number == rest + 1 ? (size_t)(s + n - number) : 2;
    if (rest < s + n && *rest != ':') return false;
    if (length == 0 || length >= host_size || digits == 0 || digits >= port_size) return false;
    if (strspn(number, "0123456789") < digits || strtol(number, NULL, 10) > 65535) return false;
    snprintf(host, host_size, "%.*s", (int)length, name);
    snprintf(port, port_size, "%.*s", (int)digits, number);
    return true;
}

static bool is_line_safe(const char *s)
{
    for (; *s; s++)
        if (*s <= ' ' || *s >= 0x7f) return false;
    return true;
}

int load_target_find(struct load_target *out, const char *url, struct err *err)
{
    static const char scheme[] = "http://";
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    char host[256], port[8];
    if (!strncasecmp(url, "https://", 8))
        return err_set(err, ERR_UNSUPPORTED, "%s: TLS is not done", url);
    const char *s = url + sizeof scheme - 1;
    bool good = !strncasecmp(url, scheme, sizeof scheme - 1) && is_line_safe(url);
    size_t n = good ? strcspn(s, "/?#") : 0;
    if (!good || strpbrk(s, "?#") || !split_host(s, n, host, sizeof host, port, sizeof port) ||
        strlen(s + n) > sizeof out->path - 32)
        return err_set(err, ERR_ARGUMENT, "%s: a URL as http://127.0.0.1:8080 is wanted", url);
    size_t path = strlen(s + n);
    while (path > 0 && s[n + path - 1] == '/')
        path--;
    snprintf(out->host, sizeof out->host, "%.*s", (int)n, s);
    snprintf(out->path, sizeof out->path, "%.*s/chat/completions", path ? (int)path : 3,
             path ? s + n : "/v1");
    int rc = getaddrinfo(host, port, &hints, &found);
    if (rc) return err_set(err, ERR_IO, "%s: %s", url, gai_strerror(rc));
    memcpy(&out->address, found->ai_addr, found->ai_addrlen);
    out->address_size = found->ai_addrlen;
    freeaddrinfo(found);
    return 0;
}

/* ---- the end of a request ---- */

static void disconnect(struct load_client *c)
{
    if (c->bev) bufferevent_free(c->bev);
    c->bev = NULL;
    c->connected = false;
}

static struct load_answer answer_of(const struct load_client *c, enum load_outcome outcome)
{
    const struct chat_stream *s = &c->stream;
    enum reply_state state = reply_state(c->reply);
    long tokens = s->answer_tokens >= 0 ? s->answer_tokens : s->n_texts;
    struct load_answer a = {.outcome = outcome,
                            .first = s->n_texts ? c->first - c->planned : NAN,
                            .whole = clock_seconds() - c->planned,
                            .gap = tokens > 1 ? (c->last - c->first) / (double)(tokens - 1) : 0,
                            .prompt_tokens = s->prompt_tokens > 0 ? s->prompt_tokens : 0,
                            .cached_tokens = s->cached_tokens,
                            .answer_tokens = tokens};
    if (state == REPLY_BODY || state == REPLY_DONE) {
        a.status = reply_status(c->reply);
        a.retry_after = reply_header(c->reply, "retry-after") != NULL;
    }
    return a;
}

static void finish(struct load_client *c, enum load_outcome outcome)
{
    struct load_answer a = answer_of(c, outcome);
    struct chat_stream stream = c->stream;
    bool whole = reply_state(c->reply) == REPLY_DONE;
    if (!whole || !reply_keeps(c->reply)) disconnect(c);
    event_del(c->timer);
    reply_free(c->reply);
    c->reply = NULL;
    events_reset(&c->events);
    chat_stream_init(&c->stream, c->o.keeps_text);
    c->busy = false;
    c->o.done(c->o.ctx, c, &a, &stream);
    chat_stream_fini(&stream);
}

/* The reply is whole: what was it? */
static enum load_outcome judge(const struct load_client *c)
{
    const struct chat_stream *s = &c->stream;
    if (reply_status(c->reply) != 200) return LOAD_REFUSED;
    if (s->failed) return LOAD_FAILED;
    if (s->malformed || c->events.failed || !c->is_stream) return LOAD_MALFORMED;
    return s->done && s->finished ? LOAD_WHOLE : LOAD_CUT;
}

/* ---- the connection ---- */

static void on_event_data(void *ctx, const char *data, size_t size)
{
    struct load_client *c = ctx;
    double now = clock_seconds();
    if (!chat_stream_take(&c->stream, data, size)) return;
    if (c->stream.n_texts == 1)
        c->first = now;
    else
        c->o.gap(c->o.ctx, now - c->last);
    c->last = now;
}

static void on_content(void *ctx, const char *bytes, size_t size)
{
    struct load_client *c = ctx;
    if (!c->looked) {
        const char *type = reply_header(c->reply, "content-type");
        c->is_stream =
            reply_status(c->reply) == 200 && type && !strncasecmp(type, "text/event-stream", 17);
        c->looked = true;
    }
    if (c->is_stream) events_feed(&c->events, bytes, size);
}

/* Bytes that no request asked for end the connection. */
static void on_read(struct bufferevent *bev, void *ctx)
{
    struct load_client *c = ctx;
    char piece[PIECE];
    size_t n, left = 0;
    while (c->busy && reply_state(c->reply) < REPLY_DONE &&
           (n = bufferevent_read(bev, piece, sizeof piece)) > 0)
        left = n - reply_feed(c->reply, piece, n);
    bool surplus = left > 0 || evbuffer_get_length(bufferevent_get_input(bev)) > 0;
    enum reply_state state = c->busy ? reply_state(c->reply) : REPLY_BAD;
    if (surplus) disconnect(c);
    if (!c->busy) return;
    if (state == REPLY_DONE) finish(c, judge(c));
    if (state == REPLY_BAD) finish(c, LOAD_MALFORMED);
}

static void on_end(struct load_client *c)
{
    bool connected = c->connected;
    disconnect(c);
    if (!c->busy) return;
    reply_close(c->reply);
    if (!connected)
        finish(c, LOAD_NO_CONNECTION);
    else
        finish(c, reply_state(c->reply) == REPLY_DONE ? judge(c) : LOAD_CUT);
}

static void on_event(struct bufferevent *bev, short what, void *ctx)
{
    struct load_client *c = ctx;
    int on = 1;
    if (!(what & BEV_EVENT_CONNECTED)) {
        on_end(c);
        return;
    }
    c->connected = true;
    setsockopt(bufferevent_getfd(bev), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
    struct load_client *c = ctx;
    (void)fd;
    (void)what;
    if (c->busy)
        finish(c, c->connected ? LOAD_TIMEOUT : LOAD_NO_CONNECTION);
    else
        c->o.paused(c->o.ctx, c);
}

static void set_timer(struct load_client *c, double seconds)
{
    struct timeval tv = {.tv_sec = (time_t)seconds};
    tv.tv_usec = (suseconds_t)((seconds - (double)tv.tv_sec) * 1e6);
    event_add(c->timer, &tv);
}

/* Queued by libevent until the connection stands; a failure shows in on_event. */
static void connect_to(struct load_client *c)
{
    const struct sockaddr_storage *a = &c->o.target->address;
    c->bev = bufferevent_socket_new(c->o.base, -1, BEV_OPT_CLOSE_ON_FREE);
    CHECK(c->bev, "no memory for a connection");
    bufferevent_setcb(c->bev, on_read, NULL, on_event, c);
    bufferevent_enable(c->bev, EV_READ | EV_WRITE);
    if (bufferevent_socket_connect(c->bev, (const struct sockaddr *)a,
                                   (int)c->o.target->address_size))
        set_timer(c, 0); /* not even a socket: on_timer ends it */
}

/* ---- for the others ---- */

struct load_client *load_client_new(const struct load_client_options *o)
{
    struct load_client *c = xcalloc(1, sizeof *c);
    c->o = *o;
    c->timer = evtimer_new(o->base, on_timer, c);
    CHECK(c->timer, "no memory for a timer");
    events_init(&c->events, on_event_data, c);
    chat_stream_init(&c->stream, o->keeps_text);
    return c;
}

void load_client_free(struct load_client *c)
{
    if (!c) return;
    disconnect(c);
    event_free(c->timer);
    reply_free(c->reply);
    events_fini(&c->events);
    chat_stream_fini(&c->stream);
    free(c);
}

void load_client_send(struct load_client *c, const char *body, size_t size, double planned,
                      void *user)
{
    const struct load_target *t = c->o.target;
    CHECK(!c->busy, "a request is under way");
    c->busy = true;
    c->looked = c->is_stream = false;
    c->planned = planned;
    c->user = user;
    c->reply = reply_new(on_content, c);
    set_timer(c, c->o.timeout);
    if (!c->bev) connect_to(c);
    struct evbuffer *out = bufferevent_get_output(c->bev);
    evbuffer_add_printf(out,
                        "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n"
                        "Content-Length: %zu\r\n",
                        t->path, t->host, size);
    if (c->o.key) evbuffer_add_printf(out, "Authorization: Bearer %s\r\n", c->o.key);
    evbuffer_add(out, "\r\n", 2);
    evbuffer_add(out, body, size);
}

void *load_client_user(const struct load_client *c)
{
    return c->user;
}

void load_client_pause(struct load_client *c, double seconds)
{
    CHECK(!c->busy, "a request is under way");
    set_timer(c, seconds);
}

void load_client_stop(struct load_client *c)
{
    if (c->busy) finish(c, LOAD_STOPPED);
}
