/* Fields that every endpoint which generates has alike: sampling, seed, stream.
 * Source: docs/spec, API, section 2.1; security, rule P1. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "engine/sampler.h"
#include "serve/fields.h"

enum {
    SAMPLING_MAX_BIAS = 300,
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

/* 400 for a bias of a token that the model has not. */
MUST_USE int sampling_check_bias(const struct sampler_options *s, int vocab, struct api_error *e);

/* A random one. */
uint64_t sampling_new_seed(void);

/* With whom a request shares what the prefix cache keeps. */
struct sharing {
    bool cache_prompt; /* false: the cache is not asked, and gets nothing */
    const char *user;  /* user_id, else user; NULL for none or an empty one */
    const char *salt;  /* cache_salt; NULL: not given */
};
MUST_USE int sharing_read(struct sharing *out, const struct fields *body);
