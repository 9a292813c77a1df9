/* Messages from any threads to one: a list under a lock, in the order they came.
 *
 *     struct mail { struct queue_item item; ... };      item first, or found by offsetof
 *     queue_put(q, &m->item);                           any thread
 *     for (struct queue_item *i = queue_take(q), *next; i; i = next) { next = i->next; ... }
 *
 * The items are the caller's memory; the queue allocates nothing. */
#pragma once
#include <stdbool.h>

struct queue_item {
    struct queue_item *next;
};

struct queue;

/* wake, when not NULL, is called by the thread that puts an item where there was none: for a reader that
 * waits elsewhere (an event loop). It must not use the queue. */
struct queue *queue_new(void (*wake)(void *ctx), void *ctx);
void queue_free(struct queue *q); /* of the items nothing is freed; takes NULL */

void queue_put(struct queue *q, struct queue_item *item);

/* All items, oldest first, linked by next; NULL when there is none. */
struct queue_item *queue_take(struct queue *q);

/* The same, but waits for one; NULL only after queue_close. */
struct queue_item *queue_wait(struct queue *q);

/* The reader need not wait any more: no more items will come. */
void queue_close(struct queue *q);
