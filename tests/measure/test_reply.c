#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "measure/chat_stream.h"
#include "measure/events.h"
#include "measure/reply.h"

#define OK "HTTP/1.1 200 OK\r\n"
#define CHUNKED OK "Transfer-Encoding: chunked\r\n\r\n"

/* What comes out, as text: "STATUS[content]", " close" and ";" for every reply, "..." inside one, or the reason of
 * a refusal. */
struct row {
    const char *bytes, *outcome;
    bool closed; /* the connection ends behind the bytes */
};

static const struct row rows[] = {
    {"", "...", false},
    {OK "Content-Length: 2\r\n\r\nab", "200[ab];", false},
    {OK "content-length: 0\r\n\r\n" OK "Content-Length: 1\r\n\r\nx", "200[];200[x];", false},
    {OK "Content-Length: 1\r\nConnection: close\r\n\r\nx", "200[x] close;", false},
    {"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", "200[x] close;", false},
    {"HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: Keep-Alive\r\n\r\nx", "200[x];", false},
    {OK "\r\nabc", "200[abc] close;", true},
    {OK "Content-Length: 3\r\n\r\nab", "[ab]the connection ended before the reply", true},
    {CHUNKED "2\r\nab\r\n1;x=y\r\nc\r\n0\r\n\r\n", "200[abc];", false},
    {CHUNKED "A\r\n0123456789\r\n00\r\n\r\n", "200[0123456789];", false},
    {CHUNKED "2\r\nab\r\n", "[ab]...", false},
    {CHUNKED "2\r\nab\r\n0\r\n", "[ab]the connection ended before the reply", true},
    {"HTTP/1.1 100 Continue\r\n\r\n" OK "Content-Length: 1\r\n\r\nx", "200[x];", false},
    {"HTTP/1.1 204 No Content\r\n\r\n", "204[];", false},
    {"HTTP/1.1 429 Too Many\r\nContent-Length: 2\r\n\r\n{}", "429[{}];", false},
    {"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", "200[];", false},
    {CHUNKED "0\r\nA: b\r\n\r\n", "trailer", false},
    {CHUNKED "1\r\nab\r\n", "[a]chunk longer than its size", false},
    {CHUNKED "x\r\n", "bad chunk size", false},
    {CHUNKED "\r\n", "bad chunk size", false},
    {CHUNKED "1\na\r\n", "bad chunk size", false},
    {CHUNKED "fffffffffffffffff\r\n", "bad chunk size", false},
    {OK "Content-Length: +1\r\n\r\nx", "bad Content-Length", false},
    {OK "Content-Length:\r\n\r\n", "bad Content-Length", false},
    {OK "Content-Length: 99999999999999999999\r\n\r\n", "bad Content-Length", false},
    {OK "Content-Length: 1\r\nContent-Length: 1\r\n\r\n", "more than one length", false},
    {OK "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "more than one length", false},
    {OK "Transfer-Encoding: gzip\r\n\r\n", "unknown Transfer-Encoding", false},
    {OK "A : b\r\n\r\n", "bad header line", false},
    {OK " A: b\r\n\r\n", "bad header line", false},
    {OK "A: b\n", "a line must end in CRLF", false},
    {OK "A: \x01\r\n", "control byte", false},
    {"HTTP/2.0 200 OK\r\n", "bad status line", false},
    {"HTTP/1.1 600 No\r\n", "bad status line", false},
    {"HTTP/1.1 101 Switching\r\n\r\n", "another protocol", false},
    {"\r\n", "bad status line", false},
};

struct reader {
    struct reply *reply;
    struct buf content, story;
};

static void on_content(void *ctx, const char *bytes, size_t size)
{
    struct reader *r = ctx;
    buf_add(&r->content, bytes, size);
}

static void tell_done(struct reader *r)
{
    buf_printf(&r->story, "%d[%s]%s;", reply_status(r->reply), buf_text(&r->content),
               reply_keeps(r->reply) ? "" : " close");
    buf_clear(&r->content);
    reply_free(r->reply);
    r->reply = reply_new(on_content, r);
}

/* In pieces of so many bytes. */
static void read_all(struct reader *r, const struct row *row, size_t piece)
{
    size_t size = strlen(row->bytes);
    buf_init(&r->content, 1 << 20);
    buf_init(&r->story, 1 << 20);
    r->reply = reply_new(on_content, r);
    for (size_t at = 0; at < size && reply_state(r->reply) != REPLY_BAD;) {
        at += reply_feed(r->reply, row->bytes + at, size - at < piece ? size - at : piece);
        if (reply_state(r->reply) == REPLY_DONE) tell_done(r);
    }
    if (row->closed) reply_close(r->reply);
    if (reply_state(r->reply) == REPLY_DONE) tell_done(r);
    if (r->content.size) buf_printf(&r->story, "[%s]", buf_text(&r->content));
    if (reply_state(r->reply) == REPLY_BAD)
        buf_add_str(&r->story, reply_reason(r->reply));
    else if (!r->story.size || r->content.size)
        buf_add_str(&r->story, "...");
    reply_free(r->reply);
    buf_fini(&r->content);
}

static void replies_are_read_alike_in_all_pieces(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (size_t piece = 1; piece <= strlen(rows[i].bytes) + 1; piece++) {
            struct reader r;
            read_all(&r, &rows[i], piece);
            if (strcmp(buf_text(&r.story), rows[i].outcome) != 0)
                fail_msg("%s: in pieces of %zu: %s, not %s", rows[i].bytes, piece,
                         buf_text(&r.story), rows[i].outcome);
            buf_fini(&r.story);
        }
}

static void a_header_is_found_in_any_case(void **state)
{
    (void)state;
    static const char bytes[] = OK "Retry-After:  7 \r\nEmpty:\r\nContent-Length: 1\r\n\r\n";
    struct reader r = {0};
    buf_init(&r.content, 100);
    r.reply = reply_new(on_content, &r);
    reply_feed(r.reply, bytes, sizeof bytes - 1);
    assert_int_equal(reply_state(r.reply), REPLY_BODY);
    assert_string_equal(reply_header(r.reply, "retry-AFTER"), "7");
    assert_string_equal(reply_header(r.reply, "empty"), "");
    assert_null(reply_header(r.reply, "retry"));
    reply_free(r.reply);
}

static void a_head_too_large_is_refused(void **state)
{
    (void)state;
    struct reader r = {0};
    r.reply = reply_new(on_content, &r);
    char *line = malloc(REPLY_MAX_HEAD);
    assert_non_null(line);
    memset(line, 'a', REPLY_MAX_HEAD);
    reply_feed(r.reply, OK "A: ", sizeof OK "A: " - 1);
    reply_feed(r.reply, line, REPLY_MAX_HEAD);
    assert_int_equal(reply_state(r.reply), REPLY_BAD);
    assert_string_equal(reply_reason(r.reply), "head too large");
    free(line);
    reply_free(r.reply);
}

/* ---- events ---- */

static void on_event(void *ctx, const char *data, size_t size)
{
    buf_printf(ctx, "%zu:%s;", size, data);
}

static void events_are_read_alike_in_all_pieces(void **state)
{
    (void)state;
    static const char text[] = ": comment\n\ndata: a\n\ndata:b\r\n\r\nevent: x\ndata: c\ndata:  d\n"
                               "id: 1\n\ndata\n\n\n\ndata:\n\ndata: no end";
    for (size_t piece = 1; piece < sizeof text; piece++) {
        struct events e;
        struct buf story;
        buf_init(&story, 1000);
        events_init(&e, on_event, &story);
        for (size_t at = 0; at < sizeof text - 1; at += piece) {
            size_t left = sizeof text - 1 - at;
            events_feed(&e, text + at, piece < left ? piece : left);
        }
        assert_string_equal(buf_text(&story), "1:a;1:b;4:c\n d;0:;");
        assert_false(e.failed);
        events_reset(&e);
        events_feed(&e, "data: z\n\n", 9);
        assert_string_equal(buf_text(&story), "1:a;1:b;4:c\n d;0:;1:z;");
        events_fini(&e);
        buf_fini(&story);
    }
}

static void an_event_too_large_ends_them(void **state)
{
    (void)state;
    struct events e;
    struct buf story;
    char block[4096];
    memset(block, 'a', sizeof block);
    buf_init(&story, 1000);
    events_init(&e, on_event, &story);
    for (int i = 0; i <= EVENTS_MAX / (int)sizeof block; i++)
        events_feed(&e, block, sizeof block);
    assert_true(e.failed);
    events_feed(&e, "\n\ndata: a\n\n", 11);
    assert_int_equal(story.size, 0);
    events_fini(&e);
}

/* ---- chat ---- */

static bool take(struct chat_stream *c, const char *data)
{
    return chat_stream_take(c, data, strlen(data));
}

static void a_stream_is_followed_to_its_end(void **state)
{
    (void)state;
    struct chat_stream c;
    chat_stream_init(&c, true);
    assert_int_equal(c.answer_tokens, -1);
    assert_false(take(&c, "{\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}"));
    assert_true(take(&c, "{\"choices\":[{\"delta\":{\"reasoning_content\":\"hm\"}}]}"));
    assert_true(take(&c, "{\"choices\":[{\"delta\":{\"content\":\"a\"}}],\"usage\":null}"));
    assert_true(take(&c, "{\"choices\":[{\"delta\":{\"content\":\"b\"}}]}"));
    assert_true(take(&c, "{\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0}]}}]}"));
    assert_false(c.finished);
    assert_false(take(&c, "{\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}"));
    assert_false(take(&c, "{\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":4,"
                          "\"prompt_tokens_details\":{\"cached_tokens\":3}}}"));
    assert_false(take(&c, "[DONE]"));
    assert_true(c.finished && c.done && !c.failed && !c.malformed);
    assert_string_equal(buf_text(&c.text), "ab");
    assert_int_equal(c.n_texts, 4);
    assert_int_equal(c.prompt_tokens, 5);
    assert_int_equal(c.cached_tokens, 3);
    assert_int_equal(c.answer_tokens, 4);
    take(&c, "{}");
    assert_true(c.malformed); /* nothing may come behind [DONE] */
    chat_stream_fini(&c);
}

static void counts_beyond_any_answer_are_none(void **state)
{
    (void)state;
    struct chat_stream c;
    chat_stream_init(&c, false);
    take(&c, "{\"choices\":[],\"usage\":{\"prompt_tokens\":9223372036854775807,"
             "\"completion_tokens\":2147483648,"
             "\"prompt_tokens_details\":{\"cached_tokens\":-1}}}");
    assert_false(c.malformed);
    assert_int_equal(c.prompt_tokens, -1);
    assert_int_equal(c.answer_tokens, -1);
    assert_int_equal(c.cached_tokens, 0);
    chat_stream_fini(&c);
}

static void errors_and_nonsense_are_told_apart(void **state)
{
    (void)state;
    static const char *const nonsense[] = {"", "x", "[]", "{", "{\"a\":1,\"a\":1}", "[DONE] "};
    struct chat_stream c;
    chat_stream_init(&c, false);
    take(&c, "{\"error\":{\"message\":\"m\"}}");
    assert_true(c.failed && !c.malformed);
    for (size_t i = 0; i < sizeof nonsense / sizeof *nonsense; i++) {
        chat_stream_init(&c, false);
        assert_false(take(&c, nonsense[i]));
        assert_true(c.malformed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replies_are_read_alike_in_all_pieces),
        cmocka_unit_test(a_header_is_found_in_any_case),
        cmocka_unit_test(a_head_too_large_is_refused),
        cmocka_unit_test(events_are_read_alike_in_all_pieces),
        cmocka_unit_test(an_event_too_large_ends_them),
        cmocka_unit_test(a_stream_is_followed_to_its_end),
        cmocka_unit_test(counts_beyond_any_answer_are_none),
        cmocka_unit_test(errors_and_nonsense_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
