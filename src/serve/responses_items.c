#include "serve/responses_items.h"

#include <stdint.h>
#include <string.h>

#include "base/json.h"
#include "serve/dialect.h"
#include "serve/dialogue.h"
#include "serve/opaque.h"

enum { MAX_TEXT = 1 << 30 };

/* ---- messages ---- */

/* A part of a message that is text. */
static int read_part(const struct fields *item, const json_t *parts, size_t i, json_t **text)
{
    static const char *const types[] = {"input_text", "output_text", "text", "refusal"};
    struct fields part;
    int type = 0;
    if (field_element(item, "content", parts, i, &part) || field_require(&part, "type") ||
        field_word(&part, "type", types, 4, &type))
        return -1;
    return dialect_string(&part, type == 3 ? "refusal" : "text", text);
}

static int read_message(struct dialogue *d, const struct fields *item)
{
    static const char *const roles[] = {"user", "assistant", "system", "developer"};
    static const enum turn turns[] = {TURN_USER, TURN_ASSISTANT, TURN_SYSTEM, TURN_SYSTEM};
    const json_t *content = field_get(item, "content");
    int role = 0;
    json_t *text;
    if (field_require(item, "role") || field_word(item, "role", roles, 4, &role) ||
        field_require(item, "content"))
        return -1;
    if (json_is_string(content)) {
        dialogue_text(d, turns[role], content, "\n\n");
        return 0;
    }
    if (!json_is_array(content))
        return field_refuse(item, 400, "content", "must be a string or a list of parts");
    for (size_t i = 0; i < json_array_size(content); i++) {
        if (read_part(item, content, i, &text)) return -1;
        dialogue_text(d, turns[role], text, i && turns[role] == TURN_ASSISTANT ? "" : "\n\n");
    }
    return 0;
}

/* ---- calls and what they gave ---- */

static int read_call(struct dialogue *d, const struct fields *item)
{
    const char *id = NULL, *name = NULL;
    struct err err = {0};
    json_t *arguments;
    if (dialect_label(item, "call_id", &id) || dialect_label(item, "name", &name) ||
        dialect_string(item, "arguments", &arguments))
        return -1;
    if (json_check_shape("the text", json_string_value(arguments), json_string_length(arguments),
                         &err))
        return field_refuse(item, 400, "arguments", "%s", err.message);
    dialogue_call(d, id, name, arguments);
    return 0;
}

static int read_custom_call(struct dialogue *d, const struct fields *item)
{
    const char *id = NULL, *name = NULL;
    json_t *input;
    if (dialect_label(item, "call_id", &id) || dialect_label(item, "name", &name) ||
        dialect_string(item, "input", &input))
        return -1;
    json_t *arguments = json_pack("{s:O}", "input", input);
    dialogue_call(d, id, name, arguments);
    json_decref(arguments);
    return 0;
}

static int check_output_part(const struct fields *item, const json_t *parts, size_t i)
{
    struct fields part;
    const char *type = NULL;
    json_t *text;
    if (field_element(item, "output", parts, i, &part) || dialect_label(&part, "type", &type))
        return -1;
    bool is_text = strcmp(type, "input_text") == 0 || strcmp(type, "text") == 0;
    return is_text ? dialect_string(&part, "text", &text) : 0;
}

static int read_output(struct dialogue *d, const struct fields *item)
{
    const json_t *output = field_get(item, "output");
    const char *id = NULL;
    if (dialect_label(item, "call_id", &id) || field_require(item, "output")) return -1;
    if (!json_is_string(output) && !json_is_array(output))
        return field_refuse(item, 400, "output", "must be a string or a list of parts");
    for (size_t i = 0; i < json_array_size(output); i++)
        if (check_output_part(item, output, i)) return -1;
    dialogue_result(d, id, output, "input_text");
    return 0;
}

/* ---- reasoning ---- */

/* The texts of a list of parts that are of that type. */
static int read_texts(struct buf *out, const struct fields *item, const char *field,
                      const char *type, const char *between)
{
    json_t *list = NULL, *text;
    if (field_list(item, field, 0, SIZE_MAX, &list)) return -1;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *const types[] = {type, "text"};
        struct fields part;
        int index;
        if (field_element(item, field, list, i, &part) || field_require(&part, "type") ||
            field_word(&part, "type", types, 2, &index) || dialect_string(&part, "text", &text))
            return -1;
        if (i) buf_add_str(out, between);
        buf_add(out, json_string_value(text), json_string_length(text));
    }
    return 0;
}

static int read_reasoning(struct dialogue *d, const struct fields *item)
{
    const json_t *opaque = field_get(item, "encrypted_content");
    struct buf content, summary;
    int rc = -1;
    buf_init(&content, MAX_TEXT);
    buf_init(&summary, MAX_TEXT);
    if (read_texts(&content, item, "content", "reasoning_text", "") ||
        read_texts(&summary, item, "summary", "summary_text", "\n\n"))
        goto done;
    if (opaque && !json_is_string(opaque)) {
        field_refuse(item, 400, "encrypted_content", "must be a string");
        goto done;
    }
    if (!content.size && opaque)
        opaque_read(&content, json_string_value(opaque), json_string_length(opaque));
    const struct buf *text = content.size ? &content : &summary;
    if (content.failed || summary.failed) d->failed = true;
    dialogue_reasoning(d, buf_text(text), text->size);
    rc = 0;

done:
    buf_fini(&content);
    buf_fini(&summary);
    return rc;
}

/* ---- the list ---- */

static int read_item(struct dialogue *d, const struct fields *item)
{
    static const struct {
        const char *type;
        int (*read)(struct dialogue *d, const struct fields *item);
    } kinds[] = {{"message", read_message},
                 {"function_call", read_call},
                 {"function_call_output", read_output},
                 {"custom_tool_call", read_custom_call},
                 {"custom_tool_call_output", read_output},
                 {"reasoning", read_reasoning}};
    const char *type = "message";
    if (field_text(item, "type", 1, DIALECT_MAX_LABEL, &type)) return -1;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(type, kinds[i].type) == 0) return kinds[i].read(d, item);
    return field_refuse(item, 400, "type", "items of type \"%.64s\" are not supported", type);
}

static int read_list(struct dialogue *d, const struct fields *body, const json_t *input)
{
    struct fields item = {0};
    for (size_t i = 0; i < json_array_size(input); i++)
        if (field_element(body, "input", input, i, &item) || read_item(d, &item)) return -1;
    if (d->open != TURN_ASSISTANT) return 0;
    return field_refuse(&item, 400, "",
                        "the last item must be a message of the user's or what a tool gave");
}

static int read_conversation(struct dialogue *d, const struct fields *body)
{
    const json_t *instructions = field_get(body, "instructions"), *input = field_get(body, "input");
    if (field_require(body, "input")) return -1;
    if (instructions && !json_is_string(instructions))
        return field_refuse(body, 400, "instructions", "must be a string");
    if (instructions) dialogue_text(d, TURN_SYSTEM, instructions, "");
    if (json_is_string(input)) {
        dialogue_text(d, TURN_USER, input, "");
        return 0;
    }
    if (!json_is_array(input))
        return field_refuse(body, 400, "input", "must be a string or a list of items");
    if (json_array_size(input) == 0) return field_refuse(body, 422, "input", "has no items");
    return read_list(d, body, input);
}

int responses_items_read(const struct fields *body, json_t *chat)
{
    struct dialogue d;
    dialogue_init(&d);
    int rc = read_conversation(&d, body);
    if (!rc && json_object_set_new(chat, "messages", dialogue_end(&d)))
        rc = api_refuse_memory(body->e);
    dialogue_fini(&d);
    return rc;
}
