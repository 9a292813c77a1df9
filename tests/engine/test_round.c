/* The law of drafts: an answer with them is the answer without, in every bit of text, ids, log-probabilities
 * and state. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../format/alloc_watch.h"
#include "../support/golden.h"
#include "../support/random.h"
#include "base/file.h"
#include "engine/engine.h"
#include "engine/state_file.h"

enum { MAX_ANSWER = 60, CONTEXT = 300, N_SLOTS = 6 };

/* Questions: random ones for each model, and turns of those for the bundled one. */
#ifdef TENON_SANITIZED
enum { N_RANDOM = 4, N_TURNS = 1 };
#else
enum { N_RANDOM = 24, N_TURNS = 8 };
#endif

static const uint8_t DIGEST[32] = {1, 2, 3};
static char folder[] = "/tmp/tenon-round-XXXXXX";

struct rig {
    struct bench_model b;
    struct tokenizer *tokenizer; /* or NULL */
    struct engine *engine[3];    /* by speculate_mode */
    int32_t *tokens;
    size_t n_tokens;
};

static struct rig rig_open(const char *model, enum numeric_mode mode, bool with_text)
{
    struct rig r = {.b = model_for_test(model, mode, 2, NULL, 1)};
    struct err err = {0};
    if (with_text && tokenizer_open(&r.tokenizer, model, &err)) fail_msg("%s", err.message);
    for (int i = 0; i < 3; i++) {
        struct engine_options o = {.max_context = CONTEXT,
                                   .n_sessions = N_SLOTS,
                                   .n_snapshots = 2,
                                   .drafts = (enum speculate_mode)i};
        if (engine_open(&r.engine[i], r.b.model, r.tokenizer, &o, &err))
            fail_msg("%s", err.message);
    }
    r.tokens = golden_i32("tests/golden/zeta", "tokens", &r.n_tokens);
    for (size_t i = 0; i < r.n_tokens; i++)
        r.tokens[i] %= r.b.vocab;
    return r;
}

static void rig_close(struct rig *r)
{
    free(r->tokens);
    for (int i = 0; i < 3; i++)
        engine_close(r->engine[i]); /* checks that no block is left */
    tokenizer_close(r->tokenizer);
    model_done(&r->b);
}

/* A question, and everything that came of it. */
struct question {
    int32_t prompt[200];
    int n;
    uint64_t seed;
    struct generate_options o;
    struct logit_bias bias[8];
    const char *stop;
    int cancel_after; /* pieces of text; 0: never */

    struct session *session;
    atomic_bool cancel;
    int pieces;
    int32_t ids[MAX_ANSWER];
    struct pick picks[MAX_ANSWER];
    char text[4096];
    char *file; /* the session's */
    size_t file_size;
    struct generation_stats stats;
    enum finish finish;
    int n_ids;
};

static void on_event(void *ctx, const struct parse_event *e)
{
    struct question *q = ctx;
    size_t used = strlen(q->text);
    snprintf(q->text + used, sizeof q->text - used, "%d:%.*s|", (int)e->kind, (int)e->size,
             e->text);
    if (++q->pieces == q->cancel_after) atomic_store(&q->cancel, true);
}

static void keep(struct question *q, const struct generation_result *result)
{
    char path[80];
    struct err err = {0};
    assert_in_range(result->n, 0, MAX_ANSWER);
    if (result->n) memcpy(q->ids, result->ids, (size_t)result->n * sizeof *q->ids);
    if (result->picks) memcpy(q->picks, result->picks, (size_t)result->n * sizeof *q->picks);
    q->n_ids = result->n;
    q->finish = result->finish;
    q->stats = result->stats;
    snprintf(path, sizeof path, "%s/state", folder);
    if (session_save(q->session, DIGEST, path, &err) ||
        file_slurp(path, 1 << 28, &q->file, &q->file_size, &err))
        fail_msg("%s", err.message);
    unlink(path);
}

static void on_done(void *ctx, const struct generation_result *result, const struct err *failure)
{
    struct question *q = ctx;
    if (failure) fail_msg("%s", failure->message);
    keep(q, result);
    session_free(q->session);
    q->session = NULL;
}

static void begin(struct question *q, struct engine *e)
{
    struct err err = {0};
    const struct generate_options fits = engine_generate_options(e, false);
    q->o.speculate = fits.speculate;
    q->o.sampling.bias = q->bias;
    q->o.parse.stops = &q->stop;
    q->o.parse.n_stops = q->stop != NULL;
    q->o.emit = on_event;
    q->o.ctx = q;
    q->o.cancel = &q->cancel;
    q->cancel = false;
    q->pieces = 0;
    q->text[0] = 0;
    q->file = NULL;
    if (engine_session_new(&q->session, e, &err) ||
        session_append(q->session, q->prompt, q->n, &err))
        fail_msg("%s", err.message);
    session_set_key(q->session, (struct sampler_key){.seed = q->seed});
}

static void alone(struct question *q, struct engine *e)
{
    struct generation *g = NULL;
    struct err err = {0};
    begin(q, e);
    if (generation_open(&g, q->session, &q->o, &err) || generation_run(g, &err))
        fail_msg("%s", err.message);
    keep(q, generation_result(g));
    generation_close(g);
    session_free(q->session);
}

/* Prompts of 1 to 200 tokens; greedy and sampled; with biases that make some tokens so likely that drafts
 * come true even in a model of random weights. */
static struct question question_of(struct rig *r, struct random *random)
{
    struct question q = {.n = random_int(random, 1, 200), .seed = random_u64(random)};
    int first = random_int(random, 0, (int)r->n_tokens - q.n);
    memcpy(q.prompt, r->tokens + first, (size_t)q.n * sizeof *q.prompt);
    q.o = engine_generate_options(r->engine[SPECULATE_OFF], false);
    q.o.max_tokens = random_int(random, 0, 3) ? random_int(random, 0, MAX_ANSWER) : -1;
    q.o.max_context = random_int(random, 0, 2) && q.o.max_tokens >= 0
                          ? CONTEXT
                          : q.n + random_int(random, 0, MAX_ANSWER);
    if (q.o.max_context > CONTEXT) q.o.max_context = CONTEXT;
    q.o.chunk = random_int(random, 1, 128);
    q.o.ignore_eos = random_int(random, 0, 1);
    q.o.sampling.temperature = random_int(random, 0, 1) ? 0 : random_int(random, 0, 1) ? 1 : 2.5f;
    q.o.sampling.repeat_penalty = random_int(random, 0, 1) ? 1 : 1.3f;
    q.o.sampling.top_k = random_int(random, 0, 1) ? 0 : 5;
    q.o.sampling.logprobs = random_int(random, -1, 3);
    q.o.sampling.n_bias = random_int(random, 0, 8);
    for (int i = 0; i < q.o.sampling.n_bias; i++)
        q.bias[i] = (struct logit_bias){i ? random_int(random, 0, r->b.vocab - 1) : 1,
                                        (float)random_int(random, 0, 12)};
    return q;
}

static int n_made, n_right;

static void assert_same(struct question *got, const struct question *want, const char *how)
{
    n_made += got->stats.n_drafts;
    n_right += got->stats.n_right;
    if (got->n_ids != want->n_ids || got->finish != want->finish)
        fail_msg("%s: %d tokens and finish %d, without drafts %d and %d", how, got->n_ids,
                 got->finish, want->n_ids, want->finish);
    assert_memory_equal(got->ids, want->ids, (size_t)want->n_ids * sizeof *got->ids);
    if (want->o.sampling.logprobs >= 0)
        assert_memory_equal(got->picks, want->picks, (size_t)want->n_ids * sizeof *got->picks);
    assert_string_equal(got->text, want->text);
    if (got->file_size != want->file_size || memcmp(got->file, want->file, want->file_size) != 0)
        fail_msg("%s: another state", how);
    assert_int_equal(got->stats.n_generated, want->stats.n_generated);
    free(got->file);
}

/* All of them in a batch of few places, every third without drafts. */
static void in_a_batch(struct rig *r, const struct question *want, int n, enum speculate_mode mode,
                       int max_rows)
{
    struct question *got = calloc((size_t)n, sizeof *got);
    struct batch *b = NULL;
    struct err err = {0};
    struct batch_options o = {N_SLOTS, max_rows};
    int next = 0;
    if (engine_batch_open(&b, r->engine[mode], &o, &err)) fail_msg("%s", err.message);
    while (next < n || batch_running(b)) {
        for (; next < n && batch_has_room(b); next++) {
            struct question *q = &got[next];
            *q = want[next];
            begin(q, r->engine[mode]);
            if (next % 3 == 2) q->o.speculate = NULL;
            struct batch_job job = {
                .session = q->session, .generate = q->o, .done = on_done, .ctx = q};
            if (batch_add(b, &job, &err)) fail_msg("%s", err.message);
        }
        batch_step(b);
    }
    for (int i = 0; i < n; i++)
        assert_same(&got[i], &want[i], "in a batch");
    batch_close(b);
    free(got);
}

/* questions[0, n) in all ways; how many drafts were made and right is left in n_made and n_right. */
static void check(struct rig *r, struct question *questions, int n)
{
    n_made = n_right = 0;
    for (int i = 0; i < n; i++) {
        struct question q = questions[i];
        alone(&questions[i], r->engine[SPECULATE_OFF]);
        assert_int_equal(questions[i].stats.n_drafts, 0);
        for (int mode = SPECULATE_AUTO; mode <= SPECULATE_ON; mode++) {
            struct question got = q;
            alone(&got, r->engine[mode]);
            assert_same(&got, &questions[i], "alone");
        }
    }
    in_a_batch(r, questions, n, SPECULATE_ON, 64);
    in_a_batch(r, questions, n, SPECULATE_ON, N_SLOTS + 1); /* room for drafts now and then */
    in_a_batch(r, questions, n, SPECULATE_AUTO, 64);
    for (int i = 0; i < n; i++)
        free(questions[i].file);
    print_message("%d of %d drafts right\n", n_right, n_made);
}

static void answers_are_the_same_with_drafts(void **state)
{
    (void)state;
    enum { N = N_RANDOM };
    static const char *const models[] = {"tests/golden/zeta", "tests/golden/alpha",
                                         "tests/golden/beta"};
    static const enum numeric_mode modes[] = {MODE_DEFAULT, MODE_DEFAULT, MODE_FLOAT};
    for (int m = 0; m < 3; m++) {
        struct rig r = rig_open(models[m], modes[m], false);
        struct random random = {(uint64_t)m + 11};
        struct question *q = calloc(N, sizeof *q);
        for (int i = 0; i < N; i++)
            q[i] = question_of(&r, &random);
        check(&r, q, N);
        assert_true(n_right > 0 && n_right < n_made);
        free(q);
        rig_close(&r);
    }
}

/* The bundled model, whose drafts are mostly right: text, stop strings, and answers that are cancelled. */
static void text_is_the_same_with_drafts(void **state)
{
    (void)state;
    static const char *const questions[] = {"What is 17 + 25?", "Sort 5, 2, 9, 1.",
                                            "Was ist 6 mal 7?"};
    static const char *const stops[] = {NULL, "=", "1"};
    enum { N_QUESTIONS = 3, N = N_QUESTIONS * N_TURNS };
    struct rig r = rig_open("models/nano", MODE_DEFAULT, true);
    struct question *q = calloc(N, sizeof *q);
    struct random random = {3};
    struct err err = {0};
    for (int i = 0; i < N; i++) {
        struct ids ids;
        ids_init(&ids, 200);
        json_t *messages =
            json_pack("[{s:s, s:s}]", "role", "user", "content", questions[i % N_QUESTIONS]);
        struct prompt_options p = {.thinking = i % 2};
        if (engine_prompt(r.engine[0], messages, NULL, &p, &ids, &err)) fail_msg("%s", err.message);
        q[i].n = (int)ids.n;
        q[i].seed = (uint64_t)i;
        memcpy(q[i].prompt, ids.data, ids.n * sizeof *ids.data);
        q[i].o = engine_generate_options(r.engine[0], p.thinking);
        q[i].o.max_tokens = MAX_ANSWER;
        q[i].o.sampling.temperature = (float)(i % 4) / 2;
        q[i].stop = stops[i / N_QUESTIONS % 3];
        q[i].cancel_after = i % 5 == 4 ? random_int(&random, 1, 20) : 0;
        json_decref(messages);
        ids_fini(&ids);
    }
    check(&r, q, N);
    assert_true(n_right > n_made / 2);
    free(q);
    rig_close(&r);
}

/* Bound to JSON, to a choice, to a call; and free ones between them, which must not notice. */
static void bound_answers_are_the_same_with_drafts(void **state)
{
    (void)state;
    enum { N = 8 * N_TURNS };
    struct rig r = rig_open("models/nano", MODE_DEFAULT, true);
    json_t *choices = json_pack("[sss]", "The answer is 42.", "The answer is 7.", "Nothing");
    json_t *tools = json_pack("[{s:s, s:{s:s}}]", "type", "function", "function", "name", "now");
    const struct constraint_spec specs[] = {
        {.kind = CONSTRAINT_JSON_OBJECT},
        {.kind = CONSTRAINT_CHOICE, .choices = choices},
        {.tools = tools, .must_call = true, .family = FAMILY_OFFICIAL}};
    struct constraint *bound[4] = {NULL};
    struct token_trie *trie;
    struct question *q = calloc(N, sizeof *q);
    struct random random = {8};
    struct err err = {0};
    if (token_trie_new(&trie, r.tokenizer, r.b.vocab, engine_eos(r.engine[0]), &err))
        fail_msg("%s", err.message);
    for (int i = 0; i < 3; i++)
        if (constraint_new(&bound[i], &specs[i], trie, &err)) fail_msg("%s", err.message);
    for (int i = 0; i < N; i++) {
        q[i] = question_of(&r, &random);
        q[i].o.constraint = bound[i % 4];
        q[i].o.ignore_eos = false;
        q[i].o.tokenizer = r.tokenizer;
        q[i].o.parse.ids = parse_ids_of(r.tokenizer);
    }
    check(&r, q, N);
    assert_true(n_right > 0);
    for (int i = 0; i < 3; i++)
        constraint_drop(bound[i]);
    free(q);
    token_trie_free(trie);
    json_decref(choices);
    json_decref(tools);
    rig_close(&r);
}

/* A session that goes on, forks and snapshots: with drafts as without. */
static void a_session_goes_on_after_drafts(void **state)
{
    (void)state;
    struct rig r = rig_open("models/nano", MODE_DEFAULT, false);
    char *files[2];
    size_t sizes[2];
    for (int i = 0; i < 2; i++) {
        struct question q = {.n = 150, .seed = 5}, next;
        memcpy(q.prompt, r.tokens, 150 * sizeof *q.prompt);
        struct session *snapshot = NULL;
        struct generation *g = NULL;
        struct err err = {0};
        q.o = engine_generate_options(r.engine[0], false);
        q.o.ignore_eos = true;
        q.o.max_tokens = 30;
        begin(&q, r.engine[i ? SPECULATE_ON : SPECULATE_OFF]);
        q.o.snapshot = &snapshot;
        for (int piece = 0; piece < 3; piece++) {
            if (generation_open(&g, q.session, &q.o, &err) || generation_run(g, &err))
                fail_msg("%s", err.message);
            generation_close(g);
            q.o.snapshot = NULL;
        }
        next = q;
        next.session = session_fork(snapshot);
        session_free(snapshot);
        if (generation_open(&g, next.session, &next.o, &err) || generation_run(g, &err))
            fail_msg("%s", err.message);
        assert_memory_equal(generation_result(g)->ids, session_tokens(q.session) + 150,
                            30 * sizeof *q.prompt);
        generation_close(g);
        session_free(next.session);
        struct generation_result none = {.n = 0};
        keep(&q, &none);
        files[i] = q.file;
        sizes[i] = q.file_size;
        session_free(q.session);
    }
    assert_int_equal(sizes[0], sizes[1]);
    assert_memory_equal(files[0], files[1], sizes[0]);
    free(files[0]);
    free(files[1]);
    rig_close(&r);
}

/* Positions 131 to 255 lie in one page, so session state needs nothing new either. */
static void a_warm_step_with_drafts_allocates_nothing(void **state)
{
    (void)state;
    struct rig r = rig_open("models/nano", MODE_DEFAULT, false);
    struct batch *b = NULL;
    struct err err = {0};
    struct question q[2] = {{.n = 131, .seed = 1}, {.n = 140, .seed = 2}};
    struct batch_options o = {2, 200};
    if (engine_batch_open(&b, r.engine[SPECULATE_ON], &o, &err)) fail_msg("%s", err.message);
    for (int i = 0; i < 2; i++) {
        memcpy(q[i].prompt, r.tokens, (size_t)q[i].n * sizeof *q[i].prompt);
        q[i].o = engine_generate_options(r.engine[0], false);
        q[i].o.ignore_eos = true;
        q[i].o.max_tokens = MAX_ANSWER;
        begin(&q[i], r.engine[SPECULATE_ON]);
        struct batch_job job = {
            .session = q[i].session, .generate = q[i].o, .done = on_done, .ctx = &q[i]};
        if (batch_add(b, &job, &err)) fail_msg("%s", err.message);
    }
    for (int i = 0; i < 8; i++)
        batch_step(b);
    alloc_watch_start();
    for (int i = 0; i < 20; i++)
        batch_step(b);
    assert_int_equal(alloc_watch_stop(), 0);
    while (batch_running(b))
        batch_step(b);
    for (int i = 0; i < 2; i++) {
        assert_true(q[i].stats.n_drafts > 20);
        free(q[i].file);
    }
    batch_close(b);
    rig_close(&r);
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_the_same_with_drafts),
        cmocka_unit_test(text_is_the_same_with_drafts),
        cmocka_unit_test(bound_answers_are_the_same_with_drafts),
        cmocka_unit_test(a_session_goes_on_after_drafts),
        cmocka_unit_test(a_warm_step_with_drafts_allocates_nothing),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
