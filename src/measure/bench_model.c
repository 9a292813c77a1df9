#include "measure/bench_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "measure/rounds.h"

enum { SEED_TOKENS = 1024, SHORT = 16, OP_STEPS = 8, STEPS_ON = 32 };

/* A model with sequences: the real one, or its twin on the null backend. */
struct side {
    struct model *model;
    struct kv_pool *pool;
    struct kv **kv;   /* [n] */
    struct kv **kept; /* [n] as they began; NULL where there is no need */
    int n;
};

struct bench_model {
    struct machine *machine;
    struct backend *null;
    struct side real, twin;
    struct model_input *in;
    int *tokens; /* [cap] */
    int cap;
    float *logits; /* [cap_logits, V] */
    int cap_logits;
    uint32_t random;
    /* of the case being measured */
    int n, context, chunk;
    struct bench_op *ops;
    double last_op;
    long steps; /* done by the real side */
};

/* --- opening --- */

int bench_model_open(struct bench_model **out, struct model *m, const struct weights *w,
                     struct machine *machine, struct err *err)
{
    *out = NULL;
    struct bench_model *b = xcalloc(1, sizeof *b);
    struct model_options options = {.mtp = model_has_mtp(m)};
    b->machine = machine;
    b->random = 1;
    b->null = null_open(model_backend(m)->mode);
    if (model_open(&b->twin.model, b->null, w, &options, err)) {
        bench_model_close(b);
        return -1;
    }
    b->real.model = m;
    b->real.pool = kv_pool_new(model_backend(m), model_layout(m), 0);
    b->twin.pool = kv_pool_new(b->null, model_layout(b->twin.model), 0);
    *out = b;
    return 0;
}

static void drop_sequences(struct side *s)
{
    for (int i = 0; i < s->n; i++) {
        kv_free(s->kv[i]);
        kv_free(s->kept[i]);
    }
    free(s->kv);
    free(s->kept);
    s->kv = s->kept = NULL;
    s->n = 0;
}

void bench_model_close(struct bench_model *b)
{
    if (!b) return;
    drop_sequences(&b->real);
    drop_sequences(&b->twin);
    kv_pool_free(b->real.pool);
    kv_pool_free(b->twin.pool);
    model_close(b->twin.model);
    b->null->close(b->null);
    free(b->in);
    free(b->tokens);
    free(b->logits);
    free(b);
}

static void reserve(struct bench_model *b, int tokens, int logits)
{
    if (tokens > b->cap) {
        b->cap = tokens;
        b->tokens = xrealloc(b->tokens, (size_t)tokens, sizeof *b->tokens);
        b->in = xrealloc(b->in, (size_t)tokens, sizeof *b->in);
    }
    if (logits > b->cap_logits) {
        size_t vocab = (size_t)model_config(b->real.model)->vocab;
        b->cap_logits = logits;
        b->logits = xrealloc(b->logits, (size_t)logits * vocab, sizeof *b->logits);
    }
}

/* --- steps --- */

static void draw_tokens(struct bench_model *b, int n)
{
    uint32_t vocab = (uint32_t)model_config(b->real.model)->vocab;
    for (int i = 0; i < n; i++) {
        b->random = b->random * 1664525u + 1013904223u;
        b->tokens[i] = (int)((b->random >> 8) % vocab);
    }
}

/* n new tokens for each sequence, the same on both sides; logits of the last one where wanted. */
static int feed(struct bench_model *b, struct side *s, int n, int n_logits,
                const struct observer *observer, struct err *err)
{
    reserve(b, s->n * n, s->n * n_logits);
    draw_tokens(b, s->n * n);
    for (int i = 0; i < s->n; i++)
        b->in[i] = (struct model_input){s->kv[i], b->tokens + i * n, n, n_logits};
    struct model_output out = {.logits = b->logits};
    if (s == &b->real) b->steps++;
    return model_forward(s->model, b->in, s->n, &out, observer, err);
}

static int new_sequences(struct side *s, int n, struct err *err)
{
    drop_sequences(s);
    s->kv = xcalloc((size_t)n, sizeof *s->kv);
    s->kept = xcalloc((size_t)n, sizeof *s->kept);
    s->n = n;
    for (int i = 0; i < n; i++) {
        s->kv[i] = kv_new(s->pool);
        if (!s->kv[i]) return err_set(err, ERR_LIMIT, "no memory for %d sequences", n);
    }
    return 0;
}

/* A sequence of `length` positions from the pages and the live block of a shorter one. */
static int repeat_pages(struct side *s, const struct kv *from, int length, struct kv **out,
                        struct err *err)
{
    const struct kv_layout *l = kv_layout_of(from);
    if (kv_import(out, s->pool, length, err)) return -1;
    size_t size = l->page_bytes > l->live_bytes ? l->page_bytes : l->live_bytes;
    char *block = xmalloc(size);
    int n = kv_n_pages(from);
    for (int i = 0; i < kv_n_pages(*out); i++) {
        kv_read(from, i % n, 0, block, l->page_bytes);
        kv_write(*out, i, 0, block, l->page_bytes);
    }
    kv_read(from, KV_LIVE, 0, block, l->live_bytes);
    kv_write(*out, KV_LIVE, 0, block, l->live_bytes);
    free(block);
    return 0;
}

/* n sequences of `context` positions, at least a few. */
static int make_sequences(struct bench_model *b, struct side *s, int n, int context,
                          struct err *err)
{
    int first = context < SHORT ? SHORT : context < SEED_TOKENS ? context : SEED_TOKENS;
    if (new_sequences(s, n, err) || feed(b, s, first, 0, NULL, err)) return -1;
    for (int i = 0; i < n && context > first; i++) {
        struct kv *longer;
        if (repeat_pages(s, s->kv[i], context, &longer, err)) return -1;
        kv_free(s->kv[i]);
        s->kv[i] = longer;
    }
    for (int i = 0; i < n; i++) {
        s->kept[i] = kv_fork(s->kv[i]);
        if (!s->kept[i]) return err_set(err, ERR_LIMIT, "no memory for a sequence");
    }
    return 0;
}

/* So that a context of 0 stays near 0. */
static int start_again(struct side *s, struct err *err)
{
    for (int i = 0; i < s->n; i++) {
        kv_free(s->kv[i]);
        s->kv[i] = kv_fork(s->kept[i]);
        if (!s->kv[i]) return err_set(err, ERR_LIMIT, "no memory for a sequence");
    }
    return 0;
}

static int decode_steps(void *ctx, int times, struct err *err)
{
    struct bench_model *b = ctx;
    for (int i = 0; i < times; i++) {
        if (i % STEPS_ON == 0 && start_again(&b->real, err)) return -1;
        if (feed(b, &b->real, 1, 1, NULL, err)) return -1;
    }
    return 0;
}

static int prefill_once(struct bench_model *b, struct side *s, const struct observer *observer,
                        struct err *err)
{
    if (new_sequences(s, 1, err)) return -1;
    for (int done = 0; done < b->n; done += b->chunk) {
        int n = b->n - done < b->chunk ? b->n - done : b->chunk;
        if (feed(b, s, n, done + n == b->n, observer, err)) return -1;
    }
    return 0;
}

static int prefill_steps(void *ctx, int times, struct err *err)
{
    struct bench_model *b = ctx;
    for (int i = 0; i < times; i++)
        if (prefill_once(b, &b->real, NULL, err)) return -1;
    return 0;
}

static double limit_of_step(void *ctx, const struct rates *r)
{
    const struct bench_model *b = ctx;
    return roofline_seconds(null_ledger(b->null), r);
}

/* --- ops --- */

static void time_op(void *ctx, struct step *s, enum op op, const struct tensor *out,
                    const struct itensor *ints)
{
    struct bench_model *b = ctx;
    double now = clock_seconds();
    (void)s;
    (void)out;
    (void)ints;
    b->ops[op].calls++;
    b->ops[op].seconds += now - b->last_op;
    b->last_op = now;
}

/* Mean over `steps` steps of what each op takes; project tells the observer of each of its outputs, so
 * calls are those of the ledger. */
static int time_ops(struct bench_model *b, struct bench_op *ops, const struct rates *r,
                    struct err *err)
{
    struct observer observer = {time_op, b};
    int steps = b->chunk ? 2 : OP_STEPS;
    memset(ops, 0, OP_COUNT * sizeof *ops);
    b->ops = ops;
    for (int i = 0; i < steps; i++) {
        b->last_op = clock_seconds();
        if (b->chunk ? prefill_once(b, &b->real, &observer, err)
                     : feed(b, &b->real, 1, 1, &observer, err))
            return -1;
    }
    const struct ledger *l = null_ledger(b->null);
    for (int op = 0; op < OP_COUNT; op++) {
        ops[op].calls = (long)l->op[op].calls;
        ops[op].seconds /= steps;
        ops[op].limit = roofline_op(&l->op[op], r);
    }
    return 0;
}

/* --- cases --- */

/* What the cache of experts did between two counts of its stats. */
static void describe_cache(struct bench_row *out, const struct cache_stats *from,
                           const struct cache_stats *to, long steps)
{
    double hits = (double)(to->hits - from->hits), misses = (double)(to->misses - from->misses);
    double ahead = (double)(to->ahead - from->ahead);
    out->cache.any = to->n_slots > 0 && steps > 0 && hits + misses > 0;
    if (!out->cache.any) return;
    out->cache.hits = hits / (hits + misses);
    out->cache.bytes = (double)(to->bytes_read - from->bytes_read) / (double)steps;
    out->cache.wait = (to->wait_seconds - from->wait_seconds) / (double)steps;
    out->cache.ahead = ahead > 0 ? (double)(to->ahead_used - from->ahead_used) / ahead : -1;
}

static int measure(struct bench_model *b, const struct rounds_job *job, const char *name,
                   int tokens, int rounds, struct bench_row *out, struct bench_op *ops,
                   struct err *err)
{
    struct rounds_result r;
    struct backend *real = model_backend(b->real.model);
    struct cache_stats from, to;
    b->steps = 0;
    real->cache_stats(real, &from);
    if (rounds_run(&r, b->machine, job, rounds, err)) return -1;
    *out = (struct bench_row){.n = b->n,
                              .context = b->context,
                              .unit = "tokens/s",
                              .rate = tokens / r.seconds,
                              .limit = tokens / r.limit,
                              .share = r.share,
                              .seconds = r.seconds,
                              .rates = r.rates,
                              .rounds = r.n,
                              .dropped = r.n_dropped,
                              .noisy = r.noisy};
    snprintf(out->name, sizeof out->name, "%s", name);
    real->cache_stats(real, &to);
    describe_cache(out, &from, &to, b->steps);
    return ops ? time_ops(b, ops, &r.rates, err) : 0;
}

int bench_model_decode(struct bench_model *b, int n, int context, int rounds, struct bench_row *out,
                       struct bench_op *ops, struct err *err)
{
    b->n = n;
    b->context = context;
    b->chunk = 0;
    if (make_sequences(b, &b->real, n, context, err) ||
        make_sequences(b, &b->twin, n, context, err))
        return -1;
    null_reset(b->null);
    if (feed(b, &b->twin, 1, 1, NULL, err)) return -1;
    struct rounds_job job = {decode_steps, limit_of_step, b};
    return measure(b, &job, "decode", n, rounds, out, ops, err);
}

int bench_model_prefill(struct bench_model *b, int n, int chunk, int rounds, struct bench_row *out,
                        struct bench_op *ops, struct err *err)
{
    b->n = n;
    b->context = 0;
    b->chunk = chunk;
    null_reset(b->null);
    if (prefill_once(b, &b->twin, NULL, err)) return -1;
    struct rounds_job job = {prefill_steps, limit_of_step, b};
    return measure(b, &job, "prefill", n, rounds, out, ops, err);
}
