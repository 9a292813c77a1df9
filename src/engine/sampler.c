#include "engine/sampler.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/exps.h"
#include "base/fmath.h"
#include "engine/philox.h"

enum { EXPS = 256 }; /* exponentials at a time */

struct candidate {
    int id;
    float logit; /* after penalties and bias */
    float e;     /* exp((logit - largest) / temperature) */
};

struct sampler {
    struct sampler_options o;
    int vocab;
    struct logit_bias *bias;
    const uint64_t *mask;   /* NULL: all tokens */
    float *logits;          /* [V] adjusted */
    struct candidate *cand; /* [V] what is left, ascending id between stages */
    int *counts;            /* [V] how often a token stands in the window; zero between picks */
};

struct sampler_options sampler_defaults(void)
{
    return (struct sampler_options){
        .temperature = 1,
        .top_p = 1,
        .repeat_penalty = 1,
        .penalty_last_n = 64,
        .logprobs = -1,
    };
}

/* False for NaN too. */
static bool within(float x, float low, float high)
{
    return x >= low && x <= high;
}

static int check_range(const char *name, float x, float low, float high, struct err *err)
{
    if (within(x, low, high)) return 0;
    return err_set(err, ERR_ARGUMENT, "%s %g is outside %g to %g", name, (double)x, (double)low,
                   (double)high);
}

int sampler_check(const struct sampler_options *o, int vocab, struct err *err)
{
    if (check_range("temperature", o->temperature, 0, 100, err) ||
        check_range("top-p", o->top_p, 0, 1, err) || check_range("min-p", o->min_p, 0, 1, err) ||
        check_range("repetition penalty", o->repeat_penalty, 0.01f, 100, err) ||
        check_range("presence penalty", o->presence_penalty, -100, 100, err) ||
        check_range("frequency penalty", o->frequency_penalty, -100, 100, err))
        return -1;
    if (o->top_p == 0)
        return err_set(err, ERR_ARGUMENT, "top-p 0 leaves no token; it must be above 0");
    if (o->top_k < 0) return err_set(err, ERR_ARGUMENT, "top-k %d is negative", o->top_k);
    if (o->penalty_last_n < -1)
        return err_set(err, ERR_ARGUMENT, "penalty window %d is below -1", o->penalty_last_n);
    if (o->logprobs < -1 || o->logprobs > SAMPLER_MAX_LOGPROBS)
        return err_set(err, ERR_ARGUMENT, "logprobs %d is outside 0 to %d", o->logprobs,
                       SAMPLER_MAX_LOGPROBS);
    if (o->n_bias < 0 || o->n_bias > SAMPLER_MAX_BIAS)
        return err_set(err, ERR_ARGUMENT, "%d logit biases, at most %d are allowed", o->n_bias,
                       SAMPLER_MAX_BIAS);
    for (int i = 0; i < o->n_bias; i++) {
        if (o->bias[i].id < 0 || o->bias[i].id >= vocab)
            return err_set(err, ERR_ARGUMENT, "logit bias for token %d, the vocabulary has %d",
                           o->bias[i].id, vocab);
        if (check_range("logit bias", o->bias[i].bias, -1000, 1000, err)) return -1;
    }
    return 0;
}

int sampler_new(struct sampler **out, const struct sampler_options *o, int vocab, struct err *err)
{
    *out = NULL;
    if (sampler_check(o, vocab, err)) return -1;
    size_t v = (size_t)vocab, n_bias = (size_t)o->n_bias;
    struct sampler *s = calloc(1, sizeof *s);
    if (!s) return err_set(err, ERR_LIMIT, "no memory for a sampler");
    s->o = *o;
    s->vocab = vocab;
    s->bias = malloc((n_bias + 1) * sizeof *s->bias);
    s->logits = malloc(v * sizeof *s->logits);
    s->cand = malloc(v * sizeof *s->cand);
    s->counts = calloc(v, sizeof *s->counts);
    if (!s->bias || !s->logits || !s->cand || !s->counts) {
        sampler_free(s);
        return err_set(err, ERR_LIMIT, "no memory for a sampler of %d tokens", vocab);
    }
    if (n_bias) memcpy(s->bias, o->bias, n_bias * sizeof *s->bias);
    s->o.bias = s->bias;
    *out = s;
    return 0;
}

void sampler_free(struct sampler *s)
{
    if (!s) return;
    free(s->bias);
    free(s->logits);
    free(s->cand);
    free(s->counts);
    free(s);
}

/* Each token of the window once: counts tells how often, and is zero again afterwards. */
static void penalize(struct sampler *s, const int32_t *history, int n)
{
    const struct sampler_options *o = &s->o;
    int first = o->penalty_last_n >= 0 && o->penalty_last_n < n ? n - o->penalty_last_n : 0;
    for (int i = first; i < n; i++)
        s->counts[history[i]]++;
    for (int i = first; i < n; i++) {
        int id = history[i], count = s->counts[id];
        if (!count) continue;
        s->counts[id] = 0;
        float l = s->logits[id];
        l = l > 0 ? l / o->repeat_penalty : l * o->repeat_penalty;
        s->logits[id] = l - ((float)count * o->frequency_penalty + o->presence_penalty);
    }
}

static int largest(const float *logits, int n)
{
    int best = 0;
    for (int i = 1; i < n; i++)
        if (logits[i] > logits[best]) best = i;
    return best;
}

void sampler_allow(struct sampler *s, const uint64_t *mask)
{
    s->mask = mask;
}

static bool is_allowed(const struct sampler *s, int id)
{
    return !s->mask || (s->mask[id / 64] >> id % 64 & 1);
}

/* The largest of those that are allowed. */
static int largest_allowed(const struct sampler *s)
{
    int best = 0;
    while (best < s->vocab && !is_allowed(s, best))
        best++;
    CHECK(best < s->vocab, "a mask without a token");
    for (int i = best + 1; i < s->vocab; i++)
        if (s->logits[i] > s->logits[best] && is_allowed(s, i)) best = i;
    return best;
}

/* Candidates in order of logit, ties to the lower id. */
static bool before(const struct candidate *a, const struct candidate *b)
{
    return a->logit != b->logit ? a->logit > b->logit : a->id < b->id;
}

/* Restores the heap (first of all on top) below root, in c[0, n). */
static void sift(struct candidate *c, int root, int n)
{
    struct candidate x = c[root];
    for (;;) {
        int child = 2 * root + 1;
        if (child >= n) break;
        if (child + 1 < n && before(&c[child + 1], &c[child])) child++;
        if (!before(&c[child], &x)) break;
        c[root] = c[child];
        root = child;
    }
    c[root] = x;
}

static void heap_make(struct candidate *c, int n)
{
    for (int i = n / 2 - 1; i >= 0; i--)
        sift(c, i, n);
}

/* Moves the top of the heap c[0, n) to c[n - 1]. */
static void heap_pop(struct candidate *c, int n)
{
    struct candidate top = c[0];
    c[0] = c[n - 1];
    c[n - 1] = top;
    sift(c, 0, n - 1);
}

static int by_id(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

/* The n_kept popped ones, at the end of c[0, n), become c[0, n_kept), by id. */
static int keep_popped(struct candidate *c, int n, int n_kept)
{
    memmove(c, c + n - n_kept, (size_t)n_kept * sizeof *c);
    qsort(c, (size_t)n_kept, sizeof *c, by_id);
    return n_kept;
}

static int keep_top_k(struct candidate *c, int n, int k)
{
    if (k == 0 || k >= n) return n;
    heap_make(c, n);
    for (int i = 0; i < k; i++)
        heap_pop(c, n - i);
    return keep_popped(c, n, k);
}

static double sum(const struct candidate *c, int n)
{
    double z = 0;
    for (int i = 0; i < n; i++)
        z += (double)c[i].e;
    return z;
}

static int keep_top_p(struct candidate *c, int n, float p)
{
    if (p >= 1) return n;
    double enough = (double)p * sum(c, n), got = 0;
    heap_make(c, n);
    int kept = 0;
    while (kept < n) {
        got += (double)c[0].e;
        heap_pop(c, n - kept);
        kept++;
        if (got >= enough) break;
    }
    return keep_popped(c, n, kept);
}

static int keep_min_p(struct candidate *c, int n, float p)
{
    int kept = 0;
    for (int i = 0; i < n; i++)
        if (c[i].e >= p) c[kept++] = c[i];
    return kept;
}

static double uniform(const struct sampler_key *key, int position)
{
    uint32_t counter[4] = {(uint32_t)position, 0, 0, (uint32_t)(key->seed >> 32)};
    uint32_t k[2] = {(uint32_t)key->seed, key->choice};
    uint32_t r[4];
    philox4x32_10(counter, k, r);
    uint64_t bits = ((uint64_t)r[0] << 32 | r[1]) >> 11;
    return (double)bits * 0x1p-53;
}

static int draw(struct sampler *s, const struct sampler_key *key, int position)
{
    struct candidate *c = s->cand;
    float m = s->logits[largest_allowed(s)], e[EXPS];
    int n = 0;
    for (int first = 0; first < s->vocab; first += EXPS) {
        int count = s->vocab - first < EXPS ? s->vocab - first : EXPS;
        exps(e, s->logits + first, m, s->o.temperature, count);
        for (int i = first; i < first + count; i++)
            if (is_allowed(s, i))
                c[n++] = (struct candidate){.id = i, .logit = s->logits[i], .e = e[i - first]};
    }
    n = keep_top_k(c, n, s->o.top_k);
    n = keep_top_p(c, n, s->o.top_p);
    n = keep_min_p(c, n, s->o.min_p);

    double at = uniform(key, position) * sum(c, n), run = 0;
    for (int i = 0; i < n; i++) {
        run += (double)c[i].e;
        if (run > at) return c[i].id;
    }
    /* u < 1, so only rounding of u * Z up to Z leads here: the last that has a chance. */
    while (n > 1 && c[n - 1].e == 0)
        n--;
    return c[n - 1].id;
}

void pick_report(struct pick *p, const float *logits, int vocab, int n_top)
{
    float m = logits[largest(logits, vocab)], e[EXPS];
    double z = 0;
    int n = 0, want = n_top < vocab ? n_top : vocab;
    for (int i = 0; i < vocab; i++) {
        if (i % EXPS == 0) exps(e, logits + i, m, 1, vocab - i < EXPS ? vocab - i : EXPS);
        z += (double)e[i % EXPS];
        int at = n;
        while (at > 0 && logits[i] > p->top[at - 1].logprob)
            at--;
        if (at >= want) continue;
        if (n < want) n++;
        for (int j = n - 1; j > at; j--)
            p->top[j] = p->top[j - 1];
        p->top[at] = (struct logprob){.id = i, .logprob = logits[i]};
    }
    double log_z = fm_log64(z);
    for (int j = 0; j < n; j++)
        p->top[j].logprob = (float)((double)p->top[j].logprob - (double)m - log_z);
    p->n_top = n;
    p->logprob = (float)((double)logits[p->id] - (double)m - log_z);
}

static bool changes_logits(const struct sampler_options *o)
{
    return o->repeat_penalty != 1 || o->presence_penalty != 0 || o->frequency_penalty != 0 ||
           o->n_bias > 0;
}

static void change_logits(struct sampler *s, const int32_t *history, int n)
{
    penalize(s, history, n);
    for (int i = 0; i < s->o.n_bias; i++)
        s->logits[s->bias[i].id] += s->bias[i].bias;
    for (int i = 0; i < s->vocab; i++) /* a penalty can overflow */
        s->logits[i] = fminf(fmaxf(s->logits[i], -FLT_MAX), FLT_MAX);
}

int sampler_draw(struct sampler *s, const float *logits, const int32_t *history, int n,
                 const struct sampler_key *key, int *id, struct err *err)
{
    for (int i = 0; i < s->vocab; i++)
        if (!isfinite(logits[i]))
            return err_set(err, ERR_NUMERIC, "logit of token %d at position %d is not finite", i,
                           n);
    memcpy(s->logits, logits, (size_t)s->vocab * sizeof *logits);
    if (changes_logits(&s->o)) change_logits(s, history, n);
    *id = s->o.temperature == 0 ? largest_allowed(s) : draw(s, key, n);
    return 0;
}

int sampler_pick(struct sampler *s, const float *logits, const int32_t *history, int n,
                 const struct sampler_key *key, struct pick *out, struct err *err)
{
    *out = (struct pick){0};
    if (sampler_draw(s, logits, history, n, key, &out->id, err)) return -1;
    if (s->o.logprobs >= 0) pick_report(out, logits, s->vocab, s->o.logprobs);
    return 0;
}
