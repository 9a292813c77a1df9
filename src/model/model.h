/* DeepSeek-V4: weights bound to a device, and the forward pass over any mix of sequences. */
#pragma once
#include "format/weights.h"
#include "model/kv.h"
#include "ops/backend.h"

struct model;

struct model_options {
    bool mtp;      /* load the MTP block and keep its ring, if the checkpoint has one */
    bool progress; /* a progress bar on stderr while loading */
    /* 0: everything is loaded. Else routed experts stay in the files and are read when a step needs them,
     * into so many slots (ops/cache.h); at most as many as there are experts are taken. */
    int expert_slots;
};

/* Binds every tensor that the config asks for: shape and dtype are checked, then packed for b (in
 * parallel). b and w are borrowed until model_close; w only until model_open returns when
 * expert_slots is 0. With slots, bytes of experts are checked when they are read, and files that
 * changed since w was opened fail the step. */
MUST_USE int model_open(struct model **out, struct backend *b, const struct weights *w,
                        const struct model_options *options, struct err *err);
void model_close(struct model *m); /* takes NULL */

/* The checks of model_open, loading nothing: every tensor that the config asks for is there, with its shape
 * and a dtype that it may have. */
MUST_USE int model_check(const struct weights *w, bool mtp, struct err *err);

const struct config *model_config(const struct model *m);
const struct kv_layout *model_layout(const struct model *m);
struct backend *model_backend(const struct model *m);
bool model_has_mtp(const struct model *m);

/* What a model takes on a backend: bytes on the device, of all weights but the routed experts, and
 * of the largest of these. */
struct model_size {
    size_t dense, expert;
    int n_experts; /* over all layers */
};

/* Loads nothing; checks as model_check does. */
MUST_USE int model_measure(struct model_size *out, struct backend *b, const struct weights *w,
                           bool mtp, struct err *err);

/* Bytes of all weights as stored, on the device or on demand, and the bytes that decoding one token
 * reads (dense part, n_used of the routed experts, one embedding row). */
size_t model_bytes(const struct model *m);
size_t model_bytes_per_token(const struct model *m);

/* One sequence's share of a forward pass: n new tokens at positions kv_length .. */
struct model_input {
    struct kv *kv;
    const int *tokens; /* each in [0, vocab), checked */
    int n;             /* >= 1 */
    int n_logits;      /* logits of the last n_logits of them are wanted, 0..n */
};

struct model_output {
    /* [sum of n_logits, V], inputs in order; host memory of the caller. */
    float *logits;
    /* NULL, or room for [sum of n, V]: MTP's logits for every pair (streams at p - 1, token at p)
     * that the step completes. */
    float *mtp_logits;
    int n_mtp; /* out: rows of mtp_logits */
    /* NULL, or room for [sum of n_logits, n D]: the streams after the last layer, of the rows that
     * have logits (for kv_undo_back). */
    float *streams;
};

/* Runs all inputs in one step and advances their kv. The same bits for every way to cut or mix.
 * On failure (ERR_LIMIT: no pages; ERR_NUMERIC: NaN or infinity in logits; ERR_CANCELLED) the
 * sequences must be freed or replaced by an earlier fork. */
MUST_USE int model_forward(struct model *m, const struct model_input *in, int n_in,
                           struct model_output *out, const struct observer *observer,
                           struct err *err);

/* A sequence and the token that comes next in it, at position kv_length >= 1. */
struct model_draft {
    const struct kv *kv;
    int token; /* in [0, vocab), checked */
};

/* What the MTP block, run alone, expects after that token: logits [n, V] of the position behind it, the
 * caller's host memory. Much cheaper than a forward pass, and only a guess. Leaves every state as it is. The
 * model must have MTP. ERR_NUMERIC, ERR_LIMIT as model_forward; the sequences stay good. */
MUST_USE int model_draft(struct model *m, const struct model_draft *in, int n, float *logits,
                         struct err *err);
