/* Paced streams: what waits for a tick, how texts are joined and cut, and that every cell has one size. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <jansson.h>

#include "base/mem.h"
#include "serve/pace.h"
#include "serve/server_state.h"

static struct message *message_new(enum message_kind kind, int choice, size_t more)
{
    struct message *m = xcalloc(1, sizeof *m + more);
    m->kind = kind;
    m->choice = choice;
    return m;
}

static void put_part(struct pace *p, int choice, enum parse_kind kind, int call, const char *text)
{
    size_t size = strlen(text);
    struct message *m = message_new(MESSAGE_EVENT, choice, size + 1);
    m->event = (struct parse_event){.kind = kind, .call = call, .size = size};
    memcpy(m + 1, text, size + 1);
    assert_true(pace_put(p, m));
}

static void put_text(struct pace *p, int choice, const char *text)
{
    put_part(p, choice, PARSE_CONTENT, -1, text);
}

static void put_pick(struct pace *p, int choice)
{
    struct message *m = message_new(MESSAGE_DRAWN, choice, sizeof(struct pick));
    m->event.size = sizeof(struct pick);
    assert_true(pace_put(p, m));
}

static void assert_text(struct pace *p, int choice, const char *text)
{
    const struct message *m = pace_next(p);
    assert_non_null(m);
    assert_int_equal(m->kind, MESSAGE_EVENT);
    assert_int_equal(m->choice, choice);
    assert_int_equal(m->event.size, strlen(text));
    assert_string_equal((const char *)(m + 1), text);
}

/* ---- classes ---- */

static void a_class_is_never_less_and_at_most_a_quarter_more_than_64(void **state)
{
    (void)state;
    int64_t last = 16;
    for (int64_t n = 1; n < 100000; n++) {
        int64_t c = padding_class(n);
        assert_true(c >= n && c >= last);
        assert_true(c - n < 16 || 4 * (c - n) < n);
        assert_int_equal(padding_class(c), c);
        last = c;
    }
}

static void classes_are_few(void **state)
{
    (void)state;
    static const int want[] = {16, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320};
    int64_t n = 1;
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        assert_int_equal(padding_class(n), want[i]);
        n = want[i] + 1;
    }
}

static void a_body_is_rounded_up_to_its_class(void **state)
{
    (void)state;
    assert_int_equal(padding_body(PADDING_OFF, 777), 777);
    assert_int_equal(padding_body(PADDING_BUCKET, 777), 1024);
    assert_int_equal(padding_body(PADDING_BUCKET, 1024), 1024);
    assert_int_equal(padding_body(PADDING_PACED, 1), 16 * PADDING_CELL);
    assert_int_equal(padding_body(PADDING_PACED, 16 * PADDING_CELL), 16 * PADDING_CELL);
    assert_int_equal(padding_body(PADDING_PACED, 16 * PADDING_CELL + 1), 32 * PADDING_CELL);
}

/* ---- events ---- */

static void assert_event(const char *name, const char *json, size_t unit)
{
    struct buf out;
    buf_init(&out, 1 << 16);
    buf_add_str(&out, "before");
    padding_event(&out, name, json, strlen(json), unit);
    const char *event = buf_text(&out) + strlen("before");
    size_t size = strlen(event);
    assert_int_equal(size % unit, 0);
    assert_true(size < strlen(json) + 80 + unit);
    assert_memory_equal(event + size - 2, "\n\n", 2);
    if (name) assert_memory_equal(event, "event: ", 7);
    const char *data = strstr(event, "data: ");
    assert_non_null(data);
    json_t *got = json_loads(data + 6, JSON_DISABLE_EOF_CHECK, NULL),
           *want = json_loads(json, 0, NULL);
    assert_non_null(got);
    assert_true(json_is_string(json_object_get(got, "padding")));
    json_object_del(got, "padding");
    assert_true(json_equal(got, want));
    json_decref(got);
    json_decref(want);
    buf_fini(&out);
}

static void an_event_fills_units_and_says_the_same(void **state)
{
    (void)state;
    char json[700];
    for (int n = 0; n < 600; n++) {
        snprintf(
            json, sizeof json, "{\"a\":\"%.*s\"}", n,
            "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234"
            "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234"
            "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234"
            "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234"
            "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234"
            "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234"
            "012345678901234567890123456789012345678901234567890123456789012345678901234567890123"
            "4");
        assert_event(NULL, json, PADDING_CELL);
        assert_event("message_start", json, PADDING_BUCKET_BYTES);
    }
}

static void the_mark_of_the_end_has_the_size_of_a_cell(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 1 << 16);
    padding_done(&out, PADDING_CELL);
    assert_int_equal(out.size, PADDING_CELL);
    assert_memory_equal(out.data, ": ", 2);
    assert_string_equal(strstr(out.data, "\n\n"), "\n\ndata: [DONE]\n\n");
    buf_clear(&out);
    padding_done(&out, 0);
    assert_string_equal(out.data, "data: [DONE]\n\n");
    buf_fini(&out);
}

/* ---- what waits ---- */

static void texts_are_joined_and_nothing_else_is(void **state)
{
    (void)state;
    struct pace *p = pace_new();
    put_part(p, 0, PARSE_REASONING, -1, "so");
    put_part(p, 0, PARSE_REASONING, -1, " it");
    put_text(p, 0, "one");
    put_text(p, 0, " two");
    put_pick(p, 0);
    put_text(p, 0, "three");
    put_part(p, 0, PARSE_CALL, 0, "f");
    put_part(p, 0, PARSE_ARGUMENTS, 0, "{");
    put_part(p, 0, PARSE_ARGUMENTS, 0, "}");
    put_part(p, 0, PARSE_ARGUMENTS, 1, "{}");
    assert_text(p, 0, "so it");
    assert_text(p, 0, "one two");
    assert_int_equal(pace_next(p)->kind, MESSAGE_DRAWN);
    assert_text(p, 0, "three");
    const struct message *call = pace_next(p);
    assert_int_equal(call->event.kind, PARSE_CALL);
    assert_string_equal((const char *)(call + 1), "f");
    assert_text(p, 0, "{}");
    assert_text(p, 0, "{}");
    assert_null(pace_next(p));
    pace_free(p);
}

/* Bytes that a text takes in JSON, without its quotes. */
static size_t size_in_json(const char *text, size_t size)
{
    json_t *s = json_stringn(text, size);
    assert_non_null(s); /* it is UTF-8 */
    char *out = json_dumps(s, JSON_ENCODE_ANY);
    size_t n = strlen(out) - 2;
    free(out);
    json_decref(s);
    return n;
}

static void no_text_takes_more_than_its_room_and_none_is_lost(void **state)
{
    (void)state;
    static const char *const parts[] = {"a", "\"", "\\", "\n", "\x01", "é", "語", "🙂", " word"};
    struct pace *p = pace_new();
    struct buf want, got;
    buf_init(&want, 1 << 20);
    buf_init(&got, 1 << 20);
    unsigned r = 1;
    for (int i = 0; i < 2000; i++) {
        struct buf text;
        buf_init(&text, 1 << 16);
        r = r * 1664525 + 1013904223;
        for (unsigned k = 0; k < r >> 24; k++) {
            r = r * 1664525 + 1013904223;
            buf_add_str(&text, parts[(r >> 16) % (sizeof parts / sizeof *parts)]);
        }
        put_text(p, 0, buf_text(&text));
        buf_add(&want, buf_text(&text), text.size);
        buf_fini(&text);
    }
    const struct message *m;
    while ((m = pace_next(p))) {
        size_t n = size_in_json((const char *)(m + 1), m->event.size);
        assert_true(n <= PACE_TEXT);
        buf_add(&got, m + 1, m->event.size);
        if (got.size < want.size) assert_true(n > PACE_TEXT - 6); /* and none is wasted */
    }
    assert_int_equal(got.size, want.size);
    assert_memory_equal(got.data, want.data, want.size);
    buf_fini(&want);
    buf_fini(&got);
    pace_free(p);
}

static void choices_take_turns(void **state)
{
    (void)state;
    char text[PACE_TEXT + 2] = "";
    struct pace *p = pace_new();
    memset(text, 'a', PACE_TEXT + 1);
    put_text(p, 1, text);
    put_text(p, 4, text);
    text[PACE_TEXT] = 0;
    assert_text(p, 1, text);
    assert_text(p, 4, text);
    assert_text(p, 1, "a");
    assert_text(p, 4, "a");
    assert_null(pace_next(p));
    pace_free(p);
}

static void ends_are_counted_and_stay_the_callers(void **state)
{
    (void)state;
    struct pace *p = pace_new();
    struct message *end = message_new(MESSAGE_ENDED, 2, 0);
    put_text(p, 2, "x");
    assert_true(pace_put(p, end));
    assert_int_equal(pace_n_ends(p), 1);
    assert_text(p, 2, "x");
    assert_ptr_equal(pace_next(p), end);
    assert_int_equal(pace_n_ends(p), 0);
    assert_true(pace_put(p, end));
    pace_free(p);
    free(end);
}

static void what_is_behind_its_limit_does_not_wait_but_for_ends(void **state)
{
    (void)state;
    enum { SIZE = 1 << 20 };
    struct pace *p = pace_new();
    struct message *end = message_new(MESSAGE_ENDED, 0, 0), *m;
    int n = 0;
    for (;; n++) {
        m = message_new(MESSAGE_EVENT, 0, SIZE + 1);
        m->event = (struct parse_event){.kind = PARSE_CONTENT, .call = -1, .size = SIZE};
        memset(m + 1, 'a', SIZE);
        if (!pace_put(p, m)) break;
    }
    assert_int_equal(n, PACE_MAX_WAITING / SIZE - 1);
    m->event.size = 1; /* it would fit, but then there would be a hole */
    assert_false(pace_put(p, m));
    free(m);
    assert_true(pace_put(p, end));
    int n_left = 0;
    while ((m = pace_take(p))) {
        n_left++;
        if (m != end) free(m);
    }
    assert_int_equal(n_left, n + 1);
    m = message_new(MESSAGE_EVENT, 0, 2);
    m->event = (struct parse_event){.kind = PARSE_CONTENT, .call = -1, .size = 1};
    assert_false(pace_put(p, m)); /* it stays so */
    free(m);
    pace_free(p);
    free(end);
}

static void a_token_with_its_log_probability_takes_little_room(void **state)
{
    (void)state;
    struct pace *p = pace_new();
    for (int i = 0; i < 50000; i++) {
        put_pick(p, 0);
        put_text(p, 0, " word");
    }
    pace_free(p);
}

/* ---- cells ---- */

/* The cells of a stream from here on, whose size is checked. */
static int send_all(struct pace *p, struct buf *out)
{
    int n = 0;
    while (!pace_is_over(p)) {
        buf_add(out, pace_cell(p), PADDING_CELL);
        assert_int_equal(out->size % PADDING_CELL, 0);
        assert_true(++n < 1000);
    }
    return n;
}

static void a_stream_has_a_class_of_cells_whatever_it_says(void **state)
{
    (void)state;
    for (int n_events = 1; n_events < 100; n_events++) {
        struct pace *p = pace_new();
        struct buf out;
        buf_init(&out, 1 << 20);
        for (int i = 0; i < n_events; i++)
            assert_true(pace_event(p, i % 2 ? "name" : NULL, "{\"a\":1}", 7));
        pace_end(p, true);
        assert_int_equal(send_all(p, &out), padding_class(n_events + 1));
        assert_string_equal(out.data + out.size - 16, "\n\ndata: [DONE]\n\n");
        int n_found = 0;
        for (const char *at = out.data; (at = strstr(at, "data: {\"a\":1,\"padding\":\"")); at++)
            n_found++;
        assert_int_equal(n_found, n_events);
        buf_fini(&out);
        pace_free(p);
    }
}

static void nothing_to_say_takes_a_cell_too(void **state)
{
    (void)state;
    struct pace *p = pace_new();
    assert_false(pace_has_cell(p));
    for (int i = 0; i < 20; i++)
        assert_memory_equal(pace_cell(p), ": ...", 5);
    assert_false(pace_is_over(p));
    assert_true(pace_event(p, NULL, "{\"a\":1}", 7));
    assert_true(pace_has_cell(p));
    assert_memory_equal(pace_cell(p), "data: {", 7);
    assert_false(pace_has_cell(p));
    assert_memory_equal(pace_cell(p), ": ...", 5);
    assert_true(pace_event(p, NULL, "{\"b\":1}", 7));
    pace_end(p, false);
    for (int i = 22; i < 31; i++)
        assert_memory_equal(pace_cell(p), ": ...", 5); /* the last event waits for its class */
    assert_false(pace_is_over(p));
    assert_memory_equal(pace_cell(p), "data: {\"b\"", 10);
    assert_true(pace_is_over(p));
    pace_free(p);
}

static void in_a_hurry_nothing_waits_for_a_class(void **state)
{
    (void)state;
    struct pace *p = pace_new();
    struct buf out;
    buf_init(&out, 1 << 20);
    for (int i = 0; i < 3; i++)
        assert_true(pace_event(p, NULL, "{\"a\":1}", 7));
    pace_cell(p);
    pace_hurry(p);
    assert_false(pace_is_over(p));
    pace_end(p, true);
    assert_int_equal(send_all(p, &out), 3);
    assert_string_equal(out.data + out.size - 16, "\n\ndata: [DONE]\n\n");
    buf_fini(&out);
    pace_free(p);
}

static void a_long_event_takes_several_cells_and_stays_whole(void **state)
{
    (void)state;
    struct pace *p = pace_new();
    struct buf out, json;
    buf_init(&out, 1 << 20);
    buf_init(&json, 1 << 20);
    buf_add_str(&json, "{\"a\":\"");
    for (int i = 0; i < 20 * PADDING_CELL; i++)
        buf_add_byte(&json, 'x');
    buf_add_str(&json, "\"}");
    assert_true(pace_event(p, NULL, "{\"b\":1}", 7));
    assert_true(pace_event(p, NULL, json.data, json.size));
    pace_end(p, false);
    assert_int_equal(send_all(p, &out), 32);
    json.data[json.size - 1] = 0;
    const char *last = strstr(out.data, json.data);
    assert_non_null(last);
    assert_null(strstr(last, ": ."));
    buf_fini(&out);
    buf_fini(&json);
    pace_free(p);
}

static void an_event_that_finds_no_room_leaves_room_for_one_that_tells_of_it(void **state)
{
    (void)state;
    enum { SIZE = 64 << 20 };
    struct pace *p = pace_new();
    struct buf out;
    buf_init(&out, 1 << 20);
    char *json = xmalloc(SIZE);
    memset(json, 'x', SIZE);
    assert_true(pace_event(p, NULL, "{\"a\":1}", 7));
    assert_false(pace_event(p, NULL, json, SIZE));
    assert_true(pace_event(p, NULL, "{\"b\":1}", 7));
    pace_end(p, false);
    assert_int_equal(send_all(p, &out), 16);
    assert_null(strstr(out.data, "xx"));
    assert_non_null(strstr(out.data, "data: {\"a\":1"));
    assert_memory_equal(out.data + 15 * PADDING_CELL, "data: {\"b\":1", 12);
    free(json);
    buf_fini(&out);
    pace_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_class_is_never_less_and_at_most_a_quarter_more_than_64),
        cmocka_unit_test(classes_are_few),
        cmocka_unit_test(a_body_is_rounded_up_to_its_class),
        cmocka_unit_test(an_event_fills_units_and_says_the_same),
        cmocka_unit_test(the_mark_of_the_end_has_the_size_of_a_cell),
        cmocka_unit_test(texts_are_joined_and_nothing_else_is),
        cmocka_unit_test(no_text_takes_more_than_its_room_and_none_is_lost),
        cmocka_unit_test(choices_take_turns),
        cmocka_unit_test(ends_are_counted_and_stay_the_callers),
        cmocka_unit_test(what_is_behind_its_limit_does_not_wait_but_for_ends),
        cmocka_unit_test(a_token_with_its_log_probability_takes_little_room),
        cmocka_unit_test(a_stream_has_a_class_of_cells_whatever_it_says),
        cmocka_unit_test(nothing_to_say_takes_a_cell_too),
        cmocka_unit_test(in_a_hurry_nothing_waits_for_a_class),
        cmocka_unit_test(a_long_event_takes_several_cells_and_stays_whole),
        cmocka_unit_test(an_event_that_finds_no_room_leaves_room_for_one_that_tells_of_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
