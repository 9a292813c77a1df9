#include "serve/fields.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"

int body_parse(json_t **out, const char *text, size_t size, struct api_error *e)
{
    struct err err = {0};
    *out = NULL;
    if (json_parse(out, "the body", text, size, &err))
        return api_refuse(e, 400, NULL, "%s", err.message);
    if (json_is_object(*out)) return 0;
    json_decref(*out);
    *out = NULL;
    return api_refuse(e, 400, NULL, "the body is not a JSON object");
}

struct fields fields_of(json_t *body, struct api_error *e)
{
    return (struct fields){.object = body, .e = e};
}

json_t *field_get(const struct fields *f, const char *name)
{
    json_t *value = json_object_get(f->object, name);
    return json_is_null(value) ? NULL : value;
}

bool field_asks(const struct fields *f, const char *name)
{
    const json_t *value = field_get(f, name);
    if (json_is_object(value)) return json_object_size(value) > 0;
    if (json_is_array(value)) return json_array_size(value) > 0;
    if (json_is_string(value)) return json_string_length(value) > 0;
    return value && !json_is_false(value);
}

int field_pass(const struct fields *f, const char *name, json_t *to, const char *as)
{
    json_t *value = field_get(f, name);
    if (value && json_object_set(to, as, value)) return api_refuse_memory(f->e);
    return 0;
}

/* The path of a field, or of the object itself: then without the last '.'. */
static void path_of(const struct fields *f, const char *name, char *out, size_t size)
{
    size_t n = strlen(f->path);
    if (!*name && n) n--;
    snprintf(out, size, "%.*s%s", (int)n, f->path, name);
}

int field_refuse(const struct fields *f, int status, const char *name, const char *fmt, ...)
{
    char param[sizeof f->e->param], what[sizeof f->e->message];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    path_of(f, name, param, sizeof param);
    return api_refuse(f->e, status, param, "%s: %s", param, what);
}

static const char *type_of(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "a list";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
        return "an integer";
    case JSON_REAL:
        return "a number with a fraction";
    case JSON_TRUE:
    case JSON_FALSE:
        return "a boolean";
    default:
        return "null";
    }
}

static int wrong_type(const struct fields *f, const char *name, const char *want,
                      const json_t *value)
{
    return field_refuse(f, 400, name, "must be %s, not %s", want, type_of(value));
}

int field_require(const struct fields *f, const char *name)
{
    return field_get(f, name) ? 0 : field_refuse(f, 400, name, "is required");
}

int field_bool(const struct fields *f, const char *name, bool *out)
{
    const json_t *value = field_get(f, name);
    if (!value) return 0;
    if (!json_is_boolean(value)) return wrong_type(f, name, "a boolean", value);
    *out = json_is_true(value);
    return 0;
}

/* ---- numbers ---- */

int field_integer(const struct fields *f, const char *name, json_int_t low, json_int_t high,
                  json_int_t *out)
{
    const json_t *value = field_get(f, name);
    if (!value) return 0;
    if (!json_is_integer(value)) return wrong_type(f, name, "an integer", value);
    json_int_t x = json_integer_value(value);
    if (x < low || x > high)
        return field_refuse(f, 422, name, "is %lld, allowed are %lld to %lld", x, low, high);
    *out = x;
    return 0;
}

int field_int(const struct fields *f, const char *name, int low, int high, int *out)
{
    json_int_t x = *out;
    if (field_integer(f, name, low, high, &x)) return -1;
    *out = (int)x;
    return 0;
}

int field_number(const struct fields *f, const char *name, double low, double high, float *out)
{
    const json_t *value = field_get(f, name);
    if (!value) return 0;
    if (!json_is_number(value)) return wrong_type(f, name, "a number", value);
    double x = json_number_value(value);
    /* In this form NaN is outside, too. */
    if (!(x >= low && x <= high))
        return field_refuse(f, 422, name, "is %.9g, allowed are %g to %g", x, low, high);
    *out = (float)x + 0.0f; /* makes -0 a 0 */
    return 0;
}

/* ---- strings ---- */

static int check_size(const struct fields *f, const char *name, size_t n, const char *unit,
                      size_t min, size_t max)
{
    if (n >= min && n <= max) return 0;
    if (max == SIZE_MAX)
        return field_refuse(f, 422, name, "has %zu %s, at least %zu must be", n, unit, min);
    return field_refuse(f, 422, name, "has %zu %s, allowed are %zu to %zu", n, unit, min, max);
}

/* value is a string of the field `name`. */
static int check_text(const struct fields *f, const char *name, const json_t *value, size_t min,
                      size_t max, const char **out)
{
    if (!json_is_string(value)) return wrong_type(f, name, "a string", value);
    size_t size = json_string_length(value);
    if (check_size(f, name, size, "bytes", min, max)) return -1;
    if (strlen(json_string_value(value)) != size)
        return field_refuse(f, 400, name, "holds a NUL character");
    *out = json_string_value(value);
    return 0;
}

int field_text(const struct fields *f, const char *name, size_t min, size_t max, const char **out)
{
    const json_t *value = field_get(f, name);
    return value ? check_text(f, name, value, min, max, out) : 0;
}

int field_texts(const struct fields *f, const char *name, int max_n, size_t min, size_t max,
                const char **out, int *n)
{
    json_t *list = field_get(f, name);
    if (!list) return 0;
    if (json_is_string(list)) {
        *n = 1;
        return check_text(f, name, list, min, max, out);
    }
    if (!json_is_array(list)) return wrong_type(f, name, "a string or a list of strings", list);
    if (field_list(f, name, 0, (size_t)max_n, &list)) return -1;
    *n = (int)json_array_size(list);
    for (int i = 0; i < *n; i++) {
        char element[sizeof f->path];
        snprintf(element, sizeof element, "%s[%d]", name, i);
        if (check_text(f, element, json_array_get(list, (size_t)i), min, max, &out[i])) return -1;
    }
    return 0;
}

int field_name(const struct fields *f, const char *name, const char **out)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    const char *text = NULL;
    if (field_text(f, name, 1, FIELD_MAX_NAME, &text)) return -1;
    if (!text) return 0;
    if (text[strspn(text, allowed)])
        return field_refuse(f, 400, name, "\"%s\" has characters outside A-Z, a-z, 0-9, _ and -",
                            text);
    *out = text;
    return 0;
}

int field_word(const struct fields *f, const char *name, const char *const *words, int n, int *out)
{
    const json_t *value = field_get(f, name);
    char list[256];
    size_t at = 0;
    if (!value) return 0;
    if (!json_is_string(value)) return wrong_type(f, name, "a string", value);
    for (int i = 0; i < n; i++) {
        size_t size = strlen(words[i]);
        if (json_string_length(value) == size &&
            memcmp(json_string_value(value), words[i], size) == 0) {
            *out = i;
            return 0;
        }
        int more = snprintf(list + at, sizeof list - at, "%s%s", i ? ", " : "", words[i]);
        CHECK(more > 0 && (size_t)more < sizeof list - at, "%d words are too many", n);
        at += (size_t)more;
    }
    return field_refuse(f, 400, name, "\"%.64s\" is unknown; there are %s",
                        json_string_value(value), list);
}

/* ---- lists and objects ---- */

int field_list(const struct fields *f, const char *name, size_t min, size_t max, json_t **out)
{
    json_t *value = field_get(f, name);
    if (!value) return 0;
    if (!json_is_array(value)) return wrong_type(f, name, "a list", value);
    size_t n = json_array_size(value);
    if (check_size(f, name, n, "elements", min, max)) return -1;
    *out = value;
    return 0;
}

/* For the fields of `object`, called name or, with a list, name[i]. */
static void enter(const struct fields *f, const char *path, json_t *object, struct fields *in)
{
    int n = snprintf(in->path, sizeof in->path, "%s%s.", f->path, path);
    /* Names and depth are the program's own. */
    CHECK(n > 0 && (size_t)n < sizeof in->path, "a path of %d bytes", n);
    in->object = object;
    in->e = f->e;
}

int field_object(const struct fields *f, const char *name, struct fields *in)
{
    json_t *value = field_get(f, name);
    enter(f, name, value, in);
    if (!value || json_is_object(value)) return 0;
    return wrong_type(f, name, "an object", value);
}

int field_element(const struct fields *f, const char *name, const json_t *list, size_t i,
                  struct fields *in)
{
    char path[sizeof in->path];
    json_t *value = json_array_get(list, i);
    snprintf(path, sizeof path, "%s[%zu]", name, i);
    enter(f, path, value, in);
    return json_is_object(value)
               ? 0
               : field_refuse(in, 400, "", "must be an object, not %s", type_of(value));
}
