/* Entries of the prefix cache as files: what a stranger could put there, and, with its hashes and its code made
 * right, what nobody can: head, session and the checks that tie them together. What comes apart is put together
 * again, to the same bytes.
 *
 * The seeds are entries of three tokens and made-up sections under the secret below, and damaged ones. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/sha256.h"
#include "engine/cache_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t SECRET[CACHE_SECRET] = "the secret of the seeds";

/* Hashes of the session file, as far as its lengths let it, then size and code of the head. */
static void make_right(uint8_t *file, size_t size)
{
    if (size < CACHE_FILE_SIGNED) return;
    uint8_t *p = file + CACHE_FILE_HEAD;
    struct state_image session = {p, size - CACHE_FILE_HEAD};
    struct cache_name name = {0};
    size_t at = STATE_HEADER;
    for (int i = 0; i < STATE_SECTIONS; i++) {
        uint8_t *entry = p + 96 + 40 * i;
        uint64_t n = 0;
        for (int j = 7; j >= 0; j--)
            n = n << 8 | entry[j];
        if (n > session.size - at) break;
        sha256_of(p + at, (size_t)n, entry + 8);
        at += (size_t)n;
    }
    sha256_of(p, STATE_HEADER - 32, p + STATE_HEADER - 32);
    for (int j = 3; j >= 0; j--)
        name.last_token = (int32_t)((uint32_t)name.last_token << 8 | file[12 + j]);
    memcpy(name.key, file + 16, sizeof name.key);
    memcpy(name.owner, file + 48, sizeof name.owner);
    for (int j = 3; j >= 0; j--)
        name.n_tokens = (int)((uint32_t)name.n_tokens << 8 | file[80 + j]);
    cache_file_head(file, SECRET, &name, &session);
}

static void check(const uint8_t *file, size_t size)
{
    struct cache_name name;
    struct state_view v;
    uint8_t head[CACHE_FILE_HEAD];
    if (cache_file_parse(&name, &v, SECRET, "fuzz", file, size, NULL)) return;
    CHECK(name.n_tokens >= 1 && v.n_tokens == name.n_tokens && v.n_fed == name.n_tokens,
          "%d tokens, %d in the session", name.n_tokens, v.n_tokens);
    uint8_t *copy = malloc(size);
    memcpy(copy, file, size);
    cache_file_head(head, SECRET, &name,
                    &(struct state_image){copy + CACHE_FILE_HEAD, size - CACHE_FILE_HEAD});
    CHECK(memcmp(head, file, sizeof head) == 0, "written otherwise than read");
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size + 1);
    check(data, size);
    if (size) memcpy(copy, data, size);
    make_right(copy, size);
    check(copy, size);
    free(copy);
    return 0;
}
