#include "serve/opaque.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "text/utf8.h"

/* base64 of "tenon:", which ends with a whole group. */
static const char mark[] = "dGVub246";

enum { MARK = sizeof mark - 1, MAX_SIZE = 1 << 29, GROUPS = 16384 };

void opaque_make(struct buf *out, const char *text, size_t size)
{
    unsigned char piece[4 * GROUPS + 1];
    buf_add_str(out, mark);
    for (size_t at = 0; at < size; at += (size_t)3 * GROUPS) {
        size_t n = size - at < (size_t)3 * GROUPS ? size - at : (size_t)3 * GROUPS;
        int made = EVP_EncodeBlock(piece, (const unsigned char *)text + at, (int)n);
        buf_add(out, piece, (size_t)made);
    }
}

/* The base64 of n bytes, in whole groups; the text's size, or -1. out holds 3/4 of it. */
static long decode(unsigned char *out, const char *text, size_t n)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t body = strspn(text, letters), pad = n - body;
    if (pad > 2 || strspn(text + body, "=") != pad) return -1;
    int size = EVP_DecodeBlock(out, (const unsigned char *)text, (int)n);
    return size < 0 ? -1 : size - (long)pad;
}

bool opaque_read(struct buf *out, const char *opaque, size_t size)
{
    if (size < MARK || size > MAX_SIZE || strlen(opaque) != size) return false;
    if (strncmp(opaque, mark, MARK) != 0) return false;
    unsigned char *text = malloc(size);
    if (!text) {
        out->failed = true;
        return false;
    }
    long n = size == MARK ? 0 : decode(text, opaque + MARK, size - MARK);
    bool good = n >= 0 && utf8_valid((const char *)text, (size_t)n);
    if (good) buf_add(out, text, (size_t)n);
    free(text);
    return good;
}
