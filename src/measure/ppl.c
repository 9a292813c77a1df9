#include "measure/ppl.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fmath.h"
#include "base/mem.h"
#include "base/progress.h"

void ppl_logprobs(const float *logits, int vocab, float *out)
{
    float max = logits[0];
    double sum = 0;
    for (int i = 1; i < vocab; i++)
        max = logits[i] > max ? logits[i] : max;
    for (int i = 0; i < vocab; i++)
        sum += (double)fm_exp(logits[i] - max);
    double log_sum = fm_log64(sum);
    for (int i = 0; i < vocab; i++)
        out[i] = (float)((double)logits[i] - (double)max - log_sum);
}

double ppl_divergence(const float *p, const float *q, int vocab)
{
    double sum = 0;
    for (int i = 0; i < vocab; i++)
        sum += (double)fm_exp(p[i]) * ((double)p[i] - (double)q[i]);
    return sum;
}

static int largest(const float *x, int n)
{
    int best = 0;
    for (int i = 1; i < n; i++)
        if (x[i] > x[best]) best = i;
    return best;
}

/* What is gathered, a value for each window or position. */
struct sums {
    double *nll, *base_nll, *kl; /* [windows] sums */
    int *count;                  /* [windows] positions so far */
    float *each;                 /* [windows, scored] divergence */
    bool *same;                  /* [windows, scored] */
    float *lp, *base_lp;         /* [V] */
};

static void sums_init(struct sums *s, const struct ppl_job *job)
{
    size_t n = (size_t)job->windows->n, v = (size_t)model_config(job->model)->vocab;
    size_t positions = job->base || job->file ? n * (size_t)windows_scored(job->windows) : 1;
    *s = (struct sums){.nll = xcalloc(n, sizeof(double)),
                       .base_nll = xcalloc(n, sizeof(double)),
                       .kl = xcalloc(n, sizeof(double)),
                       .count = xcalloc(n, sizeof(int)),
                       .each = xcalloc(positions, sizeof(float)),
                       .same = xcalloc(positions, sizeof(bool)),
                       .lp = xcalloc(v, sizeof(float)),
                       .base_lp = xcalloc(v, sizeof(float))};
}

static void sums_fini(struct sums *s)
{
    free(s->nll);
    free(s->base_nll);
    free(s->kl);
    free(s->count);
    free(s->each);
    free(s->same);
    free(s->lp);
    free(s->base_lp);
}

/* One position; base_logits of the base model, or NULL. */
static int add_row(struct sums *s, const struct ppl_job *job, const struct scored_row *r,
                   const float *base_logits, struct err *err)
{
    int vocab = model_config(job->model)->vocab;
    size_t row = (size_t)r->window * (size_t)windows_scored(job->windows) + (size_t)r->index;
    ppl_logprobs(r->logits, vocab, s->lp);
    if (job->save) kl_base_put(job->save, row, s->lp, vocab);
    s->nll[r->window] -= (double)s->lp[r->target];
    s->count[r->window]++;
    if (job->file && kl_base_row(job->file, row, s->base_lp, err)) return -1;
    if (base_logits) ppl_logprobs(base_logits, vocab, s->base_lp);
    if (!base_logits && !job->file) return 0;
    double kl = ppl_divergence(s->base_lp, s->lp, vocab);
    s->base_nll[r->window] -= (double)s->base_lp[r->target];
    s->kl[r->window] += kl;
    s->each[row] = (float)kl;
    s->same[row] = largest(s->base_lp, vocab) == largest(s->lp, vocab);
    return 0;
}

/* ---- results ---- */

static struct mean mean_of(const double *sums, int n, int scored)
{
    double *means = xcalloc((size_t)n + 1, sizeof *means);
    for (int i = 0; i < n; i++)
        means[i] = sums[i] / scored;
    struct mean m = stats_mean(means, n);
    free(means);
    return m;
}

static struct ppl_text text_of(const double *nll, int n, int scored)
{
    struct ppl_text t = {.nll = mean_of(nll, n, scored)};
    t.ppl = exp(t.nll.value);
    t.ppl_range = (struct interval){exp(t.nll.range.low), exp(t.nll.range.high)};
    return t;
}

static void conclude(struct sums *s, const struct ppl_job *job, struct ppl_result *out)
{
    int scored = windows_scored(job->windows), n = 0;
    while (n < job->windows->n && s->count[n] == scored)
        n++; /* windows are run in order */
    size_t positions = (size_t)n * (size_t)scored;
    out->n_windows = n;
    out->n_tokens = (long long)positions;
    out->model = text_of(s->nll, n, scored);
    if (!(job->base || job->file) || n == 0) return;
    out->base = text_of(s->base_nll, n, scored);
    out->kl = mean_of(s->kl, n, scored);
    for (size_t i = 0; i < positions; i++)
        out->n_same += s->same[i];
    out->same_range = stats_wilson((double)out->n_same, (double)positions);
    stats_sort(s->each, positions);
    out->kl_median = stats_quantile(s->each, positions, 0.5);
    out->kl_99 = stats_quantile(s->each, positions, 0.99);
    out->kl_999 = stats_quantile(s->each, positions, 0.999);
    out->kl_max = stats_quantile(s->each, positions, 1);
}

/* ---- running ---- */

/* One step of the model, and of the base if it is a model. 0 rows and *n -1 after the last. */
static int step(struct sums *s, const struct ppl_job *job, struct scorer *model,
                struct scorer *base, int *n, struct err *err)
{
    const struct scored_row *rows, *base_rows = NULL;
    int n_base;
    if (scorer_step(model, &rows, n, err)) return -1;
    if (base && scorer_step(base, &base_rows, &n_base, err)) return err_prefix(err, "base");
    CHECK(!base || n_base == *n, "two scorers out of step");
    for (int i = 0; i < *n; i++)
        if (add_row(s, job, &rows[i], base ? base_rows[i].logits : NULL, err)) return -1;
    return 0;
}

static int run(struct sums *s, const struct ppl_job *job, struct ppl_result *out, struct err *err)
{
    struct scorer *model = NULL, *base = NULL;
    uint64_t total = (uint64_t)job->windows->n * (uint64_t)windows_scored(job->windows);
    struct progress *progress = progress_new("eval", total, "tokens");
    int n = 0, rc = scorer_open(&model, job->model, job->windows, job->at_once, err);
    if (rc == 0 && job->base) rc = scorer_open(&base, job->base, job->windows, job->at_once, err);
    while (rc == 0 && n >= 0) {
        if (job->cancel && atomic_load(job->cancel)) {
            out->cancelled = true;
            break;
        }
        rc = step(s, job, model, base, &n, err);
        if (rc == 0 && n > 0) progress_add(progress, (uint64_t)n);
    }
    progress_free(progress);
    scorer_close(model);
    scorer_close(base);
    return rc;
}

int ppl_run(const struct ppl_job *job, struct ppl_result *out, struct err *err)
{
    struct sums s;
    double start = clock_seconds();
    CHECK(!job->base || !job->file, "two bases");
    CHECK(!job->base || model_config(job->base)->vocab == model_config(job->model)->vocab,
          "vocabularies differ");
    *out = (struct ppl_result){0};
    sums_init(&s, job);
    int rc = run(&s, job, out, err);
    out->seconds = clock_seconds() - start;
    if (rc == 0) conclude(&s, job, out);
    sums_fini(&s);
    return rc;
}
