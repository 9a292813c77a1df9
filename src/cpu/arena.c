#include "cpu/arena.h"

#include <stdlib.h>

#include "base/mem.h"

enum { MAX_BLOCKS = 64, FIRST_BLOCK = 1 << 20 };

/* Memory is a list of blocks, each twice the last. A position counts bytes over all blocks, so that a
 * mark is one number; arena_reset replaces several blocks by one of their total size. */
struct arena {
    int n_blocks;
    int current;
    size_t used; /* in the current block */
    struct {
        char *data;
        size_t size, start; /* start: sizes of the blocks before */
    } block[MAX_BLOCKS];
};

struct arena *arena_new(void)
{
    return xcalloc(1, sizeof(struct arena));
}

static void drop_blocks(struct arena *a)
{
    for (int i = 0; i < a->n_blocks; i++)
        mem_pages_free(a->block[i].data, a->block[i].size);
    a->n_blocks = a->current = 0;
    a->used = 0;
}

void arena_free(struct arena *a)
{
    if (!a) return;
    drop_blocks(a);
    free(a);
}

static int add_block(struct arena *a, size_t size)
{
    if (a->n_blocks == MAX_BLOCKS) return -1;
    char *data = mem_pages(size);
    if (!data) return -1;
    int i = a->n_blocks++;
    a->block[i].data = data;
    a->block[i].size = size;
    a->block[i].start = i ? a->block[i - 1].start + a->block[i - 1].size : 0;
    return 0;
}

void arena_reset(struct arena *a)
{
    if (a->n_blocks > 1) {
        size_t total = a->block[a->n_blocks - 1].start + a->block[a->n_blocks - 1].size;
        drop_blocks(a);
        (void)add_block(a, total); /* failing here, arena_take tries again and reports */
    }
    a->current = 0;
    a->used = 0;
}

void *arena_take(struct arena *a, size_t size)
{
    size = (size + 63) / 64 * 64;
    while (a->current < a->n_blocks && a->block[a->current].size - a->used < size) {
        a->current++;
        a->used = 0;
    }
    if (a->current == a->n_blocks) {
        size_t want = a->n_blocks ? 2 * a->block[a->n_blocks - 1].size : FIRST_BLOCK;
        if (add_block(a, want < size ? size : want)) return NULL;
    }
    void *p = a->block[a->current].data + a->used;
    a->used += size;
    return p;
}

size_t arena_mark(const struct arena *a)
{
    return a->current < a->n_blocks ? a->block[a->current].start + a->used : 0;
}

void arena_release(struct arena *a, size_t mark)
{
    int i = 0;
    while (i + 1 < a->n_blocks && mark >= a->block[i + 1].start)
        i++;
    a->current = i;
    a->used = a->n_blocks ? mark - a->block[i].start : 0;
}
