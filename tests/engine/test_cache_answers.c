/* The law of the cache: a hit gives the answer of a cold run, bit for bit, whatever was kept, evicted, shared
 * and computed at the same time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <dirent.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../support/golden.h"
#include "../support/random.h"
#include "base/log.h"
#include "base/mem.h"
#include "engine/scheduler.h"

enum {
    CONTEXT = 420,
    ANSWER = 12,
    AT_ONCE = 8,
    MAX_CHOICES = 3,
    EVERY = 64,
    TEXTS = 3,
#ifdef __SANITIZE_THREAD__
    ROUNDS = 5, /* each takes half a minute there */
#else
    ROUNDS = 22,
#endif
};

#define ALL SIZE_MAX /* of the memory may be the cache's */

struct answer {
    int32_t ids[ANSWER];
    float logprobs[ANSWER];
    int n, n_reused;
    enum finish finish;
};

struct board {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int n_done;
};

struct question {
    struct scheduler_job job;
    atomic_bool cancel;
    int32_t ids[CONTEXT];
    struct answer answers[MAX_CHOICES];
    struct err failure;
    struct board *board;
};

struct rig {
    struct bench_model b;
    struct engine *engine;
    const char *dir; /* NULL: no disk */
    struct prefix_cache *cache;
    struct scheduler *scheduler;
    struct board board;
    int32_t texts[TEXTS][CONTEXT];
};

static void open_scheduler(struct rig *r)
{
    struct prefix_options po = {.every = EVERY, .dir = r->dir, .disk = 1 << 28};
    struct scheduler_options so = {.max_streams = AT_ONCE, .max_rows = 64, .max_queue = AT_ONCE};
    struct err err = {0};
    if (engine_cache_open(&r->cache, r->engine, &po, &err)) fail_msg("%s", err.message);
    so.cache = r->cache;
    if (scheduler_open(&r->scheduler, r->engine, &so, &err)) fail_msg("%s", err.message);
}

static void close_scheduler(struct rig *r)
{
    scheduler_close(r->scheduler);
    prefix_cache_close(r->cache);
}

static struct rig *rig_open(size_t cache, int n_sessions, const char *dir, struct random *random)
{
    struct rig *r = calloc(1, sizeof *r);
    struct err err = {0};
    r->b = model_for_test("tests/golden/zeta", MODE_DEFAULT, 1, NULL, 1);
    r->dir = dir;
    struct engine_options o = {.max_context = CONTEXT,
                               .n_sessions = n_sessions,
                               .cache = cache == ALL ? 0 : cache,
                               .drafts = SPECULATE_ON};
    if (engine_open(&r->engine, r->b.model, NULL, &o, &err)) fail_msg("%s", err.message);
    if (cache == ALL) { /* that sessions have: none beside it */
        o.memory = o.cache = engine_memory(r->engine);
        engine_close(r->engine);
        if (engine_open(&r->engine, r->b.model, NULL, &o, &err)) fail_msg("%s", err.message);
    }
    open_scheduler(r);
    pthread_mutex_init(&r->board.lock, NULL);
    pthread_cond_init(&r->board.changed, NULL);
    for (int i = 0; i < TEXTS; i++)
        for (int j = 0; j < CONTEXT; j++)
            r->texts[i][j] = random_int(random, 2, r->b.vocab - 1);
    return r;
}

static void rig_close(struct rig *r)
{
    close_scheduler(r);
    pthread_mutex_destroy(&r->board.lock);
    pthread_cond_destroy(&r->board.changed);
    engine_close(r->engine); /* checks that no block is left */
    model_done(&r->b);
    free(r);
}

static void keep(struct answer *a, const struct generation_result *r)
{
    CHECK(r->n <= ANSWER, "%d tokens", r->n);
    for (int i = 0; i < r->n; i++) {
        a->ids[i] = r->ids[i];
        a->logprobs[i] = r->picks[i].logprob;
    }
    a->n = r->n;
    a->n_reused = r->stats.n_reused;
    a->finish = r->finish;
}

static void on_done(void *ctx, int choice, const struct generation_result *r,
                    const struct err *failure)
{
    struct question *q = ctx;
    if (r) keep(&q->answers[choice], r);
    if (failure) q->failure = *failure;
    pthread_mutex_lock(&q->board->lock);
    q->board->n_done++;
    pthread_cond_signal(&q->board->changed);
    pthread_mutex_unlock(&q->board->lock);
}

static void submit(struct rig *r, struct question *q)
{
    struct err err = {0};
    q->board = &r->board;
    q->job.ids = q->ids;
    q->job.cancel = &q->cancel;
    q->job.done = on_done;
    q->job.ctx = q;
    if (scheduler_submit(r->scheduler, &q->job, &err)) fail_msg("%s", err.message);
}

static void wait_for(struct rig *r, int n)
{
    pthread_mutex_lock(&r->board.lock);
    while (r->board.n_done < n)
        pthread_cond_wait(&r->board.changed, &r->board.lock);
    r->board.n_done = 0;
    pthread_mutex_unlock(&r->board.lock);
}

/* With an engine of its own model state, untouched by the scheduler's thread. */
struct cold {
    struct bench_model b;
    struct engine *engine;
};

static void answer_cold(struct cold *c, const struct question *q, int choice, struct answer *out)
{
    struct session *s = NULL;
    struct generation *g = NULL;
    struct err err = {0};
    struct generate_options o = q->job.generate;
    o.speculate = NULL;
    if (engine_session_new(&s, c->engine, &err) || session_append(s, q->ids, q->job.n_ids, &err))
        fail_msg("%s", err.message);
    session_set_key(s, (struct sampler_key){q->job.seed, (uint32_t)choice});
    if (generation_open(&g, s, &o, &err) || generation_run(g, &err)) fail_msg("%s", err.message);
    keep(out, generation_result(g));
    generation_close(g);
    session_free(s);
}

static void assert_cold(struct cold *c, const struct question *q)
{
    assert_int_equal(q->failure.code, ERR_NONE);
    for (int i = 0; i < q->job.n; i++) {
        struct answer want = {0};
        const struct answer *got = &q->answers[i];
        answer_cold(c, q, i, &want);
        assert_int_equal(got->finish, want.finish);
        assert_int_equal(got->n, want.n);
        assert_memory_equal(got->ids, want.ids, sizeof want.ids);
        assert_memory_equal(got->logprobs, want.logprobs, sizeof want.logprobs);
        assert_true(got->n_reused < q->job.n_ids);
    }
}

/* A prompt that begins like a text, or like an earlier prompt and its answer, and goes its own way then. */
static void make_question(struct rig *r, struct question *q, const struct question *earlier,
                          struct random *random)
{
    int n = 0;
    *q = (struct question){0};
    if (earlier && random_int(random, 0, 1)) {
        const struct answer *a = &earlier->answers[0];
        n = earlier->job.n_ids;
        memcpy(q->ids, earlier->ids, (size_t)n * sizeof *q->ids);
        memcpy(q->ids + n, a->ids, (size_t)a->n * sizeof *q->ids);
        n += a->n;
    } else {
        n = random_int(random, 1, 220);
        memcpy(q->ids, r->texts[random_int(random, 0, TEXTS - 1)], (size_t)n * sizeof *q->ids);
    }
    int tail = random_int(random, 0, 40), first = random_int(random, 0, 3) * 50;
    if (n + tail > CONTEXT - ANSWER) n = CONTEXT - ANSWER - tail;
    memcpy(q->ids + n, r->texts[0] + first, (size_t)tail * sizeof *q->ids);
    q->job.n_ids = n + tail;
    q->job.n = random_int(random, 0, 4) ? 1 : random_int(random, 2, MAX_CHOICES);
    q->job.n_system = random_int(random, 0, 1) ? random_int(random, 0, q->job.n_ids - 1) : 0;
    q->job.no_cache = random_int(random, 0, 9) == 0;
    q->job.seed = random_u64(random);
    q->job.group = (unsigned)random_int(random, 0, 1);
    q->job.scope[3] = random_int(random, 0, 4) == 0;
    q->job.generate = engine_generate_options(r->engine, false);
    q->job.generate.max_tokens = random_int(random, 0, ANSWER);
    q->job.generate.ignore_eos = true;
    q->job.generate.sampling.temperature = random_int(random, 0, 1) ? 0 : 1.5f;
    q->job.generate.sampling.logprobs = 0;
}

struct seen {
    int n, n_hits;
    uint64_t n_evicted, n_loaded;
};

/* With a directory there is a restart after every round. */
static struct seen ask_rounds(size_t cache, int n_sessions, int n_rounds, const char *dir,
                              uint64_t seed)
{
    struct random random = {seed};
    struct cold cold = {.b = model_for_test("tests/golden/zeta", MODE_DEFAULT, 1, NULL, 1)};
    struct engine_options o = {.max_context = CONTEXT, .n_sessions = 1};
    struct err err = {0};
    struct seen seen = {0};
    struct rig *r = rig_open(cache, n_sessions, dir, &random);
    struct question *q = calloc(AT_ONCE, sizeof *q), *before = calloc(AT_ONCE, sizeof *q);
    if (engine_open(&cold.engine, cold.b.model, NULL, &o, &err)) fail_msg("%s", err.message);
    for (int round = 0; round < n_rounds; round++) {
        int n = 0;
        for (int i = 0; i < AT_ONCE; i++) {
            const struct question *earlier = &before[random_int(&random, 0, AT_ONCE - 1)];
            make_question(r, &q[i], earlier->job.n ? earlier : NULL, &random);
            n += q[i].job.n;
        }
        for (int i = 0; i < AT_ONCE; i++)
            submit(r, &q[i]);
        wait_for(r, n);
        for (int i = 0; i < AT_ONCE; i++) {
            assert_cold(&cold, &q[i]);
            seen.n++;
            seen.n_hits += q[i].answers[0].n_reused > 0;
            if (q[i].job.no_cache) assert_int_equal(q[i].answers[0].n_reused, 0);
        }
        struct scheduler_stats stats = scheduler_stats(r->scheduler);
        seen.n_evicted = stats.cache.n_evicted;
        seen.n_loaded += stats.cache.disk.n_loaded;
        assert_int_equal(stats.reserved, 0);
        if (dir) {
            close_scheduler(r);
            open_scheduler(r);
        }
        struct question *swap = before;
        before = q;
        q = swap;
    }
    free(q);
    free(before);
    rig_close(r);
    engine_close(cold.engine);
    model_done(&cold.b);
    return seen;
}

static void answers_from_a_large_cache_are_those_of_cold_runs(void **state)
{
    (void)state;
    struct seen seen = ask_rounds(32 << 20, AT_ONCE, ROUNDS, NULL, 1);
    assert_int_equal(seen.n, ROUNDS * AT_ONCE);
    assert_true(seen.n_hits > 2 * (ROUNDS - 3)); /* the first rounds fill it */
}

static void answers_while_entries_go_are_those_of_cold_runs(void **state)
{
    (void)state;
    struct seen seen = ask_rounds(4 << 20, AT_ONCE, ROUNDS, NULL, 2);
    assert_true(seen.n_hits > seen.n / 16);
    assert_true(seen.n_evicted > 9 * ROUNDS);
}

/* Jobs and entries fight for the memory of three sessions: jobs win, and none fails. */
static void answers_that_take_the_caches_memory_are_those_of_cold_runs(void **state)
{
    (void)state;
    struct seen seen = ask_rounds(ALL, 3, ROUNDS, NULL, 3);
    assert_true(seen.n_evicted > 20);
}

static int make_dir(void **state)
{
    log_set_level(LOG_ERROR);
    *state = mkdtemp(xstrdup("/tmp/tenon-answers-XXXXXX"));
    return *state ? 0 : -1;
}

static int remove_dir(void **state)
{
    char *dir = *state;
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));)
        unlinkat(dirfd(d), e->d_name, 0); /* not . and .. */
    if (d) closedir(d);
    int rc = rmdir(dir);
    free(dir);
    return rc;
}

static void answers_from_disk_are_those_of_cold_runs(void **state)
{
    struct seen seen = ask_rounds(32 << 20, AT_ONCE, 8, *state, 5);
    assert_true(seen.n_loaded > 10);
    assert_true(seen.n_hits >= (int)seen.n_loaded);
}

/* Jobs that go while their beginning is read, and a scheduler that does. */
static void a_load_may_lose_its_job(void **state)
{
    struct random random = {6};
    struct rig *r = rig_open(1 << 24, AT_ONCE, *state, &random);
    struct question *q = calloc(AT_ONCE, sizeof *q);
    for (int i = 0; i < 6; i++) {
        for (int j = 0; j < AT_ONCE; j++) {
            make_question(r, &q[j], NULL, &random);
            memcpy(q[j].ids, r->texts[0], sizeof q[j].ids);
            q[j].job.no_cache = false;
            q[j].job.n = 1;
            q[j].job.n_ids = 100 + 20 * (i / 2) + j;
            submit(r, &q[j]);
            if (i && j % 2) atomic_store(&q[j].cancel, true);
        }
        if (i % 2 == 0) wait_for(r, AT_ONCE);
        close_scheduler(r);
        if (i % 2) wait_for(r, AT_ONCE);
        for (int j = 0; j < AT_ONCE; j++)
            assert_int_equal(q[j].failure.code, ERR_NONE);
        open_scheduler(r);
    }
    free(q);
    rig_close(r);
}

static void ask(struct rig *r, struct question *q, int group, int n_ids)
{
    struct random random = {(uint64_t)n_ids};
    make_question(r, q, NULL, &random);
    memcpy(q->ids, r->texts[0], sizeof q->ids);
    q->job.n = 1;
    q->job.n_ids = n_ids;
    q->job.n_system = 0;
    q->job.no_cache = false;
    q->job.group = (unsigned)group;
    q->job.scope[3] = 0;
    q->job.generate.max_tokens = 4;
    submit(r, q);
    wait_for(r, 1);
}

static void what_is_reused_is_what_is_told(void **state)
{
    (void)state;
    struct random random = {4};
    struct rig *r = rig_open(1 << 24, 2, NULL, &random);
    struct question q;
    ask(r, &q, 0, 200);
    assert_int_equal(q.answers[0].n_reused, 0);
    ask(r, &q, 0, 200);
    assert_int_equal(q.answers[0].n_reused, 199);
    ask(r, &q, 0, 150); /* the last point before */
    assert_int_equal(q.answers[0].n_reused, 128);
    ask(r, &q, 0, 250);
    assert_int_equal(q.answers[0].n_reused, 199);
    ask(r, &q, 1, 250);
    assert_int_equal(q.answers[0].n_reused, 0);
    rig_close(r);
}

/* Memory of one answer: what memory has of its prompt and the longer beginning from disk do not fit in it together. */
static void a_longer_beginning_from_disk_takes_the_place_of_the_one_in_memory(void **state)
{
    struct random random = {7};
    struct rig *r = rig_open(ALL, 1, *state, &random);
    struct question *q = calloc(1, sizeof *q);
    ask(r, q, 0, 300);
    memcpy(r->texts[0] + 300, q->answers[0].ids, 3 * sizeof *q->ids);
    ask(r, q, 0, 400);
    memcpy(r->texts[0] + 400, q->answers[0].ids, 3 * sizeof *q->ids);
    close_scheduler(r); /* all is written, and memory is empty */
    open_scheduler(r);
    ask(r, q, 0, 300);
    assert_int_equal(q->answers[0].n_reused, 0);
    ask(r, q, 0, 410);
    assert_int_equal(q->failure.code, ERR_NONE);
    assert_int_equal(q->answers[0].n_reused, 403);
    free(q);
    rig_close(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_from_a_large_cache_are_those_of_cold_runs),
        cmocka_unit_test(answers_while_entries_go_are_those_of_cold_runs),
        cmocka_unit_test(answers_that_take_the_caches_memory_are_those_of_cold_runs),
        cmocka_unit_test_setup_teardown(answers_from_disk_are_those_of_cold_runs, make_dir,
                                        remove_dir),
        cmocka_unit_test_setup_teardown(a_load_may_lose_its_job, make_dir, remove_dir),
        cmocka_unit_test(what_is_reused_is_what_is_told),
        cmocka_unit_test_setup_teardown(
            a_longer_beginning_from_disk_takes_the_place_of_the_one_in_memory, make_dir,
            remove_dir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
