#include "serve/chat_request.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "serve/chat_format.h"
#include "serve/chat_messages.h"
#include "serve/chat_thinking.h"
#include "serve/chat_tools.h"
#include "serve/fields.h"
#include "serve/sampling.h"

static int read_model(struct chat_request *r, const struct fields *body)
{
    return field_require(body, "model") || field_text(body, "model", 1, CHAT_MAX_MODEL, &r->model);
}

/* ---- sampling ---- */

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

static int read_sampling(struct chat_request *r, const struct fields *body)
{
    return sampling_read(&r->sampling, r->bias, body) || read_logprobs(r, body) ||
                   sampling_read_seed(&r->seed, &r->has_seed, body)
               ? -1
               : 0;
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
        sampling_read_ends(&r->ends, body) ||
        field_bool(body, "skip_special_tokens", &skip_specials))
        return -1;
    return field_texts(body, "stop", PARSE_MAX_STOPS, 1, PARSE_MAX_STOP_BYTES, r->stops,
                       &r->n_stops);
}

/* ---- what is not done yet ---- */

static int refuse_undone(const struct chat_request *r, const struct fields *body,
                         const struct chat_rules *rules)
{
    static const char *const undone[] = {"functions"};
    bool must_call = r->tool_choice == TOOLS_REQUIRED || r->tool_choice == TOOLS_NAMED;
    for (size_t i = 0; i < sizeof undone / sizeof *undone; i++)
        if (field_asks(body, undone[i]))
            return field_refuse(body, 400, undone[i], "is not supported yet");
    if (sampling_check_ends(&r->ends, r->max_tokens, r->n_stops,
                            r->is_bound ? r->answer_field : NULL, body))
        return -1;
    if (must_call && rules->deepseek_compat && r->prompt.thinking)
        return api_refuse(body->e, 400, "tool_choice",
                          "Thinking mode does not support this tool_choice");
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
    if (read_model(out, &f) || sharing_read(&out->sharing, &f) ||
        chat_thinking_read(out, &f, rules) || read_sampling(out, &f) || read_limits(out, &f) ||
        sampling_read_stream(&out->stream, &out->include_usage, &f) || chat_tools_read(out, &f) ||
        chat_format_read(out, &f) || refuse_undone(out, &f, rules) ||
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
