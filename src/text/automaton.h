/* A grammar compiled to a program for text/matcher.h: for each rule a nondeterministic automaton over
 * classes of bytes that calls other rules.
 *
 * Compiling is linear in the size of the program, which is bounded (AUTOMATON_MAX_SIZE: ERR_LIMIT). Refused
 * with ERR_ARGUMENT: a rule that is not defined; a rule that calls itself before it has read anything (left
 * recursion); a grammar that no text matches. What can never lead to a match is taken out, so that a matcher
 * is never in a dead end. ERR_IO: the system gives no random numbers. */
#pragma once
#include "text/grammar.h"

enum { AUTOMATON_MAX_SIZE = 1 << 18, AUTOMATON_SECRET_SIZE = 192 };

enum op {
    OP_FAIL,
    OP_ACCEPT, /* the end of the whole */
    OP_RETURN, /* the end of a rule */
    OP_SET,    /* a symbol of set x, then y */
    OP_SPLIT,  /* x or y */
    OP_CALL    /* rule x, then y */
};

struct instruction {
    uint8_t op;
    int32_t x, y;
};

struct automaton {
    struct instruction *code; /* code[0] is OP_ACCEPT */
    int n;
    int32_t *entry; /* [n_rules] */
    int32_t *rank;  /* [n_rules] a rule's comes before those it calls before reading anything */
    bool *nullable; /* [n] the end of the rule can be reached from here without reading */
    int n_rules, root;
    uint16_t symbol_class[GRAMMAR_SYMBOLS]; /* symbols that no set tells apart share one */
    int n_classes;
    uint64_t *sets; /* [n_sets, GRAMMAR_WORDS] bits of classes */
    int n_sets;
    uint8_t secret[AUTOMATON_SECRET_SIZE]; /* random; of the keys of states (matcher_key) */
};

MUST_USE int automaton_new(struct automaton **out, const struct grammar *g, int root,
                           struct err *err);
void automaton_free(struct automaton *a); /* takes NULL */

static inline bool automaton_set_has(const struct automaton *a, int set, int class)
{
    return a->sets[(size_t)set * GRAMMAR_WORDS + (size_t) class / 64] >> class % 64 & 1;
}
