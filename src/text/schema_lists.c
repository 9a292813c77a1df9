/* Lists and objects of a schema, and what branches have in common. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/schema_state.h"

enum { MAX_PROPERTIES = 4096 };

/* ---- lists ---- */

/* A rule of its own for a part of the schema. */
static int value_rule(struct schema *s, const json_t *node, const char *key,
                      const struct schema_place *at)
{
    struct schema_place place = {at, key};
    int rule = grammar_rule(s->g, key);
    int body = node ? schema_add(s, node, SCHEMA_JSON, &place) : schema_any(s, SCHEMA_JSON);
    grammar_define(s->g, rule, body);
    return rule;
}

static int add_comma(struct schema *s)
{
    int list = grammar_list(s->g, GRAMMAR_SEQUENCE);
    grammar_add(s->g, list, json_rules_space(&s->json));
    grammar_add(s->g, list, grammar_text(s->g, ","));
    grammar_add(s->g, list, json_rules_space(&s->json));
    return list;
}

/* What follows n items, as a rule: from the last place backwards. more: the rule of further items; -1: none. */
static int add_tail(struct schema *s, const json_t *prefix, int min, int max, int more,
                    const struct schema_place *at)
{
    struct grammar *g = s->g;
    int n = (int)json_array_size(prefix), body;
    if (max >= 0 && max < n) n = max;
    if (max == n || more < 0) {
        body = min > n ? grammar_nothing(g) : grammar_empty(g);
    } else {
        int one = grammar_list(g, GRAMMAR_SEQUENCE);
        grammar_add(g, one, add_comma(s));
        grammar_add(g, one, grammar_call(g, more));
        body = grammar_repeat(g, one, min > n ? min - n : 0, max < 0 ? -1 : max - n);
    }
    for (int i = n - 1; i >= 0 && !grammar_failed(g); i--) {
        char index[24];
        snprintf(index, sizeof index, "%d", i);
        struct schema_place whole = {at, "prefixItems"};
        int tail = grammar_rule(g, "items"), one = grammar_list(g, GRAMMAR_SEQUENCE);
        grammar_define(g, tail, body);
        if (i > 0) grammar_add(g, one, add_comma(s));
        int item = value_rule(s, json_array_get(prefix, (size_t)i), index, &whole);
        grammar_add(g, one, grammar_call(g, item));
        grammar_add(g, one, grammar_call(g, tail));
        body = i >= min ? grammar_repeat(g, one, 0, 1) : one;
    }
    return body;
}

int schema_list(struct schema *s, const json_t *node, const struct schema_place *at)
{
    struct grammar *g = s->g;
    const json_t *items = json_object_get(node, "items");
    const json_t *prefix = json_object_get(node, "prefixItems");
    int min = 0, max = -1, more = -1;
    if (schema_count(s, node, "minItems", at, &min) || schema_count(s, node, "maxItems", at, &max))
        return 0;
    if (prefix && !json_is_array(prefix)) return schema_refuse(s, at, "prefixItems", "is no list");
    if (max >= 0 && min > max) return grammar_nothing(g);
    if (json_array_size(prefix) == 0) {
        if (json_is_false(items)) max = 0;
        if (max == 0 && min > 0) return grammar_nothing(g);
        if (!items && max != 0)
            return min == 0 && max < 0 ? json_rules_list(&s->json, JSON_RULES_DEPTH - 1)
                                       : json_rules_series(&s->json, "[", "]", min, max,
                                                           value_rule(s, NULL, "items", at));
        return json_rules_series(&s->json, "[", "]", min, max,
                                 max == 0 ? -1 : value_rule(s, items, "items", at));
    }
    bool wants_more = items || min > (int)json_array_size(prefix);
    if (wants_more && !json_is_false(items)) more = value_rule(s, items, "items", at);
    int list = grammar_list(g, GRAMMAR_SEQUENCE);
    grammar_add(g, list, grammar_text(g, "["));
    grammar_add(g, list, json_rules_space(&s->json));
    grammar_add(g, list, add_tail(s, prefix, min, max, more, at));
    grammar_add(g, list, json_rules_space(&s->json));
    grammar_add(g, list, grammar_text(g, "]"));
    return list;
}

/* ---- members ---- */

int schema_members(struct schema *s, const struct schema_member *members, int n, int separator,
                   int more)
{
    struct grammar *g = s->g;
    int tail[2]; /* what may follow when nothing is there yet; when something is */
    for (int started = 0; started < 2; started++) {
        int one = grammar_list(g, GRAMMAR_SEQUENCE), body = grammar_list(g, GRAMMAR_SEQUENCE);
        grammar_add(g, one, grammar_call(g, separator));
        if (more >= 0) grammar_add(g, one, grammar_call(g, more));
        if (more >= 0 && !started) grammar_add(g, body, grammar_call(g, more));
        if (more >= 0) grammar_add(g, body, grammar_repeat(g, one, 0, -1));
        if (more >= 0 && !started) body = grammar_repeat(g, body, 0, 1);
        tail[started] = grammar_rule(g, "members");
        grammar_define(g, tail[started], body);
    }
    for (int i = n - 1; i >= 0 && !grammar_failed(g); i--) {
        int before[2];
        for (int started = 0; started < 2; started++) {
            int one = grammar_list(g, GRAMMAR_SEQUENCE), body = grammar_list(g, GRAMMAR_CHOICE);
            if (started) grammar_add(g, one, grammar_call(g, separator));
            grammar_add(g, one, grammar_call(g, members[i].rule));
            grammar_add(g, one, grammar_call(g, tail[1]));
            grammar_add(g, body, one);
            if (!members[i].required) grammar_add(g, body, grammar_call(g, tail[started]));
            before[started] = grammar_rule(g, "members");
            grammar_define(g, before[started], body);
        }
        tail[0] = before[0];
        tail[1] = before[1];
    }
    return grammar_call(g, tail[0]);
}

/* key space ":" space value */
static void add_value(struct schema *s, int list, int value)
{
    grammar_add(s->g, list, json_rules_space(&s->json));
    grammar_add(s->g, list, grammar_text(s->g, ":"));
    grammar_add(s->g, list, json_rules_space(&s->json));
    grammar_add(s->g, list, grammar_call(s->g, value));
}

static int member_rule(struct schema *s, const char *key, size_t size, int value)
{
    int rule = grammar_rule(s->g, key), list = grammar_list(s->g, GRAMMAR_SEQUENCE);
    grammar_add(s->g, list, json_rules_literal(&s->json, key, size));
    add_value(s, list, value);
    grammar_define(s->g, rule, list);
    return rule;
}

/* ---- keys that are not among the names ---- */

struct keys {
    struct schema *s;
    const char **names; /* sorted, distinct */
    int free;           /* rule of any plain characters up to the end */
};

static struct charset plain_characters(void)
{
    struct charset c = {.n = 0};
    charset_add(&c, 0, ' ' - 1);
    charset_add(&c, '"', '"');
    charset_add(&c, '\\', '\\');
    charset_negate(&c);
    return c;
}

/* The end of keys whose first `depth` bytes are those of names[first, last). Rules, so that long names do not
 * nest. Works on bytes: a byte that no name has here begins (or goes on with) a character of its own, and
 * where a name is inside a character, only whole characters may leave it, which is why such bytes are
 * refused below. */
static int add_keys(struct keys *k, int first, int last, size_t depth)
{
    struct grammar *g = k->s->g;
    int rule = grammar_rule(g, "key"), list = grammar_list(g, GRAMMAR_CHOICE);
    struct charset others = plain_characters();
    bool is_name = false;
    for (int i = first; i < last && !grammar_failed(g);) {
        unsigned char byte = (unsigned char)k->names[i][depth];
        int end = i;
        while (end < last && (unsigned char)k->names[end][depth] == byte)
            end++;
        if (byte == 0) {
            is_name = true;
        } else {
            char text[2] = {(char)byte, 0};
            int one = grammar_list(g, GRAMMAR_SEQUENCE);
            charset_remove(&others, byte, byte);
            grammar_add(g, one, grammar_text(g, text));
            grammar_add(g, one, grammar_call(g, add_keys(k, i, end, depth + 1)));
            grammar_add(g, list, one);
        }
        i = end;
    }
    int other = grammar_list(g, GRAMMAR_SEQUENCE);
    grammar_add(g, other, grammar_chars(g, &others));
    grammar_add(g, other, grammar_call(g, k->free));
    grammar_add(g, list, other);
    if (!is_name) grammar_add(g, list, grammar_text(g, "\""));
    grammar_define(g, rule, list);
    return rule;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* A key that is none of the names, written without escapes; with its quotes. */
static int other_key(struct schema *s, const char **names, int n, const struct schema_place *at)
{
    enum { LONGEST = 128 };
    struct grammar *g = s->g;
    struct keys k = {.s = s, .names = names};
    for (int i = 0; i < n; i++)
        for (const char *c = names[i]; *c; c++)
            if ((signed char)*c < 0 || c - names[i] >= LONGEST)
                return schema_refuse(s, at, "additionalProperties",
                                     "beside names that are not ASCII, or longer than %d bytes, is "
                                     "not supported",
                                     LONGEST);
    qsort(names, (size_t)n, sizeof *names, by_text);
    struct charset plain = plain_characters();
    int rest = grammar_list(g, GRAMMAR_SEQUENCE), list = grammar_list(g, GRAMMAR_SEQUENCE);
    k.free = grammar_rule(g, "key");
    grammar_add(g, rest, grammar_repeat(g, grammar_chars(g, &plain), 0, -1));
    grammar_add(g, rest, grammar_text(g, "\""));
    grammar_define(g, k.free, rest);
    grammar_add(g, list, grammar_text(g, "\""));
    grammar_add(g, list, grammar_call(g, add_keys(&k, 0, n, 0)));
    return list;
}

/* ---- objects ---- */

struct object {
    const json_t *properties, *required, *others;
    struct schema_member *members;
    const char **names;
    int n;
};

/* What looking for the key among n strings costs. */
static size_t search_steps(size_t n, const char *key)
{
    return 1 + n * schema_look(strlen(key)) / 8;
}

static bool is_required(struct schema *s, const struct object *o, const char *key)
{
    if (!schema_charge(s, search_steps(json_array_size(o->required), key))) return false;
    for (size_t i = 0; i < json_array_size(o->required); i++) {
        const char *name = json_string_value(json_array_get(o->required, i));
        if (name && strcmp(name, key) == 0) return true;
    }
    return false;
}

static void add_property(struct schema *s, struct object *o, const char *key, const json_t *node,
                         bool required, const struct schema_place *at)
{
    int value = value_rule(s, node, key, at);
    o->names[o->n] = key;
    o->members[o->n++] = (struct schema_member){member_rule(s, key, strlen(key), value), required};
}

static void add_properties(struct schema *s, struct object *o, const struct schema_place *at)
{
    struct schema_place inside = {at, "properties"};
    union {
        const json_t *in;
        json_t *out;
    } properties = {.in = o->properties};
    const char *key;
    json_t *node;
    json_object_foreach(properties.out, key, node)
    {
        if (!grammar_failed(s->g)) add_property(s, o, key, node, is_required(s, o, key), &inside);
    }
    for (size_t i = 0; i < json_array_size(o->required) && !grammar_failed(s->g); i++) {
        const char *name = json_string_value(json_array_get(o->required, i));
        bool known = false;
        schema_charge(s, search_steps((size_t)o->n, name ? name : ""));
        for (int k = 0; k < o->n && name; k++)
            known |= strcmp(o->names[k], name) == 0;
        if (!name || (!known && json_is_false(o->others)))
            schema_refuse(s, at, "required",
                          name ? "\"%.60s\" is no property, and no other is allowed"
                               : "is no list of names%.0s",
                          name ? name : "");
        else if (!known)
            add_property(s, o, name, json_is_object(o->others) ? o->others : NULL, true, at);
    }
}

static int add_object(struct schema *s, struct object *o, const struct schema_place *at)
{
    struct grammar *g = s->g;
    bool open = o->others ? !json_is_false(o->others) : o->n == 0;
    int separator = grammar_rule(g, "separator"), more = -1;
    grammar_define(g, separator, add_comma(s));
    int list = grammar_list(g, GRAMMAR_SEQUENCE);
    grammar_add(g, list, grammar_text(g, "{"));
    grammar_add(g, list, json_rules_space(&s->json));
    if (open && !grammar_failed(g)) {
        int value =
            value_rule(s, json_is_object(o->others) ? o->others : NULL, "additionalProperties", at);
        int member = grammar_list(g, GRAMMAR_SEQUENCE);
        more = grammar_rule(g, "member");
        grammar_add(g, member, other_key(s, o->names, o->n, at));
        add_value(s, member, value);
        grammar_define(g, more, member);
    }
    grammar_add(g, list, schema_members(s, o->members, o->n, separator, more));
    grammar_add(g, list, json_rules_space(&s->json));
    grammar_add(g, list, grammar_text(g, "}"));
    return list;
}

int schema_object(struct schema *s, const json_t *node, const struct schema_place *at)
{
    struct object o = {json_object_get(node, "properties"),
                       json_object_get(node, "required"),
                       json_object_get(node, "additionalProperties"),
                       NULL,
                       NULL,
                       0};
    size_t most = json_object_size(o.properties) + json_array_size(o.required) + 1;
    if (o.properties && !json_is_object(o.properties))
        return schema_refuse(s, at, "properties", "is no object");
    if (o.required && !json_is_array(o.required))
        return schema_refuse(s, at, "required", "is no list of names");
    if (most > MAX_PROPERTIES) return schema_refuse(s, at, "properties", "are too many");
    if (!o.properties && !o.required && (!o.others || json_is_true(o.others)))
        return json_rules_object(&s->json, JSON_RULES_DEPTH - 1);
    o.members = malloc(most * sizeof *o.members);
    o.names = malloc(most * sizeof *o.names);
    if (!o.members || !o.names)
        grammar_fail(s->g, ERR_LIMIT, "no memory for a schema");
    else
        add_properties(s, &o, at);
    int out = grammar_failed(s->g) ? 0 : add_object(s, &o, at);
    free(o.members);
    free(o.names);
    return out;
}

/* ---- branches that are apart ---- */

static const json_t *follow(struct schema *s, const json_t *node)
{
    for (int i = 0; i < 16 && json_object_get(node, "$ref"); i++)
        node = schema_find(s, json_string_value(json_object_get(node, "$ref")));
    return node;
}

/* The values of const or enum; *n < 0: the schema is about more than some values. */
static const json_t *value_at(const json_t *node, int i, int *n)
{
    const json_t *one = json_object_get(node, "const"), *list = json_object_get(node, "enum");
    *n = one ? 1 : json_is_array(list) ? (int)json_array_size(list) : -1;
    return one ? one : json_array_get(list, (size_t)i);
}

/* What a comparison with the value costs at most. */
static void charge_value(struct schema *s, const json_t *value)
{
    union {
        const json_t *in;
        json_t *out;
    } object = {.in = value};
    const char *key;
    json_t *inside;
    size_t i;
    if (!schema_charge(s, schema_look(json_string_length(value)))) return;
    json_array_foreach(value, i, inside)
    {
        charge_value(s, inside);
    }
    json_object_foreach(object.out, key, inside)
    {
        schema_charge(s, schema_look(strlen(key)));
        charge_value(s, inside);
    }
}

static bool are_equal(struct schema *s, const json_t *x, const json_t *y)
{
    if (json_is_number(x) && json_is_number(y)) return json_number_value(x) == json_number_value(y);
    charge_value(s, json_typeof(x) == json_typeof(y) ? x : NULL);
    return !grammar_failed(s->g) && json_equal(x, y);
}

static bool values_apart(struct schema *s, const json_t *a, const json_t *b)
{
    enum { MOST = 32 };
    int n_a, n_b;
    value_at(a, 0, &n_a);
    value_at(b, 0, &n_b);
    if (n_a < 0 || n_b < 0 || n_a > MOST || n_b > MOST) return false;
    schema_charge(s, (size_t)n_a * (size_t)n_b);
    for (int i = 0; i < n_a && !grammar_failed(s->g); i++)
        for (int k = 0; k < n_b; k++)
            if (are_equal(s, value_at(a, i, &n_a), value_at(b, k, &n_b))) return false;
    return !grammar_failed(s->g);
}

/* Objects that both need a member whose values are apart. */
static bool objects_apart(struct schema *s, const json_t *a, const json_t *b, int depth)
{
    const json_t *in_a = json_object_get(a, "properties"), *in_b = json_object_get(b, "properties");
    struct object need_a = {.required = json_object_get(a, "required")};
    struct object need_b = {.required = json_object_get(b, "required")};
    if (json_array_size(need_a.required) > 64 || json_array_size(need_b.required) > 64)
        return false;
    for (size_t i = 0; i < json_array_size(need_a.required); i++) {
        const char *key = json_string_value(json_array_get(need_a.required, i));
        if (key && is_required(s, &need_b, key) &&
            schema_apart(s, json_object_get(in_a, key), json_object_get(in_b, key), depth + 1))
            return true;
    }
    return false;
}

bool schema_apart(struct schema *s, const json_t *a, const json_t *b, int depth)
{
    a = follow(s, a);
    b = follow(s, b);
    if (!json_is_object(a) || !json_is_object(b) || depth > 1) return false;
    if (values_apart(s, a, b)) return true;
    const json_t *type_a = json_object_get(a, "type"), *type_b = json_object_get(b, "type");
    if (!schema_charge(s, 1 + json_array_size(type_a) + json_array_size(type_b))) return false;
    int types_a = type_a ? schema_types(a) : TYPE_ALL;
    int types_b = type_b ? schema_types(b) : TYPE_ALL;
    if ((types_a & types_b) == 0) return true;
    return types_a == TYPE_OBJECT && types_b == TYPE_OBJECT && objects_apart(s, a, b, depth);
}
