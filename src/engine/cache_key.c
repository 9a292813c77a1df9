#include "engine/cache_key.h"

enum { KEY_VERSION = 2 };

void cache_keys_begin(struct cache_keys *k, const uint8_t secret[CACHE_SECRET],
                      const struct state_identity *model, const struct cache_tenant *t)
{
    hmac_init(&k->fields, secret, CACHE_SECRET);
    hmac_number(&k->fields, "prefix", KEY_VERSION);
    hmac_field(&k->fields, "owner", t->owner, sizeof t->owner);
    hmac_field(&k->fields, "scope", t->scope, sizeof t->scope);
    hmac_field(&k->fields, "model", model->model, sizeof model->model);
    hmac_number(&k->fields, "mode", model->mode);
    hmac_number(&k->fields, "rows", model->row_type);
    hmac_number(&k->fields, "mtp", model->with_mtp);
    hmac_field(&k->fields, "layout", model->layout, sizeof model->layout);
    hmac_number(&k->fields, "state", STATE_VERSION);
    hmac_init(&k->tokens, secret, CACHE_SECRET);
    k->n = 0;
}

void cache_keys_at(struct cache_keys *k, const int32_t *ids, int n, uint8_t out[HMAC_BYTES])
{
    uint8_t digest[HMAC_BYTES];
    CHECK(n >= k->n, "keys of %d tokens after those of %d", n, k->n);
    hmac_add(&k->tokens, ids + k->n, (size_t)(n - k->n) * sizeof *ids);
    k->n = n;
    struct hmac tokens = k->tokens, key = k->fields;
    hmac_end(&tokens, digest);
    hmac_number(&key, "count", (uint64_t)n);
    hmac_field(&key, "tokens", digest, sizeof digest);
    hmac_end(&key, out);
}
