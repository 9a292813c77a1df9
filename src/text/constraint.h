/* What an answer must look like, compiled once and used by any number of answers.
 *
 *     struct constraint *c = NULL;
 *     if (constraint_new(&c, &spec, trie, err)) ...           on any thread
 *     struct constraint_run *run = NULL;                      one answer:
 *     if (constraint_begin(&run, c, thinking, err)) ...
 *     for each token:
 *         if (constraint_mask(run, &mask, err)) ...           allowed tokens
 *         rc = constraint_token(run, id, err)                 1: nothing can follow
 *     constraint_end(run);
 *     constraint_drop(c);
 *
 * An answer that thinks is bound from </think> on. Before that EOS is not allowed unless the empty text would do,
 * nor is the DSML marker, so that a call is always one of the constraint's.
 *
 * constraint_hold and constraint_drop may be called on any thread; runs and masks are for one thread at a time,
 * which need not be the one that compiled. Masks are kept by state, for all runs, in a fixed room. What is kept
 * never changes what comes out. */
#pragma once
#include <jansson.h>
#include <stdbool.h>

#include "text/prompt.h"
#include "text/token_trie.h"

enum constraint_kind {
    CONSTRAINT_NONE, /* of the content; then there are tools */
    CONSTRAINT_JSON_OBJECT,
    CONSTRAINT_SCHEMA,
    CONSTRAINT_REGEX,  /* of the whole content */
    CONSTRAINT_CHOICE, /* one of some strings */
    CONSTRAINT_EBNF
};

struct constraint_spec {
    enum constraint_kind kind;
    const json_t *schema;  /* of CONSTRAINT_SCHEMA */
    const json_t *choices; /* of CONSTRAINT_CHOICE: a list of strings */
    const char *text;      /* of CONSTRAINT_REGEX, CONSTRAINT_EBNF */
    size_t size;
    const json_t *tools; /* as for prompt_encode; NULL: the answer has no calls */
    const char *only;    /* the tool that must be called; NULL: any */
    bool must_call;      /* the calls come at once, and nothing else; else instead of content that
                                * `kind` binds, or behind any text */
    bool one_call;       /* no second one */
    enum prompt_family family; /* of the calls */
};

struct constraint;
struct constraint_run;

/* spec is not needed afterwards; trie is borrowed. ERR_ARGUMENT, ERR_UNSUPPORTED and ERR_LIMIT tell what is wrong with
 * the spec (text/schema.h, regex.h, ebnf.h, automaton.h). ERR_UNSUPPORTED too for a vocabulary
 * without EOS, or tools and one without the marker, or none for how an answer may begin. The first mask is made here,
 * so that a spec that takes too much work for it (MATCHER_MASK_WORK) is refused before an answer begins; later ones
 * may still fail their answer. */
MUST_USE int constraint_new(struct constraint **out, const struct constraint_spec *spec,
                            const struct token_trie *trie, struct err *err);
struct constraint *constraint_hold(struct constraint *c);
void constraint_drop(struct constraint *c); /* frees it after the last; takes NULL */

/* A run holds its constraint. */
MUST_USE int constraint_begin(struct constraint_run **out, struct constraint *c, bool thinking,
                              struct err *err);
void constraint_end(struct constraint_run *r); /* takes NULL */

/* Bits of the tokens that may come next: borrowed until the next call for the constraint; NULL: all may. */
MUST_USE int constraint_mask(struct constraint_run *r, const uint64_t **mask, struct err *err);

/* Goes on by a token of the mask; another one fails, as does one that leaves too much open. 1: the answer is complete,
 * and nothing but EOS can follow. */
MUST_USE int constraint_token(struct constraint_run *r, int id, struct err *err);
