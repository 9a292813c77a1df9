/* Sets of Unicode code points, as character classes have them. Surrogates are in no set. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum { CHARSET_MAX = 128, CHARSET_LAST = 0x10FFFF };

struct char_range {
    int32_t low, high; /* both within */
};

/* Zero-initialise: the empty set. */
struct charset {
    struct char_range ranges[CHARSET_MAX + 2]; /* ascending and apart from each other */
    int n;
    bool overflowed; /* over CHARSET_MAX ranges: what was added since is not there */
};

/* Adds low..high. */
void charset_add(struct charset *c, int32_t low, int32_t high);
void charset_remove(struct charset *c, int32_t low, int32_t high);
void charset_join(struct charset *c, const struct charset *more);
void charset_negate(struct charset *c);
bool charset_has(const struct charset *c, int32_t cp);
