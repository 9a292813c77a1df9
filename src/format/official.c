#include "format/official.h"

#include <stdio.h>

struct lister {
    const struct config *c;
    struct official_options o;
    int (*fn)(void *ctx, const struct official_tensor *t);
    void *ctx;
    char prefix[32]; /* "layers.3." */
    int layer;
    int rc; /* of fn; other than 0 ends everything */
};

static void add(struct lister *l, const char *name, enum dtype dtype, int rows, int cols,
                bool scale)
{
    char full[128];
    if (l->rc) return;
    snprintf(full, sizeof full, "%s%s", l->prefix, name);
    struct official_tensor t = {.name = full,
                                .layer = l->layer,
                                .dtype = dtype,
                                .n_dims = rows ? 2 : 1,
                                .dim = {rows ? rows : cols, rows ? cols : 1},
                                .scale = scale};
    l->rc = l->fn(l->ctx, &t);
}

static void add_vector(struct lister *l, const char *name, enum dtype dtype, int n)
{
    add(l, name, dtype, 0, n, false);
}

static void add_matrix(struct lister *l, const char *name, enum dtype dtype, int rows, int cols)
{
    add(l, name, dtype, rows, cols, false);
}

static void add_fp8(struct lister *l, const char *stem, int rows, int cols)
{
    char name[96];
    snprintf(name, sizeof name, "%s.weight", stem);
    add(l, name, DT_F8_E4M3, rows, cols, false);
    snprintf(name, sizeof name, "%s.scale", stem);
    add(l, name, DT_F8_E8M0, (rows + 127) / 128, (cols + 127) / 128, true);
}

static void add_fp4(struct lister *l, const char *stem, int rows, int cols)
{
    char name[96];
    snprintf(name, sizeof name, "%s.weight", stem);
    add(l, name, DT_I8, rows, cols / 2, false);
    snprintf(name, sizeof name, "%s.scale", stem);
    add(l, name, DT_F8_E8M0, rows, cols / 32, true);
}

static void add_hyper(struct lister *l, const char *which)
{
    int m = l->c->hc_mult, mix = (2 + m) * m;
    char name[64];
    snprintf(name, sizeof name, "hc_%s_fn", which);
    add_matrix(l, name, DT_F32, mix, m * l->c->dim);
    snprintf(name, sizeof name, "hc_%s_base", which);
    add_vector(l, name, DT_F32, mix);
    snprintf(name, sizeof name, "hc_%s_scale", which);
    add_vector(l, name, DT_F32, 3);
}

static void add_hyper_head(struct lister *l)
{
    int m = l->c->hc_mult;
    add_matrix(l, "hc_head_fn", DT_F32, m, m * l->c->dim);
    add_vector(l, "hc_head_base", DT_F32, m);
    add_vector(l, "hc_head_scale", DT_F32, 1);
}

static void add_compressor(struct lister *l, const char *stem, int ratio, int dim)
{
    int width = ratio == 4 ? 2 * dim : dim;
    char name[64];
    snprintf(name, sizeof name, "%s.ape", stem);
    add_matrix(l, name, DT_F32, ratio, width);
    snprintf(name, sizeof name, "%s.wkv.weight", stem);
    add_matrix(l, name, DT_BF16, width, l->c->dim);
    snprintf(name, sizeof name, "%s.wgate.weight", stem);
    add_matrix(l, name, DT_BF16, width, l->c->dim);
    snprintf(name, sizeof name, "%s.norm.weight", stem);
    add_vector(l, name, DT_BF16, dim);
}

static void add_attention(struct lister *l, int ratio)
{
    const struct config *c = l->c;
    int q = c->n_heads * c->head_dim;
    add_vector(l, "attn.attn_sink", DT_F32, c->n_heads);
    add_fp8(l, "attn.wq_a", c->q_lora, c->dim);
    add_vector(l, "attn.q_norm.weight", DT_BF16, c->q_lora);
    add_fp8(l, "attn.wq_b", q, c->q_lora);
    add_fp8(l, "attn.wkv", c->head_dim, c->dim);
    add_vector(l, "attn.kv_norm.weight", DT_BF16, c->head_dim);
    add_fp8(l, "attn.wo_a", c->o_groups * c->o_lora, q / c->o_groups);
    add_fp8(l, "attn.wo_b", c->dim, c->o_groups * c->o_lora);
    if (ratio) add_compressor(l, "attn.compressor", ratio, c->head_dim);
    if (ratio != 4) return;
    add_fp8(l, "attn.indexer.wq_b", c->index_heads * c->index_dim, c->q_lora);
    add_matrix(l, "attn.indexer.weights_proj.weight", DT_BF16, c->index_heads, c->dim);
    add_compressor(l, "attn.indexer.compressor", ratio, c->index_dim);
}

static void add_expert(struct lister *l, const char *stem, bool fp4)
{
    void (*add_linear)(struct lister *, const char *, int, int) = fp4 ? add_fp4 : add_fp8;
    char name[64];
    snprintf(name, sizeof name, "%s.w1", stem);
    add_linear(l, name, l->c->expert_dim, l->c->dim);
    snprintf(name, sizeof name, "%s.w2", stem);
    add_linear(l, name, l->c->dim, l->c->expert_dim);
    snprintf(name, sizeof name, "%s.w3", stem);
    add_linear(l, name, l->c->expert_dim, l->c->dim);
}

static void add_moe(struct lister *l, bool hash)
{
    const struct config *c = l->c;
    char stem[48];
    add_matrix(l, "ffn.gate.weight", DT_BF16, c->n_experts, c->dim);
    if (hash)
        add_matrix(l, "ffn.gate.tid2eid", DT_I64, c->vocab, c->n_used);
    else
        add_vector(l, "ffn.gate.bias", DT_F32, c->n_experts);
    for (int i = 0; i < c->n_experts; i++) {
        snprintf(stem, sizeof stem, "ffn.experts.%d", i);
        add_expert(l, stem, !l->o.fp8_experts);
    }
    if (c->n_shared) add_expert(l, "ffn.shared_experts", false);
}

static void add_block(struct lister *l, int ratio, bool hash)
{
    add_vector(l, "attn_norm.weight", DT_BF16, l->c->dim);
    add_vector(l, "ffn_norm.weight", DT_BF16, l->c->dim);
    add_hyper(l, "attn");
    add_hyper(l, "ffn");
    add_attention(l, ratio);
    add_moe(l, hash);
}

static void add_mtp(struct lister *l)
{
    int dim = l->c->dim;
    add_block(l, 0, false);
    add_fp8(l, "e_proj", dim, dim);
    add_fp8(l, "h_proj", dim, dim);
    add_vector(l, "enorm.weight", DT_BF16, dim);
    add_vector(l, "hnorm.weight", DT_BF16, dim);
    add_vector(l, "norm.weight", DT_BF16, dim);
    add_hyper_head(l);
}

int official_each(const struct config *c, struct official_options o,
                  int (*fn)(void *ctx, const struct official_tensor *t), void *ctx)
{
    struct lister l = {.c = c, .o = o, .fn = fn, .ctx = ctx, .layer = -1};
    add_matrix(&l, "embed.weight", DT_BF16, c->vocab, c->dim);
    add_vector(&l, "norm.weight", DT_BF16, c->dim);
    add_matrix(&l, "head.weight", DT_BF16, c->vocab, c->dim);
    add_hyper_head(&l);
    for (int i = 0; i < c->n_layers; i++) {
        snprintf(l.prefix, sizeof l.prefix, "layers.%d.", i);
        l.layer = i;
        add_block(&l, c->ratio[i], i < c->n_hash_layers);
    }
    if (!o.mtp) return l.rc;
    snprintf(l.prefix, sizeof l.prefix, "mtp.0.");
    l.layer = c->n_layers;
    add_mtp(&l);
    return l.rc;
}
