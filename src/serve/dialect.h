/* What the readers of other dialects' bodies share. */
#pragma once
#include "serve/fields.h"

enum { DIALECT_MAX_LABEL = 512 }; /* bytes of ids, names and types, as in a chat request */

/* A required string of any bytes, NUL included; borrowed. */
MUST_USE int dialect_string(const struct fields *f, const char *name, json_t **out);

/* A required string of 1 to DIALECT_MAX_LABEL bytes without NUL; borrowed. */
MUST_USE int dialect_label(const struct fields *f, const char *name, const char **out);

/* Sets a field; takes value, which is NULL when there was no memory for it. */
MUST_USE int dialect_set(json_t *object, const char *name, json_t *value, struct api_error *e);

/* Whether a function of a chat request's list of tools has that name. */
bool dialect_has_function(const json_t *tools, const char *name);
