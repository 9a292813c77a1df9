/* A file of options of a subcommand.
 *
 *     # a comment, or an empty line
 *     port = 8080              as --port 8080; the value goes to the end of the line, as it is
 *     deepseek-compat = true   an option without a value: true or false
 *
 * Lines end in LF or CRLF. Names are those of the command line without the dashes, whole, each once. A line that is none of these, or has a name
 * that is not an option's, is an error, which gives its number. */
#pragma once
#include <argp.h>
#include <stddef.h>

#include "base/err.h"

enum { SETTINGS_MAX_BYTES = 1 << 20, SETTINGS_MAX = 256 };

/* Arguments for argp. */
struct settings {
    int n;
    char **args; /* [n], owned */
};

/* Reads the text, whose name for errors is `what`. tables [n_tables] are options as argp has them; one
 * named "config" may not stand in a file. On failure *out is empty. */
MUST_USE int settings_parse(struct settings *out, const char *what, const char *text, size_t size,
                            const struct argp_option *const *tables, int n_tables, struct err *err);
void settings_fini(struct settings *s); /* takes a zeroed one */

/* argv[0], what was read, the rest of argv: so the command line wins. An array with NULL behind it, which the
 * caller frees; its strings are those of argv and of s. */
char **settings_before(const struct settings *s, int argc, char **argv);
