#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/settings.h"

static const struct argp_option own[] = {{"port", 1, "N", 0, "a port", 0},
                                         {"config", 2, "FILE", 0, "this", 0},
                                         {"compat", 3, NULL, 0, "as others", 0},
                                         {0}};
static const struct argp_option shared[] = {
    {NULL, 0, NULL, 0, "a heading", 0}, {"memory", 4, "SIZE", 0, "how much", 0}, {0}};
static const struct argp_option *const tables[] = {own, shared};

static int parse(struct settings *s, const char *text, struct err *err)
{
    return settings_parse(s, "file", text, strlen(text), tables, 2, err);
}

static void lines_become_arguments(void **state)
{
    (void)state;
    struct settings s;
    struct err err = {0};
    if (parse(&s, "# first\n\n port\t= 80 81 # x \r\ncompat = true\nmemory=4G=5", &err))
        fail_msg("%s", err.message);
    assert_int_equal(s.n, 3);
    assert_string_equal(s.args[0], "--port=80 81 # x");
    assert_string_equal(s.args[1], "--compat");
    assert_string_equal(s.args[2], "--memory=4G=5");
    settings_fini(&s);
    settings_fini(&s);
}

static void false_is_no_argument(void **state)
{
    (void)state;
    struct settings s;
    struct err err = {0};
    assert_int_equal(parse(&s, "compat = false\n", &err), 0);
    assert_int_equal(s.n, 0);
    settings_fini(&s);
}

static void the_command_line_comes_behind(void **state)
{
    (void)state;
    static char name[] = "serve", model[] = "MODEL", port[] = "--port=2";
    char *argv[] = {name, model, port, NULL};
    struct settings s;
    struct err err = {0};
    assert_int_equal(parse(&s, "port = 1\ncompat = true\n", &err), 0);
    char **all = settings_before(&s, 3, argv);
    static const char *const wanted[] = {"serve", "--port=1", "--compat", "MODEL", "--port=2"};
    for (size_t i = 0; i < 5; i++)
        assert_string_equal(all[i], wanted[i]);
    assert_null(all[5]);
    free(all);
    settings_fini(&s);
}

static void bad_lines_are_refused_with_their_number(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } bad[] = {
        {"\n\ncolour = red\n", "file: line 3: there is no option \"colour\""},
        {"config = other", "file: line 1: there is no option \"config\""},
        {"por = 1", "file: line 1: there is no option \"por\""},
        {"--port = 1", "file: line 1: there is no option \"--port\""},
        {"= 1", "file: line 1: there is no option \"\""},
        {"port 80", "file: line 1: \"port 80\": name = value is wanted"},
        {"port = \t", "file: line 1: port has no value"},
        {"port = 1\nport = 1", "file: line 2: port is there twice"},
        {"compat = false\ncompat = true", "file: line 2: compat is there twice"},
        {"compat = yes", "file: line 1: compat is \"yes\": true or false is wanted"},
        {"#\nport = 1\x01", "file: line 2: a control byte"},
        {"port = 1\r2\r\n", "file: line 1: a control byte"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct settings s;
        struct err err = {0};
        assert_int_equal(parse(&s, bad[i].text, &err), -1);
        assert_string_equal(err.message, bad[i].message);
        assert_int_equal(s.n, 0);
        assert_null(s.args);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_become_arguments),
        cmocka_unit_test(false_is_no_argument),
        cmocka_unit_test(the_command_line_comes_behind),
        cmocka_unit_test(bad_lines_are_refused_with_their_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
