/* Bodies of other dialects than the chat API's, for tests of their readers. Texts are JSON with ' for ". */
#pragma once
#include <jansson.h>

#include "serve/api_error.h"

/* Reads a body, which it takes over, into one of a chat request. */
typedef int (*dialect_reader)(json_t **chat, json_t *body, struct api_error *e);

/* A body with these fields, what it becomes, or how it is refused. */
struct dialect_row {
    const char *fields; /* added to the good body */
    const char *key;    /* of the chat body, */
    const char *want;   /* whose value is this; NULL: it has none */
    int status;         /* of the refusal; 0: none */
    const char *param;
};

/* The value of a text; fails the test when it is no JSON. */
json_t *dialect_json(const char *text);

/* Fails unless every row comes out as it says. `good` is the beginning of a good body, without '}'; `input`
 * what is added to it for rows that bring none of their own, whose name is `name`. What is accepted must be
 * taken by chat_request_read, too, unless its field is one of those that may be refused there. */
void assert_dialect(const struct dialect_row *rows, size_t n, dialect_reader read, const char *good,
                    const char *name, const char *input);
