/* A pull scanner over strict JSON (RFC 8259), for headers too large to build a tree of: work and
 * memory stay linear in the text. It walks one mutable buffer and decodes strings in place.
 *
 *     scan_object(&s);                    // '{'
 *     while ((key = scan_key(&s)) != NULL) ... one value ...
 *
 * The first violation fills err and sets failed; every later call does nothing and returns NULL, 0
 * or false, so look at failed after a loop. Duplicate keys are the caller's to find
 * (scan_check_unique), since only the caller keeps the keys. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct scan {
    const char *what; /* named in errors */
    char *start, *p, *end;
    bool failed;
    bool first; /* no member of the current object or list was read yet */
    struct err *err;
};

/* text[size] must be writable: strings get a NUL in the place of their closing quote. */
void scan_init(struct scan *s, const char *what, char *text, size_t size, struct err *err);

/* Fails at the current place: "WHAT: byte 12: MESSAGE". */
void scan_fail(struct scan *s, enum err_code code, const char *message);

/* The opening brace of an object, then its keys; NULL after the closing brace or on failure. After
 * a key exactly one value must be read. Keys and strings live in the buffer, NUL-terminated; one
 * that holds a NUL is refused. */
void scan_object(struct scan *s);
char *scan_key(struct scan *s);

/* The opening bracket of a list; scan_more is true while another element follows. */
void scan_list(struct scan *s);
bool scan_more(struct scan *s);

char *scan_string(struct scan *s);
uint64_t scan_u64(struct scan *s); /* no sign, fraction or exponent */

/* A string, number, true, false or null, whose value is not wanted. */
void scan_skip_scalar(struct scan *s);

/* Nothing but white space may follow. Returns 0, or -1 when this or anything before failed. */
MUST_USE int scan_end(struct scan *s);

/* Sorts the keys; two equal ones are an error that names them. */
MUST_USE int scan_check_unique(const char *what, const char **keys, size_t n, struct err *err);
