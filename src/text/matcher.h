/* Runs an automaton (text/automaton.h) over bytes: where a text stands, which may follow, and which tokens.
 *
 * A state is a set of places in the program, each with the set of places that its rule returns to, and so
 * on: equal sets are stored once, so that a state is a number, and what follows a state by a byte is looked up
 * after the first time. (It is an Earley parser whose columns are hash-consed; without left recursion the
 * sets contain no cycles.) The room for stored states grows as they come, up to a bound; when that is reached, or there
 * is no memory for more, all but the current one are forgotten.
 *
 * Work is bounded by counts, not by time: a byte by MATCHER_MAX_WORK places looked at, a mask by
 * MATCHER_MASK_WORK for the steps it takes, each counted once; past them ERR_LIMIT. Whether that comes depends
 * on the grammar and the text alone, not on what is stored. The limit of a mask is some milliseconds; the masks of
 * ordinary forms take up to a tenth of it with 129,280 tokens (bench/mask.c). One thread uses a matcher. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "text/automaton.h"
#include "text/token_trie.h"

enum { MATCHER_MAX_WORK = 1 << 15, MATCHER_MASK_WORK = 1 << 18, MATCHER_MAX_ROOM = 9 << 20 };

struct matcher;

/* a is borrowed. */
MUST_USE int matcher_new(struct matcher **out, const struct automaton *a, struct err *err);
void matcher_free(struct matcher *m); /* takes NULL */

/* Bytes that it has of the heap: some kilobytes at first, and at most MATCHER_MAX_ROOM beside 9 for each rule. */
size_t matcher_room(const struct matcher *m);

/* Back to the beginning of a text; what is stored stays. */
MUST_USE int matcher_restart(struct matcher *m, struct err *err);

/* Goes on by these symbols. 1: done; 0: they do not fit, and nothing has changed; -1: ERR_LIMIT. */
MUST_USE int matcher_bytes(struct matcher *m, const char *s, size_t size, struct err *err);
MUST_USE int matcher_symbol(struct matcher *m, int symbol, struct err *err);

/* Whether the text so far is complete, and whether nothing can follow it. */
bool matcher_may_end(const struct matcher *m);
bool matcher_must_end(const struct matcher *m);

/* What may follow depends on this alone: equal for equal states, also of other matchers of the automaton; another
 * automaton of the same grammar has other keys. Different states have different ones but for chance, one in 2^128,
 * which no text or grammar can help (automaton.secret). */
struct matcher_key {
    uint64_t half[2];
};
struct matcher_key matcher_key(const struct matcher *m);

/* Sets bits[t->n_words] to the tokens that fit, EOS among them when the text is complete. There is always
 * one, unless the text must end and there is no EOS. */
MUST_USE int matcher_mask(struct matcher *m, const struct token_trie *t, uint64_t *bits,
                          struct err *err);
