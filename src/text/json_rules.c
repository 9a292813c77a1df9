#include "text/json_rules.h"

#include <stdio.h>
#include <string.h>

#include "text/pyjson.h"
#include "text/regex.h"

void json_rules_init(struct json_rules *r, struct grammar *g)
{
    *r = (struct json_rules){g, -1, -1, -1, -1, -1, -1, {0}, {0}, {0}};
    for (int i = 0; i <= JSON_RULES_DEPTH; i++)
        r->value[i] = r->object[i] = r->list[i] = -1;
}

/* A call of a rule that a regular expression gives. */
static int regex_rule(struct json_rules *r, int *rule, const char *name, const char *regex)
{
    if (*rule < 0) {
        *rule = grammar_rule(r->g, name);
        grammar_define(r->g, *rule, regex_add(r->g, TEXT_RAW, name, regex, strlen(regex)));
    }
    return grammar_call(r->g, *rule);
}

int json_rules_space(struct json_rules *r)
{
    return regex_rule(r, &r->space, "space", "(?: |\\n[ \\t]{0,20})?");
}

int json_rules_character(struct json_rules *r)
{
    return regex_rule(r, &r->character, "character",
                      "[^\"\\\\\\x00-\\x1f]|\\\\[\"\\\\/bfnrt]"
                      "|\\\\u(?:[1-9a-cefA-CEF][0-9a-fA-F]{3}|[dD][0-7][0-9a-fA-F]{2}"
                      "|0(?:[1-9a-fA-F][0-9a-fA-F]{2}|0(?:[1-9a-fA-F][0-9a-fA-F]|0[1-9a-fA-F])))"
                      "|\\\\u[dD][89abAB][0-9a-fA-F]{2}\\\\u[dD][c-fC-F][0-9a-fA-F]{2}");
}

int json_rules_plain(struct json_rules *r)
{
    return regex_rule(r, &r->plain, "plain", "[^\\x00]");
}

static int json_rules_string(struct json_rules *r)
{
    if (r->string < 0) {
        int list = grammar_list(r->g, GRAMMAR_SEQUENCE);
        r->string = grammar_rule(r->g, "string");
        grammar_add(r->g, list, grammar_text(r->g, "\""));
        grammar_add(r->g, list, grammar_repeat(r->g, json_rules_character(r), 0, -1));
        grammar_add(r->g, list, grammar_text(r->g, "\""));
        grammar_define(r->g, r->string, list);
    }
    return grammar_call(r->g, r->string);
}

int json_rules_integer(struct json_rules *r)
{
    return regex_rule(r, &r->integer, "integer", "-?(?:0|[1-9][0-9]{0,17})");
}

int json_rules_number(struct json_rules *r)
{
    return regex_rule(r, &r->number, "number",
                      "-?(?:0|[1-9][0-9]{0,17})(?:\\.[0-9]{1,18})?(?:[eE][+-]?[0-9]{1,2})?");
}

/* space "," space item */
static int add_next(struct json_rules *r, int item_rule)
{
    int list = grammar_list(r->g, GRAMMAR_SEQUENCE);
    grammar_add(r->g, list, json_rules_space(r));
    grammar_add(r->g, list, grammar_text(r->g, ","));
    grammar_add(r->g, list, json_rules_space(r));
    grammar_add(r->g, list, grammar_call(r->g, item_rule));
    return list;
}

int json_rules_series(struct json_rules *r, const char *open, const char *close, int min, int max,
                      int item_rule)
{
    struct grammar *g = r->g;
    int list = grammar_list(g, GRAMMAR_SEQUENCE), items = grammar_list(g, GRAMMAR_SEQUENCE);
    grammar_add(g, list, grammar_text(g, open));
    grammar_add(g, list, json_rules_space(r));
    if (max != 0) {
        grammar_add(g, items, grammar_call(g, item_rule));
        grammar_add(g, items,
                    grammar_repeat(g, add_next(r, item_rule), min > 1 ? min - 1 : 0,
                                   max < 0 ? -1 : max - 1));
        grammar_add(g, items, json_rules_space(r));
        grammar_add(g, list, grammar_repeat(g, items, min > 0, 1));
    }
    grammar_add(g, list, grammar_text(g, close));
    return list;
}

int json_rules_list(struct json_rules *r, int depth)
{
    int *rule = &r->list[depth];
    if (*rule < 0) {
        *rule = grammar_rule(r->g, "list");
        int value = grammar_rule(r->g, "item");
        grammar_define(r->g, value, json_rules_value(r, depth));
        grammar_define(r->g, *rule, json_rules_series(r, "[", "]", 0, -1, value));
    }
    return grammar_call(r->g, *rule);
}

int json_rules_object(struct json_rules *r, int depth)
{
    struct grammar *g = r->g;
    int *rule = &r->object[depth];
    if (*rule < 0) {
        *rule = grammar_rule(g, "object");
        int member = grammar_rule(g, "member"), list = grammar_list(g, GRAMMAR_SEQUENCE);
        grammar_add(g, list, json_rules_string(r));
        grammar_add(g, list, json_rules_space(r));
        grammar_add(g, list, grammar_text(g, ":"));
        grammar_add(g, list, json_rules_space(r));
        grammar_add(g, list, json_rules_value(r, depth));
        grammar_define(g, member, list);
        grammar_define(g, *rule, json_rules_series(r, "{", "}", 0, -1, member));
    }
    return grammar_call(g, *rule);
}

int json_rules_value(struct json_rules *r, int depth)
{
    static const char *const words[] = {"null", "true", "false"};
    struct grammar *g = r->g;
    int *rule = &r->value[depth];
    if (*rule < 0) {
        *rule = grammar_rule(g, "value");
        int list = grammar_list(g, GRAMMAR_CHOICE);
        for (int i = 0; i < 3; i++)
            grammar_add(g, list, grammar_text(g, words[i]));
        grammar_add(g, list, json_rules_string(r));
        grammar_add(g, list, json_rules_number(r));
        if (depth > 0) grammar_add(g, list, json_rules_list(r, depth - 1));
        if (depth > 0) grammar_add(g, list, json_rules_object(r, depth - 1));
        grammar_define(g, *rule, list);
    }
    return grammar_call(g, *rule);
}

/* ---- constants ---- */

int json_rules_literal(struct json_rules *r, const char *s, size_t size)
{
    struct buf text;
    buf_init(&text, GRAMMAR_MAX_SOURCE);
    pyjson_add_string(&text, s, size);
    int node = text.failed
                   ? grammar_fail(r->g, ERR_LIMIT, "a string of over %d bytes", GRAMMAR_MAX_SOURCE)
                   : grammar_bytes(r->g, buf_text(&text), text.size);
    buf_fini(&text);
    return node;
}

static int add_list_constant(struct json_rules *r, const json_t *value)
{
    struct grammar *g = r->g;
    int list = grammar_list(g, GRAMMAR_SEQUENCE);
    grammar_add(g, list, grammar_text(g, "["));
    grammar_add(g, list, json_rules_space(r));
    for (size_t i = 0; i < json_array_size(value) && !grammar_failed(g); i++) {
        if (i) grammar_add(g, list, grammar_text(g, ","));
        if (i) grammar_add(g, list, json_rules_space(r));
        grammar_add(g, list, json_rules_constant(r, json_array_get(value, i)));
        grammar_add(g, list, json_rules_space(r));
    }
    grammar_add(g, list, grammar_text(g, "]"));
    return list;
}

static int add_object_constant(struct json_rules *r, const json_t *value)
{
    struct grammar *g = r->g;
    int list = grammar_list(g, GRAMMAR_SEQUENCE), n = 0;
    union {
        const json_t *in;
        json_t *out;
    } object = {.in = value};
    const char *key;
    size_t size;
    json_t *member;
    grammar_add(g, list, grammar_text(g, "{"));
    grammar_add(g, list, json_rules_space(r));
    json_object_keylen_foreach(object.out, key, size, member)
    {
        if (n++) grammar_add(g, list, grammar_text(g, ","));
        if (n > 1) grammar_add(g, list, json_rules_space(r));
        grammar_add(g, list, json_rules_literal(r, key, size));
        grammar_add(g, list, json_rules_space(r));
        grammar_add(g, list, grammar_text(g, ":"));
        grammar_add(g, list, json_rules_space(r));
        grammar_add(g, list, json_rules_constant(r, member));
        grammar_add(g, list, json_rules_space(r));
    }
    grammar_add(g, list, grammar_text(g, "}"));
    return list;
}

int json_rules_constant(struct json_rules *r, const json_t *value)
{
    char text[64];
    if (json_is_object(value)) return add_object_constant(r, value);
    if (json_is_array(value)) return add_list_constant(r, value);
    if (json_is_string(value))
        return json_rules_literal(r, json_string_value(value), json_string_length(value));
    if (json_is_integer(value))
        snprintf(text, sizeof text, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else if (json_is_real(value))
        pyjson_float(json_real_value(value), text);
    else
        snprintf(text, sizeof text, "%s",
                 json_is_null(value)   ? "null"
                 : json_is_true(value) ? "true"
                                       : "false");
    return grammar_text(r->g, text);
}
