/* A growable list of token ids with a largest length. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct ids {
    int32_t *data; /* NULL while empty */
    size_t n;
    size_t cap;
    size_t max;    /* largest n allowed */
    uint64_t work; /* heap operations spent by the encoder that filled it; for tests */
};

void ids_init(struct ids *l, size_t max);
void ids_fini(struct ids *l);
void ids_clear(struct ids *l); /* n and work to 0, memory kept */

/* ERR_LIMIT past max, or when memory is short. */
MUST_USE int ids_add(struct ids *l, int32_t id, struct err *err);
