/* Clients that go away, are slow or too many, and the end of the server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../support/http_world.h"

/* libevent's memory, out when a test says so. */
static bool memory_is_out;

static void *take_memory(size_t size)
{
    return memory_is_out ? NULL : malloc(size);
}

static void *grow_memory(void *p, size_t size)
{
    return memory_is_out ? NULL : realloc(p, size);
}

/* ---- clients that go away ---- */

static void a_hang_up_is_seen_while_the_answer_is_computed(void **state)
{
    struct world *w = *state;
    static const char *const requests[] = {
        GET_HOLD, "POST /hold HTTP/1.1\r\n" H "Content-Length: 2\r\n\r\nab",
        "POST /hold HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
        GET_HOLD "GET /next HTTP/1.1\r\n" H "\r\n"};
    for (int i = 0; i < 4; i++) {
        int fd = hold(w, requests[i]);
        assert_int_equal(w->n_gone, i);
        close(fd);
        WAIT_FOR(w, w->n_gone == i + 1);
        assert_int_equal(http_connections(w->server), 0);
    }
    assert_null(strstr(buf_text(&w->seen), "/next"));
}

static void a_hang_up_is_seen_behind_what_is_held(void **state)
{
    struct world *w = *state;
    static const char bytes[8192];
    int fd = hold(w, GET_HOLD);
    for (int i = 0; i < 100; i++)
        send_bytes(w, fd, bytes, sizeof bytes);
    close(fd);
    WAIT_FOR(w, w->n_gone == 1);
}

static void a_hang_up_is_seen_within_a_stream(void **state)
{
    struct world *w = *state;
    struct linger reset = {.l_onoff = 1};
    for (int i = 0; i < 2; i++) {
        int fd = hold(w, GET_HOLD);
        http_stream_begin(w->held, 200, NULL);
        http_stream_send(w->held, "x", 1);
        settle(w);
        if (i == 1) setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        close(fd);
        /* Writing to it raises no signal. */
        for (int steps = 0; w->held && steps < MAX_STEPS; steps++) {
            http_stream_send(w->held, "x", 1);
            settle(w);
        }
        assert_int_equal(w->n_gone, i + 1);
    }
}

static void a_hang_up_within_a_request_is_quiet(void **state)
{
    struct world *w = *state;
    int fd = dial(w);
    say(w, fd, "GET / HT");
    settle(w);
    close(fd);
    WAIT_FOR(w, http_connections(w->server) == 0);
    assert_int_equal(w->n_gone, 0);
    fd = dial(w);
    say(w, fd, "POST / HTTP/1.1\r\n" H "Content-Length: 9\r\n\r\nab");
    WAIT_FOR(w, w->n_heads == 1);
    close(fd);
    WAIT_FOR(w, http_connections(w->server) == 0);
    assert_int_equal(w->n_gone, 1); /* its head was accepted */
    assert_string_equal(buf_text(&w->seen), "");
}

/* The answer was complete when the client's end came. */
static void a_half_closed_client_gets_a_complete_answer(void **state)
{
    struct world *w = *state;
    struct buf in;
    buf_init(&in, MAX_RECEIVED);
    int fd = dial_with(w, 4096);
    say(w, fd, "GET /big HTTP/1.1\r\n" H "\r\n");
    WAIT_FOR(w, w->seen.size > 0);
    shutdown(fd, SHUT_WR);
    hear(w, fd, &in, NULL);
    assert_true(in.size > sizeof BIG);
    assert_int_equal(w->n_gone, 0);
    buf_fini(&in);
    close(fd);
    WAIT_FOR(w, http_connections(w->server) == 0);
}

/* ---- pressure ---- */

static void a_full_stream_says_when_it_has_drained(void **state)
{
    struct world *w = *state;
    struct buf in;
    buf_init(&in, MAX_RECEIVED);
    size_t sent = 0;
    int fd = dial_with(w, 4096);
    say(w, fd, "GET /hold HTTP/1.0\r\n\r\n");
    WAIT_FOR(w, w->held);
    http_stream_begin(w->held, 200, NULL);
    for (int quiet = 0; quiet < 5; quiet++) { /* the kernel may take much before it is full */
        for (; !http_is_full(w->held); quiet = 0) {
            http_stream_send(w->held, BIG, 10000);
            sent += 10000;
        }
        settle(w);
    }
    assert_true(http_buffered(w->held) > 256 << 10);
    assert_true(http_buffered(w->held) < 300 << 10);
    http_on_drained(w->held, on_drained, w);
    settle(w);
    assert_int_equal(w->n_drained, 0);
    for (int steps = 0; w->n_drained == 0 && steps < MAX_STEPS; steps++) {
        assert_true(take(fd, &in));
        turn(w);
    }
    assert_int_equal(w->n_drained, 1);
    assert_true(http_buffered(w->held) <= 64 << 10);
    http_stream_end(w->held);
    w->held = NULL;
    hear(w, fd, &in, NULL);
    assert_int_equal(w->n_drained, 1);
    assert_true(in.size > sent);
    assert_memory_equal(in.data + in.size - sizeof BIG, BIG, sizeof BIG);
    buf_fini(&in);
    close(fd);
}

static void a_drained_stream_says_so_at_once(void **state)
{
    struct world *w = *state;
    int fd = hold(w, GET_HOLD);
    http_stream_begin(w->held, 200, NULL);
    http_stream_send(w->held, "x", 1);
    settle(w);
    http_on_drained(w->held, on_drained, w);
    assert_int_equal(w->n_drained, 0); /* not from within the call */
    WAIT_FOR(w, w->n_drained == 1);
    http_stream_send(w->held, "x", 1);
    settle(w);
    assert_int_equal(w->n_drained, 1); /* once */
    http_on_drained(w->held, on_drained, w);
    http_on_drained(w->held, NULL, NULL);
    settle(w);
    assert_int_equal(w->n_drained, 1);
    close(fd);
    WAIT_FOR(w, w->n_gone == 1);
}

static void connections_over_the_limit_are_closed(void **state)
{
    (void)state;
    struct world w;
    struct http_options o = patient();
    o.max_connections = 2;
    world_open(&w, &o, NULL);
    int a = dial(&w), b = hold(&w, GET_HOLD), c = dial(&w);
    check_closed(&w, c);
    assert_int_equal(http_connections(w.server), 2);
    close(a);
    WAIT_FOR(&w, http_connections(w.server) == 1);
    int d = dial(&w);
    check_talk(&w, d, "GET / HTTP/1.1\r\n" H "\r\n", OK("0") "\r\n", false);
    close(b);
    close(c);
    close(d);
    world_close(&w);
}

/* Descriptors run out: the connection waits in the kernel's queue, and is served later. */
static void a_server_without_descriptors_accepts_later(void **state)
{
    struct world *w = *state;
    struct rlimit all, few;
    int fd = dial(w), lowest_free = dup(fd);
    close(lowest_free);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &all), 0);
    few = all;
    few.rlim_cur = (rlim_t)lowest_free;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    settle(w);
    int before = http_connections(w->server);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &all), 0);
    assert_int_equal(before, 0);
    check_talk(w, fd, "GET / HTTP/1.1\r\n" H "\r\n", OK("0") "\r\n", false);
    close(fd);
}

static void an_answer_that_finds_no_memory_is_cut(void **state)
{
    struct world *w = *state;
    for (int i = 0; i < 2; i++) {
        int fd = hold(w, GET_HOLD);
        struct http_request *r = w->held;
        if (i == 0) http_stream_begin(r, 200, NULL);
        memory_is_out = true;
        if (i == 0) {
            http_stream_send(r, BIG, sizeof BIG);
            http_stream_send(r, "x", 1);
            assert_int_equal(w->n_gone, 0); /* not from within the call */
        } else {
            w->held = NULL;
            http_reply(r, 200, NULL, BIG, sizeof BIG);
        }
        memory_is_out = false;
        WAIT_FOR(w, http_connections(w->server) == 0);
        assert_int_equal(w->n_gone, 1); /* the second was answered */
        close(fd);
    }
}

/* ---- deadlines: short ones must come, long ones are never near ---- */

static const char TIMEOUT[] =
    "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

static void a_slow_head_is_cut(void **state)
{
    (void)state;
    struct world w;
    struct http_options o = patient();
    o.header_seconds = 0.05;
    world_open(&w, &o, NULL);
    check_once(&w, "GET / HTTP/1.1\r\nHost:", TIMEOUT);
    int fd = dial(&w);
    check_closed(&w, fd); /* not a byte */
    close(fd);
    fd = dial(&w);
    check_talk(&w, fd, "GET / HTTP/1.1\r\n" H "\r\n", OK("0") "\r\n", false);
    check_talk(&w, fd, "GET /2", TIMEOUT, true); /* a later one */
    close(fd);
    world_close(&w);
}

static void a_slow_body_is_cut(void **state)
{
    (void)state;
    struct world w;
    struct http_options o = patient();
    o.header_seconds = 0.05;
    world_open(&w, &o, NULL);
    check_once(&w, "POST / HTTP/1.1\r\n" H "Content-Length: 9\r\n\r\n12345678", TIMEOUT);
    check_once(&w, "POST / HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 9\r\n\r\n",
               "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 408 Request Timeout\r\n"
               "Content-Length: 0\r\nConnection: close\r\n\r\n");
    assert_int_equal(w.n_gone, 2);
    assert_string_equal(buf_text(&w.seen), "");
    world_close(&w);
}

static void an_idle_connection_is_closed(void **state)
{
    (void)state;
    struct world w;
    struct http_options o = patient();
    o.idle_seconds = 0.05;
    world_open(&w, &o, NULL);
    int fd = dial(&w);
    check_talk(&w, fd, "GET / HTTP/1.1\r\n" H "\r\n", OK("0") "\r\n", false);
    check_closed(&w, fd);
    close(fd);
    world_close(&w);
}

static void an_answer_may_take_its_time(void **state)
{
    (void)state;
    struct world w;
    struct http_options o = patient();
    o.header_seconds = o.idle_seconds = 0.01;
    world_open(&w, &o, NULL);
    int fd = hold(&w, GET_HOLD);
    for (int i = 0; i < 5; i++)
        settle(&w); /* 100 ms at least */
    assert_int_equal(w.n_gone, 0);
    struct http_request *r = w.held;
    w.held = NULL;
    http_reply(r, 200, "text/plain", "late", 4);
    check_talk(&w, fd, "", OK("4") "\r\nlate", true);
    close(fd);
    world_close(&w);
}

static void pieces_may_come_far_apart(void **state)
{
    (void)state;
    struct world w;
    struct http_options o = patient();
    o.idle_seconds = 0.01;
    world_open(&w, &o, NULL);
    int fd = hold(&w, GET_HOLD);
    http_stream_begin(w.held, 200, NULL);
    http_stream_send(w.held, "x", 1);
    for (int i = 0; i < 5; i++)
        settle(&w);
    assert_int_equal(w.n_gone, 0);
    close(fd);
    WAIT_FOR(&w, w.n_gone == 1);
    world_close(&w);
}

static void a_client_that_does_not_read_is_cut(void **state)
{
    (void)state;
    struct world w;
    struct http_options o = patient();
    o.idle_seconds = 0.05;
    world_open(&w, &o, NULL);
    int fd = dial_with(&w, 4096);
    say(&w, fd, GET_HOLD);
    WAIT_FOR(&w, w.held);
    http_stream_begin(w.held, 200, NULL);
    for (int steps = 0; w.held && steps < MAX_STEPS; steps++) {
        if (!http_is_full(w.held)) http_stream_send(w.held, BIG, sizeof BIG);
        turn(&w);
        poll(NULL, 0, 1);
    }
    assert_int_equal(w.n_gone, 1);
    assert_int_equal(http_connections(w.server), 0);
    close(fd);
    world_close(&w);
}

/* ---- the end ---- */

static void a_stopped_server_finishes_what_it_has(void **state)
{
    struct world *w = *state;
    struct buf in;
    buf_init(&in, MAX_RECEIVED);
    int idle = dial(w), half = dial(w), fresh = dial(w);
    check_talk(w, idle, "GET / HTTP/1.1\r\n" H "\r\n", OK("0") "\r\n", false);
    say(w, half, "POST / HTTP/1.1\r\n" H "Content-Length: 4\r\n\r\nab");
    WAIT_FOR(w, w->n_heads == 2);
    int fd = hold(w, GET_HOLD "GET /never HTTP/1.1\r\n" H "\r\n");
    http_stream_begin(w->held, 200, NULL);
    http_stream_send(w->held, "one", 3);
    http_stop(w->server);
    assert_int_equal(http_connections(w->server), 3);
    check_closed(w, idle);
    check_talk(w, fresh, "GET / HTTP/1.1\r\n" H "\r\n", OK("0") "Connection: close\r\n\r\n", true);
    close(fresh);
    http_stream_send(w->held, "two", 3);
    http_stream_end(w->held);
    w->held = NULL;
    hear(w, fd, &in, NULL);
    assert_non_null(strstr(buf_text(&in), "3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"));
    check_talk(w, half, "cd", OK("4") "Connection: close\r\n\r\nabcd", true);
    assert_null(strstr(buf_text(&w->seen), "/never"));
    close(idle);
    close(half);
    close(fd);
    WAIT_FOR(w, http_connections(w->server) == 0);
    assert_int_equal(w->n_gone, 0);
    buf_fini(&in);
}

static void a_stopped_server_refuses_connections(void **state)
{
    struct world *w = *state;
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)http_port(w->server)),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    http_stop(w->server);
    http_stop(w->server);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&a, sizeof a), -1);
    assert_int_equal(errno, ECONNREFUSED);
    close(fd);
}

static void a_closed_server_tells_who_is_gone(void **state)
{
    (void)state;
    struct world w;
    struct http_options o = patient();
    world_open(&w, &o, NULL);
    int a = hold(&w, GET_HOLD), b = dial(&w), c = dial(&w);
    say(&w, b, "GET / HT");
    say(&w, c, "POST / HTTP/1.1\r\n" H "Content-Length: 4\r\n\r\nab");
    WAIT_FOR(&w, w.n_heads == 2);
    http_stream_begin(w.held, 200, NULL);
    http_stream_send(w.held, "x", 1);
    http_close(w.server);
    assert_int_equal(w.n_gone, 2);
    assert_null(w.held);
    w.server = NULL;
    world_close(&w);
    close(a);
    close(b);
    close(c);
}

int main(void)
{
    event_set_mem_functions(take_memory, grow_memory, free);
    const struct CMUnitTest tests[] = {
        IN_WORLD(a_hang_up_is_seen_while_the_answer_is_computed),
        IN_WORLD(a_hang_up_is_seen_behind_what_is_held),
        IN_WORLD(a_hang_up_is_seen_within_a_stream),
        IN_WORLD(a_hang_up_within_a_request_is_quiet),
        IN_WORLD(a_half_closed_client_gets_a_complete_answer),
        IN_WORLD(a_full_stream_says_when_it_has_drained),
        IN_WORLD(a_drained_stream_says_so_at_once),
        cmocka_unit_test(connections_over_the_limit_are_closed),
        IN_WORLD(a_server_without_descriptors_accepts_later),
        IN_WORLD(an_answer_that_finds_no_memory_is_cut),
        cmocka_unit_test(a_slow_head_is_cut),
        cmocka_unit_test(a_slow_body_is_cut),
        cmocka_unit_test(an_idle_connection_is_closed),
        cmocka_unit_test(an_answer_may_take_its_time),
        cmocka_unit_test(pieces_may_come_far_apart),
        cmocka_unit_test(a_client_that_does_not_read_is_cut),
        IN_WORLD(a_stopped_server_finishes_what_it_has),
        IN_WORLD(a_stopped_server_refuses_connections),
        cmocka_unit_test(a_closed_server_tells_who_is_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
