/* Counters and histograms: what is counted where, and the text of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "serve/metrics.h"

static char *printed(struct metrics *m, const struct metrics_now *now)
{
    struct buf out;
    buf_init(&out, 1 << 20);
    metrics_print(m, now, &out);
    assert_false(out.failed);
    return buf_take(&out);
}

/* The whole line is there, once. */
static void assert_line(const char *text, const char *line)
{
    char with_end[512];
    snprintf(with_end, sizeof with_end, "\n%s\n", line);
    const char *at = strstr(text, with_end);
    if (!at) fail_msg("no line %s", line);
    assert_null(strstr(at + 1, with_end));
}

static void what_was_counted_is_printed(void **state)
{
    (void)state;
    struct metrics *m = metrics_new("m");
    struct metrics_now now = {.engine = {.n_running = 2,
                                         .n_waiting = 3,
                                         .memory = 1000,
                                         .reserved = 250,
                                         .n_steps = 4,
                                         .n_rows = 21,
                                         .step_seconds = 1.5,
                                         .step_rows = {1, 0, 2, 0, 1}},
                              .n_exchanges = 7};
    const struct key_totals keys[] = {
        {.name = "ann", .n_requests = 5, .n_refused = 1, .n_prompt_tokens = 70, .n_tokens = 9},
        {.name = "bob", .n_requests = 2, .n_cached_tokens = 8}};
    now.keys = keys;
    now.n_keys = 2;
    now.audit_lost = 9;
    now.engine.cache = (struct prefix_stats){.n_entries = 3, .bytes = 4096, .disk = {.n_bad = 6}};
    struct metrics_answer a = {.finish = FINISH_STOP,
                               .is_first = true,
                               .n_prompt = 100,
                               .n_reused = 60,
                               .n_drawn = 10,
                               .max_tokens = 64,
                               .since_arrival = 4,
                               .since_submit = 3.5,
                               .prompt_seconds = 1,
                               .decode_seconds = 2};
    metrics_count_answer(m, &a);
    a.is_first = false; /* another choice of the same prompt */
    a.finish = FINISH_LENGTH;
    metrics_count_answer(m, &a);
    a.finish = FINISH_CANCELLED;
    metrics_count_answer(m, &a);
    a.failed = true;
    metrics_count_answer(m, &a);
    metrics_count_status(m, 200);
    metrics_count_status(m, 200);
    metrics_count_status(m, 422);
    metrics_count_status(m, 418);
    char *text = printed(m, &now);
    static const char *const lines[] = {
        "vllm:num_requests_running{model_name=\"m\",engine=\"0\"} 2",
        "vllm:num_requests_waiting{model_name=\"m\",engine=\"0\"} 3",
        "vllm:kv_cache_usage_perc{model_name=\"m\",engine=\"0\"} 0.25",
        "tenon:step_seconds_total{model_name=\"m\",engine=\"0\"} 1.5",
        "tenon:requests_under_way{model_name=\"m\",engine=\"0\"} 7",
        "vllm:prompt_tokens_total{model_name=\"m\",engine=\"0\"} 100",
        "vllm:prompt_tokens_cached_total{model_name=\"m\",engine=\"0\"} 60",
        "llamacpp:prompt_tokens_total{model_name=\"m\",engine=\"0\"} 40",
        "vllm:generation_tokens_total{model_name=\"m\",engine=\"0\"} 30",
        "vllm:request_success_total{model_name=\"m\",engine=\"0\",finished_reason=\"stop\"} 1",
        "vllm:request_success_total{model_name=\"m\",engine=\"0\",finished_reason=\"length\"} 1",
        "vllm:request_success_total{model_name=\"m\",engine=\"0\",finished_reason=\"abort\"} 1",
        "vllm:request_success_total{model_name=\"m\",engine=\"0\",finished_reason=\"error\"} 1",
        "vllm:prefix_cache_queries_total{model_name=\"m\",engine=\"0\"} 100",
        "vllm:prefix_cache_hits_total{model_name=\"m\",engine=\"0\"} 60",
        "tenon:prefix_cache_entries{model_name=\"m\",engine=\"0\"} 3",
        "tenon:prefix_cache_bytes{model_name=\"m\",engine=\"0\"} 4096",
        "tenon:prefix_cache_disk_bad_total{model_name=\"m\",engine=\"0\"} 6",
        "tenon:audit_lost_total{model_name=\"m\",engine=\"0\"} 9",
        "tenon:key_requests_total{model_name=\"m\",engine=\"0\",key=\"ann\"} 5",
        "tenon:key_requests_total{model_name=\"m\",engine=\"0\",key=\"bob\"} 2",
        "tenon:key_refused_total{model_name=\"m\",engine=\"0\",key=\"ann\"} 1",
        "tenon:key_prompt_tokens_total{model_name=\"m\",engine=\"0\",key=\"ann\"} 70",
        "tenon:key_cached_tokens_total{model_name=\"m\",engine=\"0\",key=\"bob\"} 8",
        "tenon:key_generation_tokens_total{model_name=\"m\",engine=\"0\",key=\"ann\"} 9",
        "tenon:requests_cancelled_total{model_name=\"m\",engine=\"0\"} 1",
        "tenon:http_responses_total{model_name=\"m\",engine=\"0\",code=\"200\"} 2",
        "tenon:http_responses_total{model_name=\"m\",engine=\"0\",code=\"422\"} 1",
        "tenon:http_responses_total{model_name=\"m\",engine=\"0\",code=\"other\"} 1",
        /* 4 s in all less 2 s of drawing, and 3.5 s since the engine had it less 3 s of work */
        "vllm:time_to_first_token_seconds_sum{model_name=\"m\",engine=\"0\"} 4",
        "vllm:request_queue_time_seconds_sum{model_name=\"m\",engine=\"0\"} 1",
        "vllm:e2e_request_latency_seconds_count{model_name=\"m\",engine=\"0\"} 2",
        "vllm:request_inference_time_seconds_sum{model_name=\"m\",engine=\"0\"} 6",
        "vllm:request_params_max_tokens_bucket{model_name=\"m\",engine=\"0\",le=\"50\"} 0",
        "vllm:request_params_max_tokens_bucket{model_name=\"m\",engine=\"0\",le=\"100\"} 2",
        "vllm:iteration_tokens_total_bucket{model_name=\"m\",engine=\"0\",le=\"1\"} 1",
        "vllm:iteration_tokens_total_bucket{model_name=\"m\",engine=\"0\",le=\"4\"} 3",
        "vllm:iteration_tokens_total_bucket{model_name=\"m\",engine=\"0\",le=\"+Inf\"} 4",
        "vllm:iteration_tokens_total_sum{model_name=\"m\",engine=\"0\"} 21",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        assert_line(text, lines[i]);
    free(text);
    metrics_free(m);
}

/* A value on a bound belongs to it; beyond the last bound there is +Inf. */
static void buckets_are_closed_above(void **state)
{
    (void)state;
    struct metrics *m = metrics_new("m");
    struct metrics_now now = {0};
    static const double gaps[] = {0, 0.001, 0.0010001, 0.05, 40, 41, 1e9};
    for (size_t i = 0; i < sizeof gaps / sizeof *gaps; i++)
        metrics_count_gap(m, gaps[i]);
    char *text = printed(m, &now);
    static const char *const lines[] = {
        "vllm:inter_token_latency_seconds_bucket{model_name=\"m\",engine=\"0\",le=\"0.001\"} 2",
        "vllm:inter_token_latency_seconds_bucket{model_name=\"m\",engine=\"0\",le=\"0.0025\"} 3",
        "vllm:inter_token_latency_seconds_bucket{model_name=\"m\",engine=\"0\",le=\"0.025\"} 3",
        "vllm:inter_token_latency_seconds_bucket{model_name=\"m\",engine=\"0\",le=\"0.05\"} 4",
        "vllm:inter_token_latency_seconds_bucket{model_name=\"m\",engine=\"0\",le=\"40\"} 5",
        "vllm:inter_token_latency_seconds_bucket{model_name=\"m\",engine=\"0\",le=\"+Inf\"} 7",
        "vllm:inter_token_latency_seconds_count{model_name=\"m\",engine=\"0\"} 7",
        "vllm:time_per_output_token_seconds_count{model_name=\"m\",engine=\"0\"} 7",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        assert_line(text, lines[i]);
    free(text);
    metrics_free(m);
}

static void the_models_name_is_escaped(void **state)
{
    (void)state;
    struct metrics *m = metrics_new("a\"b\\c\nd");
    struct metrics_now now = {0};
    char *text = printed(m, &now);
    assert_line(text, "vllm:num_requests_running{model_name=\"a\\\"b\\\\c\\nd\",engine=\"0\"} 0");
    free(text);
    metrics_free(m);
    metrics_free(NULL);
}

/* Nothing divides by what is not there yet. */
static void an_idle_server_has_numbers(void **state)
{
    (void)state;
    struct metrics *m = metrics_new("m");
    struct metrics_now now = {0};
    char *text = printed(m, &now);
    assert_null(strstr(text, "nan"));
    assert_null(strstr(text, "} inf"));
    assert_line(text, "llamacpp:prompt_tokens_seconds{model_name=\"m\",engine=\"0\"} 0");
    free(text);
    metrics_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_counted_is_printed),
        cmocka_unit_test(buckets_are_closed_above),
        cmocka_unit_test(the_models_name_is_escaped),
        cmocka_unit_test(an_idle_server_has_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
