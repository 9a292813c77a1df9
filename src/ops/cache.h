/* Routed experts that stay in the model's files and are read when a step needs them, for models larger than
 * memory. A fixed number of slots, each of one packed expert, is taken up front; the least recently
 * used expert makes room for the next. Results do not depend on it, to the bit.
 *
 * Order of calls (struct backend): cache_open, expert_defer for each expert, steps, cache_close. One
 * cache a backend. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "ops/weight.h"

struct step;
struct expert;

struct cache_options {
    size_t slot_bytes; /* of the largest expert: weight_bytes of its three */
    int n_slots;       /* >= 1; a step may need more experts than that */
    int n_experts;     /* that expert_defer will be called for */
};

/* Sums since cache_open. Each expert that a layer needs in a step counts once. */
struct cache_stats {
    int n_slots;
    uint64_t hits;       /* was in its slot when the layer asked */
    uint64_t misses;     /* was not, or not yet */
    uint64_t ahead;      /* experts whose reading began before a layer asked */
    uint64_t ahead_used; /* of these, those that a layer then asked for */
    uint64_t bytes_read; /* stored bytes */
    double wait_seconds; /* in which a step had nothing to do but wait */
};

/* The experts of a hash layer follow from the tokens of the step: reading them can begin with it. (Those
 * of learned layers were guessed once, by the next layer's router from this layer's input: a third
 * more bytes were read, and decoding took longer.) */
struct expect_args {
    const struct weight *table;   /* [V, k] I32 */
    const struct expert *experts; /* [n_experts] */
    int n_experts;
};

/* Changes no result. Does nothing where experts are not deferred. */
void op_expect(struct step *s, const struct expect_args *a);
