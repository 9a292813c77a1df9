/* Regular expressions, EBNF and the automata below them: what they accept, what they refuse, and that nothing
 * makes them slow. */
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

#define COUNT(a) (sizeof(a) / sizeof *(a))

static void regular_expressions_match_as_a_whole(void **state)
{
    (void)state;
    static const struct accept_row rows[] = {
        {"abc", {"abc"}, {"", "ab", "abcd", "xabc"}},
        {"^abc$", {"abc"}, {"abcabc"}},
        {"a|bc|", {"a", "bc", ""}, {"b", "abc"}},
        {"^a|b$", {"a", "b"}, {"ab"}},
        {"a*", {"", "a", "aaaa"}, {"b", "ab"}},
        {"a+b?", {"a", "ab", "aaab"}, {"", "b", "abb"}},
        {"a{3}", {"aaa"}, {"aa", "aaaa"}},
        {"a{2,}", {"aa", "aaaaa"}, {"a", ""}},
        {"a{0,2}b", {"b", "ab", "aab"}, {"aaab"}},
        {"(ab|c){2}", {"abab", "abc", "cc"}, {"ab", "c", "ccc"}},
        {"(?:a|b)*c", {"c", "ababc"}, {"abab"}},
        {"a*?b+?", {"b", "aabb"}, {"a"}},
        {"[a-c]", {"a", "b", "c"}, {"d", "", "-"}},
        {"[^a-c]", {"d", "A", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80"}, {"a", "", "dd"}},
        {"[-a]", {"-", "a"}, {"b"}},
        {"[a\\]]", {"]", "a"}, {"\\"}},
        {"[\\d.]+", {"1.5", "..."}, {"a"}},
        {"\\d\\D", {"1a"}, {"11", "a1"}},
        {"\\w+", {"aZ_9"}, {"a b", "\xC3\xA9"}},
        {"\\W", {"-", "\xC3\xA9"}, {"a"}},
        {"\\s\\S", {" a", "\ta", "\xC2\xA0x"}, {"aa", "  "}},
        {".", {"a", "\xC3\xA9", "\xF0\x9F\x98\x80"}, {"\n", "\r", "ab", "\xC3"}},
        {"\\.", {"."}, {"a"}},
        {"\\x41\\u00e9\\u{1F600}", {"A\xC3\xA9\xF0\x9F\x98\x80"}, {"A"}},
        {"[\\u0400-\\u04FF]+", {"\xD0\x96", "\xD3\xBF"}, {"\xD4\x80", "Z"}},
        {"[\\u0800-\\uFFFF]", {"\xE0\xA0\x80", "\xEF\xBF\xBF", "\xED\x9F\xBF"}, {"\xDF\xBF"}},
        {"\\/\\-\\{", {"/-{"}, {"/"}},
        {"{}", {"{}"}, {""}},
        {"a{,2}", {"a{,2}"}, {"aa"}},
        {"(a*)*", {"", "aaa"}, {"b"}},
        {"(a?){3}b", {"b", "aaab"}, {"aaaab"}},
        {"(|a)+", {"", "aa"}, {"b"}},
        {"()*x", {"x"}, {""}},
        {"(a|b)*abb", {"abb", "aababb"}, {"ab", "abba"}},
        {"(?:[01]\\d|2[0-3]):[0-5]\\d", {"00:00", "23:59"}, {"24:00", "1:00", "12:60"}},
    };
    print_message("%d texts\n", accept_check(SOURCE_REGEX, rows, COUNT(rows)));
}

static void what_regular_expressions_have_not_is_refused_with_its_place(void **state)
{
    (void)state;
    static const struct refuse_row rows[] = {
        {"(a)\\1", "byte 5: \\1 is not supported"},
        {"a\\b", "\\b is not supported"},
        {"(?=a)", "only (...) and (?:...)"},
        {"(?<n>a)", "only (...) and (?:...)"},
        {"(a", "not closed"},
        {"a)", "a ) too many"},
        {"*a", "nothing to repeat"},
        {"a**", "repetition of a repetition"},
        {"a{3,1}", "3 to 1 times"},
        {"a{100001}", "over 100000 times"},
        {"[b-a]", "goes down"},
        {"[a", "ends too early"},
        {"[]", "empty class"},
        {"[[:alpha:]]", "[: is not supported"},
        {"a^b", "anchor inside"},
        {"(a$)", "anchor inside"},
        {"\\p{L}", "\\p is not supported"},
        {"\\ud800", "no character"},
        {"\\x4", "hexadecimal digits"},
        {"a\xC3", "not UTF-8"},
        {"((a{1000}){1000}){1000}", "too large"},
        {"[^\\x01-\\u{10FFFF}]", "no text at all"},
    };
    accept_check_refusals(SOURCE_REGEX, rows, COUNT(rows));
}

static void grammars_in_ebnf_match(void **state)
{
    (void)state;
    static const struct accept_row rows[] = {
        {"root ::= \"yes\" | \"no\"", {"yes", "no"}, {"", "yesno"}},
        {"root ::= a b\na ::= \"x\"\nb ::= [0-9]+", {"x1", "x99"}, {"x", "1"}},
        {"root ::= \"(\" root \")\" | \"x\"", {"x", "((x))"}, {"(x", "x)"}},
        {"# first\nroot ::= # here\n  \"a\"\n  | \"b\" # or\n\n", {"a", "b"}, {"ab"}},
        {"root ::= (\"a\"\n | \"b\"\n)+ \"!\"", {"a!", "bab!"}, {"!"}},
        {"root ::= [^\"\\\\]* \"\\\"\"", {"\"", "abc\""}, {"a\\\""}},
        {"root ::= \"\\x41\\u00e9\\U0001F600\\n\\t\\r\\\\\"",
         {"A\xC3\xA9\xF0\x9F\x98\x80\n\t\r\\"},
         {"A"}},
        {"root ::= [\\]a\\-]", {"]", "a", "-"}, {"b"}},
        {"root ::= \"a\"{2} \"b\"{1,} \"c\"{0,1}", {"aab", "aabbc"}, {"ab", "aac"}},
        {"root ::= .{2}", {"ab", "\n\xC3\xA9"}, {"a", "abc"}},
        {"root ::= e\ne ::= t (\"+\" t)*\nt ::= [0-9] | \"(\" e \")\"",
         {"1", "1+2", "(1+(2+3))+4"},
         {"1+", "+1", "(1"}},
        {"root ::= \"a\" root \"a\" | \"\"", {"", "aa", "aaaa"}, {"a", "aaa"}},
        {"root ::= a root | \"\"\na ::= \"x\"?\"y\"", {"", "xyy", "yxy"}, {"x", "xx"}},
        {"root ::= ws \"a\" ws \"b\" ws\nws ::= [ \\t]*", {"ab", " a  b "}, {"a", "a b c"}},
        {"root ::= s s\ns ::= n n \"x\"\nn ::= \"y\" | \"\"", {"xx", "yxyyx"}, {"x", "yyyxx"}},
        {"root::=\"a\"", {"a"}, {"b"}},
        {"root ::= \"a\" |", {"a", ""}, {"b"}},
        {"root ::= (\"a\"*)*", {"", "aa"}, {"b"}},
        {"root ::= \"a\" nothing | \"b\"\nnothing ::= \"x\" nothing", {"b"}, {"a", "ax"}},
    };
    print_message("%d texts\n", accept_check(SOURCE_EBNF, rows, COUNT(rows)));
}

static void what_ebnf_has_not_is_refused(void **state)
{
    (void)state;
    static const struct refuse_row rows[] = {
        {"", "no rule \"root\""},
        {"a ::= \"x\"", "no rule \"root\""},
        {"root ::= x", "\"x\" is not defined"},
        {"root ::= root \"a\" | \"b\"", "\"root\" calls itself"},
        {"root ::= n root \"a\" | \"b\"\nn ::= \"x\"?", "left recursion"},
        {"root ::= a\na ::= b\nb ::= a | \"x\"", "left recursion"},
        {"root ::= \"a\" root", "no text at all"},
        {"root ::= \"a", "ends too early"},
        {"root ::= (\"a\"", "not closed"},
        {"root ::= \"a\" )", "end of its line"},
        {"root ::= [a", "ends too early"},
        {"root ::= [z-a]", "goes down"},
        {"root ::= \"\\q\"", "unknown escape"},
        {"root ::= \"a\"{x}", "{m,n}"},
        {"root := \"a\"", "::="},
        {"::= \"a\"", "name of a rule"},
        {"root ::= \"a\"\nroot ::= \"b\"", "there already"},
        {"root ::= <[12]>", "end of its line"},
    };
    accept_check_refusals(SOURCE_EBNF, rows, COUNT(rows));
}

/* What makes others exponential or endless: texts and budgets keep it in bounds. */
static void hard_grammars_stay_linear(void **state)
{
    (void)state;
    char text[2001];
    memset(text, 'a', 2000);
    text[2000] = 0;
    assert_true(accept_text(SOURCE_REGEX, "(a*)*(a|aa)*(a?a?a?)*", text));
    assert_false(accept_text(SOURCE_REGEX, "(a|a)*b", text));
    assert_true(accept_text(SOURCE_REGEX, "(a?){1000}a{1000}a*", text));
    assert_true(
        accept_text(SOURCE_EBNF, "root ::= \"a\" root | \"a\" root root | \"\"", text + 1900));
    assert_true(
        accept_text(SOURCE_EBNF, "root ::= \"a\" x\nx ::= root root root | \"\"", "aaaaaaa"));
    assert_true(accept_text(SOURCE_EBNF, "root ::= \"a\" root ws | \"\"\nws ::= \" \"*", text));
}

/* Rules that call each other at their beginnings, 2000 of them. */
static void a_long_chain_of_rules_works(void **state)
{
    (void)state;
    struct buf source;
    buf_init(&source, 1 << 20);
    for (int i = 0; i < 2000; i++)
        buf_printf(&source, "%s%.0d ::= %s%d | \"x%d\"\n", i ? "r" : "root", i, "r", i + 1, i);
    buf_add_str(&source, "r2000 ::= \"end\"\n");
    assert_true(accept_text(SOURCE_EBNF, buf_text(&source), "end"));
    assert_true(accept_text(SOURCE_EBNF, buf_text(&source), "x1234"));
    assert_false(accept_text(SOURCE_EBNF, buf_text(&source), "x2000"));
    buf_fini(&source);
}

static void deep_parentheses_are_refused(void **state)
{
    (void)state;
    char source[400] = "root ::= ";
    memset(source + 9, '(', 300);
    struct refuse_row row = {source, "deep"};
    accept_check_refusals(SOURCE_EBNF, &row, 1);
    row.source = source + 9;
    accept_check_refusals(SOURCE_REGEX, &row, 1);
}

/* A text that makes ever new states goes on when what is stored must be forgotten. */
static void a_matcher_forgets_and_goes_on(void **state)
{
    (void)state;
    struct automaton *a;
    struct matcher *m = NULL;
    struct err err = {0};
    if (accept_compile(&a, SOURCE_EBNF,
                       "root ::= \"(\" root \")\" ws | [a-z] \"!\"\nws ::= \" \"{0,3}", &err) ||
        matcher_new(&m, a, &err))
        fail_msg("%s", err.message);
    enum { DEPTH = 50000 };
    for (int i = 0; i < DEPTH; i++)
        if (matcher_bytes(m, "(", 1, &err) != 1) {
            /* As deep as there is room for: then it says so. */
            assert_int_equal(err.code, ERR_LIMIT);
            assert_true(i > 10000);
            break;
        }
    if (matcher_restart(m, &err)) fail_msg("%s", err.message);
    for (int round = 0; round < 40; round++) {
        for (int i = 0; i < 3000; i++)
            assert_int_equal(matcher_bytes(m, "(", 1, NULL), 1);
        assert_int_equal(matcher_bytes(m, "x!", 2, NULL), 1);
        for (int i = 0; i < 3000; i++)
            assert_int_equal(matcher_bytes(m, ")", 1, NULL), 1);
        assert_true(matcher_may_end(m));
        assert_int_equal(matcher_bytes(m, ")", 1, NULL), 0);
        if (matcher_restart(m, NULL)) fail_msg("restart");
    }
    matcher_free(m);
    automaton_free(a);
}

/* What a matcher holds of the heap follows what it has stored. */
static void room_grows_with_what_is_stored_up_to_its_bound(void **state)
{
    (void)state;
    struct automaton *a;
    struct matcher *m = NULL;
    struct err err = {0};
    enum { DEPTH = 50000 };
    size_t before, most = MATCHER_MAX_ROOM;
    if (accept_compile(&a, SOURCE_EBNF, "root ::= \"(\" root \")\" | [a-z]", &err) ||
        matcher_new(&m, a, &err))
        fail_msg("%s", err.message);
    assert_true(matcher_room(m) < 32 << 10);
    for (int i = 0; i < 100; i++)
        assert_int_equal(matcher_bytes(m, "(", 1, &err), 1);
    before = matcher_room(m);
    assert_true(before < 128 << 10);
    for (int i = 0, rc = 1; i < DEPTH && rc == 1; i++) {
        rc = matcher_bytes(m, "(", 1, &err);
        assert_true(matcher_room(m) >= before && matcher_room(m) <= most);
        before = matcher_room(m);
    }
    assert_int_equal(err.code, ERR_LIMIT); /* it is full, */
    assert_true(before > 1 << 20);
    if (matcher_restart(m, &err)) fail_msg("%s", err.message);
    assert_int_equal(matcher_bytes(m, "((x))", 5, &err), 1); /* and as good as new */
    assert_true(matcher_may_end(m));
    matcher_free(m);
    automaton_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(regular_expressions_match_as_a_whole),
        cmocka_unit_test(what_regular_expressions_have_not_is_refused_with_its_place),
        cmocka_unit_test(grammars_in_ebnf_match),
        cmocka_unit_test(what_ebnf_has_not_is_refused),
        cmocka_unit_test(hard_grammars_stay_linear),
        cmocka_unit_test(a_long_chain_of_rules_works),
        cmocka_unit_test(deep_parentheses_are_refused),
        cmocka_unit_test(a_matcher_forgets_and_goes_on),
        cmocka_unit_test(room_grows_with_what_is_stored_up_to_its_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
