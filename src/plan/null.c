#include "plan/null.h"

#include <stdlib.h>

#include "base/mem.h"

struct null {
    struct backend base;
    struct ledger ledger;
    struct weight **deferred; /* [3 cap], of an open cache */
    int n_deferred, n_slots;
};

/* Stands for every device pointer; never followed. */
static char nowhere[64];

static struct ledger_entry *entry_of(const struct step *s, enum op op)
{
    struct ledger_entry *e = &((struct null *)s->backend)->ledger.op[op];
    e->calls++;
    return e;
}

/* --- memory --- */

static void null_close(struct backend *b)
{
    free(b);
}

static size_t stored_bytes(const struct weight_src *src)
{
    size_t scale_size = src->scale == SCALE_F32 ? 4 : src->scale == SCALE_E8M0 ? 1 : 0;
    return (size_t)src->rows * weight_row_bytes(src->format, src->cols) +
           (size_t)src->scale_rows * (size_t)src->scale_cols * scale_size;
}

static int weight_load(struct backend *b, struct weight **out, const struct weight_src *src,
                       struct err *err)
{
    (void)b;
    (void)err;
    struct weight *w = xcalloc(1, sizeof *w);
    *w = (struct weight){.name = xstrdup(src->name),
                         .format = src->format,
                         .rows = src->rows,
                         .cols = src->cols,
                         .bytes = stored_bytes(src)};
    *out = w;
    return 0;
}

static void weight_free(struct backend *b, struct weight *w)
{
    (void)b;
    if (!w) return;
    free(w->name);
    free(w);
}

static int weight_bytes(struct backend *b, size_t *out, const struct weight_src *src, int n,
                        struct err *err)
{
    (void)b;
    (void)err;
    *out = 0;
    for (int i = 0; i < n; i++)
        *out += stored_bytes(&src[i]);
    return 0;
}

static int cache_open(struct backend *b, const struct cache_options *o, struct err *err)
{
    struct null *n = (struct null *)b;
    (void)err;
    n->deferred = xcalloc(3 * (size_t)o->n_experts, sizeof(struct weight *));
    n->n_slots = o->n_slots;
    return 0;
}

static int expert_defer(struct backend *b, struct expert *out, const struct weight_src src[3],
                        struct err *err)
{
    struct null *n = (struct null *)b;
    struct weight **at = n->deferred + n->n_deferred;
    for (int i = 0; i < 3; i++, n->n_deferred++)
        if (weight_load(b, &at[i], &src[i], err)) return -1;
    *out = (struct expert){at[0], at[1], at[2]};
    return 0;
}

static void cache_close(struct backend *b)
{
    struct null *n = (struct null *)b;
    for (int i = 0; i < n->n_deferred; i++)
        weight_free(b, n->deferred[i]);
    free(n->deferred);
    n->deferred = NULL;
    n->n_deferred = n->n_slots = 0;
}

static void cache_stats(struct backend *b, struct cache_stats *out)
{
    *out = (struct cache_stats){.n_slots = ((const struct null *)b)->n_slots};
}

static void *block_new(struct backend *b, size_t size)
{
    (void)b;
    (void)size;
    return nowhere;
}

static void block_free(struct backend *b, void *block, size_t size)
{
    (void)b;
    (void)block;
    (void)size;
}

static void block_copy(struct backend *b, void *to, const void *from, size_t size)
{
    (void)b;
    (void)to;
    (void)from;
    (void)size;
}

static void block_read(struct backend *b, void *host, const void *block, size_t offset, size_t size)
{
    (void)b;
    (void)block;
    (void)offset;
    for (size_t i = 0; i < size; i++)
        ((char *)host)[i] = 0;
}

static void block_write(struct backend *b, void *block, size_t offset, const void *host,
                        size_t size)
{
    (void)b;
    (void)block;
    (void)offset;
    (void)host;
    (void)size;
}

static void step_nothing(struct step *s)
{
    (void)s;
}

static void *scratch(struct step *s, size_t size)
{
    (void)s;
    (void)size;
    return nowhere;
}

static size_t mark(struct step *s)
{
    (void)s;
    return 0;
}

static void release(struct step *s, size_t to)
{
    (void)s;
    (void)to;
}

static void read_tensor(struct step *s, float *host, const struct tensor *t)
{
    (void)s;
    for (size_t i = 0; i < (size_t)t->rows * (size_t)t->cols; i++)
        host[i] = 0.0f;
}

/* --- ops --- */

static uint64_t product(int a, int b, int c)
{
    return (uint64_t)a * (uint64_t)b * (uint64_t)c;
}

/* A linear over n_t rows. */
static void add_linear(const struct step *s, struct ledger_entry *e, const struct weight *w,
                       int n_t)
{
    uint64_t ops = 2 * product(w->rows, w->cols, n_t);
    e->weight_bytes += w->bytes;
    if (s->mode == MODE_DEFAULT && weight_is_quantised(w->format))
        e->int_ops += ops;
    else
        e->float_ops += ops;
}

static void null_embed(struct step *s, const struct embed_args *a)
{
    struct ledger_entry *e = entry_of(s, OP_EMBED);
    e->weight_bytes += a->table->bytes / (size_t)a->table->rows * (size_t)a->h->rows;
}

static void null_rope_rows(struct step *s, const struct rope_rows_args *a)
{
    entry_of(s, OP_ROPE_ROWS)->float_ops += 20 * product(a->cs->rows, a->cs->cols, 1);
}

static void null_hc_mix(struct step *s, const struct hc_mix_args *a)
{
    struct ledger_entry *e = entry_of(s, OP_HC_MIX);
    int n = a->hyper->n;
    add_linear(s, e, a->hyper->fn, a->h->rows);
    e->float_ops += 4 * product(a->h->rows, a->h->cols, 1) + 5 * product(a->h->rows, a->x->k, 1) +
                    4 * product(a->h->rows, n * n, a->hyper->iters);
}

static void null_hc_join(struct step *s, const struct hc_join_args *a)
{
    entry_of(s, OP_HC_JOIN)->float_ops += 2 * product(a->h->rows, a->h->cols, a->post->cols + 1);
}

static void null_project(struct step *s, const struct project_args *a)
{
    struct ledger_entry *e = entry_of(s, OP_PROJECT);
    for (int i = 0; i < a->n; i++)
        add_linear(s, e, a->w[i], a->x->rows);
}

static void null_project_grouped(struct step *s, const struct project_grouped_args *a)
{
    add_linear(s, entry_of(s, OP_PROJECT_GROUPED), a->w, a->x->rows);
}

static void null_norm(struct step *s, const struct norm_args *a)
{
    entry_of(s, OP_NORM)->float_ops += 4 * product(a->x->rows, a->x->cols, 1);
}

static void null_rows_append(struct step *s, const struct rows_append_args *a)
{
    struct ledger_entry *e = entry_of(s, OP_ROWS_APPEND);
    e->float_ops += 8 * product(a->kv->rows, a->kv->cols, 1);
}

static void null_rows_keep(struct step *s, const struct rows_keep_args *a)
{
    struct ledger_entry *e = entry_of(s, OP_ROWS_KEEP);
    for (int i = 0; i < s->rows.n_seqs; i++) {
        int n = s->rows.seqs[i].n;
        e->state_bytes +=
            product(n < a->layer->window ? n : a->layer->window, 1, 1) * a->layer->row_bytes;
    }
}

static void null_compress(struct step *s, const struct compress_args *a)
{
    struct ledger_entry *e = entry_of(s, OP_COMPRESS);
    const struct carry_place *c = a->is_index ? &a->layer->key_carry : &a->layer->carry;
    uint64_t row = 8 * (uint64_t)c->width; /* K and S, f32 */
    size_t entry = a->is_index ? a->layer->key_bytes : a->layer->row_bytes;
    for (int i = 0; i < s->rows.n_seqs; i++) {
        const struct step_seq *q = &s->rows.seqs[i];
        int closed = (q->pos + q->n) / a->layer->ratio - q->pos / a->layer->ratio;
        e->state_bytes +=
            (uint64_t)q->n * row + (uint64_t)closed * ((uint64_t)c->slots * row + entry);
        e->float_ops += 20 * product(closed, c->slots, c->width);
    }
}

static void null_query(struct step *s, const struct query_args *a)
{
    entry_of(s, OP_QUERY)->float_ops += 4 * product(a->q->rows, a->q->cols, 1);
}

static void null_select(struct step *s, const struct select_args *a)
{
    struct ledger_entry *e = entry_of(s, OP_SELECT);
    for (int t = 0; t < s->rows.n_rows; t++) {
        int n = kv_visible(a->layer->ratio, s->rows.pos[t]);
        if (n <= a->topk) continue;
        uint64_t ops = 2 * product(n, a->n_heads, a->layer->index_dim);
        e->state_bytes += (uint64_t)n * a->layer->key_bytes;
        if (s->mode == MODE_FLOAT)
            e->float_ops += ops;
        else
            e->int_ops += ops;
    }
}

static void null_attend(struct step *s, const struct attend_args *a)
{
    struct ledger_entry *e = entry_of(s, OP_ATTEND);
    const struct layer_kv *l = a->layer;
    for (int t = 0; t < s->rows.n_rows; t++) {
        int pos = s->rows.pos[t];
        int n = kv_visible(l->ratio, pos);
        if (a->ids && n > a->ids->cols) n = a->ids->cols;
        n += pos + 1 < l->window ? pos + 1 : l->window;
        e->state_bytes += (uint64_t)n * l->row_bytes;
        e->float_ops += 4 * product(n, a->n_heads, l->head_dim);
    }
}

static void null_route(struct step *s, const struct route_args *a)
{
    add_linear(s, entry_of(s, OP_ROUTE), a->gate, a->x->rows);
}

static void add_expert(const struct step *s, struct ledger_entry *e, const struct expert *x,
                       int n_t)
{
    add_linear(s, e, x->gate, n_t);
    add_linear(s, e, x->up, n_t);
    add_linear(s, e, x->down, n_t);
}

static void null_experts(struct step *s, const struct experts_args *a)
{
    struct ledger_entry *e = entry_of(s, OP_EXPERTS), one = {0};
    double rest = 1.0;
    for (int t = 0; t < a->x->rows; t++)
        rest *= 1.0 - (double)a->ids->cols / a->n_experts;
    add_expert(s, &one, &a->experts[0], a->x->rows * a->ids->cols);
    e->weight_bytes += (uint64_t)((double)one.weight_bytes * (1.0 - rest) * a->n_experts + 0.5);
    e->int_ops += one.int_ops;
    e->float_ops += one.float_ops;
    if (a->shared) add_expert(s, e, a->shared, a->x->rows);
}

static void null_expect(struct step *s, const struct expect_args *a)
{
    (void)s;
    (void)a;
}

static void null_head(struct step *s, const struct head_args *a)
{
    struct ledger_entry *e = entry_of(s, OP_HEAD);
    add_linear(s, e, a->hyper->fn, a->logits->rows);
    add_linear(s, e, a->w, a->logits->rows);
}

static void null_mtp_streams(struct step *s, const struct mtp_streams_args *a)
{
    entry_of(s, OP_MTP_STREAMS)->state_bytes += 4 * product(s->rows.n_seqs, a->h->cols, 1);
}

static void null_mtp_join(struct step *s, const struct mtp_join_args *a)
{
    struct ledger_entry *e = entry_of(s, OP_MTP_JOIN);
    add_linear(s, e, a->e_proj, a->h->rows);
    add_linear(s, e, a->h_proj, a->h->rows * a->n);
}

/* --- opening --- */

struct backend *null_open(enum numeric_mode mode)
{
    struct null *n = xcalloc(1, sizeof *n);
    n->base = (struct backend){
        .name = "null",
        .isa = "none",
        .mode = mode,
        .close = null_close,
        .weight_load = weight_load,
        .weight_free = weight_free,
        .weight_bytes = weight_bytes,
        .cache_open = cache_open,
        .expert_defer = expert_defer,
        .cache_close = cache_close,
        .cache_stats = cache_stats,
        .block_new = block_new,
        .block_free = block_free,
        .block_copy = block_copy,
        .block_read = block_read,
        .block_write = block_write,
        .step_begin = step_nothing,
        .step_end = step_nothing,
        .scratch = scratch,
        .mark = mark,
        .release = release,
        .read = read_tensor,
        .embed = null_embed,
        .rope_rows = null_rope_rows,
        .hc_mix = null_hc_mix,
        .hc_join = null_hc_join,
        .project = null_project,
        .project_grouped = null_project_grouped,
        .norm = null_norm,
        .rows_append = null_rows_append,
        .rows_keep = null_rows_keep,
        .compress = null_compress,
        .query = null_query,
        .select = null_select,
        .attend = null_attend,
        .route = null_route,
        .experts = null_experts,
        .expect = null_expect,
        .head = null_head,
        .mtp_streams = null_mtp_streams,
        .mtp_join = null_mtp_join,
    };
    return &n->base;
}

const struct ledger *null_ledger(const struct backend *b)
{
    return &((const struct null *)b)->ledger;
}

void null_reset(struct backend *b)
{
    ((struct null *)b)->ledger = (struct ledger){0};
}

struct ledger_entry ledger_total(const struct ledger *l)
{
    struct ledger_entry sum = {0};
    for (int i = 0; i < OP_COUNT; i++) {
        sum.calls += l->op[i].calls;
        sum.weight_bytes += l->op[i].weight_bytes;
        sum.state_bytes += l->op[i].state_bytes;
        sum.int_ops += l->op[i].int_ops;
        sum.float_ops += l->op[i].float_ops;
    }
    return sum;
}
