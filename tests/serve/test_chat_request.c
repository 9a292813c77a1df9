/* The body of a chat request: fields and their ranges, aliases and precedence, what is refused and how.
 * Thinking, tools and messages have tests of their own. */
#include <limits.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "../support/chat_body.h"

/* ---- every field ---- */

static void absent_fields_have_their_defaults(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "",
        "\"thinking\": null, \"reasoning_effort\": null, \"max_tokens\": null, "
        "\"max_completion_tokens\": null, \"temperature\": null, \"top_p\": null, "
        "\"presence_penalty\": null, \"frequency_penalty\": null, \"stop\": null, "
        "\"stream\": null, \"stream_options\": null, \"response_format\": null, \"tools\": null, "
        "\"tool_choice\": null, \"parallel_tool_calls\": null, \"logprobs\": null, "
        "\"top_logprobs\": null, \"user_id\": null, \"user\": null, \"top_k\": null, "
        "\"min_p\": null, \"repetition_penalty\": null, \"seed\": null, \"n\": null, "
        "\"logit_bias\": null, \"min_tokens\": null, \"ignore_eos\": null, "
        "\"stop_token_ids\": null, \"skip_special_tokens\": null, "
        "\"chat_template_kwargs\": null, \"structured_outputs\": null, \"guided_json\": null, "
        "\"guided_regex\": null, \"grammar\": null, \"continue_final_message\": null, "
        "\"add_generation_prompt\": null",
        "\"thinking\": {\"type\": null, \"reasoning_effort\": null}, "
        "\"chat_template_kwargs\": {\"thinking\": null, \"enable_thinking\": null, "
        "\"reasoning_effort\": null, \"drop_thinking\": null}, \"logit_bias\": {}, \"stop\": [], "
        "\"tools\": [], \"grammar\": \"\", \"stop_token_ids\": [], \"guided_json\": {}, "
        "\"functions\": [], \"user\": \"\", \"user_id\": \"\", \"logprobs\": false, "
        "\"top_logprobs\": 0, \"unknown\": [{\"deep\": 1}], \"id_slot\": \"x\", \"cache_prompt\": "
        "null, "
        "\"cache_salt\": null",
    };
    for (size_t i = 0; i < LENGTH(bodies); i++) {
        struct chat_request *r = body_good(bodies[i], &rules_plain);
        struct sampler_options s = sampler_defaults();
        s.bias = r->bias;
        assert_memory_equal(&r->sampling, &s, sizeof s);
        assert_float_equal(r->sampling.temperature, 1, 0);
        assert_float_equal(r->sampling.top_p, 1, 0);
        assert_int_equal(r->sampling.logprobs, -1);
        assert_string_equal(r->model, "m");
        assert_int_equal(json_array_size(r->messages), 1);
        assert_null(r->tools);
        assert_int_equal(r->prompt.family, FAMILY_OFFICIAL);
        assert_true(r->prompt.thinking);
        assert_false(r->prompt.keep_thinking);
        assert_false(r->prompt.no_bos);
        assert_string_equal(r->prompt.effort, "high");
        assert_false(r->continues);
        assert_false(r->has_seed);
        assert_int_equal(r->n, 1);
        assert_int_equal(r->max_tokens, -1);
        assert_int_equal(r->ends.min_tokens, 0);
        assert_int_equal(r->n_stops, 0);
        assert_false(r->ends.ignore_eos || r->stream || r->include_usage || r->logprobs);
        assert_int_equal(r->tool_choice, TOOLS_NONE);
        assert_null(r->tool_name);
        assert_true(r->parallel_tool_calls);
        assert_false(r->is_bound);
        assert_null(r->sharing.user);
        chat_request_fini(r);
    }
}

static void given_fields_arrive(void **state)
{
    (void)state;
    struct chat_request *r = body_good(
        "\"temperature\": 0.5, \"top_p\": 0.25, \"top_k\": 40, \"min_p\": 0.125, "
        "\"repetition_penalty\": 1.5, \"presence_penalty\": -2, \"frequency_penalty\": 2, "
        "\"seed\": 9007199254740993, \"n\": 3, \"max_tokens\": 7, \"ignore_eos\": true, "
        "\"stop\": [\"a\", \"bc\"], \"stream\": true, "
        "\"stream_options\": {\"include_usage\": true, \"other\": 1}, \"logprobs\": true, "
        "\"top_logprobs\": 5, \"user\": \"u\", \"parallel_tool_calls\": false, "
        "\"chat_template_kwargs\": {\"drop_thinking\": false, \"other\": 1}, "
        "\"min_tokens\": 0, \"skip_special_tokens\": false, \"thinking\": {\"type\": "
        "\"enabled\", \"budget_tokens\": 100}, \"response_format\": {\"type\": \"text\"}",
        &rules_plain);
    const struct sampler_options *s = &r->sampling;
    assert_float_equal(s->temperature, 0.5, 0);
    assert_float_equal(s->top_p, 0.25, 0);
    assert_int_equal(s->top_k, 40);
    assert_float_equal(s->min_p, 0.125, 0);
    assert_float_equal(s->repeat_penalty, 1.5, 0);
    assert_float_equal(s->presence_penalty, -2, 0);
    assert_float_equal(s->frequency_penalty, 2, 0);
    assert_int_equal(s->logprobs, 5);
    assert_true(r->logprobs);
    assert_true(r->has_seed);
    assert_true(r->seed == 9007199254740993u);
    assert_int_equal(r->n, 3);
    assert_int_equal(r->max_tokens, 7);
    assert_true(r->ends.ignore_eos);
    assert_int_equal(r->n_stops, 2);
    assert_string_equal(r->stops[0], "a");
    assert_string_equal(r->stops[1], "bc");
    assert_true(r->stream && r->include_usage);
    assert_string_equal(r->sharing.user, "u");
    assert_false(r->parallel_tool_calls);
    assert_true(r->prompt.keep_thinking);
    chat_request_fini(r);
}

enum { BOOL = 1, INT = 2, REAL = 4, TEXT = 8, LIST = 16, OBJECT = 32, NUMBER = INT | REAL };

/* Every value of a type that the field does not have is 400 with the field's name. */
static void wrong_types_are_refused(void **state)
{
    (void)state;
    static const struct {
        int type;
        const char *value;
    } values[] = {{BOOL, "true"},        {BOOL, "false"}, {INT, "1"},      {REAL, "1.0"},
                  {REAL, "0.5"},         {REAL, "1e2"},   {TEXT, "\"1\""}, {TEXT, "\"true\""},
                  {TEXT, "\"NaN\""},     {LIST, "[1]"},   {LIST, "[]"},    {OBJECT, "{}"},
                  {OBJECT, "{\"a\": 1}"}};
    static const struct {
        const char *name;
        int types;
        const char *around; /* of a field inside another, with a %s for it */
    } fields[] = {
        {"thinking", OBJECT, NULL},
        {"reasoning_effort", TEXT, NULL},
        {"max_tokens", INT, NULL},
        {"max_completion_tokens", INT, NULL},
        {"temperature", NUMBER, NULL},
        {"top_p", NUMBER, NULL},
        {"presence_penalty", NUMBER, NULL},
        {"frequency_penalty", NUMBER, NULL},
        {"stop", TEXT | LIST, NULL},
        {"stream", BOOL, NULL},
        {"stream_options", OBJECT, NULL},
        {"response_format", OBJECT, NULL},
        {"tools", LIST, NULL},
        {"tool_choice", TEXT | OBJECT, NULL},
        {"parallel_tool_calls", BOOL, NULL},
        {"logprobs", BOOL, NULL},
        {"top_logprobs", INT, NULL},
        {"user", TEXT, NULL},
        {"user_id", TEXT, NULL},
        {"cache_prompt", BOOL, NULL},
        {"cache_salt", TEXT, NULL},
        {"top_k", INT, NULL},
        {"min_p", NUMBER, NULL},
        {"repetition_penalty", NUMBER, NULL},
        {"seed", INT, NULL},
        {"n", INT, NULL},
        {"logit_bias", OBJECT, NULL},
        {"min_tokens", INT, NULL},
        {"ignore_eos", BOOL, NULL},
        {"skip_special_tokens", BOOL, NULL},
        {"chat_template_kwargs", OBJECT, NULL},
        {"continue_final_message", BOOL, NULL},
        {"add_generation_prompt", BOOL, NULL},
        {"thinking.type", TEXT, "\"thinking\": {\"type\": %s}"},
        {"thinking.reasoning_effort", TEXT, "\"thinking\": {\"reasoning_effort\": %s}"},
        {"chat_template_kwargs.thinking", BOOL, "\"chat_template_kwargs\": {\"thinking\": %s}"},
        {"chat_template_kwargs.enable_thinking", BOOL,
         "\"chat_template_kwargs\": {\"enable_thinking\": %s}"},
        {"chat_template_kwargs.reasoning_effort", TEXT,
         "\"chat_template_kwargs\": {\"reasoning_effort\": %s}"},
        {"chat_template_kwargs.drop_thinking", BOOL,
         "\"chat_template_kwargs\": {\"drop_thinking\": %s}"},
        {"stream_options.include_usage", BOOL,
         "\"stream\": true, \"stream_options\": {\"include_usage\": %s}"},
        {"response_format.type", TEXT, "\"response_format\": {\"type\": %s}"},
        {"logit_bias.17", NUMBER, "\"logit_bias\": {\"17\": %s}"},
        {"stop[1]", TEXT, "\"stop\": [\"x\", %s]"},
    };
    for (size_t i = 0; i < LENGTH(fields); i++) {
        for (size_t k = 0; k < LENGTH(values); k++) {
            char text[256];
            if (values[k].type & fields[i].types) continue;
            if (fields[i].around) {
                const char *hole = strstr(fields[i].around, "%s");
                snprintf(text, sizeof text, "%.*s%s%s", (int)(hole - fields[i].around),
                         fields[i].around, values[k].value, hole + 2);
            } else {
                snprintf(text, sizeof text, "\"%s\": %s", fields[i].name, values[k].value);
            }
            assert_body(text, &rules_plain, 400, fields[i].name);
        }
    }
}

/* ---- numbers ---- */

struct range {
    const char *name;
    bool is_integer;
    double low, high;
    const char *inside[3], *outside[3]; /* right at the ends */
};

static const struct range ranges[] = {
    {"temperature", false, 0, 2, {"0", "2", "2.0"}, {"-1e-9", "2.0000001", "-5e-324"}},
    {"top_p", false, 0, 1, {"1", "1e-9", "1.0"}, {"0", "1.0000001", "-0.1"}},
    {"min_p", false, 0, 1, {"0", "1", "1.0"}, {"-0.0001", "1.0000001", "-1"}},
    {"presence_penalty", false, -2, 2, {"-2", "2", "-2.0"}, {"-2.0000001", "2.0000001", "3"}},
    {"frequency_penalty", false, -2, 2, {"-2", "2", "2.0"}, {"-2.0000001", "2.0000001", "-3"}},
    {"repetition_penalty", false, 0.01, 100, {"0.01", "100", "1"}, {"0.0099", "100.001", "0"}},
    {"top_k", true, -1, INT_MAX, {"-1", "0", "2147483647"}, {"-2", "2147483648", "4294967296"}},
    {"n", true, 1, 16, {"1", "16", "2"}, {"0", "17", "-1"}},
    {"max_tokens", true, 1, INT_MAX, {"1", "2", "2147483647"}, {"0", "-1", "4294967297"}},
    {"max_completion_tokens", true, 1, INT_MAX, {"1", "2", "3"}, {"0", "-1", "-4294967295"}},
    {"top_logprobs", true, 0, 20, {"0", "0", "0"}, {"-1", "21", "4294967296"}},
    {"min_tokens", true, 0, INT_MAX, {"0", "0", "0"}, {"-1", "2147483648", "-2147483648"}},
    {"seed", true, -0x1p63, 0x1p63, {"-1", "0", "-9223372036854775808"}, {NULL}},
};

static void ranges_are_closed_at_both_ends(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTH(ranges); i++) {
        for (int k = 0; k < 3; k++) {
            char text[128];
            snprintf(text, sizeof text, "\"%s\": %s", ranges[i].name, ranges[i].inside[k]);
            assert_body(text, &rules_plain, 0, "");
            if (!ranges[i].outside[k]) continue;
            snprintf(text, sizeof text, "\"%s\": %s", ranges[i].name, ranges[i].outside[k]);
            assert_body(text, &rules_plain, 422, ranges[i].name);
        }
    }
    assert_body("\"logprobs\": true, \"top_logprobs\": 20", &rules_plain, 0, "");
    assert_body("\"logprobs\": true, \"top_logprobs\": 21", &rules_plain, 422, "top_logprobs");
}

/* Rule P1: what JSON cannot say is refused with the body, the rest by the field's range. */
static void special_numbers_are_in_range_or_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double value;
        bool is_integer, is_json;
    } numbers[] = {
        {"NaN", 0, false, false},
        {"Infinity", 0, false, false},
        {"-Infinity", 0, false, false},
        {"1e999", 0, false, false},
        {"-1e999", 0, false, false},
        {"9223372036854775808", 0, true, false},
        {"-9223372036854775809", 0, true, false},
        {"0x10", 0, true, false},
        {"01", 0, true, false},
        {"-0", 0, true, true},
        {"-0.0", 0, false, true},
        {"2147483648", 0x1p31, true, true},
        {"-2147483649", -0x1p31 - 1, true, true},
        {"9007199254740993", 0x1p53, true, true},
        {"9223372036854775807", 0x1p63, true, true},
        {"-9223372036854775808", -0x1p63, true, true},
        {"9007199254740993.0", 0x1p53, false, true},
        {"1e308", 1e308, false, true},
        {"-1e308", -1e308, false, true},
    };
    for (size_t i = 0; i < LENGTH(ranges); i++) {
        for (size_t k = 0; k < LENGTH(numbers); k++) {
            const struct range *field = &ranges[i];
            char text[128];
            double x = numbers[k].value;
            int status = x < field->low || x > field->high ? 422 : 0;
            if (strcmp(field->name, "top_p") == 0 && x == 0) status = 422;
            if (field->is_integer && !numbers[k].is_integer) status = 400;
            if (!numbers[k].is_json) status = 400;
            snprintf(text, sizeof text, "\"%s\": %s", field->name, numbers[k].text);
            assert_body(text, &rules_plain, status, numbers[k].is_json ? field->name : "");
        }
    }
}

static void minus_zero_and_tiny_numbers_are_safe(void **state)
{
    (void)state;
    struct chat_request *r =
        body_good("\"temperature\": -0.0, \"presence_penalty\": -0", &rules_plain);
    assert_int_equal(signbit(r->sampling.temperature), 0);
    assert_int_equal(signbit(r->sampling.presence_penalty), 0);
    chat_request_fini(r);
    /* Above 0 as a double, 0 as a float. */
    assert_body("\"top_p\": 1e-60", &rules_plain, 422, "top_p");
    r = body_good("\"temperature\": 1e-60", &rules_plain);
    assert_float_equal(r->sampling.temperature, 0, 0);
    chat_request_fini(r);
}

static void seeds_have_64_bits_and_minus_one_is_none(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool has;
        uint64_t seed;
    } rows[] = {{"\"seed\": 0", true, 0},
                {"\"seed\": 9223372036854775807", true, INT64_MAX},
                {"\"seed\": -2", true, UINT64_MAX - 1},
                {"\"seed\": -9223372036854775808", true, (uint64_t)1 << 63},
                {"\"seed\": -1", false, 0},
                {"\"seed\": null", false, 0}};
    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct chat_request *r = body_good(rows[i].text, &rules_plain);
        assert_int_equal(r->has_seed, rows[i].has);
        assert_true(r->seed == rows[i].seed);
        chat_request_fini(r);
    }
}

static void max_completion_tokens_goes_first(void **state)
{
    (void)state;
    struct chat_request *r =
        body_good("\"max_tokens\": 5, \"max_completion_tokens\": 9", &rules_plain);
    assert_int_equal(r->max_tokens, 9);
    chat_request_fini(r);
    r = body_good("\"max_completion_tokens\": 9", &rules_plain);
    assert_int_equal(r->max_tokens, 9);
    chat_request_fini(r);
    assert_body("\"max_tokens\": 0, \"max_completion_tokens\": 9", &rules_plain, 422, "max_tokens");
    r = body_good("\"top_k\": -1", &rules_plain);
    assert_int_equal(r->sampling.top_k, 0);
    chat_request_fini(r);
}

/* ---- texts ---- */

/* `"name": "xxx..."` of n bytes, in quotes or as element i of a list of i + 1. */
static char *long_field(const char *name, int n, int i)
{
    struct buf b;
    buf_init(&b, 1 << 20);
    buf_printf(&b, "\"%s\": %s", name, i >= 0 ? "[" : "");
    for (int k = 0; k < i; k++)
        buf_add_str(&b, "\"y\", ");
    buf_add_str(&b, "\"");
    for (int k = 0; k < n; k++)
        buf_add_str(&b, "x");
    buf_add_str(&b, i >= 0 ? "\"]" : "\"");
    return buf_take(&b);
}

static void lengths_are_limited(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int bytes, element, status;
        const char *param;
    } rows[] = {
        {"user", 512, -1, 0, ""},       {"user", 513, -1, 422, "user"},
        {"user_id", 512, -1, 0, ""},    {"user_id", 513, -1, 422, "user_id"},
        {"cache_salt", 512, -1, 0, ""}, {"cache_salt", 513, -1, 422, "cache_salt"},
        {"stop", 1, -1, 0, ""},         {"stop", 256, -1, 0, ""},
        {"stop", 257, -1, 422, "stop"}, {"stop", 0, -1, 422, "stop"},
        {"stop", 256, 0, 0, ""},        {"stop", 257, 0, 422, "stop[0]"},
        {"stop", 0, 3, 422, "stop[3]"}, {"stop", 257, 15, 422, "stop[15]"},
        {"stop", 256, 15, 0, ""},       {"stop", 1, 16, 422, "stop"},
        {"stop", 1, 9999, 422, "stop"},
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        char *text = long_field(rows[i].name, rows[i].bytes, rows[i].element);
        assert_body(text, &rules_plain, rows[i].status, rows[i].param);
        free(text);
    }
    assert_body("\"stop\": \"a\\u0000b\"", &rules_plain, 400, "stop");
    assert_body("\"stop\": [\"a\\u0000b\"]", &rules_plain, 400, "stop[0]");
    assert_body("\"user\": \"\\u0000\"", &rules_plain, 400, "user");
    assert_body("\"stop\": [null]", &rules_plain, 400, "stop[0]");
}

static void stops_count_bytes_and_keep_their_order(void **state)
{
    (void)state;
    struct chat_request *r = body_good("\"stop\": \"\xe5\xa5\xbd\\n\"", &rules_plain);
    assert_int_equal(r->n_stops, 1);
    assert_string_equal(r->stops[0], "\xe5\xa5\xbd\n");
    chat_request_fini(r);
    r = body_good("\"stop\": [\"c\", \"a\", \"a\"]", &rules_plain);
    assert_int_equal(r->n_stops, 3);
    assert_string_equal(r->stops[0], "c");
    assert_string_equal(r->stops[2], "a");
    chat_request_fini(r);
}

static void model_and_messages_are_required(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        int status;
        const char *param;
    } rows[] = {
        {"{}", 400, "model"},
        {"{\"model\": null}", 400, "model"},
        {"{\"model\": \"\"}", 422, "model"},
        {"{\"model\": 1}", 400, "model"},
        {"{\"model\": [\"m\"]}", 400, "model"},
        {"{\"model\": \"a\\u0000\"}", 400, "model"},
        {"{\"model\": \"m\"}", 400, "messages"},
        {"{\"model\": \"m\", \"messages\": null}", 400, "messages"},
        {"{\"model\": \"m\", \"messages\": []}", 422, "messages"},
        {"{\"model\": \"m\", \"messages\": {}}", 400, "messages"},
        {"{\"model\": \"m\", \"messages\": \"hi\"}", 400, "messages"},
        {"{\"model\": \"m\", \"messages\": [\"hi\"]}", 400, "messages[0]"},
        {"[]", 400, ""},
        {"\"x\"", 400, ""},
        {"null", 400, ""},
        {"", 400, ""},
        {"{\"model\": \"m\", \"model\": \"m\"}", 400, ""},
        {"{\"model\": \"\xff\"}", 400, ""},
        {"{\"model\": \"m\"} x", 400, ""},
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct chat_request r;
        struct api_error e;
        int status = body_read(&r, rows[i].body, &rules_plain, &e);
        if (status != rows[i].status || strcmp(e.param, rows[i].param) != 0)
            fail_msg("%s: %d %s %s", rows[i].body, status, e.param, e.message);
        chat_request_fini(&r);
    }
    json_t *body;
    struct api_error e = {0};
    assert_int_equal(body_parse(&body, "[]", 2, &e), -1);
    assert_int_equal(e.status, 400);
    assert_null(body);
    /* A body that was never text. */
    struct chat_request r;
    e = (struct api_error){0};
    assert_int_equal(chat_request_read(&r, json_array(), &rules_plain, &e), -1);
    assert_int_equal(e.status, 400);
    assert_null(r.body);
}

static void model_names_may_have_256_bytes(void **state)
{
    (void)state;
    for (int n = 255; n <= 257; n++) {
        struct chat_request r;
        struct api_error e;
        struct buf b;
        char *model = long_field("model", n, -1);
        buf_init(&b, 1 << 16);
        buf_printf(&b, "{%s, \"messages\": [{\"role\": \"user\", \"content\": \"\"}]}", model);
        assert_int_equal(body_read(&r, buf_text(&b), &rules_plain, &e), n > 256 ? 422 : 0);
        chat_request_fini(&r);
        buf_fini(&b);
        free(model);
    }
}

static void too_deep_is_the_clients_fault(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 1 << 20);
    buf_add_str(&b, "\"x\": ");
    for (int i = 0; i < 100; i++)
        buf_add_str(&b, "[");
    for (int i = 0; i < 100; i++)
        buf_add_str(&b, "]");
    assert_body(buf_text(&b), &rules_plain, 400, "");
    buf_fini(&b);
}

static void the_cache_is_asked_unless_told_otherwise(void **state)
{
    (void)state;
    static const struct {
        const char *fields, *salt;
        bool cache;
    } rows[] = {{"\"n\": 1", NULL, true},
                {"\"cache_prompt\": true, \"cache_salt\": \"a\"", "a", true},
                {"\"cache_prompt\": false, \"cache_salt\": \"\"", "", false}};
    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct chat_request *r = body_good(rows[i].fields, &rules_plain);
        assert_int_equal(r->sharing.cache_prompt, rows[i].cache);
        assert_int_equal(r->sharing.salt != NULL, rows[i].salt != NULL);
        if (r->sharing.salt) assert_string_equal(r->sharing.salt, rows[i].salt);
        chat_request_fini(r);
    }
}

static void user_id_goes_before_user(void **state)
{
    (void)state;
    static const struct {
        const char *fields, *user;
    } rows[] = {{"\"user\": \"a\"", "a"},
                {"\"user_id\": \"b\"", "b"},
                {"\"user\": \"a\", \"user_id\": \"b\"", "b"},
                {"\"user\": \"a\", \"user_id\": \"\"", "a"},
                {"\"user\": \"a\", \"user_id\": null", "a"}};
    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct chat_request *r = body_good(rows[i].fields, &rules_plain);
        assert_string_equal(r->sharing.user, rows[i].user);
        chat_request_fini(r);
    }
}

/* ---- words ---- */

static void unknown_words_are_refused_and_listed(void **state)
{
    (void)state;
    static const struct {
        const char *fields, *param, *message;
    } rows[] = {
        {"\"reasoning_effort\": \"huge\"", "reasoning_effort",
         "reasoning_effort: \"huge\" is unknown; there are none, minimal, low, medium, high, "
         "xhigh, "
         "max, ultra"},
        {"\"reasoning_effort\": \"\"", "reasoning_effort", "\"\" is unknown"},
        {"\"reasoning_effort\": \"High\"", "reasoning_effort", "\"High\" is unknown"},
        {"\"reasoning_effort\": \"high\\u0000\"", "reasoning_effort", "is unknown"},
        {"\"thinking\": {\"type\": \"on\"}", "thinking.type",
         "there are disabled, enabled, adaptive"},
        {"\"tool_choice\": \"any\"", "tool_choice", "there are none, auto, required"},
        {"\"response_format\": {\"type\": \"xml\"}", "response_format.type",
         "there are text, json_object, json_schema"},
        {"\"response_format\": {}", "response_format.type", "is required"},
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct chat_request r;
        struct api_error e;
        assert_int_equal(body_read_with(&r, rows[i].fields, &rules_plain, &e), 400);
        assert_string_equal(e.param, rows[i].param);
        if (!strstr(e.message, rows[i].message))
            fail_msg("\"%s\" lacks \"%s\"", e.message, rows[i].message);
    }
}

/* ---- logit bias ---- */

static void biases_are_read(void **state)
{
    (void)state;
    struct chat_request *r =
        body_good("\"logit_bias\": {\"0\": -100, \"2147483647\": 100, \"007\": 0.5, \"9\": null}",
                  &rules_plain);
    assert_int_equal(r->sampling.n_bias, 4);
    assert_ptr_equal(r->sampling.bias, r->bias);
    float sum[4] = {0};
    for (int i = 0; i < 4; i++) {
        int id = r->bias[i].id;
        sum[id == 0 ? 0 : id == INT_MAX ? 1 : id == 7 ? 2 : 3] += r->bias[i].bias;
    }
    assert_float_equal(sum[0], -100, 0);
    assert_float_equal(sum[1], 100, 0);
    assert_float_equal(sum[2], 0.5, 0);
    assert_float_equal(sum[3], 0, 0);
    chat_request_fini(r);

    static const char *const keys[] = {"",
                                       "-1",
                                       "+1",
                                       "1.0",
                                       "x",
                                       "1 ",
                                       " 1",
                                       "2147483648",
                                       "0x1",
                                       "1e1",
                                       "99999999999999999999",
                                       "\\u0661",
                                       "00000000001"};
    for (size_t i = 0; i < LENGTH(keys); i++) {
        char text[128];
        snprintf(text, sizeof text, "\"logit_bias\": {\"%s\": 1}", keys[i]);
        assert_body(text, &rules_plain, 400, "logit_bias");
    }
    assert_body("\"logit_bias\": {\"5\": 100.001}", &rules_plain, 422, "logit_bias.5");
    assert_body("\"logit_bias\": {\"5\": -1e300}", &rules_plain, 422, "logit_bias.5");
    for (int n = SAMPLING_MAX_BIAS; n <= SAMPLING_MAX_BIAS + 1; n++) {
        struct buf b;
        buf_init(&b, 1 << 20);
        buf_add_str(&b, "\"logit_bias\": {");
        for (int i = 0; i < n; i++)
            buf_printf(&b, "%s\"%d\": 1", i ? "," : "", i);
        buf_add_str(&b, "}");
        assert_body(buf_text(&b), &rules_plain, n > SAMPLING_MAX_BIAS ? 422 : 0, "logit_bias");
        buf_fini(&b);
    }
}

/* ---- fields that need each other, and what is not done ---- */

static void fields_that_contradict_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *fields, *param;
    } rows[] = {
        {"\"top_logprobs\": 3", "top_logprobs"},
        {"\"top_logprobs\": 3, \"logprobs\": false", "top_logprobs"},
        {"\"stream_options\": {}", "stream_options"},
        {"\"stream_options\": {\"include_usage\": true}, \"stream\": false", "stream_options"},
        {"\"logit_bias\": {\"1\": 1}, \"logprobs\": true", "logit_bias"},
        {"\"min_tokens\": 1, \"stop\": \"x\"", "min_tokens"},
        {"\"min_tokens\": 5, \"max_tokens\": 4", "min_tokens"},
        {"\"min_tokens\": 1, \"guided_regex\": \"a\"", "min_tokens"},
        {"\"continue_final_message\": true", "continue_final_message"},
        {"\"add_generation_prompt\": false", "add_generation_prompt"},
    };
    for (size_t i = 0; i < LENGTH(rows); i++)
        assert_body(rows[i].fields, &rules_plain, 400, rows[i].param);
    struct chat_request *r = body_good("\"logprobs\": true, \"logit_bias\": {}", &rules_plain);
    assert_true(r->logprobs);
    assert_int_equal(r->sampling.logprobs, 0);
    chat_request_fini(r);
}

static void tokens_that_end_are_read(void **state)
{
    (void)state;
    struct chat_request *r =
        body_good("\"stop_token_ids\": [7, 2147483647], \"min_tokens\": 3", &rules_plain);
    assert_int_equal(r->ends.n_stop_ids, 2);
    assert_true(sampling_is_stop(&r->ends, 7) && sampling_is_stop(&r->ends, 2147483647));
    assert_false(sampling_is_stop(&r->ends, 0));
    assert_int_equal(r->ends.min_tokens, 3);
    chat_request_fini(r);
    assert_body("\"stop_token_ids\": 7", &rules_plain, 400, "stop_token_ids");
    assert_body("\"stop_token_ids\": [\"7\"]", &rules_plain, 400, "stop_token_ids");
    assert_body("\"stop_token_ids\": [-1]", &rules_plain, 422, "stop_token_ids");
    assert_body("\"stop_token_ids\": [2147483648]", &rules_plain, 422, "stop_token_ids");
    for (int n = SAMPLING_MAX_STOP_IDS; n <= SAMPLING_MAX_STOP_IDS + 1; n++) {
        struct buf b;
        buf_init(&b, 1 << 16);
        for (int i = 0; i < n; i++)
            buf_printf(&b, "%s%d", i ? ", " : "\"stop_token_ids\": [", i);
        buf_add_str(&b, "]");
        assert_body(buf_text(&b), &rules_plain, n > SAMPLING_MAX_STOP_IDS ? 422 : 0,
                    "stop_token_ids");
        buf_fini(&b);
    }
}

static void what_is_not_done_is_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *fields, *param;
    } rows[] = {
        {"\"functions\": [{\"name\": \"f\"}]", "functions"},
    };
    for (size_t i = 0; i < LENGTH(rows); i++)
        assert_body(rows[i].fields, &rules_plain, 400, rows[i].param);
}

/* ---- as the hosted API ---- */

static void compat_ignores_sampling_while_thinking(void **state)
{
    (void)state;
    static const char fields[] =
        "\"temperature\": 0, \"top_p\": 0.5, \"top_k\": 3, \"min_p\": 0.5, \"presence_penalty\": "
        "1, "
        "\"frequency_penalty\": 1, \"repetition_penalty\": 2, \"logprobs\": true, "
        "\"top_logprobs\": 2, \"thinking\": {\"type\": \"%s\"}";
    for (int on = 0; on < 2; on++) {
        char text[512];
        snprintf(text, sizeof text, "%.*s%s\"}", (int)(sizeof fields - 5), fields,
                 on ? "enabled" : "disabled");
        struct chat_request *r = body_good(text, &rules_compat);
        const struct sampler_options *s = &r->sampling;
        assert_float_equal(s->temperature, on ? 1 : 0, 0);
        assert_float_equal(s->top_p, on ? 1 : 0.5, 0);
        assert_int_equal(s->top_k, on ? 0 : 3);
        assert_float_equal(s->min_p, on ? 0 : 0.5, 0);
        assert_float_equal(s->presence_penalty, on ? 0 : 1, 0);
        assert_float_equal(s->frequency_penalty, on ? 0 : 1, 0);
        assert_float_equal(s->repeat_penalty, on ? 1 : 2, 0);
        assert_int_equal(s->logprobs, 2);
        chat_request_fini(r);
        r = body_good(text, &rules_plain);
        assert_float_equal(r->sampling.temperature, 0, 0);
        chat_request_fini(r);
    }
    struct chat_request *r = body_good("\"logit_bias\": {\"4\": 1}", &rules_compat);
    assert_int_equal(r->sampling.n_bias, 1);
    assert_ptr_equal(r->sampling.bias, r->bias);
    chat_request_fini(r);
    assert_body("\"temperature\": 3", &rules_compat, 422, "temperature");
}

static void a_refusal_has_the_apis_form(void **state)
{
    (void)state;
    struct chat_request r;
    struct api_error e;
    assert_int_equal(body_read_with(&r, "\"n\": 17", &rules_plain, &e), 422);
    json_t *json = api_error_json(&e, API_OPENAI, NULL);
    char *text = json_dumps(json, JSON_COMPACT);
    assert_string_equal(text, "{\"error\":{\"message\":\"n: is 17, allowed are 1 to 16\","
                              "\"type\":\"invalid_request_error\",\"param\":\"n\","
                              "\"code\":\"invalid_request_error\"}}");
    free(text);
    json_decref(json);
    assert_int_equal(api_error_status(&e, API_ANTHROPIC), 400);
    json = api_error_json(&e, API_ANTHROPIC, "req_7");
    text = json_dumps(json, JSON_COMPACT);
    assert_string_equal(text, "{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\","
                              "\"message\":\"n: is 17, allowed are 1 to 16\"},"
                              "\"request_id\":\"req_7\"}");
    free(text);
    json_decref(json);
    chat_request_fini(&r);
    chat_request_fini(&r); /* twice is fine */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(absent_fields_have_their_defaults),
        cmocka_unit_test(given_fields_arrive),
        cmocka_unit_test(wrong_types_are_refused),
        cmocka_unit_test(ranges_are_closed_at_both_ends),
        cmocka_unit_test(special_numbers_are_in_range_or_refused),
        cmocka_unit_test(minus_zero_and_tiny_numbers_are_safe),
        cmocka_unit_test(seeds_have_64_bits_and_minus_one_is_none),
        cmocka_unit_test(max_completion_tokens_goes_first),
        cmocka_unit_test(lengths_are_limited),
        cmocka_unit_test(stops_count_bytes_and_keep_their_order),
        cmocka_unit_test(model_and_messages_are_required),
        cmocka_unit_test(model_names_may_have_256_bytes),
        cmocka_unit_test(too_deep_is_the_clients_fault),
        cmocka_unit_test(the_cache_is_asked_unless_told_otherwise),
        cmocka_unit_test(user_id_goes_before_user),
        cmocka_unit_test(unknown_words_are_refused_and_listed),
        cmocka_unit_test(biases_are_read),
        cmocka_unit_test(fields_that_contradict_are_refused),
        cmocka_unit_test(tokens_that_end_are_read),
        cmocka_unit_test(what_is_not_done_is_refused_by_name),
        cmocka_unit_test(compat_ignores_sampling_while_thinking),
        cmocka_unit_test(a_refusal_has_the_apis_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
