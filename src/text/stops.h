/* Stop strings in a stream: finds the first to be complete, and how much of the text's end could
 * still become one. Linear in the text (Knuth, Morris, Pratt). Private to text. */
#pragma once
#include <stddef.h>

#include "base/err.h"
#include "text/parse.h"

struct stop_string {
    char text[PARSE_MAX_STOP_BYTES];
    int size;
    int fallback[PARSE_MAX_STOP_BYTES + 1]; /* longest border of each prefix */
    int matched;                            /* bytes of it that the stream now ends with */
};

struct stops {
    int n;
    struct stop_string list[PARSE_MAX_STOPS];
};

MUST_USE int stops_init(struct stops *s, const char *const *texts, int n, struct err *err);

/* Takes the next bytes. When a stop string ends among them, *found is its index (the longest, when
 * several end at once) and the result says after how many of these bytes; else *found is -1. */
size_t stops_feed(struct stops *s, const char *text, size_t size, int *found);

/* The stream's last bytes that begin a stop string. */
size_t stops_held(const struct stops *s);
