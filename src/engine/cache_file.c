#include "engine/cache_file.h"

#include <string.h>

#include "base/size.h"

static const char MAGIC[8] = "TENONPC1";

enum {
    VERSION = 1,
    AT_VERSION = 8,
    AT_LAST = 12,
    AT_KEY = 16,
    AT_OWNER = 48,
    AT_TOKENS = 80,
    AT_SIZE = 88,
    AT_CODE = 96
};

static uint64_t get(const uint8_t *p, int n)
{
    uint64_t x = 0;
    for (int i = 0; i < n; i++)
        x |= (uint64_t)p[i] << 8 * i;
    return x;
}

static void put(uint8_t *p, int n, uint64_t x)
{
    for (int i = 0; i < n; i++)
        p[i] = (uint8_t)(x >> 8 * i);
}

void cache_owner(const uint8_t secret[CACHE_SECRET], const struct cache_tenant *t,
                 uint8_t out[HMAC_BYTES])
{
    struct hmac h;
    hmac_init(&h, secret, CACHE_SECRET);
    hmac_field(&h, "owner", t->owner, sizeof t->owner);
    hmac_end(&h, out);
}

static void code_of(const uint8_t secret[CACHE_SECRET], const uint8_t *head,
                    const uint8_t *session_head, uint8_t out[HMAC_BYTES])
{
    struct hmac h;
    hmac_init(&h, secret, CACHE_SECRET);
    hmac_field(&h, "head", head, AT_CODE);
    hmac_field(&h, "session", session_head, STATE_HEADER);
    hmac_end(&h, out);
}

void cache_file_head(uint8_t out[CACHE_FILE_HEAD], const uint8_t secret[CACHE_SECRET],
                     const struct cache_name *name, const struct state_image *session)
{
    memcpy(out, MAGIC, sizeof MAGIC);
    put(out + AT_VERSION, 4, VERSION);
    put(out + AT_LAST, 4, (uint32_t)name->last_token);
    memcpy(out + AT_KEY, name->key, sizeof name->key);
    memcpy(out + AT_OWNER, name->owner, sizeof name->owner);
    put(out + AT_TOKENS, 8, (uint64_t)name->n_tokens);
    put(out + AT_SIZE, 8, session->size);
    code_of(secret, out, session->data, out + AT_CODE);
}

int cache_file_check(struct cache_name *out, const uint8_t secret[CACHE_SECRET], const char *what,
                     const void *data, size_t size, uint64_t file_size, struct err *err)
{
    const uint8_t *p = data;
    uint8_t code[HMAC_BYTES];
    *out = (struct cache_name){0};
    if (size < CACHE_FILE_SIGNED || file_size < size)
        return err_set(err, ERR_FORMAT, "%s: %zu bytes, an entry has at least %d", what, size,
                       CACHE_FILE_SIGNED);
    if (memcmp(p, MAGIC, sizeof MAGIC))
        return err_set(err, ERR_FORMAT, "%s: it does not begin with %.8s", what, MAGIC);
    if (get(p + AT_VERSION, 4) != VERSION)
        return err_set(err, ERR_UNSUPPORTED, "%s: version %u, this program reads %d", what,
                       (unsigned)get(p + AT_VERSION, 4), VERSION);
    code_of(secret, p, p + CACHE_FILE_HEAD, code);
    if (!hmac_equal(code, p + AT_CODE))
        return err_set(err, ERR_FORMAT, "%s: it was not written by this cache, or was changed",
                       what);
    if (get(p + AT_SIZE, 8) != file_size - CACHE_FILE_HEAD)
        return err_set(err, ERR_FORMAT, "%s: %llu bytes, the head says %llu and %d", what,
                       (unsigned long long)file_size, (unsigned long long)get(p + AT_SIZE, 8),
                       CACHE_FILE_HEAD);
    if (size_to_int(get(p + AT_TOKENS, 8), &out->n_tokens) || out->n_tokens < 1)
        return err_set(err, ERR_FORMAT, "%s: a wrong number of tokens", what);
    out->last_token = (int32_t)get(p + AT_LAST, 4);
    memcpy(out->key, p + AT_KEY, sizeof out->key);
    memcpy(out->owner, p + AT_OWNER, sizeof out->owner);
    return 0;
}

int cache_file_parse(struct cache_name *out, struct state_view *session,
                     const uint8_t secret[CACHE_SECRET], const char *what, const void *data,
                     size_t size, struct err *err)
{
    *session = (struct state_view){0};
    if (cache_file_check(out, secret, what, data, size, size, err) ||
        state_parse(session, what, (const uint8_t *)data + CACHE_FILE_HEAD, size - CACHE_FILE_HEAD,
                    err))
        return -1;
    if (session->n_tokens == out->n_tokens && session->n_fed == out->n_tokens &&
        (uint32_t)out->last_token == get(session->token_ids + 4 * ((size_t)out->n_tokens - 1), 4))
        return 0;
    return err_set(err, ERR_FORMAT, "%s: head and session do not say the same of its tokens", what);
}
