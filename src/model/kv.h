/* The state of one sequence on the device, as a value.
 *
 * It is a list of references to blocks: one live block (rings, carries, MTP) and one page per 128
 * positions (ops/kv.h). A fork copies references; a write to a shared block copies the block first. So a
 * snapshot is a fork, and rolling back is keeping the snapshot and freeing the other. There is no
 * truncation: V4's state cannot be rewound, but for the last rows of a step whose old contents were kept
 * (struct kv_undo).
 * One thread uses a pool and its sequences at a time. */
#pragma once
#include <stdint.h>

#include "format/config.h"
#include "ops/backend.h"
#include "ops/kv.h"

/* Where everything lies; computed from the config and the mode. */
struct kv_layout {
    int n_layers; /* with MTP's, if any: it is the last */
    struct layer_kv layer[CONFIG_MAX_LAYERS + 1];
    size_t live_bytes, page_bytes;
    /* Sections inside the live block: rings [0, carries), carries [carries, mtp),
     * MTP ring and kept streams [mtp, live_bytes). Inside a page: rows [0, keys), index keys
     * [keys, page_bytes). */
    size_t carries, mtp, mtp_streams, keys;
};

void kv_layout_init(struct kv_layout *l, const struct config *c, enum numeric_mode mode,
                    int with_mtp);

struct kv_pool;
struct kv;

/* Blocks come from backend b, at most max_bytes in all (0: no limit). layout is borrowed. */
struct kv_pool *kv_pool_new(struct backend *b, const struct kv_layout *layout, size_t max_bytes);
void kv_pool_free(struct kv_pool *p); /* every kv of it must be gone; takes NULL */
size_t kv_pool_used(const struct kv_pool *p);

/* An empty sequence. It holds no block before its first kv_reserve. NULL when memory is out. */
struct kv *kv_new(struct kv_pool *p);
struct kv *kv_fork(const struct kv *kv); /* O(pages), copies no state; NULL when memory is out */
void kv_free(struct kv *kv);             /* takes NULL */

int kv_length(const struct kv *kv);   /* positions held */
size_t kv_bytes(const struct kv *kv); /* of its blocks, shared or not */
const struct kv_layout *kv_layout_of(const struct kv *kv);

/* For a cache of sequences, which says what it keeps: the blocks of kept sequences are counted, each one once
 * however many of them share it. A kept sequence can be forked and read, not fed; kv_free ends its being kept. */
void kv_keep(struct kv *kv);
size_t kv_keep_bytes(const struct kv *kv); /* that kv_keep would add to the count */
size_t kv_pool_kept(const struct kv_pool *p);
/* Of a kept one: what its end would take from the count. */
size_t kv_kept_alone(const struct kv *kv);

/* Makes everything that the next n positions write present and unshared. ERR_LIMIT when the pool is
 * full or memory is out; the sequence then holds the same positions as before. */
MUST_USE int kv_reserve(struct kv *kv, int n, struct err *err);
void kv_advance(struct kv *kv, int n); /* n positions have been computed */

/* Device pointers for a step. Borrowed until the next kv_reserve. */
void *kv_live(const struct kv *kv);
void **kv_pages(const struct kv *kv);
int kv_n_pages(const struct kv *kv); /* pages that hold positions [0, length) */

/* What the last rows of a step overwrite, kept so that these rows can be taken back: the state is then, byte
 * for byte, the one that a step without them would have left. For guesses that turn out wrong. Costs
 * copies of a few rows per layer, and no memory after kv_undo_new. */
struct kv_undo;

/* Rows that a step may have when some of them are to be taken back: no more than the smallest ring or carry
 * of the layout has slots. */
int kv_undo_rows(const struct kv_layout *l);
size_t kv_undo_bytes(const struct kv_layout *l, int n); /* of the block of a kv_undo */

/* For at most n rows, 1 <= n < kv_undo_rows. The block comes from the pool: ERR_LIMIT when it is full or memory is
 * out. */
MUST_USE int kv_undo_new(struct kv_undo **out, struct kv_pool *p, int n, struct err *err);
void kv_undo_free(struct kv_undo *u); /* takes NULL */

/* Before a step of at most kv_undo_rows positions, whose last n may be taken back: keeps what they
 * overwrite. The step's positions have been reserved (kv_reserve); `first` is the first of the n. */
void kv_undo_keep(struct kv_undo *u, const struct kv *kv, int first, int n);

/* After that step and before anything else happens to kv: takes back positions from `from` on, one of those
 * kept. streams: the streams at from - 1 (model_output.streams), host memory; not looked at in a
 * layout without MTP. */
void kv_undo_back(struct kv_undo *u, struct kv *kv, int from, const float *streams);

/* Copies to and from the host, byte exact: the live block, or page i. kv_import makes a sequence of
 * `length` positions with zeroed blocks, to be filled by kv_write; it fails as kv_reserve does. */
void kv_read(const struct kv *kv, int page_or_live, size_t offset, void *host, size_t size);
MUST_USE int kv_import(struct kv **out, struct kv_pool *p, int length, struct err *err);
void kv_write(struct kv *kv, int page_or_live, size_t offset, const void *host, size_t size);
enum { KV_LIVE = -1 };
