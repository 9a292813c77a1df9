#include "model/convert_meta.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "format/config_table.h"

enum { MAX_TOKENIZER = 256 << 20 };

/* ---- configuration ---- */

static void put_text(struct gguf_writer *w, const char *key, const char *s)
{
    gguf_put_string(w, key, s, strlen(s));
}

static void put_fields(struct gguf_writer *w, const struct config *c)
{
    char key[96];
    for (const struct config_field *f = config_fields; f->hf; f++) {
        if (!f->gguf || !strcmp(f->gguf, "block_count") || !strcmp(f->gguf, "nextn_predict_layers"))
            continue;
        snprintf(key, sizeof key, "deepseek4.%s", f->gguf);
        if (f->kind == CONFIG_INT)
            gguf_put_u32(w, key, (uint32_t)config_field_get(f, c));
        else
            gguf_put_f32(w, key, (float)config_field_get(f, c));
    }
}

static void put_clamp(struct gguf_writer *w, const char *key, const struct config *c, int n_blocks)
{
    gguf_put_array(w, key, GGUF_F32, (uint64_t)n_blocks);
    for (int i = 0; i < n_blocks; i++) /* 0 is the usual way to say: no limit */
        gguf_add_f32(w, isinf(c->swiglu_limit) ? 0 : c->swiglu_limit);
}

void convert_put_config(struct gguf_writer *w, const struct config *c, bool mtp)
{
    int n_blocks = c->n_layers + mtp;
    put_text(w, "general.architecture", "deepseek4");
    gguf_put_u32(w, "deepseek4.block_count", (uint32_t)n_blocks);
    if (mtp) gguf_put_u32(w, "deepseek4.nextn_predict_layers", 1);
    put_fields(w, c);
    gguf_put_u32(w, "deepseek4.embedding_length_out", (uint32_t)(c->hc_mult * c->dim));
    gguf_put_u32(w, "deepseek4.feed_forward_length", (uint32_t)c->expert_dim);
    gguf_put_u32(w, "deepseek4.expert_gating_func", 4); /* sqrt(softplus) */
    gguf_put_bool(w, "deepseek4.expert_weights_norm", true);
    gguf_put_u32(w, "deepseek4.attention.head_count_kv", 1);
    gguf_put_u32(w, "deepseek4.attention.value_length", (uint32_t)c->head_dim);
    put_text(w, "deepseek4.rope.scaling.type", "yarn");
    gguf_put_array(w, "deepseek4.attention.compress_ratios", GGUF_I32, (uint64_t)n_blocks);
    for (int i = 0; i < n_blocks; i++)
        gguf_add_i32(w, i < c->n_layers ? c->ratio[i] : 0);
    put_clamp(w, "deepseek4.swiglu_clamp_exp", c, n_blocks);
    put_clamp(w, "deepseek4.swiglu_clamp_shexp", c, n_blocks);
}

/* ---- tokenizer ---- */

enum token_type { TOKEN_NORMAL = 1, TOKEN_CONTROL = 3, TOKEN_USER = 4, TOKEN_UNUSED = 5 };

struct token {
    const char *text; /* NULL: no token has this id */
    size_t size;
    enum token_type type;
};

static void put_ids(struct gguf_writer *w, const struct config *c, int pad)
{
    gguf_put_u32(w, "tokenizer.ggml.bos_token_id", (uint32_t)c->bos);
    gguf_put_u32(w, "tokenizer.ggml.eos_token_id", (uint32_t)c->eos);
    if (pad >= 0) gguf_put_u32(w, "tokenizer.ggml.padding_token_id", (uint32_t)pad);
    gguf_put_bool(w, "tokenizer.ggml.add_bos_token", false);
}

static void put_types(struct gguf_writer *w, const struct token *tokens, int n)
{
    gguf_put_array(w, "tokenizer.ggml.token_type", GGUF_I32, (uint64_t)n);
    for (int i = 0; i < n; i++)
        gguf_add_i32(w, tokens[i].text ? (int32_t)tokens[i].type : TOKEN_UNUSED);
}

static void put_tokens(struct gguf_writer *w, const struct token *tokens, int n)
{
    char filler[32];
    gguf_put_array(w, "tokenizer.ggml.tokens", GGUF_STRING, (uint64_t)n);
    for (int i = 0; i < n; i++) {
        int size = snprintf(filler, sizeof filler, "[PAD%d]", i);
        if (tokens[i].text)
            gguf_add_string(w, tokens[i].text, tokens[i].size);
        else
            gguf_add_string(w, filler, (size_t)size);
    }
    put_types(w, tokens, n);
}

static int set_token(struct token *tokens, int n, const json_t *id, const char *text, size_t size,
                     enum token_type type, const char *path, struct err *err)
{
    json_int_t i = json_is_integer(id) ? json_integer_value(id) : -1;
    if (i < 0 || i >= n)
        return err_set(err, ERR_FORMAT, "%s: token \"%.100s\" has id %lld of a vocabulary of %d",
                       path, text, (long long)i, n);
    struct token *t = &tokens[i];
    if (t->text && (t->size != size || memcmp(t->text, text, size)))
        return err_set(err, ERR_FORMAT, "%s: id %lld is \"%.100s\" and \"%.100s\"", path,
                       (long long)i, t->text, text);
    *t = (struct token){.text = text, .size = size, .type = type};
    return 0;
}

/* model.vocab, then added_tokens, which decide what is special. */
static int list_tokens(const json_t *root, const char *path, struct token *tokens, int n,
                       struct err *err)
{
    json_t *vocab = json_object_get(json_object_get(root, "model"), "vocab");
    const json_t *added = json_object_get(root, "added_tokens");
    const char *text;
    json_t *id;
    if (!json_is_object(vocab)) return err_set(err, ERR_FORMAT, "%s: model.vocab is missing", path);
    json_object_foreach(vocab, text, id)
    {
        if (set_token(tokens, n, id, text, strlen(text), TOKEN_NORMAL, path, err)) return -1;
    }
    for (size_t i = 0; i < json_array_size(added); i++) {
        const json_t *t = json_array_get(added, i), *content = json_object_get(t, "content");
        bool special = json_is_true(json_object_get(t, "special"));
        if (!json_is_string(content))
            return err_set(err, ERR_FORMAT, "%s: added token %zu has no content", path, i);
        if (set_token(tokens, n, json_object_get(t, "id"), json_string_value(content),
                      json_string_length(content), special ? TOKEN_CONTROL : TOKEN_USER, path, err))
            return -1;
    }
    return 0;
}

/* "a b", or ["a", "b"] as newer tokenizer.json files have it. */
static int put_merges(struct gguf_writer *w, const json_t *root, const char *path, struct err *err)
{
    const json_t *merges = json_object_get(json_object_get(root, "model"), "merges");
    size_t n = json_array_size(merges);
    gguf_put_array(w, "tokenizer.ggml.merges", GGUF_STRING, n);
    for (size_t i = 0; i < n; i++) {
        const json_t *m = json_array_get(merges, i);
        const char *left = json_string_value(json_array_get(m, 0));
        const char *right = json_string_value(json_array_get(m, 1));
        if (json_is_string(m)) {
            gguf_add_string(w, json_string_value(m), json_string_length(m));
        } else if (left && right && json_array_size(m) == 2) {
            size_t size = strlen(left) + 1 + strlen(right);
            char *both = xmalloc(size + 1);
            snprintf(both, size + 1, "%s %s", left, right);
            gguf_add_string(w, both, size);
            free(both);
        } else {
            return err_set(err, ERR_FORMAT, "%s: merge %zu is no pair", path, i);
        }
    }
    return 0;
}

/* The one pipeline known here: it starts by isolating runs of up to three digits. */
static const char *pre_tokenizer_name(const json_t *root)
{
    const json_t *list = json_object_get(json_object_get(root, "pre_tokenizer"), "pretokenizers");
    const json_t *pattern = json_object_get(json_array_get(list, 0), "pattern");
    const char *regex = json_string_value(json_object_get(pattern, "Regex"));
    return regex && !strcmp(regex, "\\p{N}{1,3}") ? "joyai-llm" : NULL;
}

static int put_tokenizer_json(struct gguf_writer *w, const struct config *c, const char *path,
                              struct err *err)
{
    json_t *root = NULL;
    struct token *tokens = xcalloc((size_t)c->vocab, sizeof *tokens);
    int rc = -1, pad = -1;
    if (json_parse_file(&root, path, MAX_TOKENIZER, err)) goto out;
    const char *pre = pre_tokenizer_name(root);
    if (!pre) {
        err_set(err, ERR_UNSUPPORTED, "%s: its pre_tokenizer is not that of DeepSeek V3 and V4",
                path);
        goto out;
    }
    if (list_tokens(root, path, tokens, c->vocab, err)) goto out;
    put_text(w, "tokenizer.ggml.model", "gpt2");
    put_text(w, "tokenizer.ggml.pre", pre);
    put_tokens(w, tokens, c->vocab);
    if (put_merges(w, root, path, err)) goto out;
    for (int i = 0; i < c->vocab && pad < 0; i++)
        if (tokens[i].text && strstr(tokens[i].text, "pad") && tokens[i].type == TOKEN_CONTROL)
            pad = i;
    put_ids(w, c, pad);
    rc = 0;

out:
    free(tokens);
    json_decref(root);
    return rc;
}

/* UTF-8 of the character that byte-level BPE writes for a byte. */
static int byte_character(int byte, char out[4])
{
    int code = byte, next = 256;
    for (int b = 0; b <= byte; b++) {
        bool plain = (b >= '!' && b <= '~') || (b >= 0xa1 && b <= 0xac) || b >= 0xae;
        code = plain ? b : next++;
    }
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    out[0] = (char)(0xc0 | code >> 6);
    out[1] = (char)(0x80 | (code & 63));
    return 2;
}

/* <bos>, <eos>, <pad>, the 256 bytes, and fillers: enough for a file to load elsewhere. */
static void put_dummy_tokenizer(struct gguf_writer *w, const struct config *c)
{
    static const char *const first[] = {"<bos>", "<eos>", "<pad>"};
    char text[32];
    put_text(w, "tokenizer.ggml.model", "gpt2");
    put_text(w, "tokenizer.ggml.pre", "gpt-2");
    gguf_put_array(w, "tokenizer.ggml.tokens", GGUF_STRING, (uint64_t)c->vocab);
    for (int i = 0; i < c->vocab; i++) {
        int size = i < 3         ? snprintf(text, sizeof text, "%s", first[i])
                   : i < 3 + 256 ? byte_character(i - 3, text)
                                 : snprintf(text, sizeof text, "<dummy%d>", i);
        gguf_add_string(w, text, (size_t)size);
    }
    gguf_put_array(w, "tokenizer.ggml.token_type", GGUF_I32, (uint64_t)c->vocab);
    for (int i = 0; i < c->vocab; i++)
        gguf_add_i32(w, i < 3 ? TOKEN_CONTROL : i < 3 + 256 ? TOKEN_NORMAL : TOKEN_UNUSED);
    gguf_put_array(w, "tokenizer.ggml.merges", GGUF_STRING, 1);
    gguf_add_string(w, "C D", 3);
    put_ids(w, c, c->vocab > 2 ? 2 : -1);
}

static void copy_tokenizer(struct gguf_writer *w, const struct gguf *from)
{
    for (int i = 0; i < gguf_key_count(from); i++) {
        const char *key = gguf_key_at(from, i);
        const uint8_t *data;
        size_t size;
        if (strncmp(key, "tokenizer.", 10)) continue;
        enum gguf_type type = gguf_raw_at(from, i, &data, &size);
        gguf_put_raw(w, key, type, data, size);
    }
}

int convert_put_tokenizer(struct gguf_writer *w, const struct config *c, const struct gguf *from,
                          const char *tokenizer_json, struct err *err)
{
    if (from && gguf_has(from, "tokenizer.ggml.tokens")) {
        copy_tokenizer(w, from);
        return 0;
    }
    if (tokenizer_json && access(tokenizer_json, F_OK) == 0)
        return put_tokenizer_json(w, c, tokenizer_json, err);
    log_warn("convert: the model has no tokenizer; the file gets dummy tokens");
    put_dummy_tokenizer(w, c);
    return 0;
}
