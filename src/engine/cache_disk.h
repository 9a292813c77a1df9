/* The part of the prefix cache that a restart does not end: a directory of files (engine/cache_file.h), a budget,
 * and two threads, one that reads and one that writes.
 * Source: docs/spec, security and reliability, rules R5, F6, T1, T2.
 *
 *     DIR/secret        32 random bytes, 0600; made when it is not there. Without it all entries are worthless
 *     DIR/lock          one process at a time
 *     DIR/KEY.prefix    an entry; KEY in hex
 *     DIR/KEY.part      one being written: synced, then renamed, then the directory is synced
 *
 * At the start the directory is scanned: parts go, secret.part too, and so does what is damaged or not of this
 * secret. Other names are left alone. At most DISK_MAX_FILES entries and max_bytes are kept; what goes is decided as in memory
 * (engine/prefix_cache.h), with owners for groups (struct cache_tenant), in the order of the last use at the start.
 *
 * A bad entry is a miss, is removed, and is logged once. What the system refuses (no space, an I/O error) ends
 * the use of the directory, is logged once, and hurts nobody else; a file that cannot be opened for want of
 * descriptors or memory is a miss this time, and stays, and an entry that cannot be made for want of them is not
 * written. A directory that cannot be made or read at the start is an error.
 *
 * find, name, submit, take and refuse are for one thread, the engine's. */
#pragma once
#include "base/queue.h"
#include "engine/cache_file.h"

enum { DISK_MAX_FILES = 4096 };

struct cache_disk;

struct disk_options {
    const char *dir; /* made, 0700, when it is not there */
    uint64_t max_bytes;
    struct state_identity model; /* of entries that are looked for */
};

/* ERR_IO; ERR_ARGUMENT when the directory is not safe (others may write there, read the secret) or another
 * process uses it. */
MUST_USE int cache_disk_open(struct cache_disk **out, const struct disk_options *o,
                             struct err *err);
void cache_disk_close(struct cache_disk *d); /* what was submitted is done first; takes NULL */

/* wake is called, on other threads, when cache_disk_take has something. NULL: no more. */
void cache_disk_on_done(struct cache_disk *d, void (*wake)(void *ctx), void *ctx);

/* The longest entry of this tenant that ids[0, n) begins with and that has more than `longer_than` tokens. */
bool cache_disk_find(struct cache_disk *d, const struct cache_tenant *t, const int32_t *ids, int n,
                     int longer_than, struct cache_name *out);

/* The name under which ids[0, n) would be written. False: it is there already, or the directory is out of use. */
bool cache_disk_name(struct cache_disk *d, const struct cache_tenant *t, const int32_t *ids, int n,
                     struct cache_name *out);

enum disk_kind { DISK_LOAD, DISK_WRITE };

/* The caller's memory until it comes back. */
struct disk_request {
    struct queue_item item;
    enum disk_kind kind;
    struct cache_name name;
    /* DISK_WRITE: a whole copy that is not sealed, taken over. DISK_LOAD: out, the bytes of the file, the
     * caller's to free; data NULL: a miss. */
    struct state_image image;
    struct state_view view; /* DISK_LOAD: out, of these bytes */
};

void cache_disk_submit(struct cache_disk *d, struct disk_request *r);

/* Requests that are done, oldest first; NULL: none. wait: until there is one. */
struct queue_item *cache_disk_take(struct cache_disk *d, bool wait);

/* What was loaded was of no use: it is a bad entry. */
void cache_disk_refuse(struct cache_disk *d, const struct cache_name *name, const char *why);

struct disk_stats {
    int n_files;
    uint64_t bytes, n_written, n_loaded, n_bad, n_evicted;
    bool off; /* the system refused something */
};
struct disk_stats cache_disk_stats(struct cache_disk *d); /* any thread */
