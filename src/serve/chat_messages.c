#include "serve/chat_messages.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"

enum role { SYSTEM, DEVELOPER, USER, ASSISTANT, TOOL, REMINDER, N_ROLES };

static const char *const role_names[N_ROLES] = {
    [SYSTEM] = "system",       [DEVELOPER] = "developer", [USER] = "user",
    [ASSISTANT] = "assistant", [TOOL] = "tool",           [REMINDER] = "latest_reminder",
};

enum { MAX_LABEL = 512 }; /* bytes of ids and names that only come back */

struct reader {
    json_t *messages;
    bool thinking, compat;
    bool continue_final; /* the request's own field */
    bool continues;
    json_t *unanswered; /* compat: ids of calls that have no result yet */
};

/* Sets a field of a message; takes value, which is NULL when there was no memory for it. */
static int set_field(const struct fields *message, const char *name, json_t *value)
{
    if (json_object_set_new(message->object, name, value)) return api_refuse_memory(message->e);
    return 0;
}

/* ---- content ---- */

/* Adds the bytes of a part to *size. */
static int check_part(const struct fields *message, const json_t *parts, size_t i, size_t *size)
{
    struct fields part;
    if (field_element(message, "content", parts, i, &part) || field_require(&part, "type"))
        return -1;
    const json_t *type = field_get(&part, "type");
    if (!json_is_string(type)) return field_refuse(&part, 400, "type", "must be a string");
    if (strcmp(json_string_value(type), "text") != 0)
        return field_refuse(&part, 400, "type", "\"%.32s\" is not supported: this model reads text",
                            json_string_value(type));
    const json_t *text = field_get(&part, "text");
    if (!json_is_string(text)) return field_refuse(&part, 400, "text", "must be a string");
    *size += json_string_length(text); /* no more than the body has */
    return 0;
}

/* The parts become one string. */
static int join_parts(const struct fields *message, const json_t *parts)
{
    size_t size = 0, at = 0;
    for (size_t i = 0; i < json_array_size(parts); i++)
        if (check_part(message, parts, i, &size)) return -1;
    char *text = malloc(size + 1);
    if (!text) return api_refuse_memory(message->e);
    for (size_t i = 0; i < json_array_size(parts); i++) {
        const json_t *part = json_object_get(json_array_get(parts, i), "text");
        memcpy(text + at, json_string_value(part), json_string_length(part));
        at += json_string_length(part);
    }
    json_t *joined = json_stringn(text, size);
    free(text);
    return set_field(message, "content", joined);
}

static int read_content(const struct fields *message)
{
    const json_t *content = field_get(message, "content");
    if (json_is_string(content)) return 0;
    if (json_is_array(content)) return join_parts(message, content);
    return field_refuse(message, 400, "content", "must be a string or a list of text parts");
}

/* ---- tool calls ---- */

/* The encoder parses text again: it must not grow into a tree that the body's own limits forbid. */
static int read_arguments(const struct fields *function)
{
    const json_t *value = field_get(function, "arguments");
    struct err err = {0};
    if (json_is_object(value)) {
        char *text = json_dumps(value, JSON_COMPACT);
        json_t *string = text ? json_string(text) : NULL;
        free(text);
        return set_field(function, "arguments", string);
    }
    if (value && !json_is_string(value))
        return field_refuse(function, 400, "arguments", "must be a string or an object");
    if (!value || json_string_length(value) == 0)
        return set_field(function, "arguments", json_string("{}"));
    if (json_check_shape("the text", json_string_value(value), json_string_length(value), &err))
        return field_refuse(function, 400, "arguments", "%s", err.message);
    return 0;
}

static int note_call(struct reader *r, const struct fields *call, const char *id)
{
    if (!r->compat) return 0;
    if (!id) return field_refuse(call, 400, "id", "is required");
    if (json_object_get(r->unanswered, id))
        return field_refuse(call, 400, "id", "\"%.64s\" stands twice", id);
    if (json_object_set_new(r->unanswered, id, json_true())) return api_refuse_memory(call->e);
    return 0;
}

static int read_call(struct reader *r, const struct fields *message, const json_t *calls, size_t i)
{
    static const char *const types[] = {"function"};
    struct fields call, function;
    const char *id = NULL, *name;
    int type;
    if (field_element(message, "tool_calls", calls, i, &call) ||
        field_text(&call, "id", 1, MAX_LABEL, &id) || field_word(&call, "type", types, 1, &type) ||
        field_require(&call, "function") || field_object(&call, "function", &function) ||
        field_require(&function, "name") || field_text(&function, "name", 1, MAX_LABEL, &name) ||
        read_arguments(&function))
        return -1;
    return note_call(r, &call, id);
}

/* ---- roles ---- */

static int read_reasoning(const struct fields *message, const json_t *calls, const struct reader *r)
{
    const char *field = field_get(message, "reasoning_content") ? "reasoning_content" : "reasoning";
    json_t *value = field_get(message, field);
    if (value && !json_is_string(value))
        return field_refuse(message, 400, field, "must be a string");
    if (value) return set_field(message, "reasoning_content", json_incref(value));
    if (!calls || !r->compat || !r->thinking) return 0;
    char param[sizeof message->e->param];
    snprintf(param, sizeof param, "%sreasoning_content", message->path);
    return api_refuse(
        message->e, 400, param,
        "The `reasoning_content` in the thinking mode must be passed back to the API.");
}

static int read_assistant(struct reader *r, const struct fields *message, bool is_continued)
{
    json_t *calls = NULL;
    if (field_list(message, "tool_calls", 0, SIZE_MAX, &calls)) return -1;
    for (size_t i = 0; i < json_array_size(calls); i++)
        if (read_call(r, message, calls, i)) return -1;
    if (json_array_size(calls) == 0) {
        json_object_del(message->object, "tool_calls");
        calls = NULL;
    }
    if (read_reasoning(message, calls, r)) return -1;
    if (is_continued) {
        if (calls)
            return field_refuse(message, 400, "tool_calls", "a message with calls cannot go on");
        r->continues = true;
        if (set_field(message, "wo_eos", json_true())) return -1;
    }
    if (field_get(message, "content")) return read_content(message);
    if (!calls && !field_get(message, "reasoning_content") && !is_continued)
        return field_refuse(message, 400, "content", "is required where there are no tool_calls");
    return set_field(message, "content", json_string(""));
}

static int read_result(struct reader *r, const struct fields *message)
{
    const char *id = NULL;
    if (field_text(message, "tool_call_id", 0, MAX_LABEL, &id)) return -1;
    if (r->compat && json_object_del(r->unanswered, id ? id : ""))
        return field_refuse(message, 400, "tool_call_id", "answers no tool call before it");
    return read_content(message);
}

/* Between a call and its result nothing else may stand. */
static int check_answered(const struct reader *r, const struct fields *message)
{
    if (json_object_size(r->unanswered) == 0) return 0;
    return field_refuse(message, 400, "", "a tool call before it has no result");
}

/* What only the encoder knows is not the API's; what the encoder checks in every role must not stop a
 * message in whose role it means nothing. */
static void drop_unknown(json_t *message, enum role role)
{
    static const struct {
        const char *name;
        enum role role;
    } fields[] = {
        {"task", N_ROLES},     {"tools", N_ROLES},        {"response_format", N_ROLES},
        {"wo_eos", N_ROLES},   {"tool_calls", ASSISTANT}, {"reasoning_content", ASSISTANT},
        {"tool_call_id", TOOL}};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (fields[i].role != role) json_object_del(message, fields[i].name);
}

static int read_role(const struct fields *message, enum role *role)
{
    int index = 0;
    if (field_require(message, "role") || field_word(message, "role", role_names, N_ROLES, &index))
        return -1;
    *role = (enum role)index;
    return 0;
}

static int read_message(struct reader *r, const struct fields *body, size_t i)
{
    bool is_last = i + 1 == json_array_size(r->messages), prefix = false;
    struct fields message;
    const char *name;
    enum role role;
    if (field_element(body, "messages", r->messages, i, &message) || read_role(&message, &role) ||
        field_text(&message, "name", 0, MAX_LABEL, &name) ||
        field_bool(&message, "prefix", &prefix))
        return -1;
    if (prefix && (role != ASSISTANT || !is_last))
        return field_refuse(&message, 400, "prefix",
                            "only the last message can be one, if it is "
                            "an assistant's");
    drop_unknown(message.object, role);
    if (role != TOOL && check_answered(r, &message)) return -1;
    if (role == DEVELOPER && set_field(&message, "role", json_string("system"))) return -1;
    if (role == TOOL) return read_result(r, &message);
    if (role != ASSISTANT) return read_content(&message);
    return read_assistant(r, &message, is_last && (prefix || r->continue_final));
}

/* ---- the list ---- */

static int check_end(const struct reader *r, const struct fields *body, bool add_prompt)
{
    struct fields last;
    size_t n = json_array_size(r->messages);
    if (field_element(body, "messages", r->messages, n - 1, &last)) return -1;
    const char *role = json_string_value(field_get(&last, "role"));
    if (r->continue_final && !r->continues)
        return field_refuse(body, 400, "continue_final_message",
                            "the last message is not an assistant's");
    if (!add_prompt && !r->continues)
        return field_refuse(body, 400, "add_generation_prompt",
                            "false is not supported without continue_final_message");
    if (strcmp(role, role_names[REMINDER]) == 0 ||
        (strcmp(role, role_names[ASSISTANT]) == 0 && !r->continues))
        return field_refuse(&last, 400, "role",
                            "the last message must be of user, tool or system, or of assistant "
                            "with \"prefix\": true");
    return check_answered(r, &last);
}

int chat_messages_read(struct chat_request *request, const struct fields *body,
                       const struct chat_rules *rules)
{
    struct reader r = {.thinking = request->prompt.thinking, .compat = rules->deepseek_compat};
    bool add_prompt = true;
    int rc = -1;
    if (field_require(body, "messages") || field_list(body, "messages", 1, SIZE_MAX, &r.messages) ||
        field_bool(body, "continue_final_message", &r.continue_final) ||
        field_bool(body, "add_generation_prompt", &add_prompt))
        return -1;
    r.unanswered = json_object();
    if (!r.unanswered) return api_refuse_memory(body->e);
    for (size_t i = 0; i < json_array_size(r.messages); i++)
        if (read_message(&r, body, i)) goto done;
    if (check_end(&r, body, add_prompt)) goto done;
    request->messages = r.messages;
    request->continues = r.continues;
    rc = 0;

done:
    json_decref(r.unanswered);
    return rc;
}
