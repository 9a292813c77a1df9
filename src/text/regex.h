/* Regular expressions as parts of a grammar: a text matches as a whole. The common ground of ECMAScript and
 * Python: literals, . [...] \d \w \s and their capitals, groups, |, * + ? {m} {m,} {m,n} (greedy or lazy, which is
 * the same here), escapes. \d, \w are ASCII, \s is ECMAScript's. ^ and $ may stand at the ends, where they change
 * nothing. Refused, with the place: backreferences, lookaround, \b, anchors elsewhere, \p, flags. */
#pragma once
#include "text/grammar.h"

/* What the characters are written as. */
enum text_form {
    TEXT_RAW,
    TEXT_JSON /* inside the quotes of a JSON string: what must be escaped is, in the shortest way */
};

/* An expression of g; `what` names the text in messages. */
int regex_add(struct grammar *g, enum text_form form, const char *what, const char *s, size_t size);
