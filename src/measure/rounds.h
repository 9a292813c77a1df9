/* Speeds on a machine that is not quiet: the limits of the machine are measured between the rounds of
 * the work, rounds in which other processes took the processor are dropped, and what is left is
 * summed up by medians. */
#pragma once
#include <stdbool.h>

#include "base/err.h"
#include "measure/machine.h"

struct rounds_job {
    /* Does the work `times` times; -1 fills err and ends the measurement. */
    int (*work)(void *ctx, int times, struct err *err);
    /* Seconds that doing it once takes at least. */
    double (*limit)(void *ctx, const struct rates *r);
    void *ctx;
};

struct rounds_result {
    double seconds; /* of doing it once */
    double limit;   /* seconds */
    double share;   /* limit / seconds: median over rounds of each round's own */
    struct rates rates;
    int n, n_dropped;
    bool noisy; /* too few rounds were quiet: these figures are of all of them */
};

enum { ROUNDS_MAX = 99 };

/* Rounds until `wanted` of them were quiet, 1..ROUNDS_MAX, but at most 3 times as many. A round works for about
 * a quarter of a second, and reads memory before and after. */
MUST_USE int rounds_run(struct rounds_result *out, struct machine *m, const struct rounds_job *job,
                        int wanted, struct err *err);
