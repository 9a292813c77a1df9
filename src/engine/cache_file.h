/* An entry of the prefix cache as a file: a head, and behind it a session file (engine/state_file.h). All
 * integers little-endian.
 *
 *   0  8  magic "TENONPC1"
 *   8  4  version (1)
 *  12  4  the entry's last token
 *  16 32  its key (engine/cache_key.h), under the directory's secret
 *  48 32  its owner (struct cache_tenant), under the secret
 *  80  8  its tokens
 *  88  8  bytes of the session file
 *  96 32  HMAC-SHA-256, under the secret, over a tag, the 96 bytes before and the session file's head; which has
 *         hashes of everything behind it
 * 128     the session file
 *
 * So every byte is authentic before it is used: whoever does not know the secret cannot make or change an
 * entry. Nothing is hidden: who can read the directory can read the text. */
#pragma once
#include "engine/cache_key.h"

enum { CACHE_FILE_HEAD = 128, CACHE_FILE_SIGNED = CACHE_FILE_HEAD + STATE_HEADER };

/* Which entry it is. */
struct cache_name {
    uint8_t key[HMAC_BYTES], owner[HMAC_BYTES];
    int n_tokens;
    int32_t last_token;
};

void cache_owner(const uint8_t secret[CACHE_SECRET], const struct cache_tenant *t,
                 uint8_t out[HMAC_BYTES]);

/* The head of an entry, before its session file, which has been sealed. */
void cache_file_head(uint8_t out[CACHE_FILE_HEAD], const uint8_t secret[CACHE_SECRET],
                     const struct cache_name *name, const struct state_image *session);

/* Checks head and code of a file of file_size bytes, of which `size` are here: CACHE_FILE_SIGNED or more. `what`
 * names it in errors: ERR_FORMAT, ERR_UNSUPPORTED for another version. */
MUST_USE int cache_file_check(struct cache_name *out, const uint8_t secret[CACHE_SECRET],
                              const char *what, const void *data, size_t size, uint64_t file_size,
                              struct err *err);

/* The same for the whole file; then the session file is taken apart, and must hold exactly the tokens that the
 * head says, all fed. */
MUST_USE int cache_file_parse(struct cache_name *out, struct state_view *session,
                              const uint8_t secret[CACHE_SECRET], const char *what,
                              const void *data, size_t size, struct err *err);
