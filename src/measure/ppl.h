/* Perplexity of a text, and KL divergence from a base on it, over windows (measure/windows.h).
 *
 *   log-probabilities  lp = f32(logit - M - log(sum of exp(logit - M))), M the largest logit; exp by
 *                      base/fmath in f32, sum and logarithm in f64
 *   NLL                mean of -lp of the tokens that follow; perplexity = exp(NLL)
 *   KL(base || model)  of a position: sum over the vocabulary of exp(lp_base) (lp_base - lp_model), f64
 * All in nats. The windows are the samples: standard error and 95 % interval are those of the mean of
 * window means (stats.h), as the tokens of a window are not independent; with one window there are
 * none. The interval of the perplexity is exp of that of the NLL. That of the agreement of the most
 * likely tokens is Wilson's over positions, and so rather narrow. */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>

#include "measure/kl_base.h"
#include "measure/stats.h"
#include "measure/windows.h"

/* lp of a row; out may be logits. */
void ppl_logprobs(const float *logits, int vocab, float *out);

/* KL(p || q) of two rows of log-probabilities. */
double ppl_divergence(const float *p, const float *q, int vocab);

struct ppl_job {
    struct model *model;
    const struct windows *windows;
    int at_once;               /* windows in one step */
    const atomic_bool *cancel; /* or NULL: stops after the step */
    /* The base, at most one of them: a model of the same vocabulary, or a file that matches. */
    struct model *base;
    const struct kl_base_view *file;
    struct kl_base_image *save; /* or NULL: gets every row's log-probabilities; made, not sealed */
};

struct ppl_text {
    struct mean nll;
    double ppl;
    struct interval ppl_range;
};

struct ppl_result {
    int n_windows; /* that are complete: all that follows is of these */
    long long n_tokens;
    struct ppl_text model, base; /* base only with a base, as all that follows but the last two */
    struct mean kl;
    double kl_median, kl_99, kl_999, kl_max;
    long long n_same; /* positions where both have the same most likely token; ties: lower id */
    struct interval same_range;
    double seconds;
    bool cancelled;
};

MUST_USE int ppl_run(const struct ppl_job *job, struct ppl_result *out, struct err *err);
