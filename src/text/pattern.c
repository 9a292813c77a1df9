#include "text/pattern.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "text/utf8.h"

int pattern_fail(struct pattern *p, const char *fmt, ...)
{
    char text[256];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    grammar_fail(p->g, ERR_ARGUMENT, "%s, byte %zu: %s", p->what, p->at, text);
    p->at = p->size;
    return 0;
}

int pattern_peek(const struct pattern *p)
{
    return p->at < p->size ? (unsigned char)p->s[p->at] : -1;
}

bool pattern_take(struct pattern *p, int c)
{
    if (pattern_peek(p) != c) return false;
    p->at++;
    return true;
}

bool pattern_take_text(struct pattern *p, const char *s)
{
    size_t n = strlen(s);
    if (n > p->size - p->at || memcmp(p->s + p->at, s, n) != 0) return false;
    p->at += n;
    return true;
}

int32_t pattern_char(struct pattern *p)
{
    int32_t cp = -1;
    if (p->at == p->size) return pattern_fail(p, "it ends too early"), -1;
    size_t n = (size_t)utf8_decode(p->s + p->at, p->size - p->at, &cp);
    if (cp < 0) return pattern_fail(p, "it is not UTF-8"), -1;
    p->at += n;
    return cp;
}

static int hex_digit(int c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int32_t pattern_hex(struct pattern *p, int n)
{
    int32_t cp = 0;
    for (int i = 0; i < n; i++) {
        int digit = hex_digit(pattern_peek(p));
        if (digit < 0) return pattern_fail(p, "%d hexadecimal digits are wanted", n);
        if (cp <= CHARSET_LAST) cp = cp * 16 + digit;
        p->at++;
    }
    if (cp > CHARSET_LAST || (cp >= 0xD800 && cp <= 0xDFFF))
        return pattern_fail(p, "U+%04X is no character", (unsigned)cp);
    return cp;
}

/* Decimal digits; -1 for none. */
static int take_number(struct pattern *p)
{
    int n = -1;
    for (int c; (c = pattern_peek(p)) >= '0' && c <= '9'; p->at++) {
        n = (n < 0 ? 0 : n) * 10 + c - '0';
        if (n <= PATTERN_MAX_COUNT) continue;
        pattern_fail(p, "a repetition of over %d times", PATTERN_MAX_COUNT);
        return -1;
    }
    return n;
}

static bool take_braces(struct pattern *p, bool strict, int *min, int *max)
{
    size_t start = p->at++;
    *min = *max = take_number(p);
    bool ok = *min >= 0;
    if (ok && pattern_take(p, ',')) *max = take_number(p);
    if (ok && pattern_take(p, '}')) {
        if (*max >= 0 && *max < *min) pattern_fail(p, "a repetition of %d to %d times", *min, *max);
        return !grammar_failed(p->g);
    }
    if (strict) pattern_fail(p, "a repetition wants the form {m}, {m,} or {m,n}");
    if (!grammar_failed(p->g)) p->at = start;
    return false;
}

bool pattern_count(struct pattern *p, bool strict, int *min, int *max)
{
    *max = -1;
    if (pattern_take(p, '*')) {
        *min = 0;
    } else if (pattern_take(p, '+')) {
        *min = 1;
    } else if (pattern_take(p, '?')) {
        *min = 0;
        *max = 1;
    } else {
        return pattern_peek(p) == '{' && take_braces(p, strict, min, max);
    }
    return true;
}
