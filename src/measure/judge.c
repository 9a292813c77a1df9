#include "measure/judge.h"

#include <stdint.h>
#include <string.h>

#include "text/unicode.h"
#include "text/utf8.h"

struct text {
    const char *s;
    size_t size;
};

static bool begins(struct text t, const char *with)
{
    size_t n = strlen(with);
    return t.size >= n && !memcmp(t.s, with, n);
}

static struct text from(struct text t, size_t at)
{
    return (struct text){t.s + at, t.size - at};
}

/* The code point at the start, and its bytes; -1 for none and for bytes that are no UTF-8. */
static int32_t first_cp(struct text t, size_t *bytes)
{
    int32_t cp = -1;
    *bytes = t.size ? (size_t)utf8_decode(t.s, t.size, &cp) : 0;
    return cp;
}

/* The same at the end. */
static int32_t last_cp(struct text t, size_t *bytes)
{
    int32_t cp = -1;
    size_t n = 0;
    while (n < t.size && n < 4) {
        n++;
        if (((unsigned char)t.s[t.size - n] & 0xc0) != 0x80) break;
    }
    if (n && (size_t)utf8_decode(t.s + t.size - n, n, &cp) != n) cp = -1;
    *bytes = cp < 0 && n ? 1 : n;
    return cp;
}

static bool is_any(int32_t cp, const int32_t *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (list[i] == cp) return true;
    return false;
}

/* ---- characters ---- */

static int digit_value(int32_t cp)
{
    static const int32_t zeros[] = {'0', 0xff10, 0x966, 0x9e6, 0xc66, 0xe50};
    for (size_t i = 0; i < sizeof zeros / sizeof *zeros; i++)
        if (cp >= zeros[i] && cp <= zeros[i] + 9) return (int)(cp - zeros[i]);
    return -1;
}

static bool is_digit(int32_t cp)
{
    return digit_value(cp) >= 0;
}

static bool is_minus(int32_t cp)
{
    return cp == '-' || cp == 0x2212 || cp == 0xff0d;
}

static bool is_sign(int32_t cp)
{
    return is_minus(cp) || cp == '+' || cp == 0xff0b;
}

static bool has_class(int32_t cp, int classes)
{
    return cp >= 0 && (unicode_class(cp) & classes) != 0;
}

static bool is_space(int32_t cp)
{
    return has_class(cp, SPACE);
}

static bool is_comma(int32_t cp)
{
    return cp == ',' || cp == 0xff0c || cp == 0x3001;
}

/* What may follow an answer at the end of a sentence. */
static bool is_ending(int32_t cp)
{
    static const int32_t list[] = {'.',    '!',    '?',    ',',    ';',    ':',    '*',    '_',
                                   '`',    '"',    '\'',   0xbb,   0x2019, 0x201d, 0x2026, 0x3001,
                                   0x3002, 0x300d, 0x300f, 0xff01, 0xff0c, 0xff0e, 0xff1a, 0xff1b,
                                   0xff1f, 0xff61, 0x964,  0x965,  0xdf4,  0x61f,  0x6d4,  0xe2f};
    return is_space(cp) || is_any(cp, list, sizeof list / sizeof *list);
}

static bool is_unspaced(int32_t cp)
{
    static const int32_t ranges[][2] = {{0xe00, 0xeff},   {0x1000, 0x109f}, {0x1780, 0x17ff},
                                        {0x2e80, 0x2fdf}, {0x3005, 0x3007}, {0x3040, 0x30ff},
                                        {0x31f0, 0x31ff}, {0x3400, 0x4dbf}, {0x4e00, 0x9fff},
                                        {0xf900, 0xfaff}, {0xff66, 0xff9f}, {0x20000, 0x3ffff}};
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        if (cp >= ranges[i][0] && cp <= ranges[i][1]) return true;
    return false;
}

static bool is_spaced_letter(int32_t cp)
{
    return has_class(cp, LETTER) && !is_unspaced(cp);
}

/* ---- numbers ---- */

/* One spelling: "-", digits without leading zeros, "." and digits without zeros at the end. */
struct number {
    struct buf digits; /* of the whole part, then of the fraction */
    size_t n_whole;
    bool negative;
};

enum { MAX_DIGITS = 1 << 20, MAX_GROUPS = 32 };

/* Digits at the start of t: bytes taken; the values go to out when it is not NULL. */
static size_t take_digits(struct text t, size_t *count, struct buf *out)
{
    size_t at = 0, bytes;
    *count = 0;
    for (;; at += bytes, ++*count) {
        int value = digit_value(first_cp(from(t, at), &bytes));
        if (value < 0) return at;
        if (out) buf_add_byte(out, (char)('0' + value));
    }
}

/* Bytes of a separator at the start of t, or 0. */
static size_t separator(struct text t)
{
    static const char *const list[] = {"{,}", ",\\!", "\\,", ",", "\xef\xbc\x8c"};
    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        if (begins(t, list[i])) return strlen(list[i]);
    return 0;
}

/* Bytes up to the end of the last group of three in "sep 2-3 digits sep 2-3 digits ..."; what follows
 * is no part of the number. The limit keeps long lists from being read again and again. */
static size_t groups_end(struct text t)
{
    size_t at = 0, good = 0, count;
    for (int i = 0; i < MAX_GROUPS; i++) {
        size_t sep = separator(from(t, at));
        size_t bytes = take_digits(from(t, at + sep), &count, NULL);
        if (!sep || (count != 2 && count != 3)) break;
        at += sep + bytes;
        if (count == 3) good = at;
    }
    return good;
}

/* Whole part with its groups. */
static size_t take_whole(struct text t, struct buf *out)
{
    size_t count, at = take_digits(t, &count, out);
    size_t end = count >= 1 && count <= 3 ? at + groups_end(from(t, at)) : at;
    while (at < end) {
        at += separator(from(t, at));
        at += take_digits(from(t, at), &count, out);
    }
    return at;
}

static size_t take_fraction(struct text t, struct buf *out)
{
    size_t bytes, count;
    int32_t cp = first_cp(t, &bytes);
    if (cp != '.' && cp != 0xff0e) return 0;
    size_t n = take_digits(from(t, bytes), &count, out);
    return n ? bytes + n : 0;
}

static bool is_closing(int32_t cp)
{
    return cp == ')' || cp == ']' || cp == '}';
}

/* A number that begins at `at` of t, if one does: bytes taken, else 0. */
static size_t take_number(struct text t, size_t at, struct number *out)
{
    size_t bytes, n = 0;
    int32_t before = last_cp((struct text){t.s, at}, &bytes);
    bool after_word = has_class(before, LETTER | MARK) || is_digit(before);
    struct text rest = from(t, at);
    int32_t cp = first_cp(rest, &bytes);
    buf_clear(&out->digits);
    out->negative = false;
    if (is_sign(cp)) {
        if (after_word || is_closing(before)) return 0;
        out->negative = is_minus(cp);
        n = bytes;
    }
    size_t whole = take_whole(from(rest, n), &out->digits);
    out->n_whole = out->digits.size;
    if (whole == 0 && after_word) return 0;
    size_t fraction = take_fraction(from(rest, n + whole), &out->digits);
    return whole + fraction ? n + whole + fraction : 0;
}

/* Appends the one spelling. */
static void spell(const struct number *x, struct buf *out)
{
    const char *d = buf_text(&x->digits);
    size_t first = 0, last = x->digits.size;
    while (first < x->n_whole && d[first] == '0')
        first++;
    while (last > x->n_whole && d[last - 1] == '0')
        last--;
    if (x->negative && first < last) buf_add_byte(out, '-');
    if (first == x->n_whole) buf_add_byte(out, '0');
    buf_add(out, d + first, x->n_whole - first);
    if (last > x->n_whole) {
        buf_add_byte(out, '.');
        buf_add(out, d + x->n_whole, last - x->n_whole);
    }
}

/* Replaces out by the last number of t, if there is one. Text that is all digits stays linear: a
 * number is skipped whole. */
static bool last_number(struct text t, struct buf *out)
{
    struct number x = {0};
    bool found = false;
    buf_init(&x.digits, MAX_DIGITS);
    for (size_t at = 0; at < t.size;) {
        size_t bytes, n = take_number(t, at, &x);
        if (n) {
            found = true;
            buf_clear(out);
            spell(&x, out);
        } else {
            first_cp(from(t, at), &bytes);
            n = bytes;
        }
        at += n;
    }
    buf_fini(&x.digits);
    return found;
}

/* ---- where the answer stands ---- */

static bool find_last(struct text t, const char *what, struct text *behind)
{
    size_t n = strlen(what);
    for (size_t at = t.size; at-- > 0;)
        if (begins(from(t, at), what)) {
            *behind = from(t, at + n);
            return true;
        }
    return false;
}

/* Up to the brace that closes. */
static struct text inside_braces(struct text t)
{
    int depth = 1;
    for (size_t i = 0; i < t.size; i++) {
        if (t.s[i] == '{') depth++;
        if (t.s[i] == '}' && --depth == 0) return (struct text){t.s, i};
    }
    return t;
}

static struct text first_line(struct text t)
{
    const char *end = memchr(t.s, '\n', t.size);
    return end ? (struct text){t.s, (size_t)(end - t.s)} : t;
}

static struct text numeric_part(struct text content)
{
    struct text t;
    if (find_last(content, "\\boxed{", &t)) return inside_braces(t);
    if (find_last(content, "####", &t)) return first_line(t);
    return content;
}

static struct text trim(struct text t, bool (*cut)(int32_t))
{
    size_t bytes;
    while (t.size && cut(last_cp(t, &bytes)))
        t.size -= bytes;
    while (t.size && cut(first_cp(t, &bytes)))
        t = from(t, bytes);
    return t;
}

/* Whether the wanted answer is one number; then out holds its spelling. */
static bool is_numeric(const char *wanted, struct buf *out)
{
    struct text t = trim((struct text){wanted, strlen(wanted)}, is_space);
    struct number x = {0};
    buf_init(&x.digits, MAX_DIGITS);
    bool whole = t.size && take_number(t, 0, &x) == t.size;
    if (whole) spell(&x, out);
    buf_fini(&x.digits);
    return whole;
}

/* ---- text ---- */

static bool is_list(struct text t)
{
    size_t bytes;
    int32_t before = -1;
    for (size_t at = 0; at < t.size; at += bytes) {
        int32_t cp = first_cp(from(t, at), &bytes);
        if (is_comma(cp) && is_digit(before)) return true;
        before = cp;
    }
    return false;
}

static int32_t before_last(struct text t)
{
    size_t bytes;
    last_cp(t, &bytes);
    t.size -= bytes;
    return last_cp(t, &bytes);
}

/* `before` ends where an answer that begins with a digit begins. */
static bool digits_may_follow(struct text before, bool list)
{
    size_t bytes;
    int32_t cp = last_cp(before, &bytes);
    if (is_digit(cp) || is_minus(cp)) return false;
    if ((cp == '.' || cp == ':' || cp == ',' || cp == '/') && is_digit(before_last(before)))
        return false;
    if (!list) return true;
    while (before.size && is_space(last_cp(before, &bytes)))
        before.size -= bytes;
    return !(is_comma(last_cp(before, &bytes)) && is_digit(before_last(before)));
}

static bool at_boundary(struct text before, struct text answer)
{
    size_t bytes;
    int32_t first = first_cp(answer, &bytes), cp = last_cp(before, &bytes);
    if (is_digit(first) || is_sign(first)) return digits_may_follow(before, is_list(answer));
    if (is_spaced_letter(first)) return !is_spaced_letter(cp) && !has_class(cp, MARK);
    return true;
}

static bool judge_text(struct text content, const char *wanted)
{
    struct text answer = trim((struct text){wanted, strlen(wanted)}, is_ending);
    content = trim(content, is_ending);
    if (!answer.size || content.size < answer.size) return false;
    size_t at = content.size - answer.size;
    if (memcmp(content.s + at, answer.s, answer.size) != 0) return false;
    return at_boundary((struct text){content.s, at}, answer);
}

bool judge_answer(const char *content, size_t size, const char *wanted)
{
    struct text t = {content, size};
    struct buf want, got;
    buf_init(&want, MAX_DIGITS + 2);
    buf_init(&got, MAX_DIGITS + 2);
    bool right;
    if (is_numeric(wanted, &want))
        right = last_number(numeric_part(t), &got) && !want.failed && !got.failed &&
                !strcmp(buf_text(&want), buf_text(&got));
    else
        right = judge_text(t, wanted);
    buf_fini(&want);
    buf_fini(&got);
    return right;
}

void judge_given(const char *content, size_t size, const char *wanted, struct buf *out)
{
    struct text t = trim((struct text){content, size}, is_ending), line;
    struct buf number;
    buf_init(&number, MAX_DIGITS + 2);
    if (is_numeric(wanted, &number)) {
        buf_clear(&number);
        last_number(numeric_part((struct text){content, size}), &number);
        buf_add(out, number.data, number.size);
    } else {
        if (find_last(t, "\n", &line)) t = trim(line, is_ending);
        buf_add(out, t.s, t.size);
    }
    buf_fini(&number);
}
