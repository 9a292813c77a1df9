#include "engine/cache_index.h"

#include <stdlib.h>
#include <string.h>

int cache_index_init(struct cache_index *x, int capacity, struct err *err)
{
    *x = (struct cache_index){.capacity = capacity};
    x->files = calloc((size_t)capacity, sizeof *x->files);
    x->owners = calloc((size_t)capacity, sizeof *x->owners);
    if (x->files && x->owners) return 0;
    cache_index_fini(x);
    return err_set(err, ERR_LIMIT, "no memory for a list of %d files", capacity);
}

void cache_index_fini(struct cache_index *x)
{
    free(x->files);
    free(x->owners);
    *x = (struct cache_index){0};
}

struct cached_file *cache_index_find(struct cache_index *x, const uint8_t key[HMAC_BYTES])
{
    for (int i = 0; i < x->n_files; i++)
        if (hmac_equal(x->files[i].name.key, key)) return &x->files[i];
    return NULL;
}

/* The owner's place; a place without files is free for another one. */
static int owner_of(struct cache_index *x, const uint8_t tag[HMAC_BYTES])
{
    int empty = -1;
    for (int i = 0; i < x->n_owners; i++) {
        if (x->owners[i].n_files && hmac_equal(x->owners[i].tag, tag)) return i;
        if (!x->owners[i].n_files) empty = i;
    }
    if (empty < 0) empty = x->n_owners++;
    x->owners[empty] = (struct cache_owner){0};
    memcpy(x->owners[empty].tag, tag, HMAC_BYTES);
    return empty;
}

void cache_index_add(struct cache_index *x, const struct cache_name *name, uint64_t bytes)
{
    CHECK(x->n_files < x->capacity, "%d files already", x->n_files);
    int owner = owner_of(x, name->owner);
    struct cache_owner *o = &x->owners[owner];
    x->files[x->n_files++] =
        (struct cached_file){.name = *name, .bytes = bytes, .last_use = ++o->clock, .owner = owner};
    o->bytes += bytes;
    o->n_files++;
    x->bytes += bytes;
}

void cache_index_remove(struct cache_index *x, struct cached_file *f)
{
    struct cache_owner *o = &x->owners[f->owner];
    o->bytes -= f->bytes;
    o->n_files--;
    x->bytes -= f->bytes;
    *f = x->files[--x->n_files];
}

void cache_index_use(struct cache_index *x, struct cached_file *f)
{
    f->hits++;
    f->last_use = ++x->owners[f->owner].clock;
}

static int fullest_owner(const struct cache_index *x, enum index_measure by,
                         const uint8_t asks[HMAC_BYTES], uint64_t wanted)
{
    int fullest = -1;
    uint64_t most =
        asks ? wanted : 0; /* an owner without files, until one is found that has more */
    for (int i = 0; i < x->n_owners; i++) {
        const struct cache_owner *o = &x->owners[i];
        uint64_t has = by == INDEX_BYTES ? o->bytes : (uint64_t)o->n_files;
        if (!o->n_files) continue;
        if (asks && hmac_equal(o->tag, asks)) has += wanted;
        if (has < most || (has == most && fullest >= 0)) continue;
        most = has;
        fullest = i;
    }
    return fullest;
}

struct cached_file *cache_index_victim(struct cache_index *x, enum index_measure by,
                                       const uint8_t owner[HMAC_BYTES], uint64_t wanted)
{
    int fullest = fullest_owner(x, by, owner, wanted);
    struct cached_file *worst = NULL;
    double most = -1;
    for (int i = 0; i < x->n_files && fullest >= 0; i++) {
        struct cached_file *f = &x->files[i];
        if (f->owner != fullest) continue;
        double age = (double)(x->owners[fullest].clock - f->last_use + 1);
        double rank = age * (double)f->bytes / (1 + (double)f->hits);
        if (rank <= most) continue;
        most = rank;
        worst = f;
    }
    return worst;
}
