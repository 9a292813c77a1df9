/* An HTTP server and its clients in one thread: a client steps the loop until what it waits for is there.
 * A limit of steps, minutes long, only ends a test that has failed. What goes wrong fails the test. */
#pragma once
#include <event2/event.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "serve/http.h"

enum { MAX_STEPS = 100000, MAX_RECEIVED = 64 << 20 };

/* One server, and what its handler saw. The handler answers by path: /hold... not at all, /stream in
 * pieces, /empty with 204, /big with BIG, others with the request's body and X-Request-Id. /secret is
 * refused by its head. `gone` is set for all. */
struct world {
    struct event_base *base;
    struct http_server *server;
    struct http_request *held; /* by a path that begins with /hold */
    struct buf seen;           /* "METHOD path?query body;" of every request */
    int n_heads, n_gone, n_drained;
};

extern const char BIG[300000]; /* zeros */

#define H "Host: h\r\n"
#define GET_HOLD "GET /hold HTTP/1.1\r\n" H "\r\n"
#define OK(size) "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: " size "\r\n"
#define STREAM "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
#define JSON "Content-Type: application/json\r\nContent-Length: 9\r\n"

/* No deadline comes near; any free port; bodies of at most 100,000 bytes. */
struct http_options patient(void);

/* handler NULL: the one told above; ctx is set to w. */
void world_open(struct world *w, const struct http_options *o, const struct http_handler *h);
void world_close(struct world *w);

/* For http_handler and http_on_drained; ctx is a world. */
void on_request(void *ctx, struct http_request *r);
void on_drained(void *ctx);

/* For cmocka: *state is a world of patient options. */
int world_setup(void **state);
int world_teardown(void **state);
#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)

void turn(struct world *w); /* the loop, once */
void settle(
    struct world *w); /* so often that what could happen at once has happened; 20 ms or more */

/* Turns the loop until the condition holds. */
#define WAIT_FOR(w, cond)                                                                          \
    do {                                                                                           \
        int steps = 0;                                                                             \
        for (; !(cond) && steps < MAX_STEPS; steps++) {                                            \
            turn(w);                                                                               \
            if (!(cond)) poll(NULL, 0, 1);                                                         \
        }                                                                                          \
        if (steps == MAX_STEPS) fail_msg("still not: %s", #cond);                                  \
    } while (0)

/* A client's socket; receive_buffer 0: the system's size. */
int dial_with(const struct world *w, int receive_buffer);
int dial(const struct world *w);
void send_bytes(struct world *w, int fd, const char *s, size_t size);
void say(struct world *w, int fd, const char *s);

/* What has arrived is appended. False once the server has closed; a reset fails. */
bool take(int fd, struct buf *in);
/* Reads until the text ends in `end`; NULL: until the server closes. */
void hear(struct world *w, int fd, struct buf *in, const char *end);

/* Sends, and compares what comes back, without its Date lines: until it is as long as wanted, or until
 * the close. */
void check_talk(struct world *w, int fd, const char *out, const char *wanted, bool closes);
/* The server closes and sends nothing before. */
void check_closed(struct world *w, int fd);
/* A connection for one talk until the close. */
void check_once(struct world *w, const char *out, const char *wanted);

/* Sends a request for /hold, and returns when the handler has it. */
int hold(struct world *w, const char *request);
