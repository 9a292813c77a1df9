#include "files.h"

#include "format/scan.h"

static int scan_one_string(const char *json, char *out, size_t size)
{
    struct scan s;
    struct err err = {0};
    char text[256];
    size_t n = strlen(json);
    memcpy(text, json, n + 1);
    scan_init(&s, "test", text, n, &err);
    const char *got = scan_string(&s);
    snprintf(out, size, "%s", got ? got : "");
    return scan_end(&s);
}

static void strings_are_decoded(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"\"\"", ""},
        {" \"a b\" ", "a b"},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t"},
        {"\"\\u0041\\u00e9\\u20ac\\ud83d\\ude00x\"", "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80x"},
        {"\"\xe4\xb8\xad\"", "\xe4\xb8\xad"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char got[64];
        assert_int_equal(scan_one_string(cases[i][0], got, sizeof got), 0);
        assert_string_equal(got, cases[i][1]);
    }
}

static void bad_strings_are_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "\"",
        "\"a",
        "\"a\" b",
        "\"\\",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u00\"",
        "\"\\u0000\"",
        "\"\\ud800\"",
        "\"\\udc00\"",
        "\"\\ud800\\u0041\"",
        "\"\n\"",
        "\"\x01\"",
        "\"\x80\"",
        "\"\xc0\x80\"",
        "\"\xe0\x80\x80\"",
        "\"\xed\xa0\x80\"",
        "\"\xf5\x80\x80\x80\"",
        "\"\xf0\x8f\xbf\xbf\"",
        "\"\xe4\xb8\"",
        "a",
        "'a'",
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char got[64];
        if (scan_one_string(cases[i], got, sizeof got) == 0) fail_msg("case %zu was accepted", i);
    }
}

/* {"a": [1, 2], "b": {"c": scalar}}: returns the sum of the numbers, or -1. */
static long long walk(const char *json)
{
    struct scan s;
    struct err err = {0};
    char text[256];
    size_t n = strlen(json);
    long long sum = 0;
    memcpy(text, json, n + 1);
    scan_init(&s, "test", text, n, &err);
    scan_object(&s);
    for (const char *key; (key = scan_key(&s)) != NULL;) {
        if (!strcmp(key, "b")) {
            scan_object(&s);
            while (scan_key(&s))
                scan_skip_scalar(&s);
            continue;
        }
        scan_list(&s);
        while (scan_more(&s))
            sum += (long long)scan_u64(&s);
    }
    if (scan_end(&s)) {
        assert_int_not_equal(err.code, ERR_NONE);
        return -1;
    }
    return sum;
}

static void objects_lists_and_numbers_are_walked(void **state)
{
    (void)state;
    assert_int_equal(walk("{}"), 0);
    assert_int_equal(walk(" { \"a\" : [ 1 , 2 ] , \"b\" : { } , \"d\":[]} "), 3);
    assert_int_equal(
        walk("{\"b\":{\"c\":-1.5e+3,\"d\":true,\"e\":null,\"f\":\"x\",\"g\":0},\"a\":[7]}"), 7);
    assert_int_equal(walk("{\"a\":[0,10]}"), 10);
}

static void malformed_structure_is_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "{",
        "}",
        "[]",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1}",
        "{\"a\":[1,]}",
        "{\"a\":[,1]}",
        "{\"a\":[1 2]}",
        "{\"a\":[1]]",
        "{\"a\":[1],}",
        "{,}",
        "{\"a\":[01]}",
        "{\"a\":[-1]}",
        "{\"a\":[1.0]}",
        "{\"a\":[1e3]}",
        "{\"a\":[18446744073709551616]}",
        "{\"a\":[1]}x",
        "{\"b\":{\"c\":[]}}",
        "{\"b\":{\"c\":tru}}",
        "{\"b\":{\"c\":.5}}",
        "{\"b\":{\"c\":1.}}",
        "{\"b\":{\"c\":-}}",
        "{\"b\":{\"c\":1e}}",
        "{\"b\":{\"c\":NaN}}",
        "{a:[1]}",
        "{\"a\":[1]}{}",
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (walk(cases[i]) != -1) fail_msg("%s was accepted", cases[i]);
}

static void a_nul_byte_ends_nothing(void **state)
{
    (void)state;
    char text[] = "{\"a\":[1]}\0\0";
    struct scan s;
    struct err err = {0};
    scan_init(&s, "test", text, sizeof text - 1, &err);
    scan_object(&s);
    assert_non_null(scan_key(&s));
    scan_list(&s);
    assert_true(scan_more(&s));
    assert_int_equal(scan_u64(&s), 1);
    assert_false(scan_more(&s));
    assert_null(scan_key(&s));
    assert_int_equal(scan_end(&s), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strings_are_decoded),
        cmocka_unit_test(bad_strings_are_refused),
        cmocka_unit_test(objects_lists_and_numbers_are_walked),
        cmocka_unit_test(malformed_structure_is_refused),
        cmocka_unit_test(a_nul_byte_ends_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
