#include "text/schema.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "text/pattern.h"
#include "text/schema_state.h"

enum { MAX_REFS = 4096 };

/* What a keyword is about. */
enum kind { NOTE, TYPE, WHOLE, OF_STRING, OF_NUMBER, OF_LIST, OF_OBJECT };

static const struct {
    const char *name;
    enum kind kind;
} keywords[] = {
    {"title", NOTE},
    {"description", NOTE},
    {"default", NOTE},
    {"examples", NOTE},
    {"example", NOTE},
    {"deprecated", NOTE},
    {"readOnly", NOTE},
    {"writeOnly", NOTE},
    {"$schema", NOTE},
    {"$id", NOTE},
    {"$comment", NOTE},
    {"$defs", NOTE},
    {"definitions", NOTE},
    {"type", TYPE},
    {"enum", WHOLE},
    {"const", WHOLE},
    {"anyOf", WHOLE},
    {"oneOf", WHOLE},
    {"allOf", WHOLE},
    {"$ref", WHOLE},
    {"pattern", OF_STRING},
    {"format", OF_STRING},
    {"minLength", OF_STRING},
    {"maxLength", OF_STRING},
    {"minimum", OF_NUMBER},
    {"maximum", OF_NUMBER},
    {"exclusiveMinimum", OF_NUMBER},
    {"exclusiveMaximum", OF_NUMBER},
    {"multipleOf", OF_NUMBER},
    {"items", OF_LIST},
    {"prefixItems", OF_LIST},
    {"minItems", OF_LIST},
    {"maxItems", OF_LIST},
    {"properties", OF_OBJECT},
    {"required", OF_OBJECT},
    {"additionalProperties", OF_OBJECT},
};

static const struct {
    const char *name;
    int type;
} types[] = {{"null", TYPE_NULL},       {"boolean", TYPE_BOOLEAN},
             {"integer", TYPE_INTEGER}, {"number", TYPE_NUMBER | TYPE_INTEGER},
             {"string", TYPE_STRING},   {"array", TYPE_LIST},
             {"object", TYPE_OBJECT}};

void schema_init(struct schema *s, struct grammar *g, const json_t *root)
{
    *s = (struct schema){.g = g, .root = root};
    json_rules_init(&s->json, g);
}

void schema_fini(struct schema *s)
{
    free(s->refs);
    s->refs = NULL;
}

void schema_restart(struct schema *s, const json_t *root)
{
    s->root = root;
    s->n_refs = s->n_written = 0;
}

bool schema_charge(struct schema *s, size_t steps)
{
    if (grammar_failed(s->g)) return false;
    if (steps > SCHEMA_MAX_STEPS - s->steps) {
        grammar_fail(s->g, ERR_LIMIT, "schema: takes over %d steps to compile", SCHEMA_MAX_STEPS);
        return false;
    }
    s->steps += (unsigned)steps;
    return true;
}

/* ---- messages ---- */

static void print_place(struct buf *out, const struct schema_place *at)
{
    const struct schema_place *path[64];
    int n = 0;
    for (; at && n < 64; at = at->up)
        path[n++] = at;
    buf_add_str(out, "#");
    while (n > 0)
        buf_printf(out, "/%.60s", path[--n]->key);
}

int schema_refuse(struct schema *s, const struct schema_place *at, const char *keyword,
                  const char *fmt, ...)
{
    char text[200];
    struct buf place;
    va_list args;
    buf_init(&place, 300); /* a longer one is cut */
    print_place(&place, at);
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    grammar_fail(s->g, ERR_UNSUPPORTED, "schema: \"%.60s\" at %s: %s", keyword, buf_text(&place),
                 text);
    buf_fini(&place);
    return 0;
}

/* ---- keywords and types ---- */

/* NOTE for annotations; -1: unknown. */
static int keyword_kind(const char *name)
{
    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++)
        if (strcmp(keywords[i].name, name) == 0) return (int)keywords[i].kind;
    return -1;
}

static json_t *unconst(const json_t *value)
{
    union {
        const json_t *in;
        json_t *out;
    } u = {.in = value};
    return u.out;
}

static int type_of_name(const json_t *name)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (json_is_string(name) && strcmp(types[i].name, json_string_value(name)) == 0)
            return types[i].type;
    return 0;
}

static int named_types(const json_t *type)
{
    int all = type_of_name(type);
    for (size_t i = 0; i < json_array_size(type); i++)
        all |= type_of_name(json_array_get(type, i));
    return all;
}

int schema_types(const json_t *node)
{
    static const int about[] = {[OF_STRING] = TYPE_STRING,
                                [OF_NUMBER] = TYPE_NUMBER | TYPE_INTEGER,
                                [OF_LIST] = TYPE_LIST,
                                [OF_OBJECT] = TYPE_OBJECT};
    const json_t *type = json_object_get(node, "type");
    const char *key;
    json_t *value;
    int all = 0;
    if (type) return named_types(type);
    json_object_foreach(unconst(node), key, value)
    {
        int kind = keyword_kind(key);
        if (kind >= OF_STRING) all |= about[kind];
    }
    return all;
}

static int type_of_value(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_NULL:
        return TYPE_NULL;
    case JSON_TRUE:
    case JSON_FALSE:
        return TYPE_BOOLEAN;
    case JSON_INTEGER:
        return TYPE_INTEGER;
    case JSON_REAL:
        return TYPE_NUMBER;
    case JSON_STRING:
        return TYPE_STRING;
    case JSON_ARRAY:
        return TYPE_LIST;
    default:
        return TYPE_OBJECT;
    }
}

/* Unknown keywords and types; and what stands beside a keyword that says all. */
static int check_keywords(struct schema *s, const json_t *node, const struct schema_place *at)
{
    const char *key, *whole = NULL, *other = NULL;
    json_t *value;
    json_object_foreach(unconst(node), key, value)
    {
        int kind = keyword_kind(key);
        bool says_nothing = strcmp(key, "uniqueItems") == 0 && json_is_false(value);
        if (kind < 0 && !says_nothing) return schema_refuse(s, at, key, "is not supported"), -1;
        if (kind == WHOLE && whole) return schema_refuse(s, at, key, "together with %s", whole), -1;
        if (kind == WHOLE) whole = key;
        if (kind > WHOLE || kind == TYPE) other = kind == TYPE && other ? other : key;
        if (kind == TYPE && named_types(value) == 0)
            return schema_refuse(s, at, key, "is no type that JSON has"), -1;
    }
    bool is_value = whole && (strcmp(whole, "enum") == 0 || strcmp(whole, "const") == 0);
    if (!whole || !other || (is_value && strcmp(other, "type") == 0)) return 0;
    return schema_refuse(s, at, whole, "together with %.60s", other), -1;
}

int schema_count(struct schema *s, const json_t *node, const char *keyword,
                 const struct schema_place *at, int *out)
{
    const json_t *value = json_object_get(node, keyword);
    if (!value) return 0;
    json_int_t n = json_is_real(value) && json_real_value(value) >= 0 &&
                           json_real_value(value) <= PATTERN_MAX_COUNT &&
                           json_real_value(value) == (double)(int)json_real_value(value)
                       ? (json_int_t)json_real_value(value)
                       : json_integer_value(value);
    if (!json_is_number(value) || n < 0 || n > PATTERN_MAX_COUNT ||
        (json_is_real(value) && (double)n != json_real_value(value)))
        return schema_refuse(s, at, keyword, "is no count from 0 to %d", PATTERN_MAX_COUNT), -1;
    *out = (int)n;
    return 0;
}

/* ---- references ---- */

/* A step of a JSON pointer, up to the next slash; "~1" is a slash, "~0" a tilde. */
static const json_t *point(const json_t *from, const char *step, size_t size)
{
    char key[256];
    size_t n = 0;
    if (size >= sizeof key) return NULL;
    for (size_t i = 0; i < size; i++) {
        bool is_escape = step[i] == '~' && i + 1 < size;
        if (is_escape) i++;
        key[n++] = is_escape && step[i] == '1' ? '/' : is_escape && step[i] == '0' ? '~' : step[i];
    }
    key[n] = 0;
    if (!json_is_array(from)) return json_object_get(from, key);
    char *end;
    unsigned long i = strtoul(key, &end, 10);
    return n == 0 || *end || key[0] < '0' || key[0] > '9' ? NULL : json_array_get(from, i);
}

const json_t *schema_find(struct schema *s, const char *ref)
{
    const json_t *at = s->root;
    if (!schema_charge(s, schema_look(ref ? strlen(ref) : 0))) return NULL;
    if (!ref || *ref++ != '#' || strchr(ref, '%')) return NULL;
    while (at && *ref == '/') {
        size_t size = strcspn(++ref, "/");
        at = point(at, ref, size);
        ref += size;
    }
    return *ref ? NULL : at;
}

static int add_ref(struct schema *s, const json_t *node, enum schema_form form,
                   const struct schema_place *at)
{
    const char *ref = json_string_value(json_object_get(node, "$ref"));
    const json_t *target = schema_find(s, ref);
    if (!target) return schema_refuse(s, at, "$ref", "leads nowhere in the schema");
    schema_charge(s, schema_look((size_t)s->n_refs));
    for (int i = 0; i < s->n_refs; i++)
        if (s->refs[i].target == target && s->refs[i].form == form)
            return grammar_call(s->g, s->refs[i].rule);
    if (s->n_refs == s->cap_refs) {
        int cap = s->cap_refs ? 2 * s->cap_refs : 16;
        struct schema_ref *grown =
            cap <= MAX_REFS ? realloc(s->refs, (size_t)cap * sizeof *grown) : NULL;
        if (!grown) return grammar_fail(s->g, ERR_LIMIT, "schema: over %d $ref", s->n_refs);
        s->refs = grown;
        s->cap_refs = cap;
    }
    int rule = grammar_rule(s->g, ref);
    s->refs[s->n_refs++] = (struct schema_ref){ref, target, form, rule};
    return grammar_call(s->g, rule);
}

/* The rules of all refs, and of those that come up meanwhile. */
static void write_refs(struct schema *s)
{
    while (s->n_written < s->n_refs && !grammar_failed(s->g)) {
        struct schema_ref r = s->refs[s->n_written++];
        struct schema_place behind = {NULL, r.name};
        s->depth++; /* so that this is not done inside */
        int body = schema_add(s, r.target, r.form, &behind);
        s->depth--;
        grammar_define(s->g, r.rule, body);
    }
}

/* ---- values ---- */

static int add_constant(struct schema *s, const json_t *value, enum schema_form form)
{
    bool is_string = json_is_string(value);
    if (is_string != (form == SCHEMA_RAW) && form != SCHEMA_JSON) return grammar_nothing(s->g);
    if (is_string && memchr(json_string_value(value), 0, json_string_length(value)))
        return grammar_fail(s->g, ERR_UNSUPPORTED, "schema: a constant with the character NUL");
    if (form == SCHEMA_RAW)
        return grammar_bytes(s->g, json_string_value(value), json_string_length(value));
    return json_rules_constant(&s->json, value);
}

/* enum or const, of the types that are also named. */
static int add_values(struct schema *s, const json_t *node, enum schema_form form,
                      const struct schema_place *at)
{
    const json_t *values = json_object_get(node, "enum"), *one = json_object_get(node, "const");
    const json_t *type = json_object_get(node, "type");
    int allowed = type ? named_types(type) : TYPE_ALL, list = grammar_list(s->g, GRAMMAR_CHOICE);
    if (values && !json_is_array(values)) return schema_refuse(s, at, "enum", "is no list");
    schema_charge(s, json_array_size(values));
    for (size_t i = 0; i < (one ? 1 : json_array_size(values)) && !grammar_failed(s->g); i++) {
        const json_t *value = one ? one : json_array_get(values, i);
        if (type_of_value(value) & allowed) grammar_add(s->g, list, add_constant(s, value, form));
    }
    return list;
}

static int add_branches(struct schema *s, const json_t *node, const char *keyword,
                        enum schema_form form, const struct schema_place *at)
{
    const json_t *list = json_object_get(node, keyword);
    size_t n = json_array_size(list);
    int out = grammar_list(s->g, GRAMMAR_CHOICE);
    if (n == 0) return schema_refuse(s, at, keyword, "is no list of schemas");
    if (strcmp(keyword, "allOf") == 0 && n > 1)
        return schema_refuse(s, at, keyword, "of more than one schema is not supported");
    if (strcmp(keyword, "oneOf") == 0 && n > 32)
        return schema_refuse(s, at, keyword, "of over 32 schemas is not supported");
    for (size_t i = 0; i < n && !grammar_failed(s->g); i++) {
        char index[24];
        snprintf(index, sizeof index, "%zu", i);
        struct schema_place whole = {at, keyword}, place = {&whole, index};
        for (size_t k = 0; k < i && strcmp(keyword, "oneOf") == 0; k++)
            if (!schema_apart(s, json_array_get(list, k), json_array_get(list, i), 0))
                return schema_refuse(s, at, keyword,
                                     "is supported only when no value can fit two of its "
                                     "branches: %zu and %zu",
                                     k, i);
        grammar_add(s->g, out, schema_add(s, json_array_get(list, i), form, &place));
    }
    return out;
}

static int add_words(struct schema *s, int all)
{
    int list = grammar_list(s->g, GRAMMAR_CHOICE);
    if (all & TYPE_NULL) grammar_add(s->g, list, grammar_text(s->g, "null"));
    if (all & TYPE_BOOLEAN) grammar_add(s->g, list, grammar_text(s->g, "true"));
    if (all & TYPE_BOOLEAN) grammar_add(s->g, list, grammar_text(s->g, "false"));
    return list;
}

static int add_types(struct schema *s, const json_t *node, int all, enum schema_form form,
                     const struct schema_place *at)
{
    struct grammar *g = s->g;
    int list = grammar_list(g, GRAMMAR_CHOICE);
    if ((all & TYPE_STRING) && form != SCHEMA_REST)
        grammar_add(g, list, schema_string(s, node, form, at));
    if (form == SCHEMA_RAW) return list;
    grammar_add(g, list, add_words(s, all));
    if (all & TYPE_NUMBER)
        grammar_add(g, list, schema_number(s, node, at));
    else if (all & TYPE_INTEGER)
        grammar_add(g, list, schema_integer(s, node, at));
    if (all & TYPE_LIST) grammar_add(g, list, schema_list(s, node, at));
    if (all & TYPE_OBJECT) grammar_add(g, list, schema_object(s, node, at));
    return list;
}

int schema_any(struct schema *s, enum schema_form form)
{
    static const char nothing[] = "{}";
    if (form == SCHEMA_JSON) return json_rules_value(&s->json, JSON_RULES_DEPTH);
    json_t *empty = json_loads(nothing, 0, NULL);
    int node = empty ? add_types(s, empty, TYPE_ALL, form, NULL)
                     : grammar_fail(s->g, ERR_LIMIT, "no memory for a schema");
    json_decref(empty);
    return node;
}

/* By the keyword that says what it is. */
static int add_node(struct schema *s, const json_t *node, enum schema_form form,
                    const struct schema_place *at)
{
    static const char *const wholes[] = {"anyOf", "oneOf", "allOf"};
    if (json_is_true(node)) return schema_any(s, form);
    if (json_is_false(node)) return grammar_nothing(s->g);
    if (!json_is_object(node))
        return schema_refuse(s, at, "", "a schema is an object or a boolean");
    if (!schema_charge(s, 1 + json_object_size(node)) || check_keywords(s, node, at)) return 0;
    if (json_object_get(node, "$ref")) return add_ref(s, node, form, at);
    if (json_object_get(node, "enum") || json_object_get(node, "const"))
        return add_values(s, node, form, at);
    for (int i = 0; i < 3; i++)
        if (json_object_get(node, wholes[i])) return add_branches(s, node, wholes[i], form, at);
    int all = schema_types(node);
    return all ? add_types(s, node, all, form, at) : schema_any(s, form);
}

int schema_add(struct schema *s, const json_t *node, enum schema_form form,
               const struct schema_place *at)
{
    if (s->depth == SCHEMA_MAX_DEPTH)
        return grammar_fail(s->g, ERR_LIMIT, "schema: over %d levels", SCHEMA_MAX_DEPTH);
    s->depth++;
    int out = add_node(s, node, form, at);
    s->depth--;
    if (s->depth == 0) write_refs(s);
    return out;
}
