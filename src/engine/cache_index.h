/* What a cache directory holds: names, sizes, who owns what, and which file goes next. Memory only; its users
 * lock. Capacity is DISK_MAX_FILES of engine/cache_disk.h. */
#pragma once
#include "engine/cache_file.h"

struct cached_file {
    struct cache_name name;
    uint64_t bytes;
    uint64_t last_use; /* by its owner's clock */
    unsigned hits;
    int owner; /* index */
};

struct cache_owner {
    uint8_t tag[HMAC_BYTES];
    uint64_t bytes, clock;
    int n_files;
};

struct cache_index {
    struct cached_file *files; /* [capacity] */
    struct cache_owner *owners;
    int n_files, n_owners, capacity;
    uint64_t bytes;
};

/* ERR_LIMIT when memory is out. */
MUST_USE int cache_index_init(struct cache_index *x, int capacity, struct err *err);
void cache_index_fini(struct cache_index *x); /* takes a zeroed one */

struct cached_file *cache_index_find(struct cache_index *x, const uint8_t key[HMAC_BYTES]);

/* There must be room for one more; the newest of its owner. */
void cache_index_add(struct cache_index *x, const struct cache_name *name, uint64_t bytes);
void cache_index_remove(struct cache_index *x, struct cached_file *f);
void cache_index_use(struct cache_index *x, struct cached_file *f); /* a hit */

enum index_measure { INDEX_BYTES, INDEX_FILES };

/* The file that goes when `owner` wants room for that many bytes, or files (NULL: the directory is too full). NULL:
 * that owner has most then, and no file. */
struct cached_file *cache_index_victim(struct cache_index *x, enum index_measure by,
                                       const uint8_t owner[HMAC_BYTES], uint64_t wanted);
