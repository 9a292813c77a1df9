/* Text files of lines: options, keys. */
#pragma once
#include <stddef.h>

#include "base/err.h"

/* Calls take() for each line of the text, without its end (LF or CRLF), in a copy that it may cut up and that is gone
 * afterwards. Its first failure ends the reading; the message then begins "WHAT: line 3: ". ERR_FORMAT for a
 * line with a control byte other than a tab. */
MUST_USE int lines_read(const char *what, const char *text, size_t size,
                        int (*take)(void *ctx, char *line, struct err *err), void *ctx,
                        struct err *err);

/* Cuts the blanks (and tabs) off at both ends, in place, and gives where the rest begins. */
char *line_trim(char *s);
