#include "accept.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "text/ebnf.h"
#include "text/regex.h"
#include "text/schema.h"

static int add_source(struct grammar *g, enum source kind, const char *source, json_t **schema)
{
    struct json_rules rules;
    struct schema s;
    struct err err = {0};
    switch (kind) {
    case SOURCE_REGEX:
        return regex_add(g, TEXT_RAW, "regex", source, strlen(source));
    case SOURCE_EBNF:
        return grammar_call(g, ebnf_add(g, source, strlen(source)));
    case SOURCE_JSON_OBJECT:
        json_rules_init(&rules, g);
        return json_rules_object(&rules, JSON_RULES_DEPTH - 1);
    default:
        *schema = json_loads(source, JSON_DECODE_ANY, NULL);
        if (!*schema) fail_msg("%s is no JSON: %s", source, err.message);
        schema_init(&s, g, *schema);
        int node = schema_add(&s, *schema, SCHEMA_JSON, NULL);
        schema_fini(&s);
        return node;
    }
}

int accept_compile(struct automaton **out, enum source kind, const char *source, struct err *err)
{
    struct grammar *g;
    json_t *schema = NULL;
    if (grammar_new(&g, err)) return -1;
    int root = grammar_rule(g, "test");
    grammar_define(g, root, add_source(g, kind, source, &schema));
    int rc = automaton_new(out, g, root, err);
    grammar_free(g);
    json_decref(schema);
    return rc;
}

/* Byte by byte, and in pieces, which must agree. */
static bool matches(struct matcher *m, const char *text)
{
    struct err err = {0};
    int whole = 1, rc = 1;
    size_t size = strlen(text);
    if (matcher_restart(m, &err)) fail_msg("%s", err.message);
    for (size_t i = 0; i < size && whole == 1; i += 50)
        whole = matcher_bytes(m, text + i, size - i < 50 ? size - i : 50, &err);
    bool end = whole == 1 && matcher_may_end(m);
    if (matcher_restart(m, &err)) fail_msg("%s", err.message);
    for (const char *c = text; *c && rc == 1; c++)
        rc = matcher_bytes(m, c, 1, &err);
    if (rc < 0 || whole < 0) fail_msg("%s: %s", text, err.message);
    assert_int_equal(rc, whole);
    assert_true(rc == 0 || end == matcher_may_end(m));
    return end;
}

static struct matcher *compile(enum source kind, const char *source, struct automaton **a)
{
    struct matcher *m = NULL;
    struct err err = {0};
    if (accept_compile(a, kind, source, &err) || matcher_new(&m, *a, &err))
        fail_msg("%s: %s", source, err.message);
    return m;
}

bool accept_text(enum source kind, const char *source, const char *text)
{
    struct automaton *a;
    struct matcher *m = compile(kind, source, &a);
    bool yes = matches(m, text);
    matcher_free(m);
    automaton_free(a);
    return yes;
}

int accept_check(enum source kind, const struct accept_row *rows, size_t n)
{
    int count = 0;
    for (size_t i = 0; i < n; i++) {
        struct automaton *a;
        struct matcher *m = compile(kind, rows[i].source, &a);
        for (int k = 0; k < 9 && rows[i].yes[k]; k++, count++)
            if (!matches(m, rows[i].yes[k]))
                fail_msg("%s does not accept %s", rows[i].source, rows[i].yes[k]);
        for (int k = 0; k < 9 && rows[i].no[k]; k++, count++)
            if (matches(m, rows[i].no[k])) fail_msg("%s accepts %s", rows[i].source, rows[i].no[k]);
        matcher_free(m);
        automaton_free(a);
    }
    return count;
}

void accept_check_refusals(enum source kind, const struct refuse_row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct automaton *a = NULL;
        struct err err = {0};
        if (accept_compile(&a, kind, rows[i].source, &err) == 0)
            fail_msg("%s is not refused", rows[i].source);
        if (!strstr(err.message, rows[i].message))
            fail_msg("%s: \"%s\" does not say \"%s\"", rows[i].source, err.message,
                     rows[i].message);
        assert_null(a);
    }
}
