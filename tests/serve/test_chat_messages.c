/* The messages of a chat request: what the encoder gets, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../support/chat_body.h"
#include "base/buf.h"
#include "base/json.h"

#define SYSTEM(c) "{\"role\": \"system\", \"content\": " c "}"
#define USER(c) "{\"role\": \"user\", \"content\": " c "}"
#define HI USER("\"hi\"")
#define CALL(id, name, arguments)                                                                  \
    "{\"id\": \"" id "\", \"type\": \"function\", \"function\": {\"name\": \"" name                \
    "\", \"arguments\": " arguments "}}"
#define CALLS(calls) "{\"role\": \"assistant\", \"content\": \"\", \"tool_calls\": [" calls "]}"
#define THOUGHT(calls)                                                                             \
    "{\"role\": \"assistant\", \"content\": \"\", \"reasoning_content\": \"\", \"tool_calls\": "   \
    "[" calls "]}"
#define RESULT(id) "{\"role\": \"tool\", \"content\": \"r\", \"tool_call_id\": \"" id "\"}"
#define SAYS(more) "{\"role\": \"assistant\", \"content\": \"a\"" more "}"
#define PREFIX ", \"prefix\": true"

static int read_messages(struct chat_request *r, const char *messages, const char *fields,
                         const struct chat_rules *rules, struct api_error *e)
{
    struct buf b;
    buf_init(&b, 1 << 26);
    buf_printf(&b, "{\"model\": \"m\", \"messages\": [%s]%s%s}", messages, *fields ? ", " : "",
               fields);
    int status = body_read(r, buf_text(&b), rules, e);
    buf_fini(&b);
    return status;
}

static void assert_messages(const char *messages, const struct chat_rules *rules, int status,
                            const char *param)
{
    struct chat_request r;
    struct api_error e;
    int got = read_messages(&r, messages, "", rules, &e);
    if (got != status || (status && strcmp(e.param, param) != 0))
        fail_msg("%.400s: %d, param \"%s\" (%s), wanted %d, param \"%s\"", messages, got, e.param,
                 e.message, status, param);
    chat_request_fini(&r);
}

/* ---- what the encoder gets ---- */

static const struct {
    const char *in, *want; /* NULL: as in */
} normal[] = {
    {HI, NULL},
    {SYSTEM("\"s\"") "," HI, NULL},
    {SYSTEM("\"s\""), NULL},
    {"{\"role\": \"developer\", \"content\": \"d\"}", SYSTEM("\"d\"")},
    {"{\"role\": \"developer\", \"content\": \"\"}", SYSTEM("\"\"")},
    {"{\"role\": \"latest_reminder\", \"content\": \"today\"}," HI, NULL},
    {"{\"role\": \"user\", \"content\": \"hi\", \"name\": \"bob\"}", NULL},
    {"{\"role\": \"user\", \"content\": \"hi\", \"name\": null, \"other\": [1]}", NULL},
    /* lists of parts */
    {USER("[{\"type\": \"text\", \"text\": \"a\"}]"), USER("\"a\"")},
    {USER("[{\"type\": \"text\", \"text\": \"a\\n\", \"cache_control\": {}}, "
          "{\"type\": \"text\", \"text\": \"\"}, {\"type\": \"text\", \"text\": \"\\u597d\"}]"),
     USER("\"a\\n\\u597d\"")},
    {USER("[]"), USER("\"\"")},
    {USER("[{\"type\": \"text\", \"text\": \"a\\u0000\"}, {\"type\": \"text\", \"text\": "
          "\"\\u0000b\"}]"),
     USER("\"a\\u0000\\u0000b\"")},
    {SYSTEM("[{\"type\": \"text\", \"text\": \"s\"}]"), SYSTEM("\"s\"")},
    {"{\"role\": \"developer\", \"content\": [{\"type\": \"text\", \"text\": \"d\"}]}",
     SYSTEM("\"d\"")},
    {HI ",{\"role\": \"tool\", \"content\": [{\"type\": \"text\", \"text\": \"r\"}]}",
     HI ",{\"role\": \"tool\", \"content\": \"r\"}"},
    /* assistants */
    {HI "," SAYS("") "," HI, NULL},
    {HI ",{\"role\": \"assistant\", \"content\": [{\"type\": \"text\", \"text\": \"x\"}]}," HI,
     HI ",{\"role\": \"assistant\", \"content\": \"x\"}," HI},
    {HI ",{\"role\": \"assistant\", \"content\": \"\"}," HI, NULL},
    {HI ",{\"role\": \"assistant\", \"content\": null, \"reasoning_content\": \"t\"}," HI,
     HI ",{\"role\": \"assistant\", \"content\": \"\", \"reasoning_content\": \"t\"}," HI},
    {HI "," SAYS(", \"reasoning\": \"t\"") "," HI,
     HI "," SAYS(", \"reasoning\": \"t\", \"reasoning_content\": \"t\"") "," HI},
    {HI "," SAYS(", \"reasoning\": \"t\", \"reasoning_content\": \"u\"") "," HI, NULL},
    {HI "," SAYS(", \"reasoning\": \"t\", \"reasoning_content\": null") "," HI,
     HI "," SAYS(", \"reasoning\": \"t\", \"reasoning_content\": \"t\"") "," HI},
    {HI "," SAYS(", \"tool_calls\": null") "," HI, HI "," SAYS("") "," HI},
    {HI "," SAYS(", \"tool_calls\": []") "," HI, HI "," SAYS("") "," HI},
    {HI "," SAYS(", \"prefix\": false") "," HI, NULL},
    /* tool calls */
    {HI "," CALLS(CALL("c", "f", "\"{\\\"a\\\": 1}\"")) "," RESULT("c"), NULL},
    {HI "," CALLS(CALL("c", "f", "{\"b\": [1, \"\\u0000\"], \"a\": 0.1}")) "," RESULT("c"),
     HI "," CALLS(CALL("c", "f",
                       "\"{\\\"b\\\":[1,\\\"\\\\u0000\\\"],"
                       "\\\"a\\\":0.10000000000000001}\"")) "," RESULT("c")},
    {HI "," CALLS(CALL("c", "f", "{}")) "," RESULT("c"),
     HI "," CALLS(CALL("c", "f", "\"{}\"")) "," RESULT("c")},
    {HI "," CALLS(CALL("c", "f", "\"\"")) "," RESULT("c"),
     HI "," CALLS(CALL("c", "f", "\"{}\"")) "," RESULT("c")},
    {HI "," CALLS(CALL("c", "f", "null")) "," RESULT("c"),
     HI "," CALLS(CALL("c", "f", "\"{}\"")) "," RESULT("c")},
    {HI "," CALLS("{\"function\": {\"name\": \"f\"}}") ",{\"role\": \"tool\", \"content\": "
                                                       "\"r\"}",
     HI
     "," CALLS("{\"function\": {\"name\": \"f\", \"arguments\": \"{}\"}}") ",{\"role\": "
                                                                           "\"tool\", \"content\": "
                                                                           "\"r\"}"},
    {HI "," CALLS(CALL("c", "odd name\\\"", "\"not JSON\"")) "," RESULT("other"), NULL},
    {HI "," CALLS(CALL("c", "f", "\"[1]\"") "," CALL("c", "f", "\"{}\"")) "," HI, NULL},
    {HI ",{\"role\": \"assistant\", \"content\": null, \"tool_calls\": [" CALL(
         "c", "f", "\"{}\"") "]}," RESULT("c"),
     HI "," CALLS(CALL("c", "f", "\"{}\"")) "," RESULT("c")},
    {HI ",{\"role\": \"assistant\", \"tool_calls\": [" CALL("c", "f", "\"{}\"") "]}," RESULT("c"),
     HI "," CALLS(CALL("c", "f", "\"{}\"")) "," RESULT("c")},
    /* what the encoder knows and the API does not */
    {"{\"role\": \"user\", \"content\": \"hi\", \"task\": \"title\", \"tools\": 1, "
     "\"response_format\": {}, \"wo_eos\": 5, \"tool_calls\": 1, \"reasoning_content\": 2, "
     "\"tool_call_id\": 3}",
     HI},
    {"{\"role\": \"system\", \"content\": \"s\", \"tools\": [1]}", SYSTEM("\"s\"")},
    {HI "," SAYS(", \"wo_eos\": true, \"tool_call_id\": 3") "," HI, HI "," SAYS("") "," HI},
    {"{\"role\": \"tool\", \"content\": \"r\", \"tool_calls\": 1, \"tool_call_id\": \"c\"}",
     RESULT("c")},
    {"{\"role\": \"tool\", \"content\": \"r\", \"tool_call_id\": \"\", \"name\": \"f\"}", NULL},
    /* prefix */
    {HI "," SAYS(PREFIX), HI "," SAYS(PREFIX ", \"wo_eos\": true")},
    {HI ",{\"role\": \"assistant\", \"content\": null" PREFIX "}",
     HI ",{\"role\": \"assistant\", \"content\": \"\"" PREFIX ", \"wo_eos\": true}"},
    {HI ",{\"role\": \"assistant\"" PREFIX "}",
     HI ",{\"role\": \"assistant\", \"content\": \"\"" PREFIX ", \"wo_eos\": true}"},
};

static void messages_are_normalised(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTH(normal); i++) {
        struct chat_request r;
        struct api_error e;
        struct err err = {0};
        struct prompt p;
        struct buf list;
        json_t *want;
        if (read_messages(&r, normal[i].in, "", &rules_plain, &e))
            fail_msg("%s: %s", normal[i].in, e.message);
        buf_init(&list, 1 << 16);
        buf_printf(&list, "[%s]", normal[i].want ? normal[i].want : normal[i].in);
        if (json_parse(&want, "want", list.data, list.size, &err)) fail_msg("%s", err.message);
        if (!json_equal(r.messages, want)) {
            char *text = json_dumps(r.messages, 0);
            fail_msg("row %zu: %s\nwanted %s", i, text, list.data);
        }
        assert_int_equal(prompt_encode(&p, r.messages, r.tools, &r.prompt, &err), 0);
        assert_int_equal(r.continues, strstr(normal[i].in, "\"prefix\": true") != NULL);
        prompt_fini(&p);
        buf_fini(&list);
        json_decref(want);
        chat_request_fini(&r);
    }
}

static void assert_prompt(const char *messages, const char *fields, const char *want)
{
    struct chat_request r;
    struct api_error e;
    struct err err = {0};
    struct prompt p;
    if (read_messages(&r, messages, fields, &rules_plain, &e))
        fail_msg("%s: %s", messages, e.message);
    if (prompt_encode(&p, r.messages, r.tools, &r.prompt, &err)) fail_msg("%s", err.message);
    assert_string_equal(buf_text(&p.text), want);
    prompt_fini(&p);
    chat_request_fini(&r);
}

#define OFF "\"thinking\": {\"type\": \"disabled\"}"
#define LOW "\"reasoning_effort\": \"low\""
#define B "<｜begin▁of▁sentence｜>"
#define E "<｜end▁of▁sentence｜>"
#define U "<｜User｜>"
#define A "<｜Assistant｜>"

static void prompts_come_out_right(void **state)
{
    (void)state;
    assert_prompt(SYSTEM("\"Be brief.\"") "," USER("\"Hi\""), OFF,
                  B "Be brief." U "Hi" A "</think>");
    assert_prompt(HI, LOW, B U "hi" A "<think>");
    assert_prompt(HI "," SAYS(", \"reasoning\": \"t\"") "," HI, LOW,
                  B U "hi" A "</think>a" E U "hi" A "<think>");
    assert_prompt(HI "," SAYS(", \"reasoning\": \"t\"") "," HI,
                  LOW ", \"chat_template_kwargs\": {\"drop_thinking\": false}",
                  B U "hi" A "<think>t</think>a" E U "hi" A "<think>");
    assert_prompt(HI "," SAYS(PREFIX), OFF, B U "hi" A "</think>a");
    assert_prompt(HI "," SAYS(PREFIX ", \"reasoning_content\": \"t\""), LOW,
                  B U "hi" A "<think>t</think>a");
    assert_prompt(HI "," SAYS(""), OFF ", \"continue_final_message\": true",
                  B U "hi" A "</think>a");
    assert_prompt(HI "," CALLS(CALL("b", "g", "{\"x\": \"y\", \"n\": 1e2}")) "," RESULT("b"), OFF,
                  B U "hi" A "</think>\n\n<｜DSML｜tool_calls>\n<｜DSML｜invoke name=\"g\">\n"
                      "<｜DSML｜parameter name=\"x\" string=\"true\">y</｜DSML｜parameter>\n"
                      "<｜DSML｜parameter name=\"n\" string=\"false\">100.0</｜DSML｜parameter>\n"
                      "</｜DSML｜invoke>\n</｜DSML｜tool_calls>" E U
                      "<tool_result>r</tool_result>" A "</think>");
}

/* ---- what is refused ---- */

static void bad_messages_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *messages;
        int status;
        const char *param;
    } rows[] = {
        {"1", 400, "messages[0]"},
        {HI ", null", 400, "messages[1]"},
        {HI ", [" HI "]", 400, "messages[1]"},
        {"{}", 400, "messages[0].role"},
        {"{\"content\": \"hi\"}", 400, "messages[0].role"},
        {"{\"role\": null, \"content\": \"hi\"}", 400, "messages[0].role"},
        {"{\"role\": 1, \"content\": \"hi\"}", 400, "messages[0].role"},
        {"{\"role\": \"function\", \"content\": \"hi\"}", 400, "messages[0].role"},
        {"{\"role\": \"User\", \"content\": \"hi\"}", 400, "messages[0].role"},
        {"{\"role\": \"user\\u0000\", \"content\": \"hi\"}", 400, "messages[0].role"},
        {"{\"role\": \"user\", \"content\": \"hi\", \"name\": 1}", 400, "messages[0].name"},
        {"{\"role\": \"user\"}", 400, "messages[0].content"},
        {USER("null"), 400, "messages[0].content"},
        {USER("1"), 400, "messages[0].content"},
        {USER("{}"), 400, "messages[0].content"},
        {USER("true"), 400, "messages[0].content"},
        {USER("[1]"), 400, "messages[0].content[0]"},
        {USER("[{\"type\": \"text\", \"text\": \"a\"}, \"b\"]"), 400, "messages[0].content[1]"},
        {USER("[{}]"), 400, "messages[0].content[0].type"},
        {USER("[{\"type\": 1}]"), 400, "messages[0].content[0].type"},
        {USER("[{\"type\": \"text\"}]"), 400, "messages[0].content[0].text"},
        {USER("[{\"type\": \"text\", \"text\": null}]"), 400, "messages[0].content[0].text"},
        {USER("[{\"type\": \"text\", \"text\": 1}]"), 400, "messages[0].content[0].text"},
        {USER("[{\"type\": \"image_url\", \"image_url\": {\"url\": \"data:\"}}]"), 400,
         "messages[0].content[0].type"},
        {USER("[{\"type\": \"input_audio\"}]"), 400, "messages[0].content[0].type"},
        {SYSTEM("null"), 400, "messages[0].content"},
        {"{\"role\": \"developer\"}", 400, "messages[0].content"},
        {"{\"role\": \"latest_reminder\"}", 400, "messages[0].content"},
        {HI ",{\"role\": \"tool\"}", 400, "messages[1].content"},
        {HI ",{\"role\": \"tool\", \"content\": \"r\", \"tool_call_id\": 1}", 400,
         "messages[1].tool_call_id"},
        {HI ",{\"role\": \"assistant\"}," HI, 400, "messages[1].content"},
        {HI ",{\"role\": \"assistant\", \"content\": null, \"tool_calls\": []}," HI, 400,
         "messages[1].content"},
        {HI ",{\"role\": \"assistant\", \"content\": 5}," HI, 400, "messages[1].content"},
        {HI "," SAYS(", \"reasoning_content\": 1") "," HI, 400, "messages[1].reasoning_content"},
        {HI "," SAYS(", \"reasoning_content\": [\"t\"]") "," HI, 400,
         "messages[1].reasoning_content"},
        {HI "," SAYS(", \"reasoning\": {}") "," HI, 400, "messages[1].reasoning"},
        {HI "," SAYS(", \"tool_calls\": {}") "," HI, 400, "messages[1].tool_calls"},
        {HI "," CALLS("1"), 400, "messages[1].tool_calls[0]"},
        {HI "," CALLS("{}"), 400, "messages[1].tool_calls[0].function"},
        {HI "," CALLS("{\"name\": \"f\", \"arguments\": \"{}\"}"), 400,
         "messages[1].tool_calls[0].function"},
        {HI "," CALLS("{\"function\": {}}"), 400, "messages[1].tool_calls[0].function.name"},
        {HI "," CALLS("{\"function\": {\"name\": 1}}"), 400,
         "messages[1].tool_calls[0].function.name"},
        {HI "," CALLS(CALL("c", "", "\"{}\"")), 422, "messages[1].tool_calls[0].function.name"},
        {HI "," CALLS(CALL("c", "f\\u0000", "\"{}\"")), 400,
         "messages[1].tool_calls[0].function.name"},
        {HI "," CALLS(CALL("", "f", "\"{}\"")), 422, "messages[1].tool_calls[0].id"},
        {HI "," CALLS("{\"id\": 1, \"function\": {\"name\": \"f\"}}"), 400,
         "messages[1].tool_calls[0].id"},
        {HI "," CALLS("{\"type\": \"custom\", \"function\": {\"name\": \"f\"}}"), 400,
         "messages[1].tool_calls[0].type"},
        {HI "," CALLS(CALL("c", "f", "\"{}\"") "," CALL("d", "f", "[1]")), 400,
         "messages[1].tool_calls[1].function.arguments"},
        {HI "," CALLS(CALL("c", "f", "5")), 400, "messages[1].tool_calls[0].function.arguments"},
        /* prefix and the last message */
        {HI "," SAYS(", \"prefix\": 1"), 400, "messages[1].prefix"},
        {"{\"role\": \"user\", \"content\": \"hi\"" PREFIX "}", 400, "messages[0].prefix"},
        {HI "," SAYS(PREFIX) "," HI, 400, "messages[1].prefix"},
        {HI ",{\"role\": \"assistant\", \"content\": \"\", \"tool_calls\": [" CALL(
             "c", "f", "{}") "]" PREFIX "}",
         400, "messages[1].tool_calls"},
        {HI "," SAYS(""), 400, "messages[1].role"},
        {HI "," SAYS(", \"prefix\": false"), 400, "messages[1].role"},
        {HI "," CALLS(CALL("c", "f", "{}")), 400, "messages[1].role"},
        {HI ",{\"role\": \"latest_reminder\", \"content\": \"r\"}", 400, "messages[1].role"},
    };
    for (size_t i = 0; i < LENGTH(rows); i++)
        assert_messages(rows[i].messages, &rules_plain, rows[i].status, rows[i].param);
}

static void continuing_by_vllms_fields_is_like_prefix(void **state)
{
    (void)state;
    static const struct {
        const char *messages, *fields;
        int status;
        const char *param;
    } rows[] = {
        {HI "," SAYS(""), "\"continue_final_message\": true", 0, ""},
        {HI "," SAYS(""), "\"continue_final_message\": true, \"add_generation_prompt\": false", 0,
         ""},
        {HI "," SAYS(PREFIX), "\"continue_final_message\": true", 0, ""},
        {HI "," SAYS(PREFIX), "\"add_generation_prompt\": false", 0, ""},
        {HI, "\"continue_final_message\": false, \"add_generation_prompt\": true", 0, ""},
        {HI, "\"continue_final_message\": true", 400, "continue_final_message"},
        {HI, "\"add_generation_prompt\": false", 400, "add_generation_prompt"},
        {HI "," SAYS(""), "\"add_generation_prompt\": false", 400, "add_generation_prompt"},
        {HI "," SAYS("") "," HI, "\"continue_final_message\": true", 400, "continue_final_message"},
        {HI "," CALLS(CALL("c", "f", "{}")), "\"continue_final_message\": true", 400,
         "messages[1].tool_calls"},
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct chat_request r;
        struct api_error e;
        int status = read_messages(&r, rows[i].messages, rows[i].fields, &rules_plain, &e);
        if (status != rows[i].status || strcmp(e.param, rows[i].param) != 0)
            fail_msg("row %zu: %d %s %s", i, status, e.param, e.message);
        if (status == 0) {
            bool is_last = strstr(rows[i].messages, "assistant") != NULL;
            size_t last = json_array_size(r.messages) - 1;
            assert_int_equal(r.continues, is_last);
            assert_int_equal(
                json_is_true(json_object_get(json_array_get(r.messages, last), "wo_eos")), is_last);
        }
        chat_request_fini(&r);
    }
}

/* Arguments are JSON inside a string: the limits of the body do not see into it. */
static void arguments_obey_the_limits_of_the_body(void **state)
{
    (void)state;
    static const struct {
        int depth, values;
        int status;
    } rows[] = {{63, 0, 0}, {64, 0, 400}, {0, 1000, 0}, {0, 1000001, 400}};
    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct buf b;
        buf_init(&b, 1 << 26);
        buf_add_str(&b, HI ",{\"role\": \"assistant\", \"tool_calls\": [{\"function\": {\"name\": "
                           "\"f\", \"arguments\": \"{\\\"a\\\": ");
        for (int k = 0; k < rows[i].depth; k++)
            buf_add_str(&b, "[");
        buf_add_str(&b, "0");
        for (int k = 0; k < rows[i].depth; k++)
            buf_add_str(&b, "]");
        for (int k = 0; k < rows[i].values; k++)
            buf_add_str(&b, ",0");
        buf_add_str(&b, "}\"}}]}," HI);
        assert_messages(buf_text(&b), &rules_plain, rows[i].status,
                        "messages[1].tool_calls[0].function.arguments");
        buf_fini(&b);
    }
}

static void long_paths_still_name_the_field(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 1 << 26);
    for (int i = 0; i < 200000; i++)
        buf_add_str(&b, "{\"role\":\"user\",\"content\":\"\"},");
    buf_add_str(&b, CALLS(CALL("c", "f", "7")));
    assert_messages(buf_text(&b), &rules_plain, 400,
                    "messages[200000].tool_calls[0].function.arguments");
    buf_fini(&b);
}

/* ---- as the hosted API ---- */

static void compat_wants_reasoning_back_with_tool_calls(void **state)
{
    (void)state;
    static const struct {
        const char *messages;
        int status;
    } rows[] = {
        {HI "," CALLS(CALL("c", "f", "{}")) "," RESULT("c"), 400},
        {HI "," THOUGHT(CALL("c", "f", "{}")) "," RESULT("c"), 0},
        {HI "," THOUGHT(CALL("c", "f", "{}")) "," RESULT("c") "," SAYS("") "," HI, 0},
        {HI "," CALLS(CALL("c", "f", "{}")) "," RESULT("c") "," SAYS("") "," HI, 400},
        {HI "," SAYS("") "," HI, 0},
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct chat_request r;
        struct api_error e;
        int status = read_messages(&r, rows[i].messages, "", &rules_compat, &e);
        assert_int_equal(status, rows[i].status);
        if (status) {
            assert_string_equal(e.message, "The `reasoning_content` in the thinking mode must be "
                                           "passed back to the API.");
            assert_string_equal(e.param, "messages[1].reasoning_content");
        }
        chat_request_fini(&r);
        assert_int_equal(read_messages(&r, rows[i].messages, OFF, &rules_compat, &e), 0);
        chat_request_fini(&r);
        assert_int_equal(read_messages(&r, rows[i].messages, "", &rules_plain, &e), 0);
        chat_request_fini(&r);
    }
}

static void compat_pairs_calls_and_results(void **state)
{
    (void)state;
#define TWO THOUGHT(CALL("c", "f", "{}") "," CALL("d", "f", "{}"))
    static const struct {
        const char *messages;
        int status;
        const char *param;
    } rows[] = {
        {HI "," TWO "," RESULT("c") "," RESULT("d"), 0, ""},
        {HI "," TWO "," RESULT("d") "," RESULT("c") "," HI, 0, ""},
        {HI "," TWO "," RESULT("c"), 400, "messages[2]"},
        {HI "," TWO "," RESULT("c") "," HI, 400, "messages[3]"},
        {HI "," TWO "," HI, 400, "messages[2]"},
        {HI "," TWO "," HI "," HI, 400, "messages[2]"},
        {HI "," TWO "," HI "," RESULT("c") "," RESULT("d"), 400, "messages[2]"},
        {HI "," TWO "," RESULT("c") "," RESULT("c"), 400, "messages[3].tool_call_id"},
        {HI "," TWO "," RESULT("x"), 400, "messages[2].tool_call_id"},
        {HI "," TWO ",{\"role\": \"tool\", \"content\": \"r\"}", 400, "messages[2].tool_call_id"},
        {HI "," RESULT("c"), 400, "messages[1].tool_call_id"},
        {HI "," THOUGHT(CALL("c", "f", "{}") "," CALL("c", "f", "{}")), 400,
         "messages[1].tool_calls[1].id"},
        {HI "," THOUGHT("{\"function\": {\"name\": \"f\"}}"), 400, "messages[1].tool_calls[0].id"},
        {HI "," TWO "," RESULT("c") "," RESULT("d") "," TWO "," RESULT("c") "," RESULT("d"), 0, ""},
        {HI "," TWO "," SAYS(PREFIX), 400, "messages[2]"},
    };
    for (size_t i = 0; i < LENGTH(rows); i++)
        assert_messages(rows[i].messages, &rules_compat, rows[i].status, rows[i].param);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_are_normalised),
        cmocka_unit_test(prompts_come_out_right),
        cmocka_unit_test(bad_messages_are_refused),
        cmocka_unit_test(continuing_by_vllms_fields_is_like_prefix),
        cmocka_unit_test(arguments_obey_the_limits_of_the_body),
        cmocka_unit_test(long_paths_still_name_the_field),
        cmocka_unit_test(compat_wants_reasoning_back_with_tool_calls),
        cmocka_unit_test(compat_pairs_calls_and_results),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
