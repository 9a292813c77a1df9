/* An HTTP/1.1 server for one I/O thread: a strict reader of requests (serve/gate.h) on libevent's
 * buffered sockets.
 * Source: docs/spec, security, rules H1 to H3, R3, R4; RFC 9112.
 *
 *     http_open(&server, base, &options, &handler, err)
 *     handler.request(ctx, r)              once a request is here, body included
 *         http_reply(r, 200, "application/json", text, size)            the whole answer, or
 *         http_stream_begin(r, 200, "text/event-stream; charset=utf-8")  in pieces:
 *         http_stream_send(r, text, size) ... http_stream_end(r)
 *
 * A request is the handler's until it is answered (http_reply, http_stream_end) or `gone` was called.
 * Then r is not to be used. It may be answered later than in the handler's call, from any callback of
 * the same thread, but for `gone`. What breaks the rules of the gate is answered or closed before any
 * handler sees it. A client that closes its sending side has gone away.
 *
 * The next request of a connection is read when the answer before it has been written. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct event_base;
struct tls;
struct http_server;
struct http_request;

struct http_options {
    const char *host;    /* a numeric address */
    int port;            /* 0: any free one */
    size_t max_body;     /* bytes; more is answered 413 */
    int max_connections; /* more are closed at once */
    /* For a request's head, and for a new connection's first byte. A body must bring 1 KiB/s, looked at
     * in spans as long as this. */
    double header_seconds;
    /* Between requests. While some of an answer waits, the client must take 1 KiB/s, looked at in spans
     * as long as this; one that is slower is cut. */
    double idle_seconds;
    size_t max_buffered; /* bytes of an answer that the client has not taken: then `full` */
    struct tls *tls;     /* borrowed; NULL: without TLS. The handshake counts to the head's time */
};

/* 127.0.0.1:8080, 64 MiB, 1024 connections, 10 s, 60 s, 256 KiB. */
struct http_options http_defaults(void);

struct http_handler {
    /* A whole request. */
    void (*request)(void *ctx, struct http_request *r);
    /* A request whose head alone is here, before its body is read: false when it is not wanted, and then
     * it has been answered by http_reply (401, 404, 413, 429, ...) and `request` does not come. With true
     * it is not answered yet; should the body then fail to come, `gone` is called. May be NULL. */
    bool (*head)(void *ctx, struct http_request *r);
    /* An error of the server's own (one of the gate's, 408 for one too slow): the body to send, JSON; the
     * callee gives static or otherwise lasting text. May be NULL, and give NULL: then no body. */
    const char *(*error_body)(void *ctx, int status);
    void *ctx;
    void (*answered)(void *ctx, int status); /* the head of any answer goes out; may be NULL */
};

/* Listens. h is copied. ERR_IO when the address is taken, ERR_ARGUMENT for bad options. base is
 * borrowed and must live longer. SIGPIPE is ignored from here on, unless it has a handler. */
MUST_USE int http_open(struct http_server **out, struct event_base *base,
                       const struct http_options *o, const struct http_handler *h, struct err *err);
int http_port(const struct http_server *s);        /* the port it listens on */
int http_connections(const struct http_server *s); /* open now */
/* Accepts no more connections. Those open go on and close after their answer, those between two requests
 * at once; so http_connections becomes 0. */
void http_stop(struct http_server *s);
/* Cuts all; `gone` is called for what is not answered. Not from a callback of the server. Takes NULL. */
void http_close(struct http_server *s);

const char *http_method(const struct http_request *r); /* "GET" */
const char *http_path(const struct http_request *r); /* decoded (serve/gate.h), without the query */
const char *http_query(const struct http_request *r); /* undecoded, "" when there is none */
const char *http_header(const struct http_request *r, const char *name); /* NULL when absent */
const char *http_peer(const struct http_request *r);                     /* numeric address */
const char *http_body(const struct http_request *r, size_t *size);       /* NUL-terminated too */

/* Called when the client goes away before the answer is complete, or is cut. One per request; set it in
 * `head` or `request`. r may not be used in it. NULL: none. */
void http_on_gone(struct http_request *r, void (*gone)(void *ctx), void *ctx);

/* For the answer, before it begins. Control bytes in name or value abort (CHECK), but for tabs in the
 * value: what http_header gives may be sent back. */
void http_add_header(struct http_request *r, const char *name, const char *value);

/* The whole answer, with Content-Length. HEAD, 204 and 304 get no body. type NULL: none is named. */
void http_reply(struct http_request *r, int status, const char *type, const void *body,
                size_t size);

/* An answer in pieces (chunked; for a client of HTTP/1.0 until the connection closes). A piece goes out
 * at the loop's next turn: no delay for more (TCP_NODELAY). An empty piece does nothing. */
void http_stream_begin(struct http_request *r, int status, const char *type);
void http_stream_send(struct http_request *r, const void *bytes, size_t size);
void http_stream_end(struct http_request *r);

/* Bytes of the answer that wait for the client; above options.max_buffered the caller should stop the
 * work. */
size_t http_buffered(const struct http_request *r);
/* Whether that is above the limit. */
bool http_is_full(const struct http_request *r);
/* Called once, from the loop, when what waits is or has been written down to a quarter of the limit.
 * NULL: none. */
void http_on_drained(struct http_request *r, void (*drained)(void *ctx), void *ctx);
