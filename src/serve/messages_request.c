#include "serve/messages_request.h"

#include <limits.h>
#include <stdint.h>
#include <string.h>

#include "serve/chat_request.h"
#include "serve/dialect.h"
#include "serve/dialogue.h"

/* ---- blocks ---- */

enum block { TEXT, THINKING, REDACTED, TOOL_USE, TOOL_RESULT, IMAGE, DOCUMENT, N_BLOCKS };

static const char *const block_names[N_BLOCKS] = {
    [TEXT] = "text",         [THINKING] = "thinking",       [REDACTED] = "redacted_thinking",
    [TOOL_USE] = "tool_use", [TOOL_RESULT] = "tool_result", [IMAGE] = "image",
    [DOCUMENT] = "document"};

static int check_result_part(const struct fields *block, const json_t *parts, size_t i)
{
    struct fields part;
    const char *type = NULL;
    json_t *text;
    if (field_element(block, "content", parts, i, &part) || dialect_label(&part, "type", &type))
        return -1;
    return strcmp(type, "text") == 0 ? dialect_string(&part, "text", &text) : 0;
}

static int read_result(struct dialogue *d, const struct fields *block)
{
    const json_t *content = field_get(block, "content");
    const char *id = NULL;
    bool is_error;
    if (dialect_label(block, "tool_use_id", &id) || field_bool(block, "is_error", &is_error))
        return -1;
    if (content && !json_is_string(content) && !json_is_array(content))
        return field_refuse(block, 400, "content", "must be a string or a list of blocks");
    for (size_t i = 0; i < json_array_size(content); i++)
        if (check_result_part(block, content, i)) return -1;
    dialogue_result(d, id, content, "text");
    return 0;
}

static int read_tool_use(struct dialogue *d, const struct fields *block)
{
    struct fields input;
    const char *id = NULL, *name = NULL;
    if (dialect_label(block, "id", &id) || dialect_label(block, "name", &name) ||
        field_require(block, "input") || field_object(block, "input", &input))
        return -1;
    dialogue_call(d, id, name, input.object);
    return 0;
}

static int read_assistant_block(struct dialogue *d, const struct fields *block, enum block type)
{
    json_t *text;
    switch (type) {
    case TEXT:
        if (dialect_string(block, "text", &text)) return -1;
        dialogue_text(d, TURN_ASSISTANT, text, "");
        return 0;
    case THINKING:
        if (dialect_string(block, "thinking", &text)) return -1;
        dialogue_reasoning(d, json_string_value(text), json_string_length(text));
        return 0;
    case TOOL_USE:
        return read_tool_use(d, block);
    default:
        return field_refuse(block, 400, "type", "\"%s\" is not supported in an assistant's message",
                            block_names[type]);
    }
}

static int read_block_type(const struct fields *message, const json_t *blocks, size_t i,
                           struct fields *block, enum block *type)
{
    int index = 0;
    if (field_element(message, "content", blocks, i, block) || field_require(block, "type") ||
        field_word(block, "type", block_names, N_BLOCKS, &index))
        return -1;
    *type = (enum block)index;
    return 0;
}

/* One kind of a user's blocks: results, or text. */
static int read_user_blocks(struct dialogue *d, const struct fields *message, const json_t *blocks,
                            bool results)
{
    for (size_t i = 0; i < json_array_size(blocks); i++) {
        struct fields block;
        enum block type;
        json_t *text;
        if (read_block_type(message, blocks, i, &block, &type)) return -1;
        if (type != TEXT && type != TOOL_RESULT)
            return field_refuse(&block, 400, "type", "\"%s\" is not supported in a user's message",
                                block_names[type]);
        if ((type == TOOL_RESULT) != results) continue;
        if (results && read_result(d, &block)) return -1;
        if (results) continue;
        if (dialect_string(&block, "text", &text)) return -1;
        dialogue_text(d, TURN_USER, text, "\n\n");
    }
    return 0;
}

/* ---- messages ---- */

/* A list of text blocks. */
static int read_system_blocks(struct dialogue *d, const struct fields *in, const char *field,
                              const json_t *blocks)
{
    for (size_t i = 0; i < json_array_size(blocks); i++) {
        struct fields block;
        int type;
        json_t *text;
        if (field_element(in, field, blocks, i, &block) || field_require(&block, "type") ||
            field_word(&block, "type", block_names, 1, &type) ||
            dialect_string(&block, "text", &text))
            return -1;
        dialogue_text(d, TURN_SYSTEM, text, "\n");
    }
    return 0;
}

static int read_content(struct dialogue *d, const struct fields *message, enum turn role)
{
    const json_t *content = field_get(message, "content");
    if (field_require(message, "content")) return -1;
    if (json_is_string(content)) {
        dialogue_text(d, role, content, role == TURN_ASSISTANT ? "" : "\n\n");
        return 0;
    }
    if (!json_is_array(content))
        return field_refuse(message, 400, "content", "must be a string or a list of blocks");
    if (role == TURN_SYSTEM) return read_system_blocks(d, message, "content", content);
    if (role == TURN_USER)
        return read_user_blocks(d, message, content, true) ||
               read_user_blocks(d, message, content, false);
    for (size_t i = 0; i < json_array_size(content); i++) {
        struct fields block;
        enum block type;
        if (read_block_type(message, content, i, &block, &type) ||
            read_assistant_block(d, &block, type))
            return -1;
    }
    return 0;
}

static int read_messages(struct dialogue *d, const struct fields *body, json_t *chat)
{
    static const char *const roles[] = {"user", "assistant", "system"};
    static const enum turn turns[] = {TURN_USER, TURN_ASSISTANT, TURN_SYSTEM};
    json_t *list = NULL;
    struct fields message = {0};
    int role = 0;
    if (field_require(body, "messages") || field_list(body, "messages", 1, SIZE_MAX, &list))
        return -1;
    for (size_t i = 0; i < json_array_size(list); i++)
        if (field_element(body, "messages", list, i, &message) || field_require(&message, "role") ||
            field_word(&message, "role", roles, 3, &role) || read_content(d, &message, turns[role]))
            return -1;
    if (d->open == TURN_ASSISTANT && d->calls)
        return field_refuse(&message, 400, "content",
                            "the last message calls tools: it needs the "
                            "results behind it");
    if (d->open == TURN_ASSISTANT)
        return dialect_set(chat, "continue_final_message", json_true(), body->e);
    return 0;
}

static int read_conversation(const struct fields *body, json_t *chat)
{
    const json_t *system = field_get(body, "system");
    struct dialogue d;
    int rc = -1;
    dialogue_init(&d);
    if (json_is_string(system))
        dialogue_text(&d, TURN_SYSTEM, system, "");
    else if (json_is_array(system) && read_system_blocks(&d, body, "system", system))
        goto done;
    else if (system && !json_is_array(system)) {
        field_refuse(body, 400, "system", "must be a string or a list of text blocks");
        goto done;
    }
    if (read_messages(&d, body, chat)) goto done;
    rc = dialect_set(chat, "messages", dialogue_end(&d), body->e);

done:
    dialogue_fini(&d);
    return rc;
}

/* ---- tools ---- */

/* What is no function of the client's has a type of its own: "web_search_20250305", ... */
static int check_tool_type(const struct fields *tool)
{
    const char *type = "custom";
    if (field_text(tool, "type", 1, DIALECT_MAX_LABEL, &type)) return -1;
    if (strcmp(type, "custom") == 0) return 0;
    return field_refuse(tool, 400, "type", "\"%.64s\" is not supported: tools have an input_schema",
                        type);
}

static int read_tool(const struct fields *body, const json_t *list, size_t i, json_t *tools)
{
    struct fields tool, schema;
    const char *text = NULL;
    bool strict;
    json_t *function = json_object();
    if (field_element(body, "tools", list, i, &tool) || check_tool_type(&tool) ||
        field_require(&tool, "name") || field_name(&tool, "name", &text) ||
        field_text(&tool, "description", 0, SIZE_MAX, &text) ||
        field_require(&tool, "input_schema") || field_object(&tool, "input_schema", &schema) ||
        field_bool(&tool, "strict", &strict) || field_pass(&tool, "name", function, "name") ||
        field_pass(&tool, "description", function, "description") ||
        field_pass(&tool, "input_schema", function, "parameters") ||
        field_pass(&tool, "strict", function, "strict")) {
        json_decref(function);
        return -1;
    }
    if (json_array_append_new(tools,
                              json_pack("{s:s, s:o}", "type", "function", "function", function)))
        return api_refuse_memory(body->e);
    return 0;
}

static int read_choice(const struct fields *body, const json_t *tools, json_t *chat)
{
    enum { AUTO, ANY, NONE, TOOL };
    static const char *const types[] = {"auto", "any", "none", "tool"};
    static const char *const words[] = {"auto", "required", "none"};
    struct fields choice;
    int type = AUTO;
    bool alone = false;
    const char *name = NULL;
    if (field_object(body, "tool_choice", &choice)) return -1;
    if (!choice.object) return 0;
    if (field_require(&choice, "type") || field_word(&choice, "type", types, 4, &type) ||
        field_bool(&choice, "disable_parallel_tool_use", &alone))
        return -1;
    if (alone && dialect_set(chat, "parallel_tool_calls", json_false(), body->e)) return -1;
    if (type == ANY && !json_array_size(tools))
        return field_refuse(&choice, 400, "type", "\"any\" without tools");
    if (type != TOOL) return dialect_set(chat, "tool_choice", json_string(words[type]), body->e);
    if (field_require(&choice, "name") || field_name(&choice, "name", &name)) return -1;
    if (!dialect_has_function(tools, name))
        return field_refuse(&choice, 400, "name", "\"%s\" is not among the tools", name);
    return dialect_set(chat, "tool_choice",
                       json_pack("{s:s, s:{s:s}}", "type", "function", "function", "name", name),
                       body->e);
}

static int read_tools(const struct fields *body, json_t *chat)
{
    json_t *list = NULL, *tools = json_array();
    if (dialect_set(chat, "tools", tools, body->e) ||
        field_list(body, "tools", 0, CHAT_MAX_TOOLS, &list))
        return -1;
    for (size_t i = 0; i < json_array_size(list); i++)
        if (read_tool(body, list, i, tools)) return -1;
    return read_choice(body, tools, chat);
}

/* ---- everything else ---- */

static int read_thinking(const struct fields *body, json_t *chat)
{
    static const char *const types[] = {"enabled", "disabled", "adaptive"};
    struct fields thinking, config;
    int type = 0, budget;
    const char *effort = NULL;
    if (field_object(body, "thinking", &thinking) ||
        (thinking.object && field_require(&thinking, "type")) ||
        field_word(&thinking, "type", types, 3, &type) ||
        field_int(&thinking, "budget_tokens", 0, INT_MAX, &budget) ||
        field_object(body, "output_config", &config) ||
        field_text(&config, "effort", 1, DIALECT_MAX_LABEL, &effort))
        return -1;
    if (effort && !chat_effort_exists(effort))
        return field_refuse(&config, 400, "effort",
                            "\"%.32s\" is unknown; there are low, medium, high, xhigh and max",
                            effort);
    if (thinking.object &&
        dialect_set(chat, "thinking", json_pack("{s:s}", "type", types[type]), body->e))
        return -1;
    return field_pass(&config, "effort", chat, "reasoning_effort");
}

/* {"type": "json_schema", "schema": {...}} */
static int read_format(const struct fields *in, const char *field, json_t *chat)
{
    static const char *const types[] = {"json_schema"};
    struct fields format, schema;
    int type;
    if (field_object(in, field, &format)) return -1;
    if (!format.object) return 0;
    if (field_require(&format, "type") || field_word(&format, "type", types, 1, &type) ||
        field_require(&format, "schema") || field_object(&format, "schema", &schema))
        return -1;
    return dialect_set(chat, "response_format",
                       json_pack("{s:s, s:{s:s, s:O, s:b}}", "type", "json_schema", "json_schema",
                                 "name", "answer", "schema", schema.object, "strict", 1),
                       in->e);
}

static int read_formats(const struct fields *body, json_t *chat)
{
    struct fields config;
    if (field_object(body, "output_config", &config)) return -1;
    return read_format(body, "output_format", chat) || read_format(&config, "format", chat) ? -1
                                                                                            : 0;
}

static int read_limits(const struct fields *body, json_t *chat, bool counts)
{
    int max_tokens, n = 0;
    const char *stops[PARSE_MAX_STOPS];
    json_t *list = NULL;
    if ((!counts && field_require(body, "max_tokens")) ||
        field_int(body, "max_tokens", 1, INT_MAX, &max_tokens) ||
        field_list(body, "stop_sequences", 0, PARSE_MAX_STOPS, &list) ||
        field_texts(body, "stop_sequences", PARSE_MAX_STOPS, 1, PARSE_MAX_STOP_BYTES, stops, &n))
        return -1;
    return field_pass(body, "stop_sequences", chat, "stop") ||
                   (!counts && field_pass(body, "max_tokens", chat, "max_tokens"))
               ? -1
               : 0;
}

static int read_user(const struct fields *body, json_t *chat)
{
    struct fields metadata;
    const char *user = NULL;
    if (field_object(body, "metadata", &metadata) ||
        field_text(&metadata, "user_id", 0, SHARING_MAX_NAME, &user))
        return -1;
    return field_pass(&metadata, "user_id", chat, "user_id");
}

/* Those of the same name, type and range. */
static int pass_fields(const struct fields *body, json_t *chat, bool counts)
{
    static const char *const names[] = {"model",
                                        "temperature",
                                        "top_p",
                                        "top_k",
                                        "min_p",
                                        "seed",
                                        "repetition_penalty",
                                        "presence_penalty",
                                        "frequency_penalty",
                                        "ignore_eos",
                                        "chat_template_kwargs"};
    bool stream;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (field_pass(body, names[i], chat, names[i])) return -1;
    if (field_bool(body, "stream", &stream)) return -1;
    return counts ? 0 : field_pass(body, "stream", chat, "stream");
}

int messages_request_read(json_t **chat, json_t *body, bool counts, struct api_error *e)
{
    struct fields f = fields_of(body, e);
    json_t *out = json_object();
    *chat = NULL;
    int rc = pass_fields(&f, out, counts) || read_limits(&f, out, counts) || read_user(&f, out) ||
                     read_thinking(&f, out) || read_formats(&f, out) || read_tools(&f, out) ||
                     read_conversation(&f, out)
                 ? -1
                 : 0;
    json_decref(body); /* the values in `out` are its alone from here on */
    if (rc) {
        json_decref(out);
        return -1;
    }
    *chat = out;
    return 0;
}
