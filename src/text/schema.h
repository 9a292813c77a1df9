/* JSON Schema as a part of a grammar. Every text of the grammar is valid JSON that the schema accepts; the other
 * way round some is left out:
 * - white space, digits and nesting as json_rules.h says; members come in the order of `properties`, then what
 *   is only `required`, then others; the same key may come twice among the others;
 * - an object with `properties` has no others unless additionalProperties asks for them, as a list with
 *   prefixItems has no more than those without `items`;
 * - `pattern` holds for the whole string; numbers with bounds have no exponent.
 *
 * Done: type (also a list), properties, required, additionalProperties; pattern, format (email, hostname, ipv4, ipv6,
 * uuid, date, time, date-time), minLength, maxLength; minimum, maximum, exclusiveMinimum, exclusiveMaximum (of numbers
 * that are no integers: whole bounds), multipleOf (powers of ten; any whole one of a bounded integer); items,
 * prefixItems, minItems, maxItems; enum, const; anyOf; oneOf whose branches are plainly apart; allOf of one; $ref
 * within the schema, recursive too. Annotations are passed over. Everything else is ERR_UNSUPPORTED with the keyword
 * and its place, and so are combinations that would need an intersection (pattern with maxLength). A value that
 * cannot exist is ERR_ARGUMENT at the end (automaton_new).
 *
 * What the size of the grammar does not bound is counted: schemas inside each other (SCHEMA_MAX_DEPTH; what $ref
 * leads to is written on its own, and inside nothing), and the steps of comparing branches and looking things up
 * (SCHEMA_MAX_STEPS, of all schemas in a grammar together). ERR_LIMIT past them. */
#pragma once
#include <jansson.h>

#include "text/json_rules.h"

enum { SCHEMA_MAX_DEPTH = 256, SCHEMA_MAX_STEPS = 1 << 20 };

/* What of the values is wanted, and how written. */
enum schema_form {
    SCHEMA_JSON,
    SCHEMA_RAW, /* its strings, as they are: without quotes and escapes */
    SCHEMA_REST /* all but strings, in JSON */
};

struct schema_ref {
    const char *name; /* the $ref; borrowed from the schema */
    const json_t *target;
    enum schema_form form;
    int rule;
};

struct schema {
    struct grammar *g;
    struct json_rules json;
    const json_t *root; /* where $ref begins; borrowed */
    struct schema_ref *refs;
    int n_refs, cap_refs;
    int n_written;  /* of the refs: the rules that are defined */
    int depth;      /* schemas around the one that is written */
    unsigned steps; /* of work so far */
};

void schema_init(struct schema *s, struct grammar *g, const json_t *root);
void schema_fini(struct schema *s);

/* For another schema in the same grammar: the rules of JSON are used again. */
void schema_restart(struct schema *s, const json_t *root);

/* Where in the schema, for messages; NULL: its root. */
struct schema_place {
    const struct schema_place *up;
    const char *key;
};

/* The values that `node`, a part of the root, accepts. */
int schema_add(struct schema *s, const json_t *node, enum schema_form form,
               const struct schema_place *at);

/* Any value of the form. */
int schema_any(struct schema *s, enum schema_form form);

/* One member of something that has members: key and value, or another spelling of both. */
struct schema_member {
    int rule;
    bool required;
};

/* The members in their order, those not required left out or not, between them `separator` (a rule); then any
 * number of `more` (a rule; -1: none). */
int schema_members(struct schema *s, const struct schema_member *members, int n, int separator,
                   int more);
