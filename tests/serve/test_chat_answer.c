#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "serve/chat_answer.h"

static struct parse_event event_of(enum parse_kind kind, int call, const char *text)
{
    return (struct parse_event){kind, call, text, strlen(text)};
}

static void give(struct chat_answer *a, enum parse_kind kind, int call, const char *text)
{
    struct parse_event e = event_of(kind, call, text);
    chat_answer_add(a, &e);
}

/* What the delta of the event is, as compact JSON with sorted keys; "" for none. */
static void assert_delta(struct chat_answer *a, enum parse_kind kind, int call, const char *text,
                         const char *want)
{
    struct parse_event e = event_of(kind, call, text);
    chat_answer_add(a, &e);
    json_t *delta = chat_answer_delta(a, &e);
    char *got = delta ? json_dumps(delta, JSON_COMPACT | JSON_SORT_KEYS) : strdup("");
    assert_string_equal(got, want);
    free(got);
    json_decref(delta);
}

static void each_event_has_its_delta(void **state)
{
    (void)state;
    struct chat_answer a;
    chat_answer_init(&a, true);
    assert_delta(&a, PARSE_REASONING, -1, "hm \"é\"",
                 "{\"content\":null,\"reasoning_content\":\"hm \\\"é\\\"\"}");
    assert_delta(&a, PARSE_CONTENT, -1, "so", "{\"content\":\"so\",\"reasoning_content\":null}");
    struct parse_event open = event_of(PARSE_CALL, 0, "f");
    chat_answer_add(&a, &open);
    json_t *delta = chat_answer_delta(&a, &open);
    const char *id = NULL, *name = NULL, *arguments = NULL, *type = NULL;
    assert_int_equal(json_unpack(delta, "{s:[{s:s, s:s, s:{s:s, s:s}}]}", "tool_calls", "id", &id,
                                 "type", &type, "function", "name", &name, "arguments", &arguments),
                     0);
    assert_int_equal(strncmp(id, "call_", 5), 0);
    assert_string_equal(type, "function");
    assert_string_equal(name, "f");
    assert_string_equal(arguments, "");
    json_decref(delta);
    assert_delta(&a, PARSE_ARGUMENTS, 0, "{\"a\":",
                 "{\"tool_calls\":[{\"function\":{\"arguments\":\"{\\\"a\\\":\"},\"index\":0}]}");
    assert_delta(&a, PARSE_CALL_END, 0, "", "");
    chat_answer_fini(&a);
}

static void chat_mode_speaks_of_no_reasoning(void **state)
{
    (void)state;
    struct chat_answer a;
    chat_answer_init(&a, false);
    assert_delta(&a, PARSE_CONTENT, -1, "so", "{\"content\":\"so\"}");
    json_t *message = chat_answer_message(&a);
    assert_null(json_object_get(message, "reasoning_content"));
    assert_null(json_object_get(message, "tool_calls"));
    json_decref(message);
    chat_answer_fini(&a);
}

static void a_message_has_all_parts_and_complete_calls_alone(void **state)
{
    (void)state;
    struct chat_answer a;
    chat_answer_init(&a, true);
    give(&a, PARSE_REASONING, -1, "one ");
    give(&a, PARSE_REASONING, -1, "two");
    give(&a, PARSE_CONTENT, -1, "text");
    give(&a, PARSE_CALL, 0, "f");
    give(&a, PARSE_ARGUMENTS, 0, "{\"a\":");
    give(&a, PARSE_ARGUMENTS, 0, "1}");
    give(&a, PARSE_CALL_END, 0, "");
    give(&a, PARSE_CALL, 1, "g");
    give(&a, PARSE_ARGUMENTS, 1, "{");
    give(&a, PARSE_CALL_BROKEN, 1, "");
    json_t *message = chat_answer_message(&a), *calls = json_object_get(message, "tool_calls");
    const char *content = NULL, *reasoning = NULL, *arguments = NULL;
    assert_int_equal(json_unpack(message, "{s:s, s:s, s:[{s:{s:s}}]}", "content", &content,
                                 "reasoning_content", &reasoning, "tool_calls", "function",
                                 "arguments", &arguments),
                     0);
    assert_string_equal(content, "text");
    assert_string_equal(reasoning, "one two");
    assert_string_equal(arguments, "{\"a\":1}");
    assert_int_equal(json_array_size(calls), 1);
    json_decref(message);
    chat_answer_fini(&a);
}

static void what_found_no_memory_is_missed(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct chat_answer a;
        chat_answer_init(&a, true);
        give(&a, PARSE_CALL, 0, "f");
        struct buf *short_one[] = {&a.reasoning, &a.content, &a.calls[0].arguments};
        short_one[i]->max = 3;
        give(&a, PARSE_REASONING, -1, "hm hm");
        give(&a, PARSE_CONTENT, -1, "so so");
        give(&a, PARSE_ARGUMENTS, 0, "{\"a\": 1}");
        give(&a, PARSE_CALL_END, 0, "");
        assert_true(a.failed);
        assert_null(chat_answer_message(&a));
        chat_answer_fini(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_event_has_its_delta),
        cmocka_unit_test(chat_mode_speaks_of_no_reasoning),
        cmocka_unit_test(a_message_has_all_parts_and_complete_calls_alone),
        cmocka_unit_test(what_found_no_memory_is_missed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
