/* e4m3 weights as integers: sign * floor(64 |v| + 0.5), at most 28672.
 * Source: numerics, section 3. Rounds the smallest values (below 2^-3) to multiples of 1/64. */
#pragma once
#include <stdint.h>

/* By code; the two NaN codes, which loading refuses, give 0. */
extern const int16_t fp8_int[256];
