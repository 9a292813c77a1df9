#include "base/pool.h"

#include <fenv.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"

/* How a job is shared out. `open` counts the chunks that nobody has taken yet. Whoever lowers it owns a
 * chunk, and the job cannot end before that chunk is done: so only an owner may read the job's
 * fields, and a thread that wakes late, when open is 0, touches nothing. The caller writes the fields
 * while open is 0 and every chunk of the job before is done.
 *
 * Counting down what is left (and not up from 0) is what makes a late thread harmless: it sees the
 * open chunks of this job or of a later one, and both are real. */
struct pool {
    int n_threads;
    double spin_seconds;
    pthread_t *threads; /* [n_threads - 1] */
    struct worker *workers;

    /* the job */
    void (*fn)(void *ctx, int first, int last, int thread);
    void *ctx;
    int n, chunk, n_chunks;

    _Alignas(64) _Atomic uint32_t open;   /* chunks not taken */
    _Alignas(64) _Atomic uint32_t undone; /* chunks not finished; the caller sleeps on it */
    _Atomic bool caller_sleeps;
    _Alignas(64) _Atomic uint32_t signal; /* a new job, or the end; workers sleep on it */
    _Atomic uint32_t sleepers;
    _Atomic bool stop, busy;
};

struct worker {
    struct pool *pool;
    int thread;
};

static void futex_wait(_Atomic uint32_t *word, uint32_t seen)
{
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
}

static void futex_wake(_Atomic uint32_t *word, int n)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, n, NULL, NULL, 0);
}

#if defined(__x86_64__)
static inline void pause_cpu(void)
{
    __builtin_ia32_pause();
}
#else
static inline void pause_cpu(void)
{
    __asm__ volatile("yield");
}
#endif

/* Waits a little for *word to leave `value`; true when it did. */
static bool spin_while(const struct pool *p, _Atomic uint32_t *word, uint32_t value)
{
    double end = 0;
    for (;;) {
        for (int i = 0; i < 64; i++) {
            if (atomic_load_explicit(word, memory_order_acquire) != value) return true;
            pause_cpu();
        }
        if (p->spin_seconds <= 0) return false;
        double now = clock_seconds();
        if (end == 0) end = now + p->spin_seconds;
        if (now >= end) return false;
    }
}

/* Takes chunks until none is open. */
static void work(struct pool *p, int thread)
{
    uint32_t open = atomic_load_explicit(&p->open, memory_order_relaxed);
    while (open) {
        if (!atomic_compare_exchange_weak_explicit(&p->open, &open, open - 1, memory_order_acquire,
                                                   memory_order_relaxed))
            continue;
        int first = (p->n_chunks - (int)open) * p->chunk;
        int last = p->n - first > p->chunk ? first + p->chunk : p->n;
        p->fn(p->ctx, first, last, thread);
        if (atomic_fetch_sub(&p->undone, 1) == 1 && atomic_load(&p->caller_sleeps))
            futex_wake(&p->undone, 1);
        open = atomic_load_explicit(&p->open, memory_order_relaxed);
    }
}

static void *worker_main(void *arg)
{
    const struct worker *w = arg;
    struct pool *p = w->pool;
    fesetenv(FE_DFL_ENV); /* round to nearest, subnormals kept */
    uint32_t seen = 0;
    while (!atomic_load(&p->stop)) {
        if (!spin_while(p, &p->signal, seen)) {
            /* pool_run raises signal before it reads sleepers; here the other way round: one of the two
             * sees the other, and futex_wait returns at once if signal has moved on. */
            atomic_fetch_add(&p->sleepers, 1);
            while (atomic_load(&p->signal) == seen)
                futex_wait(&p->signal, seen);
            atomic_fetch_sub(&p->sleepers, 1);
        }
        seen = atomic_load(&p->signal);
        work(p, w->thread);
    }
    return NULL;
}

int pool_cpus(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
    long n = sysconf(_SC_NPROCESSORS_ONLN); /* more CPUs than a cpu_set_t holds */
    return n > 0 ? (int)n : 1;
}

struct pool *pool_new(int n_threads)
{
    CHECK(n_threads >= 0, "pool: %d threads", n_threads);
    int cpus = pool_cpus();
    if (n_threads == 0) n_threads = cpus;

    struct pool *p = aligned_alloc(64, (sizeof *p + 63) / 64 * 64);
    CHECK(p, "out of memory: thread pool");
    *p = (struct pool){.n_threads = n_threads};
    /* Where threads outnumber CPUs, spinning keeps the one who has work from running. */
    p->spin_seconds = n_threads <= cpus ? 50e-6 : 0;
    p->threads = xcalloc((size_t)n_threads, sizeof *p->threads);
    p->workers = xcalloc((size_t)n_threads, sizeof *p->workers);
    fesetenv(FE_DFL_ENV);
    for (int i = 1; i < n_threads; i++) {
        p->workers[i] = (struct worker){p, i};
        int bad = pthread_create(&p->threads[i], NULL, worker_main, &p->workers[i]);
        if (bad) { /* the limit of the host: the bits do not depend on the number */
            log_warn("pool: %d of %d threads started", i, n_threads);
            p->n_threads = i;
            break;
        }
    }
    return p;
}

void pool_free(struct pool *p)
{
    if (!p) return;
    atomic_store(&p->stop, true);
    atomic_fetch_add(&p->signal, 1);
    futex_wake(&p->signal, INT_MAX);
    for (int i = 1; i < p->n_threads; i++)
        pthread_join(p->threads[i], NULL);
    free(p->threads);
    free(p->workers);
    free(p);
}

int pool_threads(const struct pool *p)
{
    return p->n_threads;
}

static void wait_until_done(struct pool *p)
{
    uint32_t left;
    while ((left = atomic_load(&p->undone)) != 0) {
        if (spin_while(p, &p->undone, left)) continue;
        atomic_store(&p->caller_sleeps, true);
        while ((left = atomic_load(&p->undone)) != 0)
            futex_wait(&p->undone, left);
        atomic_store(&p->caller_sleeps, false);
    }
}

void pool_run(struct pool *p, int n, int chunk,
              void (*fn)(void *ctx, int first, int last, int thread), void *ctx)
{
    CHECK(n >= 0 && chunk >= 1, "pool: %d indexes in chunks of %d", n, chunk);
    if (n == 0) return;
    CHECK(!atomic_exchange(&p->busy, true), "pool: used by two at a time");
    p->fn = fn;
    p->ctx = ctx;
    p->n = n;
    p->chunk = chunk;
    p->n_chunks = (n - 1) / chunk + 1;
    uint32_t chunks = (uint32_t)p->n_chunks;
    atomic_store_explicit(&p->undone, chunks, memory_order_relaxed);
    atomic_store_explicit(&p->open, chunks, memory_order_release);

    if (chunks > 1 && p->n_threads > 1) {
        atomic_fetch_add(&p->signal, 1);
        if (atomic_load(&p->sleepers)) futex_wake(&p->signal, (int)chunks - 1);
    }
    work(p, 0);
    wait_until_done(p);
    atomic_store(&p->busy, false);
}
