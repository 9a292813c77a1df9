#include "measure/chat_stream.h"

#include <stdint.h>
#include <string.h>

#include "base/json.h"

void chat_stream_init(struct chat_stream *c, bool keeps_text)
{
    *c = (struct chat_stream){.keeps_text = keeps_text, .prompt_tokens = -1, .answer_tokens = -1};
    buf_init(&c->text, CHAT_STREAM_MAX_TEXT);
}

void chat_stream_fini(struct chat_stream *c)
{
    buf_fini(&c->text);
}

/* A count of tokens, small enough that no sum of them wraps; or what it was before. */
static long count_in(const json_t *object, const char *name, long before)
{
    const json_t *n = json_object_get(object, name);
    json_int_t value = json_is_integer(n) ? json_integer_value(n) : -1;
    return value >= 0 && value <= INT32_MAX ? (long)value : before;
}

static void take_usage(struct chat_stream *c, const json_t *usage)
{
    if (!json_is_object(usage)) return;
    const json_t *details = json_object_get(usage, "prompt_tokens_details");
    c->prompt_tokens = count_in(usage, "prompt_tokens", c->prompt_tokens);
    c->answer_tokens = count_in(usage, "completion_tokens", c->answer_tokens);
    c->cached_tokens = count_in(details, "cached_tokens", c->cached_tokens);
}

static bool has_text(const json_t *delta, const char *name)
{
    return json_string_length(json_object_get(delta, name)) > 0;
}

static bool take_choice(struct chat_stream *c, const json_t *choice)
{
    const json_t *delta = json_object_get(choice, "delta");
    const json_t *content = json_object_get(delta, "content");
    if (json_is_string(json_object_get(choice, "finish_reason"))) c->finished = true;
    if (c->keeps_text && json_is_string(content))
        buf_add(&c->text, json_string_value(content), json_string_length(content));
    return has_text(delta, "content") || has_text(delta, "reasoning_content") ||
           has_text(delta, "reasoning") || json_array_size(json_object_get(delta, "tool_calls"));
}

bool chat_stream_take(struct chat_stream *c, const char *data, size_t size)
{
    json_t *event = NULL;
    bool brings_text = false;
    if (c->done) c->malformed = true;
    if (c->malformed) return false;
    if (size == 6 && !memcmp(data, "[DONE]", 6)) {
        c->done = true;
        return false;
    }
    if (json_parse(&event, "an event", data, size, NULL) || !json_is_object(event)) {
        c->malformed = true;
        json_decref(event);
        return false;
    }
    json_t *choices = json_object_get(event, "choices");
    if (json_is_object(json_object_get(event, "error"))) c->failed = true;
    for (size_t i = 0; i < json_array_size(choices); i++)
        brings_text |= take_choice(c, json_array_get(choices, i));
    take_usage(c, json_object_get(event, "usage"));
    json_decref(event);
    c->n_texts += brings_text;
    return brings_text;
}
