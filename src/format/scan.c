#include "format/scan.h"

#include <stdlib.h>
#include <string.h>

void scan_init(struct scan *s, const char *what, char *text, size_t size, struct err *err)
{
    *s = (struct scan){.what = what, .start = text, .p = text, .end = text + size, .err = err};
}

void scan_fail(struct scan *s, enum err_code code, const char *message)
{
    if (!s->failed)
        err_set(s->err, code, "%s: byte %zu: %s", s->what, (size_t)(s->p - s->start), message);
    s->failed = true;
}

/* The next byte that is no white space, without taking it; 0 at the end. */
static char peek(struct scan *s)
{
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\t' || *s->p == '\n' || *s->p == '\r'))
        s->p++;
    return s->p < s->end ? *s->p : 0;
}

static bool take(struct scan *s, char c, const char *message)
{
    if (s->failed) return false;
    if (peek(s) != c || s->p == s->end) {
        scan_fail(s, ERR_FORMAT, message);
        return false;
    }
    s->p++;
    return true;
}

/* ---- strings ---- */

static int hex4(struct scan *s)
{
    int v = 0;
    if (s->end - s->p < 4) return -1;
    for (int i = 0; i < 4; i++) {
        char c = s->p[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0) return -1;
        v = v * 16 + digit;
    }
    s->p += 4;
    return v;
}

static char *put_utf8(char *to, unsigned code)
{
    if (code < 0x80) {
        *to++ = (char)code;
    } else if (code < 0x800) {
        *to++ = (char)(0xc0 | code >> 6);
        *to++ = (char)(0x80 | (code & 63));
    } else if (code < 0x10000) {
        *to++ = (char)(0xe0 | code >> 12);
        *to++ = (char)(0x80 | (code >> 6 & 63));
        *to++ = (char)(0x80 | (code & 63));
    } else {
        *to++ = (char)(0xf0 | code >> 18);
        *to++ = (char)(0x80 | (code >> 12 & 63));
        *to++ = (char)(0x80 | (code >> 6 & 63));
        *to++ = (char)(0x80 | (code & 63));
    }
    return to;
}

/* After the backslash. An escape is never shorter than what it stands for. */
static char *unescape(struct scan *s, char *to)
{
    static const char from[] = "\"\\/bfnrt", plain[] = "\"\\/\b\f\n\r\t";
    char c = s->p < s->end ? *s->p++ : 0;
    if (c != 'u') {
        const char *at = c ? strchr(from, c) : NULL;
        if (!at) {
            scan_fail(s, ERR_FORMAT, "unknown escape in a string");
            return to;
        }
        *to = plain[at - from];
        return to + 1;
    }
    int code = hex4(s);
    if (code >= 0xd800 && code < 0xdc00) {
        int low = -1;
        if (s->end - s->p >= 6 && s->p[0] == '\\' && s->p[1] == 'u') {
            s->p += 2;
            low = hex4(s);
        }
        code =
            low >= 0xdc00 && low < 0xe000 ? 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00) : -1;
    } else if (code >= 0xdc00 && code < 0xe000) {
        code = -1;
    }
    if (code <= 0) {
        scan_fail(s, ERR_FORMAT, "bad \\u escape in a string");
        return to;
    }
    return put_utf8(to, (unsigned)code);
}

/* Length of the UTF-8 sequence at p, 0 when it is not well formed (overlong, surrogate, cut). */
static int utf8_length(const unsigned char *p, const unsigned char *end)
{
    if (p[0] < 0x80) return 1;
    int n = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc2 || p[0] > 0xf4 || end - p < n) return 0;
    for (int i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80) return 0;
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
        (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
        return 0;
    return n;
}

char *scan_string(struct scan *s)
{
    if (!take(s, '"', "a string is wanted")) return NULL;
    char *text = s->p, *to = s->p;
    while (s->p < s->end && *s->p != '"' && !s->failed) {
        if (*s->p == '\\') {
            s->p++;
            to = unescape(s, to);
            continue;
        }
        int n = utf8_length((unsigned char *)s->p, (unsigned char *)s->end);
        if (n == 0 || (unsigned char)*s->p < 0x20) {
            scan_fail(s, ERR_FORMAT, "a control byte or bad UTF-8 in a string");
            return NULL;
        }
        if (to != s->p) memmove(to, s->p, (size_t)n);
        to += n;
        s->p += n;
    }
    if (s->failed || s->p == s->end) {
        scan_fail(s, ERR_FORMAT, "the text ends inside a string");
        return NULL;
    }
    s->p++;
    *to = 0;
    return text;
}

/* ---- objects, lists, numbers ---- */

void scan_object(struct scan *s)
{
    s->first = take(s, '{', "an object is wanted");
}

void scan_list(struct scan *s)
{
    s->first = take(s, '[', "a list is wanted");
}

/* True when another member follows; takes the comma before it, or the closing byte. */
static bool more(struct scan *s, char close)
{
    bool first = s->first;
    s->first = false;
    if (s->failed) return false;
    char c = peek(s);
    if (c == close) {
        s->p++;
        return false;
    }
    if (first) return true;
    return take(s, ',', "a comma or the end of the object or list is wanted");
}

bool scan_more(struct scan *s)
{
    return more(s, ']');
}

char *scan_key(struct scan *s)
{
    if (!more(s, '}')) return NULL;
    char *key = scan_string(s);
    return take(s, ':', "a colon is wanted") ? key : NULL;
}

uint64_t scan_u64(struct scan *s)
{
    uint64_t v = 0;
    if (s->failed) return 0;
    char c = peek(s);
    if (c < '0' || c > '9' || (c == '0' && s->end - s->p > 1 && s->p[1] >= '0' && s->p[1] <= '9')) {
        scan_fail(s, ERR_FORMAT, "a whole number is wanted");
        return 0;
    }
    for (; s->p < s->end && *s->p >= '0' && *s->p <= '9'; s->p++) {
        if (__builtin_mul_overflow(v, (uint64_t)10, &v) ||
            __builtin_add_overflow(v, (uint64_t)(*s->p - '0'), &v)) {
            scan_fail(s, ERR_FORMAT, "a number beyond 64 bits");
            return 0;
        }
    }
    if (s->p < s->end && (*s->p == '.' || *s->p == 'e' || *s->p == 'E'))
        scan_fail(s, ERR_FORMAT, "a whole number is wanted");
    return v;
}

static bool skip_word(struct scan *s, const char *word)
{
    size_t n = strlen(word);
    if ((size_t)(s->end - s->p) < n || memcmp(s->p, word, n) != 0) return false;
    s->p += n;
    return true;
}

static bool skip_digits(struct scan *s)
{
    char *from = s->p;
    while (s->p < s->end && *s->p >= '0' && *s->p <= '9')
        s->p++;
    return s->p > from;
}

static bool skip_number(struct scan *s)
{
    if (s->p < s->end && *s->p == '-') s->p++;
    bool zero = s->p < s->end && *s->p == '0';
    if (zero)
        s->p++;
    else if (!skip_digits(s))
        return false;
    if (s->p < s->end && *s->p == '.') {
        s->p++;
        if (!skip_digits(s)) return false;
    }
    if (s->p < s->end && (*s->p == 'e' || *s->p == 'E')) {
        s->p++;
        if (s->p < s->end && (*s->p == '+' || *s->p == '-')) s->p++;
        return skip_digits(s);
    }
    return true;
}

void scan_skip_scalar(struct scan *s)
{
    if (s->failed) return;
    char c = peek(s);
    if (c == '"')
        scan_string(s);
    else if (!skip_word(s, "true") && !skip_word(s, "false") && !skip_word(s, "null") &&
             !skip_number(s))
        scan_fail(s, ERR_FORMAT, "a string, number, true, false or null is wanted");
}

int scan_end(struct scan *s)
{
    if (!s->failed) {
        peek(s);
        if (s->p != s->end) scan_fail(s, ERR_FORMAT, "text after the end");
    }
    return s->failed ? -1 : 0;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

int scan_check_unique(const char *what, const char **keys, size_t n, struct err *err)
{
    if (n) qsort(keys, n, sizeof *keys, by_text);
    for (size_t i = 1; i < n; i++)
        if (!strcmp(keys[i - 1], keys[i]))
            return err_set(err, ERR_FORMAT, "%s: \"%.100s\" is there twice", what, keys[i]);
    return 0;
}
