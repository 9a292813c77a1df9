/* HMAC-SHA-256 (RFC 2104, FIPS 180-4), and messages of tagged fields under it.
 *
 *     struct hmac h;
 *     hmac_init(&h, secret, sizeof secret);
 *     hmac_field(&h, "model", digest, 32);
 *     hmac_field(&h, "name", name, strlen(name));
 *     hmac_end(&h, out);
 *
 * A value: a copy goes on from the same point, which gives the codes of all beginnings of a text in one pass.
 * Allocates nothing. */
#pragma once
#include <openssl/sha.h>
#include <stddef.h>
#include <stdint.h>

enum { HMAC_BYTES = 32 };

struct hmac {
    SHA256_CTX inner, outer;
};

void hmac_init(struct hmac *h, const void *key, size_t size);
void hmac_add(struct hmac *h, const void *data, size_t size);

/* Tag and data, each behind its length: no two lists of fields give the same message. */
void hmac_field(struct hmac *h, const char *tag, const void *data, size_t size);
void hmac_number(struct hmac *h, const char *tag,
                 uint64_t x); /* a field of 8 bytes, little-endian */

void hmac_end(struct hmac *h, uint8_t out[HMAC_BYTES]); /* h is used up */

/* Whether two codes are equal, in a time that tells nothing of where they differ. */
int hmac_equal(const uint8_t a[HMAC_BYTES], const uint8_t b[HMAC_BYTES]);
