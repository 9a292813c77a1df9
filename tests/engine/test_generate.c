#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../support/engine_rig.h"
#include "base/mem.h"
#include "engine/engine.h"
#include "engine/history.h"
#include "measure/ppl.h"
#include "model/model.h"

static const char ZETA[] = "tests/golden/zeta";

static struct rig rig_open(enum numeric_mode mode)
{
    return rig_with(mode, &(struct engine_options){.n_snapshots = HISTORY_SNAPSHOTS + 1});
}

static struct session *prompt(struct rig *r, int n)
{
    struct session *s = NULL;
    struct err err = {0};
    if (engine_session_new(&s, r->engine, &err) || session_append(s, r->tokens, n, &err))
        fail_msg("%s", err.message);
    session_set_key(s, (struct sampler_key){.seed = 11});
    return s;
}

static struct generation *generate(struct session *s, const struct generate_options *o)
{
    struct generation *g = NULL;
    struct err err = {0};
    if (generation_open(&g, s, o, &err) || generation_run(g, &err)) fail_msg("%s", err.message);
    return g;
}

static void greedy_is_deepseeks(void **state)
{
    (void)state;
    struct rig r = rig_open(MODE_FLOAT);
    size_t n;
    int32_t *greedy = golden_i32(ZETA, "greedy", &n);
    struct generate_options o = engine_generate_options(r.engine, false);
    o.sampling.temperature = 0;
    o.ignore_eos = true;
    o.max_tokens = (int)n;
    struct session *s = prompt(&r, (int)golden_number(ZETA, "greedy_prompt_tokens"));
    struct generation *g = generate(s, &o);
    const struct generation_result *result = generation_result(g);
    assert_int_equal(result->n, n);
    assert_memory_equal(result->ids, greedy, n * sizeof *greedy);
    assert_int_equal(result->finish, FINISH_LENGTH);
    assert_null(result->text);
    assert_null(result->picks);
    generation_close(g);
    session_free(s);
    free(greedy);
    rig_close(&r);
}

static void eos_ends_unless_ignored(void **state)
{
    (void)state;
    struct rig r = rig_open(MODE_DEFAULT);
    struct logit_bias bias = {engine_eos(r.engine), 1000};
    struct generate_options o = engine_generate_options(r.engine, false);
    o.sampling.bias = &bias;
    o.sampling.n_bias = 1;
    o.max_tokens = 5;
    for (int ignore = 0; ignore < 2; ignore++) {
        struct session *s = prompt(&r, 10);
        o.ignore_eos = ignore;
        struct generation *g = generate(s, &o);
        const struct generation_result *result = generation_result(g);
        assert_int_equal(result->n, ignore ? 5 : 1);
        assert_int_equal(result->finish, ignore ? FINISH_LENGTH : FINISH_STOP);
        assert_int_equal(result->ids[0], bias.id);
        assert_int_equal(session_length(s), 10 + result->n);
        assert_int_equal(session_fed(s), session_length(s) - 1);
        generation_close(g);
        session_free(s);
    }
    rig_close(&r);
}

/* The stop token is the likeliest one, with its bias; EOS the next. */
static void a_stop_token_ends_but_not_before_its_time(void **state)
{
    (void)state;
    struct rig r = rig_open(MODE_DEFAULT);
    int eos = engine_eos(r.engine);
    const int32_t stop = eos == 7 ? 8 : 7;
    struct logit_bias bias[] = {{stop, 1000}, {eos, 900}};
    static const struct {
        int n_stops, min_tokens, ignore_eos, n,
            last; /* last: 0 any other, 1 EOS, 2 the stop token */
    } rows[] = {{1, 0, 0, 1, 2}, {0, 0, 0, 5, 2}, {1, 3, 0, 4, 2},
                {1, 3, 1, 4, 2}, {1, 5, 0, 5, 0}, {0, 5, 0, 5, 2}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct generate_options o = engine_generate_options(r.engine, false);
        o.sampling.bias = bias;
        o.sampling.n_bias = 2;
        o.max_tokens = 5;
        o.stop_ids = &stop;
        o.n_stop_ids = rows[i].n_stops;
        o.min_tokens = rows[i].min_tokens;
        o.ignore_eos = rows[i].ignore_eos;
        struct session *s = prompt(&r, 10);
        struct generation *g = generate(s, &o);
        const struct generation_result *result = generation_result(g);
        assert_int_equal(result->n, rows[i].n);
        for (int k = 0; k < result->n; k++) {
            bool early = k < rows[i].min_tokens;
            int id = result->ids[k];
            if (early && rows[i].n_stops) assert_int_not_equal(id, stop);
            if (early && !rows[i].ignore_eos) assert_int_not_equal(id, eos);
            if (early && rows[i].ignore_eos) assert_int_equal(id, eos);
        }
        int last = result->ids[result->n - 1];
        assert_int_equal(last == stop ? 2 : last == eos, rows[i].last);
        assert_int_equal(result->finish,
                         rows[i].last == 2 && rows[i].n_stops ? FINISH_STOP : FINISH_LENGTH);
        generation_close(g);
        session_free(s);
    }
    rig_close(&r);
}

static void eos_as_a_stop_token_ends_also_where_it_is_ignored(void **state)
{
    (void)state;
    struct rig r = rig_open(MODE_DEFAULT);
    const int32_t eos = engine_eos(r.engine);
    struct logit_bias bias = {eos, 1000};
    for (int n_stops = 0; n_stops < 2; n_stops++) {
        struct generate_options o = engine_generate_options(r.engine, false);
        o.sampling.bias = &bias;
        o.sampling.n_bias = 1;
        o.max_tokens = 5;
        o.ignore_eos = true;
        o.stop_ids = &eos;
        o.n_stop_ids = n_stops;
        struct session *s = prompt(&r, 10);
        struct generation *g = generate(s, &o);
        assert_int_equal(generation_result(g)->n, n_stops ? 1 : 5);
        assert_int_equal(generation_result(g)->finish, n_stops ? FINISH_STOP : FINISH_LENGTH);
        generation_close(g);
        session_free(s);
    }
    rig_close(&r);
}

static void the_context_is_a_limit(void **state)
{
    (void)state;
    struct rig r = rig_open(MODE_DEFAULT);
    struct generate_options o = engine_generate_options(r.engine, false);
    o.ignore_eos = true;
    o.max_context = 23;
    struct session *s = prompt(&r, 20);
    struct generation *g = generate(s, &o);
    assert_int_equal(generation_result(g)->n, 3);
    assert_int_equal(generation_result(g)->finish, FINISH_LENGTH);
    generation_close(g);
    session_free(s);

    s = prompt(&r, 24);
    struct err err = {0};
    assert_int_equal(generation_open(&g, s, &o, &err), -1);
    assert_int_equal(err.code, ERR_LIMIT);
    assert_non_null(strstr(err.message, "24 tokens, the context 23"));
    session_free(s);
    rig_close(&r);
}

static void bad_requests_are_refused(void **state)
{
    (void)state;
    struct rig r = rig_open(MODE_DEFAULT);
    struct generate_options good = engine_generate_options(r.engine, false), bad[4];
    for (int i = 0; i < 4; i++)
        bad[i] = good;
    bad[0].chunk = 0;
    bad[1].max_tokens = -2;
    bad[2].sampling.temperature = -1;
    bad[3].sampling.top_p = 2;
    struct session *s = prompt(&r, 5);
    struct generation *g = NULL;
    for (int i = 0; i < 4; i++) {
        struct err err = {0};
        assert_int_equal(generation_open(&g, s, &bad[i], &err), -1);
        assert_int_equal(err.code, ERR_ARGUMENT);
        assert_null(g);
    }
    assert_int_equal(session_feed(s, 5, 5, NULL, NULL, NULL), 0); /* now nothing is pending */
    assert_int_equal(generation_open(&g, s, &good, NULL), -1);
    session_free(s);
    rig_close(&r);
}

/* Sampled ids of 12 tokens at once into out. */
static void sample_twelve(struct rig *r, int n_prompt, int chunk, int32_t out[12])
{
    struct generate_options o = engine_generate_options(r->engine, false);
    o.ignore_eos = true;
    o.max_tokens = 12;
    o.chunk = chunk;
    struct session *s = prompt(r, n_prompt);
    struct generation *g = generate(s, &o);
    memcpy(out, generation_result(g)->ids, 12 * sizeof *out);
    generation_close(g);
    session_free(s);
}

static void an_answer_in_pieces_is_the_same(void **state)
{
    (void)state;
    struct rig r = rig_open(MODE_DEFAULT);
    int32_t whole[12], again[12];
    sample_twelve(&r, 30, 128, whole);
    sample_twelve(&r, 30, 7, again);
    assert_memory_equal(whole, again, sizeof whole);

    struct generate_options o = engine_generate_options(r.engine, false);
    o.ignore_eos = true;
    struct session *s = prompt(&r, 30);
    static const int pieces[] = {1, 4, 7};
    for (int i = 0; i < 3; i++) {
        o.max_tokens = pieces[i];
        struct generation *g = generate(s, &o);
        assert_int_equal(generation_result(g)->n, pieces[i]);
        generation_close(g);
    }
    assert_memory_equal(session_tokens(s) + 30, whole, sizeof whole);
    session_free(s);
    rig_close(&r);
}

static void cancelling_is_a_finish(void **state)
{
    (void)state;
    struct rig r = rig_open(MODE_DEFAULT);
    int32_t whole[12];
    sample_twelve(&r, 30, 128, whole);
    struct generate_options o = engine_generate_options(r.engine, false);
    atomic_bool cancel = true;
    o.ignore_eos = true;
    o.max_tokens = 12;
    o.cancel = &cancel;
    struct session *s = prompt(&r, 30);
    struct generation *g = generate(s, &o);
    assert_int_equal(generation_result(g)->finish, FINISH_CANCELLED);
    assert_int_equal(generation_result(g)->n, 0);
    generation_close(g);
    cancel = false;
    g = generate(s, &o); /* the session is as good as before */
    assert_memory_equal(generation_result(g)->ids, whole, sizeof whole);
    generation_close(g);
    session_free(s);
    rig_close(&r);
}

static void no_tokens_wanted_feeds_the_prompt(void **state)
{
    (void)state;
    struct rig r = rig_open(MODE_DEFAULT);
    struct generate_options o = engine_generate_options(r.engine, false);
    o.max_tokens = 0;
    struct session *s = prompt(&r, 30);
    struct generation *g = generate(s, &o);
    assert_int_equal(generation_result(g)->n, 0);
    assert_int_equal(generation_result(g)->finish, FINISH_LENGTH);
    assert_int_equal(session_fed(s), 30);
    generation_close(g);
    session_free(s);
    rig_close(&r);
}

static void logprobs_come_with_the_tokens(void **state)
{
    (void)state;
    struct rig r = rig_open(MODE_DEFAULT);
    struct generate_options o = engine_generate_options(r.engine, false);
    o.ignore_eos = true;
    o.max_tokens = 70; /* more than the list begins with */
    o.sampling.temperature = 0;
    o.sampling.logprobs = 2;
    struct session *s = prompt(&r, 30);
    struct generation *g = generate(s, &o);
    const struct generation_result *result = generation_result(g);
    assert_int_equal(result->n, 70);
    for (int i = 0; i < result->n; i++) {
        const struct pick *p = &result->picks[i];
        assert_int_equal(p->id, result->ids[i]);
        assert_int_equal(p->n_top, 2);
        assert_int_equal(p->top[0].id, p->id);
        assert_true(p->logprob == p->top[0].logprob && p->logprob <= 0);
        assert_true(p->top[1].logprob <= p->logprob);
    }
    generation_close(g);
    session_free(s);
    rig_close(&r);
}

struct told {
    int n;
    struct pick picks[300];
};

static void keep_told(void *ctx, const struct pick *p)
{
    struct told *t = ctx;
    CHECK(t->n < 300, "%d tokens told of", t->n);
    t->picks[t->n++] = *p;
}

/* Each token of the prompt has, bit for bit, what the logits of the token before say, and what evaluations
 * compute of them, whatever the steps; and the answer is what it is without. */
static void the_prompt_is_told_of(void **state)
{
    (void)state;
    enum { N = 200 };
    static const int chunks[] = {1, 7, 64, 1000};
    struct rig r = rig_open(MODE_DEFAULT);
    int vocab = engine_vocab(r.engine);
    float *logits = xcalloc((size_t)vocab, sizeof *logits),
          *lp = xcalloc((size_t)vocab, sizeof *lp);
    static struct told told[4];
    struct generate_options o = engine_generate_options(r.engine, false);
    o.ignore_eos = true;
    o.max_tokens = 5;
    struct session *s = prompt(&r, N);
    struct generation *g = generate(s, &o);
    int32_t want[5];
    memcpy(want, generation_result(g)->ids, sizeof want);
    generation_close(g);
    session_free(s);
    for (int k = 0; k < 4; k++) {
        told[k] = (struct told){0};
        o.chunk = chunks[k];
        o.prompted = keep_told;
        o.ctx = &told[k];
        o.sampling.logprobs = 3;
        s = prompt(&r, N);
        g = generate(s, &o);
        assert_int_equal(told[k].n, N - 1);
        assert_memory_equal(generation_result(g)->ids, want, sizeof want);
        generation_close(g);
        session_free(s);
    }
    s = prompt(&r, N);
    for (int i = 0; i + 1 < N; i++) {
        struct err err = {0};
        if (session_feed(s, i + 1, 1, logits, NULL, &err)) fail_msg("%s", err.message);
        ppl_logprobs(logits, vocab, lp);
        for (int k = 0; k < 4; k++) {
            const struct pick *p = &told[k].picks[i];
            assert_int_equal(p->id, r.tokens[i + 1]);
            assert_memory_equal(&p->logprob, &lp[p->id], sizeof(float));
            assert_int_equal(p->n_top, 3);
            for (int t = 0; t < 3; t++) {
                assert_memory_equal(&p->top[t].logprob, &lp[p->top[t].id], sizeof(float));
                assert_true(t == 0 || p->top[t].logprob <= p->top[t - 1].logprob);
            }
        }
    }
    session_free(s);
    free(logits);
    free(lp);
    rig_close(&r);
}

/* What is in the state already is not told of: only what is fed. */
static void only_what_is_fed_is_told_of(void **state)
{
    (void)state;
    struct rig r = rig_open(MODE_DEFAULT);
    static struct told whole, rest;
    struct generate_options o = engine_generate_options(r.engine, false);
    o.max_tokens = 0;
    o.prompted = keep_told;
    for (int fed = 0; fed <= 100; fed += 50) {
        struct told *told = fed ? &rest : &whole;
        struct err err = {0};
        struct session *s = prompt(&r, 120);
        *told = (struct told){0};
        if (fed && session_feed(s, fed, 30, NULL, NULL, &err)) fail_msg("%s", err.message);
        o.ctx = told;
        generation_close(generate(s, &o));
        assert_int_equal(told->n, 119 - fed);
        for (int i = 0; i < told->n; i++) {
            assert_int_equal(told->picks[i].id, whole.picks[fed + i].id);
            assert_memory_equal(&told->picks[i].logprob, &whole.picks[fed + i].logprob,
                                sizeof(float));
            assert_int_equal(told->picks[i].n_top, 0);
        }
        session_free(s);
    }
    rig_close(&r);
}

/* ---- history ---- */

/* Answers prompt through h, and through a fresh session: the same ids. Returns what was reused. */
static int answer(struct rig *r, struct history *h, const int32_t *tokens, int n)
{
    struct err err = {0};
    struct session *s = NULL, *fresh = NULL;
    struct ids ids;
    ids_init(&ids, 4096);
    for (int i = 0; i < n; i++)
        assert_int_equal(ids_add(&ids, tokens[i], NULL), 0);
    struct generate_options o = engine_generate_options(r->engine, false);
    o.ignore_eos = true;
    o.max_tokens = 10;
    if (engine_session_new(&fresh, r->engine, &err)) fail_msg("%s", err.message);
    assert_int_equal(session_append(fresh, tokens, n, NULL), 0);
    struct generation *want = generate(fresh, &o);

    if (history_begin(h, &ids, &s, &err)) fail_msg("%s", err.message);
    assert_int_equal(session_length(s), n);
    assert_memory_equal(session_tokens(s), tokens, (size_t)n * sizeof *tokens);
    o.snapshot = history_snapshot(h);
    struct generation *got = generate(s, &o);
    history_end(h);
    assert_memory_equal(generation_result(got)->ids, generation_result(want)->ids,
                        10 * sizeof *tokens);
    int reused = generation_result(got)->stats.n_reused;
    generation_close(got);
    generation_close(want);
    session_free(fresh);
    ids_fini(&ids);
    return reused;
}

static void a_new_prompt_starts_from_the_longest_snapshot(void **state)
{
    (void)state;
    struct rig r = rig_open(MODE_DEFAULT);
    struct history *h = history_new(r.engine);
    int32_t t[200];
    memcpy(t, r.tokens, sizeof t);
    assert_int_equal(answer(&r, h, t, 50), 0);
    /* The second prompt has another 50th token, as when reasoning is left out. */
    t[49] = (t[49] + 1) % r.b.vocab;
    assert_int_equal(answer(&r, h, t, 80), 49);
    t[79] = (t[79] + 1) % r.b.vocab;
    assert_int_equal(answer(&r, h, t, 140), 79);
    /* The same prompt again: all but its last token. */
    assert_int_equal(answer(&r, h, t, 140), 139);
    /* A turn taken back, another one in its place. */
    history_undo(h);
    history_undo(h);
    t[85] = (t[85] + 1) % r.b.vocab;
    assert_int_equal(answer(&r, h, t, 120), 79);
    /* Something else altogether. */
    t[0] = (t[0] + 1) % r.b.vocab;
    assert_int_equal(answer(&r, h, t, 60), 0);
    history_clear(h);
    assert_int_equal(answer(&r, h, t, 60), 0);
    history_free(h);
    rig_close(&r);
}

static void history_keeps_a_bounded_number_of_snapshots(void **state)
{
    (void)state;
    struct rig r = rig_open(MODE_DEFAULT);
    struct history *h = history_new(r.engine);
    for (int n = 2; n < 2 + HISTORY_SNAPSHOTS + 5; n++) {
        int reused = answer(&r, h, r.tokens, n);
        assert_int_equal(reused, n == 2 ? 0 : n - 2);
    }
    history_free(h);
    rig_close(&r); /* checks that no block is left */
}

/* Prompts that share nothing, as after /system: old snapshots must not fill the memory. */
static void conversations_that_are_left_free_their_pages(void **state)
{
    (void)state;
    struct engine_options o = {.max_context = 384, .n_snapshots = HISTORY_SNAPSHOTS + 1};
    struct rig r = rig_with(MODE_DEFAULT, &o);
    struct history *h = history_new(r.engine);
    int32_t t[300];
    memcpy(t, r.tokens, sizeof t);
    for (int i = 0; i < HISTORY_SNAPSHOTS + 4; i++) {
        t[0] = (t[0] + 1) % r.b.vocab;
        assert_int_equal(answer(&r, h, t, 300), 0);
    }
    history_free(h);
    rig_close(&r);
}

static void a_continued_conversation_reuses_all_of_it(void **state)
{
    (void)state;
    struct rig r = rig_open(MODE_DEFAULT);
    struct history *h = history_new(r.engine);
    struct err err = {0};
    struct ids ids;
    struct session *s = NULL;
    ids_init(&ids, 4096);
    for (int i = 0; i < 40; i++)
        assert_int_equal(ids_add(&ids, r.tokens[i], NULL), 0);
    struct generate_options o = engine_generate_options(r.engine, false);
    o.ignore_eos = true;
    o.max_tokens = 10;
    o.snapshot = history_snapshot(h);
    if (history_begin(h, &ids, &s, &err)) fail_msg("%s", err.message);
    struct generation *g = generate(s, &o);
    history_end(h);
    int32_t next[60];
    memcpy(next, session_tokens(s), 50 * sizeof *next);
    memcpy(next + 50, r.tokens, 10 * sizeof *next);
    generation_close(g);
    assert_int_equal(answer(&r, h, next, 60), 49); /* the last token drawn was not fed */
    ids_fini(&ids);
    history_free(h);
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(greedy_is_deepseeks),
        cmocka_unit_test(eos_ends_unless_ignored),
        cmocka_unit_test(a_stop_token_ends_but_not_before_its_time),
        cmocka_unit_test(eos_as_a_stop_token_ends_also_where_it_is_ignored),
        cmocka_unit_test(the_context_is_a_limit),
        cmocka_unit_test(bad_requests_are_refused),
        cmocka_unit_test(an_answer_in_pieces_is_the_same),
        cmocka_unit_test(cancelling_is_a_finish),
        cmocka_unit_test(no_tokens_wanted_feeds_the_prompt),
        cmocka_unit_test(logprobs_come_with_the_tokens),
        cmocka_unit_test(the_prompt_is_told_of),
        cmocka_unit_test(only_what_is_fed_is_told_of),
        cmocka_unit_test(a_new_prompt_starts_from_the_longest_snapshot),
        cmocka_unit_test(history_keeps_a_bounded_number_of_snapshots),
        cmocka_unit_test(conversations_that_are_left_free_their_pages),
        cmocka_unit_test(a_continued_conversation_reuses_all_of_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
