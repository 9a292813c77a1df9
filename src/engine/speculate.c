#include "engine/speculate.h"

#include <stdint.h>
#include <stdlib.h>

enum { BUCKETS = 31, RECENT = 15, WINDOW = 256 };

/* Steps of one kind, per answer. The median, since others on the machine hold up a step now and then. */
struct kind {
    int n;                  /* steps seen */
    double recent[RECENT];  /* seconds of the last ones, in a ring */
    double seconds, drafts; /* median of these; running mean */
};

struct bucket {
    struct kind with, without;
    int since_probe; /* steps of the kind that pays since the last of the other */
};

struct speculate {
    enum speculate_mode mode;
    struct bucket bucket[BUCKETS]; /* by floor(log2(answers)) */
    double n_drafts, n_right;      /* the older, the less they count */
};

struct speculate *speculate_new(enum speculate_mode mode)
{
    struct speculate *s = calloc(1, sizeof *s);
    if (s) s->mode = mode;
    return s;
}

void speculate_free(struct speculate *s)
{
    free(s);
}

static int bucket_of(int n)
{
    int i = 0;
    while (n > 1 && i < BUCKETS - 1) {
        n /= 2;
        i++;
    }
    return i;
}

/* One right and one wrong draft to begin with. */
static double share_right(const struct speculate *s)
{
    return (s->n_right + 1) / (s->n_drafts + 2);
}

static bool is_tried(const struct bucket *b)
{
    return b->with.n >= SPECULATE_TRIAL && b->without.n >= SPECULATE_TRIAL;
}

static bool pays(const struct speculate *s, const struct bucket *b)
{
    double tokens = 1 + b->with.drafts * share_right(s);
    return b->with.seconds < b->without.seconds * tokens;
}

bool speculate_wants(const struct speculate *s, int n, bool timed)
{
    const struct bucket *b = &s->bucket[bucket_of(n)];
    if (s->mode == SPECULATE_ON) return true;
    if (!timed) return is_tried(b) && pays(s, b);
    if (!is_tried(b)) return b->with.n <= b->without.n;
    return pays(s, b) != (b->since_probe >= SPECULATE_PROBE - 1);
}

static double median(const double *x, int n)
{
    double sorted[RECENT] = {0};
    for (int i = 0; i < n; i++) {
        int at = i;
        for (; at > 0 && sorted[at - 1] > x[i]; at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = x[i];
    }
    return sorted[n / 2];
}

static void add(struct kind *k, double seconds, double drafts)
{
    k->recent[k->n % RECENT] = seconds;
    k->n = k->n < INT32_MAX - 1 ? k->n + 1 : RECENT;
    k->seconds = median(k->recent, k->n < RECENT ? k->n : RECENT);
    k->drafts += (drafts - k->drafts) / (k->n < RECENT ? k->n : RECENT);
}

void speculate_note_step(struct speculate *s, int n, bool drafted, int n_drafts, double seconds)
{
    struct bucket *b = &s->bucket[bucket_of(n)];
    bool is_probe = is_tried(b) && drafted != pays(s, b);
    b->since_probe = is_tried(b) && !is_probe ? b->since_probe + 1 : 0;
    add(drafted ? &b->with : &b->without, seconds / n, (double)n_drafts / n);
}

void speculate_note_drafts(struct speculate *s, int n, int n_right)
{
    s->n_drafts += n;
    s->n_right += n_right;
    if (s->n_drafts < WINDOW) return;
    s->n_drafts /= 2;
    s->n_right /= 2;
}
