/* The tokenizer inside a GGUF file, in llama.cpp's keys tokenizer.ggml.*. */
#include <string.h>

#include "format/gguf.h"
#include "text/tokenizer_read.h"

/* llama.cpp's llama_token_type. */
enum { TYPE_NORMAL = 1, TYPE_CONTROL = 3, TYPE_USER_DEFINED = 4, TYPE_UNUSED = 5 };

static int check_string(const struct gguf *g, const char *key, char *out, size_t out_size,
                        struct err *err)
{
    const char *s;
    size_t size;
    if (gguf_get_string(g, key, &s, &size, err)) return -1;
    if (size >= out_size || memchr(s, 0, size))
        return err_set(err, ERR_FORMAT, "%s: a name of %zu bytes", key, size);
    memcpy(out, s, size);
    out[size] = 0;
    return 0;
}

/* Normal entries first, then added ones, as the vocabulary wants them. */
static int read_tokens(struct vocab *v, const struct gguf_array *tokens,
                       const struct gguf_array *types, struct err *err)
{
    for (int added = 0; added < 2; added++) {
        for (size_t i = 0; i < tokens->count; i++) {
            int64_t type = gguf_int_at(types, i);
            size_t size;
            const char *text = gguf_string_at(tokens, i, &size);
            if (type == TYPE_UNUSED) continue;
            if (type != TYPE_NORMAL && type != TYPE_CONTROL && type != TYPE_USER_DEFINED)
                return err_set(err, ERR_UNSUPPORTED,
                               "tokenizer.ggml.token_type: token %zu is of type %lld", i,
                               (long long)type);
            if ((type != TYPE_NORMAL) != added) continue;
            int rc = added ? vocab_add_added(v, (int64_t)i, text, size, type == TYPE_CONTROL, err)
                           : vocab_add(v, (int64_t)i, text, size, err);
            if (rc) return -1;
        }
    }
    return 0;
}

static int read_tables(struct vocab *v, const struct gguf *g, struct err *err)
{
    struct gguf_array tokens, types, merges;
    if (gguf_get_strings(g, "tokenizer.ggml.tokens", &tokens, err)) return -1;
    if (gguf_get_ints(g, "tokenizer.ggml.token_type", &types, err)) return -1;
    if (gguf_get_strings(g, "tokenizer.ggml.merges", &merges, err)) return -1;
    if (types.count != tokens.count)
        return err_set(err, ERR_FORMAT, "tokenizer.ggml: %zu tokens but %zu types", tokens.count,
                       types.count);
    if (tokens.count > VOCAB_MAX_IDS || merges.count > VOCAB_MAX_IDS)
        return err_set(err, ERR_LIMIT, "tokenizer.ggml: %zu tokens and %zu merges, allowed are %d",
                       tokens.count, merges.count, VOCAB_MAX_IDS);
    if (read_tokens(v, &tokens, &types, err)) return -1;
    if (vocab_seal(v, (int)merges.count, err)) return -1;
    for (size_t i = 0; i < merges.count; i++) {
        size_t size;
        const char *text = gguf_string_at(&merges, i, &size);
        if (vocab_add_merge_text(v, i, text, size, err)) return -1;
    }
    return 0;
}

static int read_open(struct vocab *v, enum pretoken_kind *kind, const struct gguf *g,
                     struct err *err)
{
    char name[64];
    if (check_string(g, "tokenizer.ggml.model", name, sizeof name, err)) return -1;
    if (strcmp(name, "gpt2") != 0)
        return err_set(err, ERR_UNSUPPORTED, "tokenizer.ggml.model \"%s\"; Tenon has gpt2", name);
    if (check_string(g, "tokenizer.ggml.pre", name, sizeof name, err)) return -1;
    if (pretoken_from_name(kind, name, err)) return -1;
    return read_tables(v, g, err);
}

int tokenizer_read_gguf(struct vocab *v, enum pretoken_kind *kind, const char *path,
                        struct err *err)
{
    struct gguf *g = NULL;
    if (gguf_open(&g, path, err)) return -1;
    int rc = read_open(v, kind, g, err);
    if (rc) err_prefix(err, "%s", path);
    gguf_close(g);
    return rc;
}
