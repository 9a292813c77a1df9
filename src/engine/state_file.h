/* Session files: the whole value of a session, versioned and checksummed.
 * Source: numerics, section 8. All integers little-endian.
 *
 *   0  8  magic "TENONKV1"
 *   8  4  version (1)
 *  12  4  number of sections (7)
 *  16 32  model digest
 *  48  4  numeric mode (0 default, 1 f32 activations, 2 float)
 *  52  4  row type (0 e4m3 + bf16, 1 f32)
 *  56  4  1 when the state holds an MTP ring
 *  60  4  positions per page (128)
 *  64 32  SHA-256 over the numbers of the layout (struct kv_layout): a build that lays blocks out
 *         otherwise refuses the file
 *  96     per section, in the order of enum state_section: length (8), SHA-256 (32)
 * 376 32  SHA-256 of all bytes before
 * 408     the sections, without gaps; the file ends with the last
 *
 * tokens: count (8), fed (8), ids (4 each). sampler: seed (8), choice (4), zero (4), position (8), which
 * is the count of tokens. The others are bytes of the device blocks: rings, carries and MTP of the live
 * block (model/kv.h), rows and index keys of every page in order; all empty when nothing is fed.
 *
 * Nothing is used before its length and hash are checked. The hashes guard against damage, not
 * against an author: a file is as trusted as its owner. Its numbers cannot reach outside their
 * sections, whatever they are. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "engine/session.h"

struct kv_layout;

enum state_section {
    STATE_TOKENS,
    STATE_RINGS,
    STATE_ROWS,
    STATE_KEYS,
    STATE_CARRIES,
    STATE_MTP,
    STATE_SAMPLER,
    STATE_SECTIONS
};

const char *state_section_name(enum state_section s);

enum { STATE_VERSION = 1, STATE_HEADER = 408 };

struct state_bytes {
    const uint8_t *data;
    size_t size;
};

/* What a session must match to be loaded. */
struct state_identity {
    uint8_t model[32];
    uint32_t mode;
    uint32_t row_type;
    uint32_t with_mtp;
    uint8_t layout[32];
};

/* A file taken apart: bytes are borrowed from it. */
struct state_view {
    struct state_identity id;
    struct state_bytes section[STATE_SECTIONS];
    const uint8_t *token_ids; /* n_tokens of 4 bytes each, not aligned */
    int n_tokens, n_fed;
    struct sampler_key key;
};

/* Checks everything that can be checked without a model: sizes, hashes, versions. `what` names the
 * file in errors (ERR_FORMAT, ERR_UNSUPPORTED for another version). */
MUST_USE int state_parse(struct state_view *out, const char *what, const void *data, size_t size,
                         struct err *err);

/* A file being made, whole in memory. */
struct state_image {
    uint8_t *data;
    size_t size;
};

/* Makes the file of v: identity, counts, key and token ids are written; of the device sections only
 * the sizes are taken, and the caller fills them at state_image_section before state_image_seal,
 * which computes the hashes. ERR_LIMIT when memory is out. Free image->data with free(). */
MUST_USE int state_image_new(struct state_image *image, const struct state_view *v,
                             struct err *err);
uint8_t *state_image_section(const struct state_image *image, enum state_section s);
void state_image_seal(struct state_image *image);

/* The identity of sessions of a model in its mode; digest from weights_digest. */
struct state_identity state_identity_of(const struct model *m, const uint8_t digest[32]);

/* The file of a session, made in pieces, which nothing is fed to meanwhile: begin, copy until all is there, then
 * state_image_seal, which needs the image only and may run on any thread. */
struct state_copy {
    struct state_image image;
    const struct session *session; /* borrowed */
    int place, block;              /* copied next */
};
MUST_USE int state_copy_begin(struct state_copy *c, const struct session *s,
                              const struct state_identity *id, struct err *err);
/* Copies max_bytes and what is left of a block then, at most. True: all is there. */
bool state_copy_some(struct state_copy *c, size_t max_bytes);

/* The way back, in pieces: a session of what state_parse took apart. begin makes the checks of session_load; then
 * some, until it gives 1; then end. drop instead of end, and after a failure of some. Needs m's and the pool's
 * thread. */
struct state_fill {
    struct model *model;
    struct kv_pool *pool;
    const struct state_view *view; /* borrowed, as what it borrows from */
    int32_t *tokens;
    struct kv *kv; /* as far as it is filled */
};
MUST_USE int state_fill_begin(struct state_fill *f, struct model *m, struct kv_pool *pool,
                              const struct state_identity *want, const struct state_view *v,
                              struct err *err);
/* Copies max_bytes and what is left of a page then, at most. 1: all is there; -1: no memory. */
MUST_USE int state_fill_some(struct state_fill *f, size_t max_bytes, struct err *err);
MUST_USE int state_fill_end(struct state_fill *f, struct session **out, struct err *err);
void state_fill_drop(struct state_fill *f);

/* Saves s at path: written beside it, synced, renamed. */
MUST_USE int session_save(const struct session *s, const uint8_t model_digest[32], const char *path,
                          struct err *err);

/* Loads into blocks of the pool. Refuses what state_parse refuses, then another model, mode, row type
 * or layout, sections whose size the layout does not have, and token ids outside the vocabulary
 * (ERR_FORMAT; the message says which). ERR_LIMIT when the pool is full. */
MUST_USE int session_load(struct session **out, struct model *m, struct kv_pool *pool,
                          const uint8_t model_digest[32], const char *path, struct err *err);

/* Whether the file holds MTP state; false when it cannot be read or is none (session_load says why). */
bool session_file_has_mtp(const char *path);

/* The second half, for bytes from elsewhere. */
MUST_USE int session_from_state(struct session **out, struct model *m, struct kv_pool *pool,
                                const struct state_identity *want, const struct state_view *v,
                                const char *what, struct err *err);
