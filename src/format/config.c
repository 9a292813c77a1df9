#include "format/config.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "base/buf.h"
#include "format/config_table.h"

#define AT(field) offsetof(struct config, field)
#define SHAPE(hf, off, gguf, field, lo, hi)                                                        \
    {                                                                                              \
        hf, off, gguf, CONFIG_INT, true, AT(field), 0, lo, hi                                      \
    }
#define WHOLE(hf, off, gguf, field, absent, lo, hi)                                                \
    {                                                                                              \
        hf, off, gguf, CONFIG_INT, false, AT(field), absent, lo, hi                                \
    }
#define REAL(kind, hf, off, gguf, field, absent, lo, hi)                                           \
    {                                                                                              \
        hf, off, gguf, kind, false, AT(field), absent, lo, hi                                      \
    }

/* The upper limits keep every product of two dimensions that code forms as an int below 2^31. */
/* clang-format off */
const struct config_field config_fields[] = {
    WHOLE("bos_token_id", NULL, NULL, bos, 0, 0, 1 << 22),
    REAL(CONFIG_DOUBLE, "compress_rope_theta", "compress_rope_theta", "attention.compress_rope_freq_base",
         compress_theta, 160000, 1, 1e12),
    WHOLE("eos_token_id", NULL, NULL, eos, 1, 0, 1 << 22),
    REAL(CONFIG_FLOAT, "hc_eps", "hc_eps", "hyper_connection.epsilon", hc_eps, 1e-6, 0, 1),
    WHOLE("hc_mult", "hc_mult", "hyper_connection.count", hc_mult, 4, 1, 8),
    WHOLE("hc_sinkhorn_iters", "hc_sinkhorn_iters", "hyper_connection.sinkhorn_iterations", hc_iters, 20, 1, 1000),
    SHAPE("head_dim", "head_dim", "attention.key_length", head_dim, 1, 4096),
    SHAPE("hidden_size", "dim", "embedding_length", dim, 32, 65536),
    SHAPE("index_head_dim", "index_head_dim", "attention.indexer.key_length", index_dim, 0, 4096),
    SHAPE("index_n_heads", "index_n_heads", "attention.indexer.head_count", index_heads, 0, 1024),
    SHAPE("index_topk", "index_topk", "attention.indexer.top_k", index_topk, 0, 1 << 20),
    WHOLE("max_position_embeddings", NULL, "context_length", max_positions, 1048576, 1, 1 << 30),
    SHAPE("moe_intermediate_size", "moe_inter_dim", "expert_feed_forward_length", expert_dim, 32, 65536),
    SHAPE("n_routed_experts", "n_routed_experts", "expert_count", n_experts, 1, 4096),
    WHOLE("n_shared_experts", "n_shared_experts", "expert_shared_count", n_shared, 1, 0, 1),
    SHAPE("num_attention_heads", "n_heads", "attention.head_count", n_heads, 1, 1024),
    SHAPE("num_experts_per_tok", "n_activated_experts", "expert_used_count", n_used, 1, 64),
    SHAPE("num_hash_layers", "n_hash_layers", "hash_layer_count", n_hash_layers, 0, CONFIG_MAX_LAYERS),
    SHAPE("num_hidden_layers", "n_layers", "block_count", n_layers, 1, CONFIG_MAX_LAYERS),
    WHOLE("num_nextn_predict_layers", "n_mtp_layers", "nextn_predict_layers", n_mtp, 1, 0, 16),
    SHAPE("o_groups", "o_groups", "attention.output_group_count", o_groups, 1, 1024),
    SHAPE("o_lora_rank", "o_lora_rank", "attention.output_lora_rank", o_lora, 1, 65536),
    SHAPE("q_lora_rank", "q_lora_rank", "attention.q_lora_rank", q_lora, 1, 65536),
    SHAPE("qk_rope_head_dim", "rope_head_dim", "rope.dimension_count", rope_dim, 2, 512),
    REAL(CONFIG_FLOAT, "rms_norm_eps", "norm_eps", "attention.layer_norm_rms_epsilon", norm_eps, 1e-6, 0, 1),
    REAL(CONFIG_DOUBLE, "rope_theta", "rope_theta", "rope.freq_base", rope_theta, 10000, 1, 1e12),
    REAL(CONFIG_FLOAT, "routed_scaling_factor", "route_scale", "expert_weights_scale", route_scale, 1.5, 1e-6, 1e6),
    SHAPE("sliding_window", "window_size", "attention.sliding_window", window, 1, 65536),
    REAL(CONFIG_FLOAT, "swiglu_limit", "swiglu_limit", NULL, swiglu_limit, 0, 0, INFINITY),
    SHAPE("vocab_size", "vocab_size", "vocab_size", vocab, 2, 1 << 22),
    REAL(CONFIG_DOUBLE, "yarn_beta_fast", "beta_fast", "rope.scaling.yarn_beta_fast", yarn_beta_fast, 32, 1e-3, 1e6),
    REAL(CONFIG_DOUBLE, "yarn_beta_slow", "beta_slow", "rope.scaling.yarn_beta_slow", yarn_beta_slow, 1, 1e-3, 1e6),
    REAL(CONFIG_DOUBLE, "yarn_factor", "rope_factor", "rope.scaling.factor", yarn_factor, 16, 1, 1e6),
    WHOLE("yarn_original", "original_seq_len", "rope.scaling.original_context_length", yarn_original, 65536, 1, 1 << 30),
    {0},
};
/* clang-format on */

static void *field_at(const struct config_field *f, struct config *c)
{
    return (char *)c + f->offset;
}

void config_field_set(const struct config_field *f, struct config *c, double v)
{
    if (f->kind == CONFIG_INT) *(int *)field_at(f, c) = (int)v;
    if (f->kind == CONFIG_FLOAT) *(float *)field_at(f, c) = (float)v;
    if (f->kind == CONFIG_DOUBLE) *(double *)field_at(f, c) = v;
}

double config_field_get(const struct config_field *f, const struct config *c)
{
    const void *p = (const char *)c + f->offset;
    if (f->kind == CONFIG_INT) return *(const int *)p;
    if (f->kind == CONFIG_FLOAT) return (double)*(const float *)p;
    return *(const double *)p;
}

static int check_range(const struct config_field *f, double v, const char *what, const char *key,
                       struct err *err)
{
    if (!(v >= f->min && v <= f->max))
        return err_set(err, ERR_FORMAT, "%s: %s is %.9g, allowed are %.9g to %.9g", what, key, v,
                       f->min, f->max);
    if (f->kind == CONFIG_INT && v != floor(v))
        return err_set(err, ERR_FORMAT, "%s: %s is %.9g, a whole number is wanted", what, key, v);
    return 0;
}

int config_field_take(const struct config_field *f, struct config *c, double v, const char *what,
                      const char *key, struct err *err)
{
    if (check_range(f, v, what, key, err)) return -1;
    config_field_set(f, c, v);
    return 0;
}

/* ---- checks between fields ---- */

static int check_ratios(const struct config *c, const char *what, struct err *err)
{
    bool csa = false;
    for (int i = 0; i < c->n_layers; i++) {
        int r = c->ratio[i];
        if (r < 0 || r > 128 || (r && 128 % r))
            return err_set(
                err, ERR_UNSUPPORTED,
                "%s: compress ratio of layer %d is %d, allowed are 0 and divisors of 128", what, i,
                r);
        csa = csa || r == 4;
    }
    if (!csa) return 0;
    if (c->index_dim < 32 || (c->index_dim & (c->index_dim - 1)))
        return err_set(err, ERR_UNSUPPORTED,
                       "%s: index_head_dim is %d, a power of two of at least 32 is wanted", what,
                       c->index_dim);
    if (c->index_heads < 1 || c->index_topk < 1 || c->index_dim < c->rope_dim)
        return err_set(err, ERR_FORMAT,
                       "%s: indexer of %d heads of %d, top %d, with %d rope dimensions", what,
                       c->index_heads, c->index_dim, c->index_topk, c->rope_dim);
    return 0;
}

int config_check(const struct config *c, const char *what, struct err *err)
{
    for (const struct config_field *f = config_fields; f->hf; f++)
        if (check_range(f, config_field_get(f, c), what, f->hf, err)) return -1;
    if (check_ratios(c, what, err)) return -1;

    if (!(c->swiglu_limit > 0))
        return err_set(err, ERR_FORMAT, "%s: swiglu_limit is %g", what, (double)c->swiglu_limit);
    if (c->rope_dim % 2 || c->head_dim - c->rope_dim < 64 || (c->head_dim - c->rope_dim) % 64)
        return err_set(err, ERR_UNSUPPORTED,
                       "%s: head_dim %d with %d rope dimensions: the rest must be a multiple of 64",
                       what, c->head_dim, c->rope_dim);
    if (c->n_heads % c->o_groups)
        return err_set(err, ERR_FORMAT, "%s: %d heads do not split into %d output groups", what,
                       c->n_heads, c->o_groups);
    if (c->n_used > c->n_experts)
        return err_set(err, ERR_FORMAT, "%s: %d experts per token of %d", what, c->n_used,
                       c->n_experts);
    if (c->n_hash_layers > c->n_layers)
        return err_set(err, ERR_FORMAT, "%s: %d hash layers of %d", what, c->n_hash_layers,
                       c->n_layers);
    if (c->bos >= c->vocab || c->eos >= c->vocab)
        return err_set(err, ERR_FORMAT, "%s: bos %d or eos %d outside the vocabulary of %d", what,
                       c->bos, c->eos, c->vocab);
    if (c->yarn_beta_fast < c->yarn_beta_slow)
        return err_set(err, ERR_FORMAT, "%s: beta_fast %g below beta_slow %g", what,
                       c->yarn_beta_fast, c->yarn_beta_slow);
    return 0;
}

/* ---- canonical form ---- */

static void add_ratios(struct buf *b, const struct config *c)
{
    buf_add_str(b, "\"compress_ratios\":[");
    for (int i = 0; i < c->n_layers; i++)
        buf_printf(b, "%s%d", i ? "," : "", c->ratio[i]);
    buf_add_str(b, "],");
}

char *config_canonical(const struct config *c)
{
    struct buf b;
    buf_init(&b, 1 << 20);
    buf_add_byte(&b, '{');
    for (const struct config_field *f = config_fields; f->hf; f++) {
        double v = config_field_get(f, c);
        if (!strcmp(f->hf, "compress_rope_theta")) add_ratios(&b, c); /* its place in the order */
        buf_printf(&b, "\"%s\":", f->hf);
        if (isinf(v))
            buf_add_str(&b, "null");
        else
            buf_printf(&b, f->kind == CONFIG_FLOAT ? "%.9g" : "%.17g", v);
        buf_add_byte(&b, f[1].hf ? ',' : '}');
    }
    return buf_take(&b);
}
