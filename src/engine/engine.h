/* The one door to a running model: text, tokens and sessions; never tensors.
 *
 * The caller opens files and device (weights, backend, model, tokenizer) and hands model and
 * tokenizer in; the engine owns the memory of all sessions, a budget fixed here. */
#pragma once
#include <jansson.h>

#include "base/err.h"
#include "engine/batch.h"
#include "engine/generate.h"
#include "engine/prefix_cache.h"
#include "engine/session.h"
#include "engine/speculate.h"
#include "text/ids.h"
#include "text/prompt.h"
#include "text/tokenizer.h"

struct model;
struct engine;

struct engine_options {
    int max_context; /* tokens one session may hold; 0: 65536, or what the model has if less */
    int n_sessions;  /* that may hold a whole context each; 0: 1 */
    size_t memory;   /* most bytes for all of these together; 0: as they need */
    int n_snapshots; /* forks that may be kept beside the running sessions */
    size_t cache;    /* bytes for a prefix cache beside the sessions, as far as `memory` lets it */
    enum speculate_mode drafts; /* of a model with MTP; without, there are none */
};

enum { ENGINE_CHUNK = 512 }; /* prompt rows per step unless told otherwise */

/* m and t are borrowed; t may be NULL, then there is no text. ERR_FORMAT when the tokenizer has more
 * ids than the model has logits, ERR_ARGUMENT when max_context is above what the model has, ERR_LIMIT when
 * not even one session of max_context fits in `memory`. */
MUST_USE int engine_open(struct engine **out, struct model *m, struct tokenizer *t,
                         const struct engine_options *o, struct err *err);
void engine_close(struct engine *e); /* every session must be gone; takes NULL */

/* The bytes of all sessions together, and those that a session of n tokens takes at most. */
size_t engine_memory(const struct engine *e);
size_t engine_session_bytes(const struct engine *e, int n_tokens);

/* A prefix cache of this engine's sessions: its budget is engine_options.cache, and at most engine_memory, whatever
 * o->memory is. *out is NULL when that is 0. */
MUST_USE int engine_cache_open(struct prefix_cache **out, struct engine *e,
                               const struct prefix_options *o, struct err *err);

int engine_vocab(const struct engine *e);
int engine_context(const struct engine *e);
int engine_eos(const struct engine *e);
const struct tokenizer *engine_tokenizer(const struct engine *e);

MUST_USE int engine_session_new(struct session **out, struct engine *e, struct err *err);
MUST_USE int engine_session_load(struct session **out, struct engine *e,
                                 const uint8_t model_digest[32], const char *path, struct err *err);

/* A batch over this engine's sessions: at most as many slots as engine_options.n_sessions, or its
 * answers may run out of memory. */
MUST_USE int engine_batch_open(struct batch **out, struct engine *e, const struct batch_options *o,
                               struct err *err);

/* Messages (text/prompt.h) to ids: control tokens come from the template only. */
MUST_USE int engine_prompt(const struct engine *e, const json_t *messages, const json_t *tools,
                           const struct prompt_options *o, struct ids *out, struct err *err);

/* Tokens of a prompt before its first message of the user: what is the same for many questions. 0 without
 * such a message. */
int engine_system_length(const struct engine *e, const int32_t *ids, int n);

/* Text without any format, no BOS. specials: control tokens written out in it count as such; only for
 * text that its user trusts. */
MUST_USE int engine_raw(const struct engine *e, const char *text, size_t size, bool specials,
                        struct ids *out, struct err *err);

/* Options that fit this model: its EOS, context, chunk; thinking or not decides where the answer's
 * text begins; sampling as recommended; drafts as engine_options says. Without
 * tokenizer: ids only. */
struct generate_options engine_generate_options(const struct engine *e, bool thinking);
