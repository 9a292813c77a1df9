#include "measure/machine.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/pool.h"
#include "cpu/kernels.h"
#include "measure/bandwidth.h"

enum { BUFFER = 1 << 29, PARTS = 16, BARRIERS = 501 };
#define PART_SECONDS 0.3e-3 /* of a peak's work unit; threads take PARTS of them each */

struct machine {
    const struct cpu_kernels *k;
    struct pool *pool;
    struct bandwidth *bandwidth;
    long int_loops, float_loops; /* of a work unit */
};

typedef double peak_fn(long loops);

/* The shortest of a few: other processes only lengthen it. */
static double shortest(peak_fn *peak, long loops)
{
    double best = 1;
    for (int i = 0; i < 5; i++) {
        double start = clock_seconds();
        peak(loops);
        double seconds = clock_seconds() - start;
        best = seconds < best ? seconds : best;
    }
    return best;
}

/* Loops that take about PART_SECONDS. */
static long calibrate(peak_fn *peak)
{
    for (long loops = 1000;; loops *= 2) {
        double seconds = shortest(peak, loops);
        if (seconds > PART_SECONDS / 4) return (long)((double)loops * PART_SECONDS / seconds) + 1;
    }
}

int machine_open(struct machine **out, const struct cpu_kernels *k, int n_threads, struct err *err)
{
    *out = NULL;
    struct machine *m = xcalloc(1, sizeof *m);
    m->k = k;
    m->pool = pool_new(n_threads);
    if (bandwidth_open(&m->bandwidth, k, BUFFER, n_threads, err)) {
        machine_close(m);
        return -1;
    }
    m->int_loops = calibrate(k->int_peak);
    m->float_loops = calibrate(k->float_peak);
    *out = m;
    return 0;
}

void machine_close(struct machine *m)
{
    if (!m) return;
    bandwidth_close(m->bandwidth);
    pool_free(m->pool);
    free(m);
}

int machine_threads(const struct machine *m)
{
    return pool_threads(m->pool);
}

double machine_read(struct machine *m)
{
    return bandwidth_read(m->bandwidth);
}

struct peak_job {
    peak_fn *peak;
    long loops;
};

static void run_parts(void *ctx, int first, int last, int thread)
{
    const struct peak_job *j = ctx;
    (void)thread;
    for (int i = first; i < last; i++)
        j->peak(j->loops);
}

static double peak_of(struct machine *m, peak_fn *peak, long loops)
{
    struct peak_job j = {peak, loops};
    int n = PARTS * pool_threads(m->pool);
    double each = peak(1), start = clock_seconds();
    pool_run(m->pool, n, 1, run_parts, &j);
    return each * (double)loops * n / (clock_seconds() - start);
}

double machine_int_peak(struct machine *m)
{
    return peak_of(m, m->k->int_peak, m->int_loops);
}

double machine_float_peak(struct machine *m)
{
    return peak_of(m, m->k->float_peak, m->float_loops);
}

static void nothing(void *ctx, int first, int last, int thread)
{
    (void)ctx;
    (void)first;
    (void)last;
    (void)thread;
}

double machine_barrier(struct machine *m)
{
    double seconds[BARRIERS];
    for (int i = 0; i < BARRIERS; i++) {
        double start = clock_seconds();
        pool_run(m->pool, pool_threads(m->pool), 1, nothing, NULL);
        seconds[i] = clock_seconds() - start;
    }
    return median_of(seconds, BARRIERS);
}
