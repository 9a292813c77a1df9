/* Whether a chat request thinks, and how much: every place that may say so, and which goes first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "../support/chat_body.h"

static void assert_thinking(enum prompt_family family, const char *model, const char *fields,
                            bool on, const char *effort)
{
    struct chat_request r;
    struct api_error e;
    struct chat_rules rules = {.family = family};
    char body[512];
    snprintf(body, sizeof body,
             "{\"model\": \"%s\", \"messages\": [{\"role\": \"user\", \"content\": \"q\"}]%s%s}",
             model, *fields ? ", " : "", fields);
    if (body_read(&r, body, &rules, &e)) fail_msg("%s: %s", body, e.message);
    const char *got = r.prompt.effort ? r.prompt.effort : "(none)";
    if (r.prompt.thinking != on || strcmp(got, on ? effort : "(none)") != 0)
        fail_msg("%s: %s, %s; wanted %s, %s", body, r.prompt.thinking ? "on" : "off", got,
                 on ? "on" : "off", effort);
    struct err err = {0};
    assert_int_equal(prompt_options_check(&r.prompt, &err), 0);
    chat_request_fini(&r);
}

static void efforts_map_to_the_familys(void **state)
{
    (void)state;
    static const struct {
        const char *word, *of[FAMILY_COUNT]; /* preview, official, v4.1 */
    } rows[] = {
        {"minimal", {"high", "low", "low"}},  {"low", {"high", "low", "low"}},
        {"medium", {"high", "high", "high"}}, {"high", {"high", "high", "high"}},
        {"xhigh", {"max", "high", "xhigh"}},  {"max", {"max", "max", "max"}},
        {"ultra", {"max", "max", "max"}},
    };
    static const char *const places[] = {
        "\"reasoning_effort\": \"%s\"", "\"thinking\": {\"reasoning_effort\": \"%s\"}",
        "\"chat_template_kwargs\": {\"reasoning_effort\": \"%s\"}"};
    for (size_t p = 0; p < LENGTH(places); p++) {
        const char *hole = strstr(places[p], "%s");
        for (size_t i = 0; i < LENGTH(rows) + 1; i++) {
            char text[128];
            const char *word = i < LENGTH(rows) ? rows[i].word : "none";
            snprintf(text, sizeof text, "%.*s%s%s", (int)(hole - places[p]), places[p], word,
                     hole + 2);
            for (int f = 0; f < FAMILY_COUNT; f++)
                assert_thinking((enum prompt_family)f, "m", text, i < LENGTH(rows),
                                i < LENGTH(rows) ? rows[i].of[f] : "");
        }
    }
}

static void the_nearest_word_decides_on_thinking(void **state)
{
    (void)state;
#define ON "\"thinking\": {\"type\": \"enabled\"}"
#define OFF "\"thinking\": {\"type\": \"disabled\"}"
#define KW(x) "\"chat_template_kwargs\": {" x "}"
#define EFFORT(x) "\"reasoning_effort\": \"" x "\""
    static const struct {
        const char *model, *fields;
        bool on;
        const char *effort;
    } rows[] = {
        {"m", "", true, "high"},
        {"deepseek-chat", "", false, ""},
        {"deepseek-reasoner", "", true, "high"},
        {"deepseek-v4-flash", "", true, "high"},
        {"deepseek-chat-x", "", true, "high"},
        {"m", ON, true, "high"},
        {"m", OFF, false, ""},
        {"m", "\"thinking\": {\"type\": \"adaptive\"}", true, "high"},
        {"m", "\"thinking\": {}", true, "high"},
        {"deepseek-chat", "\"thinking\": {}", false, ""},
        {"deepseek-chat", ON, true, "high"},
        {"deepseek-reasoner", OFF, false, ""},
        {"deepseek-chat", EFFORT("low"), true, "low"},
        {"deepseek-reasoner", EFFORT("none"), false, ""},
        {"m", OFF ", " EFFORT("max"), false, ""},
        {"m", ON ", " EFFORT("none"), true, "high"},
        {"m", ON ", " EFFORT("max"), true, "max"},
        {"m", "\"thinking\": {\"type\": \"disabled\", \"reasoning_effort\": \"max\"}", false, ""},
        {"m", "\"thinking\": {\"reasoning_effort\": \"max\"}, " EFFORT("low"), true, "low"},
        {"m", "\"thinking\": {\"reasoning_effort\": \"max\"}, " EFFORT("none"), false, ""},
        {"m", "\"thinking\": {\"reasoning_effort\": \"none\"}", false, ""},
        {"m", KW("\"thinking\": false"), false, ""},
        {"m", KW("\"enable_thinking\": false"), false, ""},
        {"deepseek-chat", KW("\"thinking\": true"), true, "high"},
        {"deepseek-chat", KW("\"enable_thinking\": true"), true, "high"},
        {"m", KW("\"thinking\": false, \"enable_thinking\": true"), false, ""},
        {"m", KW("\"thinking\": null, \"enable_thinking\": false"), false, ""},
        {"m", KW("\"thinking\": false") ", " ON, true, "high"},
        {"m", KW("\"thinking\": true") ", " OFF, false, ""},
        {"m", KW("\"thinking\": false") ", " EFFORT("max"), false, ""},
        {"m", KW("\"thinking\": true") ", " EFFORT("none"), true, "high"},
        {"m", KW("\"reasoning_effort\": \"none\""), false, ""},
        {"m", KW("\"reasoning_effort\": \"none\"") ", " EFFORT("low"), true, "low"},
        {"m", KW("\"reasoning_effort\": \"low\"") ", \"thinking\": {\"reasoning_effort\": \"max\"}",
         true, "max"},
    };
    for (size_t i = 0; i < LENGTH(rows); i++)
        assert_thinking(FAMILY_OFFICIAL, rows[i].model, rows[i].fields, rows[i].on, rows[i].effort);
}

static void the_server_may_set_the_effort(void **state)
{
    (void)state;
    struct chat_rules rules = {.family = FAMILY_V41, .effort = "minimal"};
    struct chat_request *r = body_good("", &rules);
    assert_string_equal(r->prompt.effort, "low");
    chat_request_fini(r);
    r = body_good("\"reasoning_effort\": \"max\"", &rules);
    assert_string_equal(r->prompt.effort, "max");
    chat_request_fini(r);
    r = body_good("\"thinking\": {\"type\": \"disabled\"}", &rules);
    assert_null(r->prompt.effort);
    chat_request_fini(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(efforts_map_to_the_familys),
        cmocka_unit_test(the_nearest_word_decides_on_thinking),
        cmocka_unit_test(the_server_may_set_the_effort),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
