#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../support/engine_rig.h"
#include "../support/random.h"
#include "engine/engine.h"

enum { MAX_ANSWER = 40 };

static struct rig rig_open(int context, int n_sessions)
{
    return rig_with(MODE_DEFAULT, &(struct engine_options){.max_context = context,
                                                           .n_sessions = n_sessions,
                                                           .n_snapshots = 2});
}

/* A question: a piece of the golden tokens, how to answer it, and what came. */
struct question {
    int first, n;
    uint64_t seed;
    struct generate_options o;
    struct session *session;
    int32_t ids[MAX_ANSWER];
    int n_ids, calls;
    enum finish finish;
    struct err failure;
};

static struct session *session_of(struct rig *r, const struct question *q)
{
    struct session *s = NULL;
    struct err err = {0};
    if (engine_session_new(&s, r->engine, &err) ||
        session_append(s, r->tokens + q->first, q->n, &err))
        fail_msg("%s", err.message);
    session_set_key(s, (struct sampler_key){.seed = q->seed});
    return s;
}

static void keep(struct question *q, const struct generation_result *result)
{
    assert_in_range(result->n, 0, MAX_ANSWER);
    if (result->n) memcpy(q->ids, result->ids, (size_t)result->n * sizeof *q->ids);
    q->n_ids = result->n;
    q->finish = result->finish;
}

static void on_done(void *ctx, const struct generation_result *result, const struct err *failure)
{
    struct question *q = ctx;
    q->calls++;
    if (result) keep(q, result);
    if (failure) q->failure = *failure;
    session_free(q->session);
    q->session = NULL;
}

static void add(struct rig *r, struct batch *b, struct question *q)
{
    struct err err = {0};
    q->session = session_of(r, q);
    struct batch_job job = {.session = q->session, .generate = q->o, .done = on_done, .ctx = q};
    if (batch_add(b, &job, &err)) fail_msg("%s", err.message);
}

static void alone(struct rig *r, struct question *q)
{
    struct generation *g = NULL;
    struct err err = {0};
    struct session *s = session_of(r, q);
    if (generation_open(&g, s, &q->o, &err) || generation_run(g, &err)) fail_msg("%s", err.message);
    keep(q, generation_result(g));
    generation_close(g);
    session_free(s);
}

/* Prompts of 1 to 200 tokens, greedy and sampled, of different lengths; EOS ends some. */
static struct question question_of(struct rig *r, struct random *random)
{
    struct question q = {.n = random_int(random, 1, 200), .seed = random_u64(random)};
    q.first = random_int(random, 0, (int)r->n_tokens - q.n);
    q.o = engine_generate_options(r->engine, false);
    q.o.max_tokens = random_int(random, 0, MAX_ANSWER);
    q.o.ignore_eos = random_int(random, 0, 1);
    q.o.sampling.temperature = random_int(random, 0, 1) ? 0 : 1.5f;
    q.o.sampling.repeat_penalty = random_int(random, 0, 1) ? 1 : 1.3f;
    return q;
}

static struct batch *open_batch(struct rig *r, int n_slots, int max_rows)
{
    struct batch *b = NULL;
    struct err err = {0};
    struct batch_options o = {n_slots, max_rows};
    if (engine_batch_open(&b, r->engine, &o, &err)) fail_msg("%s", err.message);
    return b;
}

static void each_answer_is_the_one_it_has_alone(void **state)
{
    (void)state;
    enum { N = 40 };
    static const struct batch_options shapes[] = {{1, 1}, {5, 5}, {5, 64}, {N, 1000}};
    struct rig r = rig_open(300, N);
    struct random random = {7};
    struct question want[N];
    int stopped = 0;
    for (int i = 0; i < N; i++) {
        want[i] = question_of(&r, &random);
        alone(&r, &want[i]);
        stopped += want[i].finish == FINISH_STOP;
    }
    assert_true(stopped > 0 && stopped < N);
    for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++) {
        struct question got[N];
        struct batch *b = open_batch(&r, shapes[k].n_slots, shapes[k].max_rows);
        int next = 0;
        while (next < N || batch_running(b)) {
            for (; next < N && batch_has_room(b); next++) {
                got[next] = want[next];
                got[next].n_ids = -1;
                add(&r, b, &got[next]);
            }
            batch_step(b);
        }
        for (int i = 0; i < N; i++) {
            assert_int_equal(got[i].calls, 1);
            assert_int_equal(got[i].failure.code, ERR_NONE);
            assert_int_equal(got[i].n_ids, want[i].n_ids);
            assert_int_equal(got[i].finish, want[i].finish);
            assert_memory_equal(got[i].ids, want[i].ids, (size_t)want[i].n_ids * sizeof *got->ids);
        }
        batch_close(b);
    }
    rig_close(&r);
}

/* With 3 rows a step a prompt of 100 tokens must not stop two answers that are being drawn. */
static void a_long_prompt_does_not_stop_others(void **state)
{
    (void)state;
    struct rig r = rig_open(300, 3);
    struct batch *b = open_batch(&r, 3, 3);
    struct question q[3] = {{.n = 1}, {.n = 1, .first = 5}, {.n = 100, .first = 9}};
    for (int i = 0; i < 3; i++) {
        q[i].o = engine_generate_options(r.engine, false);
        q[i].o.max_tokens = 20;
        q[i].o.ignore_eos = true;
        add(&r, b, &q[i]);
    }
    for (int step = 0; step < 20; step++)
        batch_step(b);
    assert_int_equal(q[0].calls + q[1].calls, 2);
    assert_int_equal(q[0].n_ids + q[1].n_ids, 40);
    assert_int_equal(session_fed(q[2].session), 20); /* the row that was left, 20 times */
    while (batch_running(b))
        batch_step(b);
    assert_int_equal(q[2].n_ids, 20);
    batch_close(b);
    rig_close(&r);
}

/* Room for 64 rows, but 5 of prompts: the others' rows are not counted in. */
static void prompts_can_be_limited(void **state)
{
    (void)state;
    struct rig r = rig_open(300, 3);
    struct batch *b = open_batch(&r, 3, 64);
    struct question q[3] = {{.n = 1}, {.n = 40, .first = 5}, {.n = 100, .first = 9}};
    for (int i = 0; i < 3; i++) {
        q[i].o = engine_generate_options(r.engine, false);
        q[i].o.max_tokens = 20;
        q[i].o.ignore_eos = true;
        add(&r, b, &q[i]);
    }
    batch_limit_prompts(b, 5);
    for (int step = 0; step < 8; step++) {
        batch_step(b);
        assert_int_equal(batch_last(b).drawing, 1);
        assert_int_equal(batch_last(b).prompt_rows, 5);
    }
    assert_int_equal(session_fed(q[1].session), 40);
    assert_int_equal(session_fed(q[2].session), 0); /* the older prompt goes first */
    batch_limit_prompts(b, 64);
    batch_step(b);
    assert_int_equal(batch_last(b).drawing, 2);
    assert_int_equal(batch_last(b).prompt_rows, 62);
    batch_close(b);
    for (int i = 0; i < 3; i++)
        session_free(q[i].session);
    rig_close(&r);
}

static void cancelling_ends_one_answer_alone(void **state)
{
    (void)state;
    struct rig r = rig_open(300, 2);
    struct batch *b = open_batch(&r, 2, 64);
    atomic_bool cancel = false;
    struct question q[2] = {{.n = 30}, {.n = 50, .first = 3}}, want = q[1];
    for (int i = 0; i < 2; i++) {
        q[i].o = engine_generate_options(r.engine, false);
        q[i].o.max_tokens = 20;
        q[i].o.ignore_eos = true;
    }
    want.o = q[1].o;
    alone(&r, &want);
    q[0].o.cancel = &cancel;
    add(&r, b, &q[0]);
    add(&r, b, &q[1]);
    for (int step = 0; step < 6; step++)
        batch_step(b);
    atomic_store(&cancel, true);
    batch_step(b);
    assert_int_equal(q[0].calls, 1);
    assert_int_equal(q[0].finish, FINISH_CANCELLED);
    assert_in_range(q[0].n_ids, 1, 19);
    assert_true(batch_has_room(b));
    while (batch_running(b))
        batch_step(b);
    assert_int_equal(q[1].n_ids, 20);
    assert_memory_equal(q[1].ids, want.ids, 20 * sizeof *want.ids);
    batch_close(b);
    rig_close(&r);
}

/* Memory for one session of 256 positions and what forks and copies may need; eight are run. */
static void a_job_without_room_for_its_state_fails_alone(void **state)
{
    (void)state;
    struct rig r = rig_open(256, 1);
    struct batch *b = open_batch(&r, 8, 512);
    struct question q[8];
    int failed = 0, complete = 0;
    for (int i = 0; i < 8; i++) {
        q[i] = (struct question){.n = 200, .first = i};
        q[i].o = engine_generate_options(r.engine, false);
        q[i].o.max_tokens = 3;
        q[i].o.ignore_eos = true;
        q[i].o.sampling.temperature = 0;
        add(&r, b, &q[i]);
    }
    while (batch_running(b))
        batch_step(b);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(q[i].calls, 1);
        failed += q[i].failure.code == ERR_LIMIT;
        if (q[i].failure.code != ERR_NONE) continue;
        complete++;
        struct question want = q[i];
        alone(&r, &want);
        assert_memory_equal(q[i].ids, want.ids, 3 * sizeof *want.ids);
    }
    assert_true(failed > 0 && complete > 0);
    assert_int_equal(failed + complete, 8);
    assert_int_equal(q[0].failure.code, ERR_NONE); /* it found room before the others */
    batch_close(b);
    rig_close(&r);
}

/* Tokens fed to a state whose rows are all NaN. */
static struct session *poisoned_session(struct rig *r)
{
    struct kv *kv = NULL;
    struct session *s = NULL;
    struct err err = {0};
    const struct kv_layout *l = model_layout(r->b.model);
    uint8_t *bytes = malloc(l->live_bytes);
    memset(bytes, 0xff, l->live_bytes);
    if (kv_import(&kv, r->b.pool, 5, &err)) fail_msg("%s", err.message);
    kv_write(kv, KV_LIVE, 0, bytes, l->live_bytes);
    free(bytes);
    if (session_from(&s, r->b.model, r->b.pool, kv, r->tokens, 6, (struct sampler_key){0}, &err))
        fail_msg("%s", err.message);
    return s;
}

static void a_failed_pass_ends_its_jobs_and_the_batch_goes_on(void **state)
{
    (void)state;
    struct rig r = rig_open(300, 3);
    struct batch *b = open_batch(&r, 3, 64);
    struct question q[3] = {{.n = 30}, {.n = 6}, {.n = 20}}, want;
    for (int i = 0; i < 3; i++) {
        q[i].o = engine_generate_options(r.engine, false);
        q[i].o.max_tokens = 10;
        q[i].o.ignore_eos = true;
    }
    want = q[2];
    alone(&r, &want);
    add(&r, b, &q[0]);
    q[1].session = poisoned_session(&r);
    struct batch_job job = {
        .session = q[1].session, .generate = q[1].o, .done = on_done, .ctx = &q[1]};
    assert_int_equal(batch_add(b, &job, NULL), 0);
    batch_step(b);
    assert_true(batch_last(b).failed);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(q[i].calls, 1);
        assert_int_equal(q[i].failure.code, ERR_NUMERIC);
    }
    assert_int_equal(batch_running(b), 0);
    add(&r, b, &q[2]);
    while (batch_running(b))
        batch_step(b);
    assert_int_equal(q[2].n_ids, 10);
    assert_false(batch_last(b).failed);
    assert_memory_equal(q[2].ids, want.ids, 10 * sizeof *want.ids);
    batch_close(b);
    rig_close(&r);
}

static void a_snapshot_is_taken_before_the_last_prompt_token(void **state)
{
    (void)state;
    struct rig r = rig_open(300, 2);
    struct batch *b = open_batch(&r, 2, 16);
    struct session *snapshot = NULL;
    struct question q = {.n = 40};
    q.o = engine_generate_options(r.engine, false);
    q.o.max_tokens = 5;
    q.o.ignore_eos = true;
    struct question want = q;
    alone(&r, &want);
    q.o.snapshot = &snapshot;
    add(&r, b, &q);
    while (batch_running(b))
        batch_step(b);
    assert_memory_equal(q.ids, want.ids, 5 * sizeof *q.ids);
    assert_non_null(snapshot);
    assert_int_equal(session_fed(snapshot), 39);
    assert_int_equal(session_length(snapshot), 40);
    session_free(snapshot);
    batch_close(b);
    rig_close(&r);
}

static void closing_leaves_the_sessions_to_their_owner(void **state)
{
    (void)state;
    struct rig r = rig_open(300, 2);
    struct batch *b = open_batch(&r, 2, 64);
    struct question q = {.n = 30};
    q.o = engine_generate_options(r.engine, false);
    add(&r, b, &q);
    batch_step(b);
    batch_close(b);
    assert_int_equal(q.calls, 0);
    assert_int_equal(session_fed(q.session), 30);
    session_free(q.session);
    rig_close(&r);
}

static void bad_options_and_jobs_are_refused(void **state)
{
    (void)state;
    struct rig r = rig_open(300, 2);
    static const struct batch_options bad[] = {{0, 8}, {-1, 8}, {9, 8}, {5000, 6000}, {8, 1 << 20}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct batch *b = NULL;
        struct err err = {0};
        assert_int_equal(engine_batch_open(&b, r.engine, &bad[i], &err), -1);
        assert_int_equal(err.code, ERR_ARGUMENT);
        assert_null(b);
    }
    struct batch *b = open_batch(&r, 1, 1);
    struct question q = {.n = 30};
    q.o = engine_generate_options(r.engine, false);
    q.o.max_context = 10;
    struct session *s = session_of(&r, &q);
    struct batch_job job = {.session = s, .generate = q.o, .done = on_done, .ctx = &q};
    struct err err = {0};
    assert_int_equal(batch_add(b, &job, &err), -1);
    assert_int_equal(err.code, ERR_LIMIT);
    assert_int_equal(batch_running(b), 0);
    batch_step(b); /* nothing to do */
    assert_int_equal(q.calls, 0);
    session_free(s);
    batch_close(b);
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_answer_is_the_one_it_has_alone),
        cmocka_unit_test(a_long_prompt_does_not_stop_others),
        cmocka_unit_test(cancelling_ends_one_answer_alone),
        cmocka_unit_test(a_job_without_room_for_its_state_fails_alone),
        cmocka_unit_test(a_failed_pass_ends_its_jobs_and_the_batch_goes_on),
        cmocka_unit_test(prompts_can_be_limited),
        cmocka_unit_test(a_snapshot_is_taken_before_the_last_prompt_token),
        cmocka_unit_test(closing_leaves_the_sessions_to_their_owner),
        cmocka_unit_test(bad_options_and_jobs_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
