/* tokenizer.json, and text through a good one. Input that begins with '{' is a tokenizer.json, which
 * if it opens must encode and decode sample texts without loss; other input is text for the small
 * tokenizer of the corpus. Run from the repository root. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "text/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void repair(const char *text, size_t size, struct buf *out)
{
    struct utf8_stream stream = {0};
    utf8_stream_add(&stream, text, size, out);
    utf8_stream_end(&stream, out);
}

/* Ids back to the text, whole and streamed; without specials no added token. */
static void round_trip(const struct tokenizer *t, const char *text, size_t size, bool specials)
{
    struct err err = {0};
    struct ids ids;
    struct buf want, back, streamed;
    struct detok d;
    ids_init(&ids, 1 << 20);
    buf_init(&want, 1 << 24);
    buf_init(&back, 1 << 24);
    buf_init(&streamed, 1 << 24);
    repair(text, size, &want);
    CHECK(tokenizer_encode(t, text, size, specials, &ids, &err) == 0, "%s", err.message);
    CHECK(tokenizer_decode(t, ids.data, ids.n, false, &back, &err) == 0, "%s", err.message);
    detok_init(&d, t, false);
    for (size_t i = 0; i < ids.n; i++) {
        CHECK(specials || !tokenizer_is_added(t, ids.data[i]), "added token from plain text");
        detok_add(&d, ids.data[i], &streamed);
    }
    detok_flush(&d, &streamed);
    CHECK(back.size == want.size && memcmp(buf_text(&back), buf_text(&want), want.size) == 0,
          "decodes to other text");
    CHECK(strcmp(buf_text(&back), buf_text(&streamed)) == 0, "streams other text");
    ids_fini(&ids);
    buf_fini(&want);
    buf_fini(&back);
    buf_fini(&streamed);
}

static void try_file(const char *json, size_t size)
{
    static const char sample[] = "ab abc  aaaa 12345 <think>\u4e2d\u6587\u30fb.\n\n <thin\xff(x)";
    struct err err = {0};
    struct tokenizer *t = NULL;
    if (tokenizer_from_json(&t, "fuzz", json, size, &err)) {
        CHECK(err.code != ERR_NONE && err.message[0], "an error without a message");
        return;
    }
    round_trip(t, sample, sizeof sample - 1, true);
    round_trip(t, sample, sizeof sample - 1, false);
    for (int id = -1; id <= tokenizer_count(t); id++) {
        size_t n;
        const char *piece = tokenizer_piece(t, id, &n);
        CHECK((piece != NULL) == (n > 0), "piece of %d", id);
    }
    tokenizer_close(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct tokenizer *small;
    struct err err = {0};
    if (!small && tokenizer_open(&small, "fuzz/corpus/tokenizer/small.json", &err))
        CHECK(false, "%s", err.message);
    char *text = malloc(size + 1);
    if (!text) return 0;
    memcpy(text, data, size);
    text[size] = 0;
    if (size && text[0] == '{') {
        try_file(text, size);
    } else {
        round_trip(small, text, size, true);
        round_trip(small, text, size, false);
    }
    free(text);
    return 0;
}
