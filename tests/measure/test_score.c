#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "measure/score.h"

/* ---- stats ---- */

static void near(double got, double want)
{
    if (!(fabs(got - want) <= 5e-4)) fail_msg("%.6f, not %.6f", got, want);
}

/* The formula worked out apart, by a calculator. */
static void wilson_is_the_score_interval(void **state)
{
    (void)state;
    static const double rows[][4] = {{188, 200, 0.8981, 0.9653}, {0, 10, 0, 0.2775},
                                     {10, 10, 0.7225, 1},        {1, 2, 0.0945, 0.9055},
                                     {50, 100, 0.4038, 0.5962},  {2.5, 5, 0.1704, 0.8296}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct interval r = stats_wilson(rows[i][0], rows[i][1]);
        near(r.low, rows[i][2]);
        near(r.high, rows[i][3]);
    }
    assert_true(isnan(stats_wilson(0, 0).low));
}

static void a_mean_of_clusters_has_their_error(void **state)
{
    (void)state;
    const double x[] = {1, 2, 3, 4, 5};
    struct mean m = stats_mean(x, 5);
    near(m.value, 3);
    near(m.error, sqrt(2.5 / 5));
    near(m.range.low, 3 - 1.95996 * m.error);
    near(m.range.high, 3 + 1.95996 * m.error);
    m = stats_mean(x, 1);
    near(m.value, 1);
    assert_true(isnan(m.error) && isnan(m.range.low));
    assert_true(isnan(stats_mean(x, 0).value));
}

static void quantiles_lie_between_neighbours(void **state)
{
    (void)state;
    float x[] = {3, 1, 2, 5, 4};
    stats_sort(x, 5);
    near(stats_quantile(x, 5, 0), 1);
    near(stats_quantile(x, 5, 0.5), 3);
    near(stats_quantile(x, 5, 0.6), 3.4);
    near(stats_quantile(x, 5, 1), 5);
    near(stats_quantile(x, 1, 0.99), 1);
}

static void spreading_takes_each_once_in_order(void **state)
{
    (void)state;
    for (int n = 1; n < 40; n++)
        for (int count = 1; count <= n; count++) {
            int last = -1;
            for (int i = 0; i < count; i++) {
                int at = stats_spread(n, count, i);
                assert_in_range(at, last + 1, n - 1);
                last = at;
            }
        }
    assert_in_range(stats_spread(10, 2, 1), 5, 9);
    int seen[15] = {0};
    for (int i = 0; i < 2200; i++)
        seen[stats_spread(11000, 2200, i) % 15]++;
    for (int i = 0; i < 15; i++)
        assert_in_range(seen[i], 2200 / 15 - 50, 2200 / 15 + 50);
    assert_int_equal(stats_spread(1 << 20, 1 << 20, (1 << 20) - 1), (1 << 20) - 1);
}

/* ---- score ---- */

static struct task task_of(int n)
{
    struct task t = {0};
    struct err err = {0};
    for (int i = 0; i < n; i++)
        if (task_add(&t,
                     &(struct problem){.id = "p",
                                       .lang = i % 2 ? "zh" : "en",
                                       .kind = i < 2 ? "add" : "sub",
                                       .question = "q",
                                       .answer = i == 3 ? "Tom" : "37",
                                       .others = i ? json_pack("{s:s}", "wording", "w") : NULL},
                     &err))
            fail_msg("%s", err.message);
    return t;
}

/* Adds an answer of this content; it is right when told so. */
static void give(struct score *s, int problem, int try, const char *content, bool right)
{
    struct parse_result text = {.content = content, .content_size = strlen(content)};
    struct generation_result result = {.finish = FINISH_STOP, .text = &text};
    if (!strcmp(content, "CUT")) result.finish = FINISH_LENGTH;
    struct answer a = {.problem = problem, .try = try, .right = right, .result = &result};
    score_add(s, &a);
}

static struct score_row *rows_of(const struct score *s, const char *a, const char *b, int want)
{
    struct score_row *rows;
    struct err err = {0};
    int n;
    if (score_rows(s, a, b, &rows, &n, &err)) fail_msg("%s", err.message);
    assert_int_equal(n, want);
    return rows;
}

static void one_try_is_counted_by_fields(void **state)
{
    (void)state;
    struct task t = task_of(5);
    struct score *s = score_new(&t, 1);
    free(rows_of(s, NULL, NULL, 0));
    give(s, 4, 0, "37", true);
    give(s, 0, 0, "37", true);
    give(s, 1, 0, "CUT", false);
    give(s, 2, 0, "36", false); /* problem 3 has no answer yet */
    struct score_row *r = rows_of(s, NULL, NULL, 1);
    assert_int_equal(r->n_problems, 4);
    assert_int_equal(r->n_answers, 4);
    assert_int_equal(r->n_right, 2);
    assert_int_equal(r->n_cut, 1);
    assert_int_equal(r->n_whole, 4);
    near(r->accuracy, 0.5);
    near(r->range.low, stats_wilson(2, 4).low);
    free(r);
    r = rows_of(s, "lang", NULL, 2);
    assert_string_equal(r[0].a, "en");
    assert_int_equal(r[0].n_answers, 3);
    assert_int_equal(r[0].n_right, 2);
    assert_string_equal(r[1].a, "zh");
    assert_int_equal(r[1].n_cut, 1);
    free(r);
    r = rows_of(s, "lang", "kind", 3);
    assert_string_equal(r[2].a, "en");
    assert_string_equal(r[2].b, "sub");
    assert_int_equal(r[2].n_answers, 2);
    assert_int_equal(r[2].n_right, 1);
    free(r);
    r = rows_of(s, "wording", NULL, 2);
    assert_string_equal(r[0].a, "?");
    assert_string_equal(r[1].a, "w");
    free(r);
    score_free(s);
    task_fini(&t);
}

static void several_tries_give_pass_and_majority(void **state)
{
    (void)state;
    struct task t = task_of(5);
    struct score *s = score_new(&t, 4);
    static const struct {
        const char *content[4];
        int right; /* bits */
    } all[] = {
        {{"37", "37.0", "38", "39"}, 3},           /* the majority is right */
        {{"37", "38", "=38", "39"}, 1},            /* one is, the majority is not */
        {{"36", "37", "37", "36"}, 6},             /* a tie goes to the first */
        {{"So Tom.", "Ann", "**So Tom**", ""}, 5}, /* text */
    };
    for (int i = 0; i < 4; i++)
        for (int k = 3; k >= 0; k--)
            give(s, i, k, all[i].content[k], all[i].right >> k & 1);
    give(s, 4, 0, "CUT", false); /* one of four tries */
    struct score_row *r = rows_of(s, NULL, NULL, 1);
    assert_int_equal(r->n_problems, 5);
    assert_int_equal(r->n_answers, 17);
    assert_int_equal(r->n_right, 7);
    assert_int_equal(r->n_whole, 4);
    assert_int_equal(r->n_pass, 4);
    assert_int_equal(r->n_majority, 2);
    near(r->accuracy, (0.5 + 0.25 + 0.5 + 0.5 + 0) / 5);
    near(r->range.high, stats_wilson(1.75, 5).high);
    free(r);
    score_free(s);
    task_fini(&t);
}

static void cut_answers_have_no_vote(void **state)
{
    (void)state;
    struct task t = task_of(1);
    struct score *s = score_new(&t, 3);
    give(s, 0, 0, "CUT", false);
    give(s, 0, 1, "CUT", false);
    give(s, 0, 2, "37", true);
    struct score_row *r = rows_of(s, NULL, NULL, 1);
    assert_int_equal(r->n_majority, 1);
    assert_int_equal(r->n_cut, 2);
    free(r);
    score_free(s);
    task_fini(&t);
}

static void too_many_groups_are_refused(void **state)
{
    (void)state;
    struct task t = {0};
    struct err err = {0};
    for (int i = 0; i <= SCORE_MAX_ROWS; i++) {
        char id[16];
        snprintf(id, sizeof id, "%d", i);
        struct problem p = {.id = id, .lang = "?", .kind = "?", .question = "q", .answer = "37"};
        assert_int_equal(task_add(&t, &p, NULL), 0);
    }
    struct score *s = score_new(&t, 1);
    struct score_row *rows;
    int n;
    for (int i = 0; i < SCORE_MAX_ROWS; i++)
        give(s, i, 0, "37", true);
    free(rows_of(s, "id", NULL, SCORE_MAX_ROWS));
    give(s, SCORE_MAX_ROWS, 0, "37", true);
    assert_int_equal(score_rows(s, "id", NULL, &rows, &n, &err), -1);
    assert_int_equal(err.code, ERR_LIMIT);
    assert_null(rows);
    score_free(s);
    task_fini(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wilson_is_the_score_interval),
        cmocka_unit_test(a_mean_of_clusters_has_their_error),
        cmocka_unit_test(quantiles_lie_between_neighbours),
        cmocka_unit_test(spreading_takes_each_once_in_order),
        cmocka_unit_test(one_try_is_counted_by_fields),
        cmocka_unit_test(several_tries_give_pass_and_majority),
        cmocka_unit_test(cut_answers_have_no_vote),
        cmocka_unit_test(too_many_groups_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
