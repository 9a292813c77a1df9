/* Every op goes through here on its way to the backend: shapes are checked, a failed step does
 * nothing, and the observer hears of each result. */
#include "ops/backend.h"

static int failed(const struct step *s)
{
    return s->err.code != ERR_NONE;
}

static void observe(struct step *s, enum op op, const struct tensor *out,
                    const struct itensor *ints)
{
    if (s->observer && !failed(s)) s->observer->after(s->observer->ctx, s, op, out, ints);
}

static void observe_acts(struct step *s, enum op op, const struct acts *out)
{
    struct tensor t = {out->rows, out->k, out->f32};
    observe(s, op, &t, NULL);
}

static void check_shape(enum op op, const struct tensor *t, int rows, int cols)
{
    CHECK(t->rows == rows && t->cols == cols, "%s: [%d, %d] where [%d, %d] belongs", op_name(op),
          t->rows, t->cols, rows, cols);
}

static void check_weight(enum op op, const struct weight *w, int rows, int cols)
{
    CHECK(w->rows == rows && w->cols == cols, "%s: weight %s is [%d, %d] where [%d, %d] belongs",
          op_name(op), w->name, w->rows, w->cols, rows, cols);
}

void op_embed(struct step *s, const struct embed_args *a)
{
    if (failed(s)) return;
    CHECK(a->h->rows == s->rows.n_rows && a->h->cols % a->table->cols == 0, "embed: shape");
    s->backend->embed(s, a);
    observe(s, OP_EMBED, a->h, NULL);
}

void op_rope_rows(struct step *s, const struct rope_rows_args *a)
{
    if (failed(s)) return;
    check_shape(OP_ROPE_ROWS, a->cs, s->rows.n_rows, a->rope->dim);
    s->backend->rope_rows(s, a);
    observe(s, OP_ROPE_ROWS, a->cs, NULL);
}

void op_hc_mix(struct step *s, const struct hc_mix_args *a)
{
    if (failed(s)) return;
    int n = a->hyper->n, rows = a->h->rows;
    check_weight(OP_HC_MIX, a->hyper->fn, n * (2 + n), n * a->x->k);
    check_shape(OP_HC_MIX, a->h, rows, n * a->x->k);
    check_shape(OP_HC_MIX, a->post, rows, n);
    check_shape(OP_HC_MIX, a->comb, rows, n * n);
    s->backend->hc_mix(s, a);
    observe_acts(s, OP_HC_MIX, a->x);
}

void op_hc_join(struct step *s, const struct hc_join_args *a)
{
    if (failed(s)) return;
    int n = a->post->cols, rows = a->h->rows;
    check_shape(OP_HC_JOIN, a->h, rows, n * a->y->cols);
    check_shape(OP_HC_JOIN, a->comb, rows, n * n);
    check_shape(OP_HC_JOIN, a->post, rows, n);
    s->backend->hc_join(s, a);
    observe(s, OP_HC_JOIN, a->h, NULL);
}

void op_project(struct step *s, const struct project_args *a)
{
    if (failed(s)) return;
    CHECK(a->n >= 1 && a->n <= PROJECT_MAX, "project: %d weights", a->n);
    for (int i = 0; i < a->n; i++) {
        check_weight(OP_PROJECT, a->w[i], a->w[i]->rows, a->x->k);
        check_shape(OP_PROJECT, a->y[i], a->x->rows, a->w[i]->rows);
    }
    s->backend->project(s, a);
    for (int i = 0; i < a->n; i++)
        observe(s, OP_PROJECT, a->y[i], NULL);
}

void op_matmul(struct step *s, struct tensor *y, const struct acts *x, const struct weight *w)
{
    op_project(s, &(struct project_args){.n = 1, .y = {y}, .w = {w}, .x = x});
}

void op_project_grouped(struct step *s, const struct project_grouped_args *a)
{
    if (failed(s)) return;
    CHECK(a->x->k == a->groups * a->w->cols && a->w->rows % a->groups == 0,
          "project_grouped: shape");
    CHECK(a->y->k == a->w->rows && a->y->rows == a->x->rows, "project_grouped: shape");
    s->backend->project_grouped(s, a);
    observe_acts(s, OP_PROJECT_GROUPED, a->y);
}

void op_norm(struct step *s, const struct norm_args *a)
{
    if (failed(s)) return;
    check_shape(OP_NORM, a->x, a->y->rows, a->y->k);
    check_weight(OP_NORM, a->w, 1, a->x->cols);
    s->backend->norm(s, a);
    observe_acts(s, OP_NORM, a->y);
}

void op_rows_append(struct step *s, const struct rows_append_args *a)
{
    if (failed(s)) return;
    check_shape(OP_ROWS_APPEND, a->kv, s->rows.n_rows, a->layer->head_dim);
    check_shape(OP_ROWS_APPEND, a->cs, s->rows.n_rows, a->layer->rope_dim);
    check_weight(OP_ROWS_APPEND, a->norm, 1, a->layer->head_dim);
    CHECK(a->rows->row_bytes == a->layer->row_bytes, "rows_append: row size");
    s->backend->rows_append(s, a);
    observe(s, OP_ROWS_APPEND, a->kv, NULL);
}

void op_rows_keep(struct step *s, const struct rows_keep_args *a)
{
    if (failed(s)) return;
    CHECK(a->rows->rows == s->rows.n_rows && a->rows->row_bytes == a->layer->row_bytes,
          "rows_keep: %d rows", a->rows->rows);
    s->backend->rows_keep(s, a);
}

void op_compress(struct step *s, const struct compress_args *a)
{
    if (failed(s)) return;
    const struct carry_place *carry = a->is_index ? &a->layer->key_carry : &a->layer->carry;
    check_shape(OP_COMPRESS, a->k, s->rows.n_rows, carry->width);
    check_shape(OP_COMPRESS, a->s, s->rows.n_rows, carry->width);
    check_weight(OP_COMPRESS, a->ape, a->layer->ratio, carry->width);
    s->backend->compress(s, a);
    observe(s, OP_COMPRESS, a->k, NULL);
}

void op_query(struct step *s, const struct query_args *a)
{
    if (failed(s)) return;
    check_shape(OP_QUERY, a->q, s->rows.n_rows, a->n_heads * a->head_dim);
    check_shape(OP_QUERY, a->cs, s->rows.n_rows, a->rope_dim);
    s->backend->query(s, a);
    observe(s, OP_QUERY, a->q, NULL);
}

void op_select(struct step *s, const struct select_args *a)
{
    if (failed(s)) return;
    check_shape(OP_SELECT, a->q, s->rows.n_rows, a->n_heads * a->layer->index_dim);
    check_shape(OP_SELECT, a->w, s->rows.n_rows, a->n_heads);
    CHECK(a->ids->cols == a->topk && a->count->cols == 1, "select: shape");
    s->backend->select(s, a);
    observe(s, OP_SELECT, NULL, a->ids);
}

void op_attend(struct step *s, const struct attend_args *a)
{
    if (failed(s)) return;
    check_shape(OP_ATTEND, a->q, s->rows.n_rows, a->n_heads * a->layer->head_dim);
    CHECK(a->o->k == a->q->cols && a->o->rows == a->q->rows, "attend: shape");
    CHECK(a->rows->rows == s->rows.n_rows, "attend: %d rows", a->rows->rows);
    check_weight(OP_ATTEND, a->sink, 1, a->n_heads);
    s->backend->attend(s, a);
    observe_acts(s, OP_ATTEND, a->o);
}

void op_route(struct step *s, const struct route_args *a)
{
    if (failed(s)) return;
    check_weight(OP_ROUTE, a->gate, a->gate->rows, a->x->k);
    CHECK(!a->table || !a->bias, "route: a table and a bias");
    check_shape(OP_ROUTE, a->w, a->x->rows, a->n_used);
    CHECK(a->ids->rows == a->x->rows && a->ids->cols == a->n_used, "route: shape");
    s->backend->route(s, a);
    observe(s, OP_ROUTE, a->w, a->ids);
}

void op_experts(struct step *s, const struct experts_args *a)
{
    if (failed(s)) return;
    check_shape(OP_EXPERTS, a->y, a->x->rows, a->x->k);
    check_weight(OP_EXPERTS, a->experts[0].gate, a->experts[0].gate->rows, a->x->k);
    s->backend->experts(s, a);
    observe(s, OP_EXPERTS, a->y, NULL);
}

void op_expect(struct step *s, const struct expect_args *a)
{
    if (failed(s)) return;
    s->backend->expect(s, a);
}

void op_head(struct step *s, const struct head_args *a)
{
    if (failed(s)) return;
    check_shape(OP_HEAD, a->h, a->h->rows, a->hyper->n * a->w->cols);
    check_weight(OP_HEAD, a->hyper->fn, a->hyper->n, a->h->cols);
    check_shape(OP_HEAD, a->logits, a->logits->rows, a->w->rows);
    s->backend->head(s, a);
    observe(s, OP_HEAD, a->logits, NULL);
}

void op_mtp_streams(struct step *s, const struct mtp_streams_args *a)
{
    if (failed(s)) return;
    check_shape(OP_MTP_STREAMS, a->hs, s->rows.n_rows, a->h->cols);
    s->backend->mtp_streams(s, a);
    observe(s, OP_MTP_STREAMS, a->hs, NULL);
}

void op_mtp_join(struct step *s, const struct mtp_join_args *a)
{
    if (failed(s)) return;
    check_shape(OP_MTP_JOIN, a->hs, s->rows.n_rows, a->n * a->embed->cols);
    check_shape(OP_MTP_JOIN, a->h, s->rows.n_rows, a->n * a->embed->cols);
    s->backend->mtp_join(s, a);
    observe(s, OP_MTP_JOIN, a->h, NULL);
}
