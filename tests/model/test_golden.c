/* The forward pass against what DeepSeek's own code gives for the golden models. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../support/golden.h"
#include "base/mem.h"

/* Instrumented code is ten times slower: the two small models there. */
#ifdef TENON_SANITIZED
static const char *const models[] = {"tests/golden/zeta", "tests/golden/beta"};
#else
static const char *const models[] = {"tests/golden/zeta", "tests/golden/beta", "tests/golden/alpha",
                                     "tests/golden/gamma"};
#endif
enum { N_MODELS = sizeof models / sizeof *models };

static void float_logits_agree(void **state)
{
    (void)state;
    for (int i = 0; i < N_MODELS; i++) {
        size_t n, n_logits;
        int32_t *tokens = golden_i32(models[i], "tokens", &n);
        float *expected = golden_f32(models[i], "logits", &n_logits);
        struct bench_model b = model_for_test(models[i], MODE_FLOAT, 2, NULL, 0);
        float *logits = xmalloc(n_logits * sizeof *logits);
        run_logits(&b, tokens, (int)n, 128, logits, NULL);
        double d = max_difference(expected, logits, n_logits) / max_magnitude(expected, n_logits);
        print_message("%s: float logits differ by %.2e of the largest\n", models[i], d);
        assert_true(d <= 1e-4);
        model_done(&b);
        free(logits);
        free(expected);
        free(tokens);
    }
}

static void float_mtp_logits_agree(void **state)
{
    (void)state;
    for (int i = 0; i < N_MODELS; i++) {
        size_t n, n_expected, n_traced;
        int32_t *tokens = golden_i32(models[i], "tokens", &n);
        int32_t *traced = golden_i32(models[i], "trace_positions", &n_traced);
        float *expected = golden_f32(models[i], "mtp_logits", &n_expected);
        struct bench_model b = model_for_test(models[i], MODE_FLOAT, 2, NULL, 1);
        assert_true(model_has_mtp(b.model));
        size_t v = (size_t)b.vocab;
        float *logits = xmalloc(n * v * sizeof *logits), *mtp = xmalloc(n * v * sizeof *mtp);
        run_logits(&b, tokens, (int)n, 100, logits, mtp);
        double d = 0, max = max_magnitude(expected, n_expected);
        size_t row = 0;
        for (size_t t = 0; t < n_traced; t++) {
            if ((size_t)traced[t] >= n - 1) continue;
            double here = max_difference(expected + row * v, mtp + (size_t)traced[t] * v, v) / max;
            d = here > d ? here : d;
            row++;
        }
        print_message("%s: MTP logits differ by %.2e of the largest\n", models[i], d);
        assert_int_equal(row * v, n_expected);
        assert_true(d <= 1e-4);
        model_done(&b);
        free(mtp);
        free(logits);
        free(expected);
        free(traced);
        free(tokens);
    }
}

static void float_greedy_tokens_are_equal(void **state)
{
    (void)state;
    for (int i = 0; i < N_MODELS; i++) {
        size_t n, n_greedy;
        int32_t *tokens = golden_i32(models[i], "tokens", &n);
        int32_t *greedy = golden_i32(models[i], "greedy", &n_greedy);
        int prompt = (int)golden_number(models[i], "greedy_prompt_tokens");
        struct bench_model b = model_for_test(models[i], MODE_FLOAT, 2, NULL, 0);
        float *last = xmalloc((size_t)b.vocab * sizeof *last);
        struct kv *kv = kv_new(b.pool);
        feed(&b, kv, tokens, prompt, last);
        for (size_t t = 0; t < n_greedy; t++) {
            int32_t token = argmax(last, b.vocab);
            assert_int_equal(token, greedy[t]);
            feed(&b, kv, &token, 1, last);
        }
        kv_free(kv);
        model_done(&b);
        free(last);
        free(greedy);
        free(tokens);
    }
}

/* On positions where the oracle itself is stable under rounding noise. */
static void f32_activations_agree_with_rounded_logits(void **state)
{
    (void)state;
    for (int i = 0; i < N_MODELS; i++) {
        size_t n, n_logits, n_stable;
        int32_t *tokens = golden_i32(models[i], "tokens", &n);
        float *expected = golden_f32(models[i], "logits_rounded", &n_logits);
        uint8_t *stable = golden_u8(models[i], "stable_rounded", &n_stable);
        struct bench_model b = model_for_test(models[i], MODE_F32_ACTS, 2, NULL, 0);
        size_t v = (size_t)b.vocab;
        float *logits = xmalloc(n_logits * sizeof *logits);
        run_logits(&b, tokens, (int)n, 128, logits, NULL);
        double d = 0, max = max_magnitude(expected, n_logits);
        int n_tested = 0;
        for (size_t t = 0; t < n; t++) {
            if (!stable[t]) continue;
            double here = max_difference(expected + t * v, logits + t * v, v) / max;
            d = here > d ? here : d;
            n_tested++;
        }
        print_message("%s: %d stable positions differ by %.2e of the largest\n", models[i],
                      n_tested, d);
        assert_true(n_tested > 20);
        assert_true(d <= 3e-4);
        model_done(&b);
        free(logits);
        free(stable);
        free(expected);
        free(tokens);
    }
}

static void default_mode_stays_close_to_rounded_logits(void **state)
{
    (void)state;
    for (int i = 0; i < N_MODELS; i++) {
        size_t n, n_logits;
        int32_t *tokens = golden_i32(models[i], "tokens", &n);
        float *expected = golden_f32(models[i], "logits_rounded", &n_logits);
        double limit = 1.5 * golden_number(models[i], "int8_mean_kl_from_rounded");
        struct bench_model b = model_for_test(models[i], MODE_DEFAULT, 2, NULL, 0);
        float *logits = xmalloc(n_logits * sizeof *logits);
        run_logits(&b, tokens, (int)n, 128, logits, NULL);
        double kl = mean_kl(expected, logits, n, (size_t)b.vocab);
        print_message("%s: mean KL %.4f, at most %.4f\n", models[i], kl, limit);
        assert_true(kl <= limit);
        model_done(&b);
        free(logits);
        free(expected);
        free(tokens);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(float_logits_agree),
        cmocka_unit_test(float_mtp_logits_agree),
        cmocka_unit_test(float_greedy_tokens_are_equal),
        cmocka_unit_test(f32_activations_agree_with_rounded_logits),
        cmocka_unit_test(default_mode_stays_close_to_rounded_logits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
