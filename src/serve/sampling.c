#include "serve/sampling.h"

#include <limits.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "engine/generate.h"
#include "serve/token_ids.h"

_Static_assert((int)SAMPLING_MAX_BIAS <= (int)SAMPLER_MAX_BIAS, "the sampler takes them all");

/* The key of a bias: decimal digits. */
static int read_token_id(const struct fields *body, const char *key, int *id)
{
    size_t n = strspn(key, "0123456789");
    long long value = n > 0 && n <= 10 && !key[n] ? strtoll(key, NULL, 10) : -1;
    if (value < 0 || value > INT_MAX)
        return field_refuse(body, 400, "logit_bias", "\"%.32s\" is no token id", key);
    *id = (int)value;
    return 0;
}

/* {"token id": -100..100} */
static int read_bias(struct sampler_options *s, struct logit_bias *bias, const struct fields *body)
{
    struct fields map;
    const char *key;
    json_t *value;
    int n = 0;
    if (field_object(body, "logit_bias", &map)) return -1;
    if (json_object_size(map.object) > SAMPLING_MAX_BIAS)
        return field_refuse(body, 422, "logit_bias", "has %zu tokens, allowed are %d",
                            json_object_size(map.object), SAMPLING_MAX_BIAS);
    json_object_foreach(map.object, key, value)
    {
        if (read_token_id(body, key, &bias[n].id) ||
            field_number(&map, key, -100, 100, &bias[n].bias))
            return -1;
        n++;
    }
    s->bias = bias;
    s->n_bias = n;
    return 0;
}

int sampling_read(struct sampler_options *out, struct logit_bias *bias, const struct fields *body)
{
    struct sampler_options *s = out;
    *s = sampler_defaults();
    if (field_number(body, "temperature", 0, 2, &s->temperature) ||
        field_number(body, "top_p", 0, 1, &s->top_p) ||
        field_number(body, "min_p", 0, 1, &s->min_p) ||
        field_number(body, "repetition_penalty", 0.01, 100, &s->repeat_penalty) ||
        field_number(body, "presence_penalty", -2, 2, &s->presence_penalty) ||
        field_number(body, "frequency_penalty", -2, 2, &s->frequency_penalty) ||
        field_int(body, "top_k", -1, INT_MAX, &s->top_k) || read_bias(s, bias, body))
        return -1;
    if (s->top_p == 0) return field_refuse(body, 422, "top_p", "must be above 0");
    if (s->top_k < 0) s->top_k = 0;
    return 0;
}

int sampling_read_seed(uint64_t *seed, bool *has, const struct fields *body)
{
    json_int_t value = -1;
    if (field_integer(body, "seed", INT64_MIN, INT64_MAX, &value)) return -1;
    *has = value != -1;
    *seed = *has ? (uint64_t)value : 0;
    return 0;
}

int sampling_read_stream(bool *stream, bool *include_usage, const struct fields *body)
{
    struct fields options;
    if (field_bool(body, "stream", stream) || field_object(body, "stream_options", &options) ||
        field_bool(&options, "include_usage", include_usage))
        return -1;
    if (options.object && !*stream)
        return field_refuse(body, 400, "stream_options", "needs \"stream\": true");
    return 0;
}

int sampling_read_ends(struct sampling_ends *out, const struct fields *body)
{
    json_t *list = NULL;
    if (field_bool(body, "ignore_eos", &out->ignore_eos) ||
        field_int(body, "min_tokens", 0, INT_MAX, &out->min_tokens))
        return -1;
    if (!field_asks(body, "stop_token_ids")) return 0;
    if (field_list(body, "stop_token_ids", 1, SAMPLING_MAX_STOP_IDS, &list) ||
        token_ids_check(body, "stop_token_ids", list))
        return -1;
    out->n_stop_ids = (int)json_array_size(list);
    for (int i = 0; i < out->n_stop_ids; i++)
        out->stop_ids[i] = (int32_t)json_integer_value(json_array_get(list, (size_t)i));
    return 0;
}

int sampling_check_ends(const struct sampling_ends *ends, int max_tokens, int n_stops,
                        const char *form, const struct fields *body)
{
    if (form && ends->ignore_eos)
        return field_refuse(body, 400, "ignore_eos", "together with %s", form);
    if (form && ends->min_tokens > 0)
        return field_refuse(body, 400, "min_tokens", "together with %s", form);
    if (n_stops && ends->min_tokens > 0)
        return field_refuse(body, 400, "min_tokens", "together with stop");
    if (max_tokens >= 0 && ends->min_tokens > max_tokens)
        return field_refuse(body, 400, "min_tokens", "is %d, max_tokens %d", ends->min_tokens,
                            max_tokens);
    return 0;
}

bool sampling_is_stop(const struct sampling_ends *ends, int id)
{
    for (int i = 0; i < ends->n_stop_ids; i++)
        if (ends->stop_ids[i] == id) return true;
    return false;
}

void sampling_set_ends(struct generate_options *out, const struct sampling_ends *ends)
{
    out->ignore_eos = ends->ignore_eos;
    out->min_tokens = ends->min_tokens;
    out->stop_ids = ends->stop_ids;
    out->n_stop_ids = ends->n_stop_ids;
}

int sampling_check_ids(const struct sampler_options *s, const struct sampling_ends *ends, int vocab,
                       struct api_error *e)
{
    for (int i = 0; i < ends->n_stop_ids; i++)
        if (ends->stop_ids[i] >= vocab)
            return api_refuse(e, 400, "stop_token_ids",
                              "stop_token_ids: token %d; the vocabulary has 0 to %d",
                              ends->stop_ids[i], vocab - 1);
    for (int i = 0; i < s->n_bias; i++)
        if (s->bias[i].id >= vocab)
            return api_refuse(e, 400, "logit_bias",
                              "logit_bias: token %d; the vocabulary has 0 to %d", s->bias[i].id,
                              vocab - 1);
    return 0;
}

uint64_t sampling_new_seed(void)
{
    unsigned char bytes[4];
    uint64_t seed = 0;
    CHECK(RAND_bytes(bytes, sizeof bytes) == 1, "no random numbers");
    for (size_t i = 0; i < sizeof bytes; i++)
        seed = seed << 8 | bytes[i];
    return seed;
}

int sharing_read(struct sharing *out, const struct fields *body)
{
    const char *user = NULL, *user_id = NULL;
    *out = (struct sharing){.cache_prompt = true};
    if (field_bool(body, "cache_prompt", &out->cache_prompt) ||
        field_text(body, "cache_salt", 0, SHARING_MAX_NAME, &out->salt) ||
        field_text(body, "user", 0, SHARING_MAX_NAME, &user) ||
        field_text(body, "user_id", 0, SHARING_MAX_NAME, &user_id))
        return -1;
    if (user && *user) out->user = user;
    if (user_id && *user_id) out->user = user_id;
    return 0;
}
