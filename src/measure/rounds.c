#include "measure/rounds.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "measure/bandwidth.h"

#define ROUND_SECONDS 0.25
#define OTHERS_MAX 0.08 /* processors that others may keep busy in a quiet round */
enum { MAX_TIMES = 1 << 20 };

struct sample {
    double seconds, limit, others;
    struct rates rates;
};

/* Seconds that all processors have worked, by the kernel's count. */
static double busy_seconds(void)
{
    unsigned long long user = 0, nice = 0, system = 0;
    FILE *f = fopen("/proc/stat", "r");
    if (!f) return 0;
    int n = fscanf(f, "cpu %llu %llu %llu", &user, &nice, &system);
    fclose(f);
    return n == 3 ? (double)(user + nice + system) / (double)sysconf(_SC_CLK_TCK) : 0;
}

static double own_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* How often the work is done in a round. Warms up on the way. */
static int calibrate(const struct rounds_job *job, int *times, struct err *err)
{
    if (job->work(job->ctx, 1, err)) return -1;
    for (*times = 1; *times < MAX_TIMES; *times *= 2) {
        double start = clock_seconds();
        if (job->work(job->ctx, *times, err)) return -1;
        double seconds = clock_seconds() - start;
        if (seconds > ROUND_SECONDS / 2) {
            int n = (int)(*times * ROUND_SECONDS / seconds + 0.5);
            *times = n > 1 ? n : 1;
            return 0;
        }
    }
    return 0;
}

static int take_sample(struct sample *s, struct machine *m, const struct rounds_job *job, int times,
                       double *read, struct err *err)
{
    double before = *read, from = clock_seconds(), others = busy_seconds() - own_seconds();
    s->rates = (struct rates){.int_ops = machine_int_peak(m), .float_ops = machine_float_peak(m)};
    double start = clock_seconds();
    if (job->work(job->ctx, times, err)) return -1;
    s->seconds = (clock_seconds() - start) / times;
    *read = machine_read(m);
    s->rates.read = (before + *read) / 2;
    s->limit = job->limit(job->ctx, &s->rates);
    s->others = (busy_seconds() - own_seconds() - others) / (clock_seconds() - from);
    return 0;
}

static int quieter(const void *a, const void *b)
{
    double x = ((const struct sample *)a)->others, y = ((const struct sample *)b)->others;
    return (x > y) - (x < y);
}

static double median_at(const struct sample *s, int n, size_t offset)
{
    double values[3 * ROUNDS_MAX];
    for (int i = 0; i < n; i++)
        values[i] = *(const double *)(const void *)((const char *)&s[i] + offset);
    return median_of(values, n);
}

/* The quiet samples come first. */
static void sum_up(struct rounds_result *out, const struct sample *s, int n_quiet, int n)
{
    out->noisy = n_quiet < 3 && n_quiet < n;
    out->n = out->noisy ? n : n_quiet;
    out->n_dropped = n - out->n;
    double shares[3 * ROUNDS_MAX];
    for (int i = 0; i < out->n; i++)
        shares[i] = s[i].limit / s[i].seconds;
    out->share = median_of(shares, out->n);
    out->seconds = median_at(s, out->n, offsetof(struct sample, seconds));
    out->limit = median_at(s, out->n, offsetof(struct sample, limit));
    out->rates.read = median_at(s, out->n, offsetof(struct sample, rates.read));
    out->rates.int_ops = median_at(s, out->n, offsetof(struct sample, rates.int_ops));
    out->rates.float_ops = median_at(s, out->n, offsetof(struct sample, rates.float_ops));
}

int rounds_run(struct rounds_result *out, struct machine *m, const struct rounds_job *job,
               int wanted, struct err *err)
{
    struct sample *s = xcalloc(3 * ROUNDS_MAX, sizeof *s);
    int n = 0, n_quiet = 0, times, rc = calibrate(job, &times, err);
    double read = machine_read(m);
    CHECK(wanted >= 1 && wanted <= ROUNDS_MAX, "rounds: %d", wanted);
    while (rc == 0 && n_quiet < wanted && n < 3 * wanted) {
        rc = take_sample(&s[n], m, job, times, &read, err);
        n_quiet += rc == 0 && s[n++].others <= OTHERS_MAX;
    }
    if (rc == 0) {
        qsort(s, (size_t)n, sizeof *s, quieter);
        sum_up(out, s, n_quiet, n);
    }
    free(s);
    return rc;
}
