/* From logits to the next token.
 *
 * Order (numerics, section 7): mask, penalties, bias, temperature, top-k, top-p, min-p, draw. Exactly, with
 * l the f32 logits and h the session's tokens (the last `penalty_last_n` of them):
 * - mask (sampler_allow): a token outside it is not there for any of what follows;
 * - penalties, as llama.cpp: for a token that stands n > 0 times in h: l = l > 0 ? l / repeat :
 *   l * repeat; then l = l - (n * frequency + presence);
 * - bias: l = l + bias[id]; then what overflowed is brought back to +-FLT_MAX;
 * - temperature 0: the largest l, ties to the lower id; nothing below happens;
 * - temperature: with M = max l, e = exp((l - M) / temperature) by base/fmath;
 * - top-k: the k largest l, ties to the lower id;
 * - top-p: with Z = sum of e over what is left (f64, ascending id), candidates in order of l (ties
 *   to the lower id) until their sum of e (f64) reaches top_p * Z; at least one;
 * - min-p: those with e >= min_p (the largest e is 1);
 * - draw: u = 53 bits of Philox as f64 in [0, 1); Z as above over what is left; the first id, ascending,
 *   where the running sum of e exceeds u * Z.
 * Philox: key (low 32 bits of seed, choice), counter (position, 0, 0, high 32 bits of seed), where
 * position is the index that the drawn token takes in the session. So a draw depends on the logits,
 * the history, seed and position, and on nothing else.
 * Log-probabilities are those of the model: of all logits, before penalties and bias. */
#pragma once
#include <stdint.h>

#include "base/err.h"

enum { SAMPLER_MAX_LOGPROBS = 20, SAMPLER_MAX_BIAS = 4096 };

struct logit_bias {
    int id;
    float bias; /* -1000..1000 */
};

struct sampler_options {
    float temperature;       /* 0..100; 0 is greedy */
    int top_k;               /* 0: off */
    float top_p;             /* (0, 1]; 1: off */
    float min_p;             /* [0, 1]; 0: off */
    float repeat_penalty;    /* [0.01, 100]; 1: off */
    float presence_penalty;  /* -100..100; 0: off */
    float frequency_penalty; /* -100..100; 0: off */
    int penalty_last_n;      /* tokens that penalties look back at, prompt included; -1: all */
    const struct logit_bias *bias; /* copied by sampler_new; ids distinct or their sum counts */
    int n_bias;
    int logprobs; /* 0..20 alternatives to report; -1: no log-probabilities at all */
};

/* What DeepSeek recommends for V4: temperature 1, top-p 1, all else off. */
struct sampler_options sampler_defaults(void);

/* Names the option that is out of range (NaN is), ERR_ARGUMENT. */
MUST_USE int sampler_check(const struct sampler_options *o, int vocab, struct err *err);

/* Which random numbers a session draws. */
struct sampler_key {
    uint64_t seed;
    uint32_t choice; /* index among several answers to one prompt */
};

struct logprob {
    int id;
    float logprob; /* natural logarithm */
};

struct pick {
    int id;
    float logprob; /* of id; 0 unless options.logprobs >= 0 */
    int n_top;
    struct logprob
        top[SAMPLER_MAX_LOGPROBS]; /* the most likely, descending, ties to the lower id */
};

/* Fills logprob and top of p, whose id is set, from logits [V]: n_top of the most likely, 0..20. As
 * ppl_logprobs (measure/ppl.h), bit for bit: with M = max l and Z = the sum of exp(l - M) in f64,
 * l - M - log Z in f64, rounded. */
void pick_report(struct pick *p, const float *logits, int vocab, int n_top);

struct sampler;

/* Scratch for one vocabulary; picks allocate nothing. */
MUST_USE int sampler_new(struct sampler **out, const struct sampler_options *o, int vocab,
                         struct err *err);
void sampler_free(struct sampler *s); /* takes NULL */

/* From now on only tokens whose bit is set may be chosen (token id: bit id % 64 of mask[id / 64], [V] bits,
 * at least one set); NULL: all, as at first. Borrowed. */
void sampler_allow(struct sampler *s, const uint64_t *mask);

/* The token alone: *id, as sampler_pick would choose it; for a draft. */
MUST_USE int sampler_draw(struct sampler *s, const float *logits, const int32_t *history, int n,
                          const struct sampler_key *key, int *id, struct err *err);

/* logits [V]; history: the n tokens before the one to be drawn. ERR_NUMERIC when a logit is NaN or
 * infinite. */
MUST_USE int sampler_pick(struct sampler *s, const float *logits, const int32_t *history, int n,
                          const struct sampler_key *key, struct pick *out, struct err *err);
