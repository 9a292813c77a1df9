#include "serve/chat_format.h"

#include <string.h>

#include "base/json.h"

/* One form only: the field that asked first is named. */
static int set_kind(struct chat_request *r, const struct fields *f, const char *name,
                    const char *field, enum constraint_kind kind)
{
    if (r->answer.kind != CONSTRAINT_NONE)
        return field_refuse(f, 400, name, "together with %s", r->answer_field);
    r->answer.kind = kind;
    r->answer_field = field;
    return 0;
}

/* A schema as an object, or as text that holds one and is replaced by it. */
static int read_schema(struct chat_request *r, const struct fields *f, const char *name,
                       const char *field)
{
    json_t *value = field_get(f, name);
    if (!field_asks(f, name)) return 0;
    if (json_is_string(value)) {
        struct err err = {0};
        json_t *parsed = NULL;
        if (json_parse(&parsed, "it", json_string_value(value), json_string_length(value), &err))
            return field_refuse(f, 400, name, "%s", err.message);
        if (json_object_set_new(f->object, name, parsed)) return api_refuse_memory(f->e);
        value = parsed;
    }
    if (!json_is_object(value) && !json_is_boolean(value))
        return field_refuse(f, 400, name, "must be a schema");
    r->answer.schema = value;
    return set_kind(r, f, name, field, CONSTRAINT_SCHEMA);
}

static int read_text(struct chat_request *r, const struct fields *f, const char *name,
                     const char *field, enum constraint_kind kind)
{
    const char *text = NULL;
    if (!field_asks(f, name)) return 0;
    if (field_text(f, name, 0, SIZE_MAX, &text)) return -1;
    r->answer.text = text;
    r->answer.size = strlen(text);
    return set_kind(r, f, name, field, kind);
}

static int read_choices(struct chat_request *r, const struct fields *f, const char *name,
                        const char *field)
{
    json_t *list = NULL;
    if (!field_asks(f, name)) return 0;
    if (field_list(f, name, 1, CHAT_MAX_ANSWERS, &list)) return -1;
    r->answer.choices = list;
    return set_kind(r, f, name, field, CONSTRAINT_CHOICE);
}

/* {"type": "json_schema", "json_schema": {"name", "schema"}} */
static int read_named_schema(struct chat_request *r, const struct fields *format)
{
    struct fields outer, schema;
    const char *name;
    bool strict;
    if (field_require(format, "json_schema") || field_object(format, "json_schema", &outer) ||
        field_require(&outer, "name") || field_name(&outer, "name", &name) ||
        field_require(&outer, "schema") || field_object(&outer, "schema", &schema) ||
        field_bool(&outer, "strict", &strict))
        return -1;
    r->answer.schema = schema.object;
    return set_kind(r, format, "json_schema", "response_format", CONSTRAINT_SCHEMA);
}

static int read_format(struct chat_request *r, const struct fields *body)
{
    enum { TEXT, JSON_OBJECT_FORM, JSON_SCHEMA_FORM };
    static const char *const types[] = {"text", "json_object", "json_schema"};
    struct fields format;
    int type = TEXT;
    if (field_object(body, "response_format", &format) ||
        (format.object && field_require(&format, "type")) ||
        field_word(&format, "type", types, 3, &type))
        return -1;
    if (type == JSON_SCHEMA_FORM) return read_named_schema(r, &format);
    return type == TEXT
               ? 0
               : set_kind(r, body, "response_format", "response_format", CONSTRAINT_JSON_OBJECT);
}

static int read_structured(struct chat_request *r, const struct fields *body)
{
    static const char field[] = "structured_outputs";
    struct fields in;
    bool any_object = false;
    if (field_object(body, field, &in) || field_bool(&in, "json_object", &any_object) ||
        read_schema(r, &in, "json", field) || read_text(r, &in, "regex", field, CONSTRAINT_REGEX) ||
        read_text(r, &in, "grammar", field, CONSTRAINT_EBNF) ||
        read_choices(r, &in, "choice", field))
        return -1;
    if (field_asks(&in, "structural_tag"))
        return field_refuse(&in, 400, "structural_tag", "is not supported yet");
    return any_object ? set_kind(r, &in, "json_object", field, CONSTRAINT_JSON_OBJECT) : 0;
}

static bool has_strict(const json_t *tools)
{
    for (size_t i = 0; i < json_array_size(tools); i++)
        if (json_is_true(
                json_object_get(json_object_get(json_array_get(tools, i), "function"), "strict")))
            return true;
    return false;
}

/* Whether the calls are bound, too. */
static void read_calls(struct chat_request *r)
{
    struct constraint_spec *a = &r->answer;
    a->must_call = r->tool_choice == TOOLS_REQUIRED || r->tool_choice == TOOLS_NAMED;
    a->only = r->tool_choice == TOOLS_NAMED ? r->tool_name : NULL;
    a->one_call = !r->parallel_tool_calls;
    a->family = r->prompt.family;
    if (!r->tools) return;
    if (!a->must_call && !a->one_call && a->kind == CONSTRAINT_NONE && !has_strict(r->tools))
        return;
    a->tools = r->tools;
    if (!r->answer_field || a->must_call) r->answer_field = "tools";
}

int chat_format_read(struct chat_request *r, const struct fields *body)
{
    if (read_format(r, body) || read_structured(r, body) ||
        read_schema(r, body, "json_schema", "json_schema") ||
        read_schema(r, body, "guided_json", "guided_json") ||
        read_text(r, body, "grammar", "grammar", CONSTRAINT_EBNF) ||
        read_text(r, body, "guided_grammar", "guided_grammar", CONSTRAINT_EBNF) ||
        read_text(r, body, "guided_regex", "guided_regex", CONSTRAINT_REGEX) ||
        read_choices(r, body, "guided_choice", "guided_choice"))
        return -1;
    read_calls(r);
    r->is_bound = r->answer.kind != CONSTRAINT_NONE || r->answer.tools;
    if (r->is_bound && r->ignore_eos)
        return field_refuse(body, 400, "ignore_eos", "together with %s", r->answer_field);
    return 0;
}
