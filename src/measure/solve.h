/* Answers to all problems of a task, many at once, each judged (measure/judge.h). One that does not come
 * to its end is wrong.
 *
 * Every problem gets n_tries answers. Answer `try` of the problem with index i draws from the key (seed +
 * i, try), so it does not depend on what else is asked, on the batch or on the order; answer 0 is
 * the one that `tenon run --seed` gives for seed + i. */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "engine/engine.h"
#include "measure/task.h"

/* What became of one answer. Borrowed during the call. */
struct answer {
    int problem; /* index in the task */
    int try;
    uint64_t seed;
    bool right;
    const struct generation_result *result;
};

struct solve_options {
    struct generate_options generate; /* parse.thinking and cancel are set from what follows */
    int n_tries;                      /* >= 1 */
    int n_problems; /* how many of the task, evenly spread (stats_spread); 0: all */
    uint64_t seed;
    struct batch_options batch;
    const atomic_bool *cancel; /* or NULL: stops; answers that are not complete are dropped */

    /* The prompt's ids, appended to out, and whether the answer begins inside the reasoning. */
    int (*prompt)(void *ctx, const struct problem *p, struct ids *out, bool *thinking,
                  struct err *err);
    /* Told of each complete answer; -1 with err ends the run. */
    int (*answered)(void *ctx, const struct answer *a, struct err *err);
    void *ctx;
};

struct solve_stats {
    int n_planned, n_answers; /* answers wanted and complete */
    int64_t n_tokens;         /* drawn for the complete ones */
    int64_t n_prompt_tokens;
    int64_t n_drafts, n_right; /* tokens drafted for them, and of these the ones that came true */
    double seconds;
    bool cancelled;
};

/* 0 also when cancelled. A problem whose prompt does not fit the context is an error, as is a failed
 * step; *stats tells what was complete. */
MUST_USE int solve(struct engine *e, const struct task *t, const struct solve_options *o,
                   struct solve_stats *stats, struct err *err);
