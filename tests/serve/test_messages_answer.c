/* Answers in the shape of Anthropic's API: the exact events of a stream, and the whole message. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../support/chat_body.h"
#include "../support/sse.h"
#include "serve/messages_answer.h"

struct world {
    struct chat_answer answer;
    struct messages_stream stream;
    struct buf sse;
};

static void begin(struct world *w, bool thinking)
{
    *w = (struct world){
        .stream = {.send = sse_send, .ctx = &w->sse, .id = "msg_1", .model = "nano"}};
    chat_answer_init(&w->answer, thinking);
    w->answer.call_prefix = "toolu_";
    buf_init(&w->sse, 1 << 20);
}

static void give(struct world *w, enum parse_kind kind, int call, const char *text)
{
    struct parse_event e = sse_event(kind, call, text);
    chat_answer_add(&w->answer, &e);
    messages_stream_event(&w->stream, &w->answer, &e, 30);
}

static void done(struct world *w)
{
    chat_answer_fini(&w->answer);
    buf_fini(&w->sse);
}

#define START                                                                                      \
    "message_start ,'message':{'id':'msg_1','type':'message','role':'assistant','model':'nano',"   \
    "'content':[],'stop_reason':null,'stop_sequence':null,'usage':{'input_tokens':30,"             \
    "'cache_creation_input_tokens':0,'cache_read_input_tokens':0,'output_tokens':0}}",             \
        "ping "
#define END(reason, stop, input, cached, output)                                                   \
    "message_delta ,'delta':{'stop_reason':'" reason "','stop_sequence':" stop                     \
    "},'usage':{'input_tokens':" input                                                             \
    ",'cache_creation_input_tokens':0,'cache_read_input_tokens':" cached                           \
    ",'output_tokens':" output "}",                                                                \
        "message_stop "

/* Thinking, text and two calls. */
static void give_all(struct world *w)
{
    give(w, PARSE_REASONING, -1, "hm ");
    give(w, PARSE_REASONING, -1, "\"é\"");
    give(w, PARSE_CONTENT, -1, "so\n");
    give(w, PARSE_CONTENT, -1, "it is");
    give(w, PARSE_CALL, 0, "f");
    give(w, PARSE_ARGUMENTS, 0, "{\"a\": ");
    give(w, PARSE_ARGUMENTS, 0, "1}");
    give(w, PARSE_CALL_END, 0, "");
    give(w, PARSE_CALL, 1, "g");
    give(w, PARSE_ARGUMENTS, 1, "{}");
    give(w, PARSE_CALL_END, 1, "");
}

static void a_stream_has_these_events(void **state)
{
    (void)state;
    static const char *const want[] = {
        START,
        "content_block_start ,'index':0,'content_block':{'type':'thinking','thinking':'',"
        "'signature':''}",
        "content_block_delta ,'index':0,'delta':{'type':'thinking_delta','thinking':'hm '}",
        "content_block_delta ,'index':0,'delta':{'type':'thinking_delta','thinking':'\\'é\\''}",
        "content_block_delta ,'index':0,'delta':{'type':'signature_delta','signature':'msg_1'}",
        "content_block_stop ,'index':0",
        "content_block_start ,'index':1,'content_block':{'type':'text','text':''}",
        "content_block_delta ,'index':1,'delta':{'type':'text_delta','text':'so\\n'}",
        "content_block_delta ,'index':1,'delta':{'type':'text_delta','text':'it is'}",
        "content_block_stop ,'index':1",
        "content_block_start ,'index':2,'content_block':{'type':'tool_use','id':'$0','name':'f',"
        "'input':{}}",
        "content_block_delta ,'index':2,'delta':{'type':'input_json_delta','partial_json':"
        "'{\\'a\\': '}",
        "content_block_delta ,'index':2,'delta':{'type':'input_json_delta','partial_json':'1}'}",
        "content_block_stop ,'index':2",
        "content_block_start ,'index':3,'content_block':{'type':'tool_use','id':'$1','name':'g',"
        "'input':{}}",
        "content_block_delta ,'index':3,'delta':{'type':'input_json_delta','partial_json':'{}'}",
        "content_block_stop ,'index':3",
        END("tool_use", "null", "10", "20", "44")};
    const struct choice_end end = {
        .finish = FINISH_TOOL_CALLS, .n_tokens = 44, .n_prompt = 30, .n_reused = 20, .stop = -1};
    struct world w;
    begin(&w, true);
    give_all(&w);
    messages_stream_end(&w.stream, &end, NULL);
    assert_sse(&w.sse, &w.answer, want, LENGTH(want));
    assert_int_equal(strncmp(w.answer.calls[0].id, "toolu_", 6), 0);
    assert_string_not_equal(w.answer.calls[0].id, w.answer.calls[1].id);
    done(&w);
}

static void the_whole_message_says_the_same(void **state)
{
    (void)state;
    const struct choice_end end = {
        .finish = FINISH_TOOL_CALLS, .n_tokens = 44, .n_prompt = 30, .n_reused = 20, .stop = -1};
    struct world w;
    begin(&w, true);
    give_all(&w);
    json_t *got = messages_answer_json(&w.answer, "msg_1", "nano", &end, NULL);
    json_t *want = json_pack(
        "{s:s, s:s, s:s, s:s, s:[{s:s, s:s, s:s}, {s:s, s:s}, {s:s, s:s, s:s, s:{s:i}}, "
        "{s:s, s:s, s:s, s:{}}], s:s, s:n, s:{s:i, s:i, s:i, s:i}}",
        "id", "msg_1", "type", "message", "role", "assistant", "model", "nano", "content", "type",
        "thinking", "thinking", "hm \"é\"", "signature", "msg_1", "type", "text", "text",
        "so\nit is", "type", "tool_use", "id", w.answer.calls[0].id, "name", "f", "input", "a", 1,
        "type", "tool_use", "id", w.answer.calls[1].id, "name", "g", "input", "stop_reason",
        "tool_use", "stop_sequence", "usage", "input_tokens", 10, "cache_creation_input_tokens", 0,
        "cache_read_input_tokens", 20, "output_tokens", 44);
    assert_non_null(want);
    assert_true(json_equal(got, want));
    json_decref(got);
    json_decref(want);
    done(&w);
}

static void a_life_sign_begins_the_message_and_then_pings(void **state)
{
    (void)state;
    static const char *const want[] = {
        START,
        "ping ",
        "content_block_start ,'index':0,'content_block':{'type':'text','text':''}",
        "content_block_delta ,'index':0,'delta':{'type':'text_delta','text':'a'}",
        "content_block_stop ,'index':0",
        END("stop_sequence", "'###'", "30", "0", "2")};
    const struct choice_end end = {.finish = FINISH_STOP, .n_tokens = 2, .n_prompt = 30};
    struct world w;
    begin(&w, false);
    messages_stream_begin(&w.stream, 30);
    messages_stream_ping(&w.stream);
    give(&w, PARSE_CONTENT, -1, "a");
    messages_stream_end(&w.stream, &end, "###");
    assert_sse(&w.sse, &w.answer, want, LENGTH(want));
    done(&w);
}

static void an_answer_of_nothing_begins_and_ends(void **state)
{
    (void)state;
    static const char *const want[] = {START, END("end_turn", "null", "30", "0", "1")};
    const struct choice_end end = {.finish = FINISH_STOP, .n_tokens = 1, .n_prompt = 30};
    struct world w;
    begin(&w, false);
    messages_stream_end(&w.stream, &end, NULL);
    assert_sse(&w.sse, &w.answer, want, LENGTH(want));
    json_t *message = messages_answer_json(&w.answer, "msg_1", "nano", &end, NULL);
    assert_int_equal(json_array_size(json_object_get(message, "content")), 0);
    assert_non_null(json_object_get(message, "content"));
    json_decref(message);
    done(&w);
}

/* At the length's end: the block is closed, in the whole message it is not there. */
static void a_call_that_is_cut_is_closed(void **state)
{
    (void)state;
    static const char *const want[] = {
        START,
        "content_block_start ,'index':0,'content_block':{'type':'tool_use','id':'$0','name':'f',"
        "'input':{}}",
        "content_block_delta ,'index':0,'delta':{'type':'input_json_delta','partial_json':'{'}",
        "content_block_stop ,'index':0", END("max_tokens", "null", "30", "0", "9")};
    const struct choice_end end = {.finish = FINISH_LENGTH, .n_tokens = 9, .n_prompt = 30};
    struct world w;
    begin(&w, false);
    give(&w, PARSE_CALL, 0, "f");
    give(&w, PARSE_ARGUMENTS, 0, "{");
    give(&w, PARSE_CALL_BROKEN, 0, "");
    messages_stream_end(&w.stream, &end, NULL);
    assert_sse(&w.sse, &w.answer, want, LENGTH(want));
    json_t *message = messages_answer_json(&w.answer, "msg_1", "nano", &end, NULL);
    assert_int_equal(json_array_size(json_object_get(message, "content")), 0);
    json_decref(message);
    done(&w);
}

/* Cut inside the thinking: its signature comes all the same. */
static void thinking_that_is_cut_is_signed(void **state)
{
    (void)state;
    static const char *const want[] = {
        START,
        "content_block_start ,'index':0,'content_block':{'type':'thinking','thinking':'',"
        "'signature':''}",
        "content_block_delta ,'index':0,'delta':{'type':'thinking_delta','thinking':'t'}",
        "content_block_delta ,'index':0,'delta':{'type':'signature_delta','signature':'msg_1'}",
        "content_block_stop ,'index':0",
        END("max_tokens", "null", "30", "0", "1")};
    const struct choice_end end = {.finish = FINISH_LENGTH, .n_tokens = 1, .n_prompt = 30};
    struct world w;
    begin(&w, true);
    give(&w, PARSE_REASONING, -1, "t");
    messages_stream_end(&w.stream, &end, NULL);
    assert_sse(&w.sse, &w.answer, want, LENGTH(want));
    done(&w);
}

static void input_is_an_object_whatever_is_in_it(void **state)
{
    (void)state;
    static const struct {
        const char *arguments;
        const char *want; /* NULL: {"arguments": arguments} */
    } rows[] = {
        {"{}", "{}"},
        {"{\"a\": \"\\u0000\"}", "{\"a\": \"\\u0000\"}"},
        {"{\"a\": [1, null, {\"b\": 2.5}]}", "{\"a\": [1, null, {\"b\": 2.5}]}"},
        {"{\"\\u0000\": 1}", NULL},
    };
    const struct choice_end end = {.finish = FINISH_TOOL_CALLS, .n_prompt = 30};
    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct world w;
        json_t *input = NULL;
        begin(&w, false);
        give(&w, PARSE_CALL, 0, "f");
        give(&w, PARSE_ARGUMENTS, 0, rows[i].arguments);
        give(&w, PARSE_CALL_END, 0, "");
        json_t *message = messages_answer_json(&w.answer, "msg_1", "nano", &end, NULL);
        json_t *want = rows[i].want ? json_loads(rows[i].want, JSON_ALLOW_NUL, NULL)
                                    : json_pack("{s:s}", "arguments", rows[i].arguments);
        assert_int_equal(json_unpack(message, "{s:[{s:o}]}", "content", "input", &input), 0);
        assert_true(json_equal(input, want));
        json_decref(message);
        json_decref(want);
        done(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_has_these_events),
        cmocka_unit_test(the_whole_message_says_the_same),
        cmocka_unit_test(a_life_sign_begins_the_message_and_then_pings),
        cmocka_unit_test(an_answer_of_nothing_begins_and_ends),
        cmocka_unit_test(a_call_that_is_cut_is_closed),
        cmocka_unit_test(thinking_that_is_cut_is_signed),
        cmocka_unit_test(input_is_an_object_whatever_is_in_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
