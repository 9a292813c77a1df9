/* A GGUF file: metadata of every type, configuration, names and views. */
#include <stdlib.h>

#include "base/mem.h"
#include "format/gguf.h"
#include "model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_array(const struct gguf_array *a)
{
    size_t len;
    for (size_t i = 0; i < a->count; i++) {
        if (a->type == GGUF_STRING)
            (void)gguf_string_at(a, i, &len);
        else
            (void)gguf_float_at(a, i);
    }
}

static void read_key(const struct gguf *g, const char *key)
{
    struct gguf_array a;
    const char *s;
    size_t len;
    uint64_t u;
    double f;
    bool b;
    CHECK(gguf_has(g, key) && gguf_type_of(g, key), "a key that is not there");
    if (gguf_get_string(g, key, &s, &len, NULL) == 0) CHECK(len <= 16 << 20, "a long string");
    if (gguf_get_u64(g, key, &u, NULL) == 0) CHECK(gguf_get_f64(g, key, &f, NULL) == 0, "%s", key);
    if (gguf_get_bool(g, key, &b, NULL) == 0) CHECK(b == 0 || b == 1, "a bool of another value");
    if (gguf_get_strings(g, key, &a, NULL) == 0) read_array(&a);
    if (gguf_get_floats(g, key, &a, NULL) == 0) read_array(&a);
}

static void build_views(const struct gguf *g, const struct config *c, size_t size)
{
    struct view_list views;
    struct err err = {0};
    int n = gguf_tensor_count(g);
    struct stored *stored = xcalloc((size_t)n, sizeof *stored);
    if (stored_from_gguf(stored, g, c->n_layers, "fuzz", &err) == 0 &&
        views_build(&views, stored, n, c, (struct scale_block){0}, "fuzz", &err) == 0) {
        check_views(&views, size);
        views_free(&views);
    }
    stored_free(stored, n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gguf *g;
    struct config c;
    struct err err = {0};
    if (gguf_open_bytes(&g, "fuzz", data, size, &err)) {
        CHECK(err.code != ERR_NONE && err.message[0], "refused without a reason");
        return 0;
    }
    for (int i = 0; i < gguf_key_count(g); i++)
        read_key(g, gguf_key_at(g, i));
    if (config_from_gguf(&c, "fuzz", g, &err)) c = small_model();
    build_views(g, &c, size);
    gguf_close(g);
    return 0;
}
