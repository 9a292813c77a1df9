#include "measure/load_stats.h"

#include <math.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/mem.h"
#include "measure/stats.h"

void samples_add(struct samples *s, double x)
{
    if (s->n == s->cap) {
        s->cap = s->cap ? 2 * s->cap : 256;
        s->values = xrealloc(s->values, s->cap, sizeof *s->values);
    }
    s->values[s->n++] = (float)x;
    s->sorted = false;
}

void samples_fini(struct samples *s)
{
    free(s->values);
    *s = (struct samples){0};
}

double samples_quantile(struct samples *s, double q)
{
    if (s->n == 0) return NAN;
    if (!s->sorted) stats_sort(s->values, s->n);
    s->sorted = true;
    return stats_quantile(s->values, s->n, q);
}

const char *load_outcome_name(enum load_outcome o)
{
    static const char *const names[LOAD_OUTCOMES] = {
        [LOAD_WHOLE] = "whole",         [LOAD_REFUSED] = "refused",
        [LOAD_FAILED] = "error event",  [LOAD_CUT] = "cut short",
        [LOAD_MALFORMED] = "malformed", [LOAD_NO_CONNECTION] = "no connection",
        [LOAD_TIMEOUT] = "too late",    [LOAD_STOPPED] = "stopped"};
    return names[o];
}

void load_result_fini(struct load_result *r)
{
    samples_fini(&r->first);
    samples_fini(&r->gaps);
    samples_fini(&r->whole);
    samples_fini(&r->refusals);
}

static void add_whole(struct load_result *r, const struct load_answer *a)
{
    const struct load_limits *limits = &r->limits;
    samples_add(&r->whole, a->whole);
    if (!isnan(a->first)) samples_add(&r->first, a->first);
    r->prompt_tokens += a->prompt_tokens;
    r->cached_tokens += a->cached_tokens;
    r->answer_tokens += a->answer_tokens;
    if (limits->first > 0 && a->first > limits->first) return;
    if (limits->gap > 0 && a->gap > limits->gap) return;
    r->n_good++;
}

void load_result_add(struct load_result *r, const struct load_answer *a)
{
    CHECK(a->status >= 0 && a->status <= LOAD_MAX_STATUS, "status %d", a->status);
    r->n++;
    r->outcomes[a->outcome]++;
    if (a->outcome == LOAD_WHOLE) add_whole(r, a);
    if (a->outcome != LOAD_REFUSED) return;
    r->statuses[a->status]++;
    r->n_retry_after += a->retry_after;
    samples_add(&r->refusals, a->whole);
}
