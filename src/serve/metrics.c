#include "serve/metrics.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"

/* Upper bounds; the last bucket, +Inf, is not among them. */
enum { MAX_BOUNDS = 24 };

struct histogram {
    const double *bounds;
    int n_bounds;
    uint64_t counts[MAX_BOUNDS + 1]; /* of each bucket alone */
    double sum;
};

static const double seconds_bounds[] = {0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1,
                                        0.25,  0.5,   0.75, 1,    2.5,  5,    7.5,  10,
                                        20,    40,    80,   160,  640,  2560};
static const double gap_bounds[] = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2,
                                    0.3,   0.4,    0.5,   0.75, 1,     2.5,  5,     10,  20,   40};
static const double request_bounds[] = {0.1, 0.3, 0.5, 0.8, 1,  1.5, 2,   2.5, 5,   10,   15,
                                        20,  30,  40,  50,  60, 120, 240, 480, 960, 1920, 7680};
static const double token_bounds[] = {1,     2,      5,      10,     20,     50,    100,
                                      200,   500,    1000,   2000,   5000,   10000, 20000,
                                      50000, 100000, 200000, 500000, 1000000};

/* The histograms, in the order in which they are printed. */
enum { TTFT, E2E, QUEUE, PREFILL, DECODE, INFERENCE, GAP, PROMPT, DRAWN, MAX_TOKENS, N_HISTOGRAMS };

#define BOUNDS(b) b, sizeof(b) / sizeof *(b)

static const struct {
    const char *name, *help;
    const double *bounds;
    size_t n_bounds;
    const char *older; /* another name that it also has */
} histograms[N_HISTOGRAMS] = {
    [TTFT] = {"vllm:time_to_first_token_seconds", "From a request's arrival to its first token",
              BOUNDS(seconds_bounds), NULL},
    [E2E] = {"vllm:e2e_request_latency_seconds", "From a request's arrival to its last token",
             BOUNDS(request_bounds), NULL},
    [QUEUE] = {"vllm:request_queue_time_seconds", "Waiting for the engine", BOUNDS(request_bounds),
               NULL},
    [PREFILL] = {"vllm:request_prefill_time_seconds", "Computing the prompt",
                 BOUNDS(request_bounds), NULL},
    [DECODE] = {"vllm:request_decode_time_seconds", "From the first token to the last",
                BOUNDS(request_bounds), NULL},
    [INFERENCE] = {"vllm:request_inference_time_seconds", "Prompt and answer",
                   BOUNDS(request_bounds), NULL},
    [GAP] = {"vllm:inter_token_latency_seconds", "From one token of an answer to the next",
             BOUNDS(gap_bounds), "vllm:time_per_output_token_seconds"},
    [PROMPT] = {"vllm:request_prompt_tokens", "Tokens of a prompt", BOUNDS(token_bounds), NULL},
    [DRAWN] = {"vllm:request_generation_tokens", "Tokens of an answer", BOUNDS(token_bounds), NULL},
    [MAX_TOKENS] = {"vllm:request_params_max_tokens", "max_tokens of a request",
                    BOUNDS(token_bounds), NULL},
};

/* Statuses that are told apart. */
static const int statuses[] = {200, 400, 401, 403, 404, 405, 408, 413,
                               422, 429, 431, 500, 501, 503, 529};

enum { N_STATUSES = sizeof statuses / sizeof *statuses };

/* How answers end. */
enum ending { BY_STOP, BY_LENGTH, BY_ABORT, BY_ERROR, N_ENDINGS };

struct metrics {
    pthread_mutex_t lock; /* of all below */
    char *labels;         /* model_name="...",engine="0" */
    double start;         /* unix time */
    uint64_t n_prompt, n_reused, n_drawn;
    double prompt_seconds, decode_seconds;
    uint64_t endings[N_ENDINGS];
    uint64_t status_counts[N_STATUSES + 1]; /* the last: others */
    struct histogram histograms[N_HISTOGRAMS];
};

/* Label values: backslash, quote and newline are escaped. */
static char *make_labels(const char *model)
{
    struct buf b;
    buf_init(&b, 1 << 16);
    buf_add_str(&b, "model_name=\"");
    for (; *model; model++) {
        if (*model == '\\' || *model == '"') buf_add_byte(&b, '\\');
        if (*model == '\n')
            buf_add_str(&b, "\\n");
        else
            buf_add_byte(&b, *model);
    }
    buf_add_str(&b, "\",engine=\"0\"");
    char *labels = xstrdup(buf_text(&b));
    buf_fini(&b);
    return labels;
}

struct metrics *metrics_new(const char *model)
{
    struct metrics *m = xcalloc(1, sizeof *m);
    pthread_mutex_init(&m->lock, NULL);
    m->labels = make_labels(model);
    m->start = (double)time(NULL);
    for (int i = 0; i < N_HISTOGRAMS; i++) {
        CHECK(histograms[i].n_bounds <= MAX_BOUNDS, "%zu bounds", histograms[i].n_bounds);
        m->histograms[i].bounds = histograms[i].bounds;
        m->histograms[i].n_bounds = (int)histograms[i].n_bounds;
    }
    return m;
}

void metrics_free(struct metrics *m)
{
    if (!m) return;
    pthread_mutex_destroy(&m->lock);
    free(m->labels);
    free(m);
}

/* ---- counting ---- */

static void observe(struct metrics *m, int which, double x)
{
    struct histogram *h = &m->histograms[which];
    int i = 0;
    while (i < h->n_bounds && x > h->bounds[i])
        i++;
    h->counts[i]++;
    h->sum += x;
}

void metrics_count_status(struct metrics *m, int status)
{
    int i = 0;
    while (i < N_STATUSES && statuses[i] != status)
        i++;
    pthread_mutex_lock(&m->lock);
    m->status_counts[i]++;
    pthread_mutex_unlock(&m->lock);
}

void metrics_count_gap(struct metrics *m, double seconds)
{
    pthread_mutex_lock(&m->lock);
    observe(m, GAP, seconds);
    pthread_mutex_unlock(&m->lock);
}

static double positive(double x)
{
    return x > 0 ? x : 0;
}

static void count_times(struct metrics *m, const struct metrics_answer *a)
{
    double inference = a->prompt_seconds + a->decode_seconds;
    if (a->n_drawn) observe(m, TTFT, positive(a->since_arrival - a->decode_seconds));
    observe(m, E2E, a->since_arrival);
    observe(m, QUEUE, positive(a->since_submit - inference));
    observe(m, PREFILL, a->prompt_seconds);
    observe(m, DECODE, a->decode_seconds);
    observe(m, INFERENCE, inference);
    observe(m, PROMPT, a->n_prompt);
    observe(m, DRAWN, a->n_drawn);
    if (a->max_tokens >= 0) observe(m, MAX_TOKENS, a->max_tokens);
}

static enum ending ending_of(const struct metrics_answer *a)
{
    if (a->failed) return BY_ERROR;
    if (a->finish == FINISH_CANCELLED) return BY_ABORT;
    return a->finish == FINISH_LENGTH ? BY_LENGTH : BY_STOP;
}

void metrics_count_answer(struct metrics *m, const struct metrics_answer *a)
{
    enum ending ending = ending_of(a);
    pthread_mutex_lock(&m->lock);
    m->endings[ending]++;
    if (!a->failed) {
        m->n_prompt += a->is_first ? (uint64_t)a->n_prompt : 0;
        m->n_reused += a->is_first ? (uint64_t)a->n_reused : 0;
        m->n_drawn += (uint64_t)a->n_drawn;
        m->prompt_seconds += a->prompt_seconds;
        m->decode_seconds += a->decode_seconds;
    }
    if (ending == BY_STOP || ending == BY_LENGTH) count_times(m, a);
    pthread_mutex_unlock(&m->lock);
}

/* ---- printing ---- */

static void put_family(struct buf *out, const char *name, const char *type, const char *help)
{
    buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void put_number(struct buf *out, double x)
{
    if (x >= 0 && x < 1e15 && x == (double)(uint64_t)x)
        buf_printf(out, " %llu\n", (unsigned long long)x);
    else
        buf_printf(out, " %.9g\n", x);
}

/* A family of one line. */
static void put_one(struct buf *out, const struct metrics *m, const char *name, const char *type,
                    const char *help, double x)
{
    put_family(out, name, type, help);
    buf_printf(out, "%s{%s}", name, m->labels);
    put_number(out, x);
}

static void put_labelled(struct buf *out, const struct metrics *m, const char *name,
                         const char *label, const char *value, uint64_t x)
{
    buf_printf(out, "%s{%s,%s=\"%s\"}", name, m->labels, label, value);
    put_number(out, (double)x);
}

static void put_histogram(struct buf *out, const struct metrics *m, const char *name,
                          const char *help, const struct histogram *h)
{
    uint64_t n = 0;
    put_family(out, name, "histogram", help);
    for (int i = 0; i <= h->n_bounds; i++) {
        n += h->counts[i];
        if (i < h->n_bounds)
            buf_printf(out, "%s_bucket{%s,le=\"%.9g\"}", name, m->labels, h->bounds[i]);
        else
            buf_printf(out, "%s_bucket{%s,le=\"+Inf\"}", name, m->labels);
        put_number(out, (double)n);
    }
    buf_printf(out, "%s_sum{%s}", name, m->labels);
    put_number(out, h->sum);
    buf_printf(out, "%s_count{%s}", name, m->labels);
    put_number(out, (double)n);
}

static double share(double part, double whole)
{
    return whole > 0 ? part / whole : 0;
}

static void put_now(struct buf *out, const struct metrics *m, const struct metrics_now *now)
{
    const struct scheduler_stats *e = &now->engine;
    double used = share((double)e->reserved, (double)e->memory);
    const struct {
        const char *name, *help;
        double value;
    } gauges[] = {
        {"vllm:num_requests_running", "Answers being computed", e->n_running},
        {"vllm:num_requests_waiting", "Requests that wait for the engine", e->n_waiting},
        {"vllm:kv_cache_usage_perc", "Share of the memory for sessions that is reserved", used},
        {"vllm:gpu_cache_usage_perc", "The same by its older name", used},
        {"llamacpp:requests_processing", "Answers being computed", e->n_running},
        {"llamacpp:requests_deferred", "Requests that wait for the engine", e->n_waiting},
        {"llamacpp:kv_cache_usage_ratio", "Share of the memory for sessions that is reserved",
         used},
        {"llamacpp:prompt_tokens_seconds", "Mean speed of prompts, tokens per second",
         share((double)(m->n_prompt - m->n_reused), m->prompt_seconds)},
        {"llamacpp:predicted_tokens_seconds", "Mean speed of an answer, tokens per second",
         share((double)m->n_drawn, m->decode_seconds)},
        {"tenon:requests_under_way", "Requests whose body is here and whose answer is not complete",
         now->n_exchanges},
        {"tenon:connections", "Open connections", now->n_connections},
        {"tenon:memory_bytes", "Memory for sessions", (double)e->memory},
        {"tenon:memory_reserved_bytes", "Of this, reserved", (double)e->reserved},
        {"tenon:prefix_cache_entries", "States in the prefix cache", e->cache.n_entries},
        {"tenon:prefix_cache_bytes", "Memory of the prefix cache", (double)e->cache.bytes},
        {"tenon:prefix_cache_disk_bytes", "Bytes of the prefix cache on disk",
         (double)e->cache.disk.bytes},
        {"tenon:prefix_cache_disk_off", "1 when the disk refused something and is not used",
         e->cache.disk.off},
        {"tenon:last_step_failed", "1 when the engine's last step failed", e->step_failed},
        {"tenon:start_time_seconds", "Unix time of the start", m->start},
    };
    for (size_t i = 0; i < sizeof gauges / sizeof *gauges; i++)
        put_one(out, m, gauges[i].name, "gauge", gauges[i].help, gauges[i].value);
}

static void put_counters(struct buf *out, const struct metrics *m, const struct metrics_now *now)
{
    const struct scheduler_stats *e = &now->engine;
    const struct {
        const char *name, *help;
        uint64_t value;
    } counters[] = {
        {"vllm:prompt_tokens_total", "Tokens of prompts", m->n_prompt},
        {"vllm:prompt_tokens_cached_total", "Of these, not computed again", m->n_reused},
        {"vllm:prefix_cache_queries_total", "Tokens of prompts that were looked for", m->n_prompt},
        {"vllm:prefix_cache_hits_total", "Of these, found", m->n_reused},
        {"vllm:generation_tokens_total", "Tokens of answers", m->n_drawn},
        {"vllm:num_preemptions_total", "Answers interrupted for want of memory: never happens", 0},
        {"vllm:spec_decode_num_drafts_total", "Times a token was drafted", e->n_drafts},
        {"vllm:spec_decode_num_draft_tokens_total", "Tokens drafted", e->n_drafts},
        {"vllm:spec_decode_num_accepted_tokens_total", "Drafts that came true", e->n_right},
        {"llamacpp:prompt_tokens_total", "Tokens of prompts that were computed",
         m->n_prompt - m->n_reused},
        {"llamacpp:tokens_predicted_total", "Tokens of answers", m->n_drawn},
        {"tenon:requests_cancelled_total", "Answers whose client went away", m->endings[BY_ABORT]},
        {"tenon:prefix_cache_stored_total", "States put into the prefix cache", e->cache.n_stored},
        {"tenon:prefix_cache_evicted_total", "States taken out of it", e->cache.n_evicted},
        {"tenon:prefix_cache_disk_written_total", "States written to disk",
         e->cache.disk.n_written},
        {"tenon:prefix_cache_disk_loaded_total", "States read from disk", e->cache.disk.n_loaded},
        {"tenon:prefix_cache_disk_bad_total", "Files there that were not right",
         e->cache.disk.n_bad},
        {"tenon:audit_lost_total", "Lines of the audit log that could not be written",
         now->audit_lost},
        {"tenon:steps_total", "Steps of the engine", e->n_steps},
    };
    for (size_t i = 0; i < sizeof counters / sizeof *counters; i++)
        put_one(out, m, counters[i].name, "counter", counters[i].help, (double)counters[i].value);
    put_one(out, m, "tenon:step_seconds_total", "counter", "Seconds of the engine in steps",
            e->step_seconds);
}

static void put_endings(struct buf *out, const struct metrics *m)
{
    static const char *const names[N_ENDINGS] = {
        [BY_STOP] = "stop", [BY_LENGTH] = "length", [BY_ABORT] = "abort", [BY_ERROR] = "error"};
    static const char family[] = "vllm:request_success_total";
    put_family(out, family, "counter", "Answers by how they ended");
    for (int i = 0; i < N_ENDINGS; i++)
        put_labelled(out, m, family, "finished_reason", names[i], m->endings[i]);
}

static void put_statuses(struct buf *out, const struct metrics *m)
{
    static const char family[] = "tenon:http_responses_total";
    put_family(out, family, "counter", "HTTP answers by status");
    for (int i = 0; i < N_STATUSES; i++) {
        char code[16];
        snprintf(code, sizeof code, "%d", statuses[i]);
        put_labelled(out, m, family, "code", code, m->status_counts[i]);
    }
    put_labelled(out, m, family, "code", "other", m->status_counts[N_STATUSES]);
}

/* Rows of steps, which the engine counts itself. */
static void put_steps(struct buf *out, const struct metrics *m, const struct scheduler_stats *e)
{
    double bounds[SCHEDULER_STEP_BUCKETS - 1];
    struct histogram h = {
        .bounds = bounds, .n_bounds = SCHEDULER_STEP_BUCKETS - 1, .sum = (double)e->n_rows};
    _Static_assert((int)SCHEDULER_STEP_BUCKETS <= (int)MAX_BOUNDS + 1, "room for the buckets");
    for (int i = 0; i < h.n_bounds; i++)
        bounds[i] = (double)(1u << i);
    memcpy(h.counts, e->step_rows, sizeof e->step_rows);
    put_histogram(out, m, "vllm:iteration_tokens_total", "Rows of a step of the engine", &h);
}

/* What each key did: names come from the operator's file (KEY_MAX_NAME letters, none to be escaped). */
static void put_keys(struct buf *out, const struct metrics *m, const struct metrics_now *now)
{
    static const struct {
        const char *name, *help;
        size_t offset;
    } families[] = {
        {"tenon:key_requests_total", "Requests of a key that were let in",
         offsetof(struct key_totals, n_requests)},
        {"tenon:key_refused_total", "Requests of a key refused with 402 or 429",
         offsetof(struct key_totals, n_refused)},
        {"tenon:key_prompt_tokens_total", "Tokens of prompts of a key",
         offsetof(struct key_totals, n_prompt_tokens)},
        {"tenon:key_cached_tokens_total", "Of these, not computed again",
         offsetof(struct key_totals, n_cached_tokens)},
        {"tenon:key_generation_tokens_total", "Tokens of answers to a key",
         offsetof(struct key_totals, n_tokens)},
    };
    for (size_t f = 0; now->n_keys && f < sizeof families / sizeof *families; f++) {
        put_family(out, families[f].name, "counter", families[f].help);
        for (int i = 0; i < now->n_keys; i++) {
            const char *totals = (const char *)&now->keys[i];
            uint64_t value;
            memcpy(&value, totals + families[f].offset, sizeof value);
            put_labelled(out, m, families[f].name, "key", now->keys[i].name, value);
        }
    }
}

void metrics_print(struct metrics *m, const struct metrics_now *now, struct buf *out)
{
    pthread_mutex_lock(&m->lock);
    put_now(out, m, now);
    put_counters(out, m, now);
    put_endings(out, m);
    put_statuses(out, m);
    for (int i = 0; i < N_HISTOGRAMS; i++) {
        const struct histogram *h = &m->histograms[i];
        put_histogram(out, m, histograms[i].name, histograms[i].help, h);
        if (histograms[i].older)
            put_histogram(out, m, histograms[i].older, "The same by its older name", h);
    }
    put_steps(out, m, &now->engine);
    put_keys(out, m, now);
    pthread_mutex_unlock(&m->lock);
}
