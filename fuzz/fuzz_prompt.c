/* Messages to prompts, in every family and mode. Control tokens must come from the template alone:
 * as many as its segments hold. Run from the repository root. */
#include <stdint.h>
#include <string.h>

#include "base/json.h"
#include "text/prompt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t count_added(const struct tokenizer *t, const struct ids *ids)
{
    size_t n = 0;
    for (size_t i = 0; i < ids->n; i++)
        n += tokenizer_is_added(t, ids->data[i]);
    return n;
}

static void check_prompt(const struct prompt *p, const struct tokenizer *t)
{
    struct err err = {0};
    struct ids whole, part;
    size_t at = 0, added = 0;
    ids_init(&whole, 1 << 24);
    ids_init(&part, 1 << 24);
    CHECK(prompt_tokenize(p, t, &whole, &err) == 0, "%s", err.message);
    for (int i = 0; i < p->n_segments; i++) {
        const struct segment *s = &p->segments[i];
        CHECK(s->start == at && s->size > 0, "segment %d", i);
        at += s->size;
        if (!s->is_template) continue;
        ids_clear(&part);
        CHECK(tokenizer_encode(t, p->text.data + s->start, s->size, true, &part, &err) == 0, "%s",
              err.message);
        added += count_added(t, &part);
    }
    CHECK(at == p->text.size, "segments do not cover the text");
    CHECK(added == count_added(t, &whole), "control tokens from a client");
    ids_fini(&whole);
    ids_fini(&part);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct tokenizer *t;
    struct err err = {0};
    json_t *root = NULL;
    if (!t && tokenizer_open(&t, "fuzz/corpus/tokenizer/small.json", &err))
        CHECK(false, "%s", err.message);
    if (json_parse(&root, "fuzz", (const char *)data, size, &err)) return 0;
    const json_t *messages = json_is_object(root) ? json_object_get(root, "messages") : root;
    for (int i = 0; i < 4 * FAMILY_COUNT; i++) {
        struct prompt p;
        struct err e = {0};
        struct prompt_options o = {.family = (enum prompt_family)(i / 4),
                                   .thinking = i & 1,
                                   .keep_thinking = i & 2,
                                   .effort = i & 1 ? "max" : NULL};
        int rc = prompt_encode(&p, messages, json_object_get(root, "tools"), &o, &e);
        CHECK(rc == 0 || (e.code == ERR_ARGUMENT && e.message[0]), "%s", e.message);
        if (rc == 0) check_prompt(&p, t);
        prompt_fini(&p);
    }
    json_decref(root);
    return 0;
}
