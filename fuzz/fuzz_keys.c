/* The file of keys. What is accepted keeps its promises, and reads the same when it is written again. */
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "base/sha256.h"
#include "secure/keys.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_key(const struct key *k)
{
    CHECK(keys_is_name(k->name), "the name %s", k->name);
    CHECK(k->requests >= 0 && k->tokens >= 0 && k->concurrent >= 0 && k->daily >= 0 &&
              k->expires >= 0,
          "a negative limit");
    CHECK(k->priority >= -KEY_MAX_PRIORITY && k->priority <= KEY_MAX_PRIORITY, "priority %d",
          k->priority);
    CHECK(!k->models || k->models[0], "no model");
}

static void write_again(const struct keys *keys, struct buf *out)
{
    for (int i = 0; i < keys_count(keys); i++) {
        const struct key *k = keys_get(keys, i);
        char hash[65];
        check_key(k);
        sha256_hex(k->hash, 32, hash);
        buf_printf(out, "%s %s", k->name, hash);
        key_limits(k, out);
        buf_add_byte(out, '\n');
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct keys *keys = NULL, *again = NULL;
    struct err err = {0};
    struct buf first, second;
    if (keys_parse(&keys, "fuzz", (const char *)data, size, &err)) {
        CHECK(err.code != ERR_NONE && err.message[0], "refused without a reason");
        return 0;
    }
    buf_init(&first, 1 << 24);
    buf_init(&second, 1 << 24);
    write_again(keys, &first);
    if (keys_parse(&again, "again", buf_text(&first), first.size, &err))
        CHECK(false, "written, then refused: %s", err.message);
    write_again(again, &second);
    CHECK(!strcmp(buf_text(&first), buf_text(&second)), "written twice: %s%s", buf_text(&first),
          buf_text(&second));
    keys_release(keys);
    keys_release(again);
    buf_fini(&first);
    buf_fini(&second);
    return 0;
}
