/* Checked arithmetic on sizes that come from files: the only code that may form them.
 * Each returns 0, or -1 when the result does not fit, and then leaves *out alone. */
#pragma once
#include <limits.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

MUST_USE static inline int size_add(uint64_t a, uint64_t b, uint64_t *out)
{
    uint64_t r;
    if (__builtin_add_overflow(a, b, &r)) return -1;
    *out = r;
    return 0;
}

MUST_USE static inline int size_mul(uint64_t a, uint64_t b, uint64_t *out)
{
    uint64_t r;
    if (__builtin_mul_overflow(a, b, &r)) return -1;
    *out = r;
    return 0;
}

/* Rounds up to a multiple of `to`, a power of two. */
MUST_USE static inline int size_align(uint64_t a, uint64_t to, uint64_t *out)
{
    uint64_t r;
    if (to == 0 || (to & (to - 1)) || __builtin_add_overflow(a, to - 1, &r)) return -1;
    *out = r & ~(to - 1);
    return 0;
}

/* To a non-negative int. */
MUST_USE static inline int size_to_int(uint64_t a, int *out)
{
    if (a > INT_MAX) return -1;
    *out = (int)a;
    return 0;
}
