/* Does a text match what is compiled from a source? For the tests of grammars. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "text/matcher.h"

enum source { SOURCE_REGEX, SOURCE_EBNF, SOURCE_SCHEMA, SOURCE_JSON_OBJECT };

/* Compiles. -1: refused, err says why. */
int accept_compile(struct automaton **out, enum source kind, const char *source, struct err *err);

/* Whether the whole text matches; fails the test when the source is refused. */
bool accept_text(enum source kind, const char *source, const char *text);

/* Texts that match and texts that do not, each list ending with NULL. */
struct accept_row {
    const char *source;
    const char *yes[9], *no[9];
};

/* Checks all rows; fails the test with the first that is wrong. Returns how many texts there were. */
int accept_check(enum source kind, const struct accept_row *rows, size_t n);

/* Sources that are refused, and a part of the message. */
struct refuse_row {
    const char *source, *message;
};
void accept_check_refusals(enum source kind, const struct refuse_row *rows, size_t n);
