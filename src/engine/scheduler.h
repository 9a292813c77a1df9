/* The engine's thread: answers many requests from one model, each with the bits it has alone.
 *
 *     scheduler_open(&s, engine, &options, err)
 *     scheduler_submit(s, &job, err)         any thread; job.event and job.done come on the engine's
 *     scheduler_close(s)                     cancels what is left
 *
 * Continuous batching: every step feeds one row of each answer that is being drawn, and rows of prompts
 * beside them (engine/batch.h). While answers are being drawn a step holds only so many rows of prompts that
 * it takes about STEP_STRETCH times as long as one without: measured, by steps before. The clock decides
 * when a row is computed, never what comes out.
 *
 * Admission: a job starts when the worst case of all its choices (prompt and max_tokens) fits in the
 * engine's memory beside those that run, so none of them can run out later. Next is a job of the highest
 * priority that waits. Groups (one per API key) of the same priority take turns: the oldest job of the group that
 * has the fewest answers running. A job that waits gains a priority, up to the highest that waits, for each
 * SCHEDULER_AGE others that began before it, so that none waits for ever.
 *
 * A job of several choices feeds its prompt once; the others are forks.
 *
 * With a prefix cache a prompt is fed from the longest beginning on that its tenant's earlier prompts left there
 * (engine/prefix_cache.h); entries make room for what a job reserves. While one is read from disk its job holds a
 * place and its memory, and the others go on. */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/queue.h"
#include "engine/engine.h"

enum { SCHEDULER_MAX_QUEUE = 1 << 16, SCHEDULER_AGE = 8 };

struct scheduler_options {
    int max_streams; /* answers at once, 1..BATCH_MAX_SLOTS */
    int max_rows;    /* rows of a step, at least max_streams */
    int max_queue;   /* jobs that wait, 0..SCHEDULER_MAX_QUEUE: beyond that submit refuses */
    struct prefix_cache
        *cache; /* or NULL: none. Of the same engine; borrowed, and its thread's from here on */
    /* Tokens of the prompts that wait; one alone may have more. 0: no limit. */
    int64_t max_queue_tokens;
    double max_wait;       /* seconds; a job that has not begun then ends. 0: no limit */
    double (*clock)(void); /* seconds; NULL: clock_seconds */
};

/* The caller's memory, unchanged by the caller from scheduler_submit until the last call of done. */
struct scheduler_job {
    const int32_t *ids; /* the prompt */
    int n_ids;
    int n; /* choices, >= 1 */
    uint64_t seed;
    unsigned group;
    uint8_t scope[32]; /* narrows the group for the cache: struct cache_tenant */
    uint8_t owner[32]; /* the group on disk, likewise */
    int n_system;      /* tokens of its system text (engine_system_length); 0: unknown */
    bool no_cache;     /* neither look in the cache nor leave anything there */
    int priority;      /* a higher one begins first */
    /* max_tokens, max_context, sampling, parse, ignore_eos as for one answer; emit, ctx, snapshot, pause
     * and cancel are the scheduler's. */
    struct generate_options generate;
    atomic_bool *cancel; /* once true, all choices end within a step; never NULL */
    /* On the engine's thread. event, drawn: as emit and drawn of generate_options. done: once for each choice, as
     * batch_job.done; FINISH_CANCELLED too. After the last one the job is the caller's again. */
    void (*event)(void *ctx, int choice, const struct parse_event *e);
    void (*drawn)(void *ctx, int choice, const struct pick *p); /* or NULL */
    /* Or NULL; as prompted of generate_options, from the first choice alone: every token of the prompt but its
     * first. So nothing of the prompt may come from elsewhere than this job's own steps. */
    void (*prompted)(void *ctx, const struct pick *p);
    void (*done)(void *ctx, int choice, const struct generation_result *r,
                 const struct err *failure);
    void *ctx;
    /* the scheduler's own */
    struct queue_item item;
    struct session *fork;  /* at the prompt's last token, while choices wait for a place */
    struct session *found; /* in the cache, until the first choice begins */
    struct cache_load load;
    int n_started, n_done;
    int n_passed;         /* others that began while it waited */
    size_t bytes;         /* reserved */
    double submitted;     /* when, by the scheduler's clock */
    double begun;         /* likewise; 0: it has not */
    bool waited_too_long; /* that is why it was cancelled */
};

struct scheduler;

/* e is borrowed; from here on only the scheduler's thread uses its sessions. */
MUST_USE int scheduler_open(struct scheduler **out, struct engine *e,
                            const struct scheduler_options *o, struct err *err);
void scheduler_close(struct scheduler *s); /* every job gets its done first; takes NULL */

/* ERR_LIMIT when the queue is full; ERR_ARGUMENT when the job could never start: its prompt does not fit
 * the context, or its worst case not in memory. Then it stays the caller's. */
MUST_USE int scheduler_submit(struct scheduler *s, struct scheduler_job *job, struct err *err);

enum { SCHEDULER_STEP_BUCKETS = 15 };

struct scheduler_stats {
    int n_waiting, n_running; /* jobs that wait; answers that run */
    int64_t waiting_tokens;   /* of the prompts of jobs that wait */
    /* Since the start. As it happens: steps, rows of prompts fed, tokens drawn. When an answer ends: tokens of
     * its prompt that were fed, and those whose state was there; drafts, and those that came true. */
    uint64_t n_steps, n_prompt_rows, n_tokens;
    uint64_t n_prompt_tokens, n_reused_tokens;
    uint64_t n_drafts, n_right;
    size_t reserved, memory; /* bytes */
    struct prefix_stats cache;
    double
        step_seconds; /* in all steps; the rest of the time the engine's thread waits or looks after jobs */
    uint64_t n_rows; /* of all steps */
    uint64_t step_rows
        [SCHEDULER_STEP_BUCKETS]; /* steps of 1 row, of 2, up to 4, 8, ...; the last: more */
    bool step_failed;             /* the last step did not succeed */
    double step_began;            /* clock_seconds when the step under way began; 0: none is */
    double last_good; /* ... when the last one that succeeded ended; 0: there was none */
};
struct scheduler_stats scheduler_stats(struct scheduler *s); /* any thread */

/* A place for an answer, as it was after the last step. */
struct scheduler_slot {
    bool is_running;
    int n_prompt, n_fed,
        n_drawn; /* tokens: of the prompt; of all that is in the state; of the answer */
};
/* Fills out[0, max_streams). Any thread. */
void scheduler_slots(struct scheduler *s, struct scheduler_slot *out);
