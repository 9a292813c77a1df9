#include "serve/responses_request.h"

#include <limits.h>
#include <stdint.h>
#include <string.h>

#include "serve/chat_request.h"
#include "serve/dialect.h"
#include "serve/responses_items.h"
#include "serve/responses_tools.h"

/* ---- what a server without a store cannot do ---- */

static int refuse_stored(const struct fields *body)
{
    static const char *const names[] = {"previous_response_id", "conversation", "prompt"};
    bool background = false, store;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (field_get(body, names[i]))
            return field_refuse(body, 400, names[i],
                                "is not supported: this server stores no responses");
    if (field_bool(body, "background", &background) || field_bool(body, "store", &store)) return -1;
    return background ? field_refuse(body, 400, "background", "true is not supported") : 0;
}

static int read_include(struct responses_request *r, const struct fields *body)
{
    json_t *list = NULL;
    int top = 0;
    if (field_list(body, "include", 0, SIZE_MAX, &list) ||
        field_int(body, "top_logprobs", 0, SAMPLER_MAX_LOGPROBS, &top))
        return -1;
    if (top > 0) return field_refuse(body, 400, "top_logprobs", "above 0 is not supported");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *word = json_string_value(json_array_get(list, i));
        if (!word) return field_refuse(body, 400, "include", "must be a list of strings");
        if (strcmp(word, "message.output_text.logprobs") == 0)
            return field_refuse(body, 400, "include", "\"%s\" is not supported", word);
        r->encrypted |= strcmp(word, "reasoning.encrypted_content") == 0;
    }
    return 0;
}

/* ---- their counterparts ---- */

static int read_reasoning(struct responses_request *r, const struct fields *body)
{
    static const char *const summaries[] = {"none", "auto", "concise", "detailed"};
    struct fields reasoning;
    const char *effort = NULL;
    int summary = 0;
    if (field_object(body, "reasoning", &reasoning) ||
        field_text(&reasoning, "effort", 1, DIALECT_MAX_LABEL, &effort) ||
        field_word(&reasoning, "generate_summary", summaries, 4, &summary) ||
        field_word(&reasoning, "summary", summaries, 4, &summary))
        return -1;
    r->summary = summary > 0;
    if (effort && strcmp(effort, "none") != 0 && !chat_effort_exists(effort))
        return field_refuse(&reasoning, 400, "effort",
                            "\"%.32s\" is unknown; there are none, minimal, low, medium, high, "
                            "xhigh and max",
                            effort);
    return field_pass(&reasoning, "effort", r->chat, "reasoning_effort");
}

/* {"type": "json_schema", "name", "schema", "strict"}: flat here. */
static int read_schema(const struct fields *format, json_t *chat)
{
    struct fields schema;
    const char *name = NULL;
    bool strict;
    if (field_require(format, "name") || field_name(format, "name", &name) ||
        field_require(format, "schema") || field_object(format, "schema", &schema) ||
        field_bool(format, "strict", &strict))
        return -1;
    json_t *outer = json_pack("{s:s, s:o}", "name", name, "schema", json_deep_copy(schema.object));
    if (field_pass(format, "strict", outer, "strict")) {
        json_decref(outer);
        return -1;
    }
    return dialect_set(chat, "response_format",
                       json_pack("{s:s, s:o}", "type", "json_schema", "json_schema", outer),
                       format->e);
}

static int read_text(const struct fields *body, json_t *chat)
{
    static const char *const types[] = {"text", "json_object", "json_schema"};
    struct fields text, format;
    const char *verbosity;
    int type = 0;
    if (field_object(body, "text", &text) ||
        field_text(&text, "verbosity", 1, DIALECT_MAX_LABEL, &verbosity) ||
        field_object(&text, "format", &format) ||
        (format.object && field_require(&format, "type")) ||
        field_word(&format, "type", types, 3, &type))
        return -1;
    if (type == 0) return 0;
    if (type == 2) return read_schema(&format, chat);
    return dialect_set(chat, "response_format", json_pack("{s:s}", "type", types[type]), body->e);
}

static int pass_fields(const struct fields *body, json_t *chat)
{
    static const char *const names[] = {"model",
                                        "temperature",
                                        "top_p",
                                        "stream",
                                        "user",
                                        "top_k",
                                        "min_p",
                                        "seed",
                                        "repetition_penalty",
                                        "presence_penalty",
                                        "frequency_penalty",
                                        "ignore_eos",
                                        "chat_template_kwargs"};
    int max_tokens;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (field_pass(body, names[i], chat, names[i])) return -1;
    if (field_int(body, "max_output_tokens", 1, INT_MAX, &max_tokens)) return -1;
    return field_pass(body, "max_output_tokens", chat, "max_tokens");
}

/* ---- what the response repeats ---- */

static size_t characters_of(const char *text, size_t size)
{
    size_t n = 0;
    for (size_t i = 0; i < size; i++)
        n += ((unsigned char)text[i] & 0xc0) != 0x80;
    return n;
}

/* Limits as OpenAI has them. */
static int check_metadata(const struct fields *body)
{
    struct fields metadata;
    const char *key;
    json_t *value;
    if (field_object(body, "metadata", &metadata)) return -1;
    if (json_object_size(metadata.object) > RESPONSES_MAX_METADATA)
        return field_refuse(body, 400, "metadata", "has %zu pairs, allowed are %d",
                            json_object_size(metadata.object), RESPONSES_MAX_METADATA);
    json_object_foreach(metadata.object, key, value)
    {
        size_t n = characters_of(key, strlen(key));
        if (n > RESPONSES_MAX_KEY)
            return field_refuse(body, 400, "metadata", "a key has %zu characters, allowed are %d",
                                n, RESPONSES_MAX_KEY);
        if (!json_is_string(value))
            return field_refuse(body, 400, "metadata", "the values must be strings");
        n = characters_of(json_string_value(value), json_string_length(value));
        if (n > RESPONSES_MAX_VALUE)
            return field_refuse(body, 400, "metadata", "a value has %zu characters, allowed are %d",
                                n, RESPONSES_MAX_VALUE);
    }
    return 0;
}

static int echo_reasoning(const struct fields *body, json_t *echo)
{
    const json_t *given = field_get(body, "reasoning");
    return dialect_set(echo, "reasoning",
                       json_pack("{s:O?, s:O?}", "effort", json_object_get(given, "effort"),
                                 "summary", json_object_get(given, "summary")),
                       body->e);
}

static int echo_text(const struct fields *body, json_t *echo)
{
    json_t *text = json_pack("{s:{s:s}, s:s}", "format", "type", "text", "verbosity", "medium");
    struct fields given;
    if (dialect_set(echo, "text", text, body->e) || field_object(body, "text", &given)) return -1;
    return field_pass(&given, "format", text, "format") ||
                   field_pass(&given, "verbosity", text, "verbosity")
               ? -1
               : 0;
}

/* Every field is there: clients want them. */
static int read_echo(const struct fields *body, json_t *echo)
{
    static const struct {
        const char *name;
        const char *otherwise; /* JSON */
        bool as_given;
    } fields[] = {
        {"background", "false", false},
        {"instructions", "null", true},
        {"max_output_tokens", "null", true},
        {"max_tool_calls", "null", true},
        {"metadata", "{}", true},
        {"parallel_tool_calls", "true", true},
        {"previous_response_id", "null", false},
        {"prompt_cache_key", "null", true},
        {"safety_identifier", "null", true},
        {"service_tier", "\"default\"", false},
        {"store", "false", false},
        {"temperature", "1", true},
        {"tool_choice", "\"auto\"", true},
        {"tools", "[]", true},
        {"top_logprobs", "0", false},
        {"top_p", "1", true},
        {"truncation", "\"disabled\"", false},
        {"user", "null", true},
    };
    if (check_metadata(body)) return -1;
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        if (dialect_set(echo, fields[i].name,
                        json_loads(fields[i].otherwise, JSON_DECODE_ANY, NULL), body->e) ||
            (fields[i].as_given && field_pass(body, fields[i].name, echo, fields[i].name)))
            return -1;
    }
    return echo_reasoning(body, echo) || echo_text(body, echo) ? -1 : 0;
}

/* ---- the whole ---- */

int responses_request_read(struct responses_request *out, json_t *body, struct api_error *e)
{
    struct fields f = fields_of(body, e);
    *out = (struct responses_request){
        .chat = json_object(), .echo = json_object(), .custom = json_object()};
    int rc = !out->chat || !out->echo || !out->custom ? api_refuse_memory(e) : 0;
    if (!rc && (refuse_stored(&f) || read_include(out, &f) || pass_fields(&f, out->chat) ||
                read_reasoning(out, &f) || read_text(&f, out->chat) ||
                responses_tools_read(&f, out->chat, out->custom) ||
                responses_items_read(&f, out->chat) || read_echo(&f, out->echo)))
        rc = -1;
    json_decref(body);
    if (rc) responses_request_fini(out);
    return rc;
}

int responses_request_limit(const struct responses_request *r, size_t most, struct api_error *e)
{
    const struct fields echo = fields_of(r->echo, e);
    const char *name, *largest = "";
    json_t *value;
    size_t sum = 0, max = 0;
    json_object_foreach(r->echo, name, value)
    {
        size_t size = json_dumpb(value, NULL, 0, JSON_COMPACT | JSON_ENCODE_ANY);
        sum += size;
        if (size <= max) continue;
        max = size;
        largest = name;
    }
    if (sum <= most) return 0;
    return field_refuse(&echo, 413, largest,
                        "has %zu bytes; what a paced stream repeats of its request has %zu, "
                        "allowed are %zu",
                        max, sum, most);
}

void responses_request_fini(struct responses_request *r)
{
    json_decref(r->chat);
    json_decref(r->echo);
    json_decref(r->custom);
    *r = (struct responses_request){0};
}
