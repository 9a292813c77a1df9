/* Scratch memory of a step: taken in order, released to a mark, forgotten at the next step. After the
 * first step of a size it allocates nothing. One thread at a time. */
#pragma once
#include <stddef.h>

struct arena;

struct arena *arena_new(void);
void arena_free(struct arena *a); /* takes NULL */
void arena_reset(struct arena *a);
void *arena_take(struct arena *a, size_t size); /* 64-byte aligned; NULL when memory is out */
size_t arena_mark(const struct arena *a);
void arena_release(struct arena *a, size_t mark);
