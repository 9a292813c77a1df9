/* The controller of drafts, by times made up here: no test looks at a clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../support/random.h"
#include "engine/speculate.h"

/* A machine: seconds of a step for n answers without drafts, with them, and how many come true. */
struct machine {
    double without, with;
    int percent; /* right */
};

static struct random noise = {1};

/* n_steps steps as the controller wants them; how many of them drafted. */
static int run(struct speculate *s, const struct machine *m, int n, int n_steps)
{
    int n_drafted = 0;
    for (int i = 0; i < n_steps; i++) {
        bool drafts = speculate_wants(s, n, true);
        double seconds = (drafts ? m->with : m->without) * n;
        speculate_note_step(s, n, drafts, drafts ? n : 0, seconds);
        n_drafted += drafts;
        for (int k = 0; drafts && k < n; k++)
            speculate_note_drafts(s, 1, random_int(&noise, 1, 100) <= m->percent);
    }
    return n_drafted;
}

static const struct machine good = {1.0, 1.3, 80}, bad = {1.0, 2.1, 95};

static void both_kinds_are_tried_first(void **state)
{
    (void)state;
    struct speculate *s = speculate_new(SPECULATE_AUTO);
    assert_false(speculate_wants(s, 1, false));
    assert_int_equal(run(s, &bad, 1, 2 * SPECULATE_TRIAL), SPECULATE_TRIAL);
    speculate_free(s);
}

static void drafts_that_pay_go_on(void **state)
{
    (void)state;
    struct speculate *s = speculate_new(SPECULATE_AUTO);
    run(s, &good, 1, 50);
    assert_true(speculate_wants(s, 1, false));
    int drafted = run(s, &good, 1, 10 * SPECULATE_PROBE);
    assert_int_equal(drafted, 10 * SPECULATE_PROBE - 10);
    speculate_free(s);
}

static void drafts_that_do_not_pay_stop_but_for_probes(void **state)
{
    (void)state;
    struct speculate *s = speculate_new(SPECULATE_AUTO);
    run(s, &bad, 1, 50);
    assert_false(speculate_wants(s, 1, false));
    assert_int_equal(run(s, &bad, 1, 10 * SPECULATE_PROBE), 10);
    speculate_free(s);
}

static void drafts_that_are_wrong_do_not_pay(void **state)
{
    (void)state;
    const struct machine wrong = {1.0, 1.3, 5};
    struct speculate *s = speculate_new(SPECULATE_AUTO);
    run(s, &wrong, 1, 200);
    assert_false(speculate_wants(s, 1, false));
    speculate_free(s);
}

static void a_change_is_noticed_both_ways(void **state)
{
    (void)state;
    struct speculate *s = speculate_new(SPECULATE_AUTO);
    run(s, &bad, 1, 1000);
    run(s, &good, 1, 40 * SPECULATE_PROBE);
    assert_true(speculate_wants(s, 1, false));
    run(s, &bad, 1, 40 * SPECULATE_PROBE);
    assert_false(speculate_wants(s, 1, false));
    speculate_free(s);
}

static void steps_of_many_answers_are_judged_apart(void **state)
{
    (void)state;
    struct speculate *s = speculate_new(SPECULATE_AUTO);
    for (int i = 0; i < 100; i++) {
        run(s, &good, 1, 10);
        run(s, &bad, 32, 10);
    }
    assert_true(speculate_wants(s, 1, false));
    assert_false(speculate_wants(s, 32, false));
    assert_false(speculate_wants(s, 63, false));
    speculate_free(s);
}

/* One step in ten is held up for long, as on a busy machine. */
static void steps_that_others_held_up_count_little(void **state)
{
    (void)state;
    struct speculate *s = speculate_new(SPECULATE_AUTO);
    int drafted = 0;
    for (int i = 0; i < 3000; i++) {
        const struct machine slow = {10.0, 10.0, 80};
        drafted += run(s, i % 10 == 9 ? &slow : &good, 1, 1);
    }
    assert_true(drafted > 2900);
    speculate_free(s);
}

/* A step with prompts among its rows is not timed: it must not count as a try. */
static void steps_that_are_not_timed_try_nothing(void **state)
{
    (void)state;
    struct speculate *s = speculate_new(SPECULATE_AUTO);
    assert_false(speculate_wants(s, 8, false));
    run(s, &bad, 8, 100);
    for (int i = 0; i < 2 * SPECULATE_PROBE; i++) {
        assert_false(speculate_wants(s, 8, false));
        run(s, &bad, 8, 1);
    }
    run(s, &good, 8, 40 * SPECULATE_PROBE);
    assert_true(speculate_wants(s, 8, false));
    speculate_free(s);
}

static void on_is_always(void **state)
{
    (void)state;
    struct speculate *s = speculate_new(SPECULATE_ON);
    assert_true(speculate_wants(s, 1, false));
    assert_int_equal(run(s, &bad, 1, 300), 300);
    speculate_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_kinds_are_tried_first),
        cmocka_unit_test(drafts_that_pay_go_on),
        cmocka_unit_test(drafts_that_do_not_pay_stop_but_for_probes),
        cmocka_unit_test(drafts_that_are_wrong_do_not_pay),
        cmocka_unit_test(a_change_is_noticed_both_ways),
        cmocka_unit_test(steps_of_many_answers_are_judged_apart),
        cmocka_unit_test(steps_that_others_held_up_count_little),
        cmocka_unit_test(steps_that_are_not_timed_try_nothing),
        cmocka_unit_test(on_is_always),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
