#include "serve/dialect.h"

#include <string.h>

int dialect_string(const struct fields *f, const char *name, json_t **out)
{
    *out = field_get(f, name);
    if (field_require(f, name)) return -1;
    return json_is_string(*out) ? 0 : field_refuse(f, 400, name, "must be a string");
}

int dialect_label(const struct fields *f, const char *name, const char **out)
{
    return field_require(f, name) || field_text(f, name, 1, DIALECT_MAX_LABEL, out) ? -1 : 0;
}

int dialect_set(json_t *object, const char *name, json_t *value, struct api_error *e)
{
    return json_object_set_new(object, name, value) ? api_refuse_memory(e) : 0;
}

bool dialect_has_function(const json_t *tools, const char *name)
{
    for (size_t i = 0; i < json_array_size(tools); i++) {
        const json_t *function = json_object_get(json_array_get(tools, i), "function");
        if (strcmp(json_string_value(json_object_get(function, "name")), name) == 0) return true;
    }
    return false;
}
