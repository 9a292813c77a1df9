/* One client of a load: a connection that is kept, on which one request after another asks for a streamed
 * answer. One thread, an event loop. */
#pragma once
#include <sys/socket.h>

#include "base/err.h"
#include "measure/chat_stream.h"
#include "measure/load_stats.h"

struct event_base;

/* Where requests go: "http://HOST[:PORT][PATH]". Without a path /v1/chat/completions is asked, with one
 * PATH/chat/completions. */
struct load_target {
    struct sockaddr_storage address;
    socklen_t address_size;
    char host[300]; /* for the Host line */
    char path[512];
};

/* Finds the address. ERR_ARGUMENT: no such URL; ERR_UNSUPPORTED: https; ERR_IO: the name is unknown. */
MUST_USE int load_target_find(struct load_target *out, const char *url, struct err *err);

struct load_client;

struct load_client_options {
    struct event_base *base;
    const struct load_target *target;
    const char *key; /* NULL: none */
    double timeout;  /* seconds for an answer, from when the request is sent */
    bool keeps_text; /* chat_stream.text is filled */
    /* A text has come, so many seconds behind the one before. */
    void (*gap)(void *ctx, double seconds);
    /* The request is over. The client may be given another in this call. */
    void (*done)(void *ctx, struct load_client *c, const struct load_answer *a,
                 const struct chat_stream *stream);
    /* load_client_pause is over. */
    void (*paused)(void *ctx, struct load_client *c);
    void *ctx;
};

/* o is copied. NULL without memory. */
struct load_client *load_client_new(const struct load_client_options *o);
void load_client_free(struct load_client *c); /* takes NULL; done is not called */

/* Sends a request, body being JSON; none may be under way. planned: the clock's time at which it was to be
 * sent, from which its times count. done comes from the loop, never in this call. user is the caller's. */
void load_client_send(struct load_client *c, const char *body, size_t size, double planned,
                      void *user);
void *load_client_user(const struct load_client *c);
void load_client_pause(struct load_client *c, double seconds);

/* Ends the request under way, if there is one, as LOAD_STOPPED: done is called. */
void load_client_stop(struct load_client *c);
