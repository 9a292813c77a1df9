/* The form that `tenon run` makes an answer have: --json-schema, --grammar, --regex. */
#pragma once
#include "engine/engine.h"
#include "text/constraint.h"

/* Zeroed: none is asked for. */
struct run_form {
    const char *option; /* that asks for it, for messages; NULL: none */
    const char *given;  /* what it said */
    struct constraint_spec spec;
    json_t *schema; /* owned, as what follows */
    char *text;
    struct token_trie *trie;
    struct constraint *constraint;
};

/* What was said becomes a spec. A schema is one if it begins with {, a grammar if it has ::= in it, else the name of a
 * file that holds it (- is standard input). ERR_IO, ERR_FORMAT. */
MUST_USE int run_form_read(struct run_form *f, struct err *err);
/* Compiles it for the engine's tokens; does nothing without one. Fails as constraint_new. */
MUST_USE int run_form_compile(struct run_form *f, const struct engine *e, struct err *err);
void run_form_fini(struct run_form *f);
