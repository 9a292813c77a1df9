#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "serve/gate.h"

enum { MAX_BODY = 1000 };

#define TEXT(s) (s), sizeof(s) - 1
#define H "Host: h\r\n"
#define GET "GET / HTTP/1.1\r\n"
#define POST "POST / HTTP/1.1\r\n" H
#define CHUNKED POST "Transfer-Encoding: chunked\r\n\r\n"

/* What comes out, as text: "METHOD path?query", " 1.0", " close", " continue", " [body]" and ";" for
 * every request; then nothing between requests, "..." inside one, or the status of a refusal. */
struct row {
    const char *bytes;
    size_t size;
    const char *outcome;
};

static const struct row good[] = {
    {TEXT(""), ""},
    {TEXT("G"), "..."},
    {TEXT("\r\n"), ""},
    {TEXT(GET H "\r\n"), "GET /;"},
    {TEXT("\r\n" GET H "\r\n"), "GET /;"},
    {TEXT(GET H "\r"), "..."},
    {TEXT(GET H), "..."},
    {TEXT(GET H "\r\n" GET H "\r\n\r\n" GET), "GET /;GET /;..."},
    {TEXT("GET / HTTP/1.0\r\n\r\n"), "GET / 1.0 close;"},
    {TEXT("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"), "GET / 1.0;"},
    {TEXT("GET / HTTP/1.0\r\nConnection: Keep-Alive, close\r\n\r\n"), "GET / 1.0 close;"},
    {TEXT("GET / HTTP/1.0\r\nConnection: x\r\nConnection: y , keep-alive\r\n\r\n"), "GET / 1.0;"},
    {TEXT(GET H "Connection: close\r\n\r\n"), "GET / close;"},
    {TEXT(GET H "Connection: TE,\t CLOSE ,\r\n\r\n"), "GET / close;"},
    {TEXT(GET H "Connection: closed, not-close\r\n\r\n"), "GET /;"},
    {TEXT(GET H "Connection:\r\n\r\n"), "GET /;"},
    {TEXT("HEAD / HTTP/1.1\r\n" H "\r\n"), "HEAD /;"},
    {TEXT("PUT /a HTTP/1.1\r\n" H "\r\n"), "PUT /a;"},
    {TEXT("PATCH /a HTTP/1.1\r\n" H "\r\n"), "PATCH /a;"},
    {TEXT("DELETE /a HTTP/1.1\r\n" H "\r\n"), "DELETE /a;"},
    {TEXT("OPTIONS * HTTP/1.1\r\n" H "\r\n"), "OPTIONS *;"},
    {TEXT("OPTIONS /a HTTP/1.1\r\n" H "\r\n"), "OPTIONS /a;"},
    /* targets */
    {TEXT("GET /a/b.c-d_e~f HTTP/1.1\r\n" H "\r\n"), "GET /a/b.c-d_e~f;"},
    {TEXT("GET /!$&'()*+,;=:@ HTTP/1.1\r\n" H "\r\n"), "GET /!$&'()*+,;=:@;"},
    {TEXT("GET /a%20b%2Fc HTTP/1.1\r\n" H "\r\n"), "GET /a b/c;"},
    {TEXT("GET /%c3%A4 HTTP/1.1\r\n" H "\r\n"), "GET /\xc3\xa4;"},
    {TEXT("GET /?a=b%20c?/d HTTP/1.1\r\n" H "\r\n"), "GET /?a=b%20c?/d;"},
    {TEXT("GET /? HTTP/1.1\r\n" H "\r\n"), "GET /;"},
    {TEXT("GET /%3Fa?b HTTP/1.1\r\n" H "\r\n"), "GET /?a?b;"},
    {TEXT("GET //a/../b HTTP/1.1\r\n" H "\r\n"), "GET //a/../b;"},
    {TEXT("GET http://h/a?b HTTP/1.1\r\n" H "\r\n"), "GET /a?b;"},
    {TEXT("GET HTTPS://H/a HTTP/1.1\r\n" H "\r\n"), "GET /a;"},
    {TEXT("GET http://h HTTP/1.1\r\n" H "\r\n"), "GET /;"},
    {TEXT("GET http://h?q HTTP/1.1\r\n" H "\r\n"), "GET /?q;"},
    {TEXT("GET http://h:80/ HTTP/1.1\r\nHost: h:80\r\n\r\n"), "GET /;"},
    {TEXT("GET http://h/a HTTP/1.0\r\n\r\n"), "GET /a 1.0 close;"},
    {TEXT("OPTIONS http://h HTTP/1.1\r\n" H "\r\n"), "OPTIONS /;"},
    /* Host */
    {TEXT(GET "Host: 127.0.0.1:8080\r\n\r\n"), "GET /;"},
    {TEXT(GET "Host: [::1]:65535\r\n\r\n"), "GET /;"},
    {TEXT(GET "Host: [fe80::1.2.3.4]\r\n\r\n"), "GET /;"},
    {TEXT(GET "hOST:a_b-c.d\r\n\r\n"), "GET /;"},
    {TEXT(GET "Host:\t h \t\r\n\r\n"), "GET /;"},
    /* header lines */
    {TEXT(GET H "A:\r\nB: \r\nC: :\r\n\r\n"), "GET /;"},
    {TEXT(GET H "!#$%&'*+-.^_`|~09azAZ: x\ty\x80\xff\r\n\r\n"), "GET /;"},
    /* bodies by length */
    {TEXT(POST "\r\n"), "POST /;"},
    {TEXT(POST "Content-Length: 0\r\n\r\n"), "POST /;"},
    {TEXT(POST "Content-Length: 3\r\n\r\nabc"), "POST / [abc];"},
    {TEXT(POST "content-length:\t3 \r\n\r\nab"), "..."},
    {TEXT(POST "Content-Length: 3\r\n\r\nabc" GET H "\r\n"), "POST / [abc];GET /;"},
    {TEXT(POST "Content-Length: 4\r\n\r\n\r\n\r\n\r\n"), "POST / [\r\n\r\n];"},
    {TEXT(POST "Content-Length: 10\r\n\r\n0123456789"), "POST / [0123456789];"},
    {TEXT(GET H "Content-Length: 1\r\n\r\nx"), "GET / [x];"},
    {TEXT("POST / HTTP/1.0\r\nContent-Length: 1\r\n\r\nx"), "POST / 1.0 close [x];"},
    /* bodies in chunks */
    {TEXT(CHUNKED "0\r\n\r\n"), "POST / [];"},
    {TEXT(CHUNKED "3\r\nabc\r\n0\r\n\r\n"), "POST / [abc];"},
    {TEXT(CHUNKED "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"), "POST / [abcde];"},
    {TEXT(CHUNKED "2\r\n\r\n\r\n000\r\n\r\n"), "POST / [\r\n];"},
    {TEXT(CHUNKED "a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n"),
     "POST / [01234567890123456789];"},
    {TEXT(CHUNKED "0003;a=\"b;c\";d\r\nabc\r\n0;x\r\n\r\n"), "POST / [abc];"},
    {TEXT(CHUNKED "3\r\nabc\r\n0\r\n\r\n" GET H "\r\n"), "POST / [abc];GET /;"},
    {TEXT(CHUNKED "3\r\nabc\r\n0\r\n"), "..."},
    {TEXT(CHUNKED), "..."},
    /* Expect, Content-Encoding */
    {TEXT(POST "Content-Length: 1\r\nExpect: 100-Continue\r\n\r\nx"), "POST / continue [x];"},
    {TEXT(POST "Expect: 100-continue\r\n\r\n"), "POST /;"},
    {TEXT("POST / HTTP/1.0\r\nExpect: x\r\n\r\n"), "POST / 1.0 close;"},
    {TEXT(POST "Content-Encoding: identity\r\n\r\n"), "POST /;"},
};

static const struct row bad[] = {
    /* lines */
    {TEXT("\n"), "400"},
    {TEXT("\r\n\r\n"), "400"},
    {TEXT("\rG"), "400"},
    {TEXT("GET / HTTP/1.1\n"), "400"},
    {TEXT("GET / HTTP/1.1\r" H), "400"},
    {TEXT(GET "Host: h\n"), "400"},
    {TEXT(GET "Host: h\rA"), "400"},
    {TEXT(GET H "\n"), "400"},
    {TEXT(GET H "\r\r\n"), "400"},
    {TEXT(GET H "\r\n\n"), "GET /;400"},
    /* the request line */
    {TEXT("\x16\x03\x01"), "400"},
    {TEXT("\0"), "400"},
    {TEXT(" GET / HTTP/1.1\r\n"), "400"},
    {TEXT("GET\r\n"), "400"},
    {TEXT("GET /\r\n"), "400"},
    {TEXT("GET  / HTTP/1.1\r\n"), "400"},
    {TEXT("GET /  HTTP/1.1\r\n"), "400"},
    {TEXT("GET / HTTP/1.1 \r\n"), "400"},
    {TEXT("GET\t/ HTTP/1.1\r\n"), "400"},
    {TEXT("GET / a HTTP/1.1\r\n"), "400"},
    {TEXT("GE(T / HTTP/1.1\r\n"), "400"},
    {TEXT("G\xc3\xa4T / HTTP/1.1\r\n"), "400"},
    {TEXT("GET / HTTP/1.1\x7f\r\n"), "400"},
    {TEXT("GET / http/1.1\r\n"), "400"},
    {TEXT("GET / HTTP/1\r\n"), "400"},
    {TEXT("GET / HTTP/11\r\n"), "400"},
    {TEXT("GET / HTTP/1.10\r\n"), "400"},
    {TEXT("GET / HTTP/a.b\r\n"), "400"},
    {TEXT("GET / HTTP/1.x\r\n"), "400"},
    {TEXT("GET / HTTP/-1.1\r\n"), "400"},
    {TEXT("GET / XTTP/1.1\r\n"), "400"},
    {TEXT("GET / HTTP/1.2\r\n"), "505"},
    {TEXT("GET / HTTP/0.9\r\n"), "505"},
    {TEXT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), "505"},
    {TEXT("get / HTTP/1.1\r\n"), "501"},
    {TEXT("GETS / HTTP/1.1\r\n"), "501"},
    {TEXT("CONNECT h:1 HTTP/1.1\r\n"), "501"},
    {TEXT("TRACE / HTTP/1.1\r\n"), "501"},
    /* targets */
    {TEXT("GET a HTTP/1.1\r\n"), "400"},
    {TEXT("GET * HTTP/1.1\r\n"), "400"},
    {TEXT("OPTIONS ** HTTP/1.1\r\n"), "400"},
    {TEXT("GET h:80 HTTP/1.1\r\n"), "400"},
    {TEXT("GET ftp://h/ HTTP/1.1\r\n"), "400"},
    {TEXT("GET http:///a HTTP/1.1\r\n"), "400"},
    {TEXT("GET http:// HTTP/1.1\r\n"), "400"},
    {TEXT("GET http://u@h/ HTTP/1.1\r\n"), "400"},
    {TEXT("GET http://h:x/ HTTP/1.1\r\n"), "400"},
    {TEXT("GET /a#b HTTP/1.1\r\n"), "400"},
    {TEXT("GET /a\\b HTTP/1.1\r\n"), "400"},
    {TEXT("GET /\"<>^`{|} HTTP/1.1\r\n"), "400"},
    {TEXT("GET /?[ HTTP/1.1\r\n"), "400"},
    {TEXT("GET /\xc3\xa4 HTTP/1.1\r\n"), "400"},
    {TEXT("GET /% HTTP/1.1\r\n"), "400"},
    {TEXT("GET /%1 HTTP/1.1\r\n"), "400"},
    {TEXT("GET /%1g HTTP/1.1\r\n"), "400"},
    {TEXT("GET /?%zz HTTP/1.1\r\n"), "400"},
    {TEXT("GET /%00 HTTP/1.1\r\n"), "400"},
    {TEXT("GET /%0d%0a HTTP/1.1\r\n"), "400"},
    {TEXT("GET /%7f HTTP/1.1\r\n"), "400"},
    {TEXT("GET /%ff HTTP/1.1\r\n"), "400"},
    {TEXT("GET /%c0%af HTTP/1.1\r\n"), "400"},
    /* Host */
    {TEXT(GET "\r\n"), "400"},
    {TEXT(GET H H "\r\n"), "400"},
    {TEXT(GET H "host: h\r\n\r\n"), "400"},
    {TEXT("GET / HTTP/1.0\r\n" H H "\r\n"), "400"},
    {TEXT(GET "Host:\r\n\r\n"), "400"},
    {TEXT(GET "Host: a,b\r\n\r\n"), "400"},
    {TEXT(GET "Host: a b\r\n\r\n"), "400"},
    {TEXT(GET "Host: a/b\r\n\r\n"), "400"},
    {TEXT(GET "Host: u@h\r\n\r\n"), "400"},
    {TEXT(GET "Host: :80\r\n\r\n"), "400"},
    {TEXT(GET "Host: h:\r\n\r\n"), "400"},
    {TEXT(GET "Host: h:65536\r\n\r\n"), "400"},
    {TEXT(GET "Host: h:080808\r\n\r\n"), "400"},
    {TEXT(GET "Host: h:+80\r\n\r\n"), "400"},
    {TEXT(GET "Host: [::1\r\n\r\n"), "400"},
    {TEXT(GET "Host: []\r\n\r\n"), "400"},
    {TEXT(GET "Host: [g::]\r\n\r\n"), "400"},
    {TEXT(GET "Host: [::1]x\r\n\r\n"), "400"},
    {TEXT(GET "Host: ::1\r\n\r\n"), "400"},
    {TEXT("GET http://other/ HTTP/1.1\r\n" H "\r\n"), "400"},
    {TEXT("GET http://h:80/ HTTP/1.1\r\n" H "\r\n"), "400"},
    {TEXT("GET http://hh/ HTTP/1.1\r\n" H "\r\n"), "400"},
    {TEXT("GET http://h/ HTTP/1.1\r\n\r\n"), "400"},
    /* header lines */
    {TEXT(GET H " folded\r\n\r\n"), "400"},
    {TEXT(GET H "\tfolded\r\n\r\n"), "400"},
    {TEXT(GET " " H "\r\n"), "400"},
    {TEXT(GET H "A : b\r\n\r\n"), "400"},
    {TEXT(GET H "A\t: b\r\n\r\n"), "400"},
    {TEXT(GET H "A b: c\r\n\r\n"), "400"},
    {TEXT(GET H ": b\r\n\r\n"), "400"},
    {TEXT(GET H "A\r\n\r\n"), "400"},
    {TEXT(GET H "A(b): c\r\n\r\n"), "400"},
    {TEXT(GET H "\xc3\xa4: c\r\n\r\n"), "400"},
    {TEXT(GET H "A: b\0c\r\n\r\n"), "400"},
    {TEXT(GET H "A\0: b\r\n\r\n"), "400"},
    {TEXT(GET H "A: \x01\r\n\r\n"), "400"},
    {TEXT(GET H "A: \x0b"
                "b\r\n\r\n"),
     "400"},
    {TEXT(GET H "A: \x1b[0m\r\n\r\n"), "400"},
    {TEXT(GET H "A: \x7f\r\n\r\n"), "400"},
    /* Content-Length */
    {TEXT(POST "Content-Length:\r\n\r\n"), "400"},
    {TEXT(POST "Content-Length: +1\r\n\r\n"), "400"},
    {TEXT(POST "Content-Length: -1\r\n\r\n"), "400"},
    {TEXT(POST "Content-Length: 01\r\n\r\n"), "400"},
    {TEXT(POST "Content-Length: 00\r\n\r\n"), "400"},
    {TEXT(POST "Content-Length: 1 1\r\n\r\n"), "400"},
    {TEXT(POST "Content-Length: 1,1\r\n\r\n"), "400"},
    {TEXT(POST "Content-Length: 1, 1\r\n\r\n"), "400"},
    {TEXT(POST "Content-Length: 0x1\r\n\r\n"), "400"},
    {TEXT(POST "Content-Length: 1.0\r\n\r\n"), "400"},
    {TEXT(POST "Content-Length: 1e1\r\n\r\n"), "400"},
    {TEXT(POST "Content-Length: \xd9\xa1\r\n\r\n"), "400"},
    {TEXT(POST "Content-Length: x\r\n\r\n"), "400"},
    {TEXT(POST "Content-Length: 1\r\nContent-Length: 1\r\n\r\n"), "400"},
    {TEXT(POST "Content-Length: 1\r\ncontent-length: 2\r\n\r\n"), "400"},
    {TEXT(POST "Content-Length: 1001\r\n\r\n"), "413"},
    {TEXT(POST "Content-Length: 4294967297\r\n\r\n"), "413"},
    {TEXT(POST "Content-Length: 18446744073709551617\r\n\r\n"), "413"},
    {TEXT(POST "Content-Length: 99999999999999999999999999999999\r\n\r\n"), "413"},
    /* Transfer-Encoding */
    {TEXT(POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), "400"},
    {TEXT(POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"), "400"},
    {TEXT(POST "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n"), "400"},
    {TEXT(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"), "400"},
    {TEXT("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), "400"},
    {TEXT(POST "Transfer-Encoding: Chunked\r\n\r\n"), "501"},
    {TEXT(POST "Transfer-Encoding: xchunked\r\n\r\n"), "501"},
    {TEXT(POST "Transfer-Encoding: chunked, chunked\r\n\r\n"), "501"},
    {TEXT(POST "Transfer-Encoding: gzip, chunked\r\n\r\n"), "501"},
    {TEXT(POST "Transfer-Encoding: chunked,\r\n\r\n"), "501"},
    {TEXT(POST "Transfer-Encoding: chunked;q=1\r\n\r\n"), "501"},
    {TEXT(POST "Transfer-Encoding: \"chunked\"\r\n\r\n"), "501"},
    {TEXT(POST "Transfer-Encoding: identity\r\n\r\n"), "501"},
    {TEXT(POST "Transfer-Encoding:\r\n\r\n"), "501"},
    {TEXT(POST "Transfer-Encoding:\x0b"
               "chunked\r\n\r\n"),
     "400"},
    {TEXT(POST "Transfer-Encoding : chunked\r\n\r\n"), "400"},
    /* chunks */
    {TEXT(CHUNKED "\r\n"), "400"},
    {TEXT(CHUNKED " 3\r\n"), "400"},
    {TEXT(CHUNKED "3 \r\n"), "400"},
    {TEXT(CHUNKED "+3\r\n"), "400"},
    {TEXT(CHUNKED "-1\r\n"), "400"},
    {TEXT(CHUNKED "0x3\r\n"), "400"},
    {TEXT(CHUNKED "g\r\n"), "400"},
    {TEXT(CHUNKED ";a\r\n"), "400"},
    {TEXT(CHUNKED "3\nabc"), "400"},
    {TEXT(CHUNKED "3\rabc"), "400"},
    {TEXT(CHUNKED "3;a\nabc"), "400"},
    {TEXT(CHUNKED "3;a\ra"), "400"},
    {TEXT(CHUNKED "3;\0\r\n"), "400"},
    {TEXT(CHUNKED "3;\x7f\r\n"), "400"},
    {TEXT(CHUNKED "3\r\nabcd"), "400"},
    {TEXT(CHUNKED "3\r\nabc\n"), "400"},
    {TEXT(CHUNKED "3\r\nabc\rx"), "400"},
    {TEXT(CHUNKED "3\r\nabc0\r\n\r\n"), "400"},
    {TEXT(CHUNKED "0\r\nTrailer: x\r\n\r\n"), "400"},
    {TEXT(CHUNKED "0\r\n\n"), "400"},
    {TEXT(CHUNKED "0\r\n\rx"), "400"},
    {TEXT(CHUNKED "3e9\r\n"), "413"},
    {TEXT(CHUNKED "ffffffffffffffff\r\n"), "413"},
    {TEXT(CHUNKED "10000000000000003\r\nabc\r\n0\r\n\r\n"), "413"},
    {TEXT(CHUNKED "1\r\nx\r\n3e8\r\n"), "413"},
    /* Expect, Content-Encoding */
    {TEXT(POST "Content-Length: 1\r\nExpect: 200-ok\r\n\r\n"), "417"},
    {TEXT(POST "Expect: 100-continue\r\nExpect: 100-continue\r\n\r\n"), "417"},
    {TEXT(POST "Content-Encoding: gzip\r\n\r\n"), "415"},
    {TEXT(POST "Content-Encoding: identity\r\nContent-Encoding: gzip\r\n\r\n"), "415"},
};

/* ---- feeding ---- */

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static void tell_request(const struct gate *g, struct buf *out)
{
    size_t size;
    const char *body = gate_body(g, &size), *query = gate_query(g);
    buf_printf(out, "%s %s%s%s%s", gate_method(g), gate_path(g), query[0] ? "?" : "", query,
               gate_minor(g) ? "" : " 1.0");
    if (!gate_wants_keep(g)) buf_add_str(out, " close");
    if (gate_wants_continue(g)) buf_add_str(out, " continue");
    if (gate_has_body(g)) {
        buf_add_str(out, " [");
        buf_add(out, body, size);
        buf_add_str(out, "]");
    }
    buf_add_str(out, ";");
}

/* The outcome of bytes that come in pieces of at most `most`, random when seed is not 0. */
static char *outcome_of(const char *bytes, size_t size, size_t most, uint32_t seed)
{
    struct gate *g = gate_new(MAX_BODY);
    struct buf out;
    size_t at = 0;
    assert_non_null(g);
    buf_init(&out, 1 << 20);
    while (at < size && gate_state(g) != GATE_REFUSED) {
        size_t n = seed ? next_random(&seed) % (most + 1) : most;
        if (n > size - at) n = size - at;
        size_t end = at + n;
        /* A piece is offered again until nothing of it is taken and nothing changes. */
        for (enum gate_state before = GATE_IDLE; at < end || before != gate_state(g);) {
            before = gate_state(g);
            size_t used = gate_feed(g, bytes + at, end - at);
            assert_true(used <= end - at);
            at += used;
            if (gate_state(g) == GATE_REFUSED) break;
            if (gate_state(g) == GATE_DONE) {
                tell_request(g, &out);
                gate_next(g);
            }
        }
    }
    if (gate_state(g) == GATE_REFUSED) {
        assert_int_equal(gate_feed(g, "x", 1), 0);
        assert_non_null(gate_reason(g));
        buf_printf(&out, "%d", gate_status(g));
    } else if (gate_state(g) != GATE_IDLE) {
        buf_add_str(&out, "...");
    }
    gate_free(g);
    assert_false(out.failed);
    return buf_take(&out);
}

/* In one piece, byte by byte and in random pieces. */
static void check(const char *what, size_t number, const char *bytes, size_t size,
                  const char *expected)
{
    for (uint32_t split = 0; split < 12; split++) {
        size_t most = split == 0 ? size + 1 : split == 1 ? 1 : 1 + 3 * (size_t)split;
        char *outcome = outcome_of(bytes, size, most, split < 2 ? 0 : split);
        if (strcmp(outcome, expected))
            fail_msg("%s %zu, split %u: \"%s\", \"%s\" is wanted for\n%s", what, number, split,
                     outcome, expected, bytes);
        free(outcome);
    }
}

static void well_formed_requests_pass(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        check("good", i, good[i].bytes, good[i].size, good[i].outcome);
}

static void others_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        check("bad", i, bad[i].bytes, bad[i].size, bad[i].outcome);
}

/* What is behind a refused byte is not looked at, so a refusal cannot be undone. */
static void a_refusal_is_final(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct buf more;
        buf_init(&more, 1 << 16);
        buf_add(&more, bad[i].bytes, bad[i].size);
        buf_add_str(&more, GET H "\r\n");
        check("bad and more", i, more.data, more.size, bad[i].outcome);
        buf_fini(&more);
    }
}

/* ---- limits ---- */

static void check_built(const struct buf *b, const char *expected)
{
    assert_false(b->failed);
    check("limit", b->size, b->data, b->size, expected);
}

static void add_many(struct buf *b, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        buf_add_str(b, s);
}

static void a_request_line_has_8_kib(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 1 << 20);
    for (size_t over = 0; over < 2; over++) {
        buf_clear(&b);
        buf_add_str(&b, "GET /?");
        add_many(&b, "q", GATE_MAX_LINE - strlen("GET /? HTTP/1.0") + over);
        buf_add_str(&b, " HTTP/1.0\r\n\r\n");
        char *outcome = outcome_of(b.data, b.size, b.size, 0);
        assert_true(over ? !strcmp(outcome, "414") : strlen(outcome) > 8000);
        check_built(&b, outcome);
        free(outcome);
    }
    buf_clear(&b);
    add_many(&b, "A", GATE_MAX_LINE + 1);
    check_built(&b, "414");
    buf_fini(&b);
}

static void headers_have_32_kib(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 1 << 20);
    for (size_t over = 0; over < 2; over++) {
        buf_clear(&b);
        buf_add_str(&b, GET H "A: ");
        add_many(&b, "a", GATE_MAX_HEADERS - strlen(H "A: \r\n\r\n") + over);
        buf_add_str(&b, "\r\n\r\n");
        check_built(&b, over ? "431" : "GET /;");
    }
    buf_fini(&b);
}

static void header_lines_are_100(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 1 << 20);
    for (size_t over = 0; over < 2; over++) {
        buf_clear(&b);
        buf_add_str(&b, GET H);
        add_many(&b, "A:\r\n", GATE_MAX_FIELDS - 1 + over);
        buf_add_str(&b, "\r\n");
        check_built(&b, over ? "431" : "GET /;");
    }
    buf_fini(&b);
}

static void a_body_of_the_limit_passes(void **state)
{
    (void)state;
    struct buf b, expected;
    buf_init(&b, 1 << 20);
    buf_init(&expected, 1 << 20);
    buf_add_str(&expected, "POST / [");
    add_many(&expected, "x", MAX_BODY);
    buf_add_str(&expected, "];");
    buf_add_str(&b, POST "Content-Length: 1000\r\n\r\n");
    add_many(&b, "x", MAX_BODY);
    check_built(&b, buf_text(&expected));
    buf_clear(&b);
    buf_add_str(&b, CHUNKED "1\r\nx\r\n3e7\r\n");
    add_many(&b, "x", MAX_BODY - 1);
    buf_add_str(&b, "\r\n0\r\n\r\n");
    check_built(&b, buf_text(&expected));
    buf_fini(&b);
    buf_fini(&expected);
}

static void a_chunk_line_has_256_bytes(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 1 << 20);
    for (size_t over = 0; over < 2; over++) {
        buf_clear(&b);
        buf_add_str(&b, CHUNKED "1;");
        add_many(&b, "e", GATE_MAX_CHUNK_LINE - 2 + over);
        buf_add_str(&b, "\r\nx\r\n0\r\n\r\n");
        check_built(&b, over ? "400" : "POST / [x];");
        buf_clear(&b);
        buf_add_str(&b, CHUNKED);
        add_many(&b, "0", GATE_MAX_CHUNK_LINE + over);
        buf_add_str(&b, "\r\n\r\n");
        check_built(&b, over ? "400" : "POST / [];");
    }
    buf_fini(&b);
}

static void chunks_are_64_k(void **state)
{
    (void)state;
    for (size_t over = 0; over < 2; over++) {
        struct gate *g = gate_new(1 << 20);
        assert_non_null(g);
        gate_feed(g, TEXT(CHUNKED));
        assert_int_equal(gate_state(g), GATE_READY);
        for (size_t i = 0; i < GATE_MAX_CHUNKS + over; i++)
            gate_feed(g, TEXT("1\r\nx\r\n"));
        gate_feed(g, TEXT("0\r\n\r\n"));
        assert_int_equal(gate_state(g), over ? GATE_REFUSED : GATE_DONE);
        assert_int_equal(gate_status(g), over ? 413 : 0);
        gate_free(g);
    }
}

/* ---- the stops ---- */

static void the_head_is_shown_before_the_body_is_taken(void **state)
{
    (void)state;
    static const char request[] =
        "POST /v1/x?y HTTP/1.1\r\nHost: h\r\nAuthorization:  Bearer  K \r\nX-A: 1\r\nx-a: 2\r\n"
        "Content-Length: 2\r\n\r\nabGET";
    struct gate *g = gate_new(MAX_BODY);
    size_t size;
    assert_non_null(g);
    size_t used = gate_feed(g, TEXT(request));
    assert_int_equal(used, sizeof request - 1 - 5);
    assert_int_equal(gate_state(g), GATE_READY);
    assert_string_equal(gate_method(g), "POST");
    assert_string_equal(gate_path(g), "/v1/x");
    assert_string_equal(gate_query(g), "y");
    assert_string_equal(gate_header(g, "AUTHORIZATION"), "Bearer  K");
    assert_string_equal(gate_header(g, "x-a"), "1");
    assert_null(gate_header(g, "x-b"));
    assert_string_equal(gate_body(g, &size), "");
    assert_int_equal(size, 0);
    assert_int_equal(gate_feed(g, request + used, 5), 2);
    assert_int_equal(gate_state(g), GATE_DONE);
    assert_string_equal(gate_body(g, &size), "ab");
    assert_int_equal(size, 2);
    gate_free(g);
}

static void the_next_request_waits(void **state)
{
    (void)state;
    struct gate *g = gate_new(MAX_BODY);
    assert_non_null(g);
    gate_feed(g, TEXT("GET /a HTTP/1.1\r\n" H "\r\n"));
    assert_int_equal(gate_state(g), GATE_READY);
    assert_int_equal(gate_feed(g, TEXT("GET /b")), 0);
    assert_int_equal(gate_state(g), GATE_DONE);
    assert_int_equal(gate_feed(g, TEXT("GET /b")), 0);
    assert_string_equal(gate_path(g), "/a");
    gate_next(g);
    assert_int_equal(gate_state(g), GATE_IDLE);
    assert_int_equal(gate_feed(g, TEXT("GET /b HTTP/1.1\r\n" H "\r\n")), 28);
    assert_string_equal(gate_path(g), "/b");
    gate_free(g);
    gate_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(well_formed_requests_pass),
        cmocka_unit_test(others_are_refused),
        cmocka_unit_test(a_refusal_is_final),
        cmocka_unit_test(a_request_line_has_8_kib),
        cmocka_unit_test(headers_have_32_kib),
        cmocka_unit_test(header_lines_are_100),
        cmocka_unit_test(a_body_of_the_limit_passes),
        cmocka_unit_test(a_chunk_line_has_256_bytes),
        cmocka_unit_test(chunks_are_64_k),
        cmocka_unit_test(the_head_is_shown_before_the_body_is_taken),
        cmocka_unit_test(the_next_request_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
