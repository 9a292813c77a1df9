#include "text/grammar.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/utf8.h"

int grammar_new(struct grammar **out, struct err *err)
{
    *out = calloc(1, sizeof **out);
    if (!*out) return err_set(err, ERR_LIMIT, "no memory for a grammar");
    if (grammar_nothing(*out) == 0 && !grammar_failed(*out)) return 0;
    grammar_free(*out);
    *out = NULL;
    return err_set(err, ERR_LIMIT, "no memory for a grammar");
}

void grammar_free(struct grammar *g)
{
    if (!g) return;
    free(g->nodes);
    free(g->rules);
    free(g->sets);
    free(g);
}

int grammar_fail(struct grammar *g, enum err_code code, const char *fmt, ...)
{
    char text[sizeof g->err.message];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    (void)err_set(&g->err, code, "%s", text);
    return 0;
}

bool grammar_failed(const struct grammar *g)
{
    return g->err.code != ERR_NONE;
}

int grammar_check(const struct grammar *g, struct err *err)
{
    return grammar_failed(g) ? err_set(err, g->err.code, "%s", g->err.message) : 0;
}

/* Room for one more in an array of at most max; false when the grammar has failed or fails now. */
static bool grow(struct grammar *g, void **array, int n, int *cap, size_t size, int max,
                 const char *what)
{
    if (grammar_failed(g)) return false;
    if (n < *cap) return true;
    int more = *cap ? 2 * *cap : 64;
    if (more > max) more = max;
    void *grown = n < max ? realloc(*array, (size_t)more * size) : NULL;
    if (!grown) {
        grammar_fail(g, ERR_LIMIT, "the grammar is too large: over %d %s", n, what);
        return false;
    }
    *array = grown;
    *cap = more;
    return true;
}

/* ---- rules ---- */

int grammar_rule(struct grammar *g, const char *name)
{
    void *rules = g->rules;
    if (!grow(g, &rules, g->n_rules, &g->cap_rules, sizeof *g->rules, GRAMMAR_MAX_RULES, "rules"))
        return 0;
    g->rules = rules;
    struct grammar_rule *r = &g->rules[g->n_rules];
    *r = (struct grammar_rule){.node = -1};
    snprintf(r->name, sizeof r->name, "%s", name);
    return g->n_rules++;
}

void grammar_define(struct grammar *g, int rule, int node)
{
    if (grammar_failed(g)) return;
    CHECK(g->rules[rule].node < 0, "rule %s is defined twice", g->rules[rule].name);
    g->rules[rule].node = node;
}

/* ---- expressions ---- */

static int add_node(struct grammar *g, struct grammar_node node)
{
    void *nodes = g->nodes;
    if (!grow(g, &nodes, g->n_nodes, &g->cap_nodes, sizeof *g->nodes, GRAMMAR_MAX_NODES,
              "expressions"))
        return 0;
    g->nodes = nodes;
    node.prev = -1;
    g->nodes[g->n_nodes] = node;
    return g->n_nodes++;
}

int grammar_nothing(struct grammar *g)
{
    return add_node(g, (struct grammar_node){.kind = GRAMMAR_NOTHING});
}

int grammar_empty(struct grammar *g)
{
    return add_node(g, (struct grammar_node){.kind = GRAMMAR_EMPTY});
}

/* Where the set is in the table, or would be. */
static int *find_set(struct grammar *g, const struct symbol_set *set)
{
    uint64_t hash = 0;
    for (int i = 0; i < GRAMMAR_WORDS; i++)
        hash = (hash ^ set->bits[i]) * UINT64_C(0x9E3779B97F4A7C15);
    for (uint64_t at = hash >> 40;; at++) {
        int *slot = &g->set_slots[at % GRAMMAR_SET_SLOTS];
        if (*slot == 0 || memcmp(&g->sets[*slot - 1], set, sizeof *set) == 0) return slot;
    }
}

int grammar_set(struct grammar *g, const struct symbol_set *set)
{
    int *slot = find_set(g, set);
    if (*slot == 0) {
        void *sets = g->sets;
        if (!grow(g, &sets, g->n_sets, &g->cap_sets, sizeof *g->sets, GRAMMAR_MAX_SETS, "sets"))
            return 0;
        g->sets = sets;
        g->sets[g->n_sets++] = *set;
        *slot = g->n_sets;
    }
    return add_node(g, (struct grammar_node){.kind = GRAMMAR_SET, .a = *slot - 1});
}

static int add_byte_range(struct grammar *g, int low, int high)
{
    struct symbol_set set = {{0}};
    for (int b = low; b <= high; b++)
        set.bits[b / 64] |= UINT64_C(1) << b % 64;
    return grammar_set(g, &set);
}

int grammar_symbol(struct grammar *g, int symbol)
{
    return add_byte_range(g, symbol, symbol);
}

int grammar_bytes(struct grammar *g, const char *s, size_t size)
{
    int list = grammar_list(g, GRAMMAR_SEQUENCE);
    for (size_t i = 0; i < size && !grammar_failed(g); i++)
        grammar_add(g, list, grammar_symbol(g, (unsigned char)s[i]));
    return list;
}

int grammar_text(struct grammar *g, const char *s)
{
    return grammar_bytes(g, s, strlen(s));
}

int grammar_call(struct grammar *g, int rule)
{
    return add_node(g, (struct grammar_node){.kind = GRAMMAR_CALL, .a = rule});
}

int grammar_list(struct grammar *g, enum grammar_kind kind)
{
    return add_node(g, (struct grammar_node){.kind = kind, .a = -1});
}

void grammar_add(struct grammar *g, int list, int node)
{
    if (grammar_failed(g)) return;
    g->nodes[node].prev = g->nodes[list].a;
    g->nodes[list].a = node;
}

int grammar_repeat(struct grammar *g, int node, int min, int max)
{
    CHECK(min >= 0 && (max < 0 || max >= min), "%d to %d times", min, max);
    return add_node(
        g, (struct grammar_node){.kind = GRAMMAR_REPEAT, .a = node, .min = min, .max = max});
}

/* ---- characters ---- */

/* Adds the byte sequences of a range whose characters all take n bytes: it is split until each byte takes
 * every value between two on its own. */
static void add_sequences(struct grammar *g, int list, struct char_range r, int n)
{
    char low[4], high[4];
    for (int i = 1; i < n; i++) {
        int32_t mask = (1 << 6 * i) - 1, cut;
        if ((r.low & ~mask) == (r.high & ~mask)) continue;
        if (r.low & mask)
            cut = r.low | mask;
        else if ((r.high & mask) != mask)
            cut = (r.high & ~mask) - 1;
        else
            continue;
        add_sequences(g, list, (struct char_range){r.low, cut}, n);
        add_sequences(g, list, (struct char_range){cut + 1, r.high}, n);
        return;
    }
    int sequence = grammar_list(g, GRAMMAR_SEQUENCE);
    utf8_encode(r.low, low);
    utf8_encode(r.high, high);
    for (int i = 0; i < n; i++)
        grammar_add(g, sequence, add_byte_range(g, (unsigned char)low[i], (unsigned char)high[i]));
    grammar_add(g, list, sequence);
}

int grammar_chars(struct grammar *g, const struct charset *c)
{
    static const int32_t last[] = {0x7F, 0x7FF, 0xFFFF, CHARSET_LAST};
    struct symbol_set ascii = {{0}};
    bool has_ascii = false;
    int list = grammar_list(g, GRAMMAR_CHOICE);
    if (c->overflowed) return grammar_fail(g, ERR_LIMIT, "a class of over %d ranges", CHARSET_MAX);
    for (int i = 0; i < c->n; i++) {
        struct char_range r = c->ranges[i];
        for (; r.low <= r.high && r.low <= 0x7F; r.low++) {
            ascii.bits[r.low / 64] |= UINT64_C(1) << r.low % 64;
            has_ascii = true;
        }
        for (int n = 2; n <= 4; n++) {
            struct char_range part = r;
            if (part.low <= last[n - 2]) part.low = last[n - 2] + 1;
            if (part.high > last[n - 1]) part.high = last[n - 1];
            if (part.low <= part.high) add_sequences(g, list, part, n);
        }
    }
    if (has_ascii) grammar_add(g, list, grammar_set(g, &ascii));
    return list;
}
