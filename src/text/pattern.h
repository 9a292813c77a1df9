/* What the readers of regular expressions and of EBNF share. Private to text. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "text/grammar.h"

enum { PATTERN_MAX_DEPTH = 64, PATTERN_MAX_COUNT = 100000 };

struct pattern {
    struct grammar *g;
    const char *what; /* for messages: "regex", "pattern of ...", "grammar" */
    const char *s;
    size_t size, at;
};

/* Fails the grammar, with the place. Returns an expression. */
int pattern_fail(struct pattern *p, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* The next byte, -1 at the end; whether it is c, and then takes it. */
int pattern_peek(const struct pattern *p);
bool pattern_take(struct pattern *p, int c);

/* Whether the next bytes are these, and then takes them. */
bool pattern_take_text(struct pattern *p, const char *s);

/* Takes a character; -1, with a failure, at the end or when it is not UTF-8. */
int32_t pattern_char(struct pattern *p);

/* Takes n hexadecimal digits; 0, with a failure, when they are not there or are no character. */
int32_t pattern_hex(struct pattern *p, int n);

/* A quantifier: * + ? {m} {m,} {m,n}; max -1: without end. False when there is none. A brace that begins none is
 * an error if strict, else left alone. */
bool pattern_count(struct pattern *p, bool strict, int *min, int *max);
