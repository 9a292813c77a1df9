#include "base/queue.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/mem.h"

struct queue {
    pthread_mutex_t lock;
    pthread_cond_t some; /* an item, or closed */
    struct queue_item *first, **last;
    bool closed;
    void (*wake)(void *ctx);
    void *ctx;
};

struct queue *queue_new(void (*wake)(void *ctx), void *ctx)
{
    struct queue *q = xcalloc(1, sizeof *q);
    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->some, NULL);
    q->last = &q->first;
    q->wake = wake;
    q->ctx = ctx;
    return q;
}

void queue_free(struct queue *q)
{
    if (!q) return;
    pthread_mutex_destroy(&q->lock);
    pthread_cond_destroy(&q->some);
    free(q);
}

void queue_put(struct queue *q, struct queue_item *item)
{
    item->next = NULL;
    pthread_mutex_lock(&q->lock);
    bool was_empty = !q->first;
    *q->last = item;
    q->last = &item->next;
    pthread_cond_signal(&q->some);
    pthread_mutex_unlock(&q->lock);
    if (was_empty && q->wake) q->wake(q->ctx);
}

/* Under the lock. */
static struct queue_item *take_all(struct queue *q)
{
    struct queue_item *all = q->first;
    q->first = NULL;
    q->last = &q->first;
    return all;
}

struct queue_item *queue_take(struct queue *q)
{
    pthread_mutex_lock(&q->lock);
    struct queue_item *all = take_all(q);
    pthread_mutex_unlock(&q->lock);
    return all;
}

struct queue_item *queue_wait(struct queue *q)
{
    pthread_mutex_lock(&q->lock);
    while (!q->first && !q->closed)
        pthread_cond_wait(&q->some, &q->lock);
    struct queue_item *all = take_all(q);
    pthread_mutex_unlock(&q->lock);
    return all;
}

void queue_close(struct queue *q)
{
    pthread_mutex_lock(&q->lock);
    q->closed = true;
    pthread_cond_broadcast(&q->some);
    pthread_mutex_unlock(&q->lock);
}
