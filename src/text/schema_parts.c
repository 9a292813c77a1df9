/* Strings and numbers of a schema. */
#include <math.h>
#include <string.h>

#include "text/number_rules.h"
#include "text/pattern.h"
#include "text/pyjson.h"
#include "text/schema_state.h"

/* ---- strings ---- */

#define BYTE "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
#define IPV4 BYTE "(?:\\." BYTE "){3}"
#define HEX "[0-9a-fA-F]{1,4}"
#define LABEL "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
#define HOST LABEL "(?:\\." LABEL "){0,3}"
#define LEAP "(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)"
#define DATE                                                                                       \
    "(?:[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"                                 \
    "|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))|" LEAP "-02-29)"
#define TIME                                                                                       \
    "(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\\.[0-9]{1,9})?"                                 \
    "(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"

static const struct {
    const char *name, *regex;
} formats[] = {
    {"email", "[A-Za-z0-9_+-]{1,32}(?:\\.[A-Za-z0-9_+-]{1,31})?@" LABEL "(?:\\." LABEL "){1,3}"},
    {"hostname", HOST},
    {"ipv4", IPV4},
    {"ipv6", "(?:" HEX ":){7}" HEX "|(?:" HEX ":){6}" IPV4 "|::(?:" HEX ":){0,5}" IPV4 "|::(?:" HEX
             "(?::" HEX "){0,6})?|" HEX "::(?:" HEX "(?::" HEX "){0,5})?"
             "|" HEX "(?::" HEX "){1}::(?:" HEX "(?::" HEX "){0,4})?"
             "|" HEX "(?::" HEX "){2}::(?:" HEX "(?::" HEX "){0,3})?"
             "|" HEX "(?::" HEX "){3}::(?:" HEX "(?::" HEX "){0,2})?"
             "|" HEX "(?::" HEX "){4}::(?:" HEX "(?::" HEX "){0,1})?"
             "|" HEX "(?::" HEX "){5}::(?:" HEX ")?|" HEX "(?::" HEX "){6}::"},
    {"uuid", "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"},
    {"date", DATE},
    {"time", TIME},
    {"date-time", DATE "T" TIME},
};

static const char *find_format(const json_t *name)
{
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (json_is_string(name) && strcmp(formats[i].name, json_string_value(name)) == 0)
            return formats[i].regex;
    return NULL;
}

/* pattern or format. */
static int add_pattern(struct schema *s, const json_t *node, enum text_form form,
                       const struct schema_place *at)
{
    const json_t *pattern = json_object_get(node, "pattern");
    const json_t *format = json_object_get(node, "format");
    const char *keyword = pattern ? "pattern" : "format", *regex = find_format(format);
    if (pattern && format) return schema_refuse(s, at, "format", "together with pattern");
    if (json_object_get(node, "minLength") || json_object_get(node, "maxLength"))
        return schema_refuse(s, at, keyword, "together with minLength or maxLength");
    if (format && !regex)
        return schema_refuse(s, at, keyword, "the format \"%.40s\" is not supported",
                             json_is_string(format) ? json_string_value(format) : "");
    if (format) return regex_add(s->g, form, "format", regex, strlen(regex));
    if (!json_is_string(pattern)) return schema_refuse(s, at, keyword, "is no string");
    return regex_add(s->g, form, "schema: pattern", json_string_value(pattern),
                     json_string_length(pattern));
}

static int add_characters(struct schema *s, const json_t *node, enum text_form form,
                          const struct schema_place *at)
{
    int min = 0, max = -1;
    if (schema_count(s, node, "minLength", at, &min) ||
        schema_count(s, node, "maxLength", at, &max))
        return 0;
    if (max >= 0 && min > max) return grammar_nothing(s->g);
    int one = form == TEXT_JSON ? json_rules_character(&s->json) : json_rules_plain(&s->json);
    return grammar_repeat(s->g, one, min, max);
}

int schema_string(struct schema *s, const json_t *node, enum schema_form form,
                  const struct schema_place *at)
{
    struct grammar *g = s->g;
    enum text_form text = form == SCHEMA_RAW ? TEXT_RAW : TEXT_JSON;
    bool has_pattern = json_object_get(node, "pattern") || json_object_get(node, "format");
    int inside = has_pattern ? add_pattern(s, node, text, at) : add_characters(s, node, text, at);
    if (form == SCHEMA_RAW) return inside;
    int list = grammar_list(g, GRAMMAR_SEQUENCE);
    grammar_add(g, list, grammar_text(g, "\""));
    grammar_add(g, list, inside);
    grammar_add(g, list, grammar_text(g, "\""));
    return list;
}

/* ---- numbers ---- */

struct bounds {
    struct number_range range;
    bool has_low, has_high;
};

/* One bound, as the range has it. whole: of integers, so that any bound has a closed whole one. */
static int read_bound(struct schema *s, const json_t *node, const char *keyword,
                      const struct schema_place *at, bool whole, struct bounds *b)
{
    const json_t *value = json_object_get(node, keyword);
    bool is_low = strstr(keyword, "inimum") != NULL, open = strncmp(keyword, "excl", 4) == 0;
    if (!value) return 0;
    if (!json_is_number(value)) return schema_refuse(s, at, keyword, "is no number"), -1;
    double real = json_number_value(value), rounded = is_low ? ceil(real) : floor(real);
    if (!whole && rounded != real)
        return schema_refuse(s, at, keyword, "of a number must be whole, or its type integer"), -1;
    if (json_is_real(value) ? fabs(real) > 1e15 : llabs(json_integer_value(value)) > NUMBER_LARGEST)
        return schema_refuse(s, at, keyword, "has over %d digits", NUMBER_DIGITS), -1;
    int64_t n = json_is_real(value) ? (int64_t)rounded : json_integer_value(value);
    if (whole && open && rounded == real) n += is_low ? 1 : -1;
    open = open && !whole;
    struct number_range *r = &b->range;
    if (is_low && (n > r->low || !b->has_low || (n == r->low && open))) {
        r->low = n;
        r->open_low = open;
        b->has_low = true;
    } else if (!is_low && (n < r->high || !b->has_high || (n == r->high && open))) {
        r->high = n;
        r->open_high = open;
        b->has_high = true;
    }
    return 0;
}

static int read_bounds(struct schema *s, const json_t *node, const struct schema_place *at,
                       bool whole, struct bounds *b)
{
    *b = (struct bounds){.range = {.low = -NUMBER_LARGEST, .high = NUMBER_LARGEST}};
    return read_bound(s, node, "minimum", at, whole, b) ||
                   read_bound(s, node, "maximum", at, whole, b) ||
                   read_bound(s, node, "exclusiveMinimum", at, whole, b) ||
                   read_bound(s, node, "exclusiveMaximum", at, whole, b)
               ? -1
               : 0;
}

/* n when x is 10 to the power of n, -9..9; else 100. The double nearest to such a power. */
static int power_of_ten(double x)
{
    static const double powers[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9};
    static const double parts[] = {1, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9};
    for (int i = 0; i < 10; i++) {
        if (x == powers[i]) return i;
        if (x == parts[i]) return -i;
    }
    return 100;
}

/* The multiples in the range, one by one. */
static int add_multiples(struct schema *s, int64_t step, struct number_range r,
                         const struct schema_place *at)
{
    enum { MAX_MULTIPLES = 2000 };
    int list = grammar_list(s->g, GRAMMAR_CHOICE);
    int64_t first = r.low / step * step;
    if (first < r.low) first += step;
    if (r.low <= r.high && (r.high - first) / step > MAX_MULTIPLES)
        return schema_refuse(s, at, "multipleOf",
                             "other than a power of ten wants minimum and maximum with at most %d "
                             "multiples between them",
                             MAX_MULTIPLES);
    for (int64_t n = first; n <= r.high; n += step)
        grammar_add(s->g, list, number_integers(s->g, (struct number_range){.low = n, .high = n}));
    return list;
}

int schema_integer(struct schema *s, const json_t *node, const struct schema_place *at)
{
    struct bounds b;
    const json_t *step = json_object_get(node, "multipleOf");
    double size = json_number_value(step);
    if (read_bounds(s, node, at, true, &b)) return 0;
    bool is_free = !b.has_low && !b.has_high;
    if (step && !(size > 0 && size <= 1e15))
        return schema_refuse(s, at, "multipleOf", "is no number above 0, or too large");
    if (step && power_of_ten(size) > 0 && power_of_ten(size) < 10 && is_free)
        return number_round(s->g, power_of_ten(size));
    if (step && size == floor(size) && size > 1)
        return add_multiples(s, (int64_t)size, b.range, at);
    if (step && power_of_ten(size) > 0)
        return schema_refuse(s, at, "multipleOf", "of an integer must be whole");
    return is_free ? json_rules_integer(&s->json) : number_integers(s->g, b.range);
}

int schema_number(struct schema *s, const json_t *node, const struct schema_place *at)
{
    struct bounds b;
    const json_t *step = json_object_get(node, "multipleOf");
    int power = step ? power_of_ten(json_number_value(step)) : 100;
    if (step && json_number_value(step) >= 1) return schema_integer(s, node, at);
    if (step && power > 0)
        return schema_refuse(s, at, "multipleOf", "below 1 must be a power of ten");
    if (read_bounds(s, node, at, false, &b)) return 0;
    if (!step && !b.has_low && !b.has_high) return json_rules_number(&s->json);
    return number_decimals(s->g, b.range, step ? -power : NUMBER_DIGITS);
}
