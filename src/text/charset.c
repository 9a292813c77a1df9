#include "text/charset.h"

#include <string.h>

enum { SURROGATE_FIRST = 0xD800, SURROGATE_LAST = 0xDFFF };

/* Puts a range where it belongs, and swallows those that it meets. */
static void insert(struct charset *c, int32_t low, int32_t high)
{
    int first = 0, last;
    while (first < c->n && c->ranges[first].high < low - 1)
        first++;
    for (last = first; last < c->n && c->ranges[last].low <= high + 1; last++) {
        if (c->ranges[last].low < low) low = c->ranges[last].low;
        if (c->ranges[last].high > high) high = c->ranges[last].high;
    }
    if (last == first && c->n >= CHARSET_MAX) {
        c->overflowed = true;
        return;
    }
    memmove(c->ranges + first + 1, c->ranges + last, (size_t)(c->n - last) * sizeof *c->ranges);
    c->n += first + 1 - last;
    c->ranges[first] = (struct char_range){low, high};
}

void charset_add(struct charset *c, int32_t low, int32_t high)
{
    if (low < SURROGATE_FIRST && high >= SURROGATE_FIRST) {
        insert(c, low, SURROGATE_FIRST - 1);
        low = SURROGATE_FIRST;
    }
    if (low >= SURROGATE_FIRST && low <= SURROGATE_LAST) low = SURROGATE_LAST + 1;
    if (high > CHARSET_LAST) high = CHARSET_LAST;
    if (high >= SURROGATE_FIRST && high <= SURROGATE_LAST) high = SURROGATE_FIRST - 1;
    if (low <= high) insert(c, low, high);
}

void charset_negate(struct charset *c)
{
    struct charset old = *c;
    int32_t next = 0;
    *c = (struct charset){.overflowed = old.overflowed};
    for (int i = 0; i < old.n; i++) {
        if (old.ranges[i].low > next) charset_add(c, next, old.ranges[i].low - 1);
        next = old.ranges[i].high + 1;
    }
    if (next <= CHARSET_LAST) charset_add(c, next, CHARSET_LAST);
}

void charset_remove(struct charset *c, int32_t low, int32_t high)
{
    charset_negate(c);
    charset_add(c, low, high);
    charset_negate(c);
}

void charset_join(struct charset *c, const struct charset *more)
{
    for (int i = 0; i < more->n; i++)
        charset_add(c, more->ranges[i].low, more->ranges[i].high);
    c->overflowed |= more->overflowed;
}

bool charset_has(const struct charset *c, int32_t cp)
{
    for (int i = 0; i < c->n; i++)
        if (cp >= c->ranges[i].low && cp <= c->ranges[i].high) return true;
    return false;
}
