#include "serve/http.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "serve/http_conn.h"

enum {
    BACKLOG = 1024,
    PAUSE_MS = 200,        /* before the next accept when descriptors are out */
    MAX_UNSENT = 128 << 10 /* bytes that the kernel may hold without having sent them */
};

static const double MAX_SECONDS = 1e6;

struct http_options http_defaults(void)
{
    return (struct http_options){.host = "127.0.0.1",
                                 .port = 8080,
                                 .max_body = 64 << 20,
                                 .max_connections = 1024,
                                 .header_seconds = 10,
                                 .idle_seconds = 60,
                                 .max_buffered = 256 << 10};
}

/* ---- accepting ---- */

/* Answers go out at once, and the kernel does not hide a client that stopped reading. */
static void set_socket_options(int fd)
{
    int on = 1, unsent = MAX_UNSENT;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof unsent);
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address,
                      int size, void *ctx)
{
    struct http_server *s = ctx;
    char peer[64];
    (void)listener;
    s->starved = false;
    if (s->n_connections >= s->options.max_connections) {
        close(fd);
        return;
    }
    set_socket_options(fd);
    if (getnameinfo(address, (socklen_t)size, peer, sizeof peer, NULL, 0, NI_NUMERICHOST))
        snprintf(peer, sizeof peer, "?");
    conn_open(s, fd, peer);
}

/* The connection that could not be accepted still waits: without a pause the loop would spin. */
static void on_accept_error(struct evconnlistener *listener, void *ctx)
{
    struct http_server *s = ctx;
    struct timeval pause = {.tv_usec = PAUSE_MS * 1000};
    if (!s->starved) log_warn("http: a connection is not accepted: %s", strerror(errno));
    s->starved = true;
    if (event_add(s->pause, &pause) == 0) evconnlistener_disable(listener);
}

static void on_pause_ends(evutil_socket_t fd, short what, void *ctx)
{
    struct http_server *s = ctx;
    (void)fd;
    (void)what;
    if (s->listener) evconnlistener_enable(s->listener);
}

/* ---- the server ---- */

static int check_options(const struct http_options *o, struct err *err)
{
    const char *bad = NULL;
    if (!o->host) bad = "host";
    if (o->port < 0 || o->port > 65535) bad = "port";
    if (o->max_connections < 1) bad = "max_connections";
    if (!(o->header_seconds > 0 && o->header_seconds <= MAX_SECONDS)) bad = "header_seconds";
    if (!(o->idle_seconds > 0 && o->idle_seconds <= MAX_SECONDS)) bad = "idle_seconds";
    if (o->max_buffered < 1) bad = "max_buffered";
    return bad ? err_set(err, ERR_ARGUMENT, "http: %s is out of range", bad) : 0;
}

static int listen_on(struct http_server *s, const struct http_options *o, struct err *err)
{
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
                             .ai_socktype = SOCK_STREAM};
    struct addrinfo *address = NULL;
    struct sockaddr_storage bound;
    socklen_t size = sizeof bound;
    char service[16], number[16] = "0";

    snprintf(service, sizeof service, "%d", o->port);
    int rc = getaddrinfo(o->host, service, &hints, &address);
    if (rc) return err_set(err, ERR_ARGUMENT, "http: host %s: %s", o->host, gai_strerror(rc));
    s->listener = evconnlistener_new_bind(
        s->base, on_accept, s, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE,
        BACKLOG, address->ai_addr, (int)address->ai_addrlen);
    freeaddrinfo(address);
    if (!s->listener)
        return err_set(err, ERR_IO, "http: cannot listen on %s port %d: %s", o->host, o->port,
                       strerror(errno));
    evconnlistener_set_error_cb(s->listener, on_accept_error);
    struct sockaddr *a = (struct sockaddr *)&bound;
    if (getsockname(evconnlistener_get_fd(s->listener), a, &size) ||
        getnameinfo(a, size, NULL, 0, number, sizeof number, NI_NUMERICSERV))
        return err_set(err, ERR_IO, "http: cannot tell the port listened on");
    s->port = (int)strtol(number, NULL, 10);
    return 0;
}

/* A client may close while it is written to: that must be an error of the write, not a signal. */
static void ignore_sigpipe(void)
{
    struct sigaction now;
    if (sigaction(SIGPIPE, NULL, &now) == 0 && now.sa_handler == SIG_DFL) signal(SIGPIPE, SIG_IGN);
}

int http_open(struct http_server **out, struct event_base *base, const struct http_options *o,
              const struct http_handler *h, struct err *err)
{
    struct http_server *s = NULL;
    *out = NULL;
    CHECK(h->request, "no handler");
    if (check_options(o, err)) return -1;
    s = calloc(1, sizeof *s);
    if (!s) return err_set(err, ERR_LIMIT, "http: no memory");
    s->base = base;
    s->options = *o;
    s->options.host = NULL; /* borrowed for this call alone */
    s->handler = *h;
    s->pause = evtimer_new(base, on_pause_ends, s);
    if (!s->pause) {
        err_set(err, ERR_LIMIT, "http: no memory");
        goto fail;
    }
    if (listen_on(s, o, err)) goto fail;
    ignore_sigpipe();
    *out = s;
    return 0;

fail:
    http_close(s);
    return -1;
}

int http_port(const struct http_server *s)
{
    return s->port;
}

int http_connections(const struct http_server *s)
{
    return s->n_connections;
}

void http_stop(struct http_server *s)
{
    s->stopping = true;
    if (s->listener) evconnlistener_free(s->listener);
    s->listener = NULL;
    for (struct connection *c = s->first, *next; c; c = next) {
        next = c->next;
        if (conn_is_idle(c)) conn_close(c);
    }
}

void http_close(struct http_server *s)
{
    if (!s) return;
    s->stopping = true;
    while (s->first)
        conn_close(s->first);
    if (s->listener) evconnlistener_free(s->listener);
    if (s->pause) event_free(s->pause);
    free(s);
}
