#include "serve/dialogue.h"

#include <string.h>

enum { MAX_TEXT = 1 << 30 }; /* beyond any body */

void dialogue_init(struct dialogue *d)
{
    *d = (struct dialogue){.messages = json_array()};
    d->failed = !d->messages;
    buf_init(&d->text, MAX_TEXT);
    buf_init(&d->reasoning, MAX_TEXT);
}

void dialogue_fini(struct dialogue *d)
{
    buf_fini(&d->text);
    buf_fini(&d->reasoning);
    json_decref(d->messages);
    json_decref(d->calls);
    *d = (struct dialogue){0};
}

static json_t *string_of(const struct buf *b)
{
    return b->failed ? NULL : json_stringn(buf_text(b), b->size);
}

static void add_message(struct dialogue *d, json_t *message)
{
    if (json_array_append_new(d->messages, message)) d->failed = true;
}

/* The message being made is complete. */
static void close_turn(struct dialogue *d)
{
    static const char *const names[] = {
        [TURN_SYSTEM] = "system", [TURN_USER] = "user", [TURN_ASSISTANT] = "assistant"};
    if (d->open == TURN_NONE) return;
    json_t *message =
        json_pack("{s:s, s:o}", "role", names[d->open], "content", string_of(&d->text));
    if (d->has_reasoning &&
        json_object_set_new(message, "reasoning_content", string_of(&d->reasoning)))
        d->failed = true;
    if (d->calls && json_object_set(message, "tool_calls", d->calls)) d->failed = true;
    add_message(d, message);
    buf_clear(&d->text);
    buf_clear(&d->reasoning);
    json_decref(d->calls);
    d->calls = NULL;
    d->has_reasoning = false;
    d->open = TURN_NONE;
}

static void open_turn(struct dialogue *d, enum turn role)
{
    if (d->open == role) return;
    close_turn(d);
    d->open = role;
}

static void add_part(struct buf *b, const char *text, size_t size, const char *between)
{
    if (b->size && size) buf_add_str(b, between);
    buf_add(b, text, size);
}

void dialogue_text(struct dialogue *d, enum turn role, const json_t *text, const char *between)
{
    open_turn(d, role);
    add_part(&d->text, json_string_value(text), json_string_length(text), between);
}

void dialogue_reasoning(struct dialogue *d, const char *text, size_t size)
{
    open_turn(d, TURN_ASSISTANT);
    d->has_reasoning = true;
    buf_add(&d->reasoning, text, size);
}

void dialogue_call(struct dialogue *d, const char *id, const char *name, json_t *arguments)
{
    open_turn(d, TURN_ASSISTANT);
    if (!d->calls) d->calls = json_array();
    if (json_array_append_new(d->calls,
                              json_pack("{s:s, s:s, s:{s:s, s:O}}", "id", id, "type", "function",
                                        "function", "name", name, "arguments", arguments)))
        d->failed = true;
}

void dialogue_result(struct dialogue *d, const char *call_id, const json_t *content,
                     const char *text_type)
{
    close_turn(d);
    if (json_is_string(content))
        buf_add(&d->text, json_string_value(content), json_string_length(content));
    for (size_t i = 0; i < json_array_size(content); i++) {
        const json_t *part = json_array_get(content, i), *text = json_object_get(part, "text");
        const char *type = json_string_value(json_object_get(part, "type"));
        if (i) buf_add_str(&d->text, "\n\n");
        if (strcmp(type, text_type) == 0 || strcmp(type, "text") == 0)
            buf_add(&d->text, json_string_value(text), json_string_length(text));
        else
            buf_printf(&d->text, "[Unsupported %s]", type);
    }
    add_message(d, json_pack("{s:s, s:s, s:o}", "role", "tool", "tool_call_id", call_id, "content",
                             string_of(&d->text)));
    buf_clear(&d->text);
}

json_t *dialogue_end(struct dialogue *d)
{
    close_turn(d);
    return d->failed ? NULL : json_incref(d->messages);
}
