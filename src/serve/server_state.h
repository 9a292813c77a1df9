/* What the server's files share. */
#pragma once
#include <event2/event.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/queue.h"
#include "secure/keys.h"
#include "serve/audit.h"
#include "serve/constraint_cache.h"
#include "serve/exchange.h"
#include "serve/metrics.h"
#include "serve/server.h"

struct server {
    struct server_options o;
    struct engine *engine;
    struct prefix_cache *cache;
    struct scheduler *scheduler;
    struct event_base *base;
    struct http_server *http;
    struct keys *keys; /* who may ask; NULL: all */
    struct limits *limits;
    struct audit *audit;  /* or NULL */
    struct tls *tls;      /* or NULL */
    uint8_t key_hash[32]; /* of options.api_key, when has_key */
    struct metrics *metrics;
    struct queue *mailbox; /* messages for the I/O thread */
    int wake_fd;           /* an eventfd: the mailbox has some */
    struct event *woken, *on_term, *on_int, *on_hup, *drain_timer, *drain_tick;
    struct queue *to_prepare;             /* exchanges */
    struct constraint_cache *constraints; /* the prepare thread's */
    pthread_t prepare_thread;
    bool has_prepare;
    int n_exchanges; /* not yet over */
    int n_sending;   /* of these: all choices have ended, and what waits is sent by ticks */
    struct exchange *sending;
    bool draining;
    atomic_bool stop; /* server_stop was called */
    bool has_key;
    size_t held_bytes; /* of bodies that are not prepared yet */
    double started;    /* clock_seconds() */
};

/* From the engine or the prepare thread to the I/O thread. */
enum message_kind {
    MESSAGE_PREPARED,
    MESSAGE_EVENT,
    MESSAGE_DRAWN,
    MESSAGE_PROMPTED,
    MESSAGE_ENDED
};

struct message {
    struct queue_item item;
    struct exchange *x;
    enum message_kind kind;
    int choice;
    /* MESSAGE_EVENT: its text lies behind the message, with a NUL. MESSAGE_DRAWN, MESSAGE_PROMPTED: event.size bytes
     * of a pick do, without the tops that it does not have. */
    struct parse_event event;
};

/* Takes a whole request for a generating endpoint. */
void exchange_begin(struct server *s, struct http_request *r, const struct api *api);
/* What waits for ticks of answers whose choices have all ended goes out now. */
void exchange_send_all(struct server *s);
/* A message has come. */
void exchange_take(struct message *m);
/* The prepare thread. */
void *exchange_prepare_loop(void *server);

/* How many may be under way; as many again may be waiting for ticks with all choices ended. */
int routes_max_exchanges(const struct server *s);
/* Whose body is wanted, and by whom it is answered: see routes.c. */
bool routes_head(void *server, struct http_request *r);
void routes_request(void *server, struct http_request *r);
const char *routes_error_body(void *server, int status);

/* The id that x-request-id carries: the client's, if it is decent, or a new one. */
void routes_request_id(const struct http_request *r, char out[EXCHANGE_ID]);

/* The key that a request came with, or NULL: it has none that is valid, or none is wanted. */
const struct key *routes_key(const struct server *s, const struct http_request *r);

/* The path of what answers it, static text. */
const char *routes_endpoint(const struct http_request *r);
/* Tells the audit log of a request that is refused, unless it comes from a stranger. */
void routes_audit_refusal(const struct server *s, const struct http_request *r,
                          const struct api_error *e, const char *request_id);
double routes_unix_now(void); /* seconds of the calendar */

/* The header that names the request, and for Anthropic's clients theirs. Before the answer begins. */
void reply_add_id(struct http_request *r, enum api_dialect d, const char *request_id);

/* Answers with JSON (taken over) or an error. */
void reply_json(struct http_request *r, int status, json_t *body);
void reply_refusal(struct http_request *r, enum api_dialect d, const struct api_error *e,
                   const char *request_id);

/* "chatcmpl-" and the like, with 128 random bits in hex behind it. */
void random_id(char out[EXCHANGE_ID], const char *prefix);

extern const struct api chat_api, completions_api, llama_completion_api, infill_api, tokenize_api,
    detokenize_api, template_api, messages_api, count_tokens_api, responses_api;
