/* Strict JSON on top of jansson, for bytes we do not trust: RFC 8259, duplicate keys refused at any
 * depth, depth at most 64, at most 1 M values, valid UTF-8, no NUL in keys. Strings may
 * hold \u0000: where that matters compare json_string_length. */
#pragma once
#include <jansson.h>
#include <stddef.h>

#include "base/err.h"

/* Parses the whole of text. The caller owns the result (json_decref). `what` names it in errors. */
MUST_USE int json_parse(json_t **out, const char *what, const char *text, size_t size,
                        struct err *err);

/* The same for a file of at most max bytes. */
MUST_USE int json_parse_file(json_t **out, const char *path, size_t max, struct err *err);

/* The same for what a user names on the command line: pipes are read too. */
MUST_USE int json_parse_input(json_t **out, const char *path, size_t max, struct err *err);

/* Only the depth and the number of values, without parsing: ERR_LIMIT. 0 says nothing of the syntax. For
 * text that another parser reads next, which then needs little memory and stack. */
MUST_USE int json_check_shape(const char *what, const char *text, size_t size, struct err *err);
