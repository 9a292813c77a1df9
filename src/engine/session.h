/* A session as a value: the whole state of one conversation.
 *
 * It is a list of tokens, the device state of those that were fed (kv), and the key of its random
 * numbers. Tokens [0, fed) are in the state; the rest are pending: a prompt not yet computed, or the
 * token drawn last. The sampler's counter is the position, so the list's length.
 *
 * - snapshot: fork and keep it. A fork copies tokens and references, no state.
 * - rollback to any earlier snapshot: free the session, go on with (a fork of) the snapshot.
 * - save, load: engine/state_file.h.
 * The law: a session that was forked, rolled back, saved and loaded, or fed in other cuts gives the
 * same bits as a fresh one with the same tokens.
 *
 * After a failed feed a session must be freed or replaced by an earlier fork.
 * One thread at a time uses the sessions of a model. */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "engine/sampler.h"

struct model;
struct model_input;
struct kv;
struct kv_pool;
struct session;

/* Empty. m and pool (of m's layout) are borrowed. NULL when memory is out. */
struct session *session_new(struct model *m, struct kv_pool *pool);
struct session *session_fork(const struct session *s); /* NULL when memory is out */
void session_free(struct session *s);                  /* takes NULL */

const int32_t *session_tokens(const struct session *s); /* borrowed until the next append */
int session_length(const struct session *s);            /* all tokens */
int session_fed(const struct session *s);               /* those in the state */

struct sampler_key session_key(const struct session *s); /* zero at first */
void session_set_key(struct session *s, struct sampler_key key);

/* Length of the longest common prefix of the session's tokens and these. */
int session_common(const struct session *s, const int32_t *tokens, int n);

/* Appends pending tokens. ERR_ARGUMENT for an id outside [0, vocab), ERR_LIMIT when memory is out; the
 * session is then unchanged. */
MUST_USE int session_append(struct session *s, const int32_t *tokens, int n, struct err *err);

/* This session's share of a step that may hold others: its first pending tokens, at most max_rows,
 * with logits wanted for the very last one only (in->n_logits 1 when the share reaches it, else
 * 0). False when nothing is pending. The tokens are borrowed until the next append. */
bool session_input(const struct session *s, int max_rows, struct model_input *in);

/* Feeds pending tokens up to position `end` (exclusive; at most the length), `chunk` rows per step.
 * logits, when not NULL, gets [V] after token end - 1; then at least one token must be pending below
 * end. cancel, when not NULL, is looked at before each step: ERR_CANCELLED, and the session stays
 * good at what was fed. */
MUST_USE int session_feed(struct session *s, int end, int chunk, float *logits,
                          const atomic_bool *cancel, struct err *err);

struct model *session_model(const struct session *s);
const struct kv *session_kv(const struct session *s);
struct kv_pool *session_pool(const struct session *s);

/* For loaders: a session of these tokens whose first kv_length(kv) are fed. Takes kv over, also on
 * failure. */
MUST_USE int session_from(struct session **out, struct model *m, struct kv_pool *pool,
                          struct kv *kv, const int32_t *tokens, int n, struct sampler_key key,
                          struct err *err);

/* Forgets the tokens that were not fed, and their room: the session is then what its state says. */
void session_drop_pending(struct session *s);

/* For a cache: kv_keep of its state. */
void session_keep(struct session *s);
