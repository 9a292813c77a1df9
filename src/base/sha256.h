/* SHA-256 (FIPS 180-4) by OpenSSL. */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct sha256;

struct sha256 *sha256_new(void);
void sha256_free(struct sha256 *h); /* takes NULL */
void sha256_add(struct sha256 *h, const void *data, size_t size);
void sha256_end(struct sha256 *h, uint8_t out[32]); /* then only sha256_free */

void sha256_of(const void *data, size_t size, uint8_t out[32]);

/* The first n_bytes as lower-case hex with a NUL; out holds 2 * n_bytes + 1. */
void sha256_hex(const uint8_t digest[32], int n_bytes, char *out);
