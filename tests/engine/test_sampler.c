#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/philox.h"
#include "engine/sampler.h"

/* ---- Philox: vectors of the paper's library (Random123, kat_vectors) ---- */

static void philox_gives_the_known_answers(void **state)
{
    (void)state;
    static const struct {
        uint32_t counter[4], key[2], out[4];
    } known[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        uint32_t out[4];
        philox4x32_10(known[i].counter, known[i].key, out);
        assert_memory_equal(out, known[i].out, sizeof out);
    }
}

/* ---- picks ---- */

enum { V = 8 };
static const float LOGITS[V] = {1, 3, 2, 3, -1, 0, 2.5f, -4};

static struct sampler *sampler_of(const struct sampler_options *o, int vocab)
{
    struct sampler *s = NULL;
    struct err err = {0};
    if (sampler_new(&s, o, vocab, &err)) fail_msg("%s", err.message);
    return s;
}

/* The token at this position. */
static int draw(struct sampler *s, const float *logits, int position, struct sampler_key key)
{
    struct pick p;
    struct err err = {0};
    if (sampler_pick(s, logits, NULL, position, &key, &p, &err)) fail_msg("%s", err.message);
    return p.id;
}

static int pick(const struct sampler_options *o, const float *logits, int vocab,
                const int32_t *history, int n, uint64_t seed)
{
    struct sampler *s = sampler_of(o, vocab);
    struct pick p;
    assert_int_equal(
        sampler_pick(s, logits, history, n, &(struct sampler_key){.seed = seed}, &p, NULL), 0);
    sampler_free(s);
    return p.id;
}

/* How often each token comes out at positions 0..n-1. */
static void count(const struct sampler_options *o, const float *logits, int vocab, int n, int *hits)
{
    static const int32_t history[1] = {0};
    struct sampler *s = sampler_of(o, vocab);
    struct sampler_options plain = *o;
    assert_true(plain.repeat_penalty == 1); /* so that the history's contents do not matter */
    memset(hits, 0, (size_t)vocab * sizeof *hits);
    for (int i = 0; i < n; i++) {
        struct pick p;
        assert_int_equal(sampler_pick(s, logits, history, i, &(struct sampler_key){7, 0}, &p, NULL),
                         0);
        hits[p.id]++;
    }
    sampler_free(s);
}

static void greedy_takes_the_lower_of_equal_logits(void **state)
{
    (void)state;
    struct sampler_options o = sampler_defaults();
    o.temperature = 0;
    assert_int_equal(pick(&o, LOGITS, V, NULL, 0, 1), 1);
}

static void draws_follow_the_softmax(void **state)
{
    (void)state;
    enum { N = 40000 };
    struct sampler_options o = sampler_defaults();
    int hits[V];
    double z = 0;
    count(&o, LOGITS, V, N, hits);
    for (int i = 0; i < V; i++)
        z += exp((double)LOGITS[i]);
    for (int i = 0; i < V; i++) {
        double p = exp((double)LOGITS[i]) / z;
        double sigma = sqrt(N * p * (1 - p));
        assert_true(fabs(hits[i] - N * p) < 5 * sigma + 1);
    }
}

static void temperature_sharpens(void **state)
{
    (void)state;
    enum { N = 20000 };
    struct sampler_options o = sampler_defaults();
    int hits[V];
    o.temperature = 0.5f;
    count(&o, LOGITS, V, N, hits);
    double z = 0;
    for (int i = 0; i < V; i++)
        z += exp(2 * (double)LOGITS[i]);
    double p = exp(2 * (double)LOGITS[6]) / z;
    assert_true(fabs(hits[6] - N * p) < 5 * sqrt(N * p * (1 - p)));
}

/* Which tokens can come out at all. */
static unsigned reachable(const struct sampler_options *o, const float *logits, int vocab)
{
    int hits[64];
    unsigned set = 0;
    count(o, logits, vocab, 4000, hits);
    for (int i = 0; i < vocab; i++)
        if (hits[i]) set |= 1u << i;
    return set;
}

static void top_k_keeps_k_and_the_lower_of_ties(void **state)
{
    (void)state;
    struct sampler_options o = sampler_defaults();
    o.top_k = 3;
    assert_int_equal(reachable(&o, LOGITS, V), 1 << 1 | 1 << 3 | 1 << 6);
    o.top_k = 1;
    assert_int_equal(reachable(&o, LOGITS, V), 1 << 1);
    o.top_k = V + 5;
    assert_int_equal(reachable(&o, LOGITS, V) & 0x4f, 0x4f);
}

static void top_p_keeps_the_fewest_that_reach_p(void **state)
{
    (void)state;
    /* probabilities 0.5, 0.25, 0.125, 0.125 */
    const float l[4] = {logf(2), logf(8), logf(4), logf(2)};
    struct sampler_options o = sampler_defaults();
    o.top_p = 0.4f;
    assert_int_equal(reachable(&o, l, 4), 1 << 1);
    o.top_p = 0.6f;
    assert_int_equal(reachable(&o, l, 4), 1 << 1 | 1 << 2);
    o.top_p = 0.8f; /* 0.125 twice: the lower id */
    assert_int_equal(reachable(&o, l, 4), 1 << 1 | 1 << 2 | 1 << 0);
    o.top_p = 1;
    assert_int_equal(reachable(&o, l, 4), 15);
}

static void top_p_counts_what_top_k_left(void **state)
{
    (void)state;
    const float l[4] = {logf(2), logf(8), logf(4), logf(2)};
    struct sampler_options o = sampler_defaults();
    o.top_k = 2; /* left: 2/3 and 1/3 */
    o.top_p = 0.65f;
    assert_int_equal(reachable(&o, l, 4), 1 << 1);
}

static void min_p_compares_with_the_most_likely(void **state)
{
    (void)state;
    const float l[4] = {logf(2), logf(8), logf(4), logf(2)};
    struct sampler_options o = sampler_defaults();
    o.min_p = 0.3f;
    assert_int_equal(reachable(&o, l, 4), 1 << 1 | 1 << 2);
    o.min_p = 1;
    assert_int_equal(reachable(&o, l, 4), 1 << 1);
}

static void penalties_look_at_the_window(void **state)
{
    (void)state;
    struct sampler_options o = sampler_defaults();
    const int32_t history[6] = {1, 1, 3, 6, 0, 0};
    o.temperature = 0;
    o.penalty_last_n = -1;
    o.repeat_penalty = 2; /* 1, 3, 6, 0 halved: 2 is the largest, token 2 */
    assert_int_equal(pick(&o, LOGITS, V, history, 6, 0), 2);
    o.penalty_last_n = 4; /* 3, 6, 0 halved: 1 stays at 3 */
    assert_int_equal(pick(&o, LOGITS, V, history, 6, 0), 1);
    o.penalty_last_n = 0;
    assert_int_equal(pick(&o, LOGITS, V, history, 6, 0), 1);

    o = sampler_defaults();
    o.temperature = 0;
    o.penalty_last_n = -1;
    o.presence_penalty = 0.25f; /* 1 and 3 at 2.75, 6 at 2.25 */
    assert_int_equal(pick(&o, LOGITS, V, history, 6, 0), 1);
    o.presence_penalty = 0;
    o.frequency_penalty = 0.25f; /* 1 twice: 2.5; 3 once: 2.75 */
    assert_int_equal(pick(&o, LOGITS, V, history, 6, 0), 3);
}

static void repetition_makes_negative_logits_more_negative(void **state)
{
    (void)state;
    const float l[2] = {-1, -1.5f};
    const int32_t history[1] = {0};
    struct sampler_options o = sampler_defaults();
    o.temperature = 0;
    o.repeat_penalty = 2;
    assert_int_equal(pick(&o, l, 2, history, 1, 0), 1);
}

static void bias_comes_after_penalties(void **state)
{
    (void)state;
    struct logit_bias bias[2] = {{4, 100}, {1, -50}};
    struct sampler_options o = sampler_defaults();
    const int32_t history[1] = {4};
    o.temperature = 0;
    o.bias = bias;
    o.n_bias = 2;
    o.repeat_penalty = 100; /* -1 becomes -100; the bias makes 0 of it */
    assert_int_equal(pick(&o, LOGITS, V, history, 1, 0), 3);
    bias[0].bias = 110;
    assert_int_equal(pick(&o, LOGITS, V, history, 1, 0), 4);
}

static void draw_depends_on_seed_choice_and_position_only(void **state)
{
    (void)state;
    enum { W = 1000, N = 64 };
    static float flat[W];
    struct sampler_options o = sampler_defaults();
    struct sampler *a = sampler_of(&o, W), *b = sampler_of(&o, W);
    int same[3] = {0};
    for (int i = 0; i < N; i++) {
        const struct sampler_key keys[4] = {{5, 0}, {6, 0}, {5, 1}, {5 | 1ull << 40, 0}};
        int first = draw(a, flat, i, keys[0]);
        draw(b, flat, N - i, keys[0]); /* another order leaves no trace */
        assert_int_equal(draw(b, flat, i, keys[0]), first);
        for (int k = 0; k < 3; k++)
            same[k] += draw(b, flat, i, keys[k + 1]) == first;
    }
    for (int k = 0; k < 3; k++)
        assert_true(same[k] < 5);
    sampler_free(a);
    sampler_free(b);
}

static void filters_that_keep_all_change_no_draw(void **state)
{
    (void)state;
    enum { W = 300 };
    float l[W];
    struct sampler_options none = sampler_defaults(), all = none;
    all.top_k = W - 1; /* leaves out one token that is never drawn */
    all.min_p = 1e-30f;
    for (int i = 0; i < W; i++)
        l[i] = (float)((i * 37) % 101) * 0.05f;
    l[17] = -100;
    struct sampler *a = sampler_of(&none, W), *b = sampler_of(&all, W);
    for (int i = 0; i < 500; i++)
        assert_int_equal(draw(a, l, i, (struct sampler_key){3, 0}),
                         draw(b, l, i, (struct sampler_key){3, 0}));
    sampler_free(a);
    sampler_free(b);
}

static void known_draws_stay(void **state)
{
    (void)state;
    /* A change of these is a change of the contract. */
    static const int expected[12] = {3, 6, 6, 3, 1, 1, 1, 2, 3, 1, 3, 1};
    struct sampler_options o = sampler_defaults();
    struct sampler *s = sampler_of(&o, V);
    for (int i = 0; i < 12; i++)
        assert_int_equal(draw(s, LOGITS, i, (struct sampler_key){42, 0}), expected[i]);
    sampler_free(s);
}

static void logprobs_are_the_models(void **state)
{
    (void)state;
    struct logit_bias bias = {7, 1000};
    struct sampler_options o = sampler_defaults();
    o.temperature = 0;
    o.logprobs = 3;
    o.bias = &bias;
    o.n_bias = 1;
    struct sampler *s = sampler_of(&o, V);
    struct pick p;
    assert_int_equal(sampler_pick(s, LOGITS, NULL, 0, &(struct sampler_key){0}, &p, NULL), 0);
    double z = 0;
    for (int i = 0; i < V; i++)
        z += exp((double)LOGITS[i]);
    assert_int_equal(p.id, 7);
    assert_true(fabs((double)p.logprob - (-4 - log(z))) < 1e-5);
    assert_int_equal(p.n_top, 3);
    static const int order[3] = {1, 3, 6};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(p.top[i].id, order[i]);
        assert_true(fabs((double)p.top[i].logprob - ((double)LOGITS[order[i]] - log(z))) < 1e-5);
    }
    sampler_free(s);
}

static void extreme_logits_still_give_a_token(void **state)
{
    (void)state;
    const float l[3] = {-FLT_MAX, FLT_MAX, -FLT_MAX};
    const int32_t history[3] = {0, 1, 2};
    struct sampler_options o = sampler_defaults();
    o.temperature = 1e-30f;
    assert_int_equal(pick(&o, l, 3, NULL, 0, 1), 1);
    o = sampler_defaults();
    o.repeat_penalty = 0.01f; /* overflows to infinity */
    assert_int_equal(pick(&o, l, 3, history, 3, 1), 1);
    o.top_k = 2;
    o.top_p = 0.5f;
    assert_int_equal(pick(&o, l, 3, history, 3, 1), 1);
}

static void nan_and_infinity_are_an_error(void **state)
{
    (void)state;
    const float bad[3] = {NAN, INFINITY, -INFINITY};
    struct sampler_options o = sampler_defaults();
    struct sampler *s = sampler_of(&o, 3);
    for (int i = 0; i < 3; i++) {
        float l[3] = {0, 0, 0};
        struct pick p;
        struct err err = {0};
        l[i] = bad[i];
        assert_int_equal(sampler_pick(s, l, NULL, 0, &(struct sampler_key){0}, &p, &err), -1);
        assert_int_equal(err.code, ERR_NUMERIC);
    }
    sampler_free(s);
}

static void options_out_of_range_are_refused(void **state)
{
    (void)state;
    struct logit_bias bias = {8, 0};
    struct sampler_options bad[12];
    for (int i = 0; i < 12; i++)
        bad[i] = sampler_defaults();
    bad[0].temperature = NAN;
    bad[1].temperature = -1;
    bad[2].temperature = INFINITY;
    bad[3].top_p = 0;
    bad[4].top_p = 1.5f;
    bad[5].min_p = -0.1f;
    bad[6].repeat_penalty = 0;
    bad[7].top_k = -1;
    bad[8].logprobs = 21;
    bad[9].bias = &bias;
    bad[9].n_bias = 1;
    bad[10].presence_penalty = NAN;
    bad[11].penalty_last_n = -2;
    for (int i = 0; i < 12; i++) {
        struct err err = {0};
        assert_int_equal(sampler_check(&bad[i], V, &err), -1);
        assert_int_equal(err.code, ERR_ARGUMENT);
    }
    struct sampler_options good = sampler_defaults();
    assert_int_equal(sampler_check(&good, V, NULL), 0);
}

/* Greedy and sampled, with filters that would choose others; log-probabilities stay those of all tokens. */
static void only_tokens_of_the_mask_come_out(void **state)
{
    (void)state;
    const uint64_t some = 1 << 0 | 1 << 5 | 1 << 7, all = 0xFF;
    struct sampler_options o = sampler_defaults();
    o.logprobs = 2;
    for (int kind = 0; kind < 4; kind++) {
        int hits[V] = {0};
        o.temperature = kind ? 2 : 0;
        o.top_k = kind == 2 ? 2 : 0;
        o.min_p = kind == 3 ? 0.3f : 0;
        struct sampler *s = sampler_of(&o, V), *free_one = sampler_of(&o, V);
        sampler_allow(s, &some);
        for (int i = 0; i < 2000; i++)
            hits[draw(s, LOGITS, i, (struct sampler_key){3, 0})]++;
        assert_int_equal(hits[0] + hits[5] + hits[7], 2000);
        assert_int_equal(hits[0] == 2000, kind == 0);
        assert_int_equal(hits[7] > 0, kind == 1);
        struct pick got, want;
        struct sampler_key key = {3, 0};
        if (sampler_pick(s, LOGITS, NULL, 1, &key, &got, NULL) ||
            sampler_pick(free_one, LOGITS, NULL, 1, &key, &want, NULL))
            fail_msg("no token");
        assert_memory_equal(got.top, want.top, sizeof got.top);
        sampler_allow(s, &all);
        for (int i = 0; i < 200; i++)
            assert_int_equal(draw(s, LOGITS, i, key), draw(free_one, LOGITS, i, key));
        sampler_free(s);
        sampler_free(free_one);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_tokens_of_the_mask_come_out),
        cmocka_unit_test(philox_gives_the_known_answers),
        cmocka_unit_test(greedy_takes_the_lower_of_equal_logits),
        cmocka_unit_test(draws_follow_the_softmax),
        cmocka_unit_test(temperature_sharpens),
        cmocka_unit_test(top_k_keeps_k_and_the_lower_of_ties),
        cmocka_unit_test(top_p_keeps_the_fewest_that_reach_p),
        cmocka_unit_test(top_p_counts_what_top_k_left),
        cmocka_unit_test(min_p_compares_with_the_most_likely),
        cmocka_unit_test(penalties_look_at_the_window),
        cmocka_unit_test(repetition_makes_negative_logits_more_negative),
        cmocka_unit_test(bias_comes_after_penalties),
        cmocka_unit_test(draw_depends_on_seed_choice_and_position_only),
        cmocka_unit_test(filters_that_keep_all_change_no_draw),
        cmocka_unit_test(known_draws_stay),
        cmocka_unit_test(logprobs_are_the_models),
        cmocka_unit_test(extreme_logits_still_give_a_token),
        cmocka_unit_test(nan_and_infinity_are_an_error),
        cmocka_unit_test(options_out_of_range_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
