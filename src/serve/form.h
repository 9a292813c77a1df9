/* The form that an answer must have, as the bodies of all generating endpoints ask for it: response_format json_object
 * or json_schema; json_schema, grammar; structured_outputs (json, regex, choice, grammar, json_object); guided_json,
 * guided_regex, guided_choice, guided_grammar. One of them. guided_json and structured_outputs.json may be a string
 * that holds the schema. */
#pragma once
#include "serve/fields.h"
#include "text/constraint.h"

enum { FORM_MAX_CHOICES = 10000 };

struct form {
    struct constraint_spec
        spec;          /* kind CONSTRAINT_NONE: none is asked for; borrows from the body */
    const char *field; /* that asks for it, static text; NULL: none */
};

/* 400, 422; 503. */
MUST_USE int form_read(struct form *out, const struct fields *body);
