#include "serve/chat_request.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "serve/chat_messages.h"
#include "serve/chat_thinking.h"
#include "serve/chat_tools.h"
#include "serve/fields.h"

_Static_assert((int)CHAT_MAX_BIAS <= (int)SAMPLER_MAX_BIAS, "the sampler takes them all");

static int read_model(struct chat_request *r, const struct fields *body)
{
    const char *user = NULL, *user_id = NULL;
    if (field_require(body, "model") || field_text(body, "model", 1, CHAT_MAX_MODEL, &r->model) ||
        field_text(body, "user", 0, CHAT_MAX_USER, &user) ||
        field_text(body, "user_id", 0, CHAT_MAX_USER, &user_id))
        return -1;
    if (user && *user) r->user = user;
    if (user_id && *user_id) r->user = user_id;
    return 0;
}

/* ---- sampling ---- */

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
static int read_bias(struct chat_request *r, const struct fields *body)
{
    struct fields map;
    const char *key;
    json_t *value;
    int n = 0;
    if (field_object(body, "logit_bias", &map)) return -1;
    if (json_object_size(map.object) > CHAT_MAX_BIAS)
        return field_refuse(body, 422, "logit_bias", "has %zu tokens, allowed are %d",
                            json_object_size(map.object), CHAT_MAX_BIAS);
    json_object_foreach(map.object, key, value)
    {
        if (read_token_id(body, key, &r->bias[n].id) ||
            field_number(&map, key, -100, 100, &r->bias[n].bias))
            return -1;
        n++;
    }
    r->sampling.bias = r->bias;
    r->sampling.n_bias = n;
    return 0;
}

static int read_logprobs(struct chat_request *r, const struct fields *body)
{
    int top = 0;
    if (field_bool(body, "logprobs", &r->logprobs) ||
        field_int(body, "top_logprobs", 0, SAMPLER_MAX_LOGPROBS, &top))
        return -1;
    if (top > 0 && !r->logprobs)
        return field_refuse(body, 400, "top_logprobs", "needs \"logprobs\": true");
    r->sampling.logprobs = r->logprobs ? top : -1;
    return 0;
}

static int read_seed(struct chat_request *r, const struct fields *body)
{
    json_int_t seed = -1;
    if (field_integer(body, "seed", INT64_MIN, INT64_MAX, &seed)) return -1;
    r->has_seed = seed != -1;
    r->seed = r->has_seed ? (uint64_t)seed : 0;
    return 0;
}

static int read_sampling(struct chat_request *r, const struct fields *body)
{
    struct sampler_options *s = &r->sampling;
    *s = sampler_defaults();
    if (field_number(body, "temperature", 0, 2, &s->temperature) ||
        field_number(body, "top_p", 0, 1, &s->top_p) ||
        field_number(body, "min_p", 0, 1, &s->min_p) ||
        field_number(body, "repetition_penalty", 0.01, 100, &s->repeat_penalty) ||
        field_number(body, "presence_penalty", -2, 2, &s->presence_penalty) ||
        field_number(body, "frequency_penalty", -2, 2, &s->frequency_penalty) ||
        field_int(body, "top_k", -1, INT_MAX, &s->top_k) || read_bias(r, body) ||
        read_logprobs(r, body) || read_seed(r, body))
        return -1;
    if (s->top_p == 0) return field_refuse(body, 422, "top_p", "must be above 0");
    if (s->top_k < 0) s->top_k = 0;
    return 0;
}

/* The hosted API takes these fields while thinking, and does nothing with them. */
static void ignore_sampling(struct sampler_options *s)
{
    struct sampler_options plain = sampler_defaults();
    plain.bias = s->bias;
    plain.n_bias = s->n_bias;
    plain.logprobs = s->logprobs;
    *s = plain;
}

/* ---- length and form of the answer ---- */

static int read_limits(struct chat_request *r, const struct fields *body)
{
    bool skip_specials = true; /* nothing but text comes out anyway */
    r->n = 1;
    r->max_tokens = -1;
    if (field_int(body, "n", 1, CHAT_MAX_CHOICES, &r->n) ||
        field_int(body, "max_tokens", 1, INT_MAX, &r->max_tokens) ||
        field_int(body, "max_completion_tokens", 1, INT_MAX, &r->max_tokens) ||
        field_int(body, "min_tokens", 0, INT_MAX, &r->min_tokens) ||
        field_bool(body, "ignore_eos", &r->ignore_eos) ||
        field_bool(body, "skip_special_tokens", &skip_specials))
        return -1;
    return field_texts(body, "stop", PARSE_MAX_STOPS, 1, PARSE_MAX_STOP_BYTES, r->stops,
                       &r->n_stops);
}

static int read_stream(struct chat_request *r, const struct fields *body)
{
    struct fields options;
    if (field_bool(body, "stream", &r->stream) || field_object(body, "stream_options", &options) ||
        field_bool(&options, "include_usage", &r->include_usage))
        return -1;
    if (options.object && !r->stream)
        return field_refuse(body, 400, "stream_options", "needs \"stream\": true");
    return 0;
}

static int read_schema(struct chat_request *r, const struct fields *format)
{
    struct fields outer, schema;
    const char *name;
    bool strict;
    if (field_require(format, "json_schema") || field_object(format, "json_schema", &outer) ||
        field_require(&outer, "name") || field_name(&outer, "name", &name) ||
        field_require(&outer, "schema") || field_object(&outer, "schema", &schema) ||
        field_bool(&outer, "strict", &strict))
        return -1;
    r->schema = schema.object;
    return 0;
}

static int read_format(struct chat_request *r, const struct fields *body)
{
    static const char *const types[] = {[FORMAT_TEXT] = "text",
                                        [FORMAT_JSON_OBJECT] = "json_object",
                                        [FORMAT_JSON_SCHEMA] = "json_schema"};
    struct fields format;
    int type = FORMAT_TEXT;
    if (field_object(body, "response_format", &format) ||
        (format.object && field_require(&format, "type")) ||
        field_word(&format, "type", types, 3, &type))
        return -1;
    r->format = (enum response_format)type;
    return r->format == FORMAT_JSON_SCHEMA ? read_schema(r, &format) : 0;
}

/* ---- what is not done yet ---- */

/* Whether a field asks for nothing. */
static bool is_nothing(const json_t *value)
{
    if (json_is_object(value)) return json_object_size(value) == 0;
    if (json_is_array(value)) return json_array_size(value) == 0;
    if (json_is_string(value)) return json_string_length(value) == 0;
    return !value || json_is_false(value);
}

static int refuse_undone(const struct chat_request *r, const struct fields *body,
                         const struct chat_rules *rules)
{
    static const char *const undone[] = {
        "grammar",        "json_schema",        "guided_json",    "guided_regex", "guided_choice",
        "guided_grammar", "structured_outputs", "stop_token_ids", "functions"};
    bool must_call = r->tool_choice == TOOLS_REQUIRED || r->tool_choice == TOOLS_NAMED;
    for (size_t i = 0; i < sizeof undone / sizeof *undone; i++)
        if (!is_nothing(field_get(body, undone[i])))
            return field_refuse(body, 400, undone[i], "is not supported yet");
    if (r->min_tokens > 0)
        return field_refuse(body, 400, "min_tokens", "above 0 is not supported yet");
    if (r->format != FORMAT_TEXT)
        return field_refuse(body, 400, "response_format", "only \"text\" is supported yet");
    if (must_call && rules->deepseek_compat && r->prompt.thinking)
        return api_refuse(body->e, 400, "tool_choice",
                          "Thinking mode does not support this tool_choice");
    if (must_call)
        return field_refuse(body, 400, "tool_choice", "only none and auto are supported yet");
    if (r->sampling.n_bias && r->logprobs)
        return field_refuse(body, 400, "logit_bias", "is not supported together with logprobs");
    return 0;
}

/* ---- the whole ---- */

int chat_request_read(struct chat_request *out, json_t *body, const struct chat_rules *rules,
                      struct api_error *e)
{
    struct fields f = fields_of(body, e);
    *out = (struct chat_request){.body = body};
    if (!json_is_object(body)) {
        api_refuse(e, 400, NULL, "the body is not a JSON object");
        goto fail;
    }
    if (read_model(out, &f) || chat_thinking_read(out, &f, rules) || read_sampling(out, &f) ||
        read_limits(out, &f) || read_stream(out, &f) || read_format(out, &f) ||
        chat_tools_read(out, &f) || refuse_undone(out, &f, rules) ||
        chat_messages_read(out, &f, rules))
        goto fail;
    if (rules->deepseek_compat && out->prompt.thinking) ignore_sampling(&out->sampling);
    return 0;

fail:
    chat_request_fini(out);
    return -1;
}

void chat_request_fini(struct chat_request *r)
{
    json_decref(r->body);
    *r = (struct chat_request){0};
}
