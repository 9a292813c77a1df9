#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <signal.h>
#include <unistd.h>

#include "../support/http_world.h"

/* ---- answers ---- */

static void a_request_gets_its_answer(void **state)
{
    struct world *w = *state;
    int fd = dial(w);
    check_talk(w, fd,
               "POST /a%20b?c=d HTTP/1.1\r\n" H "X-Request-Id: i\td\r\nContent-Length: 5\r\n\r\n"
               "hello",
               OK("5") "x-request-id: i\td\r\n\r\nhello", false);
    assert_string_equal(buf_text(&w->seen), "POST /a b?c=d hello;");
    assert_int_equal(w->n_heads, 1);
    close(fd);
    WAIT_FOR(w, http_connections(w->server) == 0);
    assert_int_equal(w->n_gone, 0);
}

static void a_connection_serves_many(void **state)
{
    struct world *w = *state;
    int fd = dial(w);
    for (int i = 0; i < 5; i++)
        check_talk(w, fd,
                   "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n"
                   "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
                   OK("5") "\r\nabcde", false);
    assert_int_equal(http_connections(w->server), 1);
    check_talk(w, fd, "GET / HTTP/1.1\r\n" H "Connection: close\r\n\r\n",
               OK("0") "Connection: close\r\n\r\n", true);
    close(fd);
}

static void bytes_may_come_one_by_one(void **state)
{
    struct world *w = *state;
    static const char request[] =
        "POST / HTTP/1.1\r\n" H "Content-Length: 3\r\n\r\nabcPOST /2 HTTP/1.1\r\n" H
        "Transfer-Encoding: chunked\r\n\r\n1\r\nd\r\n0\r\n\r";
    int fd = dial(w);
    for (size_t i = 0; i < sizeof request - 1; i++) {
        send_bytes(w, fd, request + i, 1);
        turn(w);
    }
    check_talk(w, fd, "\n", OK("3") "\r\nabc" OK("1") "\r\nd", false);
    assert_string_equal(buf_text(&w->seen), "POST /? abc;POST /2? d;");
    close(fd);
}

static void an_old_client_is_closed_unless_it_asks(void **state)
{
    struct world *w = *state;
    check_once(w, "GET / HTTP/1.0\r\n\r\n", OK("0") "Connection: close\r\n\r\n");
    int fd = dial(w);
    for (int i = 0; i < 2; i++)
        check_talk(w, fd, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
                   OK("0") "Connection: keep-alive\r\n\r\n", false);
    close(fd);
}

static void head_gets_no_body(void **state)
{
    struct world *w = *state;
    int fd = dial(w);
    check_talk(w, fd, "HEAD /big HTTP/1.1\r\n" H "\r\n",
               "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
               "Content-Length: 300000\r\n\r\n",
               false);
    check_talk(w, fd, "HEAD /stream HTTP/1.1\r\n" H "\r\n",
               STREAM "Transfer-Encoding: chunked\r\n\r\n", false);
    check_talk(w, fd, "GET /empty HTTP/1.1\r\n" H "\r\n", "HTTP/1.1 204 No Content\r\n\r\n", false);
    check_talk(w, fd, "GET / HTTP/1.1\r\n" H "\r\n", OK("0") "\r\n", false);
    close(fd);
}

static void a_large_answer_arrives_whole(void **state)
{
    struct world *w = *state;
    struct buf in;
    buf_init(&in, MAX_RECEIVED);
    int fd = dial_with(w, 4096);
    say(w, fd, "GET /big HTTP/1.0\r\n\r\n");
    hear(w, fd, &in, NULL);
    assert_true(in.size > sizeof BIG);
    assert_memory_equal(in.data + in.size - sizeof BIG, BIG, sizeof BIG);
    buf_fini(&in);
    close(fd);
}

static void pieces_are_chunks(void **state)
{
    struct world *w = *state;
    int fd = dial(w);
    for (int i = 0; i < 2; i++)
        check_talk(w, fd, "GET /stream HTTP/1.1\r\n" H "\r\n",
                   STREAM "Transfer-Encoding: chunked\r\n\r\n"
                          "9\r\ndata: 1\n\n\r\n9\r\ndata: 2\n\n\r\n0\r\n\r\n",
                   false);
    close(fd);
}

static void pieces_for_an_old_client_end_with_the_connection(void **state)
{
    struct world *w = *state;
    check_once(w, "GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
               STREAM "Connection: close\r\n\r\ndata: 1\n\ndata: 2\n\n");
}

/* Each piece arrives before the next is made. */
static void a_piece_does_not_wait_for_the_next(void **state)
{
    struct world *w = *state;
    struct buf in;
    buf_init(&in, MAX_RECEIVED);
    int fd = hold(w, GET_HOLD);
    http_stream_begin(w->held, 200, NULL);
    hear(w, fd, &in, "\r\n\r\n");
    http_stream_send(w->held, "one", 3);
    hear(w, fd, &in, "3\r\none\r\n");
    http_stream_send(w->held, "two", 3);
    hear(w, fd, &in, "3\r\ntwo\r\n");
    assert_int_equal(http_buffered(w->held), 0);
    http_stream_end(w->held);
    w->held = NULL;
    hear(w, fd, &in, "0\r\n\r\n");
    close(fd);
    WAIT_FOR(w, http_connections(w->server) == 0);
    assert_int_equal(w->n_gone, 0);
    buf_fini(&in);
}

static void continue_is_sent_when_the_body_is_wanted(void **state)
{
    struct world *w = *state;
    int fd = dial(w);
    check_talk(w, fd, "POST / HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n",
               "HTTP/1.1 100 Continue\r\n\r\n", false);
    check_talk(w, fd, "ab", OK("2") "\r\nab", false);
    check_talk(w, fd, "POST / HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 2\r\n\r\nab",
               OK("2") "\r\nab", false);
    close(fd);
}

/* ---- refusals ---- */

static void an_unwanted_head_is_answered_before_its_body(void **state)
{
    struct world *w = *state;
    static const char answer[] = "HTTP/1.1 401 Unauthorized\r\n" JSON
                                 "Connection: close\r\nWWW-Authenticate: Bearer\r\n\r\n{\"e\":401}";
    check_once(w, "POST /secret HTTP/1.1\r\n" H "Content-Length: 90000\r\n\r\n", answer);
    check_once(w,
               "POST /secret HTTP/1.1\r\n" H
               "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n",
               answer);
    assert_string_equal(buf_text(&w->seen), "");
    assert_int_equal(w->n_gone, 0);
}

static void an_unwanted_head_without_body_keeps_the_connection(void **state)
{
    struct world *w = *state;
    int fd = dial(w);
    for (int i = 0; i < 2; i++)
        check_talk(w, fd, "GET /secret HTTP/1.1\r\n" H "\r\n",
                   "HTTP/1.1 401 Unauthorized\r\n" JSON
                   "WWW-Authenticate: Bearer\r\n\r\n{\"e\":401}",
                   false);
    check_talk(w, fd, "GET / HTTP/1.1\r\n" H "\r\n", OK("0") "\r\n", false);
    close(fd);
}

/* The client goes on sending, and still reads the answer: no reset cuts it off. */
static void the_answer_to_a_large_body_is_not_lost(void **state)
{
    struct world *w = *state;
    static const char bytes[4096];
    int fd = dial(w);
    say(w, fd, "POST /secret HTTP/1.1\r\n" H "Content-Length: 90000\r\n\r\n");
    for (int i = 0; i < 20; i++) {
        send_bytes(w, fd, bytes, sizeof bytes);
        turn(w);
    }
    check_talk(w, fd, "",
               "HTTP/1.1 401 Unauthorized\r\n" JSON
               "Connection: close\r\nWWW-Authenticate: Bearer\r\n\r\n{\"e\":401}",
               true);
    close(fd);
}

static void bad_requests_are_answered_and_closed(void **state)
{
    struct world *w = *state;
    check_once(w, "GET / HTTP/1.1\r\n\r\n",
               "HTTP/1.1 400 Bad Request\r\n" JSON "Connection: close\r\n\r\n{\"e\":400}");
    check_once(w, "GET / HTTP/1.1\nmore and more\n",
               "HTTP/1.1 400 Bad Request\r\n" JSON "Connection: close\r\n\r\n{\"e\":400}");
    check_once(w, "GET / HTTP/3.0\r\n",
               "HTTP/1.1 505 HTTP Version Not Supported\r\nContent-Length: 0\r\n"
               "Connection: close\r\n\r\n");
    check_once(w, "POST / HTTP/1.1\r\n" H "Content-Length: 100001\r\n\r\n",
               "HTTP/1.1 413 Content Too Large\r\n" JSON "Connection: close\r\n\r\n{\"e\":413}");
    check_once(w, "HEAD / HTTP/1.1\r\n" H "Content-Length: 100001\r\n\r\n",
               "HTTP/1.1 413 Content Too Large\r\n" JSON "Connection: close\r\n\r\n");
    assert_string_equal(buf_text(&w->seen), "");
    assert_int_equal(w->n_heads, 0);
    check_once(w, "GET / HTTP/1.1\r\n" H "\r\n\n",
               OK("0") "\r\nHTTP/1.1 400 Bad Request\r\n" JSON
                       "Connection: close\r\n\r\n{\"e\":400}");
}

static void a_body_refused_halfway_is_gone(void **state)
{
    struct world *w = *state;
    check_once(w, "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\nffffff\r\n",
               "HTTP/1.1 413 Content Too Large\r\n" JSON "Connection: close\r\n\r\n{\"e\":413}");
    assert_int_equal(w->n_heads, 1);
    assert_int_equal(w->n_gone, 1);
    assert_string_equal(buf_text(&w->seen), "");
}

static void a_server_without_error_bodies_sends_none(void **state)
{
    (void)state;
    struct world w;
    struct http_options o = patient();
    struct http_handler h = {.request = on_request};
    world_open(&w, &o, &h);
    check_once(&w, "\n",
               "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    check_once(&w, "GET / HTTP/1.0\r\n\r\n", OK("0") "Connection: close\r\n\r\n");
    world_close(&w);
}

static void on_signal(int number)
{
    (void)number;
}

static void sigpipe_is_ignored_unless_handled(void **state)
{
    (void)state;
    struct http_options o = patient();
    void (*const before[])(int) = {SIG_DFL, on_signal},
                 (*const after[])(int) = {SIG_IGN, on_signal};
    for (int i = 0; i < 2; i++) {
        struct world w;
        signal(SIGPIPE, before[i]);
        world_open(&w, &o, NULL);
        world_close(&w);
        assert_ptr_equal(signal(SIGPIPE, SIG_DFL), after[i]);
    }
}

/* ---- order ---- */

static void a_second_request_waits_for_the_first_answer(void **state)
{
    struct world *w = *state;
    int fd = hold(w, GET_HOLD "GET /2 HTTP/1.1\r\n" H "\r\nGET /3 HTTP/1.1\r\n" H "\r\n");
    settle(w);
    assert_string_equal(buf_text(&w->seen), "GET /hold? ;");
    struct http_request *r = w->held;
    w->held = NULL;
    http_reply(r, 200, "text/plain", "first", 5);
    check_talk(w, fd, "", OK("5") "\r\nfirst" OK("0") "\r\n" OK("0") "\r\n", false);
    assert_string_equal(buf_text(&w->seen), "GET /hold? ;GET /2? ;GET /3? ;");
    close(fd);
}

static void what_is_held_has_a_limit(void **state)
{
    struct world *w = *state;
    static const char bytes[8192];
    int fd = hold(w, GET_HOLD);
    for (int i = 0; i < 100; i++)
        send_bytes(w, fd, bytes, sizeof bytes);
    settle(w);
    struct http_request *r = w->held;
    assert_non_null(r);
    w->held = NULL;
    http_reply(r, 200, "text/plain", "first", 5);
    check_talk(w, fd, "", OK("5") "Connection: close\r\n\r\nfirst", true);
    assert_string_equal(buf_text(&w->seen), "GET /hold? ;");
    close(fd);
}

static void connections_do_not_wait_for_each_other(void **state)
{
    struct world *w = *state;
    int slow = hold(w, GET_HOLD), half = dial(w), fd = dial(w);
    say(w, half, "POST / HTTP/1.1\r\nHo");
    check_talk(w, fd, "GET / HTTP/1.1\r\n" H "\r\n", OK("0") "\r\n", false);
    assert_int_equal(http_connections(w->server), 3);
    close(fd);
    close(half);
    close(slow);
    WAIT_FOR(w, http_connections(w->server) == 0);
}

static void a_bad_place_to_listen_is_an_error(void **state)
{
    struct world *w = *state;
    struct http_handler h = {.request = on_request};
    struct http_server *s = NULL;
    struct err taken = {0}, name = {0}, port = {0}, seconds = {0};
    struct http_options o = patient();
    o.port = http_port(w->server);
    assert_int_equal(http_open(&s, w->base, &o, &h, &taken), -1);
    assert_int_equal(taken.code, ERR_IO);
    assert_null(s);
    o.host = "localhost";
    assert_int_equal(http_open(&s, w->base, &o, &h, &name), -1);
    assert_int_equal(name.code, ERR_ARGUMENT);
    o = patient();
    o.port = 65536;
    assert_int_equal(http_open(&s, w->base, &o, &h, &port), -1);
    assert_int_equal(port.code, ERR_ARGUMENT);
    o = patient();
    o.idle_seconds = 0;
    assert_int_equal(http_open(&s, w->base, &o, &h, &seconds), -1);
    assert_int_equal(seconds.code, ERR_ARGUMENT);
    http_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(a_request_gets_its_answer),
        IN_WORLD(a_connection_serves_many),
        IN_WORLD(bytes_may_come_one_by_one),
        IN_WORLD(an_old_client_is_closed_unless_it_asks),
        IN_WORLD(head_gets_no_body),
        IN_WORLD(a_large_answer_arrives_whole),
        IN_WORLD(pieces_are_chunks),
        IN_WORLD(pieces_for_an_old_client_end_with_the_connection),
        IN_WORLD(a_piece_does_not_wait_for_the_next),
        IN_WORLD(continue_is_sent_when_the_body_is_wanted),
        IN_WORLD(an_unwanted_head_is_answered_before_its_body),
        IN_WORLD(an_unwanted_head_without_body_keeps_the_connection),
        IN_WORLD(the_answer_to_a_large_body_is_not_lost),
        IN_WORLD(bad_requests_are_answered_and_closed),
        IN_WORLD(a_body_refused_halfway_is_gone),
        cmocka_unit_test(a_server_without_error_bodies_sends_none),
        cmocka_unit_test(sigpipe_is_ignored_unless_handled),
        IN_WORLD(a_second_request_waits_for_the_first_answer),
        IN_WORLD(what_is_held_has_a_limit),
        IN_WORLD(connections_do_not_wait_for_each_other),
        IN_WORLD(a_bad_place_to_listen_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
