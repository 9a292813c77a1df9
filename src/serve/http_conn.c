#include "serve/http_conn.h"

#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "secure/tls.h"

enum {
    MIN_RATE = 1 << 10,   /* bytes/s that a client must send of a body, or take of an answer */
    MAX_HELD = 64 << 10,  /* bytes kept that came behind a request being answered */
    MAX_LINES = 64 << 10, /* bytes of header lines of an answer */
    LINGER_MS = 2000,     /* for the client to close after us */
};

static const char CONTINUE[] = "HTTP/1.1 100 Continue\r\n\r\n";

static void take_input(struct connection *c);

/* ---- the timer ---- */

static void set_timer(struct connection *c, double seconds)
{
    if (c->broken) seconds = 0;
    struct timeval tv = {.tv_sec = (time_t)seconds};
    tv.tv_usec = (suseconds_t)((seconds - (double)tv.tv_sec) * 1e6);
    c->moved = 0;
    event_add(c->timer, &tv);
}

static bool is_slow(const struct connection *c, double seconds)
{
    return (double)c->moved < MIN_RATE * seconds;
}

/* ---- requests ---- */

static void request_free(struct http_request *r)
{
    if (!r) return;
    buf_fini(&r->headers);
    free(r);
}

/* The request ends without an answer of the handler's. */
static void lose_request(struct connection *c)
{
    struct http_request *r = c->request;
    if (!r) return;
    void (*gone)(void *ctx) = r->gone;
    void *ctx = r->gone_ctx;
    c->request = NULL;
    request_free(r);
    if (gone) gone(ctx);
}

/* All that was written so far, and nothing more, goes out. */
static void flush(struct connection *c)
{
    c->phase = PHASE_FLUSHING;
    c->served = true;
    set_timer(c, c->server->options.idle_seconds);
}

/* Answers with an error of our own and closes. */
static void refuse(struct connection *c, int status)
{
    const struct http_handler *h = &c->server->handler;
    lose_request(c);
    c->keep = false;
    reply_error(c, status, h->error_body ? h->error_body(h->ctx, status) : NULL);
    flush(c);
}

/* Reads the body, or the end of the request when there is none. */
static void expect_body(struct connection *c, bool started)
{
    set_timer(c, c->server->options.header_seconds);
    if (!gate_wants_continue(c->gate) || started) return;
    if (bufferevent_write(c->bev, CONTINUE, sizeof CONTINUE - 1))
        conn_break(c);
    else
        conn_wrote(c);
}

static void head_is_here(struct connection *c, bool body_started)
{
    const struct http_handler *h = &c->server->handler;
    struct http_request *r = calloc(1, sizeof *r);
    if (!r) {
        refuse(c, 503);
        return;
    }
    r->conn = c;
    buf_init(&r->headers, MAX_LINES);
    c->request = r;
    bool wanted = !h->head || h->head(h->ctx, r);
    CHECK(wanted == (c->request != NULL), "a request's head is answered, or wanted, not both");
    if (wanted) expect_body(c, body_started);
}

static void request_is_here(struct connection *c)
{
    const struct http_handler *h = &c->server->handler;
    c->phase = PHASE_ANSWERING;
    if (c->broken) return;
    event_del(c->timer);
    conn_wrote(c); /* the 100 may wait still */
    h->request(h->ctx, c->request);
}

/* ---- reading ---- */

/* One step of the gate. Whether there may be another. */
static bool read_step(struct connection *c, struct evbuffer *in)
{
    struct evbuffer_iovec v = {0};
    enum gate_state before = gate_state(c->gate);
    evbuffer_peek(in, -1, NULL, &v, 1);
    size_t used = gate_feed(c->gate, v.iov_base, v.iov_len);
    evbuffer_drain(in, used);
    c->moved += used;
    enum gate_state now = gate_state(c->gate);
    if (before == GATE_IDLE && now == GATE_HEAD) set_timer(c, c->server->options.header_seconds);
    if (now == GATE_READY) head_is_here(c, evbuffer_get_length(in) > 0);
    if (now == GATE_DONE) request_is_here(c);
    if (now == GATE_REFUSED) refuse(c, gate_status(c->gate));
    return used > 0 || now != before;
}

/* The next request is held while one is answered, up to a limit; more of it is thrown away, and the
 * connection closes after the answer. Reading never pauses, so that a client's end is seen at once. */
static void hold(struct connection *c, struct evbuffer *in)
{
    size_t held = evbuffer_get_length(in);
    if (held > MAX_HELD) c->overrun = true;
    if (c->overrun || c->phase == PHASE_LINGERING) evbuffer_drain(in, held);
}

static void take_input(struct connection *c)
{
    struct evbuffer *in = bufferevent_get_input(c->bev);
    while (c->phase == PHASE_READING && read_step(c, in)) {
    }
    hold(c, in);
}

static void on_read(struct bufferevent *bev, void *ctx)
{
    (void)bev;
    take_input(ctx);
}

/* ---- after an answer ---- */

static void next_request(struct connection *c)
{
    gate_feed(c->gate, NULL, 0); /* when the head alone was looked at */
    gate_next(c->gate);
    c->phase = PHASE_READING;
    set_timer(c, c->server->options.idle_seconds);
    take_input(c);
}

/* Closes our side first: closing both at once would make the kernel throw away what the client has not
 * read, if there are bytes that we have not read. */
static void linger(struct connection *c)
{
    struct evbuffer *in = bufferevent_get_input(c->bev);
    if (c->ssl) tls_say_end(c->ssl);
    if (c->eof || shutdown(c->fd, SHUT_WR)) {
        conn_close(c);
        return;
    }
    c->phase = PHASE_LINGERING;
    evbuffer_drain(in, evbuffer_get_length(in));
    set_timer(c, LINGER_MS / 1e3);
}

static void tell_drained(struct connection *c)
{
    struct http_request *r = c->request;
    if (!r || !r->drained || c->waiting > c->server->options.max_buffered / 4) return;
    void (*drained)(void *ctx) = r->drained;
    r->drained = NULL;
    drained(r->drained_ctx);
}

/* Called after every write, and when http_on_drained asks for it. */
static void on_write(struct bufferevent *bev, void *ctx)
{
    struct connection *c = ctx;
    size_t left = evbuffer_get_length(bufferevent_get_output(bev));
    c->moved += c->waiting - left;
    c->waiting = left;
    if (c->broken) return;
    if (left == 0 && c->phase == PHASE_ANSWERING) event_del(c->timer);
    if (left == 0 && c->phase == PHASE_FLUSHING) {
        if (c->keep && !c->overrun && !c->eof && !c->server->stopping)
            next_request(c);
        else
            linger(c);
        return;
    }
    tell_drained(c);
}

static void on_event(struct bufferevent *bev, short what, void *ctx)
{
    struct connection *c = ctx;
    (void)bev;
    if (what & BEV_EVENT_CONNECTED) return; /* the handshake is over */
    c->eof = true;
    /* It may have closed its sending side alone: it gets the answer that is complete. With TLS nothing can be
     * written any more. */
    if ((what & BEV_EVENT_EOF) && c->phase == PHASE_FLUSHING && !c->ssl) return;
    conn_close(c);
}

static void on_read_timer(struct connection *c)
{
    double seconds = c->server->options.header_seconds;
    if (gate_state(c->gate) == GATE_IDLE)
        conn_close(c);
    else if (gate_state(c->gate) == GATE_HEAD || is_slow(c, seconds))
        refuse(c, 408);
    else
        set_timer(c, seconds);
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
    struct connection *c = ctx;
    double seconds = c->server->options.idle_seconds;
    (void)fd;
    (void)what;
    if (c->broken || c->phase == PHASE_LINGERING)
        conn_close(c);
    else if (c->phase == PHASE_READING)
        on_read_timer(c);
    else if (is_slow(c, seconds))
        conn_close(c);
    else
        set_timer(c, seconds);
}

/* ---- for the others ---- */

/* With TLS the bufferevent closes the socket, since it may still be used a moment after it is freed. */
static struct bufferevent *new_bev(struct connection *c)
{
    struct event_base *base = c->server->base;
    struct tls *tls = c->server->options.tls;
    if (!tls) return bufferevent_socket_new(base, c->fd, 0);
    struct ssl_st *ssl = tls_session(tls);
    if (!ssl) return NULL;
    struct bufferevent *bev = bufferevent_openssl_socket_new(
        base, c->fd, ssl, BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
    c->ssl = bev ? ssl : NULL;
    if (!bev) tls_free_session(ssl);
    return bev;
}

static int conn_init(struct connection *c)
{
    struct event_base *base = c->server->base;
    c->gate = gate_new(c->server->options.max_body);
    c->timer = evtimer_new(base, on_timer, c);
    c->bev = new_bev(c);
    if (!c->gate || !c->timer || !c->bev) return -1;
    bufferevent_setcb(c->bev, on_read, on_write, on_event, c);
    bufferevent_setwatermark(c->bev, EV_WRITE, (size_t)-1, 0); /* on_write after every write */
    set_timer(c, c->server->options.header_seconds);
    return bufferevent_enable(c->bev, EV_READ | EV_WRITE);
}

void conn_open(struct http_server *s, int fd, const char *peer)
{
    struct connection *c = calloc(1, sizeof *c);
    if (!c) {
        close(fd);
        return;
    }
    c->server = s;
    c->fd = fd;
    snprintf(c->peer, sizeof c->peer, "%s", peer);
    c->next = s->first;
    c->link = &s->first;
    if (c->next) c->next->link = &c->next;
    s->first = c;
    s->n_connections++;
    if (conn_init(c)) conn_close(c);
}

void conn_close(struct connection *c)
{
    *c->link = c->next;
    if (c->next) c->next->link = c->link;
    c->server->n_connections--;
    if (c->ssl) bufferevent_disable(c->bev, EV_READ | EV_WRITE);
    if (c->bev) bufferevent_free(c->bev);
    if (c->timer) event_free(c->timer);
    if (!c->ssl) close(c->fd);
    lose_request(c);
    gate_free(c->gate);
    free(c);
}

bool conn_is_idle(const struct connection *c)
{
    return c->phase == PHASE_READING && c->served && gate_state(c->gate) == GATE_IDLE;
}

void conn_wrote(struct connection *c)
{
    c->waiting = evbuffer_get_length(bufferevent_get_output(c->bev));
    if (c->waiting > 0 && c->phase != PHASE_READING && !event_pending(c->timer, EV_TIMEOUT, NULL))
        set_timer(c, c->server->options.idle_seconds);
}

void conn_break(struct connection *c)
{
    c->broken = true;
    set_timer(c, 0);
}

void conn_answered(struct connection *c)
{
    request_free(c->request);
    c->request = NULL;
    flush(c);
}
