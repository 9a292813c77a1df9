/* Grammars in EBNF, in the dialect of llama.cpp's GBNF files:
 *
 *     root ::= "yes" | "no" ws [0-9]{1,3} (item ", ")* # a comment
 *     item ::= [^"\\] | "\x41" | .
 *
 * A rule ends at the end of its line, unless a parenthesis is open or | begins the next one. Names are
 * [A-Za-z0-9_-]+. The rule "root" is the whole. Escapes: \n \r \t \\ \" \[ \] \- \^ \xHH \uHHHH \UHHHHHHHH. */
#pragma once
#include "text/grammar.h"

/* Reads all rules; the number of the rule "root". What is wrong is in grammar_check. */
int ebnf_add(struct grammar *g, const char *s, size_t size);
