#include "text/bpe.h"

#include <limits.h>
#include <stdlib.h>
#include <sys/random.h>
#include <xxhash.h>

#include "base/mem.h"

/* ---- the merge table: open addressing, hashed with a secret seed so that no file can choose pairs
 * that collide ---- */

struct merge {
    int32_t left, right; /* left -1: empty slot */
    uint32_t rank;
    int32_t result;
};

struct bpe {
    int32_t byte_id[256];
    struct merge *table;
    size_t mask; /* slots - 1 */
    uint32_t n_merges, max_merges;
    uint64_t seed;
};

struct bpe *bpe_new(int n_merges)
{
    struct bpe *b = xcalloc(1, sizeof *b);
    size_t slots = 16;
    while (slots < 2 * (size_t)n_merges)
        slots *= 2;
    b->table = xcalloc(slots, sizeof *b->table);
    b->mask = slots - 1;
    b->max_merges = (uint32_t)n_merges;
    for (size_t i = 0; i < slots; i++)
        b->table[i].left = -1;
    /* No seed to be had only means that the hash is a fixed one. */
    if (getrandom(&b->seed, sizeof b->seed, GRND_NONBLOCK) != sizeof b->seed) b->seed = 0;
    return b;
}

void bpe_free(struct bpe *b)
{
    if (!b) return;
    free(b->table);
    free(b);
}

void bpe_set_byte(struct bpe *b, int byte, int32_t id)
{
    b->byte_id[byte] = id;
}

/* The pair's slot, or the empty one where it would go. */
static struct merge *find_slot(const struct bpe *b, int32_t left, int32_t right)
{
    int32_t key[2] = {left, right};
    size_t i = XXH3_64bits_withSeed(key, sizeof key, b->seed) & b->mask;
    while (b->table[i].left >= 0 && (b->table[i].left != left || b->table[i].right != right))
        i = (i + 1) & b->mask;
    return &b->table[i];
}

int bpe_add_merge(struct bpe *b, int32_t left, int32_t right, int32_t result)
{
    struct merge *m = find_slot(b, left, right);
    if (m->left >= 0) return -1;
    CHECK(b->n_merges < b->max_merges, "more than %u merges", b->max_merges);
    *m = (struct merge){left, right, b->n_merges++, result};
    return 0;
}

/* ---- one piece ---- */

enum { NO_NODE = -1 };
#define NO_RANK UINT32_MAX

struct bpe_node {
    int32_t id;
    int32_t prev, next; /* NO_NODE at the ends */
    uint32_t rank;      /* of the pair this node begins; NO_RANK for none, or when merged away */
};

void bpe_scratch_fini(struct bpe_scratch *s)
{
    free(s->nodes);
    free(s->heap);
    *s = (struct bpe_scratch){0};
}

/* Heap entries sort by rank, then position: lowest rank first, leftmost on ties. */
static uint64_t entry_of(uint32_t rank, int32_t at)
{
    return (uint64_t)rank << 32 | (uint32_t)at;
}

static uint64_t heap_push(struct bpe_scratch *s, uint64_t e)
{
    uint64_t steps = 1;
    size_t i = s->heap_size++;
    while (i > 0 && s->heap[(i - 1) / 2] > e) {
        s->heap[i] = s->heap[(i - 1) / 2];
        i = (i - 1) / 2;
        steps++;
    }
    s->heap[i] = e;
    return steps;
}

static uint64_t heap_pop(struct bpe_scratch *s, uint64_t *top)
{
    uint64_t steps = 1;
    *top = s->heap[0];
    uint64_t e = s->heap[--s->heap_size];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < s->heap_size; i = child) {
        if (child + 1 < s->heap_size && s->heap[child + 1] < s->heap[child]) child++;
        if (s->heap[child] >= e) break;
        s->heap[i] = s->heap[child];
        steps++;
    }
    s->heap[i] = e;
    return steps;
}

/* n symbols begin as at most n pairs, and each of at most n merges adds two. */
static int scratch_reserve(struct bpe_scratch *s, size_t n, struct err *err)
{
    if (n <= s->n_nodes) return 0;
    if (n > INT32_MAX / 4) return err_set(err, ERR_LIMIT, "a piece of text of %zu bytes", n);
    size_t want = n < 64 ? 64 : n;
    bpe_scratch_fini(s);
    s->nodes = malloc(want * sizeof *s->nodes);
    s->heap = malloc(3 * want * sizeof *s->heap);
    if (!s->nodes || !s->heap) {
        bpe_scratch_fini(s);
        return err_set(err, ERR_LIMIT, "no memory to encode a piece of %zu bytes", n);
    }
    s->n_nodes = want;
    s->n_heap = 3 * want;
    return 0;
}

/* Looks up the pair that node i begins and puts it on the heap. */
static uint64_t queue_pair(const struct bpe *b, struct bpe_scratch *s, int32_t i)
{
    struct bpe_node *node = &s->nodes[i];
    node->rank = NO_RANK;
    if (node->next == NO_NODE) return 0;
    const struct merge *m = find_slot(b, node->id, s->nodes[node->next].id);
    if (m->left < 0) return 0;
    node->rank = m->rank;
    return heap_push(s, entry_of(m->rank, i));
}

/* Joins node i with the one after it. */
static uint64_t merge_pair(const struct bpe *b, struct bpe_scratch *s, int32_t i)
{
    struct bpe_node *node = &s->nodes[i], *gone = &s->nodes[node->next];
    node->id = find_slot(b, node->id, gone->id)->result;
    node->next = gone->next;
    gone->rank = NO_RANK;
    if (node->next != NO_NODE) s->nodes[node->next].prev = i;
    uint64_t steps = queue_pair(b, s, i);
    if (node->prev != NO_NODE) steps += queue_pair(b, s, node->prev);
    return steps;
}

int bpe_encode(const struct bpe *b, struct bpe_scratch *s, const char *piece, size_t size,
               struct ids *out, struct err *err)
{
    if (size == 0) return 0;
    if (scratch_reserve(s, size, err)) return -1;
    int32_t n = (int32_t)size;
    for (int32_t i = 0; i < n; i++)
        s->nodes[i] = (struct bpe_node){.id = b->byte_id[(unsigned char)piece[i]],
                                        .prev = i - 1,
                                        .next = i + 1 < n ? i + 1 : NO_NODE};
    s->heap_size = 0;
    for (int32_t i = 0; i < n; i++)
        out->work += queue_pair(b, s, i);
    while (s->heap_size > 0) {
        uint64_t top;
        out->work += heap_pop(s, &top);
        int32_t at = (int32_t)(top & UINT32_MAX);
        /* A pair that changed since has another rank by now: ranks belong to one pair each. */
        if (s->nodes[at].rank == top >> 32) out->work += merge_pair(b, s, at);
    }
    for (int32_t i = 0; i != NO_NODE; i = s->nodes[i].next)
        if (ids_add(out, s->nodes[i].id, err)) return -1;
    return 0;
}
