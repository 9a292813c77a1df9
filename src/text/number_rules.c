#include "text/number_rules.h"

#include <stdio.h>
#include <string.h>

static int digit_range(struct grammar *g, char low, char high)
{
    struct symbol_set set = {{0}};
    for (int c = low; c <= high; c++)
        set.bits[c / 64] |= UINT64_C(1) << c % 64;
    return grammar_set(g, &set);
}

static int digits(struct grammar *g, int min, int max)
{
    return grammar_repeat(g, digit_range(g, '0', '9'), min, max);
}

static int pair(struct grammar *g, int a, int b)
{
    int list = grammar_list(g, GRAMMAR_SEQUENCE);
    grammar_add(g, list, a);
    grammar_add(g, list, b);
    return list;
}

/* Texts of n digits from low to high, in order of their text. */
static int same_length(struct grammar *g, const char *low, const char *high, int n)
{
    static const char nines[] = "999999999999999999", zeros[] = "000000000000000000";
    if (n == 0) return grammar_empty(g);
    if (*low == *high)
        return pair(g, digit_range(g, *low, *low), same_length(g, low + 1, high + 1, n - 1));
    bool low_all = memcmp(low + 1, zeros, (size_t)n - 1) == 0;
    bool high_all = memcmp(high + 1, nines, (size_t)n - 1) == 0;
    int list = grammar_list(g, GRAMMAR_CHOICE);
    char first = low_all ? *low : (char)(*low + 1), last = high_all ? *high : (char)(*high - 1);
    if (!low_all)
        grammar_add(g, list,
                    pair(g, digit_range(g, *low, *low), same_length(g, low + 1, nines, n - 1)));
    if (first <= last)
        grammar_add(g, list, pair(g, digit_range(g, first, last), digits(g, n - 1, n - 1)));
    if (!high_all)
        grammar_add(g, list,
                    pair(g, digit_range(g, *high, *high), same_length(g, zeros, high + 1, n - 1)));
    return list;
}

/* 0 <= low; nothing when low > high. */
static int not_negative(struct grammar *g, int64_t low, int64_t high)
{
    int list = grammar_list(g, GRAMMAR_CHOICE);
    int64_t first = 0, last = 9; /* of the numbers with n digits */
    for (int n = 1; first <= high && low <= high; n++) {
        int64_t a = low > first ? low : first, b = high < last ? high : last;
        char from[24], to[24];
        snprintf(from, sizeof from, "%lld", (long long)a);
        snprintf(to, sizeof to, "%lld", (long long)b);
        if (a <= b) grammar_add(g, list, same_length(g, from, to, n));
        first = last + 1;
        last = n + 1 < NUMBER_DIGITS ? last * 10 + 9 : NUMBER_LARGEST;
    }
    return list;
}

int number_integers(struct grammar *g, struct number_range r)
{
    int list = grammar_list(g, GRAMMAR_CHOICE);
    if (r.low < 0)
        grammar_add(
            g, list,
            pair(g, grammar_text(g, "-"), not_negative(g, r.high < 0 ? -r.high : 1, -r.low)));
    if (r.high >= 0) grammar_add(g, list, not_negative(g, r.low > 0 ? r.low : 0, r.high));
    return list;
}

/* "." and digits that are all zero; or not all. */
static int fraction(struct grammar *g, bool is_zero, int places)
{
    if (is_zero)
        return pair(g, grammar_text(g, "."), grammar_repeat(g, grammar_text(g, "0"), 1, places));
    int list = grammar_list(g, GRAMMAR_CHOICE);
    for (int zeros = 0; zeros < places; zeros++) {
        int one = pair(g, grammar_repeat(g, grammar_text(g, "0"), zeros, zeros),
                       digit_range(g, '1', '9'));
        grammar_add(g, list, pair(g, one, digits(g, 0, places - zeros - 1)));
    }
    return pair(g, grammar_text(g, "."), list);
}

/* This integer exactly, or with anything behind it that is above it. */
static int at_integer(struct grammar *g, int64_t n, bool exact, int places)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)n);
    int behind = fraction(g, exact, places);
    return pair(g, grammar_text(g, text), exact ? grammar_repeat(g, behind, 0, 1) : behind);
}

/* 0 <= low <= high */
static int decimals(struct grammar *g, struct number_range r, int places)
{
    int list = grammar_list(g, GRAMMAR_CHOICE);
    if (!r.open_low && (r.low < r.high || !r.open_high))
        grammar_add(g, list, at_integer(g, r.low, true, places));
    if (r.low == r.high) return list;
    grammar_add(g, list, at_integer(g, r.low, false, places));
    int behind = pair(g, grammar_text(g, "."), digits(g, 1, places));
    grammar_add(g, list,
                pair(g, not_negative(g, r.low + 1, r.high - 1), grammar_repeat(g, behind, 0, 1)));
    if (!r.open_high) grammar_add(g, list, at_integer(g, r.high, true, places));
    return list;
}

int number_decimals(struct grammar *g, struct number_range r, int places)
{
    int list = grammar_list(g, GRAMMAR_CHOICE);
    if (r.low < 0 && r.low <= r.high) {
        /* Zero has no sign. */
        struct number_range mirrored = {r.high < 0 ? -r.high : 0, -r.low,
                                        r.high < 0 ? r.open_high : true, r.open_low};
        grammar_add(g, list, pair(g, grammar_text(g, "-"), decimals(g, mirrored, places)));
    }
    if (r.high >= 0 && r.low <= r.high) {
        struct number_range positive = {r.low > 0 ? r.low : 0, r.high, r.low >= 0 && r.open_low,
                                        r.open_high};
        grammar_add(g, list, decimals(g, positive, places));
    }
    return list;
}

int number_round(struct grammar *g, int zeros)
{
    int list = grammar_list(g, GRAMMAR_CHOICE), round = grammar_list(g, GRAMMAR_SEQUENCE);
    grammar_add(g, list, grammar_text(g, "0"));
    grammar_add(g, round, grammar_repeat(g, grammar_text(g, "-"), 0, 1));
    grammar_add(g, round, digit_range(g, '1', '9'));
    grammar_add(g, round, digits(g, 0, NUMBER_DIGITS - 1 - zeros));
    for (int i = 0; i < zeros; i++)
        grammar_add(g, round, grammar_text(g, "0"));
    grammar_add(g, list, round);
    return list;
}
