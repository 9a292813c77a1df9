/* The functions that OpenSSL deprecates are the only ones that allocate nothing and can be copied. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "base/hmac.h"

#include <openssl/crypto.h>
#include <string.h>

#include "base/err.h"

enum { BLOCK = 64 };

static void begin(SHA256_CTX *c, const uint8_t key[BLOCK], uint8_t with)
{
    uint8_t pad[BLOCK];
    for (int i = 0; i < BLOCK; i++)
        pad[i] = key[i] ^ with;
    CHECK(SHA256_Init(c) == 1 && SHA256_Update(c, pad, sizeof pad) == 1, "hmac");
    OPENSSL_cleanse(pad, sizeof pad);
}

void hmac_init(struct hmac *h, const void *key, size_t size)
{
    uint8_t block[BLOCK] = {0};
    if (size > BLOCK)
        SHA256(key, size, block);
    else
        memcpy(block, key, size);
    begin(&h->inner, block, 0x36);
    begin(&h->outer, block, 0x5c);
    OPENSSL_cleanse(block, sizeof block);
}

void hmac_add(struct hmac *h, const void *data, size_t size)
{
    CHECK(SHA256_Update(&h->inner, data, size) == 1, "hmac");
}

static void add_size(struct hmac *h, uint64_t x)
{
    uint8_t bytes[8];
    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(x >> 8 * i);
    hmac_add(h, bytes, sizeof bytes);
}

void hmac_field(struct hmac *h, const char *tag, const void *data, size_t size)
{
    add_size(h, strlen(tag));
    hmac_add(h, tag, strlen(tag));
    add_size(h, size);
    hmac_add(h, data, size);
}

void hmac_number(struct hmac *h, const char *tag, uint64_t x)
{
    add_size(h, strlen(tag));
    hmac_add(h, tag, strlen(tag));
    add_size(h, 8);
    add_size(h, x);
}

void hmac_end(struct hmac *h, uint8_t out[HMAC_BYTES])
{
    CHECK(SHA256_Final(out, &h->inner) == 1 && SHA256_Update(&h->outer, out, HMAC_BYTES) == 1 &&
              SHA256_Final(out, &h->outer) == 1,
          "hmac");
}

int hmac_equal(const uint8_t a[HMAC_BYTES], const uint8_t b[HMAC_BYTES])
{
    return CRYPTO_memcmp(a, b, HMAC_BYTES) == 0;
}
