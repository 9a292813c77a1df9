/* Many answers at once: each step feeds some rows of every running generation in one forward pass.
 *
 *     struct batch *b = NULL;
 *     if (batch_open(&b, model, &options, err)) ...
 *     while (there are questions, or batch_running(b)) {
 *         while (there are questions && batch_has_room(b))
 *             if (batch_add(b, &job, err)) ...
 *         batch_step(b);            job.done is called for each answer that is over
 *     }
 *     batch_close(b);
 *
 * The law: every answer has the bits that generation_run gives it alone, whatever else is in the
 * batch, in which slot it ran, how prompts were cut, and with drafts or without. (The forward pass
 * has that property, and a draw depends on the session's own history, seed and position only.)
 *
 * A step takes one row of each answer that is being drawn, then fills up to max_rows with rows of
 * prompts, oldest job first. So a long prompt never stops the others, and no step is larger than
 * max_rows. Drafts (engine/round.h) come last, when max_rows has room for all of them.
 *
 * A job ends alone when it is complete, cancelled (its generate_options.cancel is looked at before
 * each step), or fails by itself: no room for its state, an answer too long for its parser.
 * A forward pass that fails takes all jobs of that step with it; the batch can be used further.
 *
 * One thread uses a batch, the one that uses the model. */
#pragma once
#include <stdbool.h>

#include "base/err.h"
#include "engine/generate.h"
#include "engine/session.h"

struct model;
struct batch;

struct batch_options {
    int n_slots;  /* answers at once, 1..BATCH_MAX_SLOTS */
    int max_rows; /* rows of one step, at least n_slots */
};

enum { BATCH_MAX_SLOTS = 4096, BATCH_MAX_ROWS = 1 << 16 };

struct batch_job {
    struct session *session;          /* borrowed until done; holds the prompt */
    struct generate_options generate; /* `chunk` does not count here */
    /* Called once, from batch_step. failure NULL: *result is complete, and valid during the call. Else
     * the job failed: result is NULL and the session must be freed. The session is the caller's again,
     * to be freed here if it likes; the slot is free, so that another job may be added here. */
    void (*done)(void *ctx, const struct generation_result *result, const struct err *failure);
    void *ctx;
};

/* ERR_ARGUMENT for options out of range, ERR_LIMIT when memory is out. m is borrowed. */
MUST_USE int batch_open(struct batch **out, struct model *m, const struct batch_options *o,
                        struct err *err);

/* Jobs that still run end here without a call of `done`; their sessions stay with the caller, good at
 * what was fed. Takes NULL. */
void batch_close(struct batch *b);

bool batch_has_room(const struct batch *b);
int batch_running(const struct batch *b);

/* Starts a job; there must be room. Fails as generation_open does, and then the job is not in the
 * batch and `done` is not called. */
MUST_USE int batch_add(struct batch *b, const struct batch_job *job, struct err *err);

/* One forward pass over what is running; nothing when nothing is. */
void batch_step(struct batch *b);

/* From the next step on at most so many rows of prompts (1 or more; at first max_rows), so that a long
 * prompt does not hold up the answers that are being drawn. */
void batch_limit_prompts(struct batch *b, int rows);

/* What the last step held. */
struct batch_work {
    int drawing;     /* answers that one row was fed of, to draw their next token */
    int prompt_rows; /* rows of prompts */
    bool failed;     /* the pass did not succeed */
};
struct batch_work batch_last(const struct batch *b);
