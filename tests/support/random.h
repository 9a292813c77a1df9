/* Repeatable random values for tests. */
#pragma once
#include <stdint.h>

struct random {
    uint64_t state;
};

uint64_t random_u64(struct random *r);
int random_int(struct random *r, int first, int last); /* both included */
float random_float(struct random *r);                  /* [-1, 1) */
/* Mostly around one, some large, some zero and some tiny. */
float random_wild(struct random *r);
void random_floats(struct random *r, float *out, int n);
