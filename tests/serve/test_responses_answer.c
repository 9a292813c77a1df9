/* Answers in the shape of OpenAI's Responses API: the exact events of a stream, and the whole response. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../support/chat_body.h"
#include "../support/sse.h"
#include "serve/opaque.h"
#include "serve/responses_answer.h"

struct world {
    struct responses_request request;
    struct chat_answer answer;
    struct responses_answer out;
    struct buf sse;
};

static void begin(struct world *w, bool is_stream)
{
    *w = (struct world){0};
    w->request.echo = json_pack("{s:b}", "store", 0);
    w->request.custom = json_pack("{s:b}", "patch", 1);
    w->out = (struct responses_answer){.send = is_stream ? sse_send : NULL,
                                       .ctx = &w->sse,
                                       .request = &w->request,
                                       .id = "resp_1",
                                       .model = "nano",
                                       .created = 7};
    chat_answer_init(&w->answer, true);
    buf_init(&w->sse, 1 << 20);
}

static void give(struct world *w, enum parse_kind kind, int call, const char *text)
{
    struct parse_event e = sse_event(kind, call, text);
    chat_answer_add(&w->answer, &e);
    responses_answer_event(&w->out, &w->answer, &e);
}

static void done(struct world *w)
{
    responses_answer_fini(&w->out);
    responses_request_fini(&w->request);
    chat_answer_fini(&w->answer);
    buf_fini(&w->sse);
}

#define RESPONSE(status, incomplete, output, usage)                                                \
    "'response':{'id':'resp_1','object':'response','created_at':7,'status':'" status               \
    "','error':null,'incomplete_details':" incomplete ",'model':'nano','output':[" output          \
    "],'store':false,'usage':" usage "}"
#define START                                                                                      \
    "response.created ,'sequence_number':0," RESPONSE("in_progress", "null", "", "null"),          \
        "response.in_progress ,'sequence_number':1," RESPONSE("in_progress", "null", "", "null")
#define USAGE                                                                                      \
    "{'input_tokens':30,'input_tokens_details':{'cached_tokens':20},'output_tokens':44,"           \
    "'output_tokens_details':{'reasoning_tokens':9},'total_tokens':74}"
#define REASONING(status, parts)                                                                   \
    "{'id':'rs_1_0','type':'reasoning','status':'" status "','summary':[],'content':[" parts "]}"
#define THOUGHT "{'type':'reasoning_text','text':'hm \\'é\\''}"
#define MESSAGE(status, parts)                                                                     \
    "{'id':'msg_1_1','type':'message','status':'" status "','role':'assistant','content':[" parts  \
    "]}"
#define PART(text) "{'type':'output_text','text':'" text "','annotations':[],'logprobs':[]}"
#define CALL(status, arguments)                                                                    \
    "{'id':'fc_1_2','type':'function_call','status':'" status                                      \
    "','call_id':'$0','name':'f','arguments':'" arguments "'}"
#define CUSTOM(status, input)                                                                      \
    "{'id':'ctc_1_3','type':'custom_tool_call','status':'" status                                  \
    "','call_id':'$1','name':'patch','input':'" input "'}"

static const struct choice_end all_end = {.finish = FINISH_TOOL_CALLS,
                                          .n_tokens = 44,
                                          .n_reasoning = 9,
                                          .n_prompt = 30,
                                          .n_reused = 20,
                                          .stop = -1};

/* Thinking, text, a call of a function and one of a custom tool. */
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
    give(w, PARSE_CALL, 1, "patch");
    give(w, PARSE_ARGUMENTS, 1, "{\"input\": \"a\\n");
    give(w, PARSE_ARGUMENTS, 1, "b\"}");
    give(w, PARSE_CALL_END, 1, "");
}

static void a_stream_has_these_events(void **state)
{
    (void)state;
    static const char *const want[] = {
        START,
        "response.output_item.added ,'sequence_number':2,'output_index':0,'item':" REASONING(
            "in_progress", ""),
        "response.reasoning_text.delta ,'sequence_number':3,'item_id':'rs_1_0','output_index':0,"
        "'content_index':0,'delta':'hm '",
        "response.reasoning_text.delta ,'sequence_number':4,'item_id':'rs_1_0','output_index':0,"
        "'content_index':0,'delta':'\\'é\\''",
        "response.reasoning_text.done ,'sequence_number':5,'item_id':'rs_1_0','output_index':0,"
        "'content_index':0,'text':'hm \\'é\\''",
        "response.output_item.done ,'sequence_number':6,'output_index':0,'item':" REASONING(
            "completed", THOUGHT),
        "response.output_item.added ,'sequence_number':7,'output_index':1,'item':" MESSAGE(
            "in_progress", ""),
        "response.content_part.added ,'sequence_number':8,'item_id':'msg_1_1','output_index':1,"
        "'content_index':0,'part':" PART(""),
        "response.output_text.delta ,'sequence_number':9,'item_id':'msg_1_1','output_index':1,"
        "'content_index':0,'delta':'so\\n','logprobs':[]",
        "response.output_text.delta ,'sequence_number':10,'item_id':'msg_1_1','output_index':1,"
        "'content_index':0,'delta':'it is','logprobs':[]",
        "response.output_text.done ,'sequence_number':11,'item_id':'msg_1_1','output_index':1,"
        "'content_index':0,'text':'so\\nit is','logprobs':[]",
        "response.content_part.done ,'sequence_number':12,'item_id':'msg_1_1','output_index':1,"
        "'content_index':0,'part':" PART("so\\nit is"),
        "response.output_item.done ,'sequence_number':13,'output_index':1,'item':" MESSAGE(
            "completed", PART("so\\nit is")),
        "response.output_item.added ,'sequence_number':14,'output_index':2,'item':" CALL(
            "in_progress", ""),
        "response.function_call_arguments.delta ,'sequence_number':15,'item_id':'fc_1_2',"
        "'output_index':2,'delta':'{\\'a\\': '",
        "response.function_call_arguments.delta ,'sequence_number':16,'item_id':'fc_1_2',"
        "'output_index':2,'delta':'1}'",
        "response.function_call_arguments.done ,'sequence_number':17,'item_id':'fc_1_2',"
        "'output_index':2,'name':'f','arguments':'{\\'a\\': 1}'",
        "response.output_item.done ,'sequence_number':18,'output_index':2,'item':" CALL(
            "completed", "{\\'a\\': 1}"),
        "response.output_item.added ,'sequence_number':19,'output_index':3,'item':" CUSTOM(
            "in_progress", ""),
        "response.custom_tool_call_input.delta ,'sequence_number':20,'item_id':'ctc_1_3',"
        "'output_index':3,'delta':'a\\nb'",
        "response.custom_tool_call_input.done ,'sequence_number':21,'item_id':'ctc_1_3',"
        "'output_index':3,'input':'a\\nb'",
        "response.output_item.done ,'sequence_number':22,'output_index':3,'item':" CUSTOM(
            "completed", "a\\nb"),
        "response.completed ,'sequence_number':23," RESPONSE(
            "completed", "null",
            REASONING("completed", THOUGHT) "," MESSAGE("completed", PART("so\\nit is")) "," CALL(
                "completed", "{\\'a\\': 1}") "," CUSTOM("completed", "a\\nb"),
            USAGE)};
    struct world w;
    begin(&w, true);
    give_all(&w);
    assert_null(responses_answer_end(&w.out, &w.answer, &all_end));
    assert_sse(&w.sse, &w.answer, want, LENGTH(want));
    done(&w);
}

/* The response that the last event of a stream holds. */
static json_t *last_response(const struct buf *sse)
{
    const char *last = buf_text(sse);
    for (const char *next = last; (next = strstr(next, "\ndata: ")); next++)
        last = next + 7;
    json_t *data = json_loads(last, JSON_DISABLE_EOF_CHECK, NULL);
    json_t *response = json_incref(json_object_get(data, "response"));
    json_decref(data);
    return response;
}

/* But for the calls' ids, which are random. */
static void the_whole_response_says_the_same(void **state)
{
    (void)state;
    struct world w, s;
    begin(&w, false);
    begin(&s, true);
    give_all(&w);
    give_all(&s);
    json_t *got = responses_answer_end(&w.out, &w.answer, &all_end);
    assert_null(responses_answer_end(&s.out, &s.answer, &all_end));
    json_t *want = last_response(&s.sse);
    json_t *outputs[] = {json_object_get(got, "output"), json_object_get(want, "output")};
    for (int i = 0; i < 2; i++)
        for (size_t k = 2; k < 4; k++)
            json_object_del(json_array_get(outputs[i], k), "call_id");
    assert_int_equal(json_array_size(outputs[0]), 4);
    assert_true(json_equal(got, want));
    assert_int_equal(w.sse.size, 0);
    json_decref(got);
    json_decref(want);
    done(&w);
    done(&s);
}

static void reasoning_can_be_told_as_a_summary(void **state)
{
    (void)state;
    static const char *const want[] = {
        START,
        "response.output_item.added ,'sequence_number':2,'output_index':0,'item':" REASONING(
            "in_progress", ""),
        "response.reasoning_summary_part.added ,'sequence_number':3,'item_id':'rs_1_0',"
        "'output_index':0,'summary_index':0,'part':{'type':'summary_text','text':''}",
        "response.reasoning_summary_text.delta ,'sequence_number':4,'item_id':'rs_1_0',"
        "'output_index':0,'summary_index':0,'delta':'I add'",
        "response.reasoning_summary_text.done ,'sequence_number':5,'item_id':'rs_1_0',"
        "'output_index':0,'summary_index':0,'text':'I add'",
        "response.reasoning_summary_part.done ,'sequence_number':6,'item_id':'rs_1_0',"
        "'output_index':0,'summary_index':0,'part':{'type':'summary_text','text':'I add'}",
        "response.output_item.done ,'sequence_number':7,'output_index':0,'item':{'id':'rs_1_0',"
        "'type':'reasoning','status':'completed','summary':[{'type':'summary_text','text':"
        "'I add'}],'content':[],'encrypted_content':'dGVub246SSBhZGQ='}",
        "response.completed ,'sequence_number':8," RESPONSE(
            "completed", "null",
            "{'id':'rs_1_0','type':'reasoning','status':'completed','summary':[{'type':"
            "'summary_text','text':'I add'}],'content':[],'encrypted_content':'dGVub246SSBhZGQ='}",
            USAGE)};
    struct world w;
    begin(&w, true);
    w.request.summary = w.request.encrypted = true;
    give(&w, PARSE_REASONING, -1, "I add");
    assert_null(responses_answer_end(&w.out, &w.answer, &all_end));
    assert_sse(&w.sse, &w.answer, want, LENGTH(want));
    done(&w);
}

/* What is open at the length's end is incomplete, and so is the response. */
static void an_answer_that_is_cut_is_incomplete(void **state)
{
    (void)state;
#define CUT(text)                                                                                  \
    "{'id':'msg_1_0','type':'message','status':'incomplete','role':'assistant','content':[" PART(  \
        text) "]}"
    static const char *const want[] = {
        START,
        "response.output_item.added ,'sequence_number':2,'output_index':0,'item':{'id':'msg_1_0',"
        "'type':'message','status':'in_progress','role':'assistant','content':[]}",
        "response.content_part.added ,'sequence_number':3,'item_id':'msg_1_0','output_index':0,"
        "'content_index':0,'part':" PART(""),
        "response.output_text.delta ,'sequence_number':4,'item_id':'msg_1_0','output_index':0,"
        "'content_index':0,'delta':'a','logprobs':[]",
        "response.output_text.done ,'sequence_number':5,'item_id':'msg_1_0','output_index':0,"
        "'content_index':0,'text':'a','logprobs':[]",
        "response.content_part.done ,'sequence_number':6,'item_id':'msg_1_0','output_index':0,"
        "'content_index':0,'part':" PART("a"),
        "response.output_item.done ,'sequence_number':7,'output_index':0,'item':" CUT("a"),
        "response.incomplete ,'sequence_number':8," RESPONSE(
            "incomplete", "{'reason':'max_output_tokens'}", CUT("a"), USAGE)};
    struct choice_end end = all_end;
    struct world w;
    end.finish = FINISH_LENGTH;
    begin(&w, true);
    give(&w, PARSE_CONTENT, -1, "a");
    assert_null(responses_answer_end(&w.out, &w.answer, &end));
    assert_sse(&w.sse, &w.answer, want, LENGTH(want));
    done(&w);
}

static void a_call_that_is_cut_is_incomplete(void **state)
{
    (void)state;
    struct choice_end end = all_end;
    end.finish = FINISH_LENGTH;
    for (int custom = 0; custom < 2; custom++) {
        struct world w;
        const char *status = NULL, *text = NULL, *whole = NULL;
        begin(&w, false);
        give(&w, PARSE_CALL, 0, custom ? "patch" : "f");
        give(&w, PARSE_ARGUMENTS, 0, "{\"input\": \"a");
        give(&w, PARSE_CALL_BROKEN, 0, "");
        json_t *got = responses_answer_end(&w.out, &w.answer, &end);
        assert_int_equal(json_unpack(got, "{s:s, s:[{s:s, s:s}]}", "status", &whole, "output",
                                     "status", &status, custom ? "input" : "arguments", &text),
                         0);
        assert_string_equal(whole, "incomplete");
        assert_string_equal(status, "incomplete");
        assert_string_equal(text, "{\"input\": \"a");
        json_decref(got);
        done(&w);
    }
}

static void a_failure_ends_the_stream_with_its_error(void **state)
{
    (void)state;
    static const char *const want[] = {
        START, "response.failed ,'sequence_number':2,'response':{'id':'resp_1','object':'response',"
               "'created_at':7,'status':'failed','error':{'code':'server_error','message':'gone'},"
               "'incomplete_details':null,'model':'nano','output':[],'store':false,'usage':null}"};
    struct api_error e = {0};
    struct world w;
    api_refuse(&e, 500, NULL, "gone");
    begin(&w, true);
    responses_answer_begin(&w.out);
    responses_answer_begin(&w.out); /* once is enough */
    responses_answer_fail(&w.out, &e);
    assert_sse(&w.sse, &w.answer, want, LENGTH(want));
    done(&w);
}

/* The memory of JSON: so many more pieces are to be had, and so many are out. */
static int pieces_left, pieces_out;

static void *take_piece(size_t size)
{
    if (pieces_left-- <= 0) return NULL;
    pieces_out++;
    return malloc(size);
}

static void give_piece(void *p)
{
    pieces_out -= p != NULL;
    free(p);
}

static void drop_event(void *ctx, const char *name, json_t *data)
{
    int *n_lost = ctx;
    (void)name;
    *n_lost += data == NULL;
    json_decref(data);
}

/* The whole way with so many pieces of memory; whether the answer came through. */
static bool answers_with(int pieces, bool is_stream)
{
    struct world w;
    struct api_error e = {0};
    int n_lost = 0;
    begin(&w, is_stream);
    w.request.encrypted = true;
    w.out.ctx = &n_lost;
    w.out.send = is_stream ? drop_event : NULL;
    pieces_left = pieces;
    give_all(&w);
    json_t *whole = responses_answer_end(&w.out, &w.answer, &all_end);
    bool good = is_stream ? n_lost == 0 && !w.out.failed : whole != NULL;
    if (is_stream && !good) {
        api_refuse(&e, 503, NULL, "no memory");
        responses_answer_fail(&w.out, &e);
    }
    pieces_left = INT_MAX;
    json_decref(whole);
    done(&w);
    return good;
}

static void where_memory_ends_nothing_is_kept(void **state)
{
    (void)state;
    json_malloc_t take;
    json_free_t give_back;
    json_get_alloc_funcs(&take, &give_back);
    json_set_alloc_funcs(take_piece, give_piece);
    for (int is_stream = 0; is_stream <= 1; is_stream++) {
        int pieces = 0;
        pieces_left = INT_MAX;
        for (; !answers_with(pieces, is_stream); pieces++)
            assert_int_equal(pieces_out, 0);
        assert_int_equal(pieces_out, 0);
        assert_in_range(pieces, 100, 5000);
    }
    json_set_alloc_funcs(take, give_back);
}

static void opaque_text_comes_back(void **state)
{
    (void)state;
    struct buf text, made, read;
    buf_init(&text, 1 << 20);
    buf_init(&made, 1 << 21);
    buf_init(&read, 1 << 20);
    for (int n = 0; n < 120000; n = n < 200 ? n + 1 : n * 3 / 2) {
        while (text.size < (size_t)n)
            buf_add_byte(&text, (char)('a' + text.size % 26));
        buf_clear(&made);
        buf_clear(&read);
        opaque_make(&made, buf_text(&text), text.size);
        assert_null(strstr(buf_text(&made), "abc"));
        assert_true(opaque_read(&read, made.data, made.size));
        assert_int_equal(read.size, text.size);
        assert_string_equal(buf_text(&read), buf_text(&text));
    }
    buf_fini(&text);
    buf_fini(&made);
    buf_fini(&read);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_has_these_events),
        cmocka_unit_test(the_whole_response_says_the_same),
        cmocka_unit_test(reasoning_can_be_told_as_a_summary),
        cmocka_unit_test(an_answer_that_is_cut_is_incomplete),
        cmocka_unit_test(a_call_that_is_cut_is_incomplete),
        cmocka_unit_test(a_failure_ends_the_stream_with_its_error),
        cmocka_unit_test(where_memory_ends_nothing_is_kept),
        cmocka_unit_test(opaque_text_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
