/* Both JSON spellings of the configuration. */
#include <math.h>
#include <string.h>

#include "format/config.h"
#include "format/config_table.h"

struct reader {
    const char *what;
    const json_t *root;
    bool hf;
    struct err *err;
};

/* An absent key and null are the same. */
static const json_t *find(const json_t *object, const char *key)
{
    const json_t *v = json_object_get(object, key);
    return json_is_null(v) ? NULL : v;
}

static int read_number(struct reader *r, const json_t *v, const char *key,
                       const struct config_field *f, struct config *c)
{
    if (!json_is_number(v) || (f->kind == CONFIG_INT && !json_is_integer(v)))
        return err_set(r->err, ERR_FORMAT, "%s: %s is no %s", r->what, key,
                       f->kind == CONFIG_INT ? "whole number" : "number");
    return config_field_take(f, c, json_number_value(v), r->what, key, r->err);
}

static const struct config_field *field_named(const char *hf)
{
    const struct config_field *f = config_fields;
    while (f->hf && strcmp(f->hf, hf))
        f++;
    return f->hf ? f : NULL;
}

/* Fields that newer Hugging Face configs say in other words; read by functions of their own. */
static bool has_own_reader(const struct reader *r, const struct config_field *f)
{
    static const char *const names[] = {
        "yarn_beta_fast",   "yarn_beta_slow",  "yarn_factor",
        "yarn_original",    "eos_token_id",    "rope_theta",
        "qk_rope_head_dim", "num_hash_layers", "compress_rope_theta"};
    for (size_t i = 0; r->hf && i < sizeof names / sizeof *names; i++)
        if (!strcmp(f->hf, names[i])) return true;
    return !r->hf && !strcmp(f->hf, "yarn_original");
}

static int read_fields(struct reader *r, struct config *c)
{
    for (const struct config_field *f = config_fields; f->hf; f++) {
        const char *key = r->hf ? f->hf : f->official;
        const json_t *v = key ? find(r->root, key) : NULL;
        if (!v || has_own_reader(r, f)) {
            if (f->required && !has_own_reader(r, f))
                return err_set(r->err, ERR_FORMAT, "%s: %s is missing", r->what, key);
            config_field_set(f, c, f->absent);
        } else if (read_number(r, v, key, f, c)) {
            return -1;
        }
    }
    if (c->swiglu_limit == 0) c->swiglu_limit = INFINITY; /* DeepSeek's way to say: no limit */
    if (c->n_mtp > 1) c->n_mtp = 1;
    return 0;
}

/* ---- things that must have one value, because Tenon computes only that ---- */

static int want_string(struct reader *r, const char *key, const char *wanted)
{
    const json_t *v = find(r->root, key);
    if (!v) return 0;
    if (!json_is_string(v)) return err_set(r->err, ERR_FORMAT, "%s: %s is no text", r->what, key);
    if (strcmp(json_string_value(v), wanted))
        return err_set(r->err, ERR_UNSUPPORTED, "%s: %s is \"%s\", supported is \"%s\"", r->what,
                       key, json_string_value(v), wanted);
    return 0;
}

static int want_bool(struct reader *r, const char *key, bool wanted)
{
    const json_t *v = find(r->root, key);
    if (!v) return 0;
    if (!json_is_boolean(v))
        return err_set(r->err, ERR_FORMAT, "%s: %s is neither true nor false", r->what, key);
    if (json_is_true(v) != wanted)
        return err_set(r->err, ERR_UNSUPPORTED, "%s: %s is %s, supported is %s", r->what, key,
                       json_is_true(v) ? "true" : "false", wanted ? "true" : "false");
    return 0;
}

static int want_one(struct reader *r, const char *key)
{
    const json_t *v = find(r->root, key);
    if (v && (!json_is_integer(v) || json_integer_value(v) != 1))
        return err_set(r->err, ERR_UNSUPPORTED, "%s: %s is not 1", r->what, key);
    return 0;
}

static int check_kind(struct reader *r)
{
    if (want_string(r, "model_type", "deepseek_v4") ||
        want_string(r, r->hf ? "scoring_func" : "score_func", "sqrtsoftplus") ||
        want_string(r, "topk_method", "noaux_tc") || want_string(r, "hidden_act", "silu") ||
        want_bool(r, "norm_topk_prob", true) || want_bool(r, "attention_bias", false) ||
        want_bool(r, "tie_word_embeddings", false) || want_one(r, "num_key_value_heads"))
        return -1;
    return 0;
}

/* ---- lists ---- */

/* compress_ratios may be longer than the layers: MTP and DSpark stages follow. */
static int read_ratios(struct reader *r, const json_t *list, struct config *c)
{
    if (!json_is_array(list) || json_array_size(list) < (size_t)c->n_layers)
        return err_set(r->err, ERR_FORMAT, "%s: compress_ratios is no list of at least %d numbers",
                       r->what, c->n_layers);
    for (int i = 0; i < c->n_layers; i++) {
        const json_t *v = json_array_get(list, (size_t)i);
        if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > 128)
            return err_set(r->err, ERR_UNSUPPORTED,
                           "%s: compress ratio of layer %d is not one of 0, 4, 128", r->what, i);
        c->ratio[i] = (int)json_integer_value(v);
    }
    return 0;
}

static int rate_of(struct reader *r, const char *type, int *rate)
{
    static const struct {
        const char *type;
        int rate;
    } known[] = {{"sliding_attention", 0},
                 {"compressed_sparse_attention", 4},
                 {"heavily_compressed_attention", 128}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(type, known[i].type)) {
            const json_t *own = find(find(r->root, "compress_rates"), type);
            *rate = known[i].rate;
            if (!own || known[i].rate == 0) return 0;
            if (!json_is_integer(own) || json_integer_value(own) < 1 ||
                json_integer_value(own) > 128)
                return err_set(r->err, ERR_FORMAT, "%s: compress_rates.%s is out of range", r->what,
                               type);
            *rate = (int)json_integer_value(own);
            return 0;
        }
    return err_set(r->err, ERR_UNSUPPORTED, "%s: layer type \"%s\"", r->what, type);
}

/* Newer transformers: layer_types, one name per layer, and compress_rates. */
static int read_layer_types(struct reader *r, const json_t *list, struct config *c)
{
    if (!json_is_array(list) || json_array_size(list) != (size_t)c->n_layers)
        return err_set(r->err, ERR_FORMAT, "%s: layer_types is no list of %d names", r->what,
                       c->n_layers);
    for (int i = 0; i < c->n_layers; i++) {
        const char *type = json_string_value(json_array_get(list, (size_t)i));
        if (!type) return err_set(r->err, ERR_FORMAT, "%s: layer_types holds no names", r->what);
        if (rate_of(r, type, &c->ratio[i])) return -1;
    }
    return 0;
}

static int read_layers(struct reader *r, struct config *c)
{
    const json_t *ratios = find(r->root, "compress_ratios");
    const json_t *types = find(r->root, "layer_types");
    if (ratios) return read_ratios(r, ratios, c);
    if (types && r->hf) return read_layer_types(r, types, c);
    return err_set(r->err, ERR_FORMAT, "%s: compress_ratios is missing", r->what);
}

/* num_hash_layers, or mlp_layer_types: "hash_moe" for the first layers, then "moe". */
static int read_hash_layers(struct reader *r, struct config *c)
{
    const json_t *n = find(r->root, "num_hash_layers");
    const json_t *types = find(r->root, "mlp_layer_types");
    if (n) return read_number(r, n, "num_hash_layers", field_named("num_hash_layers"), c);
    if (!types) return err_set(r->err, ERR_FORMAT, "%s: num_hash_layers is missing", r->what);
    c->n_hash_layers = 0;
    for (size_t i = 0; i < json_array_size(types); i++) {
        const char *type = json_string_value(json_array_get(types, i));
        bool hash = type && !strcmp(type, "hash_moe");
        if (!type || (!hash && strcmp(type, "moe")) || (hash && c->n_hash_layers != (int)i))
            return err_set(r->err, ERR_UNSUPPORTED,
                           "%s: mlp_layer_types is not hash_moe... then moe...", r->what);
        c->n_hash_layers += hash;
    }
    return 0;
}

static int read_eos(struct reader *r, struct config *c)
{
    const json_t *v = find(r->root, "eos_token_id");
    if (json_is_array(v)) v = json_array_get(v, 0); /* more than one: the first ends a text */
    return v ? read_number(r, v, "eos_token_id", field_named("eos_token_id"), c) : 0;
}

/* ---- rope ---- */

static int read_into(struct reader *r, const json_t *object, const char *key, const char *field,
                     struct config *c)
{
    const json_t *v = find(object, key);
    return v ? read_number(r, v, key, field_named(field), c) : 0;
}

/* {"type" or "rope_type": "yarn", "factor": ...}. Any other type but none at all is refused. */
static int read_yarn(struct reader *r, const json_t *scaling, struct config *c)
{
    if (!json_is_object(scaling))
        return err_set(r->err, ERR_FORMAT, "%s: rope scaling is not an object", r->what);
    const json_t *type = find(scaling, "rope_type");
    if (!type) type = find(scaling, "type");
    const char *name = type ? json_string_value(type) : "yarn";
    if (name && !strcmp(name, "default")) {
        c->yarn_factor = 1;
        return 0;
    }
    if (!name || strcmp(name, "yarn"))
        return err_set(r->err, ERR_UNSUPPORTED,
                       "%s: rope scaling type \"%s\", supported is \"yarn\"", r->what,
                       name ? name : "?");
    if (read_into(r, scaling, "factor", "yarn_factor", c) ||
        read_into(r, scaling, "beta_fast", "yarn_beta_fast", c) ||
        read_into(r, scaling, "beta_slow", "yarn_beta_slow", c) ||
        read_into(r, scaling, "original_max_position_embeddings", "yarn_original", c))
        return -1;
    return 0;
}

static int read_rope_hf(struct reader *r, struct config *c)
{
    const json_t *params = find(r->root, "rope_parameters");
    const json_t *main_rope = find(params, "main"), *compress = find(params, "compress");
    const json_t *scaling = find(r->root, "rope_scaling");
    if (!scaling) scaling = compress ? compress : params;

    if (read_into(r, r->root, "rope_theta", "rope_theta", c) ||
        read_into(r, main_rope, "rope_theta", "rope_theta", c) ||
        read_into(r, r->root, "compress_rope_theta", "compress_rope_theta", c) ||
        read_into(r, compress, "rope_theta", "compress_rope_theta", c))
        return -1;
    return scaling ? read_yarn(r, scaling, c) : 0;
}

/* qk_rope_head_dim, or partial_rotary_factor x head_dim as newer configs have it. */
static int read_rope_dim(struct reader *r, struct config *c)
{
    const struct config_field *f = field_named("qk_rope_head_dim");
    const json_t *v = find(r->root, f->hf);
    const json_t *part = find(r->root, "partial_rotary_factor");
    if (v) return read_number(r, v, f->hf, f, c);
    if (!part) part = find(find(find(r->root, "rope_parameters"), "main"), "partial_rotary_factor");
    if (!json_is_number(part))
        return err_set(r->err, ERR_FORMAT, "%s: %s is missing", r->what, f->hf);
    return config_field_take(f, c, floor(json_number_value(part) * c->head_dim), r->what,
                             "partial_rotary_factor", r->err);
}

/* original_seq_len 0 switches YaRN off in DeepSeek's code. */
static int read_rope_official(struct reader *r, struct config *c)
{
    const json_t *v = find(r->root, "original_seq_len");
    if (json_is_integer(v) && json_integer_value(v) == 0) {
        c->yarn_factor = 1;
        return 0;
    }
    return read_into(r, r->root, "original_seq_len", "yarn_original", c);
}

int config_from_json(struct config *c, const char *what, const json_t *root, struct err *err)
{
    struct reader r = {.what = what, .root = root, .err = err};
    *c = (struct config){0};
    if (!json_is_object(root)) return err_set(err, ERR_FORMAT, "%s: is no JSON object", what);
    r.hf = find(root, "hidden_size") || find(root, "model_type");
    if (!r.hf && !find(root, "dim"))
        return err_set(err, ERR_FORMAT, "%s: has neither hidden_size nor dim", what);

    if (check_kind(&r) || read_fields(&r, c) || read_layers(&r, c)) return -1;
    if (r.hf &&
        (read_hash_layers(&r, c) || read_eos(&r, c) || read_rope_dim(&r, c) || read_rope_hf(&r, c)))
        return -1;
    if (!r.hf && read_rope_official(&r, c)) return -1;
    return config_check(c, what, err);
}
