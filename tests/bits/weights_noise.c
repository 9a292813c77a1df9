/* format/weights.h over noise: a tensor's bytes follow from its name, so there is no file and no
 * parser. Each format of ops/weight.h holds some matrix of the model. */
#include "format/weights.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fmath.h"
#include "base/mem.h"
#include "bits.h"
#include "quant/convert.h"

enum { MAX_VIEWS = 4096, MAX_NAME = 96 };

struct entry {
    struct weight_view view;
    char name[MAX_NAME];
    float spread, center; /* of float formats: center + spread * noise */
    uint64_t key;
};

struct weights {
    struct config config;
    struct entry *list;
    int n;
};

static uint64_t key_of(const char *name)
{
    struct digest d = digest_new();
    digest_add(&d, name, strlen(name));
    return d.value;
}

static struct entry *add(struct weights *w, const char *prefix, const char *part, enum dtype dtype,
                         int rows, int cols)
{
    CHECK(w->n < MAX_VIEWS, "too many tensors");
    struct entry *e = &w->list[w->n++];
    snprintf(e->name, sizeof e->name, "%s%s", prefix, part);
    e->key = key_of(e->name);
    e->spread = 0.5f;
    e->view = (struct weight_view){.name = e->name, .dtype = dtype, .rows = rows, .cols = cols};
    return e;
}

/* A float matrix whose outputs are about as large as its inputs. */
static void add_floats(struct weights *w, const char *prefix, const char *part, enum dtype dtype,
                       int rows, int cols)
{
    add(w, prefix, part, dtype, rows, cols)->spread = 1.7f / __builtin_sqrtf((float)cols);
}

/* block: rows and columns under one scale, with e8m0 scales or f32 ones. */
static void add_fp8(struct weights *w, const char *prefix, const char *part, int rows, int cols,
                    int block, enum dtype scale)
{
    struct weight_view *v = &add(w, prefix, part, DT_F8_E4M3, rows, cols)->view;
    v->scale_dtype = scale;
    v->block_rows = v->block_cols = block;
    v->scale_rows = (rows + block - 1) / block;
    v->scale_cols = (cols + block - 1) / block;
}

static void add_fp4(struct weights *w, const char *prefix, const char *part, int rows, int cols)
{
    struct weight_view *v = &add(w, prefix, part, DT_FP4, rows, cols)->view;
    v->scale_dtype = DT_F8_E8M0;
    v->block_rows = 1;
    v->block_cols = 32;
    v->scale_rows = rows;
    v->scale_cols = cols / 32;
}

static void add_norm(struct weights *w, const char *prefix, const char *part, enum dtype dtype,
                     int n)
{
    struct entry *e = add(w, prefix, part, dtype, 1, n);
    e->center = 1.0f;
    e->spread = 0.25f;
}

static void add_hyper(struct weights *w, const char *prefix, const char *part, int outputs,
                      int scales)
{
    const struct config *c = &w->config;
    char name[MAX_NAME];
    snprintf(name, sizeof name, "%s_fn", part);
    add_floats(w, prefix, name, DT_F32, outputs, c->hc_mult * c->dim);
    snprintf(name, sizeof name, "%s_base", part);
    add(w, prefix, name, DT_F32, 1, outputs);
    snprintf(name, sizeof name, "%s_scale", part);
    add(w, prefix, name, DT_F32, 1, scales)->center = 1.0f;
}

static void add_compressor(struct weights *w, const char *l, const char *part, int ratio,
                           int values)
{
    int width = ratio == 4 ? 2 * values : values;
    char prefix[MAX_NAME];
    snprintf(prefix, sizeof prefix, "%s%s", l, part);
    add(w, prefix, "ape", DT_F32, ratio, width);
    add_floats(w, prefix, "wkv.weight", DT_BF16, width, w->config.dim);
    add_floats(w, prefix, "wgate.weight", DT_F16, width, w->config.dim);
    add_norm(w, prefix, "norm.weight", DT_BF16, values);
}

static void add_attention(struct weights *w, const char *l, int ratio)
{
    const struct config *c = &w->config;
    int heads = c->n_heads * c->head_dim;
    add_fp8(w, l, "attn.wq_a.weight", c->q_lora, c->dim, 128, DT_F8_E8M0);
    add_norm(w, l, "attn.q_norm.weight", DT_BF16, c->q_lora);
    add(w, l, "attn.wq_b.weight", DT_Q8_0, heads, c->q_lora);
    add_fp8(w, l, "attn.wkv.weight", c->head_dim, c->dim, 32, DT_F32);
    add_norm(w, l, "attn.kv_norm.weight", DT_F16, c->head_dim);
    add_fp8(w, l, "attn.wo_a.weight", c->o_groups * c->o_lora, heads / c->o_groups, 128,
            DT_F8_E8M0);
    add(w, l, "attn.wo_b.weight", DT_Q4_0, c->dim, c->o_groups * c->o_lora);
    add(w, l, "attn.attn_sink", DT_F32, 1, c->n_heads);
    if (ratio) add_compressor(w, l, "attn.compressor.", ratio, c->head_dim);
    if (ratio != 4) return;
    add(w, l, "attn.indexer.wq_b.weight", DT_Q8_0, c->index_heads * c->index_dim, c->q_lora);
    add_floats(w, l, "attn.indexer.weights_proj.weight", DT_BF16, c->index_heads, c->dim);
    add_compressor(w, l, "attn.indexer.compressor.", ratio, c->index_dim);
}

static void add_moe(struct weights *w, const char *l, int hashed)
{
    const struct config *c = &w->config;
    char part[MAX_NAME];
    add_floats(w, l, "ffn.gate.weight", DT_BF16, c->n_experts, c->dim);
    if (hashed)
        add(w, l, "ffn.gate.tid2eid", DT_I64, c->vocab, c->n_used);
    else
        add(w, l, "ffn.gate.bias", DT_F32, 1, c->n_experts);
    for (int e = 0; e < c->n_experts; e++)
        for (int i = 1; i <= 3; i++) {
            int rows = i == 2 ? c->dim : c->expert_dim, cols = i == 2 ? c->expert_dim : c->dim;
            snprintf(part, sizeof part, "ffn.experts.%d.w%d.weight", e, i);
            if (e % 2)
                add(w, l, part, DT_MXFP4, rows, cols);
            else
                add_fp4(w, l, part, rows, cols);
        }
    add_fp8(w, l, "ffn.shared_experts.w1.weight", c->expert_dim, c->dim, 128, DT_F8_E8M0);
    add_floats(w, l, "ffn.shared_experts.w3.weight", DT_BF16, c->expert_dim, c->dim);
    add(w, l, "ffn.shared_experts.w2.weight", DT_Q4_0, c->dim, c->expert_dim);
}

static void add_layer(struct weights *w, const char *l, int ratio, int hashed)
{
    const struct config *c = &w->config;
    int mixed = c->hc_mult * (2 + c->hc_mult);
    add_norm(w, l, "attn_norm.weight", DT_BF16, c->dim);
    add_norm(w, l, "ffn_norm.weight", DT_F32, c->dim);
    add_hyper(w, l, "hc_attn", mixed, 3);
    add_hyper(w, l, "hc_ffn", mixed, 3);
    add_attention(w, l, ratio);
    add_moe(w, l, hashed);
}

struct weights *weights_noise(const struct config *c)
{
    struct weights *w = xcalloc(1, sizeof *w);
    char prefix[32];
    w->config = *c;
    w->list = xcalloc(MAX_VIEWS, sizeof *w->list);
    add(w, "", "embed.weight", DT_BF16, c->vocab, c->dim)->spread = 1.0f;
    add_norm(w, "", "norm.weight", DT_BF16, c->dim);
    add_floats(w, "", "head.weight", DT_BF16, c->vocab, c->dim);
    add_hyper(w, "", "hc_head", c->hc_mult, 1);
    for (int i = 0; i < c->n_layers; i++) {
        snprintf(prefix, sizeof prefix, "layers.%d.", i);
        add_layer(w, prefix, c->ratio[i], i < c->n_hash_layers);
    }
    add_layer(w, "mtp.0.", 0, 0);
    add_fp8(w, "mtp.0.", "e_proj.weight", c->dim, c->dim, 128, DT_F8_E8M0);
    add_floats(w, "mtp.0.", "h_proj.weight", DT_F32, c->dim, c->dim);
    add_norm(w, "mtp.0.", "enorm.weight", DT_BF16, c->dim);
    add_norm(w, "mtp.0.", "hnorm.weight", DT_BF16, c->dim);
    add_norm(w, "mtp.0.", "norm.weight", DT_BF16, c->dim);
    add_hyper(w, "mtp.0.", "hc_head", c->hc_mult, 1);
    return w;
}

void weights_noise_free(struct weights *w)
{
    free(w->list);
    free(w);
}

/* ---- bytes ---- */

static void put16(uint8_t *at, uint16_t v)
{
    at[0] = (uint8_t)v;
    at[1] = (uint8_t)(v >> 8);
}

/* An f16 scale around x. */
static void put_scale(uint8_t *at, uint64_t random, float x)
{
    put16(at, f32_to_f16(x * (1.0f + 0.25f * noise_float(random, 0))));
}

/* Codes of a block format are random; only its scale is chosen. */
static void fill_blocks(uint8_t *out, size_t size, size_t block, uint64_t key, float scale)
{
    for (size_t i = 0; i < size; i++)
        out[i] = (uint8_t)noise(key, i);
    for (size_t i = 0; i < size; i += block) {
        if (block == 17)
            out[i] = noise(key, i) % 16 ? (uint8_t)(122 + noise(key, i) % 3) : (uint8_t)(i % 3);
        else
            put_scale(out + i, key + i, scale);
    }
}

static void fill_row(uint8_t *out, const struct entry *e, int row, const struct config *c)
{
    const struct weight_view *v = &e->view;
    uint64_t key = noise(e->key, (uint64_t)row);
    size_t n = (size_t)v->cols, size = (size_t)dtype_row_bytes(v->dtype, (uint64_t)v->cols);
    for (size_t i = 0; i < n; i++) {
        float x = e->center + e->spread * noise_float(key, i);
        uint64_t random = noise(key, i);
        /* k different experts: a walk with a step that has no factor in common with 8 */
        int64_t id = (int64_t)((key + i * (1 + 2 * (key >> 40))) % (uint64_t)c->n_experts);
        switch (v->dtype) {
        case DT_F32:
            memcpy(out + 4 * i, &x, 4);
            break;
        case DT_BF16:
            put16(out + 2 * i, f32_to_bf16(x));
            break;
        case DT_F16:
            put16(out + 2 * i, f32_to_f16(x));
            break;
        case DT_F8_E4M3:
            out[i] = e4m3_is_nan((uint8_t)random) ? 0x7e : (uint8_t)random;
            break;
        case DT_FP4:
            out[i / 2] = (uint8_t)random;
            break;
        case DT_I64:
            memcpy(out + 8 * i, &id, 8);
            break;
        default:
            break;
        }
    }
    if (v->dtype == DT_Q8_0) fill_blocks(out, size, 34, key, 0.0015f);
    if (v->dtype == DT_Q4_0) fill_blocks(out, size, 18, key, 0.025f);
    if (v->dtype == DT_MXFP4) fill_blocks(out, size, 17, key, 0);
}

int weights_read(const struct weights *w, const struct weight_view *v, int row, int n, void *out,
                 struct err *err)
{
    const struct entry *e = (const struct entry *)v; /* its first field */
    size_t size = (size_t)dtype_row_bytes(v->dtype, (uint64_t)v->cols);
    (void)err;
    for (int i = 0; i < n; i++)
        fill_row((uint8_t *)out + (size_t)i * size, e, row + i, &w->config);
    return 0;
}

int weights_read_scales(const struct weights *w, const struct weight_view *v, void *out,
                        struct err *err)
{
    const struct entry *e = (const struct entry *)v;
    (void)w;
    (void)err;
    for (int i = 0; i < v->scale_rows * v->scale_cols; i++) {
        uint64_t random = noise(e->key + 1, (uint64_t)i);
        float x = 0.0008f * (1.0f + 0.5f * noise_float(e->key + 2, (uint64_t)i));
        if (v->scale_dtype == DT_F32)
            memcpy((uint8_t *)out + 4 * (size_t)i, &x, 4);
        else if (v->dtype == DT_F8_E4M3)
            ((uint8_t *)out)[i] = (uint8_t)(116 + random % 2);
        else
            ((uint8_t *)out)[i] = random % 16 ? (uint8_t)(122 + random % 3) : (uint8_t)(i % 3);
    }
    return 0;
}

/* ---- the rest of the view ---- */

/* Noise never changes: once is as always. */
int weights_read_once(const struct weights *w, const struct weight_view *v, int row, int n,
                      void *out, struct err *err)
{
    return weights_read(w, v, row, n, out, err);
}

int weights_read_scales_once(const struct weights *w, const struct weight_view *v, void *out,
                             struct err *err)
{
    return weights_read_scales(w, v, out, err);
}

const struct config *weights_config(const struct weights *w)
{
    return &w->config;
}

const char *weights_path(const struct weights *w)
{
    (void)w;
    return "noise";
}

const struct weight_view *weights_find(const struct weights *w, const char *name)
{
    for (int i = 0; i < w->n; i++)
        if (!strcmp(w->list[i].name, name)) return &w->list[i].view;
    return NULL;
}

int weights_count(const struct weights *w)
{
    return w->n;
}

bool weights_have_mtp(const struct weights *w)
{
    (void)w;
    return true;
}

uint64_t weights_tensor_bytes(const struct weights *w)
{
    (void)w;
    return 0;
}
