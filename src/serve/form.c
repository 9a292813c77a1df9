#include "serve/form.h"

#include <string.h>

#include "base/json.h"

/* One form only: the field that asked first is named. */
static int set_kind(struct form *form, const struct fields *f, const char *name, const char *field,
                    enum constraint_kind kind)
{
    if (form->spec.kind != CONSTRAINT_NONE)
        return field_refuse(f, 400, name, "together with %s", form->field);
    form->spec.kind = kind;
    form->field = field;
    return 0;
}

/* A schema as an object, or as text that holds one and is replaced by it. */
static int read_schema(struct form *form, const struct fields *f, const char *name,
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
    form->spec.schema = value;
    return set_kind(form, f, name, field, CONSTRAINT_SCHEMA);
}

static int read_text(struct form *form, const struct fields *f, const char *name, const char *field,
                     enum constraint_kind kind)
{
    const char *text = NULL;
    if (!field_asks(f, name)) return 0;
    if (field_text(f, name, 0, SIZE_MAX, &text)) return -1;
    form->spec.text = text;
    form->spec.size = strlen(text);
    return set_kind(form, f, name, field, kind);
}

static int read_choices(struct form *form, const struct fields *f, const char *name,
                        const char *field)
{
    json_t *list = NULL;
    if (!field_asks(f, name)) return 0;
    if (field_list(f, name, 1, FORM_MAX_CHOICES, &list)) return -1;
    form->spec.choices = list;
    return set_kind(form, f, name, field, CONSTRAINT_CHOICE);
}

/* {"type": "json_schema", "json_schema": {"name", "schema"}} */
static int read_named_schema(struct form *form, const struct fields *format)
{
    struct fields outer, schema;
    const char *name;
    bool strict;
    if (field_require(format, "json_schema") || field_object(format, "json_schema", &outer) ||
        field_require(&outer, "name") || field_name(&outer, "name", &name) ||
        field_require(&outer, "schema") || field_object(&outer, "schema", &schema) ||
        field_bool(&outer, "strict", &strict))
        return -1;
    form->spec.schema = schema.object;
    return set_kind(form, format, "json_schema", "response_format", CONSTRAINT_SCHEMA);
}

static int read_format(struct form *form, const struct fields *body)
{
    enum { TEXT, JSON_OBJECT_FORM, JSON_SCHEMA_FORM };
    static const char *const types[] = {"text", "json_object", "json_schema"};
    struct fields format;
    int type = TEXT;
    if (field_object(body, "response_format", &format) ||
        (format.object && field_require(&format, "type")) ||
        field_word(&format, "type", types, 3, &type))
        return -1;
    if (type == JSON_SCHEMA_FORM) return read_named_schema(form, &format);
    return type == TEXT
               ? 0
               : set_kind(form, body, "response_format", "response_format", CONSTRAINT_JSON_OBJECT);
}

static int read_structured(struct form *form, const struct fields *body)
{
    static const char field[] = "structured_outputs";
    struct fields in;
    bool any_object = false;
    if (field_object(body, field, &in) || field_bool(&in, "json_object", &any_object) ||
        read_schema(form, &in, "json", field) ||
        read_text(form, &in, "regex", field, CONSTRAINT_REGEX) ||
        read_text(form, &in, "grammar", field, CONSTRAINT_EBNF) ||
        read_choices(form, &in, "choice", field))
        return -1;
    if (field_asks(&in, "structural_tag"))
        return field_refuse(&in, 400, "structural_tag", "is not supported yet");
    return any_object ? set_kind(form, &in, "json_object", field, CONSTRAINT_JSON_OBJECT) : 0;
}

int form_read(struct form *out, const struct fields *body)
{
    *out = (struct form){0};
    return read_format(out, body) || read_structured(out, body) ||
                   read_schema(out, body, "json_schema", "json_schema") ||
                   read_schema(out, body, "guided_json", "guided_json") ||
                   read_text(out, body, "grammar", "grammar", CONSTRAINT_EBNF) ||
                   read_text(out, body, "guided_grammar", "guided_grammar", CONSTRAINT_EBNF) ||
                   read_text(out, body, "guided_regex", "guided_regex", CONSTRAINT_REGEX) ||
                   read_choices(out, body, "guided_choice", "guided_choice")
               ? -1
               : 0;
}
