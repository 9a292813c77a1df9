/* A context-free grammar over bytes, as it is being written down: rules, and expressions of literals,
 * sets, sequences, alternatives, repetitions and calls of rules.
 *
 *     struct grammar *g = NULL;
 *     if (grammar_new(&g, err)) ...
 *     int root = grammar_rule(g, "root"), list = grammar_list(g, GRAMMAR_SEQUENCE);
 *     grammar_add(g, list, grammar_text(g, "yes"));
 *     grammar_define(g, root, list);
 *     if (grammar_check(g, err)) ...          the first thing that went wrong
 *     ... automaton_new(&a, g, root, err) ... (text/automaton.h)
 *     grammar_free(g);
 *
 * Expressions are numbers, each used in one place. What fails is remembered, and from then on nothing
 * grows: write freely and look at grammar_check in the end. Sizes are bounded by counts (GRAMMAR_MAX_...):
 * ERR_LIMIT past them. Beside the 256 bytes there is a symbol for the token that opens tool calls, which text
 * never spells. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "text/charset.h"

enum {
    GRAMMAR_DSML = 256, /* the symbol of the DSML marker */
    GRAMMAR_SYMBOLS,
    GRAMMAR_WORDS = (GRAMMAR_SYMBOLS + 63) / 64,
    GRAMMAR_MAX_NODES = 1 << 18,
    GRAMMAR_MAX_RULES = 1 << 14,
    GRAMMAR_MAX_SETS = 1 << 12,
    GRAMMAR_SET_SLOTS = 2 * GRAMMAR_MAX_SETS,
    GRAMMAR_MAX_DEPTH = 400, /* of expressions inside each other */
    GRAMMAR_MAX_NAME = 48,
    GRAMMAR_MAX_SOURCE = 1 << 20 /* bytes of a text that is compiled */
};

enum grammar_kind {
    GRAMMAR_NOTHING, /* matches no text at all */
    GRAMMAR_EMPTY,
    GRAMMAR_SET, /* one symbol out of set `a` */
    GRAMMAR_CALL,
    GRAMMAR_SEQUENCE,
    GRAMMAR_CHOICE,
    GRAMMAR_REPEAT
};

struct symbol_set {
    uint64_t bits[GRAMMAR_WORDS];
};

struct grammar_node {
    enum grammar_kind kind;
    int a;        /* set, rule, or the child that repeats; of a list its last child */
    int prev;     /* the child before it in its list; -1: it is the first */
    int min, max; /* of a repetition; max -1: without end */
};

struct grammar_rule {
    char name[GRAMMAR_MAX_NAME]; /* for messages */
    int node;                    /* -1: not defined */
};

struct grammar {
    struct grammar_node *nodes;
    int n_nodes, cap_nodes;
    struct grammar_rule *rules;
    int n_rules, cap_rules;
    struct symbol_set *sets; /* distinct */
    int n_sets, cap_sets;
    int set_slots[GRAMMAR_SET_SLOTS]; /* hash table: a set's number + 1; 0: none */
    struct err err;
};

MUST_USE int grammar_new(struct grammar **out, struct err *err);
void grammar_free(struct grammar *g); /* takes NULL */

/* Remembers a failure, unless there is one. Returns the expression that matches nothing. */
int grammar_fail(struct grammar *g, enum err_code code, const char *fmt, ...) PRINTF_LIKE(3, 4);
bool grammar_failed(const struct grammar *g);
MUST_USE int grammar_check(const struct grammar *g, struct err *err);

/* A new rule, to be defined once. */
int grammar_rule(struct grammar *g, const char *name);
void grammar_define(struct grammar *g, int rule, int node);

int grammar_nothing(struct grammar *g);
int grammar_empty(struct grammar *g);
int grammar_set(struct grammar *g, const struct symbol_set *set);
int grammar_symbol(struct grammar *g, int symbol);
int grammar_bytes(struct grammar *g, const char *s, size_t size);
int grammar_text(struct grammar *g, const char *s);
int grammar_call(struct grammar *g, int rule);

/* kind: GRAMMAR_SEQUENCE or GRAMMAR_CHOICE; empty at first. */
int grammar_list(struct grammar *g, enum grammar_kind kind);
void grammar_add(struct grammar *g, int list, int node);

/* min..max times, 0 <= min <= max; max -1: without end. */
int grammar_repeat(struct grammar *g, int node, int min, int max);

/* One character of the set, in UTF-8. */
int grammar_chars(struct grammar *g, const struct charset *c);
