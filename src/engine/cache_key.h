/* Keys of cached prefixes: who may use one, of which model it is, and which tokens it stands for.
 * Source: docs/spec, security and reliability, rules T1, T2.
 *
 * A key is HMAC-SHA-256 under a secret, over fields with tag and length: owner and scope of the tenant, digest,
 * numeric mode, row type, MTP and layout of the model, versions of this list and of the state, the number of
 * tokens, and a keyed hash over all of them. Without the secret nobody can find a key, or two texts with the same
 * one. */
#pragma once
#include "base/hmac.h"
#include "engine/state_file.h"

/* Who a prefix belongs to; nobody else ever meets it. Budgets are shared out between groups in memory, between
 * owners on disk: one of each per API key. */
struct cache_tenant {
    unsigned group;    /* as scheduler_job.group; another number after a restart */
    uint8_t scope[32]; /* narrows it: a hash of the key itself, of the user, of a salt */
    uint8_t owner[32]; /* a hash of what names the group for ever */
};

/* Of the beginnings of one list of tokens, shorter ones first. */
struct cache_keys {
    struct hmac fields, tokens;
    int n; /* tokens hashed so far */
};

enum { CACHE_SECRET = 32 };

void cache_keys_begin(struct cache_keys *k, const uint8_t secret[CACHE_SECRET],
                      const struct state_identity *model, const struct cache_tenant *t);

/* The key of ids[0, n). ids is the same list at each call, n never smaller than before. */
void cache_keys_at(struct cache_keys *k, const int32_t *ids, int n, uint8_t out[HMAC_BYTES]);
