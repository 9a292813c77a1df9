#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "measure/judge.h"

struct row {
    const char *content, *wanted;
    bool right;
};

static void check_rows(const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct row *r = &rows[i];
        if (judge_answer(r->content, strlen(r->content), r->wanted) != r->right)
            fail_msg("row %zu: \"%s\" for \"%s\" must be %s", i, r->content, r->wanted,
                     r->right ? "right" : "wrong");
    }
}

#define CHECK_ROWS(rows) check_rows(rows, sizeof(rows) / sizeof *(rows))

static void numbers_are_compared_by_value(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"The answer is 37.", "37", true},
        {"The answer is 37.", "7", false},
        {"The answer is 37.", "3", false},
        {"37", "37", true},
        {"", "37", false},
        {"I do not know.", "0", false},
        {"20 + 17 = 37", "37", true},
        {"It is 37, not 38.", "37", false}, /* the last number */
        {"1,450", "1450", true},
        {"1450", "1,450", true},
        {"1450.0", "1450", true},
        {"1450", "1450.00", true},
        {"1450.5", "1450", false},
        {"1,450.50 dollars", "1450.5", true},
        {"12,34,567", "1234567", true},
        {"12,34", "34", true}, /* no separator: the last group must have three digits */
        {"3, 512", "512", true},
        {"007", "7", true},
        {"0", "-0", true},
        {"-0.0", "0", true},
        {"+5", "5", true},
        {"-5", "5", false},
        {"\xe2\x88\x92"
         "5",
         "-5", true}, /* U+2212 */
        {"x = -5.", "-5", true},
        {"8-5", "5", true}, /* a difference, not a sign */
        {"(8)-5", "5", true},
        {"a-5", "5", true},
        {"8 - 5", "5", true},
        {"8 -5", "-5", true},
        {".5", "0.5", true},
        {"-.5", "-0.5", true},
        {"is.5", "5", true},
        {"1.2.3", "3", true},
        {"5.", "5", true},
        {"$18.00", "18", true},
        {"**18**", "18", true},
        {"18 %", "18", true},
        {"99999999999999999999999999999999999999.5", "99999999999999999999999999999999999999.5",
         true},
        {"9007199254740993", "9007199254740992", false}, /* equal as doubles */
        {"0.1000000000000000000001", "0.1", false},
        {"1000000", "1,000,000", true},
    };
    CHECK_ROWS(rows);
}

static void digits_of_other_scripts_are_digits(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"答案是３７。", "37", true},
        {"答案是37。", "37", true},
        {"答案是１，４５０．５。", "1450.5", true},
        {"উত্তর হল ১৪৫০।", "1450", true},
        {"উত্তর হল ১,৪৫০।", "1450", true},
        {"సమాధానం ౩౭.", "37", true},
        {"คำตอบคือ ๓๗", "37", true},
        {"คำตอบคือ๓๗", "37", true},
        {"उत्तर ३७ है।", "37", true},
        {"－５", "-5", true},
        {"37", "৩৭", true},
        {"৩৮", "37", false},
    };
    CHECK_ROWS(rows);
}

static void marked_answers_come_first(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"\\boxed{37}, found in 3 steps", "37", true},
        {"\\boxed{3} or \\boxed{37} after 5", "37", true},
        {"\\boxed{\\text{about } 37 \\text{ m}^{2}}", "2", true}, /* the last number inside */
        {"\\boxed{\\frac{1}{37}} 5", "37", true},
        {"\\boxed{1{,}450}", "1450", true},
        {"\\boxed{1,\\!450}", "1450", true},
        {"\\boxed{1\\,450}", "1450", true},
        {"\\boxed{none} 37", "37", false},
        {"\\boxed{37", "37", true},
        {"\\boxed{}", "37", false},
        {"\\boxed{37} #### 38", "37", true},
        {"#### 37\nThat took 3 steps.", "37", true},
        {"#### 3\n#### 37\n", "37", true},
        {"####37", "37", true},
        {"#### none\n37", "37", false},
        {"### 3 steps: 37", "37", true},
    };
    CHECK_ROWS(rows);
}

static void text_answers_end_the_content(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"The answer is Tom.", "Tom", true},
        {"The answer is Tom", "Tom", true},
        {"Tom", "Tom", true},
        {"**Tom**!", "Tom", true},
        {"The answer is \"Tom\".\n", "Tom", true},
        {"The answer is tom.", "Tom", false},
        {"Tom is the answer.", "Tom", false},
        {"The answer is Atom.", "tom", false},
        {"the \xc3\xa9tom", "tom", false}, /* a letter before it */
        {"e\xcc\x81tom", "tom", false},    /* a mark before it */
        {"2Tom", "Tom", true},
        {"Anna Lee", "Lee", true},
        {"", "Tom", false},
        {"om", "Tom", false},
        {"...", "Tom", false},
        {"答案是小明。", "小明", true},
        {"答案是Tom。", "Tom", true}, /* Han and Latin: a boundary */
        {"答えは太郎です。", "太郎", false},
        {"答えは太郎です。", "太郎です", true},
        {"คำตอบคือแดง", "แดง", true},
        {"Ответ: Катя.", "Катя", true},
        {"Ответ: Окатя.", "катя", false},
        {"উত্তর হল মিনা।", "মিনা", true},
        {"উত্তরমিনা।", "মিনা", false},
        {"సమాధానం రవి", "రవి", true},
        {"පිළිතුර නිමල් ෴", "නිමල්", true},
        {"the answer is a.m.", "a.m.", true},
    };
    CHECK_ROWS(rows);
}

static void times_and_lists_are_text(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"It is 14:35.", "14:35", true},
        {"It is 114:35.", "14:35", false},
        {"It is 1.14:35.", "14:35", false},
        {"It is 2:14:35.", "14:35", false},
        {"It is 4:35.", "14:35", false},
        {"It is 14:35 now", "14:35", false},
        {"答案是14:35。", "14:35", true},
        {"Sorted: 3, 5, 12.", "3, 5, 12", true},
        {"Sorted: 13, 5, 12.", "3, 5, 12", false},
        {"Sorted: 1, 3, 5, 12.", "3, 5, 12", false},
        {"Sorted: 1,3, 5, 12.", "3, 5, 12", false},
        {"Sorted: 1 , 3, 5, 12", "3, 5, 12", true}, /* the comma is not behind the digit */
        {"Sorted: -3, 5, 12.", "3, 5, 12", false},
        {"Sorted, as you wish, 3, 5, 12.", "3, 5, 12", true},
        {"3, 5, 12, 13", "3, 5, 12", false},
        {"3,5,12", "3, 5, 12", false},
        {"12", "3, 5, 12", false},
        {"In 2024, 14:35", "14:35", true}, /* no list */
        {"-3, 5", "-3, 5", true},
    };
    CHECK_ROWS(rows);
}

static void given_is(const char *content, const char *wanted, const char *given)
{
    struct buf b;
    buf_init(&b, 1 << 16);
    judge_given(content, strlen(content), wanted, &b);
    assert_string_equal(buf_text(&b), given);
    buf_fini(&b);
}

static void equal_answers_have_one_spelling(void **state)
{
    (void)state;
    given_is("So 1,450.00.", "7", "1450");
    given_is("So -0.50", "7", "-0.5");
    given_is("none", "7", "");
    given_is("first\n**The answer is Tom.**\n", "Tom", "The answer is Tom");
    given_is("Tom", "Ann", "Tom");
    given_is("", "Tom", "");
}

/* Work that grew with the square of the length would run into the time limit. */
static void long_content_is_read_once(void **state)
{
    (void)state;
    enum { SIZE = 1 << 19 };
    static const char *const patterns[] = {"1",        "1,23,", "12,",  "-",
                                           "\\boxed{", ".",     "####", "9, "};
    char *content = xmalloc(SIZE);
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        size_t n = strlen(patterns[i]);
        for (size_t at = 0; at < SIZE; at++)
            content[at] = patterns[i][at % n];
        assert_false(judge_answer(content, SIZE, "77"));
        assert_false(judge_answer(content, SIZE, "8, 8"));
    }
    free(content);
}

static void bytes_that_are_no_text_do_no_harm(void **state)
{
    (void)state;
    assert_true(judge_answer("\xff\xfe 37 \xe3\x80", 8, "37"));
    assert_true(judge_answer("\xff"
                             "37\x80",
                             4, "37"));
    assert_false(judge_answer("\xef\xbc", 2, "37"));
    assert_true(judge_answer("\xff\x80Tom\xff", 5, "Tom"));
    assert_false(judge_answer("\xff\x80Tom\xff", 6, "Tom"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_compared_by_value),
        cmocka_unit_test(digits_of_other_scripts_are_digits),
        cmocka_unit_test(marked_answers_come_first),
        cmocka_unit_test(text_answers_end_the_content),
        cmocka_unit_test(times_and_lists_are_text),
        cmocka_unit_test(equal_answers_have_one_spelling),
        cmocka_unit_test(long_content_is_read_once),
        cmocka_unit_test(bytes_that_are_no_text_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
