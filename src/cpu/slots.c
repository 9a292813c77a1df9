#include "cpu/slots.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/size.h"

/* Loaders wait for the disk more than they pack; a disk wants a few reads at once. */
enum { N_LOADERS = 4, N_PARTS = 3, ALIGN = 64 };

/* A place in a ring; alone it points to itself. */
struct link {
    struct link *prev, *next;
};

struct slot {
    struct link link; /* in slots.idle while nothing holds it; must be first */
    struct slot_expert *expert;
    uint8_t *data;
};

enum state { ABSENT, LOADING, READY };

struct slot_expert {
    struct link link; /* in slots.wanted or slots.expected while parts are to be read; first */
    struct packed part[N_PARTS];
    struct weight_src src[N_PARTS];
    int index; /* in the order of slots_defer: experts of a layer are neighbours */
    enum state state;
    struct slot *slot;      /* NULL if ABSENT */
    int next_part, n_going; /* parts to be begun from here; begun and not finished */
    bool needed;            /* by the layer under way */
    bool given;             /* by slots_next */
    bool ahead;             /* was begun before it was needed, and has not been needed yet */
    struct err err;         /* of the first part that failed */
};

struct slots {
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t more, done;
    bool stop;
    struct slot_expert *experts; /* [n_experts] */
    int n_experts, cap_experts;
    struct slot *slots; /* [n_slots] */
    int n_slots, n_ahead;
    uint8_t *memory; /* of all slots, mem_pages */
    size_t memory_bytes, slot_bytes;
    uint8_t *work; /* [N_LOADERS, work_bytes] */
    size_t work_bytes;
    struct link idle;             /* slots by last use, oldest first */
    struct link wanted, expected; /* experts, oldest first */
    struct slot_expert **need;    /* [n_experts] the layer under way */
    int n_need, n_begun;
    struct cache_stats stats;
    pthread_t thread[N_LOADERS];
    int n_threads, n_working;
};

/* ---- rings ---- */

static void ring_init(struct link *l)
{
    l->prev = l->next = l;
}

static bool ring_empty(const struct link *l)
{
    return l->next == l;
}

static void ring_remove(struct link *l)
{
    l->prev->next = l->next;
    l->next->prev = l->prev;
    ring_init(l);
}

/* Moves l to the end of ring. */
static void ring_append(struct link *ring, struct link *l)
{
    ring_remove(l);
    l->prev = ring->prev;
    l->next = ring;
    ring->prev->next = l;
    ring->prev = l;
}

/* ---- slots and what is in them: with the lock held ---- */

static size_t aligned(size_t size)
{
    return (size + ALIGN - 1) / ALIGN * ALIGN;
}

static void no_longer_ahead(struct slots *c, struct slot_expert *e)
{
    if (e->ahead) c->n_ahead--;
    e->ahead = false;
}

static void drop_slot(struct slots *c, struct slot_expert *e)
{
    no_longer_ahead(c, e);
    for (int i = 0; i < N_PARTS; i++) {
        e->part[i].data = NULL;
        e->part[i].scales = NULL;
    }
    e->slot->expert = NULL;
    e->slot = NULL;
    e->state = ABSENT;
}

/* Gives e the slot unused for longest and begins its reading; false when every slot is in use. */
static bool take_slot(struct slots *c, struct slot_expert *e)
{
    if (ring_empty(&c->idle)) return false;
    struct slot *slot = (struct slot *)(void *)c->idle.next;
    ring_remove(&slot->link);
    if (slot->expert) drop_slot(c, slot->expert);
    slot->expert = e;
    e->slot = slot;
    e->state = LOADING;
    e->next_part = e->n_going = 0;
    e->err = (struct err){0};
    uint8_t *at = slot->data;
    for (int i = 0; i < N_PARTS; i++) {
        struct packed *w = &e->part[i];
        w->data = at;
        w->scales = (float *)(void *)(at + aligned(w->data_bytes));
        at += packed_bytes(w);
    }
    return true;
}

/* Begins experts of the layer under way as far as there are slots. */
static void begin_needed(struct slots *c)
{
    for (; c->n_begun < c->n_need; c->n_begun++) {
        struct slot_expert *e = c->need[c->n_begun];
        if (e->state == READY) continue;
        if (e->state == ABSENT && !take_slot(c, e)) break;
        if (e->next_part < N_PARTS) ring_append(&c->wanted, &e->link);
    }
    pthread_cond_broadcast(&c->more);
}

/* ---- loaders ---- */

/* The expert whose next part is to be read, or NULL. */
static struct slot_expert *next_work(struct slots *c)
{
    if (!ring_empty(&c->wanted)) return (struct slot_expert *)(void *)c->wanted.next;
    while (!ring_empty(&c->expected)) {
        struct slot_expert *e = (struct slot_expert *)(void *)c->expected.next;
        if (e->state == LOADING) return e;
        if (c->n_ahead < (c->n_slots + 1) / 2 && take_slot(c, e)) {
            e->ahead = true;
            c->n_ahead++;
            c->stats.ahead++;
            return e;
        }
        ring_remove(&e->link);
    }
    return NULL;
}

/* A part is read; the last one makes its expert ready, or empties its slot where one failed. */
static void finish_part(struct slots *c, struct slot_expert *e, int rc, const struct err *err)
{
    e->n_going--;
    if (rc) {
        err_set(&e->err, err->code, "%s", err->message);
        ring_remove(&e->link);
        e->next_part = N_PARTS;
    }
    if (e->next_part < N_PARTS || e->n_going) return;
    struct slot *slot = e->slot;
    if (e->err.code == ERR_NONE)
        e->state = READY;
    else
        drop_slot(c, e);
    if (e->state == ABSENT || !e->needed) ring_append(&c->idle, &slot->link);
    pthread_cond_broadcast(&c->done);
}

static void *loader_main(void *arg)
{
    struct slots *c = arg;
    pthread_mutex_lock(&c->lock);
    uint8_t *work = c->work + (size_t)c->n_working++ * c->work_bytes;
    for (;;) {
        struct slot_expert *e = c->stop ? NULL : next_work(c);
        if (!e) {
            if (c->stop) break;
            pthread_cond_wait(&c->more, &c->lock);
            continue;
        }
        int part = e->next_part++;
        if (e->next_part == N_PARTS) ring_remove(&e->link);
        e->n_going++;
        pthread_mutex_unlock(&c->lock);
        struct err err = {0};
        int rc = packed_fill(&e->part[part], &e->src[part], work, &err);
        pthread_mutex_lock(&c->lock);
        c->stats.bytes_read += e->part[part].base.bytes;
        finish_part(c, e, rc, &err);
    }
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

static int start_loaders(struct slots *c, struct err *err)
{
    c->work_bytes = aligned(c->work_bytes);
    c->work = xcalloc(N_LOADERS, c->work_bytes);
    for (; c->n_threads < N_LOADERS; c->n_threads++) {
        int bad = pthread_create(&c->thread[c->n_threads], NULL, loader_main, c);
        if (bad && c->n_threads == 0)
            return err_set(err, ERR_LIMIT, "no thread to read experts: %s", strerror(bad));
        if (bad) break; /* fewer do */
    }
    return 0;
}

/* ---- opening ---- */

int slots_open(struct slots **out, const struct cache_options *o, struct err *err)
{
    CHECK(o->n_slots >= 1 && o->n_experts >= 1, "%d slots for %d experts", o->n_slots,
          o->n_experts);
    struct slots *c = xcalloc(1, sizeof *c);
    *out = c;
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->more, NULL);
    pthread_cond_init(&c->done, NULL);
    ring_init(&c->idle);
    ring_init(&c->wanted);
    ring_init(&c->expected);
    c->cap_experts = o->n_experts;
    c->experts = xcalloc((size_t)o->n_experts, sizeof *c->experts);
    c->need = xcalloc((size_t)o->n_experts, sizeof(struct slot_expert *));
    c->slot_bytes = aligned(o->slot_bytes);
    uint64_t bytes = 0;
    if (size_mul(c->slot_bytes, (uint64_t)o->n_slots, &bytes) == 0)
        c->memory = mem_pages((size_t)bytes);
    if (!c->memory) {
        slots_close(c);
        *out = NULL;
        return err_set(err, ERR_LIMIT, "no memory for %d experts of %zu bytes", o->n_slots,
                       c->slot_bytes);
    }
    c->memory_bytes = (size_t)bytes;
    c->slots = xcalloc((size_t)o->n_slots, sizeof *c->slots);
    for (c->n_slots = 0; c->n_slots < o->n_slots; c->n_slots++) {
        struct slot *slot = &c->slots[c->n_slots];
        slot->data = c->memory + (size_t)c->n_slots * c->slot_bytes;
        ring_init(&slot->link);
        ring_append(&c->idle, &slot->link);
    }
    c->stats.n_slots = c->n_slots;
    return 0;
}

void slots_close(struct slots *c)
{
    if (!c) return;
    pthread_mutex_lock(&c->lock);
    c->stop = true;
    pthread_cond_broadcast(&c->more);
    pthread_mutex_unlock(&c->lock);
    for (int i = 0; i < c->n_threads; i++)
        pthread_join(c->thread[i], NULL);
    for (int i = 0; i < c->n_experts; i++)
        for (int part = 0; part < N_PARTS; part++)
            free(c->experts[i].part[part].base.name);
    pthread_mutex_destroy(&c->lock);
    pthread_cond_destroy(&c->more);
    pthread_cond_destroy(&c->done);
    mem_pages_free(c->memory, c->memory_bytes);
    free(c->slots);
    free(c->experts);
    free(c->need);
    free(c->work);
    free(c);
}

int slots_defer(struct slots *c, struct expert *out, const struct weight_src src[3],
                struct err *err)
{
    CHECK(c->n_experts < c->cap_experts, "more than %d experts", c->cap_experts);
    struct slot_expert *e = &c->experts[c->n_experts];
    size_t bytes = 0;
    e->index = c->n_experts++;
    ring_init(&e->link);
    for (int i = 0; i < N_PARTS; i++) {
        struct packed *w = &e->part[i];
        if (packed_init(w, &src[i], err)) return -1;
        w->expert = e;
        e->src[i] = src[i];
        e->src[i].name = w->base.name;
        bytes += packed_bytes(w);
        if (packed_work_bytes(&src[i]) > c->work_bytes) c->work_bytes = packed_work_bytes(&src[i]);
    }
    CHECK(bytes <= c->slot_bytes, "an expert of %zu bytes, slots of %zu", bytes, c->slot_bytes);
    *out = (struct expert){&e->part[0].base, &e->part[1].base, &e->part[2].base};
    return c->n_experts == c->cap_experts ? start_loaders(c, err) : 0;
}

void slots_stats(struct slots *c, struct cache_stats *out)
{
    pthread_mutex_lock(&c->lock);
    *out = c->stats;
    pthread_mutex_unlock(&c->lock);
}

/* ---- a layer's use ---- */

static struct slot_expert *expert_of(const struct expert *x)
{
    return ((const struct packed *)x->gate)->expert;
}

/* What was expected of this layer and is not needed is not read. */
static void forget_expected(struct slots *c, int first, int n_experts)
{
    for (struct link *l = c->expected.next, *next; l != &c->expected; l = next) {
        struct slot_expert *e = (struct slot_expert *)(void *)l;
        next = l->next;
        if (e->index >= first && e->index < first + n_experts && e->state == ABSENT) ring_remove(l);
    }
}

void slots_need(struct slots *c, const struct expert *layer, int n_experts, const int32_t *ids,
                int n)
{
    pthread_mutex_lock(&c->lock);
    CHECK(n <= c->n_experts, "%d experts needed of %d", n, c->n_experts);
    c->n_need = n;
    c->n_begun = 0;
    forget_expected(c, expert_of(layer)->index, n_experts);
    for (int i = 0; i < n; i++) {
        struct slot_expert *e = c->need[i] = expert_of(&layer[ids[i]]);
        if (e->ahead) c->stats.ahead_used++;
        no_longer_ahead(c, e);
        e->needed = true;
        e->given = false;
        if (e->state == READY) {
            ring_remove(&e->slot->link);
            c->stats.hits++;
        } else {
            c->stats.misses++;
        }
    }
    begin_needed(c);
    pthread_mutex_unlock(&c->lock);
}

/* The layer's use is over: with the lock held. */
static void end_need(struct slots *c)
{
    for (int i = 0; i < c->n_need; i++) {
        struct slot_expert *e = c->need[i];
        if (e->needed && e->state == READY) ring_append(&c->idle, &e->slot->link);
        e->needed = false;
    }
    c->n_need = c->n_begun = 0;
}

/* Those that are ready and were not given yet; the others count in *left. */
static int take_ready(struct slots *c, int32_t *out, int *left, struct err *err)
{
    int n = 0;
    *left = 0;
    for (int i = 0; i < c->n_need; i++) {
        struct slot_expert *e = c->need[i];
        if (e->given) continue;
        if (e->state == READY) {
            e->given = true;
            out[n++] = i;
            continue;
        }
        if (e->state == ABSENT && i < c->n_begun)
            return err_set(err, e->err.code, "%s", e->err.message);
        ++*left;
    }
    return n;
}

int slots_next(struct slots *c, int32_t *out, struct err *err)
{
    int n, left;
    double start = 0;
    pthread_mutex_lock(&c->lock);
    while ((n = take_ready(c, out, &left, err)) == 0 && left) {
        begin_needed(c); /* slots of what was read ahead may have come free */
        if (start == 0) start = clock_seconds();
        pthread_cond_wait(&c->done, &c->lock);
    }
    if (start > 0) c->stats.wait_seconds += clock_seconds() - start;
    if (n <= 0) end_need(c);
    pthread_mutex_unlock(&c->lock);
    return n;
}

void slots_give(struct slots *c, const int32_t *indexes, int n)
{
    pthread_mutex_lock(&c->lock);
    for (int i = 0; i < n; i++) {
        struct slot_expert *e = c->need[indexes[i]];
        e->needed = false;
        ring_append(&c->idle, &e->slot->link);
    }
    begin_needed(c);
    pthread_mutex_unlock(&c->lock);
}

void slots_expect(struct slots *c, const struct expert *layer, const int32_t *ids, int n)
{
    pthread_mutex_lock(&c->lock);
    for (int i = 0; i < n; i++) {
        struct slot_expert *e = expert_of(&layer[ids[i]]);
        if (e->needed) continue;
        if (e->state == ABSENT) ring_append(&c->expected, &e->link);
        if (e->state == READY) ring_append(&c->idle, &e->slot->link); /* the last to go */
    }
    pthread_cond_broadcast(&c->more);
    pthread_mutex_unlock(&c->lock);
}
