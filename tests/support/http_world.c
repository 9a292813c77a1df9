#include "http_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

const char BIG[300000];

/* ---- the handler ---- */

static void on_gone(void *ctx)
{
    struct world *w = ctx;
    w->n_gone++;
    w->held = NULL;
}

void on_drained(void *ctx)
{
    struct world *w = ctx;
    w->n_drained++;
}

static void answer_stream(struct http_request *r)
{
    http_stream_begin(r, 200, "text/event-stream; charset=utf-8");
    http_stream_send(r, "data: 1\n\n", 9);
    http_stream_send(r, "", 0);
    http_stream_send(r, "data: 2\n\n", 9);
    http_stream_end(r);
}

void on_request(void *ctx, struct http_request *r)
{
    struct world *w = ctx;
    size_t size;
    const char *body = http_body(r, &size), *path = http_path(r);
    buf_printf(&w->seen, "%s %s?%s ", http_method(r), path, http_query(r));
    buf_add(&w->seen, body, size);
    buf_add_byte(&w->seen, ';');
    assert_string_equal(http_peer(r), "127.0.0.1");
    assert_int_equal(body[size], 0);
    if (!strncmp(path, "/hold", 5)) {
        assert_null(w->held);
        w->held = r;
        http_on_gone(r, on_gone, w);
    } else if (!strcmp(path, "/stream")) {
        answer_stream(r);
    } else if (!strcmp(path, "/empty")) {
        http_reply(r, 204, NULL, NULL, 0);
    } else if (!strcmp(path, "/big")) {
        http_reply(r, 200, "application/octet-stream", BIG, sizeof BIG);
    } else {
        const char *id = http_header(r, "X-Request-Id");
        if (id) http_add_header(r, "x-request-id", id);
        http_reply(r, 200, "text/plain", body, size); /* also: the body is the request's own */
    }
}

static bool on_head(void *ctx, struct http_request *r)
{
    struct world *w = ctx;
    size_t size;
    w->n_heads++;
    http_body(r, &size);
    assert_int_equal(size, 0);
    http_on_gone(r, on_gone, w);
    if (strcmp(http_path(r), "/secret")) return true;
    http_add_header(r, "WWW-Authenticate", "Bearer");
    http_reply(r, 401, "application/json", "{\"e\":401}", 9);
    return false;
}

static const char *error_body(void *ctx, int status)
{
    (void)ctx;
    return status == 400 ? "{\"e\":400}" : status == 413 ? "{\"e\":413}" : NULL;
}

/* ---- the world ---- */

struct http_options patient(void)
{
    struct http_options o = http_defaults();
    o.port = 0;
    o.max_body = 100000;
    o.header_seconds = o.idle_seconds = 1000;
    return o;
}

void world_open(struct world *w, const struct http_options *o, const struct http_handler *h)
{
    struct err err = {0};
    struct http_handler mine = {
        .request = on_request, .head = on_head, .error_body = error_body, .ctx = w};
    if (h) mine = *h;
    mine.ctx = w;
    *w = (struct world){.base = event_base_new()};
    assert_non_null(w->base);
    buf_init(&w->seen, 1 << 20);
    if (http_open(&w->server, w->base, o, &mine, &err)) fail_msg("%s", err.message);
    assert_true(http_port(w->server) > 0);
}

void world_close(struct world *w)
{
    http_close(w->server);
    event_base_free(w->base);
    buf_fini(&w->seen);
}

void turn(struct world *w)
{
    event_base_loop(w->base, EVLOOP_NONBLOCK);
}

void settle(struct world *w)
{
    for (int i = 0; i < 20; i++) {
        turn(w);
        poll(NULL, 0, 1);
    }
}

/* ---- the client ---- */

int dial_with(const struct world *w, int receive_buffer)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)http_port(w->server)),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    if (receive_buffer)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    assert_int_equal(connect(fd, (const struct sockaddr *)&a, sizeof a), 0);
    return fd;
}

int dial(const struct world *w)
{
    return dial_with(w, 0);
}

void send_bytes(struct world *w, int fd, const char *s, size_t size)
{
    for (int steps = 0; size > 0 && steps < MAX_STEPS; steps++) {
        ssize_t n = send(fd, s, size, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n > 0) {
            s += n;
            size -= (size_t)n;
        } else {
            assert_true(errno == EAGAIN);
            turn(w);
        }
    }
    assert_int_equal(size, 0);
}

void say(struct world *w, int fd, const char *s)
{
    send_bytes(w, fd, s, strlen(s));
}

bool take(int fd, struct buf *in)
{
    char bytes[16384];
    ssize_t n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n > 0) buf_add(in, bytes, (size_t)n);
    if (n < 0) assert_int_equal(errno, EAGAIN); /* a reset is never right */
    return n != 0;
}

void hear(struct world *w, int fd, struct buf *in, const char *end)
{
    size_t n = end ? strlen(end) : 0;
    for (int steps = 0; steps < MAX_STEPS; steps++) {
        turn(w);
        bool open = take(fd, in);
        if (!end && !open) return;
        if (end && in->size >= n && !memcmp(in->data + in->size - n, end, n)) return;
        if (!open) fail_msg("closed after: %s", buf_text(in));
        struct pollfd p = {.fd = fd, .events = POLLIN};
        poll(&p, 1, 1);
    }
    fail_msg("no more after: %s", buf_text(in));
}

/* The lines of a head that are always the same are cut out: Date. */
static void cut_date(struct buf *in)
{
    char *date = in->data ? strstr(in->data, "Date: ") : NULL;
    if (!date) return;
    static const char form[] = "Date: Sun, 01 Jan 2000 00:00:00 GMT\r\n";
    size_t n = sizeof form - 1, behind = in->size - (size_t)(date - in->data);
    assert_true(behind > n && date[n - 1] == '\n' && date[10] == ' ' && date[n - 5] == 'G');
    memmove(date, date + n, behind - n + 1);
    in->size -= n;
}

void check_talk(struct world *w, int fd, const char *out, const char *wanted, bool closes)
{
    struct buf in;
    buf_init(&in, MAX_RECEIVED);
    say(w, fd, out);
    for (int steps = 0; steps < MAX_STEPS; steps++) {
        turn(w);
        bool open = take(fd, &in);
        struct pollfd p = {.fd = fd, .events = POLLIN};
        while (strstr(buf_text(&in), "Date: ") && strstr(strstr(in.data, "Date: "), "\r\n"))
            cut_date(&in);
        if (!open || (!closes && in.size >= strlen(wanted))) break;
        poll(&p, 1, 1);
    }
    assert_string_equal(buf_text(&in), wanted);
    buf_fini(&in);
}

void check_closed(struct world *w, int fd)
{
    struct buf in;
    buf_init(&in, MAX_RECEIVED);
    hear(w, fd, &in, NULL);
    assert_string_equal(buf_text(&in), "");
    buf_fini(&in);
}

void check_once(struct world *w, const char *out, const char *wanted)
{
    int fd = dial(w);
    check_talk(w, fd, out, wanted, true);
    close(fd);
    WAIT_FOR(w, http_connections(w->server) == 0);
}

int hold(struct world *w, const char *request)
{
    int fd = dial(w);
    say(w, fd, request);
    WAIT_FOR(w, w->held);
    return fd;
}

/* ---- */

int world_setup(void **state)
{
    static struct world w;
    struct http_options o = patient();
    world_open(&w, &o, NULL);
    *state = &w;
    return 0;
}

int world_teardown(void **state)
{
    world_close(*state);
    return 0;
}
