#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../support/engine_rig.h"
#include "../support/random.h"
#include "engine/scheduler.h"

enum { MAX_ANSWER = 30, MAX_CHOICES = 4, CONTEXT = 300 };

static struct rig rig_open(int n_sessions)
{
    return rig_with(MODE_DEFAULT,
                    &(struct engine_options){.max_context = CONTEXT, .n_sessions = n_sessions});
}

struct answer {
    int32_t ids[MAX_ANSWER];
    int n, calls;
    enum finish finish;
    struct err failure;
};

struct question {
    struct scheduler_job job;
    atomic_bool cancel;
    struct answer answers[MAX_CHOICES];
    struct board *board;
    int n_told; /* tokens of the prompt */
    struct pick told[200];
    int *order; /* gets the place at which the first choice ended */
    bool cancel_after_first;
    atomic_int n_drawn, n_allowed; /* with hold: the engine waits when it has drawn more */
};

/* Where the engine's thread tells the test's. */
struct board {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int n_done;
};

static void board_init(struct board *b)
{
    pthread_mutex_init(&b->lock, NULL);
    pthread_cond_init(&b->changed, NULL);
    b->n_done = 0;
}

static void board_wait(struct board *b, int n)
{
    pthread_mutex_lock(&b->lock);
    while (b->n_done < n)
        pthread_cond_wait(&b->changed, &b->lock);
    pthread_mutex_unlock(&b->lock);
}

static void board_fini(struct board *b)
{
    pthread_mutex_destroy(&b->lock);
    pthread_cond_destroy(&b->changed);
}

static void keep(struct answer *a, const struct generation_result *r)
{
    CHECK(r->n <= MAX_ANSWER, "%d tokens", r->n);
    if (r->n) memcpy(a->ids, r->ids, (size_t)r->n * sizeof *a->ids);
    a->n = r->n;
    a->finish = r->finish;
}

static void on_done(void *ctx, int choice, const struct generation_result *r,
                    const struct err *failure)
{
    struct question *q = ctx;
    struct board *b = q->board;
    struct answer *a = &q->answers[choice];
    if (r) keep(a, r);
    if (failure) a->failure = *failure;
    if (q->cancel_after_first) atomic_store(&q->cancel, true);
    pthread_mutex_lock(&b->lock);
    a->calls++;
    if (choice == 0 && q->order) *q->order = b->n_done;
    b->n_done++;
    pthread_cond_signal(&b->changed);
    pthread_mutex_unlock(&b->lock);
}

static void no_event(void *ctx, int choice, const struct parse_event *e)
{
    (void)ctx;
    (void)choice;
    (void)e;
}

static void keep_told(void *ctx, const struct pick *p)
{
    struct question *q = ctx;
    CHECK(q->n_told < 200, "%d tokens told of", q->n_told);
    q->told[q->n_told++] = *p;
}

static struct question question_at(struct rig *r, struct board *b, int first, int n, int n_tokens)
{
    struct question q = {.board = b};
    q.job = (struct scheduler_job){.ids = r->tokens + first,
                                   .n_ids = n,
                                   .n = 1,
                                   .generate = engine_generate_options(r->engine, false),
                                   .event = no_event,
                                   .done = on_done};
    q.job.generate.max_tokens = n_tokens;
    q.job.generate.ignore_eos = true;
    return q;
}

static struct question random_question(struct rig *r, struct board *b, struct random *random)
{
    int n = random_int(random, 1, 200), first = random_int(random, 0, (int)r->n_tokens - n);
    struct question q = question_at(r, b, first, n, random_int(random, 0, MAX_ANSWER));
    q.job.n = random_int(random, 1, MAX_CHOICES);
    q.job.seed = random_u64(random);
    q.job.group = (unsigned)random_int(random, 0, 2);
    q.job.generate.ignore_eos = random_int(random, 0, 1);
    q.job.generate.sampling.temperature = random_int(random, 0, 1) ? 0 : 1.5f;
    q.job.generate.sampling.logprobs = random_int(random, -1, 2);
    q.job.prompted = random_int(random, 0, 1) ? keep_told : NULL;
    return q;
}

static void submit(struct scheduler *s, struct question *q)
{
    struct err err = {0};
    q->job.cancel = &q->cancel;
    q->job.ctx = q;
    if (scheduler_submit(s, &q->job, &err)) fail_msg("%s", err.message);
}

static struct scheduler *open_scheduler(struct rig *r, int max_streams, int max_rows, int max_queue)
{
    struct scheduler *s = NULL;
    struct err err = {0};
    struct scheduler_options o = {
        .max_streams = max_streams, .max_rows = max_rows, .max_queue = max_queue};
    if (scheduler_open(&s, r->engine, &o, &err)) fail_msg("%s", err.message);
    return s;
}

/* Holds the engine's thread. */
static void hold(void *ctx, int choice, const struct pick *p)
{
    struct question *q = ctx;
    (void)choice;
    (void)p;
    int n = atomic_fetch_add(&q->n_drawn, 1) + 1;
    while (n > atomic_load(&q->n_allowed))
        sched_yield();
}

/* The engine draws so many tokens of q more, and waits again. */
static void let_draw(struct question *q, int n)
{
    int wanted = atomic_fetch_add(&q->n_allowed, n) + n + 1;
    while (atomic_load(&q->n_drawn) < wanted)
        sched_yield();
}

/* One place, which the first job holds until its n_allowed lets it go: what is asked then waits. */
static struct scheduler *open_busy(struct rig *r, const struct scheduler_options *more,
                                   struct question *first)
{
    struct scheduler *s = NULL;
    struct err err = {0};
    struct scheduler_options o = *more;
    o.max_streams = o.max_rows = 1;
    o.max_queue = 100;
    if (scheduler_open(&s, r->engine, &o, &err)) fail_msg("%s", err.message);
    first->job.drawn = hold;
    submit(s, first);
    let_draw(first, 0);
    return s;
}

/* The first choice alone tells of the prompt. */
static void answer_alone(struct rig *r, struct question *q, int choice, struct answer *out)
{
    struct generate_options o = q->job.generate;
    struct session *s = NULL;
    o.prompted = choice == 0 ? q->job.prompted : NULL;
    o.ctx = q;
    struct generation *g = NULL;
    struct err err = {0};
    if (engine_session_new(&s, r->engine, &err) ||
        session_append(s, q->job.ids, q->job.n_ids, &err))
        fail_msg("%s", err.message);
    session_set_key(s, (struct sampler_key){q->job.seed, (uint32_t)choice});
    if (generation_open(&g, s, &o, &err) || generation_run(g, &err)) fail_msg("%s", err.message);
    keep(out, generation_result(g));
    generation_close(g);
    session_free(s);
}

/* After all answers: every step is in one bucket of a size that can hold the rows, and no place is taken. */
static void check_steps(struct scheduler *s, int max_streams, int max_rows)
{
    struct scheduler_stats stats = scheduler_stats(s);
    struct scheduler_slot slots[8];
    uint64_t n_steps = 0, least = 0, most = 0;
    for (int i = 0; i < SCHEDULER_STEP_BUCKETS; i++) {
        n_steps += stats.step_rows[i];
        least += stats.step_rows[i] * (i ? (1u << (i - 1)) + 1 : 1);
        most += stats.step_rows[i] << i;
        assert_true(i == 0 || 1 << (i - 1) < max_rows || stats.step_rows[i] == 0);
    }
    assert_true(stats.n_steps > 0 && n_steps == stats.n_steps);
    assert_true(stats.n_rows >= least && stats.n_rows <= most);
    assert_true(!stats.step_failed && stats.last_good > 0);
    scheduler_slots(s, slots);
    for (int i = 0; i < max_streams; i++)
        assert_false(slots[i].is_running);
}

static void each_choice_is_the_answer_it_is_alone(void **state)
{
    (void)state;
    enum { N = 24 };
    static const struct {
        int max_streams, max_rows, max_queue;
    } shapes[] = {{1, 1, N}, {3, 7, N}, {8, 300, N}};
    struct rig r = rig_open(2 * MAX_CHOICES);
    struct random random = {11};
    struct board board;
    struct question want[N];
    int total = 0;
    board_init(&board);
    for (int i = 0; i < N; i++) {
        want[i] = random_question(&r, &board, &random);
        for (int c = 0; c < want[i].job.n; c++)
            answer_alone(&r, &want[i], c, &want[i].answers[c]);
        total += want[i].job.n;
    }
    for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++) {
        struct question *got = calloc(N, sizeof *got);
        struct scheduler *s =
            open_scheduler(&r, shapes[k].max_streams, shapes[k].max_rows, shapes[k].max_queue);
        board.n_done = 0;
        for (int i = 0; i < N; i++) {
            got[i].job = want[i].job;
            got[i].board = &board;
            submit(s, &got[i]);
        }
        board_wait(&board, total);
        while (scheduler_stats(s).step_began > 0) /* the last answer has ended, its step not yet */
            sched_yield();
        struct scheduler_stats stats = scheduler_stats(s);
        check_steps(s, shapes[k].max_streams, shapes[k].max_rows);
        scheduler_close(s);
        assert_int_equal(stats.reserved, 0);
        assert_int_equal(stats.n_waiting, 0);
        for (int i = 0; i < N; i++) {
            assert_int_equal(got[i].n_told, want[i].n_told);
            assert_int_equal(want[i].n_told, want[i].job.prompted ? want[i].job.n_ids - 1 : 0);
            assert_memory_equal(got[i].told, want[i].told, sizeof got[i].told);
            for (int c = 0; c < want[i].job.n; c++) {
                const struct answer *a = &want[i].answers[c], *b = &got[i].answers[c];
                assert_int_equal(b->calls, 1);
                assert_int_equal(b->failure.code, ERR_NONE);
                assert_int_equal(b->finish, a->finish);
                assert_int_equal(b->n, a->n);
                assert_memory_equal(b->ids, a->ids, (size_t)a->n * sizeof *a->ids);
            }
        }
        free(got);
    }
    board_fini(&board);
    rig_close(&r);
}

/* One place: what is asked later must wait, so the queue fills. */
/* However slow the machine: at least 128 rows a step where nobody draws; at first no more. */
static void a_prompt_alone_takes_large_steps(void **state)
{
    (void)state;
    enum { PROMPT = 300 };
    struct rig r = rig_open(2);
    struct board b;
    board_init(&b);
    assert_true(r.n_tokens >= PROMPT);
    struct scheduler *s = open_scheduler(&r, 2, 512, 4);
    struct question q = question_at(&r, &b, 0, PROMPT, 1);
    submit(s, &q);
    board_wait(&b, 1);
    while (scheduler_stats(s).step_began > 0)
        sched_yield();
    struct scheduler_stats stats = scheduler_stats(s);
    assert_int_equal(stats.n_prompt_rows, PROMPT);
    assert_in_range(stats.n_steps, 2, 4);
    assert_true(stats.step_rows[7] >= 1); /* 65 to 128 rows: the first one */
    scheduler_close(s);
    board_fini(&b);
    rig_close(&r);
}

static void a_full_queue_refuses(void **state)
{
    (void)state;
    struct rig r = rig_open(4);
    struct scheduler *s = open_scheduler(&r, 1, 8, 2);
    struct board board;
    struct question q[4];
    struct err err = {0};
    board_init(&board);
    for (int i = 0; i < 4; i++)
        q[i] = question_at(&r, &board, i, 100, MAX_ANSWER);
    for (int i = 0; i < 3; i++)
        submit(s, &q[i]);
    while (scheduler_stats(s).n_running < 1) /* then the others wait: there is no more room */
        sched_yield();
    q[3].job.cancel = &q[3].cancel;
    q[3].job.ctx = &q[3];
    assert_int_equal(scheduler_submit(s, &q[3].job, &err), -1);
    assert_int_equal(err.code, ERR_LIMIT);
    board_wait(&board, 3);
    submit(s, &q[3]);
    board_wait(&board, 4);
    scheduler_close(s);
    board_fini(&board);
    rig_close(&r);
}

static void what_can_never_start_is_refused(void **state)
{
    (void)state;
    struct rig r = rig_open(2);
    struct scheduler *s = open_scheduler(&r, 4, 8, 4);
    struct board board;
    struct question q;
    struct err err = {0};
    board_init(&board);
    q = question_at(&r, &board, 0, 250, 10);
    q.job.cancel = &q.cancel;
    q.job.n = 4; /* four times 260 positions; there is memory for two contexts of 300 */
    assert_int_equal(scheduler_submit(s, &q.job, &err), -1);
    assert_int_equal(err.code, ERR_ARGUMENT);
    err = (struct err){0};
    q.job.n = 1;
    q.job.generate.max_context = 249;
    assert_int_equal(scheduler_submit(s, &q.job, &err), -1);
    assert_int_equal(err.code, ERR_ARGUMENT);
    assert_non_null(strstr(err.message, "250"));
    scheduler_close(s);
    board_fini(&board);
    rig_close(&r);
}

/* Memory for two sessions: six answers of almost a whole context take turns, and none fails. */
static void memory_is_reserved_before_an_answer_begins(void **state)
{
    (void)state;
    struct rig r = rig_open(2);
    struct scheduler *s = open_scheduler(&r, 6, 64, 6);
    struct board board;
    struct question q[6];
    board_init(&board);
    for (int i = 0; i < 6; i++) {
        q[i] = question_at(&r, &board, i, 200, MAX_ANSWER);
        submit(s, &q[i]);
    }
    board_wait(&board, 6);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(q[i].answers[0].failure.code, ERR_NONE);
        assert_int_equal(q[i].answers[0].n, MAX_ANSWER);
    }
    scheduler_close(s);
    board_fini(&board);
    rig_close(&r);
}

/* One place; group 1 asks three times before group 2 does once. Nothing is drawn from them until all
 * have been submitted, since the first prompt is long. */
static void groups_take_turns(void **state)
{
    (void)state;
    struct rig r = rig_open(8);
    struct scheduler *s = open_scheduler(&r, 2, 2, 8);
    struct board board;
    struct question q[6];
    int order[6];
    board_init(&board);
    for (int i = 0; i < 6; i++) {
        q[i] = question_at(&r, &board, i, i < 2 ? 250 : 1, 2);
        q[i].job.group = i < 5 ? 1 : 2;
        q[i].order = &order[i];
        submit(s, &q[i]);
    }
    board_wait(&board, 6);
    assert_true(order[5] < order[2]); /* asked last, of a group that had nothing running */
    assert_true(order[2] < order[3] && order[3] < order[4]);
    scheduler_close(s);
    board_fini(&board);
    rig_close(&r);
}

static void a_higher_priority_begins_first(void **state)
{
    (void)state;
    enum { N = 6 };
    static const int priorities[N] = {0, 0, 5, -3, 5, 0}, wanted[N] = {0, 3, 1, 5, 2, 4};
    struct rig r = rig_open(4);
    struct board board;
    struct question q[N];
    int order[N];
    board_init(&board);
    for (int i = 0; i < N; i++) {
        q[i] = question_at(&r, &board, i, 1, 2);
        q[i].job.priority = priorities[i];
        q[i].order = &order[i];
    }
    struct scheduler *s = open_busy(&r, &(struct scheduler_options){0}, &q[0]);
    for (int i = 1; i < N; i++)
        submit(s, &q[i]);
    atomic_store(&q[0].n_allowed, INT_MAX);
    board_wait(&board, N);
    scheduler_close(s);
    assert_memory_equal(order, wanted, sizeof wanted);
    board_fini(&board);
    rig_close(&r);
}

/* A priority less is made up for by as many that began before. */
static void a_low_priority_does_not_wait_for_ever(void **state)
{
    (void)state;
    enum { N = 3 * SCHEDULER_AGE };
    struct rig r = rig_open(4);
    struct board board;
    struct question q[N];
    int order[N];
    board_init(&board);
    for (int i = 0; i < N; i++) {
        q[i] = question_at(&r, &board, i, 1, 1);
        q[i].job.priority = i != 1;
        q[i].job.group = i == 1;
        q[i].order = &order[i];
    }
    struct scheduler *s = open_busy(&r, &(struct scheduler_options){0}, &q[0]);
    for (int i = 1; i < N; i++)
        submit(s, &q[i]);
    atomic_store(&q[0].n_allowed, INT_MAX);
    board_wait(&board, N);
    scheduler_close(s);
    assert_int_equal(order[1], 1 + SCHEDULER_AGE);
    assert_int_equal(order[N - 1], N - 1);
    board_fini(&board);
    rig_close(&r);
}

static atomic_int test_seconds;

static double test_clock(void)
{
    return atomic_load(&test_seconds);
}

static void a_job_that_waits_too_long_ends(void **state)
{
    (void)state;
    struct rig r = rig_open(4);
    struct board board;
    struct question q[3];
    board_init(&board);
    for (int i = 0; i < 3; i++)
        q[i] = question_at(&r, &board, i, 5, 20);
    q[1].job.n = 2;
    atomic_store(&test_seconds, 1);
    struct scheduler_options o = {.max_wait = 10, .clock = test_clock};
    struct scheduler *s = open_busy(&r, &o, &q[0]);
    submit(s, &q[1]);
    atomic_store(&test_seconds, 10);
    submit(s, &q[2]);
    let_draw(&q[0], 3);
    assert_int_equal(scheduler_stats(s).n_waiting, 2);
    assert_int_equal(scheduler_stats(s).waiting_tokens, 10);
    atomic_store(&test_seconds, 11);
    atomic_store(&q[0].n_allowed, INT_MAX);
    board_wait(&board, 4);
    struct scheduler_stats stats = scheduler_stats(s);
    scheduler_close(s);
    assert_true(q[1].job.waited_too_long);
    for (int c = 0; c < 2; c++) {
        assert_int_equal(q[1].answers[c].calls, 1);
        assert_int_equal(q[1].answers[c].finish, FINISH_CANCELLED);
    }
    assert_true(q[1].job.begun == 0);
    assert_false(q[0].job.waited_too_long || q[2].job.waited_too_long);
    assert_int_equal(q[0].answers[0].finish, FINISH_LENGTH);
    assert_int_equal(q[2].answers[0].finish, FINISH_LENGTH);
    assert_true(q[0].job.begun == 1 && q[2].job.submitted == 10 && q[2].job.begun == 11);
    assert_int_equal(stats.waiting_tokens, 0);
    assert_int_equal(stats.reserved, 0);
    board_fini(&board);
    rig_close(&r);
}

static void a_queue_of_too_many_tokens_refuses(void **state)
{
    (void)state;
    static const int sizes[] = {5, 200, 1, 100, 51, 50};
    struct rig r = rig_open(8);
    struct board board;
    struct question q[6];
    struct err one = {0}, more = {0};
    board_init(&board);
    for (int i = 0; i < 6; i++)
        q[i] = question_at(&r, &board, i, sizes[i], 20);
    struct scheduler_options o = {.max_queue_tokens = 150};
    struct scheduler *s = open_busy(&r, &o, &q[0]);
    submit(s, &q[1]); /* alone it may be longer */
    q[2].job.cancel = &q[2].cancel;
    assert_int_equal(scheduler_submit(s, &q[2].job, &one), -1);
    assert_int_equal(one.code, ERR_LIMIT);
    assert_non_null(strstr(one.message, "200 tokens"));
    atomic_store(&q[1].cancel, true);
    let_draw(&q[0], 2);
    board_wait(&board, 1);
    submit(s, &q[3]);
    q[4].job.cancel = &q[4].cancel;
    assert_int_equal(scheduler_submit(s, &q[4].job, &more), -1);
    submit(s, &q[5]);
    atomic_store(&q[0].n_allowed, INT_MAX);
    board_wait(&board, 4);
    assert_int_equal(scheduler_stats(s).waiting_tokens, 0);
    scheduler_close(s);
    board_fini(&board);
    rig_close(&r);
}

static void a_cancelled_job_ends_running_or_waiting(void **state)
{
    (void)state;
    struct rig r = rig_open(4);
    struct scheduler *s = open_scheduler(&r, 1, 1, 4);
    struct board board;
    struct question q[3];
    board_init(&board);
    for (int i = 0; i < 3; i++)
        q[i] = question_at(&r, &board, i, 200, MAX_ANSWER);
    q[1].job.n = 3;
    for (int i = 0; i < 3; i++)
        submit(s, &q[i]);
    atomic_store(&q[1].cancel, true);
    atomic_store(&q[0].cancel, true);
    board_wait(&board, 5);
    assert_int_equal(q[0].answers[0].finish, FINISH_CANCELLED);
    for (int c = 0; c < 3; c++) {
        assert_int_equal(q[1].answers[c].calls, 1);
        assert_int_equal(q[1].answers[c].finish, FINISH_CANCELLED);
    }
    assert_int_equal(q[2].answers[0].finish, FINISH_LENGTH);
    scheduler_close(s);
    board_fini(&board);
    rig_close(&r);
}

/* One place: the other choices wait for it while the first is drawn, and another job behind them. */
static void choices_that_wait_end_with_their_job(void **state)
{
    (void)state;
    struct rig r = rig_open(8);
    struct scheduler *s = open_scheduler(&r, 1, 64, 4);
    struct board board;
    struct question q[2];
    board_init(&board);
    q[0] = question_at(&r, &board, 0, 200, MAX_ANSWER);
    q[0].job.n = 4;
    q[0].cancel_after_first = true;
    q[1] = question_at(&r, &board, 3, 5, MAX_ANSWER);
    submit(s, &q[0]);
    submit(s, &q[1]);
    board_wait(&board, 5);
    assert_int_equal(q[0].answers[0].finish, FINISH_LENGTH);
    for (int c = 1; c < 4; c++) {
        assert_int_equal(q[0].answers[c].finish, FINISH_CANCELLED);
        assert_int_equal(q[0].answers[c].n, 0);
        assert_int_equal(q[0].answers[c].calls, 1);
    }
    assert_int_equal(q[1].answers[0].finish, FINISH_LENGTH);
    scheduler_close(s);
    board_fini(&board);
    rig_close(&r);
}

static void closing_ends_everything(void **state)
{
    (void)state;
    struct rig r = rig_open(4);
    struct scheduler *s = open_scheduler(&r, 2, 2, 8);
    struct board board;
    struct question q[4];
    board_init(&board);
    for (int i = 0; i < 4; i++) {
        q[i] = question_at(&r, &board, i, 200, MAX_ANSWER);
        q[i].job.n = i == 1 ? 4 : 1;
        submit(s, &q[i]);
    }
    scheduler_close(s);
    assert_int_equal(board.n_done, 7);
    for (int i = 0; i < 4; i++)
        for (int c = 0; c < q[i].job.n; c++) {
            assert_int_equal(q[i].answers[c].calls, 1);
            assert_int_equal(q[i].answers[c].finish, FINISH_CANCELLED);
        }
    board_fini(&board);
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_choice_is_the_answer_it_is_alone),
        cmocka_unit_test(a_prompt_alone_takes_large_steps),
        cmocka_unit_test(a_full_queue_refuses),
        cmocka_unit_test(what_can_never_start_is_refused),
        cmocka_unit_test(memory_is_reserved_before_an_answer_begins),
        cmocka_unit_test(groups_take_turns),
        cmocka_unit_test(a_higher_priority_begins_first),
        cmocka_unit_test(a_low_priority_does_not_wait_for_ever),
        cmocka_unit_test(a_job_that_waits_too_long_ends),
        cmocka_unit_test(a_queue_of_too_many_tokens_refuses),
        cmocka_unit_test(a_cancelled_job_ends_running_or_waiting),
        cmocka_unit_test(choices_that_wait_end_with_their_job),
        cmocka_unit_test(closing_ends_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
