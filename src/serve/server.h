/* The server: one I/O thread (the caller's), one that prepares requests, one that runs the engine.
 * Source: docs/spec, API; security and reliability, sections 3 and 6.
 *
 *     server_open(&s, engine, &options, err)
 *     server_run(s)           until server_stop or a signal
 *     server_close(s) */
#pragma once
#include "engine/engine.h"
#include "serve/chat_request.h"
#include "serve/http.h"
#include "serve/padding.h"

struct server_options {
    struct http_options http;
    int max_streams;          /* answers at once */
    int max_rows;             /* rows of a step */
    int max_queue;            /* requests that wait */
    int64_t max_queue_tokens; /* of their prompts */
    int max_wait;             /* seconds that they wait, then they are refused; 0: no limit */
    const char *model;        /* the name served */
    const char *api_key;      /* may be NULL; not kept */
    const char *
        keys; /* a file (secure/keys.h), read again at SIGHUP; NULL: none. No key at all: open to all */
    bool any_model;                 /* every other name means it, too */
    const char *tls_cert, *tls_key; /* files of PEM, read again at SIGHUP; both NULL: without TLS */
    const char *cors;               /* the origin whose pages may ask (serve/cors.h); NULL: none */
    const char *audit;              /* a file (serve/audit.h), opened again at SIGHUP; NULL: none */
    enum padding padding;
    int tick_ms;      /* PADDING_PACED: from one event to the next */
    bool metrics_key; /* GET /metrics wants the key, too */
    struct chat_rules rules;
    /* The prefix cache; its memory is engine_options.cache, and without that there is none. */
    struct prefix_options cache;
    int keep_alive_ms; /* between signs of life while nothing can be sent yet */
    int drain_seconds; /* for answers under way when it is to stop */
};

/* As `tenon serve` has them. */
struct server_options server_defaults(void);

struct server;

/* e is borrowed and belongs to the server's engine thread from here on; so are the names of files, until
 * server_close. ERR_ARGUMENT: an address other than loopback without a key. Also what
 * engine_cache_open says. */
MUST_USE int server_open(struct server **out, struct engine *e, const struct server_options *o,
                         struct err *err);
int server_port(const struct server *s);

/* Serves until SIGTERM or SIGINT (then it takes no new work, finishes what runs, and returns; a second
 * signal cuts everything off), or server_stop. At SIGHUP the files of its options are read again; one that is
 * bad is told in the log, and what was read before stays. */
void server_run(struct server *s);
void server_stop(struct server *s);  /* from any thread, or a signal handler: as one SIGTERM */
void server_close(struct server *s); /* takes NULL */

/* --- for the files of serve alone --- */

/* Whether this name means the model served: its own, one of the aliases of DeepSeek's API, or with any_model
 * every one. */
bool server_has_model(const struct server *s, const char *name);
