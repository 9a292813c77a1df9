/* Philox4x32-10: a generator without state. The same key and counter give the same four words on
 * every machine, so a draw depends on nothing but what it is for.
 * Source: Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3" (SC 2011). */
#pragma once
#include <stdint.h>

void philox4x32_10(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);
