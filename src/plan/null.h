/* The null backend: the same forward pass, nothing computed. It checks shapes and adds up what a real
 * backend would read and compute, per op, in a ledger. It allocates no device memory and reads no
 * weight bytes, so a model of any size opens in seconds. */
#pragma once
#include <stdint.h>

#include "ops/backend.h"

/* Sums over the calls of one op. Each weight's bytes count once a call, however many rows use it;
 * activations that stay in cache are not counted. */
struct ledger_entry {
    uint64_t calls;
    uint64_t weight_bytes; /* stored bytes of the matrices read */
    uint64_t state_bytes;  /* kv rows, index keys, carries read and written */
    uint64_t int_ops;      /* int8 multiplies and adds of quantised linears and the indexer */
    uint64_t float_ops;    /* f32 multiplies and adds */
};

struct ledger {
    struct ledger_entry op[OP_COUNT];
};

/* Close with backend->close. Never fails. */
struct backend *null_open(enum numeric_mode mode);

/* The sums since null_open or the last null_reset. Routed experts of a step of T rows count as
 * E (1 - (1 - k / E)^T) distinct ones, the expectation for uniform routing. */
const struct ledger *null_ledger(const struct backend *b);
void null_reset(struct backend *b);

/* All ops together. */
struct ledger_entry ledger_total(const struct ledger *l);
