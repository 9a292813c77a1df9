#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "serve/api_error.h"
#include "text/utf8.h"

/* Takes value. */
static void assert_json(json_t *value, const char *want)
{
    char *text = json_dumps(value, JSON_COMPACT);
    assert_non_null(text);
    assert_string_equal(text, want);
    free(text);
    json_decref(value);
}

static void the_status_gives_type_and_code(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *param, *type, *code;
        int anthropic_status;
        const char *anthropic;
    } rows[] = {
        {400, "n", "invalid_request_error", "invalid_request_error", 400, "invalid_request_error"},
        {401, NULL, "authentication_error", "invalid_request_error", 401, "authentication_error"},
        {402, NULL, "unknown_error", "invalid_request_error", 402, "billing_error"},
        {403, NULL, "invalid_request_error", "invalid_request_error", 403, "permission_error"},
        {404, NULL, "invalid_request_error", "invalid_request_error", 404, "not_found_error"},
        {404, "model", "invalid_request_error", "model_not_found", 404, "not_found_error"},
        {405, NULL, "invalid_request_error", "invalid_request_error", 405, "invalid_request_error"},
        {413, NULL, "invalid_request_error", "invalid_request_error", 413, "request_too_large"},
        {422, "n", "invalid_request_error", "invalid_request_error", 400, "invalid_request_error"},
        {429, NULL, "rate_limit_error", "rate_limit_error", 429, "rate_limit_error"},
        {431, NULL, "invalid_request_error", "invalid_request_error", 431, "invalid_request_error"},
        {500, NULL, "server_error", "server_error", 500, "api_error"},
        {503, NULL, "server_error", "server_error", 529, "overloaded_error"},
        {504, NULL, "server_error", "server_error", 504, "api_error"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct api_error e = {0};
        char want[512];
        assert_int_equal(api_refuse(&e, rows[i].status, rows[i].param, "no %d", 7), -1);
        assert_int_equal(e.status, rows[i].status);
        assert_int_equal(api_error_status(&e, API_OPENAI), rows[i].status);
        assert_int_equal(api_error_status(&e, API_ANTHROPIC), rows[i].anthropic_status);
        bool has_param = rows[i].param;
        snprintf(want, sizeof want,
                 "{\"error\":{\"message\":\"no 7\",\"type\":\"%s\",\"param\":%s%s%s,"
                 "\"code\":\"%s\"}}",
                 rows[i].type, has_param ? "\"" : "", has_param ? rows[i].param : "null",
                 has_param ? "\"" : "", rows[i].code);
        assert_json(api_error_json(&e, API_OPENAI, "req_1"), want);
        snprintf(want, sizeof want,
                 "{\"type\":\"error\",\"error\":{\"type\":\"%s\",\"message\":\"no 7\"},"
                 "\"request_id\":\"req_1\"}",
                 rows[i].anthropic);
        assert_json(api_error_json(&e, API_ANTHROPIC, "req_1"), want);
        assert_int_equal(e.retry_after > 0, rows[i].status == 429 || rows[i].status == 503);
    }
}

static void the_caller_may_name_type_and_code(void **state)
{
    (void)state;
    struct api_error e = {0};
    api_refuse(&e, 400, NULL, "too long");
    e.type = "exceed_context_size_error";
    e.code = "context_length_exceeded";
    assert_json(api_error_json(&e, API_OPENAI, NULL),
                "{\"error\":{\"message\":\"too long\",\"type\":\"exceed_context_size_error\","
                "\"param\":null,\"code\":\"context_length_exceeded\"}}");
    assert_json(api_error_json(&e, API_ANTHROPIC, NULL),
                "{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\","
                "\"message\":\"too long\"}}");
    e.type = e.code = NULL;
    assert_json(api_error_json(&e, API_OPENAI, NULL),
                "{\"error\":{\"message\":\"too long\",\"type\":\"invalid_request_error\","
                "\"param\":null,\"code\":\"invalid_request_error\"}}");
}

static void the_first_error_stays(void **state)
{
    (void)state;
    struct api_error e = {0};
    api_refuse(&e, 422, "n", "first");
    assert_int_equal(api_refuse(&e, 500, "m", "second"), -1);
    assert_int_equal(api_refuse_memory(&e), -1);
    assert_int_equal(e.status, 422);
    assert_string_equal(e.param, "n");
    assert_string_equal(e.message, "first");
    assert_int_equal(e.retry_after, 0);
}

static void an_error_below_gets_a_status(void **state)
{
    (void)state;
    static const struct {
        enum err_code code;
        int status;
        bool is_told;
    } rows[] = {{ERR_ARGUMENT, 400, true}, {ERR_FORMAT, 400, true},    {ERR_UNSUPPORTED, 400, true},
                {ERR_LIMIT, 503, false},   {ERR_IO, 500, false},       {ERR_DEVICE, 500, false},
                {ERR_NUMERIC, 500, false}, {ERR_CANCELLED, 500, false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct api_error e = {0};
        struct err err = {0};
        err_set(&err, rows[i].code, "/secret/path: 0x1234");
        assert_int_equal(api_refuse_err(&e, &err), -1);
        assert_int_equal(e.status, rows[i].status);
        assert_int_equal(strstr(e.message, "secret") != NULL, rows[i].is_told);
        assert_true(e.message[0] != 0);
    }
}

/* The text must be one printable line of UTF-8, or a client's JSON parser refuses the answer. */
static void a_length_beyond_all_numbers_is_told_as_it_is(void **state)
{
    (void)state;
    struct api_error e = {0};
    assert_int_equal(api_refuse_length(&e, "prompt", 2048, 3000, INT_MAX), -1);
    assert_string_equal(
        e.message, "This model's maximum context length is 2048 tokens. However, you requested "
                   "2147486647 tokens (3000 in the prompt, 2147483647 in the completion).");
    assert_string_equal(e.code, "context_length_exceeded");
    e = (struct api_error){0};
    api_refuse(&e, 422, "n", "first");
    api_refuse_length(&e, "prompt", 2048, 3000, 1);
    assert_string_equal(e.message, "first");
    assert_null(e.code);
}

static void messages_are_printable_text(void **state)
{
    (void)state;
    struct api_error e = {0};
    api_refuse(&e, 400, "a\nb", "x\r\n\x1b[2J\x7f y\xff\xc3z \xed\xa0\x80 ok \xe5\xa5\xbd");
    assert_string_equal(e.param, "a?b");
    assert_string_equal(e.message, "x???[2J? y??z ??? ok \xe5\xa5\xbd");

    /* Cut at every place inside a character. */
    for (size_t shift = 0; shift < 8; shift++) {
        char text[1024] = "12345678";
        e = (struct api_error){0};
        for (size_t at = shift; at + 4 < sizeof text; at += 4)
            memcpy(text + at, "\xf0\x9f\x98\x80", 5);
        api_refuse(&e, 400, text, "%s", text);
        assert_true(utf8_valid(e.message, strlen(e.message)));
        assert_true(utf8_valid(e.param, strlen(e.param)));
        assert_null(strchr(e.message, '?'));
        assert_null(strchr(e.param, '?'));
        assert_in_range(strlen(e.message), sizeof e.message - 4, sizeof e.message - 1);
        assert_in_range(strlen(e.param), sizeof e.param - 4, sizeof e.param - 1);
        json_t *json = api_error_json(&e, API_OPENAI, NULL);
        assert_string_equal(
            json_string_value(json_object_get(json_object_get(json, "error"), "message")),
            e.message);
        json_decref(json);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_status_gives_type_and_code),
        cmocka_unit_test(the_caller_may_name_type_and_code),
        cmocka_unit_test(the_first_error_stays),
        cmocka_unit_test(an_error_below_gets_a_status),
        cmocka_unit_test(a_length_beyond_all_numbers_is_told_as_it_is),
        cmocka_unit_test(messages_are_printable_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
