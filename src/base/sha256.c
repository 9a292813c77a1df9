#include "base/sha256.h"

#include <openssl/evp.h>
#include <stdio.h>

#include "base/err.h"

struct sha256 *sha256_new(void)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    CHECK(ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1, "sha256");
    return (struct sha256 *)ctx;
}

void sha256_free(struct sha256 *h)
{
    EVP_MD_CTX_free((EVP_MD_CTX *)h);
}

void sha256_add(struct sha256 *h, const void *data, size_t size)
{
    CHECK(EVP_DigestUpdate((EVP_MD_CTX *)h, data, size) == 1, "sha256");
}

void sha256_end(struct sha256 *h, uint8_t out[32])
{
    CHECK(EVP_DigestFinal_ex((EVP_MD_CTX *)h, out, NULL) == 1, "sha256");
}

void sha256_of(const void *data, size_t size, uint8_t out[32])
{
    CHECK(EVP_Digest(data, size, out, NULL, EVP_sha256(), NULL) == 1, "sha256");
}

void sha256_hex(const uint8_t digest[32], int n_bytes, char *out)
{
    for (int i = 0; i < n_bytes; i++)
        snprintf(out + 2 * (size_t)i, 3, "%02x", digest[i]);
}
