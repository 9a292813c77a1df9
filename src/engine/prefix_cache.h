/* The prefix cache: states of prompts that came before, so that a prompt that begins like one of them is fed from
 * there on. An answer from a hit has the bits of a cold one: an entry is a session (engine/session.h), which
 * holds everything at its point.
 * Source: docs/spec, security and reliability, rules T1 to T3, R1.
 *
 * Points. An entry stands at the end of the system text, just before a prompt's last token (that token opens or
 * closes the reasoning, so the next turn may have the other one), every `every` tokens of a prompt, and where an
 * answer ends; none has fewer than PREFIX_MIN tokens.
 *
 * Memory. Entries hold blocks of the engine's pool, counted once however many entries share them (kv_keep), and
 * their tokens, 4 bytes each of the host. Together these have at most the budget, and at most what
 * prefix_cache_limit leaves them, which is for the scheduler to say: what its jobs have reserved is theirs.
 *
 * Eviction. Groups are equal: when room is wanted, the group that has most gives it, the one that asks counted
 * with what it wants. So a group that holds no more than its share (budget by groups that hold something) loses
 * nothing to the others. Where PREFIX_MAX_ENTRIES is what is full, entries count instead of bytes. Within a group the entry goes that has the most of
 *     age * bytes / (1 + hits)
 * age: stores and hits of the group since its last use; bytes: what its end sets free, so not the pages that
 * longer or shorter entries share with it, but its tokens. What one group does never shows in what another one finds, but by
 * that share and by the memory of jobs.
 *
 * Disk. With a directory (engine/cache_disk.h) entries are written there, too, in the order in which they came: but
 * not the inner points of a long prompt, each of which would hold the whole text before it again. The state is
 * copied out by prefix_cache_work in slices of PREFIX_SLICE bytes, one between two steps (3 ms at most on the machine
 * it was measured on); hashes, writing and syncing are another thread's. An entry that is evicted before its turn
 * is not written. Reading and checking is a third thread's; what it read is copied into the pool in slices, too.
 * Beside the budget there is at most one copy on its way out and one on its way in.
 *
 * One thread uses it, the engine's. */
#pragma once
#include "engine/cache_disk.h"
#include "engine/cache_key.h"
#include "engine/session.h"

struct prefix_cache;

enum {
    PREFIX_EVERY = 2048,
    PREFIX_MIN = 16,
    PREFIX_MAX_ENTRIES = 4096,
    PREFIX_SLICE = 4 << 20,
    PREFIX_FLUSH_SECONDS = 5
};

struct prefix_options {
    size_t memory;            /* budget in bytes */
    int every;                /* tokens between the points of a long prompt, >= 1 */
    const char *dir;          /* or NULL: no disk */
    uint64_t disk;            /* budget in bytes */
    uint8_t model_digest[32]; /* of weights_digest; looked at with a directory only */
};

/* m and pool (of m's layout) are borrowed. ERR_IO: no random numbers for the secret; else what cache_disk_open
 * says. */
MUST_USE int prefix_cache_open(struct prefix_cache **out, struct model *m, struct kv_pool *pool,
                               const struct prefix_options *o, struct err *err);
/* Takes NULL. What is to be written yet is, as far as PREFIX_FLUSH_SECONDS allow. */
void prefix_cache_close(struct prefix_cache *c);

/* From now on entries take at most so many bytes: evicts at once. */
void prefix_cache_limit(struct prefix_cache *c, size_t bytes);

/* A fork of the longest entry of this tenant that ids[0, n - 1) begins with: the last token is always fed anew,
 * its logits are wanted. The caller's, all its tokens fed. NULL when there is none, or no memory. */
struct session *prefix_cache_find(struct prefix_cache *c, const struct cache_tenant *t,
                                  const int32_t *ids, int n);

/* Keeps what s has been fed, if there is room for it; to_disk: on disk, too. */
void prefix_cache_store(struct prefix_cache *c, const struct cache_tenant *t,
                        const struct session *s, bool to_disk);

/* A prompt's points of PREFIX_MIN tokens and more: the first one behind `fed`, n_ids when there is none. n_system:
 * tokens of its system text; 0: unknown, or none. */
int prefix_cache_point(const struct prefix_cache *c, int n_system, int n_ids, int fed);

/* Whether the disk gets what has been fed at such a point: see above. */
bool prefix_cache_wants_disk(const struct prefix_cache *c, int n_system, int n_ids, int fed);

/* --- disk --- */

/* wake is called, on other threads, when prefix_cache_work has something to do. NULL: no more. */
void prefix_cache_on_wake(struct prefix_cache *c, void (*wake)(void *ctx), void *ctx);

/* Between steps: looks after the disk. True when there is more to do at once. */
bool prefix_cache_work(struct prefix_cache *c);

/* A load under way; the caller's memory. */
struct cache_load {
    struct disk_request request; /* first */
    struct cache_load *next;
};

/* Begins to load the longest entry that ids[0, n - 1) begins with. found: tokens of it that memory has; 0: none.
 * False: there is none, or it has less than every / 2 (and PREFIX_MIN) tokens more than that: feeding these is no
 * more work than reading all. */
bool prefix_cache_load(struct prefix_cache *c, struct cache_load *load,
                       const struct cache_tenant *t, const int32_t *ids, int n, int found);

/* A load that is over, by prefix_cache_work; NULL: none. The next one waits until prefix_cache_take. */
struct cache_load *prefix_cache_loaded(struct prefix_cache *c);

/* The session that was loaded: as prefix_cache_find gives one. NULL: a miss. */
struct session *prefix_cache_take(struct prefix_cache *c, struct cache_load *load,
                                  const int32_t *ids);

struct prefix_stats {
    int n_entries;
    int n_to_disk; /* that wait to be written; the one being written counts, too */
    size_t bytes;
    uint64_t n_stored, n_evicted;
    struct disk_stats disk;
};
struct prefix_stats prefix_cache_stats(const struct prefix_cache *c);
