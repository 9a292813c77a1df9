/* JSON numbers within bounds, exactly. Numbers have at most 18 digits before the point and 18 behind it, and no
 * exponent. */
#pragma once
#include "text/grammar.h"

enum { NUMBER_DIGITS = 18 };

/* Whole-numbered bounds; |low|, |high| <= NUMBER_LARGEST. An open bound is not among the numbers. */
#define NUMBER_LARGEST INT64_C(999999999999999999)

struct number_range {
    int64_t low, high;
    bool open_low, open_high; /* of integers they are never open */
};

/* The integers of a range; nothing when low > high. */
int number_integers(struct grammar *g, struct number_range r);

/* Its numbers, with up to `places` (1..18) digits behind the point. */
int number_decimals(struct grammar *g, struct number_range r, int places);

/* The integers that 10 to the power of `zeros` divides. */
int number_round(struct grammar *g, int zeros);
