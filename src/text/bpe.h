/* Byte pair encoding: merges the adjacent pair of lowest rank, leftmost on ties, until none is left.
 * A linked list of symbols and a heap of pairs: O(n log n) for a piece of n bytes. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "text/ids.h"

struct bpe;

/* n_merges is how many will be added. */
struct bpe *bpe_new(int n_merges);
void bpe_free(struct bpe *b); /* takes NULL */

/* The symbol of one byte; all 256 must be given. */
void bpe_set_byte(struct bpe *b, int byte, int32_t id);

/* The next merge in order of rank. -1 when the pair is there already. */
MUST_USE int bpe_add_merge(struct bpe *b, int32_t left, int32_t right, int32_t result);

/* Memory that pieces are encoded in; one for each thread. Zero-initialise. */
struct bpe_scratch {
    struct bpe_node *nodes;
    uint64_t *heap;
    size_t n_nodes, n_heap; /* allocated */
    size_t heap_size;       /* in use */
};

void bpe_scratch_fini(struct bpe_scratch *s);

/* Appends the ids of one piece. out->work grows by the steps taken in the heap. */
MUST_USE int bpe_encode(const struct bpe *b, struct bpe_scratch *s, const char *piece, size_t size,
                        struct ids *out, struct err *err);
