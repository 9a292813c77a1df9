/* The configuration as GGUF metadata, prefix "deepseek4.". */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "format/config.h"
#include "format/config_table.h"
#include "format/gguf.h"

enum { MAX_KEY = 96 };

struct reader {
    const char *what;
    const struct gguf *g;
    struct err *err;
};

/* The key as the file spells it: writers differ in two of them. False when it is absent. */
static bool find_key(const struct reader *r, const char *suffix, char key[MAX_KEY])
{
    static const char *const other[][2] = {
        {"hyper_connection.sinkhorn_iterations", "hyper_connection.sinkhorn_iters"},
        {"hyper_connection.epsilon", "hyper_connection.eps"},
    };
    snprintf(key, MAX_KEY, "deepseek4.%s", suffix);
    for (size_t i = 0; i < sizeof other / sizeof *other && !gguf_has(r->g, key); i++)
        if (!strcmp(suffix, other[i][0])) snprintf(key, MAX_KEY, "deepseek4.%s", other[i][1]);
    return gguf_has(r->g, key);
}

static int read_field(struct reader *r, const struct config_field *f, struct config *c)
{
    char key[MAX_KEY];
    uint64_t whole;
    double v;
    config_field_set(f, c, f->absent);
    if (!f->gguf || !find_key(r, f->gguf, key)) {
        if (f->required && f->gguf && strcmp(f->gguf, "vocab_size"))
            return err_set(r->err, ERR_FORMAT, "%s: key deepseek4.%s is missing", r->what, f->gguf);
        return 0;
    }
    if (f->kind == CONFIG_INT) {
        if (gguf_get_u64(r->g, key, &whole, r->err)) return -1;
        v = (double)whole;
    } else if (gguf_get_f64(r->g, key, &v, r->err)) {
        return -1;
    }
    return config_field_take(f, c, v, r->what, key, r->err);
}

static int read_fields(struct reader *r, struct config *c)
{
    for (const struct config_field *f = config_fields; f->hf; f++)
        if (read_field(r, f, c)) return -1;
    if (!gguf_has(r->g, "deepseek4.nextn_predict_layers")) c->n_mtp = 0;
    return 0;
}

/* block_count may count the MTP blocks, and nextn_predict_layers may be set without their tensors:
 * the tensors decide. */
static bool has_nextn(const struct reader *r, int block)
{
    static const char *const probes[] = {"eh_proj", "e_proj"};
    char name[MAX_KEY];
    for (size_t i = 0; i < sizeof probes / sizeof *probes; i++) {
        snprintf(name, sizeof name, "blk.%d.nextn.%s.weight", block, probes[i]);
        if (gguf_tensor_find(r->g, name)) return true;
    }
    return false;
}

static void separate_mtp(const struct reader *r, struct config *c)
{
    int without = c->n_layers - c->n_mtp;
    if (c->n_mtp > 0 && without > 0 && has_nextn(r, without)) c->n_layers = without;
    if (c->n_mtp > 1) c->n_mtp = 1;
}

static int read_ratios(struct reader *r, struct config *c)
{
    static const char key[] = "deepseek4.attention.compress_ratios";
    struct gguf_array a;
    if (gguf_get_ints(r->g, key, &a, r->err)) return -1;
    if (a.count < (size_t)c->n_layers)
        return err_set(r->err, ERR_FORMAT, "%s: %s has %zu numbers for %d layers", r->what, key,
                       a.count, c->n_layers);
    for (int i = 0; i < c->n_layers; i++) {
        int64_t v = gguf_int_at(&a, (size_t)i);
        if (v < 0 || v > 128)
            return err_set(r->err, ERR_UNSUPPORTED, "%s: compress ratio of layer %d is %lld",
                           r->what, i, (long long)v);
        c->ratio[i] = (int)v;
    }
    return 0;
}

/* One limit for all layers, routed and shared: a number, or a list of equal ones. */
static int read_clamp(struct reader *r, const char *key, float *limit)
{
    struct gguf_array a;
    double v;
    if (!gguf_has(r->g, key)) return 0;
    if (strncmp(gguf_type_of(r->g, key), "array", 5)) {
        if (gguf_get_f64(r->g, key, &v, r->err)) return -1;
    } else {
        if (gguf_get_floats(r->g, key, &a, r->err)) return -1;
        v = a.count ? gguf_float_at(&a, 0) : 0;
        for (size_t i = 1; i < a.count; i++)
            if (gguf_float_at(&a, i) != v)
                return err_set(r->err, ERR_UNSUPPORTED, "%s: %s differs between layers", r->what,
                               key);
    }
    if (!(v >= 0)) return err_set(r->err, ERR_FORMAT, "%s: %s is %g", r->what, key, v);
    *limit = v > 0 ? (float)v : INFINITY;
    return 0;
}

static int read_clamps(struct reader *r, struct config *c)
{
    float routed = INFINITY;
    if (read_clamp(r, "deepseek4.swiglu_clamp_exp", &routed)) return -1;
    float shared = routed;
    if (read_clamp(r, "deepseek4.swiglu_clamp_shexp", &shared)) return -1;
    if (routed != shared)
        return err_set(r->err, ERR_UNSUPPORTED,
                       "%s: clamps %g of routed and %g of shared experts differ", r->what,
                       (double)routed, (double)shared);
    c->swiglu_limit = routed;
    return 0;
}

/* vocab_size, the token list, or both and equal. */
static int read_vocab(struct reader *r, struct config *c)
{
    static const char key[] = "tokenizer.ggml.tokens";
    struct gguf_array a = {0};
    bool list = gguf_has(r->g, key);
    if (list && gguf_get_strings(r->g, key, &a, r->err)) return -1;
    if (c->vocab == 0 && size_to_int(a.count, &c->vocab))
        return err_set(r->err, ERR_LIMIT, "%s: %zu tokens", r->what, a.count);
    if (list && a.count != (size_t)c->vocab)
        return err_set(r->err, ERR_FORMAT, "%s: %zu tokens, but a vocabulary of %d", r->what,
                       a.count, c->vocab);
    return 0;
}

static int read_token_id(struct reader *r, const char *key, int *id)
{
    uint64_t v;
    if (!gguf_has(r->g, key)) return 0;
    if (gguf_get_u64(r->g, key, &v, r->err)) return -1;
    return size_to_int(v, id)
               ? err_set(r->err, ERR_FORMAT, "%s: %s is %llu", r->what, key, (unsigned long long)v)
               : 0;
}

/* ---- what Tenon computes only one way ---- */

static int want_string(struct reader *r, const char *key, const char *wanted)
{
    const char *s;
    size_t n;
    if (gguf_get_string(r->g, key, &s, &n, r->err)) return -1;
    if (n != strlen(wanted) || memcmp(s, wanted, n) != 0)
        return err_set(r->err, ERR_UNSUPPORTED, "%s: %s is \"%.*s\", supported is \"%s\"", r->what,
                       key, (int)(n < 100 ? n : 100), s, wanted);
    return 0;
}

static int want_u64(struct reader *r, const char *key, uint64_t wanted)
{
    uint64_t v;
    if (!gguf_has(r->g, key)) return 0;
    if (gguf_get_u64(r->g, key, &v, r->err)) return -1;
    if (v != wanted)
        return err_set(r->err, ERR_UNSUPPORTED, "%s: %s is %llu, supported is %llu", r->what, key,
                       (unsigned long long)v, (unsigned long long)wanted);
    return 0;
}

static int read_scaling(struct reader *r, struct config *c)
{
    static const char key[] = "deepseek4.rope.scaling.type";
    const char *s;
    size_t n;
    if (!gguf_has(r->g, key)) return 0;
    if (gguf_get_string(r->g, key, &s, &n, r->err)) return -1;
    if (n == 4 && !memcmp(s, "none", 4)) {
        c->yarn_factor = 1;
        return 0;
    }
    return want_string(r, key, "yarn");
}

static int check_kind(struct reader *r, const struct config *c)
{
    static const char norm[] = "deepseek4.expert_weights_norm";
    bool normed = true;
    if (gguf_has(r->g, norm) && gguf_get_bool(r->g, norm, &normed, r->err)) return -1;
    if (!normed) return err_set(r->err, ERR_UNSUPPORTED, "%s: %s is false", r->what, norm);
    if (want_u64(r, "deepseek4.expert_gating_func", 4) ||
        want_u64(r, "deepseek4.attention.head_count_kv", 1) ||
        want_u64(r, "deepseek4.attention.value_length", (uint64_t)c->head_dim))
        return -1;
    return 0;
}

int config_from_gguf(struct config *c, const char *what, const struct gguf *g, struct err *err)
{
    struct reader r = {.what = what, .g = g, .err = err};
    *c = (struct config){0};
    if (want_string(&r, "general.architecture", "deepseek4") || read_fields(&r, c)) return -1;
    separate_mtp(&r, c);
    if (read_ratios(&r, c) || read_clamps(&r, c) || read_scaling(&r, c) || read_vocab(&r, c) ||
        read_token_id(&r, "tokenizer.ggml.bos_token_id", &c->bos) ||
        read_token_id(&r, "tokenizer.ggml.eos_token_id", &c->eos) || check_kind(&r, c))
        return -1;
    return config_check(c, what, err);
}
