#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/pool.h"

enum { MAX_N = 4096, MAX_THREADS = 7 };

struct count {
    int n, chunk, n_threads;
    int seen[MAX_N];
    _Atomic int inside[MAX_THREADS]; /* calls running under this thread number */
    _Atomic int errors;
};

static void count_indexes(void *ctx, int first, int last, int thread)
{
    struct count *c = ctx;
    int bad = thread < 0 || thread >= c->n_threads || first % c->chunk != 0 || last <= first ||
              last - first > c->chunk || last > c->n;
    if (!bad && atomic_fetch_add(&c->inside[thread], 1) != 0) bad = 1;
    if (bad) {
        atomic_fetch_add(&c->errors, 1);
        return;
    }
    for (int i = first; i < last; i++)
        c->seen[i]++; /* plain: ThreadSanitizer sees an index given twice */
    atomic_fetch_sub(&c->inside[thread], 1);
}

static void every_index_is_visited_once(void **state)
{
    (void)state;
    static const int sizes[] = {0, 1, 2, 3, 5, 7, 8, 63, 64, 65, 255, 1000, MAX_N};
    static const int chunks[] = {1, 2, 3, 8, 64, 100, 5000};
    static struct count c;
    for (int threads = 1; threads <= MAX_THREADS; threads++) {
        struct pool *p = pool_new(threads);
        assert_int_equal(pool_threads(p), threads);
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
            for (size_t k = 0; k < sizeof chunks / sizeof chunks[0]; k++) {
                memset(&c, 0, sizeof c);
                c.n = sizes[i];
                c.chunk = chunks[k];
                c.n_threads = threads;
                pool_run(p, c.n, c.chunk, count_indexes, &c);
                assert_int_equal(c.errors, 0);
                for (int j = 0; j < MAX_N; j++)
                    assert_int_equal(c.seen[j], j < c.n);
            }
        pool_free(p);
    }
}

struct chain {
    uint64_t *from, *to;
    int n;
};

static void mix_neighbours(void *ctx, int first, int last, int thread)
{
    const struct chain *c = ctx;
    (void)thread;
    for (int i = first; i < last; i++)
        c->to[i] = c->from[i] * 0x9e3779b97f4a7c15u + c->from[(i + 1) % c->n] + (uint64_t)i;
}

/* 2000 jobs, each reading what other threads wrote in the job before. */
static uint64_t run_chain(int threads)
{
    enum { N = 61, JOBS = 2000 };
    uint64_t a[N], b[N];
    for (int i = 0; i < N; i++)
        a[i] = (uint64_t)i;
    struct pool *p = pool_new(threads);
    for (int job = 0; job < JOBS; job++) {
        struct chain c = {job % 2 ? b : a, job % 2 ? a : b, N};
        pool_run(p, N, 1 + job % 7, mix_neighbours, &c);
        if (job % 200 == 0) usleep(500); /* longer than the spin: workers sleep in the kernel */
    }
    pool_free(p);
    uint64_t sum = 0;
    for (int i = 0; i < N; i++)
        sum = sum * 31 + a[i];
    return sum;
}

static void each_job_sees_the_results_of_the_last(void **state)
{
    (void)state;
    uint64_t want = run_chain(1);
    for (int threads = 2; threads <= MAX_THREADS; threads++)
        assert_true(run_chain(threads) == want);
}

static void slow_chunk(void *ctx, int first, int last, int thread)
{
    (void)last;
    (void)thread;
    if (first % 5 == 0) usleep(300);
    atomic_fetch_add((_Atomic int *)ctx, 1);
}

static void the_caller_waits_for_slow_chunks(void **state)
{
    (void)state;
    struct pool *p = pool_new(4);
    for (int round = 0; round < 50; round++) {
        _Atomic int done = 0;
        pool_run(p, 9, 1, slow_chunk, &done);
        assert_int_equal(done, 9);
    }
    pool_free(p);
}

static void a_pool_that_never_ran_can_be_freed(void **state)
{
    (void)state;
    pool_free(NULL);
    for (int threads = 0; threads <= MAX_THREADS; threads++) {
        struct pool *p = pool_new(threads);
        assert_true(pool_threads(p) >= 1);
        pool_free(p);
    }
}

#if defined(__x86_64__)
static void flush_subnormals(void)
{
    __builtin_ia32_ldmxcsr(__builtin_ia32_stmxcsr() | 0x8040);
}
#else
static void flush_subnormals(void)
{
}
#endif

struct halves {
    volatile float small;
    float half[MAX_THREADS];
    _Atomic int arrived;
};

/* Waits until all threads hold a chunk, so that each computes one. */
static void halve_a_subnormal(void *ctx, int first, int last, int thread)
{
    struct halves *h = ctx;
    (void)last;
    (void)thread;
    atomic_fetch_add(&h->arrived, 1);
    while (atomic_load(&h->arrived) < MAX_THREADS)
        usleep(100);
    h->half[first] = h->small * 0.5f;
}

static void subnormals_are_kept_on_every_thread(void **state)
{
    (void)state;
    flush_subnormals();
    struct pool *p = pool_new(MAX_THREADS);
    struct halves h = {.small = 0x1p-130f};
    pool_run(p, MAX_THREADS, 1, halve_a_subnormal, &h);
    for (int i = 0; i < MAX_THREADS; i++)
        assert_true(h.half[i] == 0x1p-131f);
    pool_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_index_is_visited_once),
        cmocka_unit_test(each_job_sees_the_results_of_the_last),
        cmocka_unit_test(the_caller_waits_for_slow_chunks),
        cmocka_unit_test(a_pool_that_never_ran_can_be_freed),
        cmocka_unit_test(subnormals_are_kept_on_every_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
