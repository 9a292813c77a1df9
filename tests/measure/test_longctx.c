#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "measure/judge.h"
#include "measure/longctx.h"

/* A tokenizer of words, and a prompt of ten more tokens. */
static int count_words(void *ctx, const char *question, int *n, struct err *err)
{
    int *calls = ctx;
    (void)err;
    ++*calls;
    *n = 10;
    for (const char *p = question; *p; p++)
        *n += p[0] != ' ' && (p[1] == ' ' || !p[1]);
    return 0;
}

static struct task make(const struct longctx_options *o)
{
    struct task t = {0};
    struct err err = {0};
    if (longctx_make(&t, o, &err)) fail_msg("%s", err.message);
    return t;
}

static const int positions[] = {128, 1024, 4096};

static void lengths_are_kept(void **state)
{
    (void)state;
    int calls = 0, n;
    struct longctx_options o = {positions, 3, 4, 0, count_words, &calls};
    struct task t = make(&o);
    assert_int_equal(t.n, 24);
    assert_true(calls < 24 * 12);
    for (int i = 0; i < t.n; i++) {
        const struct problem *p = &t.at[i];
        int position = positions[i / 8];
        assert_string_equal(p->kind, i / 4 % 2 ? "copy" : "needle");
        assert_int_equal(strtol(problem_field(p, "position"), NULL, 10), position);
        assert_int_equal(count_words(&calls, p->question, &n, NULL), 0);
        assert_in_range(n, position - 31, position);
    }
    task_fini(&t);
}

static void the_fact_stands_once_at_its_depth(void **state)
{
    (void)state;
    int calls = 0;
    struct longctx_options o = {positions + 2, 1, 5, 0, count_words, &calls};
    struct task t = make(&o);
    for (int i = 0; i < t.n; i++) {
        const struct problem *p = &t.at[i];
        const char *at = strstr(p->question, p->answer);
        assert_non_null(at);
        assert_null(strstr(at + 1, p->answer));
        double depth = (double)(at - p->question) / (double)strlen(p->question);
        double want = (2 * (i % 5) + 1) / 10.0 / (i < 5 ? 1 : 4);
        assert_true(depth > want - 0.03 && depth < want + 0.03);
        assert_true(judge_answer(p->answer, strlen(p->answer), p->answer));
    }
    assert_non_null(strstr(t.at[0].question, "The secret number of "));
    assert_non_null(strstr(t.at[5].question, "Remember this list: "));
    task_fini(&t);
}

static void a_seed_makes_the_same_problems_and_another_others(void **state)
{
    (void)state;
    int calls = 0;
    struct longctx_options o = {positions, 2, 3, 5, count_words, &calls};
    struct task a = make(&o), b = make(&o);
    o.seed = 6;
    struct task c = make(&o);
    for (int i = 0; i < a.n; i++) {
        assert_string_equal(a.at[i].question, b.at[i].question);
        assert_string_equal(a.at[i].answer, b.at[i].answer);
        assert_string_not_equal(a.at[i].question, c.at[i].question);
        for (int j = 0; j < i; j++)
            assert_string_not_equal(a.at[i].question, a.at[j].question);
    }
    task_fini(&a);
    task_fini(&b);
    task_fini(&c);
}

static int count_much(void *ctx, const char *question, int *n, struct err *err)
{
    (void)ctx;
    (void)question;
    (void)err;
    *n = 2000;
    return 0;
}

static void a_length_below_the_question_is_refused(void **state)
{
    (void)state;
    struct longctx_options o = {positions, 1, 1, 0, count_much, NULL};
    struct task t = {0};
    struct err err = {0};
    assert_int_equal(longctx_make(&t, &o, &err), -1);
    assert_int_equal(err.code, ERR_ARGUMENT);
    assert_non_null(strstr(err.message, "the question alone has 2000"));
    task_fini(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lengths_are_kept),
        cmocka_unit_test(the_fact_stands_once_at_its_depth),
        cmocka_unit_test(a_seed_makes_the_same_problems_and_another_others),
        cmocka_unit_test(a_length_below_the_question_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
