#include "text/regex.h"

#include <stdio.h>
#include <string.h>

#include "text/pattern.h"

/* ---- characters ---- */

static void add_escape(struct grammar *g, int list, int32_t cp)
{
    static const char plain[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
    char text[8] = {'\\'};
    const char *at = strchr(plain, (int)cp);
    if (at)
        text[1] = letters[at - plain];
    else
        snprintf(text, sizeof text, "\\u%04x", (unsigned)cp);
    grammar_add(g, list, grammar_text(g, text));
}

/* One character of the set. NUL is not among them: no text may hold it. */
static int text_chars(struct grammar *g, enum text_form form, const struct charset *c)
{
    struct charset plain = *c;
    charset_remove(&plain, 0, 0);
    if (form == TEXT_RAW) return grammar_chars(g, &plain);
    int list = grammar_list(g, GRAMMAR_CHOICE);
    for (int32_t cp = 1; cp <= '\\'; cp++)
        if ((cp < ' ' || cp == '"' || cp == '\\') && charset_has(c, cp)) add_escape(g, list, cp);
    charset_remove(&plain, 1, ' ' - 1);
    charset_remove(&plain, '"', '"');
    charset_remove(&plain, '\\', '\\');
    grammar_add(g, list, grammar_chars(g, &plain));
    return list;
}

/* ---- classes ---- */

static void add_all(struct charset *c, const struct char_range *ranges, size_t n)
{
    for (size_t i = 0; i < n; i++)
        charset_add(c, ranges[i].low, ranges[i].high);
}

/* \d \w \s and their capitals; false when the letter is none of them. */
static bool add_named(struct charset *c, int letter)
{
    static const struct char_range digits[] = {{'0', '9'}};
    static const struct char_range words[] = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
    static const struct char_range spaces[] = {
        {9, 13},          {' ', ' '},       {0xA0, 0xA0},     {0x1680, 0x1680}, {0x2000, 0x200A},
        {0x2028, 0x2029}, {0x202F, 0x202F}, {0x205F, 0x205F}, {0x3000, 0x3000}, {0xFEFF, 0xFEFF}};
    struct charset named = {.n = 0};
    switch (letter | 0x20) {
    case 'd':
        add_all(&named, digits, 1);
        break;
    case 'w':
        add_all(&named, words, 4);
        break;
    case 's':
        add_all(&named, spaces, sizeof spaces / sizeof *spaces);
        break;
    default:
        return false;
    }
    if (!(letter & 0x20)) charset_negate(&named);
    charset_join(c, &named);
    return true;
}

/* A character behind a backslash that is taken; -1 with a failure. */
static int32_t take_escaped(struct pattern *p)
{
    static const char letters[] = "nrtfv", values[] = "\n\r\t\f\v";
    int32_t c = pattern_char(p);
    const char *at = c > 0 && c < 128 ? strchr(letters, (int)c) : NULL;
    if (at) return values[at - letters];
    if (c == 'x') return pattern_hex(p, 2);
    if (c == 'u' && pattern_take(p, '{')) {
        size_t end = p->at;
        while (end < p->size && p->s[end] != '}')
            end++;
        int32_t cp = pattern_hex(p, end - p->at > 6 || end == p->at ? 6 : (int)(end - p->at));
        if (!pattern_take(p, '}')) pattern_fail(p, "\\u{ wants a }");
        return cp;
    }
    if (c == 'u') return pattern_hex(p, 4);
    bool is_name = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (is_name) pattern_fail(p, "\\%c is not supported", (int)c);
    return is_name ? -1 : c;
}

/* One end of a range in [...]: a character, or -1 when it was a class, which went to c. */
static int32_t class_item(struct pattern *p, struct charset *c)
{
    if (!pattern_take(p, '\\')) return pattern_char(p);
    int letter = pattern_peek(p);
    if (letter > 0 && add_named(c, letter)) {
        p->at++;
        return -1;
    }
    if (pattern_take(p, 'b')) return '\b';
    return take_escaped(p);
}

/* Behind the [ */
static void read_class(struct pattern *p, struct charset *c)
{
    bool negated = pattern_take(p, '^');
    if (pattern_peek(p) == ']') pattern_fail(p, "an empty class");
    while (!grammar_failed(p->g) && !pattern_take(p, ']')) {
        if (pattern_peek(p) == '[' && p->at + 1 < p->size && p->s[p->at + 1] == ':')
            pattern_fail(p, "[: is not supported");
        int32_t low = class_item(p, c), high = low;
        bool is_range = pattern_peek(p) == '-' && p->at + 1 < p->size && p->s[p->at + 1] != ']';
        if (is_range && !grammar_failed(p->g)) {
            p->at++;
            high = class_item(p, c);
            if (low < 0 || high < low) pattern_fail(p, "a range that goes down, or of classes");
        }
        if (low >= 0) charset_add(c, low, high);
    }
    if (negated) charset_negate(c);
}

/* ---- expressions ---- */

struct regex {
    struct pattern p;
    enum text_form form;
};

static int read_choice(struct regex *r, int depth);

static int read_group(struct regex *r, int depth)
{
    struct pattern *p = &r->p;
    if (pattern_peek(p) == '?' && !pattern_take_text(p, "?:"))
        return pattern_fail(p, "only (...) and (?:...) are supported");
    int node = read_choice(r, depth + 1);
    if (!pattern_take(p, ')')) return pattern_fail(p, "a group is not closed");
    return node;
}

static int read_atom(struct regex *r, int depth)
{
    struct pattern *p = &r->p;
    struct charset c = {.n = 0};
    int next = pattern_peek(p);
    if (pattern_take(p, '(')) return read_group(r, depth);
    if (next > 0 && strchr("*+?", next)) return pattern_fail(p, "nothing to repeat");
    if (next == '^' || next == '$') return pattern_fail(p, "an anchor inside");
    if (pattern_take(p, '[')) {
        read_class(p, &c);
    } else if (pattern_take(p, '.')) {
        charset_add(&c, '\n', '\n');
        charset_add(&c, '\r', '\r');
        charset_add(&c, 0x2028, 0x2029);
        charset_negate(&c);
    } else if (pattern_take(p, '\\')) {
        int letter = pattern_peek(p);
        if (letter > 0 && add_named(&c, letter)) {
            p->at++;
        } else {
            int32_t cp = take_escaped(p);
            charset_add(&c, cp, cp);
        }
    } else {
        int32_t cp = pattern_char(p);
        charset_add(&c, cp, cp);
    }
    return grammar_failed(p->g) ? 0 : text_chars(p->g, r->form, &c);
}

static bool at_end_of_part(const struct pattern *p, size_t at)
{
    return at >= p->size || p->s[at] == '|' || p->s[at] == ')';
}

static int read_sequence(struct regex *r, int depth)
{
    struct pattern *p = &r->p;
    int list = grammar_list(p->g, GRAMMAR_SEQUENCE), min, max;
    if (depth == 0) (void)pattern_take(p, '^');
    while (!grammar_failed(p->g) && !at_end_of_part(p, p->at)) {
        if (depth == 0 && pattern_peek(p) == '$' && at_end_of_part(p, p->at + 1)) {
            p->at++;
            break;
        }
        int node = read_atom(r, depth);
        if (!grammar_failed(p->g) && pattern_count(p, false, &min, &max)) {
            if (pattern_peek(p) == '+' || pattern_peek(p) == '*')
                return pattern_fail(p, "a repetition of a repetition");
            (void)pattern_take(p, '?'); /* lazy */
            node = grammar_repeat(p->g, node, min, max);
        }
        grammar_add(p->g, list, node);
    }
    return list;
}

static int read_choice(struct regex *r, int depth)
{
    struct pattern *p = &r->p;
    if (depth > PATTERN_MAX_DEPTH)
        return pattern_fail(p, "groups inside each other over %d deep", PATTERN_MAX_DEPTH);
    int list = grammar_list(p->g, GRAMMAR_CHOICE);
    do {
        grammar_add(p->g, list, read_sequence(r, depth));
    } while (pattern_take(p, '|'));
    return list;
}

int regex_add(struct grammar *g, enum text_form form, const char *what, const char *s, size_t size)
{
    struct regex r = {.p = {g, what, s, size, 0}, .form = form};
    if (size > GRAMMAR_MAX_SOURCE)
        return grammar_fail(g, ERR_LIMIT, "%s: over %d bytes", what, GRAMMAR_MAX_SOURCE);
    int node = read_choice(&r, 0);
    if (r.p.at < size) return pattern_fail(&r.p, "a ) too many");
    return node;
}
