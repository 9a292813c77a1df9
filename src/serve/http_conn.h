/* Inside the HTTP server. serve/http.c listens, serve/http_conn.c reads requests and ends connections,
 * serve/http_reply.c answers. */
#pragma once
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "serve/gate.h"
#include "serve/http.h"

struct http_server {
    struct event_base *base;
    struct http_options options;
    struct http_handler handler;
    struct evconnlistener *listener; /* NULL once stopped */
    struct event *pause;             /* ends a pause in accepting */
    bool starved;                    /* the last accept found no free descriptor */
    bool stopping;
    int port;
    struct connection *first;
    int n_connections;
};

enum phase {
    PHASE_READING,   /* a request; the gate knows how far it is */
    PHASE_ANSWERING, /* it is the handler's */
    PHASE_FLUSHING,  /* its answer is complete, but not written */
    PHASE_LINGERING, /* our side is closed; what comes is thrown away until the client closes its own */
};

struct connection {
    struct http_server *server;
    struct connection *next, **link; /* in the server's list */
    struct bufferevent *bev;
    int fd;
    struct ssl_st *ssl;  /* the bufferevent's; NULL without TLS */
    struct event *timer; /* one at a time; what it means follows from the phase */
    struct gate *gate;
    struct http_request *request; /* from its whole head to its answer, else NULL */
    enum phase phase;
    bool keep;      /* another request may follow; decided when an answer begins */
    bool served;    /* had an answer before */
    bool eof;       /* the client sends no more */
    bool overrun;   /* it sent more behind its request than is held */
    bool broken;    /* its answer has a hole, memory being out: to be cut */
    size_t waiting; /* bytes of output when last looked at */
    size_t moved;   /* bytes read of a body, or written, since the timer was set */
    char peer[64];
};

struct http_request {
    struct connection *conn;
    struct buf headers; /* lines for the answer */
    bool streaming, chunked, bodiless;
    void (*gone)(void *ctx);
    void *gone_ctx;
    void (*drained)(void *ctx);
    void *drained_ctx;
};

/* Takes over fd, also when there is no memory: then it is closed. */
void conn_open(struct http_server *s, int fd, const char *peer);
/* Ends it at once; `gone` is called for a request without its answer. */
void conn_close(struct connection *c);
/* Between two requests, so that closing loses nothing. */
bool conn_is_idle(const struct connection *c);

/* To be called after every addition to the output: the clock for a slow client. */
void conn_wrote(struct connection *c);
/* An addition failed: ends it, at the loop's next turn. */
void conn_break(struct connection *c);
/* The answer is complete: ends the request, and the connection goes on when all is written. */
void conn_answered(struct connection *c);

/* Writes a whole answer of the server's own; the connection closes after it. body may be NULL. */
void reply_error(struct connection *c, int status, const char *body);
