/* What Prometheus is told: counters and histograms of the server, since its start.
 * Source: docs/spec, API, section 7.1; security, rule P4: label values come from fixed sets, or from the
 * operator's file of keys.
 *
 * Families of vLLM (vllm:) and llama-server (llamacpp:) by their names there, and the server's own (tenon:). Any
 * thread may count and print. */
#pragma once
#include "base/buf.h"
#include "engine/generate.h"
#include "engine/scheduler.h"
#include "serve/limits.h"

struct metrics;

/* model: the name served, the label model_name of every line. */
struct metrics *metrics_new(const char *model);
void metrics_free(struct metrics *m); /* takes NULL */

/* The head of an HTTP answer goes out. */
void metrics_count_status(struct metrics *m, int status);

/* Seconds from one token of an answer to the next. */
void metrics_count_gap(struct metrics *m, double seconds);

/* One answer (a choice) is over. */
struct metrics_answer {
    bool failed;             /* by itself; then only this counts */
    enum finish finish;      /* FINISH_CANCELLED: its times do not count */
    bool is_first;           /* of its prompt, whose tokens count once */
    int n_prompt, n_reused;  /* tokens of the prompt; of these not computed */
    int n_drawn, max_tokens; /* max_tokens -1: as many as there is room for; is not counted */
    double since_arrival;    /* seconds since the request came, */
    double since_submit;     /* and since it was given to the engine */
    double prompt_seconds, decode_seconds;
};
void metrics_count_answer(struct metrics *m, const struct metrics_answer *a);

/* What is so now. */
struct metrics_now {
    struct scheduler_stats engine;
    int n_exchanges; /* requests under way, from their body's arrival on */
    int n_connections;
    uint64_t audit_lost;           /* lines of the audit log that could not be written */
    const struct key_totals *keys; /* [n_keys], by the names that the operator gave */
    int n_keys;
};

/* Appends all of it, "text/plain; version=0.0.4". */
void metrics_print(struct metrics *m, const struct metrics_now *now, struct buf *out);
