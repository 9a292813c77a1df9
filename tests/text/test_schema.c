/* JSON Schema by keyword: what is accepted, what not, what is refused with its name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../support/accept.h"
#include "base/buf.h"
#include "text/schema.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

static void strings_keep_to_their_keywords(void **state)
{
    (void)state;
    static const struct accept_row rows[] = {
        {"{\"type\":\"string\"}",
         {"\"\"", "\"a b\"", "\"\\n\\\"\\\\\\/\\u00e9\"", "\"\xC3\xA9\"", "\"\\ud83d\\ude00\""},
         {"a", "\"", "\"a", "\"\n\"", "\"\\x\"", "\"\\ud83d\"", "\"\xC3\"", "\"\\u0000\"", "1"}},
        {"{\"type\":\"string\",\"minLength\":2,\"maxLength\":3}",
         {"\"ab\"", "\"abc\"", "\"\xC3\xA9\xC3\xA9\"", "\"\\ud83d\\ude00a\""},
         {"\"a\"", "\"abcd\"", "\"\xC3\xA9\""}},
        {"{\"minLength\":1}", {"\"x\""}, {"\"\"", "1"}},
        {"{\"type\":\"string\",\"maxLength\":0}", {"\"\""}, {"\"a\""}},
        {"{\"type\":\"string\",\"pattern\":\"^[a-c]+$\"}", {"\"abc\""}, {"\"\"", "\"d\"", "abc"}},
        {"{\"type\":\"string\",\"pattern\":\"a[\\\"\\\\\\\\\\n]\"}",
         {"\"a\\\"\"", "\"a\\\\\"", "\"a\\n\""},
         {"\"a\"\"", "\"a\\\"", "\"a\n\""}},
        {"{\"type\":\"string\",\"pattern\":\"\\\\x01|\\\\x7f\"}",
         {"\"\\u0001\"", "\"\x7F\""},
         {"\"\x01\""}},
        {"{\"type\":\"string\",\"format\":\"email\"}",
         {"\"a@b.c\"", "\"first.last+x@mail.example.org\""},
         {"\"a@b\"", "\"@b.c\"", "\"a b@c.d\"", "\"a@-b.c\""}},
        {"{\"type\":\"string\",\"format\":\"hostname\"}",
         {"\"a\"", "\"www.example.com\""},
         {"\"\"", "\"-a\"", "\"a..b\"", "\"a_b\""}},
        {"{\"type\":\"string\",\"format\":\"ipv4\"}",
         {"\"0.0.0.0\"", "\"255.10.1.99\""},
         {"\"256.1.1.1\"", "\"1.2.3\"", "\"01.2.3.4\""}},
        {"{\"type\":\"string\",\"format\":\"ipv6\"}",
         {"\"::\"", "\"::1\"", "\"1:2:3:4:5:6:7:8\"", "\"fe80::1:2\"", "\"1:2:3:4:5:6:7::\"",
          "\"::ffff:1.2.3.4\"", "\"1::8\"", "\"1:2::7:8\""},
         {"\"1:2:3\"", "\"1::2::3\"", "\"12345::\"", "\":::\"", "\"1:2:3:4:5:6:7:8:9\"",
          "\"1:2:3:4:5:6:7::8\"", "\"\""}},
        {"{\"type\":\"string\",\"format\":\"uuid\"}",
         {"\"123e4567-e89b-12d3-a456-426614174000\""},
         {"\"123e4567e89b12d3a456426614174000\"", "\"123e4567-e89b-12d3-a456-42661417400g\""}},
        {"{\"type\":\"string\",\"format\":\"date\"}",
         {"\"2026-11-25\"", "\"2024-02-29\"", "\"2000-02-29\"", "\"1999-12-31\""},
         {"\"2023-02-29\"", "\"1900-02-29\"", "\"2026-13-01\"", "\"2026-04-31\"", "\"2026-1-1\""}},
        {"{\"type\":\"string\",\"format\":\"date-time\"}",
         {"\"2026-11-25T12:00:00Z\"", "\"2026-11-25T23:59:59.123+02:00\""},
         {"\"2026-11-25\"", "\"2026-11-25T24:00:00Z\"", "\"2026-11-25T12:00:00\""}},
        {"{\"type\":\"string\",\"format\":\"time\"}", {"\"12:34:56Z\""}, {"\"12:34\""}},
    };
    print_message("%d texts\n", accept_check(SOURCE_SCHEMA, rows, COUNT(rows)));
}

static void numbers_keep_to_their_keywords(void **state)
{
    (void)state;
    static const struct accept_row rows[] = {
        {"{\"type\":\"integer\"}",
         {"0", "-1", "123", "999999999999999999"},
         {"", "-", "01", "1.0", "1e2", "-0x", "1000000000000000000"}},
        {"{\"type\":\"number\"}",
         {"0", "-1.5", "1e5", "2.5E-3", "100"},
         {"1.", ".5", "01", "1e", "+1", "1e400", "NaN"}},
        {"{\"type\":\"integer\",\"minimum\":5,\"maximum\":12}",
         {"5", "9", "10", "12"},
         {"4", "13", "0", "-5", "05", "100", "1"}},
        {"{\"type\":\"integer\",\"minimum\":-3,\"maximum\":2}",
         {"-3", "-1", "0", "2"},
         {"-4", "3", "-0"}},
        {"{\"type\":\"integer\",\"exclusiveMinimum\":0}", {"1", "12345"}, {"0", "-1"}},
        {"{\"type\":\"integer\",\"exclusiveMaximum\":-9}", {"-10", "-100"}, {"-9", "0", "1"}},
        {"{\"type\":\"integer\",\"minimum\":0.5,\"maximum\":2.5}", {"1", "2"}, {"0", "3"}},
        {"{\"type\":\"integer\",\"minimum\":98,\"maximum\":1203}",
         {"98", "99", "100", "999", "1000", "1199", "1203"},
         {"97", "1204", "1300", "2000", "10000", "9"}},
        {"{\"type\":\"number\",\"minimum\":0,\"maximum\":1}",
         {"0", "0.5", "1", "1.0", "0.0"},
         {"1.1", "-0.5", "2", "-0", "1.01", "1e0"}},
        {"{\"type\":\"number\",\"exclusiveMinimum\":0,\"exclusiveMaximum\":1}",
         {"0.1", "0.99", "0.001"},
         {"0", "1", "0.0", "1.0"}},
        {"{\"type\":\"number\",\"minimum\":-2,\"exclusiveMaximum\":3}",
         {"-2", "-2.0", "-1.5", "-0.5", "0", "0.5", "2.9"},
         {"-2.1", "3", "3.0", "-3"}},
        {"{\"type\":\"number\",\"exclusiveMinimum\":-2,\"maximum\":-1}",
         {"-1.5", "-1", "-1.0"},
         {"-2", "-2.0", "-0.9", "0", "1.5"}},
        {"{\"type\":\"number\",\"minimum\":10}", {"10", "10.5", "123.25"}, {"9.9", "-10", "1"}},
        {"{\"type\":\"integer\",\"multipleOf\":10}", {"0", "10", "-120"}, {"5", "101", "-0"}},
        {"{\"type\":\"integer\",\"multipleOf\":7,\"minimum\":1,\"maximum\":30}",
         {"7", "14", "21", "28"},
         {"0", "1", "35", "8"}},
        {"{\"type\":\"number\",\"multipleOf\":0.01}",
         {"1", "1.5", "-2.25", "0"},
         {"1.125", "1.", "1e5"}},
        {"{\"type\":\"number\",\"multipleOf\":1}", {"3", "-4"}, {"1.5"}},
    };
    print_message("%d texts\n", accept_check(SOURCE_SCHEMA, rows, COUNT(rows)));
}

/* Every integer around the bounds, for many pairs of bounds. */
static void integer_ranges_hold_each_number(void **state)
{
    (void)state;
    static const int bounds[] = {-1001, -100, -99, -10, -9,  -1,  0,   1,
                                 9,     10,   11,  99,  100, 109, 1000};
    enum { N = COUNT(bounds) };
    for (int i = 0; i < N; i++)
        for (int k = i; k < N; k++) {
            char schema[120], text[24];
            struct automaton *a;
            struct matcher *m = NULL;
            struct err err = {0};
            snprintf(schema, sizeof schema, "{\"type\":\"integer\",\"minimum\":%d,\"maximum\":%d}",
                     bounds[i], bounds[k]);
            if (accept_compile(&a, SOURCE_SCHEMA, schema, &err) || matcher_new(&m, a, &err))
                fail_msg("%s", err.message);
            for (int n = -1111; n <= 1111; n++) {
                snprintf(text, sizeof text, "%d", n);
                if (matcher_restart(m, NULL)) fail_msg("restart");
                int rc = matcher_bytes(m, text, strlen(text), NULL);
                bool yes = rc == 1 && matcher_may_end(m);
                if (yes != (n >= bounds[i] && n <= bounds[k])) fail_msg("%s: %d", schema, n);
            }
            matcher_free(m);
            automaton_free(a);
        }
}

static void lists_keep_to_their_keywords(void **state)
{
    (void)state;
    static const struct accept_row rows[] = {
        {"{\"type\":\"array\"}",
         {"[]", "[1]", "[1, \"a\", null, [true], {\"a\":1}]", "[ ]"},
         {"[", "[1,]", "[,1]", "[1 2]", "{}", "[  1]"}},
        {"{\"type\":\"array\",\"items\":{\"type\":\"integer\"}}",
         {"[]", "[1,2, 3]", "[\n    1\n]"},
         {"[\"a\"]", "[1.5]"}},
        {"{\"type\":\"array\",\"items\":{\"type\":\"boolean\"},\"minItems\":2,\"maxItems\":3}",
         {"[true,false]", "[true,true,true]"},
         {"[]", "[true]", "[true,true,true,true]"}},
        {"{\"type\":\"array\",\"items\":{\"type\":\"null\"},\"maxItems\":0}", {"[]"}, {"[null]"}},
        {"{\"type\":\"array\",\"minItems\":1}", {"[1]", "[\"a\",2]"}, {"[]"}},
        {"{\"type\":\"array\",\"items\":false}", {"[]"}, {"[1]"}},
        {"{\"type\":\"array\",\"prefixItems\":[{\"type\":\"integer\"},{\"type\":\"string\"}]}",
         {"[]", "[1]", "[1,\"a\"]"},
         {"[\"a\"]", "[1,2]", "[1,\"a\",3]", "[,\"a\"]"}},
        {"{\"type\":\"array\",\"prefixItems\":[{\"type\":\"integer\"},{\"type\":\"string\"}],"
         "\"items\":{\"type\":\"null\"},\"minItems\":2,\"maxItems\":4}",
         {"[1,\"a\"]", "[1,\"a\",null]", "[1,\"a\",null,null]"},
         {"[1]", "[]", "[1,\"a\",null,null,null]", "[1,\"a\",2]"}},
        {"{\"type\":\"array\",\"prefixItems\":[{\"type\":\"null\"},{\"type\":\"null\"}],"
         "\"maxItems\":1}",
         {"[]", "[null]"},
         {"[null,null]"}},
        {"{\"type\":\"array\",\"items\":{\"type\":\"array\",\"items\":{\"type\":\"integer\"}}}",
         {"[[1],[],[2,3]]"},
         {"[1]", "[[[1]]]"}},
    };
    print_message("%d texts\n", accept_check(SOURCE_SCHEMA, rows, COUNT(rows)));
}

static void objects_keep_to_their_keywords(void **state)
{
    (void)state;
    static const struct accept_row rows[] = {
        {"{\"type\":\"object\"}",
         {"{}", "{\"a\":1}", "{\"a\": {\"b\": []}, \"c\": null}"},
         {"{a:1}", "{\"a\"}", "{\"a\":1,}", "[]"}},
        {"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"},\"b\":{\"type\":"
         "\"string\"}},\"required\":[\"a\",\"b\"],\"additionalProperties\":false}",
         {"{\"a\":1,\"b\":\"x\"}", "{\"a\": 1, \"b\": \"x\"}", "{\n  \"a\": 1,\n  \"b\": \"x\"\n}"},
         {"{\"a\":1}", "{\"b\":\"x\",\"a\":1}", "{}", "{\"a\":1,\"b\":\"x\",\"c\":1}",
          "{\"a\":\"x\",\"b\":\"x\"}"}},
        {"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"null\"},\"b\":{\"type\":\"null\"},"
         "\"c\":{\"type\":\"null\"}},\"required\":[\"b\"]}",
         {"{\"b\":null}", "{\"a\":null,\"b\":null}", "{\"b\":null,\"c\":null}",
          "{\"a\":null,\"b\":null,\"c\":null}"},
         {"{}", "{\"a\":null}", "{\"a\":null,\"c\":null}", "{,\"b\":null}", "{\"b\":null,}",
          "{\"b\":null,\"d\":null}"}},
        {"{\"type\":\"object\",\"additionalProperties\":{\"type\":\"integer\"}}",
         {"{}", "{\"a\":1}", "{\"a\":1,\"b\":2}"},
         {"{\"a\":\"x\"}", "{\"a\":null}"}},
        {"{\"type\":\"object\",\"properties\":{\"ab\":{\"type\":\"null\"},\"ac\":{\"type\":"
         "\"null\"}},"
         "\"additionalProperties\":{\"type\":\"integer\"}}",
         {"{}", "{\"ab\":null,\"x\":1}", "{\"a\":1}", "{\"abc\":1,\"\":2}", "{\"x\":1,\"y\":2}",
          "{\"\xC3\xA9\":1}"},
         {"{\"ab\":1}", "{\"x\":1,\"ab\":null}", "{\"ac\":5}", "{\"a\\u0062\":1}"}},
        {"{\"type\":\"object\",\"properties\":{\"a\":{}},\"required\":[\"a\",\"z\"],"
         "\"additionalProperties\":{\"type\":\"boolean\"}}",
         {"{\"a\":1,\"z\":true}", "{\"a\":[1],\"z\":false,\"q\":true}"},
         {"{\"a\":1}", "{\"a\":1,\"z\":1}", "{\"z\":true}"}},
        {"{\"type\":\"object\",\"additionalProperties\":false}", {"{}"}, {"{\"a\":1}"}},
        {"{\"type\":\"object\",\"properties\":{\"a\\\"\\n\":{\"type\":\"null\"}}}",
         {"{\"a\\\"\\n\":null}"},
         {"{\"a\":null}"}},
        {"{\"properties\":{\"a\":{\"type\":\"null\"}}}", {"{\"a\":null}", "{}"}, {"1"}},
    };
    print_message("%d texts\n", accept_check(SOURCE_SCHEMA, rows, COUNT(rows)));
}

static void values_and_branches_keep_to_their_keywords(void **state)
{
    (void)state;
    static const struct accept_row rows[] = {
        {"{}", {"1", "\"a\"", "null", "[]", "{}"}, {"", "nul"}},
        {"true", {"1"}, {"x"}},
        {"{\"type\":\"boolean\"}", {"true", "false"}, {"null", "1"}},
        {"{\"type\":\"null\"}", {"null"}, {"0"}},
        {"{\"type\":[\"string\",\"null\"]}", {"\"a\"", "null"}, {"1"}},
        {"{\"type\":[\"integer\",\"boolean\"],\"minimum\":3}", {"3", "true"}, {"2", "\"a\""}},
        {"{\"enum\":[\"red\",\"green\",3,null,[1,{\"a\":2}],1.5,true]}",
         {"\"red\"", "3", "null", "[1, {\"a\": 2}]", "1.5", "true"},
         {"\"blue\"", "4", "[1]", "red"}},
        {"{\"type\":\"string\",\"enum\":[\"a\",1]}", {"\"a\""}, {"1"}},
        {"{\"const\":{\"k\":\"v\"}}", {"{\"k\":\"v\"}", "{\"k\": \"v\"}"}, {"{}"}},
        {"{\"anyOf\":[{\"type\":\"integer\"},{\"type\":\"string\",\"maxLength\":1}]}",
         {"1", "\"a\""},
         {"\"ab\"", "null"}},
        {"{\"oneOf\":[{\"type\":\"integer\"},{\"type\":\"string\"}]}", {"1", "\"a\""}, {"null"}},
        {"{\"oneOf\":[{\"const\":1},{\"enum\":[2,3]}]}", {"1", "3"}, {"4"}},
        {"{\"oneOf\":[{\"type\":\"object\",\"properties\":{\"t\":{\"const\":\"a\"},\"x\":{\"type\":"
         "\"null\"}},\"required\":[\"t\",\"x\"]},{\"type\":\"object\",\"properties\":{\"t\":{"
         "\"const\":\"b\"}},\"required\":[\"t\"]}]}",
         {"{\"t\":\"a\",\"x\":null}", "{\"t\":\"b\"}"},
         {"{\"t\":\"a\"}", "{\"t\":\"c\"}"}},
        {"{\"allOf\":[{\"type\":\"null\"}],\"title\":\"x\"}", {"null"}, {"1"}},
        {"{\"$ref\":\"#/$defs/n\",\"$defs\":{\"n\":{\"type\":\"null\"}}}", {"null"}, {"1"}},
        {"{\"type\":\"object\",\"properties\":{\"v\":{\"type\":\"integer\"},\"next\":{\"anyOf\":[{"
         "\"$ref\":\"#\"},{\"type\":\"null\"}]}},\"required\":[\"v\",\"next\"]}",
         {"{\"v\":1,\"next\":null}", "{\"v\":1,\"next\":{\"v\":2,\"next\":null}}"},
         {"{\"v\":1}", "{\"v\":1,\"next\":1}"}},
        {"{\"type\":\"array\",\"items\":{\"$ref\":\"#/definitions/a~1b\"},\"definitions\":{\"a/"
         "b\":{"
         "\"type\":\"null\"}}}",
         {"[null]"},
         {"[1]"}},
        {"{\"title\":\"t\",\"description\":\"d\",\"default\":1,\"examples\":[1],\"$schema\":\"x\","
         "\"$id\":\"y\",\"type\":\"null\"}",
         {"null"},
         {"1"}},
        {"{\"anyOf\":[false,{\"type\":\"null\"}]}", {"null"}, {"1"}},
    };
    print_message("%d texts\n", accept_check(SOURCE_SCHEMA, rows, COUNT(rows)));
}

static void json_objects_are_accepted_as_they_are(void **state)
{
    (void)state;
    static const struct accept_row rows[] = {
        {"",
         {"{}", "{\"a\": 1}", "{\"a\": [1, {\"b\": \"c\"}], \"d\": -1.5e3}",
          "{\n\t\"a\": true,\n\t\"b\": null\n}"},
         {"", "[]", "1", "{", "{\"a\": 1} ", " {}", "{\"a\": 01}"}},
        {"",
         {"{\"a\":[[[[[[[[[[[[1]]]]]]]]]]]]}"},
         {"{\"a\":[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]}"}},
    };
    accept_check(SOURCE_JSON_OBJECT, rows, COUNT(rows));
}

static void what_is_not_done_is_refused_by_name_and_place(void **state)
{
    (void)state;
    static const struct refuse_row rows[] = {
        {"{\"not\":{}}", "\"not\" at #: is not supported"},
        {"{\"type\":\"object\",\"properties\":{\"a\":{\"uniqueItems\":true}}}",
         "\"uniqueItems\" at #/properties/a"},
        {"{\"type\":\"array\",\"items\":{\"contains\":{}}}", "\"contains\" at #/items"},
        {"{\"type\":\"object\",\"patternProperties\":{}}", "\"patternProperties\""},
        {"{\"type\":\"object\",\"minProperties\":1}", "\"minProperties\""},
        {"{\"if\":{}}", "\"if\""},
        {"{\"type\":\"strin\"}", "\"type\" at #: is no type"},
        {"{\"type\":\"string\",\"format\":\"iri\"}", "the format \"iri\""},
        {"{\"type\":\"string\",\"pattern\":\"(?=a)\"}", "pattern, byte 1"},
        {"{\"type\":\"string\",\"pattern\":\"a\",\"maxLength\":3}", "\"pattern\" at #: together"},
        {"{\"type\":\"string\",\"pattern\":\"a\",\"format\":\"date\"}", "together with pattern"},
        {"{\"type\":\"string\",\"minLength\":-1}", "\"minLength\""},
        {"{\"type\":\"string\",\"maxLength\":100000000}", "\"maxLength\""},
        {"{\"type\":\"number\",\"minimum\":0.5}", "\"minimum\" at #: of a number must be whole"},
        {"{\"type\":\"integer\",\"multipleOf\":7}", "\"multipleOf\" at #"},
        {"{\"type\":\"integer\",\"multipleOf\":0}", "\"multipleOf\" at #"},
        {"{\"type\":\"number\",\"multipleOf\":0.3}", "\"multipleOf\" at #"},
        {"{\"type\":\"integer\",\"minimum\":1e22}", "over 18 digits"},
        {"{\"oneOf\":[{\"type\":\"integer\"},{\"type\":\"number\"}]}", "branches: 0 and 1"},
        {"{\"oneOf\":[{\"const\":1},{\"const\":1.0}]}", "branches: 0 and 1"},
        {"{\"allOf\":[{},{}]}", "\"allOf\""},
        {"{\"anyOf\":[]}", "\"anyOf\""},
        {"{\"anyOf\":[{}],\"type\":\"object\"}", "together with type"},
        {"{\"enum\":[1],\"minimum\":0}", "together with minimum"},
        {"{\"$ref\":\"#/$defs/x\"}", "leads nowhere"},
        {"{\"$ref\":\"http://x\"}", "leads nowhere"},
        {"{\"$ref\":\"#\"}", "no text at all"},
        {"{\"anyOf\":[{\"$ref\":\"#\"},{\"type\":\"null\"}]}", "left recursion"},
        {"{\"type\":\"array\",\"items\":{\"$ref\":\"#\"},\"minItems\":1}", "no text at all"},
        {"{\"type\":\"object\",\"required\":[\"a\"],\"additionalProperties\":false}",
         "\"a\" is no property"},
        {"{\"type\":\"string\",\"minLength\":3,\"maxLength\":2}", "no text at all"},
        {"{\"type\":\"integer\",\"minimum\":3,\"maximum\":2}", "no text at all"},
        {"{\"enum\":[]}", "no text at all"},
        {"false", "no text at all"},
        {"1", "an object or a boolean"},
        {"{\"type\":\"object\",\"properties\":{\"\xC3\xA9\":{}},\"additionalProperties\":true}",
         "not ASCII"},
    };
    accept_check_refusals(SOURCE_SCHEMA, rows, COUNT(rows));
}

/* ---- what a schema may cost ---- */

/* n definitions, each a $ref to the next inside `wraps` of anyOf, the last one null. */
static void add_chain(struct buf *out, int n, int wraps)
{
    buf_add_str(out, "{\"$ref\":\"#/$defs/d0\",\"$defs\":{");
    for (int i = 0; i < n; i++) {
        buf_printf(out, "\"d%d\":", i);
        for (int k = 0; k < wraps; k++)
            buf_add_str(out, "{\"anyOf\":[");
        buf_printf(out, "{\"$ref\":\"#/$defs/d%d\"}", i + 1);
        for (int k = 0; k < wraps; k++)
            buf_add_str(out, "]}");
        buf_add_str(out, ",");
    }
    buf_printf(out, "\"d%d\":{\"type\":\"null\"}}}", n);
}

static void references_in_a_row_do_not_nest(void **state)
{
    (void)state;
    static const int n[] = {1, 300, 4000};
    for (size_t i = 0; i < COUNT(n); i++) {
        struct buf schema;
        buf_init(&schema, 4 << 20);
        add_chain(&schema, n[i], 28);
        assert_true(accept_text(SOURCE_SCHEMA, buf_text(&schema), "null"));
        buf_fini(&schema);
    }
}

static void check_limit(const struct buf *schema, const char *message)
{
    struct automaton *a = NULL;
    struct err err = {0};
    assert_int_equal(accept_compile(&a, SOURCE_SCHEMA, buf_text(schema), &err), -1);
    assert_int_equal(err.code, ERR_LIMIT);
    if (!strstr(err.message, message)) fail_msg("%s", err.message);
}

static void schemas_inside_each_other_have_a_limit(void **state)
{
    (void)state;
    struct buf schema;
    buf_init(&schema, 1 << 20);
    add_chain(&schema, 1, SCHEMA_MAX_DEPTH - 2);
    assert_true(accept_text(SOURCE_SCHEMA, buf_text(&schema), "null"));
    buf_clear(&schema);
    add_chain(&schema, 1, SCHEMA_MAX_DEPTH - 1);
    check_limit(&schema, "over 256 levels");
    buf_fini(&schema);
}

/* Objects of 63 members, each one of 31 strings that no other has and one that all have, told apart by `t`, the
 * last. */
static void add_objects(struct buf *out, int n, int size)
{
    for (int i = 0; i < n; i++) {
        buf_printf(out, "%s\"s%d\":{\"enum\":[", i ? "," : "", i);
        for (int k = 0; k < 31; k++)
            buf_printf(out, "\"%0*d\",", size, i * 100 + k);
        buf_printf(out, "\"%0*d\"]},\"o%d\":{\"type\":\"object\",\"properties\":{", size, 9999, i);
        for (int k = 0; k < 63; k++)
            buf_printf(out, "\"k%d\":{\"$ref\":\"#/$defs/s%d\"},", k, i);
        buf_printf(out, "\"t\":{\"const\":%d}},\"required\":[", i);
        for (int k = 0; k < 63; k++)
            buf_printf(out, "\"k%d\",", k);
        buf_add_str(out, "\"t\"]}");
    }
}

/* n_lists times oneOf of the same branches. */
static void add_one_of(struct buf *out, int n_lists, int n_branches, int size)
{
    buf_add_str(out, "{\"type\":\"object\",\"properties\":{");
    for (int i = 0; i < n_lists; i++) {
        buf_printf(out, "%s\"p%d\":{\"oneOf\":[", i ? "," : "", i);
        for (int k = 0; k < n_branches; k++)
            buf_printf(out, "%s{\"$ref\":\"#/$defs/o%d\"}", k ? "," : "", k);
        buf_add_str(out, "]}");
    }
    buf_add_str(out, "},\"$defs\":{");
    add_objects(out, n_branches, size);
    buf_add_str(out, "}}");
}

static void comparing_branches_has_a_limit(void **state)
{
    (void)state;
    struct automaton *a = NULL;
    struct err err = {0};
    struct buf schema;
    buf_init(&schema, 4 << 20);
    add_one_of(&schema, 1, 3, 20); /* this much is compared */
    if (accept_compile(&a, SOURCE_SCHEMA, buf_text(&schema), &err)) fail_msg("%s", err.message);
    automaton_free(a);
    buf_clear(&schema);
    add_one_of(&schema, 20, 24, 150);
    check_limit(&schema, "over 1048576 steps");
    buf_fini(&schema);
}

/* One object whose 2,000 members are the required ones, many times over. */
static void looking_for_names_has_a_limit(void **state)
{
    (void)state;
    struct buf schema;
    buf_init(&schema, 4 << 20);
    buf_add_str(&schema, "{\"anyOf\":[");
    for (int i = 0; i < 30; i++) {
        buf_printf(&schema, "%s{\"type\":\"object\",\"properties\":{", i ? "," : "");
        for (int k = 0; k < 2000; k++)
            buf_printf(&schema, "%s\"k%d\":false", k ? "," : "", k);
        buf_add_str(&schema, "},\"required\":[");
        for (int k = 0; k < 2000; k++)
            buf_printf(&schema, "%s\"k%d\"", k ? "," : "", k);
        buf_add_str(&schema, "]}");
    }
    buf_add_str(&schema, "]}");
    check_limit(&schema, "over 1048576 steps");
    buf_fini(&schema);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strings_keep_to_their_keywords),
        cmocka_unit_test(numbers_keep_to_their_keywords),
        cmocka_unit_test(integer_ranges_hold_each_number),
        cmocka_unit_test(lists_keep_to_their_keywords),
        cmocka_unit_test(objects_keep_to_their_keywords),
        cmocka_unit_test(values_and_branches_keep_to_their_keywords),
        cmocka_unit_test(json_objects_are_accepted_as_they_are),
        cmocka_unit_test(what_is_not_done_is_refused_by_name_and_place),
        cmocka_unit_test(references_in_a_row_do_not_nest),
        cmocka_unit_test(schemas_inside_each_other_have_a_limit),
        cmocka_unit_test(comparing_branches_has_a_limit),
        cmocka_unit_test(looking_for_names_has_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
