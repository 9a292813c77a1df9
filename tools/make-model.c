/* Writes a checkpoint of random weights in the official format, as fast as the disk takes it. For
 * measuring speed on the real shapes without the real files.
 *
 *     build/tools/make-model --layers 2 /tmp/flash2          one CSA and one HCA layer of V4-Flash
 *     build/tools/make-model --shape pro --layers 4 --mtp /tmp/pro4
 *
 * Same arguments, same bytes. Weights have the spread of an initialised network (1 / sqrt(inputs)),
 * so activations and logits stay finite and ordinary. */
#include <argp.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/json.h"
#include "format/checkpoint.h"

enum { MAX_CONFIG = 1 << 18, MAX_PATH = 1 << 16 };
enum { KEY_SHAPE = 256, KEY_LAYERS, KEY_VOCAB, KEY_HASH, KEY_SEED, KEY_MTP };

struct options {
    const char *dir, *shape;
    long layers, vocab, hash, seed;
    bool mtp;
};

static const struct argp_option option_table[] = {
    {"shape", KEY_SHAPE, "flash|pro|tiny", 0, "Whose widths (flash)", 0},
    {"layers", KEY_LAYERS, "N", 0, "Layers, alternately CSA and HCA (2)", 0},
    {"vocab", KEY_VOCAB, "N", 0, "Vocabulary (that of the shape)", 0},
    {"hash", KEY_HASH, "N", 0, "Hash-routed layers at the front (0)", 0},
    {"seed", KEY_SEED, "N", 0, "Seed (1)", 0},
    {"mtp", KEY_MTP, NULL, 0, "With the MTP block", 0},
    {0},
};

static long number(const char *text, long max, struct argp_state *state)
{
    char *end;
    errno = 0;
    long v = strtol(text, &end, 10);
    if (errno || end == text || *end || v < 0 || v > max)
        argp_error(state, "%s is no number from 0 to %ld", text, max);
    return v;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;
    switch (key) {
    case KEY_SHAPE:
        o->shape = arg;
        return 0;
    case KEY_LAYERS:
        o->layers = number(arg, CONFIG_MAX_LAYERS, state);
        return 0;
    case KEY_VOCAB:
        o->vocab = number(arg, 1 << 22, state);
        return 0;
    case KEY_HASH:
        o->hash = number(arg, CONFIG_MAX_LAYERS, state);
        return 0;
    case KEY_SEED:
        o->seed = number(arg, 1L << 40, state);
        return 0;
    case KEY_MTP:
        o->mtp = true;
        return 0;
    case ARGP_KEY_ARG:
        if (state->arg_num > 0) argp_error(state, "one folder, please");
        o->dir = arg;
        return 0;
    case ARGP_KEY_END:
        if (!o->dir) argp_error(state, "which folder?");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp parser = {
    .options = option_table,
    .parser = parse_option,
    .args_doc = "FOLDER",
    .doc = "Writes a DeepSeek-V4 checkpoint of random weights. Run from "
           "the root of the source tree."};

/* ---- config ---- */

/* V4-Flash in small: every width an eighth or less. */
static void shrink(json_t *root)
{
    static const struct {
        const char *key;
        int value;
    } small[] = {{"hidden_size", 512},     {"num_attention_heads", 8},
                 {"q_lora_rank", 256},     {"o_groups", 2},
                 {"o_lora_rank", 128},     {"head_dim", 192},
                 {"index_n_heads", 8},     {"index_topk", 64},
                 {"n_routed_experts", 32}, {"moe_intermediate_size", 256},
                 {"vocab_size", 4096}};
    for (size_t i = 0; i < sizeof small / sizeof *small; i++)
        json_object_set_new(root, small[i].key, json_integer(small[i].value));
}

static json_t *make_config(const struct options *o, struct err *err)
{
    bool pro = !strcmp(o->shape, "pro"), tiny = !strcmp(o->shape, "tiny");
    json_t *root = NULL, *ratios = json_array();
    if (!pro && !tiny && strcmp(o->shape, "flash")) {
        err_set(err, ERR_ARGUMENT, "shape %s is not flash, pro or tiny", o->shape);
        goto fail;
    }
    if (json_parse_file(&root,
                        pro ? "models/deepseek-v4-pro/config.json"
                            : "models/deepseek-v4-flash/config.json",
                        MAX_CONFIG, err))
        goto fail;
    if (tiny) shrink(root);
    for (long i = 0; i < o->layers; i++)
        json_array_append_new(ratios, json_integer(i % 2 ? 128 : 4));
    json_array_append_new(ratios, json_integer(0)); /* MTP */
    json_object_set_new(root, "compress_ratios", ratios);
    json_object_set_new(root, "num_hidden_layers", json_integer(o->layers));
    json_object_set_new(root, "num_hash_layers", json_integer(o->hash));
    json_object_set_new(root, "num_nextn_predict_layers", json_integer(o->mtp));
    if (o->vocab) json_object_set_new(root, "vocab_size", json_integer(o->vocab));
    return root;

fail:
    json_decref(ratios);
    json_decref(root);
    return NULL;
}

static int save_config(const json_t *root, const char *dir, struct err *err)
{
    struct buf path;
    char *text = json_dumps(root, JSON_INDENT(2) | JSON_SORT_KEYS);
    buf_init(&path, MAX_PATH);
    buf_printf(&path, "%s/config.json", dir);
    int rc = file_replace(buf_text(&path), text, strlen(text), err);
    buf_fini(&path);
    free(text);
    return rc;
}

/* ---- random bytes ---- */

struct random_source {
    const struct config *config;
    uint64_t seed;
    uint64_t key; /* of the current tensor; its bytes come in order */
};

/* A counter-based generator: the finaliser of SplitMix64 over key and index. */
static uint64_t random64(uint64_t key, uint64_t i)
{
    uint64_t z = key + (i + 1) * 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static uint64_t key_of(uint64_t seed, const char *name)
{
    uint64_t h = 0xcbf29ce484222325u ^ seed; /* FNV-1a */
    for (; *name; name++)
        h = (h ^ (unsigned char)*name) * 0x100000001b3u;
    return random64(h, seed);
}

/* Codes 0x7f and 0xff are NaN: clears their lowest bit. */
static uint64_t without_nan(uint64_t x)
{
    uint64_t low = x & 0x7f7f7f7f7f7f7f7fu;
    uint64_t nan = (low + 0x0101010101010101u) & 0x8080808080808080u; /* carries into bit 7 */
    return x & ~(nan >> 7);
}

static void fill_codes(uint64_t key, uint64_t offset, uint64_t *out, size_t n, bool fp8)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t x = random64(key, offset + i);
        out[i] = fp8 ? without_nan(x) : x;
    }
}

/* E8M0 bytes around 2^centre. */
static void fill_scales(uint64_t key, uint64_t offset, uint8_t *out, size_t n, int centre)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (uint8_t)(127 + centre + (int)(random64(key, offset + i) % 3) - 1);
}

static float uniform(uint64_t key, uint64_t i, float middle, float reach)
{
    return middle + reach * ((float)(random64(key, i) >> 40) * 0x1p-23f - 1.0f);
}

static void fill_floats(uint64_t key, uint64_t offset, uint8_t *out, size_t n, enum dtype dtype,
                        float middle, float reach)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        float v = uniform(key, offset + i, middle, reach);
        memcpy(&bits, &v, sizeof bits);
        if (dtype == DT_F32)
            memcpy(out + 4 * i, &bits, 4);
        else
            memcpy(out + 2 * i, (uint8_t *)&bits + 2, 2); /* bf16 by truncation, little endian */
    }
}

/* Every row names n_used different experts. */
static void fill_experts(const struct config *c, uint64_t key, uint64_t first, int64_t *out,
                         size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t row = (first + i) / (uint64_t)c->n_used, slot = (first + i) % (uint64_t)c->n_used;
        uint64_t step = (uint64_t)(c->n_experts / c->n_used);
        out[i] = (int64_t)((random64(key, row) + slot * step) % (uint64_t)c->n_experts);
    }
}

static bool has(const char *name, const char *part)
{
    return strstr(name, part) != NULL;
}

/* Middle and reach of a float tensor's values. */
static void float_range(const struct official_tensor *t, float *middle, float *reach)
{
    const char *name = t->name;
    *middle = 0;
    *reach = 0.5f;
    if (has(name, "norm.weight")) {
        *middle = 1;
        *reach = 0.2f;
    } else if (has(name, "hc_") && has(name, "scale")) {
        *middle = 1;
    } else if (!strcmp(name, "embed.weight")) {
        *reach = 1.7f;
    } else if (t->n_dims == 2 && !has(name, ".ape")) {
        *reach = 1.7f / sqrtf((float)t->dim[1]);
    }
}

/* A random e4m3 code has root mean square 2^6.7, a random FP4 code 2^1.5. */
static int scale_centre(const struct official_tensor *t, const struct config *c)
{
    bool fp4 = has(t->name, ".experts.") && !has(t->name, "shared");
    int inputs = fp4 ? t->dim[1] * 32 : has(t->name, "w2") ? c->expert_dim : t->dim[1] * 128;
    return (int)lrintf(-0.5f * log2f((float)inputs) - (fp4 ? 1.5f : 6.7f));
}

static void fill(void *ctx, const struct official_tensor *t, uint64_t offset, void *out,
                 size_t size)
{
    struct random_source *r = ctx;
    float middle, reach;
    if (offset == 0) r->key = key_of(r->seed, t->name);
    switch (t->dtype) {
    case DT_F8_E4M3:
    case DT_I8: { /* packed FP4 */
        size_t n = (size + 7) / 8;
        uint64_t last;
        fill_codes(r->key, offset / 8, out, size / 8, t->dtype == DT_F8_E4M3);
        if (n == size / 8) break;
        fill_codes(r->key, offset / 8 + n - 1, &last, 1, t->dtype == DT_F8_E4M3);
        memcpy((char *)out + (n - 1) * 8, &last, size % 8);
        break;
    }
    case DT_F8_E8M0:
        fill_scales(r->key, offset, out, size, scale_centre(t, r->config));
        break;
    case DT_I64:
        fill_experts(r->config, r->key, offset / 8, out, size / 8);
        break;
    default: {
        size_t each = t->dtype == DT_F32 ? 4 : 2;
        float_range(t, &middle, &reach);
        fill_floats(r->key, offset / each, out, size / each, t->dtype, middle, reach);
    }
    }
}

static int make(const struct options *o, struct err *err)
{
    struct config c;
    json_t *root = make_config(o, err);
    int rc = -1;
    if (!root || config_from_json(&c, "the config", root, err)) goto out;
    if (mkdir(o->dir, 0777) && errno != EEXIST) {
        err_set(err, ERR_IO, "%s: %s", o->dir, strerror(errno));
        goto out;
    }
    struct random_source source = {.config = &c, .seed = (uint64_t)o->seed};
    if (save_config(root, o->dir, err)) goto out;
    rc = checkpoint_write(o->dir, &c, (struct official_options){.mtp = o->mtp}, fill, &source, err);

out:
    json_decref(root);
    return rc;
}

int main(int argc, char **argv)
{
    struct options o = {.shape = "flash", .layers = 2, .seed = 1};
    struct err err = {0};
    argp_parse(&parser, argc, argv, 0, NULL, &o);
    if (make(&o, &err)) {
        fprintf(stderr, "make-model: %s\n", err.message);
        return 1;
    }
    return 0;
}
