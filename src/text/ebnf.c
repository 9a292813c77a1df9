#include "text/ebnf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/pattern.h"

struct name {
    size_t start, size;
    int rule;
};

struct ebnf {
    struct pattern p;
    struct name *names; /* in order of their text */
    int n, cap;
};

/* Blanks and comments; newlines too when `lines`. */
static void skip_space(struct pattern *p, bool lines)
{
    for (int c; (c = pattern_peek(p)) >= 0;) {
        if (c == '#')
            while (pattern_peek(p) >= 0 && pattern_peek(p) != '\n')
                p->at++;
        else if (c == ' ' || c == '\t' || (lines && (c == '\n' || c == '\r')))
            p->at++;
        else
            return;
    }
}

static bool is_name_byte(int c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '_';
}

/* Takes a name; size 0 when there is none. */
static struct name take_name(struct pattern *p)
{
    struct name name = {.start = p->at};
    while (is_name_byte(pattern_peek(p)))
        p->at++;
    name.size = p->at - name.start;
    return name;
}

static int compare_names(const struct pattern *p, const struct name *a, const struct name *b)
{
    int order = memcmp(p->s + a->start, p->s + b->start, a->size < b->size ? a->size : b->size);
    return order ? order : (a->size > b->size) - (a->size < b->size);
}

/* The rule of this name, made when it is new. */
static int find_rule(struct ebnf *e, struct name name)
{
    struct pattern *p = &e->p;
    int low = 0, high = e->n;
    while (low < high) {
        int mid = (low + high) / 2, order = compare_names(p, &e->names[mid], &name);
        if (order == 0) return e->names[mid].rule;
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    char text[GRAMMAR_MAX_NAME];
    snprintf(text, sizeof text, "%.*s", name.size < sizeof text ? (int)name.size : (int)sizeof text,
             p->s + name.start);
    name.rule = grammar_rule(p->g, text);
    if (e->n == e->cap) {
        int cap = e->cap ? 2 * e->cap : 64;
        struct name *grown = realloc(e->names, (size_t)cap * sizeof *grown);
        if (!grown) return grammar_fail(p->g, ERR_LIMIT, "no memory for %d rules", cap);
        e->names = grown;
        e->cap = cap;
    }
    memmove(e->names + low + 1, e->names + low, (size_t)(e->n - low) * sizeof *e->names);
    e->names[low] = name;
    e->n++;
    return name.rule;
}

/* Behind a backslash. */
static int32_t take_escaped(struct pattern *p)
{
    static const char letters[] = "nrt\\\"[]-^", values[] = "\n\r\t\\\"[]-^";
    int32_t c = pattern_char(p);
    const char *at = c > 0 && c < 128 ? strchr(letters, (int)c) : NULL;
    if (at) return values[at - letters];
    if (c == 'x') return pattern_hex(p, 2);
    if (c == 'u') return pattern_hex(p, 4);
    if (c == 'U') return pattern_hex(p, 8);
    if (c >= 0) pattern_fail(p, "an unknown escape");
    return -1;
}

static int32_t take_char(struct pattern *p)
{
    return pattern_take(p, '\\') ? take_escaped(p) : pattern_char(p);
}

static int one_char(struct grammar *g, int32_t cp)
{
    struct charset c = {.n = 0};
    charset_add(&c, cp, cp);
    return grammar_chars(g, &c);
}

static int read_literal(struct pattern *p)
{
    int list = grammar_list(p->g, GRAMMAR_SEQUENCE);
    while (!grammar_failed(p->g) && !pattern_take(p, '"')) {
        int32_t cp = take_char(p);
        if (!grammar_failed(p->g)) grammar_add(p->g, list, one_char(p->g, cp));
    }
    return list;
}

static int read_class(struct pattern *p)
{
    struct charset c = {.n = 0};
    bool negated = pattern_take(p, '^');
    while (!grammar_failed(p->g) && !pattern_take(p, ']')) {
        int32_t low = take_char(p), high = low;
        if (pattern_peek(p) == '-' && p->at + 1 < p->size && p->s[p->at + 1] != ']') {
            p->at++;
            high = take_char(p);
            if (high < low) pattern_fail(p, "a range that goes down");
        }
        if (!grammar_failed(p->g)) charset_add(&c, low, high);
    }
    if (negated) charset_negate(&c);
    return grammar_chars(p->g, &c);
}

static int read_choice(struct ebnf *e, int depth);

static int read_atom(struct ebnf *e, int depth)
{
    struct pattern *p = &e->p;
    if (pattern_take(p, '"')) return read_literal(p);
    if (pattern_take(p, '[')) return read_class(p);
    if (pattern_take(p, '.')) {
        struct charset any = {.n = 0};
        charset_negate(&any);
        return grammar_chars(p->g, &any);
    }
    if (pattern_take(p, '(')) {
        int node = read_choice(e, depth + 1);
        skip_space(p, true);
        if (!pattern_take(p, ')')) return pattern_fail(p, "a parenthesis is not closed");
        return node;
    }
    struct name name = take_name(p);
    if (name.size == 0) return pattern_fail(p, "a literal, class, name or parenthesis is wanted");
    return grammar_call(p->g, find_rule(e, name));
}

static bool begins_atom(int c)
{
    return is_name_byte(c) || c == '"' || c == '[' || c == '.' || c == '(';
}

static int read_sequence(struct ebnf *e, int depth)
{
    struct pattern *p = &e->p;
    int list = grammar_list(p->g, GRAMMAR_SEQUENCE), min, max;
    for (;;) {
        skip_space(p, depth > 0);
        if (grammar_failed(p->g) || !begins_atom(pattern_peek(p))) return list;
        int node = read_atom(e, depth);
        skip_space(p, false);
        while (!grammar_failed(p->g) && pattern_count(p, true, &min, &max)) {
            node = grammar_repeat(p->g, node, min, max);
            skip_space(p, false);
        }
        grammar_add(p->g, list, node);
    }
}

static int read_choice(struct ebnf *e, int depth)
{
    struct pattern *p = &e->p;
    if (depth > PATTERN_MAX_DEPTH)
        return pattern_fail(p, "parentheses inside each other over %d deep", PATTERN_MAX_DEPTH);
    int list = grammar_list(p->g, GRAMMAR_CHOICE);
    for (;;) {
        grammar_add(p->g, list, read_sequence(e, depth));
        struct pattern ahead = *p;
        skip_space(&ahead, true);
        if (grammar_failed(p->g) || pattern_peek(&ahead) != '|') return list;
        p->at = ahead.at + 1;
        skip_space(p, true);
    }
}

static void read_rule(struct ebnf *e)
{
    struct pattern *p = &e->p;
    struct name name = take_name(p);
    if (name.size == 0) {
        pattern_fail(p, "the name of a rule is wanted");
        return;
    }
    int rule = find_rule(e, name);
    skip_space(p, false);
    if (!pattern_take_text(p, "::=")) pattern_fail(p, "::= is wanted");
    if (!grammar_failed(p->g) && p->g->rules[rule].node >= 0)
        pattern_fail(p, "the rule \"%s\" is there already", p->g->rules[rule].name);
    skip_space(p, true);
    int node = read_choice(e, 0);
    int end = pattern_peek(p);
    if (!grammar_failed(p->g) && end >= 0 && end != '\n' && end != '\r')
        pattern_fail(p, "a rule ends at the end of its line");
    grammar_define(p->g, rule, node);
}

int ebnf_add(struct grammar *g, const char *s, size_t size)
{
    struct ebnf e = {.p = {g, "grammar", s, size, 0}};
    if (size > GRAMMAR_MAX_SOURCE)
        return grammar_fail(g, ERR_LIMIT, "grammar: over %d bytes", GRAMMAR_MAX_SOURCE);
    int n_before = g->n_rules;
    for (skip_space(&e.p, true); pattern_peek(&e.p) >= 0 && !grammar_failed(g);
         skip_space(&e.p, true))
        read_rule(&e);
    int root = -1;
    for (int i = n_before; i < g->n_rules; i++)
        if (strcmp(g->rules[i].name, "root") == 0) root = i;
    free(e.names);
    if (root < 0) return grammar_fail(g, ERR_ARGUMENT, "grammar: there is no rule \"root\"");
    return root;
}
