/* One layer of DeepSeek-V4. Reads like the paper: spec deepseek-v4, sections 2 to 4. */
#include "model/layers.h"

struct hyper hyper_of(const struct config *c, const struct hyper_weights *w)
{
    return (struct hyper){.fn = w->fn,
                          .base = w->base,
                          .scale = w->scale,
                          .n = c->hc_mult,
                          .iters = c->hc_iters,
                          .eps = c->hc_eps,
                          .norm_eps = c->norm_eps};
}

/* What the attention's input x is projected to, all at once: the latent query, the kv row, and in
 * compressed layers K, S of the entries, K, S of the index keys and the indexer's head weights. */
struct latents {
    struct tensor qr, kv, k, s, index_k, index_s, index_w;
};

static void project_latents(struct step *s, const struct layer *l, struct latents *z,
                            const struct acts *x)
{
    const struct attention *a = &l->attn;
    struct project_args p = {.x = x};
    int rows = x->rows;

#define PROJECT_TO(out, weight)                                                                    \
    ((out) = step_f32(s, rows, (weight)->rows), p.y[p.n] = &(out), p.w[p.n++] = (weight))
    PROJECT_TO(z->qr, a->wq_a);
    PROJECT_TO(z->kv, a->wkv);
    if (l->kv->ratio) {
        PROJECT_TO(z->k, a->compressor.wkv);
        PROJECT_TO(z->s, a->compressor.wgate);
    }
    if (l->kv->ratio == 4) {
        PROJECT_TO(z->index_k, a->index_compressor.wkv);
        PROJECT_TO(z->index_s, a->index_compressor.wgate);
        PROJECT_TO(z->index_w, a->index_weights_proj);
    }
#undef PROJECT_TO
    op_project(s, &p);
}

static void compress(struct step *s, const struct config *c, const struct layer *l,
                     const struct compressor *w, const struct tensor *k,
                     const struct tensor *scores, int is_index)
{
    op_compress(s, &(struct compress_args){.k = k,
                                           .s = scores,
                                           .ape = w->ape,
                                           .norm = w->norm,
                                           .rope = l->rope,
                                           .layer = l->kv,
                                           .is_index = is_index,
                                           .eps = c->norm_eps});
}

/* Entries that a row of this step can select: index_topk, or all that the last of them sees. */
static int most_selected(const struct step *s, const struct config *c)
{
    int most = 1;
    for (int t = 0; t < s->rows.n_rows; t++) {
        int n = kv_visible(4, s->rows.pos[t]);
        most = n > most ? n : most;
    }
    return most < c->index_topk ? most : c->index_topk;
}

/* y = Attention(x). Window rows for every layer; compressed entries for R > 0, all of them in HCA
 * layers, those that the indexer selects in CSA layers (R = 4). */
static void attention(struct step *s, const struct config *c, const struct layer *l,
                      struct tensor *y, const struct acts *x, const struct tensor *cs)
{
    const struct attention *a = &l->attn;
    int rows = x->rows, heads_dim = c->n_heads * c->head_dim;
    struct latents z;
    project_latents(s, l, &z, x);

    struct acts qr = step_acts(s, rows, c->q_lora);
    op_norm(s, &(struct norm_args){.y = &qr, .x = &z.qr, .w = a->q_norm, .eps = c->norm_eps});
    struct tensor q = step_f32(s, rows, heads_dim), index_q = {0};
    struct project_args queries = {.n = 1, .x = &qr, .y = {&q}, .w = {a->wq_b}};
    if (l->kv->ratio == 4) {
        index_q = step_f32(s, rows, c->index_heads * c->index_dim);
        queries.y[queries.n] = &index_q;
        queries.w[queries.n++] = a->index_wq_b;
    }
    op_project(s, &queries);
    op_query(s, &(struct query_args){.q = &q,
                                     .cs = cs,
                                     .n_heads = c->n_heads,
                                     .head_dim = c->head_dim,
                                     .rope_dim = c->rope_dim,
                                     .eps = c->norm_eps});

    struct rows stored = step_stored(s, rows, l->kv->row_bytes);
    op_rows_append(s, &(struct rows_append_args){.rows = &stored,
                                                 .kv = &z.kv,
                                                 .norm = a->kv_norm,
                                                 .cs = cs,
                                                 .layer = l->kv,
                                                 .eps = c->norm_eps});
    if (l->kv->ratio) compress(s, c, l, &a->compressor, &z.k, &z.s, 0);

    struct itensor ids = {0}, count = {0};
    if (l->kv->ratio == 4) {
        int topk = most_selected(s, c);
        compress(s, c, l, &a->index_compressor, &z.index_k, &z.index_s, 1);
        ids = step_i32(s, rows, topk);
        count = step_i32(s, rows, 1);
        op_select(s, &(struct select_args){.ids = &ids,
                                           .count = &count,
                                           .q = &index_q,
                                           .w = &z.index_w,
                                           .cs = cs,
                                           .layer = l->kv,
                                           .n_heads = c->index_heads,
                                           .topk = topk});
    }

    struct acts o = step_acts(s, rows, heads_dim);
    op_attend(s,
              &(struct attend_args){.o = &o,
                                    .q = &q,
                                    .rows = &stored,
                                    .ids = l->kv->ratio == 4 ? &ids : NULL,
                                    .count = l->kv->ratio == 4 ? &count : NULL,
                                    .sink = a->sink,
                                    .cs = cs,
                                    .layer = l->kv,
                                    .n_heads = c->n_heads,
                                    .scale = (float)(1.0 / __builtin_sqrt((double)c->head_dim))});
    struct acts groups = step_acts(s, rows, c->o_groups * c->o_lora);
    op_project_grouped(s, &(struct project_grouped_args){
                              .y = &groups, .x = &o, .w = a->wo_a, .groups = c->o_groups});
    op_matmul(s, y, &groups, a->wo_b);
}

/* y = MoE(x): the routed experts of each row and the shared one. */
static void moe(struct step *s, const struct config *c, const struct layer *l, struct tensor *y,
                const struct acts *x)
{
    const struct moe *m = &l->moe;
    struct itensor ids = step_i32(s, x->rows, c->n_used);
    struct tensor w = step_f32(s, x->rows, c->n_used);
    op_route(s, &(struct route_args){.ids = &ids,
                                     .w = &w,
                                     .x = x,
                                     .gate = m->gate,
                                     .bias = m->bias,
                                     .table = m->table,
                                     .n_used = c->n_used,
                                     .scale = c->route_scale});
    op_experts(s, &(struct experts_args){.y = y,
                                         .x = x,
                                         .ids = &ids,
                                         .w = &w,
                                         .experts = m->experts,
                                         .n_experts = c->n_experts,
                                         .shared = c->n_shared ? &m->shared : NULL,
                                         .limit = c->swiglu_limit});
}

/* h = join(block(mix(h))) around a block, twice. */
void layer_forward(struct step *s, const struct config *c, const struct layer *l, struct tensor *h,
                   const struct tensor cs[ROPE_KINDS])
{
    int rows = h->rows;
    size_t mark = step_mark(s);
    struct acts x = step_acts(s, rows, c->dim);
    struct tensor y = step_f32(s, rows, c->dim);
    struct tensor post = step_f32(s, rows, c->hc_mult);
    struct tensor comb = step_f32(s, rows, c->hc_mult * c->hc_mult);

    struct hyper hc = hyper_of(c, &l->hc_attn);
    op_hc_mix(s, &(struct hc_mix_args){&x, &post, &comb, h, &hc, l->attn_norm});
    attention(s, c, l, &y, &x, &cs[l->rope_kind]);
    op_hc_join(s, &(struct hc_join_args){h, &y, &post, &comb});

    hc = hyper_of(c, &l->hc_ffn);
    op_hc_mix(s, &(struct hc_mix_args){&x, &post, &comb, h, &hc, l->ffn_norm});
    moe(s, c, l, &y, &x);
    op_hc_join(s, &(struct hc_join_args){h, &y, &post, &comb});
    step_release(s, mark);
}
