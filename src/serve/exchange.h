/* One request that the engine answers: its way from the I/O thread to the thread that prepares, to the
 * engine's, and back.
 *
 *     I/O      exchange_begin: the body is here
 *     prepare  api->prepare: JSON, checks, prompt, ids              (slow for long texts)
 *     I/O      the job goes to the scheduler, or an error to the client; without choices api->complete follows
 *     engine   events and results, each a message in the mailbox
 *     I/O      api->event, api->ended, api->complete write the answer
 *
 * The I/O thread owns it. The prepare thread has it between the first and the third line. The engine's thread
 * reads the job, which does not change then, sets `lost`, and fills a choice's end and last message, which the
 * I/O thread looks at when that message has come. */
#pragma once
#include <stdatomic.h>

#include "base/buf.h"
#include "engine/scheduler.h"
#include "serve/api_error.h"
#include "serve/http.h"
#include "serve/sampling.h"
#include "serve/limits.h"
#include "text/ids.h"

struct event;
struct exchange;
struct server;

enum { EXCHANGE_ID = 48, EXCHANGE_MAX_CHOICES = 16 };

/* What is known of a choice when it is over. */
struct choice_end {
    enum finish finish;
    int n_tokens, n_reasoning; /* drawn; of these reasoning */
    int n_prompt, n_reused;
    int stop;                              /* index of the stop string that ended it, or -1 */
    bool waited_too_long;                  /* it never began */
    double prompt_seconds, decode_seconds; /* for display */
    struct err failure;                    /* of the engine; ERR_NONE: none */
};

/* The choices of one prompt: they stand from `first` on among those of the exchange. */
struct exchange_part {
    struct exchange *x;
    int first;
};

/* A further prompt of a request that has several; each is a job of its own. */
struct exchange_more {
    struct exchange_part part;
    struct ids prompt;
    struct scheduler_job job;
};

/* An endpoint that generates, or that takes its time with a body (`answered`). */
struct api {
    const char *id_prefix; /* "chatcmpl-" */
    enum api_dialect dialect;
    /* On the prepare thread: fills x->request, x->prompt (ids) and x->job (n, seed, generate), or x->answer, or
     * refuses. With several prompts the first one is x->prompt, and x->more the others. `body` is taken
     * over. */
    int (*prepare)(struct exchange *x, json_t *body, struct api_error *e);
    /* On the I/O thread, while the client is there. streams: whether the answer comes in events. */
    bool (*streams)(const struct exchange *x);
    void (*event)(struct exchange *x, int choice, const struct parse_event *e);
    void (*drawn)(struct exchange *x, int choice, const struct pick *p); /* when x->wants_picks */
    /* When x->wants_prompts: each token of a prompt but its first, before the events of its choices, which begin
     * with this one. */
    void (*prompted)(struct exchange *x, int first_choice, const struct pick *p);
    void (*ended)(struct exchange *x, int choice, const struct choice_end *end); /* or NULL */
    void (*complete)(struct exchange *x); /* all choices have ended: writes what is left */
    void (*fini)(struct exchange *x);     /* frees x->request; also after a failed prepare */
    /* Of a stream; NULL for the usual. Sends a sign of life while there is no output yet; false, as NULL: a
     * comment goes out instead. The event that tells of a failure once the stream has begun; NULL: the error's
     * JSON, for Anthropic's clients as event "error". */
    bool (*alive)(struct exchange *x);
    void (*failed)(struct exchange *x, const struct api_error *e);
};

struct message;
struct pace;

struct exchange {
    struct server *server;
    const struct api *api;
    struct http_request *http;    /* NULL: answered, or the client is gone */
    char id[EXCHANGE_ID];         /* of the answer */
    char request_id[EXCHANGE_ID]; /* of the x-request-id header */
    long created;                 /* unix time */
    const char *endpoint;         /* its path, static text */
    double came;                  /* clock_seconds() when it was whole */
    bool gone;                    /* the client is, before its answer was whole */
    void *request;                /* the endpoint's */
    struct ids prompt;
    struct scheduler_job job;
    struct constraint *constraint; /* of job.generate, owned; NULL: the answer is free */
    struct exchange_part part;     /* of job */
    struct exchange_more *more;    /* [n_more]; exchange_add_prompt makes them */
    int n_more;
    int n_choices;      /* of all prompts */
    struct buf answer;  /* with `answered`: the JSON to reply with, and nothing is generated */
    bool answered;      /* set by prepare */
    bool wants_picks;   /* of each token, as it is drawn */
    bool wants_prompts; /* the log-probabilities of the prompts' tokens */
    struct pass pass;   /* of its key */
    atomic_bool cancel;
    atomic_bool lost; /* an event found no memory: the answer ends there */
    bool overran;     /* more waits for ticks than may: likewise */
    struct api_error error;
    struct choice_end ends[EXCHANGE_MAX_CHOICES];
    int n_ended;
    double submitted;                        /* likewise */
    double last_token[EXCHANGE_MAX_CHOICES]; /* the same, on the engine's thread; 0: none yet */
    bool begun;                              /* the head of the answer is on its way */
    struct event *keep_alive;                /* sends signs of life until there is output */
    struct event *stall;                     /* the client does not read: then it ends */
    struct pace *pace;                       /* what waits for its ticks; NULL: nothing waits */
    struct event *tick;
    struct exchange *next_sending,
        **at_sending; /* in the server's list; at_sending NULL: not in it */
    int64_t n_ticks;
    size_t n_signs; /* bytes of white space sent before a whole answer */
    char *body;     /* of the request, until it is prepared */
    size_t body_size;
    struct queue_item to_prepare;
    struct message *prepared, *last[EXCHANGE_MAX_CHOICES]; /* made before they are needed */
};

/* For endpoints, on the prepare thread: room for `n` further prompts, zeroed but for their ids, whose list is
 * empty. Once. 503 when there is no memory. */
MUST_USE int exchange_add_prompts(struct exchange *x, int n, struct api_error *e);

/* For endpoints, on the prepare thread: whether there is a model of this name (404), and whether the key of x may
 * use it (403). */
MUST_USE int exchange_check_model(const struct exchange *x, const char *name, struct api_error *e);

/* For prepare: who finds what this request leaves in the prefix cache: whoever sends the same key, user and salt.
 * Without a call: the same key. */
void exchange_share(struct exchange *x, const struct sharing *with);
/* After exchange_share: the constraint of x is one for the spec, kept for this tenant or new. Fails as
 * constraint_new. */
MUST_USE int exchange_bind(struct exchange *x, const struct constraint_spec *spec, struct err *err);

/* For endpoints, on the I/O thread. */

/* Writes a JSON answer and ends the exchange's part with the client; takes body over. */
void exchange_reply(struct exchange *x, int status, json_t *body);
/* The error of x, or of a choice, in the endpoint's dialect; as an event once a stream has begun. */
void exchange_fail(struct exchange *x, const struct api_error *e);
/* One event of a stream: "data: ...\n\n", before it "event: NAME\n" when name is not NULL. Takes data over. */
void exchange_event(struct exchange *x, const char *name, json_t *data);
/* Ends the stream, with "data: [DONE]" if done_mark. */
void exchange_end_stream(struct exchange *x, bool done_mark);
