#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "../support/chat_body.h"

static void tools_are_kept_and_chosen(void **state)
{
    (void)state;
    static const struct {
        const char *fields;
        enum tool_choice choice;
        size_t n_tools;
    } rows[] = {
        {"\"tools\": [" TOOL("f") ", " TOOL("g") "]", TOOLS_AUTO, 2},
        {"\"tools\": [" TOOL("f") "], \"tool_choice\": \"auto\"", TOOLS_AUTO, 1},
        {"\"tools\": [" TOOL("f") "], \"tool_choice\": null", TOOLS_AUTO, 1},
        {"\"tools\": [" TOOL("f") "], \"tool_choice\": \"none\"", TOOLS_NONE, 0},
        {"\"tools\": [], \"tool_choice\": \"auto\"", TOOLS_NONE, 0},
        {"\"tool_choice\": \"none\"", TOOLS_NONE, 0},
        {"\"tools\": [{\"function\": {\"name\": \"A-z_09\", \"description\": null, "
         "\"parameters\": null, \"strict\": false, \"other\": 1}}]",
         TOOLS_AUTO, 1},
        {"\"tools\": [{\"type\": \"function\", \"function\": {\"name\": \"f\", \"description\": "
         "\"d\", \"parameters\": {\"type\": \"object\"}, \"strict\": null}}]",
         TOOLS_AUTO, 1},
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct chat_request *r = body_good(rows[i].fields, &rules_plain);
        assert_int_equal(r->tool_choice, rows[i].choice);
        assert_int_equal(json_array_size(r->tools), rows[i].n_tools);
        assert_int_equal(r->tools != NULL, rows[i].n_tools > 0);
        chat_request_fini(r);
    }
}

static void bad_tools_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *fields;
        int status;
        const char *param;
    } rows[] = {
        {"\"tools\": [1]", 400, "tools[0]"},
        {"\"tools\": [" TOOL("f") ", null]", 400, "tools[1]"},
        {"\"tools\": [{}]", 400, "tools[0].function"},
        {"\"tools\": [{\"type\": \"custom\"}]", 400, "tools[0].type"},
        {"\"tools\": [{\"type\": \"web_search\", \"function\": {\"name\": \"f\"}}]", 400,
         "tools[0].type"},
        {"\"tools\": [{\"type\": 1, \"function\": {\"name\": \"f\"}}]", 400, "tools[0].type"},
        {"\"tools\": [{\"function\": \"f\"}]", 400, "tools[0].function"},
        {"\"tools\": [{\"function\": {}}]", 400, "tools[0].function.name"},
        {"\"tools\": [{\"function\": {\"name\": 1}}]", 400, "tools[0].function.name"},
        {"\"tools\": [" TOOL("") "]", 422, "tools[0].function.name"},
        {"\"tools\": [" TOOL("a.b") "]", 400, "tools[0].function.name"},
        {"\"tools\": [" TOOL("a b") "]", 400, "tools[0].function.name"},
        {"\"tools\": [" TOOL("\xc3\xa9") "]", 400, "tools[0].function.name"},
        {"\"tools\": [" TOOL("a\\u0000") "]", 400, "tools[0].function.name"},
        {"\"tools\": [{\"function\": {\"name\": \"f\", \"description\": 1}}]", 400,
         "tools[0].function.description"},
        {"\"tools\": [{\"function\": {\"name\": \"f\", \"parameters\": \"{}\"}}]", 400,
         "tools[0].function.parameters"},
        {"\"tools\": [{\"function\": {\"name\": \"f\", \"strict\": \"true\"}}]", 400,
         "tools[0].function.strict"},
        {"\"tool_choice\": \"required\"", 400, "tool_choice"},
        {"\"tool_choice\": {\"type\": \"allowed_tools\"}", 400, "tool_choice.type"},
        {"\"tool_choice\": {\"type\": \"function\"}", 400, "tool_choice.function"},
        {"\"tool_choice\": {\"function\": {}}", 400, "tool_choice.function.name"},
        {"\"tool_choice\": {\"function\": {\"name\": 5}}", 400, "tool_choice.function.name"},
        {"\"tool_choice\": {\"function\": {\"name\": \"f\"}}", 400, "tool_choice.function.name"},
        {"\"tools\": [" TOOL("f") "], \"tool_choice\": " TOOL("g"), 400,
         "tool_choice.function.name"},
        {"\"tools\": [{\"function\": {}}], \"tool_choice\": \"none\"", 400,
         "tools[0].function.name"},
    };
    for (size_t i = 0; i < LENGTH(rows); i++)
        assert_body(rows[i].fields, &rules_plain, rows[i].status, rows[i].param);
}

static void numbers_of_tools_and_of_name_bytes_are_limited(void **state)
{
    (void)state;
    for (int n = CHAT_MAX_TOOLS; n <= CHAT_MAX_TOOLS + 1; n++) {
        struct buf b;
        buf_init(&b, 1 << 20);
        buf_add_str(&b, "\"tools\": [");
        for (int i = 0; i < n; i++)
            buf_printf(&b, "%s{\"function\": {\"name\": \"f%d\"}}", i ? "," : "", i);
        buf_add_str(&b, "]");
        assert_body(buf_text(&b), &rules_plain, n > CHAT_MAX_TOOLS ? 422 : 0, "tools");
        buf_fini(&b);
    }
    for (int n = 64; n <= 65; n++) {
        char text[256], name[66] = {0};
        memset(name, 'n', (size_t)n);
        snprintf(text, sizeof text, "\"tools\": [{\"function\": {\"name\": \"%s\"}}]", name);
        assert_body(text, &rules_plain, n > 64 ? 422 : 0, "tools[0].function.name");
    }
}

static void compat_refuses_forced_tools_while_thinking(void **state)
{
    (void)state;
    static const char *const fields[] = {
        "\"tools\": [" TOOL("f") "], \"tool_choice\": \"required\"",
        "\"tools\": [" TOOL("f") "], \"tool_choice\": " TOOL("f")};
    for (size_t i = 0; i < LENGTH(fields); i++) {
        struct chat_request r;
        struct api_error e;
        assert_int_equal(body_read_with(&r, fields[i], &rules_compat, &e), 400);
        assert_string_equal(e.message, "Thinking mode does not support this tool_choice");
        assert_string_equal(e.param, "tool_choice");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tools_are_kept_and_chosen),
        cmocka_unit_test(bad_tools_are_refused),
        cmocka_unit_test(numbers_of_tools_and_of_name_bytes_are_limited),
        cmocka_unit_test(compat_refuses_forced_tools_while_thinking),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
