/* UTF-8 (RFC 3629): decoding, and repair by U+FFFD.
 * Source: Unicode 15, chapter 3, table 3-7 and "maximal subpart" practice. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* Reads one code point from s[0, size), size >= 1. Returns the bytes it takes and sets *cp; for an
 * invalid sequence returns the length of its maximal subpart (at least 1) and sets *cp to -1. */
int utf8_decode(const char *s, size_t size, int32_t *cp);

/* Writes cp (a scalar value) to out, returns 1 to 4. */
int utf8_encode(int32_t cp, char out[4]);

bool utf8_valid(const char *s, size_t size);

/* Text arriving in pieces that may end inside a character. Zero-initialise. */
struct utf8_stream {
    char pending[4];
    int n_pending;
};

/* Appends the complete characters to out; each maximal invalid subsequence becomes one U+FFFD.
 * The result over all calls and the end does not depend on how the bytes were cut. */
void utf8_stream_add(struct utf8_stream *s, const char *bytes, size_t size, struct buf *out);
/* Bytes still waiting become one U+FFFD. */
void utf8_stream_end(struct utf8_stream *s, struct buf *out);
