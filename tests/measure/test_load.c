#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "measure/load.h"
#include "measure/load_client.h"

/* ---- quantiles and counts ---- */

static void near(double got, double want)
{
    if (!(fabs(got - want) <= 1e-4 * fabs(want) + 1e-9)) fail_msg("%.9f, not %.9f", got, want);
}

static void quantiles_are_exact_at_any_time(void **state)
{
    (void)state;
    struct samples s = {0};
    assert_true(isnan(samples_quantile(&s, 0.5)));
    for (int i = 0; i <= 1000; i++)
        samples_add(&s, (i * 37) % 1001); /* each of 0 to 1000 once */
    near(samples_quantile(&s, 0), 0);
    near(samples_quantile(&s, 0.5), 500);
    near(samples_quantile(&s, 0.99), 990);
    near(samples_quantile(&s, 1), 1000);
    samples_add(&s, -1);
    near(samples_quantile(&s, 0), -1);
    assert_int_equal(s.n, 1002);
    samples_fini(&s);
}

static struct load_answer whole(double first, double gap)
{
    return (struct load_answer){.outcome = LOAD_WHOLE,
                                .status = 200,
                                .first = first,
                                .gap = gap,
                                .whole = 1,
                                .prompt_tokens = 10,
                                .cached_tokens = 4,
                                .answer_tokens = 3};
}

static void goodput_wants_both_limits_kept(void **state)
{
    (void)state;
    struct load_result r = {.limits = {0.5, 0.02}};
    const struct load_answer answers[] = {whole(0.5, 0.02), whole(0.51, 0.01), whole(0.1, 0.03),
                                          whole(0.1, 0), whole(NAN, 0)};
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++)
        load_result_add(&r, &answers[i]);
    assert_int_equal(r.n_good, 3);
    assert_int_equal(r.outcomes[LOAD_WHOLE], 5);
    assert_int_equal(r.first.n, 4);
    assert_int_equal(r.prompt_tokens, 50);
    assert_int_equal(r.cached_tokens, 20);
    assert_int_equal(r.answer_tokens, 15);
    load_result_fini(&r);
}

static void what_is_not_whole_is_counted_apart(void **state)
{
    (void)state;
    struct load_result r = {0};
    load_result_add(
        &r, &(struct load_answer){
                .outcome = LOAD_REFUSED, .status = 429, .retry_after = true, .whole = 0.25});
    load_result_add(&r,
                    &(struct load_answer){.outcome = LOAD_REFUSED, .status = 404, .whole = 0.75});
    load_result_add(&r, &(struct load_answer){
                            .outcome = LOAD_CUT, .status = 200, .whole = 9, .answer_tokens = 5});
    load_result_add(&r, &(struct load_answer){.outcome = LOAD_NO_CONNECTION});
    assert_int_equal(r.n, 4);
    assert_int_equal(r.statuses[429], 1);
    assert_int_equal(r.statuses[404], 1);
    assert_int_equal(r.statuses[200], 0);
    assert_int_equal(r.n_retry_after, 1);
    assert_int_equal(r.n_good, 0);
    assert_int_equal(r.answer_tokens, 0);
    assert_int_equal(r.whole.n, 0);
    near(samples_quantile(&r.refusals, 0.5), 0.5);
    load_result_fini(&r);
}

/* ---- the plan ---- */

static const struct load_plan plan = {.seed = 7,
                                      .model = "m",
                                      .turns = 3,
                                      .prefix = 12,
                                      .prompt = {5, 9},
                                      .answer = {20, 29},
                                      .rate = 4,
                                      .temperature = 0.5};

static int count_words(const char *text)
{
    int n = 0;
    for (; *text; text++)
        n += *text == ' ';
    return n;
}

/* The body of a turn as parsed JSON; the caller owns it. */
static json_t *body_of(const struct load_plan *p, uint64_t i, int turns)
{
    json_t *messages = load_plan_begin(p);
    for (int turn = 0; turn < turns; turn++)
        load_plan_turn(p, i, turn, messages);
    char *text = load_plan_body(p, i, turns - 1, messages);
    json_t *body = json_loads(text, 0, NULL);
    free(text);
    json_decref(messages);
    assert_non_null(body);
    return body;
}

static const char *content(const json_t *body, size_t i)
{
    const json_t *messages = json_object_get(body, "messages");
    return json_string_value(json_object_get(json_array_get(messages, i), "content"));
}

static void the_same_plan_sends_the_same(void **state)
{
    (void)state;
    struct load_plan other = plan;
    other.seed = 8;
    for (uint64_t i = 0; i < 50; i++) {
        json_t *a = body_of(&plan, i, 2), *b = body_of(&plan, i, 2), *c = body_of(&plan, i + 1, 2);
        json_t *d = body_of(&other, i, 2);
        assert_true(json_equal(a, b));
        assert_false(json_equal(a, c));
        assert_string_equal(content(a, 0), content(c, 0)); /* the prefix is that of all */
        assert_string_not_equal(content(a, 0), content(d, 0));
        assert_string_not_equal(content(a, 1), content(a, 2));
        json_decref(a);
        json_decref(b);
        json_decref(c);
        json_decref(d);
    }
}

static void lengths_are_of_their_ranges(void **state)
{
    (void)state;
    bool prompts[10] = {false}, answers[30] = {false};
    for (uint64_t i = 0; i < 300; i++) {
        json_t *body = body_of(&plan, i, 1);
        int words = count_words(content(body, 1));
        int tokens = (int)json_integer_value(json_object_get(body, "max_tokens"));
        assert_int_equal(count_words(content(body, 0)), 12);
        assert_in_range(words, 5, 9);
        assert_in_range(tokens, 20, 29);
        prompts[words] = answers[tokens] = true;
        json_decref(body);
    }
    for (int n = 5; n <= 9; n++)
        assert_true(prompts[n]);
    for (int n = 20; n <= 29; n++)
        assert_true(answers[n]);
}

static void a_body_says_what_the_plan_does(void **state)
{
    (void)state;
    struct load_plan p = plan;
    json_t *body = body_of(&p, 3, 1);
    assert_true(json_is_true(json_object_get(body, "ignore_eos")));
    assert_true(json_is_true(json_object_get(body, "stream")));
    assert_int_equal(json_integer_value(json_object_get(body, "seed")), 3);
    assert_string_equal(json_string_value(json_object_get(body, "model")), "m");
    json_decref(body);
    p.ends = p.thinking = true;
    p.prefix = 0;
    body = body_of(&p, 3, 1);
    assert_null(json_object_get(body, "ignore_eos"));
    assert_int_equal(json_array_size(json_object_get(body, "messages")), 1);
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(body, "thinking"), "type")), "enabled");
    json_decref(body);
}

/* Of an exponential distribution with mean 1/4: mean, and the share beyond the mean, 1/e. */
static void arrivals_are_poisson(void **state)
{
    (void)state;
    double sum = 0;
    int beyond = 0;
    enum { N = 20000 };
    for (uint64_t i = 0; i < N; i++) {
        double gap = load_plan_gap(&plan, i);
        assert_true(gap > 0);
        sum += gap;
        beyond += gap > 0.25;
    }
    assert_true(fabs(sum / N - 0.25) < 0.01);
    assert_true(fabs((double)beyond / N - 0.3679) < 0.015);
    assert_true(load_plan_gap(&plan, 5) == load_plan_gap(&plan, 5));
}

/* ---- URLs ---- */

static void urls_name_host_port_and_path(void **state)
{
    (void)state;
    static const struct {
        const char *url, *host, *path;
    } good[] = {{"http://127.0.0.1:8080", "127.0.0.1:8080", "/v1/chat/completions"},
                {"http://127.0.0.1/", "127.0.0.1", "/v1/chat/completions"},
                {"HTTP://127.0.0.1:1/beta", "127.0.0.1:1", "/beta/chat/completions"},
                {"http://127.0.0.1:1/a/b//", "127.0.0.1:1", "/a/b/chat/completions"},
                {"http://[::1]:8080/v1", "[::1]:8080", "/v1/chat/completions"}};
    static const char *const bad[] = {"",
                                      "127.0.0.1",
                                      "ftp://h",
                                      "http://",
                                      "http://:80",
                                      "http://h:",
                                      "http://h:x",
                                      "http://127.0.0.1:80 80",
                                      "http://h:123456789",
                                      "http://h:65536",
                                      "http://[::1",
                                      "http://[::1]x",
                                      "http://h?q",
                                      "http://h/a b",
                                      "http://h/a\r\nb"};
    struct load_target t;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct err err = {0};
        if (load_target_find(&t, good[i].url, &err)) fail_msg("%s", err.message);
        assert_string_equal(t.host, good[i].host);
        assert_string_equal(t.path, good[i].path);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct err err = {0};
        if (load_target_find(&t, bad[i], &err) == 0) fail_msg("%s", bad[i]);
        assert_int_equal(err.code, ERR_ARGUMENT);
    }
    struct err err = {0};
    assert_int_equal(load_target_find(&t, "https://h", &err), -1);
    assert_int_equal(err.code, ERR_UNSUPPORTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantiles_are_exact_at_any_time),
        cmocka_unit_test(goodput_wants_both_limits_kept),
        cmocka_unit_test(what_is_not_whole_is_counted_apart),
        cmocka_unit_test(the_same_plan_sends_the_same),
        cmocka_unit_test(lengths_are_of_their_ranges),
        cmocka_unit_test(a_body_says_what_the_plan_does),
        cmocka_unit_test(arrivals_are_poisson),
        cmocka_unit_test(urls_name_host_port_and_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
