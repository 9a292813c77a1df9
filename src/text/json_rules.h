/* JSON as parts of a grammar. White space between tokens is none, one blank, or a line's end with at most 20
 * blanks. Numbers have at most 18 digits before the point, 18 behind it, and exponents of two digits; strings
 * have no \u0000; "any value" has at most JSON_RULES_DEPTH lists and objects inside each other. So all of it can
 * be read back, and no value is endless white space or digits. */
#pragma once
#include <jansson.h>

#include "text/grammar.h"

enum { JSON_RULES_DEPTH = 16 };

/* Rules, each made when it is first wanted; set all to -1. */
struct json_rules {
    struct grammar *g;
    int space, character, plain, string, integer, number;
    int value[JSON_RULES_DEPTH + 1], object[JSON_RULES_DEPTH + 1], list[JSON_RULES_DEPTH + 1];
    /* by how many more levels may be inside */
};

void json_rules_init(struct json_rules *r, struct grammar *g);

int json_rules_space(struct json_rules *r);
/* One character of a string, plain or escaped. */
int json_rules_character(struct json_rules *r);
/* One character outside JSON: any but NUL. */
int json_rules_plain(struct json_rules *r);
int json_rules_integer(struct json_rules *r);
int json_rules_number(struct json_rules *r);
/* depth: how many levels of lists and objects may be inside each other. */
int json_rules_value(struct json_rules *r, int depth);
int json_rules_object(struct json_rules *r, int depth);
int json_rules_list(struct json_rules *r, int depth);

/* A string of this text, with its quotes, in the shortest form. */
int json_rules_literal(struct json_rules *r, const char *s, size_t size);
/* This value. */
int json_rules_constant(struct json_rules *r, const json_t *value);

/* open space item (space "," space item)* space close, with min..max items (max -1: any number), each a call of
 * item_rule. */
int json_rules_series(struct json_rules *r, const char *open, const char *close, int min, int max,
                      int item_rule);
