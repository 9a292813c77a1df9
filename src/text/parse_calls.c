#include <stdlib.h>
#include <string.h>

#include "text/parse_state.h"
#include "text/pyjson.h"

/* ---- arguments ---- */

/* Adds text to the arguments of the open call; what is there from `from` on goes out. */
static void send_arguments(struct parser *p, size_t from)
{
    size_t size = p->arguments.size - from;
    if (!parse_keep(p, size)) return;
    parse_send(p, PARSE_ARGUMENTS, p->n_opened - 1, buf_text(&p->arguments) + from, size);
}

static void add_arguments(struct parser *p, const char *text)
{
    size_t from = p->arguments.size;
    buf_add_str(&p->arguments, text);
    send_arguments(p, from);
}

/* ---- calls ---- */

/* "properties" of the tool with this name. */
static const json_t *find_schema(const json_t *tools, const char *name)
{
    for (size_t i = 0; i < json_array_size(tools); i++) {
        const json_t *tool = json_array_get(tools, i);
        const json_t *function = json_object_get(tool, "function");
        if (!json_is_object(function)) function = tool;
        const char *candidate = json_string_value(json_object_get(function, "name"));
        if (candidate && strcmp(candidate, name) == 0)
            return json_object_get(json_object_get(function, "parameters"), "properties");
    }
    return NULL;
}

static void open_call(struct parser *p, const struct tag *tag)
{
    if (p->n_opened == PARSE_MAX_CALLS) {
        p->failed = true;
        return;
    }
    buf_clear(&p->name);
    buf_clear(&p->arguments);
    buf_add(&p->name, tag->name, tag->name_size);
    json_decref(p->keys);
    p->keys = json_object();
    p->schema = find_schema(p->options.tools, buf_text(&p->name));
    p->n_opened++;
    p->state = IN_INVOKE;
    if (parse_keep(p, p->name.size))
        parse_send(p, PARSE_CALL, p->n_opened - 1, buf_text(&p->name), p->name.size);
}

static void break_call(struct parser *p)
{
    parse_send(p, PARSE_CALL_BROKEN, p->n_opened - 1, "", 0);
    p->state = IN_CALLS;
}

static void close_call(struct parser *p)
{
    add_arguments(p, json_object_size(p->keys) ? "}" : "{}");
    if (p->failed || p->arguments.failed || p->name.failed) {
        p->failed = true;
        return;
    }
    if (p->n_calls == p->cap_calls) {
        int cap = p->cap_calls ? p->cap_calls * 2 : 4;
        struct parse_call *calls = realloc(p->calls, (size_t)cap * sizeof *calls);
        if (!calls) {
            p->failed = true;
            return;
        }
        p->calls = calls;
        p->cap_calls = cap;
    }
    p->calls[p->n_calls].name = buf_take(&p->name);
    p->calls[p->n_calls++].arguments = buf_take(&p->arguments);
    parse_send(p, PARSE_CALL_END, p->n_opened - 1, "", 0);
    p->state = IN_CALLS;
}

/* ---- parameters ---- */

/* The schema's type wins over the attribute, which wins over trying. */
static void choose_mode(struct parser *p, const char *key, const struct tag *tag)
{
    p->value_type = json_string_value(json_object_get(json_object_get(p->schema, key), "type"));
    p->attribute_json = tag->string == 0;
    if (!p->value_type)
        p->mode = tag->string == 1 ? VALUE_STREAM : VALUE_JSON;
    else if (strcmp(p->value_type, "string") == 0)
        p->mode = tag->string == 0 ? VALUE_STRING_OR_JSON_STRING : VALUE_STREAM;
    else
        p->mode = VALUE_TYPED;
}

static void open_parameter(struct parser *p, const struct tag *tag)
{
    buf_clear(&p->value);
    p->state = IN_VALUE;
    char *key = strndup(tag->name, tag->name_size);
    if (!key) {
        p->failed = true;
        return;
    }
    if (json_object_get(p->keys, key)) {
        p->mode = VALUE_SKIP;
    } else {
        choose_mode(p, key, tag);
        size_t from = p->arguments.size;
        buf_add_str(&p->arguments, json_object_size(p->keys) ? ", " : "{");
        pyjson_add_string(&p->arguments, key, strlen(key));
        buf_add_str(&p->arguments, p->mode == VALUE_STREAM ? ": \"" : ": ");
        json_object_set_new(p->keys, key, json_true());
        send_arguments(p, from);
    }
    free(key);
}

/* A piece of the value, whole characters. */
static void add_value(struct parser *p, const char *s, size_t size)
{
    if (size == 0 || p->mode == VALUE_SKIP) return;
    size_t from = p->value.size;
    parse_spell(&p->value, s, size);
    if (p->mode != VALUE_STREAM) {
        if (p->value.failed) p->failed = true;
        return;
    }
    size_t before = p->arguments.size;
    pyjson_add_escaped(&p->arguments, buf_text(&p->value) + from, p->value.size - from);
    buf_clear(&p->value);
    send_arguments(p, before);
}

static bool is_of_type(const json_t *value, const char *type)
{
    if (strcmp(type, "integer") == 0) return json_is_integer(value);
    if (strcmp(type, "number") == 0) return json_is_number(value);
    if (strcmp(type, "boolean") == 0) return json_is_boolean(value);
    if (strcmp(type, "object") == 0) return json_is_object(value);
    if (strcmp(type, "array") == 0) return json_is_array(value);
    if (strcmp(type, "string") == 0) return json_is_string(value);
    return strcmp(type, "null") == 0 && json_is_null(value);
}

/* May the text stand in the arguments as it is? */
static bool stands_as_json(const struct parser *p)
{
    json_t *value = json_loadb(buf_text(&p->value), p->value.size,
                               JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);
    bool yes = value != NULL;
    if (p->mode == VALUE_STRING_OR_JSON_STRING) yes = json_is_string(value);
    /* JSON of another type than the schema's is at least what the model said it was. */
    if (p->mode == VALUE_TYPED && !p->attribute_json)
        yes = value && is_of_type(value, p->value_type);
    json_decref(value);
    return yes;
}

static void close_parameter(struct parser *p)
{
    p->state = IN_INVOKE;
    if (p->mode == VALUE_SKIP) return;
    size_t from = p->arguments.size;
    if (p->mode == VALUE_STREAM)
        buf_add_byte(&p->arguments, '"');
    else if (stands_as_json(p))
        buf_add(&p->arguments, buf_text(&p->value), p->value.size);
    else
        pyjson_add_string(&p->arguments, buf_text(&p->value), p->value.size);
    send_arguments(p, from);
}

/* ---- steps ---- */

/* Up to the end tag of the parameter; whatever else is in between is the value. */
static bool value_step(struct parser *p)
{
    const char *in = buf_text(&p->in);
    size_t size = p->in.size, i = p->at;
    for (; i < size; i++) {
        struct tag tag;
        if (in[i] != '<') continue;
        if (i + 1 < size && in[i + 1] != '/') continue;
        enum tag_match m = tag_match(&tag, in + i, size - i);
        if (m == TAG_NO || (m == TAG_PARTIAL && p->ended)) continue;
        if (m == TAG_YES && tag.kind != TAG_PARAMETER) continue;
        add_value(p, in + p->at, i - p->at);
        p->at = i;
        if (m == TAG_PARTIAL) return false;
        p->at = i + tag.size;
        close_parameter(p);
        return true;
    }
    add_value(p, in + p->at, i - p->at);
    p->at = i;
    return false;
}

static void apply_tag(struct parser *p, const struct tag *tag)
{
    bool in_call = p->state == IN_INVOKE;
    if (tag->kind == TAG_BLOCK && tag->closes) {
        if (in_call) break_call(p);
        p->block_closed = true;
        p->state = IN_END;
    } else if (tag->kind == TAG_INVOKE && tag->closes) {
        if (in_call) close_call(p);
    } else if (tag->kind == TAG_INVOKE && tag->name) {
        if (in_call) break_call(p);
        open_call(p, tag);
    } else if (tag->kind == TAG_PARAMETER && !tag->closes && tag->name && in_call) {
        open_parameter(p, tag);
    }
}

bool parse_calls_step(struct parser *p)
{
    if (p->state == IN_VALUE) return value_step(p);
    /* Between tags: white space in good output, and anything else is passed over. */
    for (; p->at < p->in.size; p->at++) {
        struct tag tag;
        const char *s = buf_text(&p->in) + p->at;
        if (*s != '<') continue;
        enum tag_match m = tag_match(&tag, s, p->in.size - p->at);
        if (m == TAG_NO) continue;
        if (m == TAG_PARTIAL) return false;
        p->at += tag.size;
        apply_tag(p, &tag);
        return true;
    }
    return false;
}

void parse_calls_end(struct parser *p)
{
    if (p->state == IN_INVOKE || p->state == IN_VALUE) break_call(p);
    p->state = IN_END;
}
