#include "text/dsml_rules.h"

#include <stdlib.h>
#include <string.h>

#include "text/prompt_text.h"
#include "text/regex.h"
#include "text/schema.h"

enum { MAX_PARAMETERS = 1024 };

struct dsml {
    struct grammar *g;
    const struct prompt_family_text *words;
    int line;             /* rule of the newline between parameters */
    int begin, end;       /* rules of the tags around a parameter: up to its name; the end tag */
    int any[2];           /* rules of any value: a string as it is; another in JSON */
    struct schema schema; /* of the function that is written; its rules of JSON are for all */
};

static void add_text(struct dsml *d, int list, const char *s)
{
    grammar_add(d->g, list, grammar_text(d->g, s));
}

/* "<" or "</", the marker, a word. */
static void add_tag(struct dsml *d, int list, const char *open, const char *word)
{
    add_text(d, list, open);
    grammar_add(d->g, list, grammar_symbol(d->g, GRAMMAR_DSML));
    add_text(d, list, word);
}

/* ---- parameters ---- */

/* " string="true">...</DSML parameter> and the like, behind the name. */
static int add_spelling(struct dsml *d, bool is_string, int value)
{
    int list = grammar_list(d->g, GRAMMAR_SEQUENCE);
    add_text(d, list, is_string ? "\" string=\"true\">" : "\" string=\"false\">");
    grammar_add(d->g, list, value);
    grammar_add(d->g, list, grammar_call(d->g, d->end));
    return list;
}

/* From the state before a schema that failed: what was begun since then matches nothing. False when the failure
 * is not the schema's alone. */
static bool recover(struct dsml *d, const struct schema *before, int n_rules)
{
    struct grammar *g = d->g;
    if (g->err.code != ERR_UNSUPPORTED && g->err.code != ERR_ARGUMENT) return false;
    g->err = (struct err){.code = ERR_NONE};
    for (int i = n_rules; i < g->n_rules; i++)
        if (g->rules[i].node < 0) grammar_define(g, i, grammar_nothing(g));
    d->schema.json = before->json;
    d->schema.n_refs = d->schema.n_written = before->n_refs;
    return !grammar_failed(g);
}

/* A value in one form; node NULL: any. */
static int add_form(struct dsml *d, const json_t *node, const char *key, bool strict,
                    enum schema_form form)
{
    struct schema before = d->schema;
    struct schema_place inside = {NULL, "properties"}, at = {&inside, key};
    int n_rules = d->g->n_rules;
    int any = d->any[form == SCHEMA_REST];
    if (!node) return grammar_call(d->g, any);
    int out = schema_add(&d->schema, node, form, &at);
    if (strict || !grammar_failed(d->g) || !recover(d, &before, n_rules)) return out;
    return grammar_call(d->g, any);
}

/* The parameter whose name is `name`, an expression; key is for messages. */
static int parameter_rule(struct dsml *d, const json_t *node, int name, const char *key,
                          bool strict)
{
    struct grammar *g = d->g;
    int rule = grammar_rule(g, key), list = grammar_list(g, GRAMMAR_SEQUENCE);
    int spellings = grammar_list(g, GRAMMAR_CHOICE);
    grammar_add(g, list, grammar_call(g, d->begin));
    grammar_add(g, list, name);
    int text = add_form(d, node, key, strict, SCHEMA_RAW);
    grammar_add(g, spellings, add_spelling(d, true, text));
    int rest = add_form(d, node, key, strict, SCHEMA_REST);
    grammar_add(g, spellings, add_spelling(d, false, rest));
    grammar_add(g, list, spellings);
    grammar_define(g, rule, list);
    return rule;
}

static bool is_listed(const json_t *names, const char *key)
{
    for (size_t i = 0; i < json_array_size(names); i++) {
        const char *name = json_string_value(json_array_get(names, i));
        if (name && strcmp(name, key) == 0) return true;
    }
    return false;
}

/* Nothing is escaped in a tag. */
static bool can_stand_in_tag(const char *key)
{
    for (const char *c = key; *c; c++)
        if ((unsigned char)*c < ' ' || *c == '"' || *c == '<' || *c == '>') return false;
    return *key != 0;
}

/* What a strict tool's schema must not hold beside properties, and what must be among them. */
static int check_strict(struct dsml *d, const json_t *schema)
{
    static const char *const known[] = {"type",        "properties", "required",
                                        "title",       "$defs",      "additionalProperties",
                                        "description", "$schema",    "definitions"};
    const json_t *properties = json_object_get(schema, "properties");
    const json_t *required = json_object_get(schema, "required");
    union {
        const json_t *in;
        json_t *out;
    } object = {.in = schema};
    const char *key;
    json_t *value;
    json_object_foreach(object.out, key, value)
    {
        size_t i = 0;
        while (i < sizeof known / sizeof *known && strcmp(known[i], key) != 0)
            i++;
        if (i == sizeof known / sizeof *known)
            return grammar_fail(d->g, ERR_UNSUPPORTED,
                                "schema: \"%.60s\" at #: is not supported for a function", key);
    }
    for (size_t i = 0; i < json_array_size(required); i++) {
        const char *name = json_string_value(json_array_get(required, i));
        if (!name || !json_object_get(properties, name))
            return grammar_fail(d->g, ERR_UNSUPPORTED,
                                "schema: \"required\" at #: \"%.60s\" is no property",
                                name ? name : "");
    }
    return 0;
}

static int free_parameters(struct dsml *d)
{
    static const char name[] = "[A-Za-z0-9_.-]{1,64}";
    int rule = parameter_rule(d, NULL, regex_add(d->g, TEXT_RAW, "name", name, strlen(name)),
                              "parameter", false);
    return schema_members(&d->schema, NULL, 0, d->line, rule);
}

static int add_parameters(struct dsml *d, const json_t *schema, bool strict)
{
    union {
        const json_t *in;
        json_t *out;
    } properties = {.in = json_object_get(schema, "properties")};
    const json_t *required = json_object_get(schema, "required");
    const json_t *others = json_object_get(schema, "additionalProperties");
    const char *key;
    json_t *node;
    int n = 0;
    if (strict) check_strict(d, schema);
    bool is_open = !strict && schema && (!others || !json_is_false(others));
    if (json_object_size(properties.in) == 0 && is_open) return free_parameters(d);
    if (json_object_size(properties.in) > MAX_PARAMETERS)
        return grammar_fail(d->g, ERR_LIMIT, "schema: a function of over %d parameters",
                            MAX_PARAMETERS);
    struct schema_member *members = malloc((json_object_size(properties.in) + 1) * sizeof *members);
    if (!members) return grammar_fail(d->g, ERR_LIMIT, "no memory for a function");
    json_object_foreach(properties.out, key, node)
    {
        if (!can_stand_in_tag(key) && strict)
            grammar_fail(d->g, ERR_UNSUPPORTED,
                         "schema: the name of a parameter has \" < > or "
                         "control characters, or none");
        if (!can_stand_in_tag(key) || grammar_failed(d->g)) continue;
        int rule = parameter_rule(d, node, grammar_text(d->g, key), key, strict);
        members[n++] = (struct schema_member){rule, is_listed(required, key)};
    }
    int out = grammar_failed(d->g) ? 0 : schema_members(&d->schema, members, n, d->line, -1);
    free(members);
    return out;
}

/* ---- calls ---- */

static int add_invoke(struct dsml *d, const char *name, const json_t *function)
{
    int list = grammar_list(d->g, GRAMMAR_SEQUENCE);
    bool strict = json_is_true(json_object_get(function, "strict"));
    schema_restart(&d->schema, json_object_get(function, "parameters"));
    add_tag(d, list, "<", d->words->invoke);
    add_text(d, list, " name=\"");
    add_text(d, list, name);
    add_text(d, list, "\">\n");
    grammar_add(d->g, list, add_parameters(d, json_object_get(function, "parameters"), strict));
    add_tag(d, list, "\n</", d->words->invoke);
    add_text(d, list, ">");
    return list;
}

/* What all parameters share. */
static void define_shared(struct dsml *d)
{
    struct grammar *g = d->g;
    int begin = grammar_list(g, GRAMMAR_SEQUENCE), end = grammar_list(g, GRAMMAR_SEQUENCE);
    add_tag(d, begin, "<", d->words->parameter);
    add_text(d, begin, " name=\"");
    add_tag(d, end, "</", d->words->parameter);
    add_text(d, end, ">");
    d->line = grammar_rule(g, "line");
    d->begin = grammar_rule(g, "parameter");
    d->end = grammar_rule(g, "end of a parameter");
    grammar_define(g, d->line, grammar_text(g, "\n"));
    grammar_define(g, d->begin, begin);
    grammar_define(g, d->end, end);
    for (int i = 0; i < 2; i++) {
        d->any[i] = grammar_rule(g, "value");
        grammar_define(g, d->any[i], schema_any(&d->schema, i ? SCHEMA_REST : SCHEMA_RAW));
    }
}

int dsml_add(struct grammar *g, const json_t *tools, const char *only, bool many,
             enum prompt_family family)
{
    struct dsml d = {.g = g, .words = &prompt_families[family]};
    schema_init(&d.schema, g, NULL);
    int call = grammar_rule(g, "call"), calls = grammar_list(g, GRAMMAR_CHOICE);
    define_shared(&d);
    for (size_t i = 0; i < json_array_size(tools) && !grammar_failed(g); i++) {
        const json_t *tool = json_array_get(tools, i),
                     *function = json_object_get(tool, "function");
        if (!json_is_object(function)) function = tool;
        const char *name = json_string_value(json_object_get(function, "name"));
        if (!name || !can_stand_in_tag(name) || (only && strcmp(only, name) != 0)) continue;
        grammar_add(g, calls, add_invoke(&d, name, function));
        if (grammar_failed(g)) (void)err_prefix(&g->err, "function \"%.64s\"", name);
    }
    grammar_define(g, call, calls);
    int list = grammar_list(g, GRAMMAR_SEQUENCE), more = grammar_list(g, GRAMMAR_SEQUENCE);
    add_tag(&d, list, "<", d.words->calls);
    add_text(&d, list, ">\n");
    grammar_add(g, list, grammar_call(g, call));
    add_text(&d, more, "\n");
    grammar_add(g, more, grammar_call(g, call));
    if (many) grammar_add(g, list, grammar_repeat(g, more, 0, -1));
    add_tag(&d, list, "\n</", d.words->calls);
    add_text(&d, list, ">");
    schema_fini(&d.schema);
    return list;
}
