/* Fields of a request body, read with their checks.
 *
 *     struct fields f = fields_of(body, e);
 *     int n = 1;
 *     if (field_int(&f, "n", 1, 16, &n)) return -1;
 *
 * A field that is absent or null leaves *out as it was; the result is then 0, as for a good one. Otherwise
 * the result is -1 and e says what is wrong, `param` being the path of the field ("tools[2].function.name"):
 * 400 for a wrong type, an unknown word and what is missing; 422 for a number, a length or a count outside
 * its range. Source: docs/spec, API, section 1.1; security, rule P1. */
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "serve/api_error.h"

/* One object of a body, and where it is. */
struct fields {
    json_t *object;      /* borrowed */
    char path[56];       /* before the field's name: "", "thinking.", "messages[3]." */
    struct api_error *e; /* borrowed */
};

/* Parses a whole body, which must be a JSON object. The caller owns it. 400 for whatever is wrong, and 503
 * never: that JSON is too deep is the client's fault. */
MUST_USE int body_parse(json_t **out, const char *text, size_t size, struct api_error *e);

struct fields fields_of(json_t *body, struct api_error *e);

/* The value, NULL when absent or null. */
json_t *field_get(const struct fields *f, const char *name);

/* Whether there is more than null, false, "", [] or {}. */
bool field_asks(const struct fields *f, const char *name);

/* Puts the value into `to` as `as`, if there is one; it is shared then. -1: no memory, which is told. */
MUST_USE int field_pass(const struct fields *f, const char *name, json_t *to, const char *as);

/* Refuses the field `name`; "" means the object itself. Returns -1. */
int field_refuse(const struct fields *f, int status, const char *name, const char *fmt, ...)
    PRINTF_LIKE(4, 5);

/* 400 when it is absent or null. */
MUST_USE int field_require(const struct fields *f, const char *name);

MUST_USE int field_bool(const struct fields *f, const char *name, bool *out);

/* An integer in [low, high]. 1.0 is none: integers are exact. */
MUST_USE int field_integer(const struct fields *f, const char *name, json_int_t low,
                           json_int_t high, json_int_t *out);
MUST_USE int field_int(const struct fields *f, const char *name, int low, int high, int *out);

/* A number in [low, high], rounded to float; never NaN, infinite or -0. */
MUST_USE int field_number(const struct fields *f, const char *name, double low, double high,
                          float *out);

/* A string of min..max bytes (SIZE_MAX: any number) without NUL; borrowed from the body. */
MUST_USE int field_text(const struct fields *f, const char *name, size_t min, size_t max,
                        const char **out);

/* A string, or a list of at most max_n strings, each as field_text has it. out holds max_n. */
MUST_USE int field_texts(const struct fields *f, const char *name, int max_n, size_t min,
                         size_t max, const char **out, int *n);

/* A name as functions have it: [A-Za-z0-9_-]{1,64}. */
enum { FIELD_MAX_NAME = 64 };
MUST_USE int field_name(const struct fields *f, const char *name, const char **out);

/* One of n words; *out is its index. */
MUST_USE int field_word(const struct fields *f, const char *name, const char *const *words, int n,
                        int *out);

/* A list of min..max elements (SIZE_MAX: any number). */
MUST_USE int field_list(const struct fields *f, const char *name, size_t min, size_t max,
                        json_t **out);

/* An object: *in is for its fields. in->object is NULL when absent. */
MUST_USE int field_object(const struct fields *f, const char *name, struct fields *in);

/* Element i of the list `name`, which must be an object. */
MUST_USE int field_element(const struct fields *f, const char *name, const json_t *list, size_t i,
                           struct fields *in);
