/* Fields that every endpoint which generates has alike: sampling, seed, stream.
 * Source: docs/spec, API, section 2.1; security, rule P1. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "engine/sampler.h"
#include "serve/fields.h"

enum {
    SAMPLING_MAX_BIAS = 300,
    SAMPLING_MAX_STOP_IDS = 64,
    SHARING_MAX_NAME = 512 /* bytes */
};

/* temperature, top_p, top_k, min_p, the penalties and logit_bias over sampler_defaults(). *out points to bias,
 * [SAMPLING_MAX_BIAS]; its token ids are not yet checked. top_k -1 is off, as 0. Leaves logprobs at -1. */
MUST_USE int sampling_read(struct sampler_options *out, struct logit_bias *bias,
                           const struct fields *body);

/* *has false: none is given, or -1, which means a random one. A negative one becomes its two's complement. */
MUST_USE int sampling_read_seed(uint64_t *seed, bool *has, const struct fields *body);

/* stream, and stream_options, which needs it. */
MUST_USE int sampling_read_stream(bool *stream, bool *include_usage, const struct fields *body);

/* Which tokens end an answer, and when. */
struct sampling_ends {
    int32_t stop_ids[SAMPLING_MAX_STOP_IDS]; /* besides EOS, and no text either */
    int n_stop_ids;
    int min_tokens; /* none of them comes before so many tokens */
    bool ignore_eos;
};

/* ignore_eos, min_tokens, stop_token_ids. The ids are not yet checked. */
MUST_USE int sampling_read_ends(struct sampling_ends *out, const struct fields *body);
/* min_tokens does not go with more than max_tokens (-1: no limit), with stop strings, nor with the form of an answer,
 * nor does ignore_eos with that; form is the field that asks for it, or NULL. 400. */
MUST_USE int sampling_check_ends(const struct sampling_ends *ends, int max_tokens, int n_stops,
                                 const char *form, const struct fields *body);
/* Whether the token is one of stop_ids. */
bool sampling_is_stop(const struct sampling_ends *ends, int id);
struct generate_options;
/* Points into ends. */
void sampling_set_ends(struct generate_options *out, const struct sampling_ends *ends);

/* 400 for a bias of a token that the model has not, or such a stop token. */
MUST_USE int sampling_check_ids(const struct sampler_options *s, const struct sampling_ends *ends,
                                int vocab, struct api_error *e);

/* A random one. */
uint64_t sampling_new_seed(void);

/* With whom a request shares what the prefix cache keeps. */
struct sharing {
    bool cache_prompt; /* false: the cache is not asked, and gets nothing */
    const char *user;  /* user_id, else user; NULL for none or an empty one */
    const char *salt;  /* cache_salt; NULL: not given */
};
MUST_USE int sharing_read(struct sharing *out, const struct fields *body);
