/* From names in a checkpoint to the weights of the forward pass. Every shape and dtype is checked
 * here, once; after that ops may trust them. */
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/pool.h"
#include "base/progress.h"
#include "model/layers.h"
#include "quant/convert.h"

/* What may be stored for a weight, and what the ops get. */
enum kind {
    LINEAR, /* any matrix format, as stored */
    FLOATS, /* F32, F16 or BF16, as stored: router, hyper-connection fn */
    VALUES, /* F32, F16 or BF16 vectors and small tables, given to ops as F32 */
    IDS,    /* I32 or I64 table of expert ids, given as I32 */
};

struct request {
    char name[96];
    enum kind kind;
    int rows, cols;
    struct weight **slot;
    const struct weight_view *view;
    struct expert *expert; /* of its gate, when routed; up and down follow in the list */
    bool routed, counted;  /* part of the bytes of a token: routed experts by share */
};

struct binder {
    struct model *m;
    const struct weights *w;
    struct request *list;
    int n, cap;
    bool defer; /* routed experts are left to the cache */
    struct progress *progress;
    pthread_mutex_t lock; /* err, m->all */
    struct err err;
};

/* --- what there should be --- */

static struct request *want(struct binder *b, enum kind kind, int rows, int cols,
                            struct weight **slot, const char *fmt, ...) PRINTF_LIKE(6, 7);

static struct request *want(struct binder *b, enum kind kind, int rows, int cols,
                            struct weight **slot, const char *fmt, ...)
{
    if (b->n == b->cap) {
        b->cap = b->cap ? 2 * b->cap : 1024;
        b->list = xrealloc(b->list, (size_t)b->cap, sizeof *b->list);
    }
    struct request *r = &b->list[b->n++];
    *r = (struct request){.kind = kind, .rows = rows, .cols = cols, .slot = slot, .counted = true};
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(r->name, sizeof r->name, fmt, ap);
    va_end(ap);
    return r;
}

static void want_hyper(struct binder *b, struct hyper_weights *h, const char *prefix, int outputs,
                       int scales)
{
    const struct config *c = &b->m->config;
    want(b, FLOATS, outputs, c->hc_mult * c->dim, &h->fn, "%s_fn", prefix);
    want(b, VALUES, 1, outputs, &h->base, "%s_base", prefix);
    want(b, VALUES, 1, scales, &h->scale, "%s_scale", prefix);
}

static void want_compressor(struct binder *b, struct compressor *p, const char *prefix, int ratio,
                            int values)
{
    int width = ratio == 4 ? 2 * values : values;
    want(b, VALUES, ratio, width, &p->ape, "%s.ape", prefix);
    want(b, LINEAR, width, b->m->config.dim, &p->wkv, "%s.wkv.weight", prefix);
    want(b, LINEAR, width, b->m->config.dim, &p->wgate, "%s.wgate.weight", prefix);
    want(b, VALUES, 1, values, &p->norm, "%s.norm.weight", prefix);
}

static void want_attention(struct binder *b, struct attention *a, const char *l, int ratio)
{
    const struct config *c = &b->m->config;
    int heads = c->n_heads * c->head_dim;
    char part[80];
    want(b, LINEAR, c->q_lora, c->dim, &a->wq_a, "%s.attn.wq_a.weight", l);
    want(b, VALUES, 1, c->q_lora, &a->q_norm, "%s.attn.q_norm.weight", l);
    want(b, LINEAR, heads, c->q_lora, &a->wq_b, "%s.attn.wq_b.weight", l);
    want(b, LINEAR, c->head_dim, c->dim, &a->wkv, "%s.attn.wkv.weight", l);
    want(b, VALUES, 1, c->head_dim, &a->kv_norm, "%s.attn.kv_norm.weight", l);
    want(b, LINEAR, c->o_groups * c->o_lora, heads / c->o_groups, &a->wo_a, "%s.attn.wo_a.weight",
         l);
    want(b, LINEAR, c->dim, c->o_groups * c->o_lora, &a->wo_b, "%s.attn.wo_b.weight", l);
    want(b, VALUES, 1, c->n_heads, &a->sink, "%s.attn.attn_sink", l);
    if (ratio) {
        snprintf(part, sizeof part, "%s.attn.compressor", l);
        want_compressor(b, &a->compressor, part, ratio, c->head_dim);
    }
    if (ratio == 4) {
        want(b, LINEAR, c->index_heads * c->index_dim, c->q_lora, &a->index_wq_b,
             "%s.attn.indexer.wq_b.weight", l);
        want(b, LINEAR, c->index_heads, c->dim, &a->index_weights_proj,
             "%s.attn.indexer.weights_proj.weight", l);
        snprintf(part, sizeof part, "%s.attn.indexer.compressor", l);
        want_compressor(b, &a->index_compressor, part, ratio, c->index_dim);
    }
}

static void want_expert(struct binder *b, struct expert *e, const char *prefix, bool routed)
{
    const struct config *c = &b->m->config;
    struct weight **slots[3] = {&e->gate, &e->up, &e->down};
    static const char *const names[3] = {"w1", "w3", "w2"};
    for (int i = 0; i < 3; i++) {
        int rows = i < 2 ? c->expert_dim : c->dim, cols = i < 2 ? c->dim : c->expert_dim;
        struct request *r = want(b, LINEAR, rows, cols, slots[i], "%s.%s.weight", prefix, names[i]);
        r->routed = routed;
        if (routed && i == 0) r->expert = e;
    }
}

static void want_moe(struct binder *b, struct moe *m, const char *l, bool hashed)
{
    const struct config *c = &b->m->config;
    char part[80];
    want(b, FLOATS, c->n_experts, c->dim, &m->gate, "%s.ffn.gate.weight", l);
    if (hashed)
        want(b, IDS, c->vocab, c->n_used, &m->table, "%s.ffn.gate.tid2eid", l);
    else
        want(b, VALUES, 1, c->n_experts, &m->bias, "%s.ffn.gate.bias", l);
    m->experts = xcalloc((size_t)c->n_experts, sizeof *m->experts);
    for (int e = 0; e < c->n_experts; e++) {
        snprintf(part, sizeof part, "%s.ffn.experts.%d", l, e);
        want_expert(b, &m->experts[e], part, true);
    }
    if (c->n_shared) {
        snprintf(part, sizeof part, "%s.ffn.shared_experts", l);
        want_expert(b, &m->shared, part, false);
    }
}

static void want_layer(struct binder *b, struct layer *layer, const char *l, int index)
{
    struct model *m = b->m;
    const struct config *c = &m->config;
    int mixed = c->hc_mult * (2 + c->hc_mult);
    char part[80];
    layer->kv = &m->layout.layer[index];
    layer->rope_kind = layer->kv->ratio ? ROPE_YARN : ROPE_PLAIN;
    layer->rope = &m->rope[layer->rope_kind];
    want(b, VALUES, 1, c->dim, &layer->attn_norm, "%s.attn_norm.weight", l);
    want(b, VALUES, 1, c->dim, &layer->ffn_norm, "%s.ffn_norm.weight", l);
    snprintf(part, sizeof part, "%s.hc_attn", l);
    want_hyper(b, &layer->hc_attn, part, mixed, 3);
    snprintf(part, sizeof part, "%s.hc_ffn", l);
    want_hyper(b, &layer->hc_ffn, part, mixed, 3);
    want_attention(b, &layer->attn, l, layer->kv->ratio);
    want_moe(b, &layer->moe, l, index < c->n_hash_layers);
}

static void want_mtp(struct binder *b, struct mtp *p)
{
    const struct config *c = &b->m->config;
    int first = b->n;
    want_layer(b, &p->block, "mtp.0", c->n_layers);
    want(b, LINEAR, c->dim, c->dim, &p->e_proj, "mtp.0.e_proj.weight");
    want(b, LINEAR, c->dim, c->dim, &p->h_proj, "mtp.0.h_proj.weight");
    want(b, VALUES, 1, c->dim, &p->enorm, "mtp.0.enorm.weight");
    want(b, VALUES, 1, c->dim, &p->hnorm, "mtp.0.hnorm.weight");
    want(b, VALUES, 1, c->dim, &p->norm, "mtp.0.norm.weight");
    want_hyper(b, &p->hc_head, "mtp.0.hc_head", c->hc_mult, 1);
    for (int i = first; i < b->n; i++)
        b->list[i].counted = false;
}

static void want_model(struct binder *b)
{
    struct model *m = b->m;
    const struct config *c = &m->config;
    char name[32];
    want(b, LINEAR, c->vocab, c->dim, &m->embed, "embed.weight")->counted = false;
    want(b, VALUES, 1, c->dim, &m->norm, "norm.weight");
    want(b, LINEAR, c->vocab, c->dim, &m->head, "head.weight");
    want_hyper(b, &m->hc_head, "hc_head", c->hc_mult, 1);
    for (int i = 0; i < c->n_layers; i++) {
        snprintf(name, sizeof name, "layers.%d", i);
        want_layer(b, &m->layers[i], name, i);
    }
    if (m->mtp) want_mtp(b, m->mtp);
}

/* --- what there is --- */

static bool is_float(enum dtype t)
{
    return t == DT_F32 || t == DT_F16 || t == DT_BF16;
}

static int linear_format(enum dtype t, enum weight_format *out)
{
    switch (t) {
    case DT_F32:
        *out = WF_F32;
        return 0;
    case DT_F16:
        *out = WF_F16;
        return 0;
    case DT_BF16:
        *out = WF_BF16;
        return 0;
    case DT_F8_E4M3:
        *out = WF_FP8;
        return 0;
    case DT_FP4:
        *out = WF_FP4;
        return 0;
    case DT_MXFP4:
        *out = WF_MXFP4;
        return 0;
    case DT_Q8_0:
        *out = WF_Q8_0;
        return 0;
    case DT_Q4_0:
        *out = WF_Q4_0;
        return 0;
    default:
        return -1;
    }
}

static bool kind_allows(enum kind kind, enum dtype t)
{
    enum weight_format format;
    switch (kind) {
    case LINEAR:
        return linear_format(t, &format) == 0;
    case FLOATS:
    case VALUES:
        return is_float(t);
    case IDS:
        return t == DT_I32 || t == DT_I64;
    }
    return false;
}

static int check_view(const struct binder *b, struct request *r, struct err *err)
{
    const char *path = weights_path(b->w);
    const struct weight_view *v = r->view = weights_find(b->w, r->name);
    if (!v) return err_set(err, ERR_FORMAT, "%s: tensor %s is missing", path, r->name);
    if (v->rows != r->rows || v->cols != r->cols)
        return err_set(err, ERR_FORMAT, "%s: tensor %s is [%d, %d], the config asks for [%d, %d]",
                       path, r->name, v->rows, v->cols, r->rows, r->cols);
    if (!kind_allows(r->kind, v->dtype))
        return err_set(err, ERR_UNSUPPORTED,
                       "%s: tensor %s has dtype %s, which this tensor cannot have", path, r->name,
                       dtype_name(v->dtype));
    return 0;
}

/* --- loading --- */

struct reader {
    const struct weights *w;
    const struct weight_view *view;
    int n_experts; /* that ids may name */
};

static int read_stored(void *ctx, int row, int n, void *out, struct err *err)
{
    const struct reader *in = ctx;
    return weights_read(in->w, in->view, row, n, out, err);
}

static int read_scales(void *ctx, void *out, struct err *err)
{
    const struct reader *in = ctx;
    return weights_read_scales(in->w, in->view, out, err);
}

/* On demand. */
static int read_stored_once(void *ctx, int row, int n, void *out, struct err *err)
{
    const struct reader *in = ctx;
    return weights_read_once(in->w, in->view, row, n, out, err);
}

static int read_scales_once(void *ctx, void *out, struct err *err)
{
    const struct reader *in = ctx;
    return weights_read_scales_once(in->w, in->view, out, err);
}

static int read_values(void *ctx, int row, int n, void *out, struct err *err)
{
    const struct reader *in = ctx;
    const struct weight_view *v = in->view;
    if (v->dtype == DT_F32) return read_stored(ctx, row, n, out, err);
    size_t count = (size_t)n * (size_t)v->cols;
    uint16_t *stored = xmalloc(count * sizeof *stored);
    int rc = weights_read(in->w, v, row, n, stored, err);
    float *values = out;
    for (size_t i = 0; rc == 0 && i < count; i++)
        values[i] = v->dtype == DT_BF16 ? bf16_to_f32(stored[i]) : f16_to_f32(stored[i]);
    free(stored);
    return rc;
}

static int read_ids(void *ctx, int row, int n, void *out, struct err *err)
{
    const struct reader *in = ctx;
    const struct weight_view *v = in->view;
    size_t count = (size_t)n * (size_t)v->cols, size = v->dtype == DT_I64 ? 8 : 4;
    char *stored = xmalloc(count * size);
    int rc = weights_read(in->w, v, row, n, stored, err);
    int32_t *ids = out;
    for (size_t i = 0; rc == 0 && i < count; i++) {
        int64_t id;
        int32_t narrow;
        memcpy(&narrow, stored + i * size, sizeof narrow);
        id = narrow;
        if (size == 8) memcpy(&id, stored + i * size, sizeof id);
        if (id < 0 || id >= in->n_experts)
            rc = err_set(err, ERR_FORMAT, "%s: tensor %s holds expert %lld of %d",
                         weights_path(in->w), v->name, (long long)id, in->n_experts);
        else
            ids[i] = (int32_t)id;
    }
    free(stored);
    return rc;
}

/* The source of a request's weight; both are to stay while it is used. */
static struct weight_src source_of(const struct binder *b, const struct request *r,
                                   struct reader *reader)
{
    const struct weight_view *v = r->view;
    *reader = (struct reader){b->w, v, b->m->config.n_experts};
    struct weight_src src = {.name = r->name,
                             .format = WF_F32,
                             .rows = r->rows,
                             .cols = r->cols,
                             .ctx = reader,
                             .read_rows = read_values};
    if (r->kind == IDS) {
        src.format = WF_I32;
        src.read_rows = read_ids;
    } else if (r->kind != VALUES) {
        int known = linear_format(v->dtype, &src.format);
        CHECK(known == 0, "%s: dtype %s", r->name, dtype_name(v->dtype)); /* check_view saw it */
        src.read_rows = read_stored;
    }
    if (v->scale_rows) {
        src.scale = v->scale_dtype == DT_F32 ? SCALE_F32 : SCALE_E8M0;
        src.scale_rows = v->scale_rows;
        src.scale_cols = v->scale_cols;
        src.block_rows = v->block_rows;
        src.block_cols = v->block_cols;
        src.read_scales = read_scales;
    }
    return src;
}

static int load_weight(const struct binder *b, const struct request *r, struct weight **out,
                       struct err *err)
{
    struct reader reader;
    struct weight_src src = source_of(b, r, &reader);
    if (b->m->backend->weight_load(b->m->backend, out, &src, err))
        return err_prefix(err, "%s", weights_path(b->w));
    return 0;
}

static void account(struct model *m, const struct request *r, const struct weight *w)
{
    const struct config *c = &m->config;
    m->bytes += w->bytes;
    if (r->slot == &m->embed) m->bytes_per_token += w->bytes / (size_t)c->vocab;
    if (r->routed && r->counted)
        m->bytes_per_token += w->bytes * (size_t)c->n_used / (size_t)c->n_experts;
    else if (r->counted && r->kind != IDS)
        m->bytes_per_token += w->bytes;
}

static void load_some(void *ctx, int first, int last, int thread)
{
    struct binder *b = ctx;
    (void)thread;
    for (int i = first; i < last; i++) {
        const struct request *r = &b->list[i];
        if (r->routed && b->defer) continue;
        pthread_mutex_lock(&b->lock);
        bool stop = b->err.code != ERR_NONE;
        pthread_mutex_unlock(&b->lock);
        if (stop) return;

        struct weight *w = NULL;
        struct err err = {0};
        int rc = load_weight(b, r, &w, &err);
        progress_add(b->progress, rc ? 0 : w->bytes);
        pthread_mutex_lock(&b->lock);
        if (rc) {
            err_set(&b->err, err.code, "%s", err.message);
        } else {
            *r->slot = w;
            b->m->all[b->m->n_all++] = w;
            account(b->m, r, w);
        }
        pthread_mutex_unlock(&b->lock);
    }
}

/* Fills b->list with what the config asks for, and finds all of it. The work is bounded by the tensors
 * there are, not by what the config claims; and what the config does not know of is refused too. */
static int list_weights(struct binder *b, struct err *err)
{
    const struct config *c = &b->m->config;
    const char *path = weights_path(b->w);
    if (3LL * c->n_layers * c->n_experts > weights_count(b->w))
        return err_set(err, ERR_FORMAT,
                       "%s: the config asks for %d layers of %d experts, the files hold %d tensors",
                       path, c->n_layers, c->n_experts, weights_count(b->w));
    char beyond[64];
    snprintf(beyond, sizeof beyond, "layers.%d.attn_norm.weight", c->n_layers);
    if (weights_find(b->w, beyond))
        return err_set(err, ERR_FORMAT, "%s: the config has %d layers, the files hold %s", path,
                       c->n_layers, beyond);
    want_model(b);
    for (int i = 0; i < b->n; i++)
        if (check_view(b, &b->list[i], err)) return -1;
    return 0;
}

int model_list(struct model *m, const struct weights *w, struct err *err)
{
    struct binder b = {.m = m, .w = w};
    int rc = list_weights(&b, err);
    free(b.list);
    return rc;
}

/* Gate, up and down of a routed expert, whose gate is request i. */
static void sources_of_expert(const struct binder *b, int i, struct reader readers[3],
                              struct weight_src src[3])
{
    for (int j = 0; j < 3; j++) {
        src[j] = source_of(b, &b->list[i + j], &readers[j]);
        src[j].read_rows = read_stored_once;
        if (src[j].read_scales) src[j].read_scales = read_scales_once;
    }
}

static int add_up(const struct binder *b, struct backend *backend, struct model_size *out,
                  struct err *err)
{
    struct weight_src src[3];
    struct reader readers[3];
    *out = (struct model_size){0};
    for (int i = 0; i < b->n; i++) {
        const struct request *r = &b->list[i];
        size_t bytes;
        if (r->routed && !r->expert) continue;
        if (r->expert)
            sources_of_expert(b, i, readers, src);
        else
            src[0] = source_of(b, r, readers);
        if (backend->weight_bytes(backend, &bytes, src, r->expert ? 3 : 1, err))
            return err_prefix(err, "%s", weights_path(b->w));
        if (!r->expert) out->dense += bytes;
        if (r->expert && bytes > out->expert) out->expert = bytes;
        out->n_experts += r->expert != NULL;
    }
    return 0;
}

int model_add_up(struct model *m, struct backend *backend, const struct weights *w,
                 struct model_size *out, struct err *err)
{
    struct binder b = {.m = m, .w = w};
    int rc = list_weights(&b, err) || add_up(&b, backend, out, err) ? -1 : 0;
    free(b.list);
    return rc;
}

/* Opens the backend's cache and tells it of every routed expert. */
static int defer_experts(struct binder *b, int n_slots, struct err *err)
{
    struct model *m = b->m;
    struct model_size size;
    if (add_up(b, m->backend, &size, err)) return -1;
    if (n_slots > size.n_experts) n_slots = size.n_experts;
    struct cache_options o = {size.expert, n_slots, size.n_experts};
    if (m->backend->cache_open(m->backend, &o, err))
        return err_prefix(err, "%s", weights_path(b->w));
    m->readers = xcalloc(3 * (size_t)size.n_experts, sizeof *m->readers);
    struct reader *readers = m->readers;
    for (int i = 0; i < b->n; i++) {
        const struct request *r = &b->list[i];
        struct weight_src src[3];
        if (!r->expert) continue;
        sources_of_expert(b, i, readers, src);
        readers += 3;
        if (m->backend->expert_defer(m->backend, r->expert, src, err))
            return err_prefix(err, "%s", weights_path(b->w));
        for (int j = 0; j < 3; j++)
            account(m, &b->list[i + j], *b->list[i + j].slot);
    }
    return 0;
}

static void load_all(struct binder *b, bool progress, struct err *err)
{
    b->m->all = xcalloc((size_t)b->n, sizeof(struct weight *));
    pthread_mutex_init(&b->lock, NULL);
    if (progress && !b->defer)
        b->progress = progress_new("loading", weights_tensor_bytes(b->w), "B");
    /* Half of them wait for the disk while the others pack. */
    struct pool *pool = pool_new(2 * pool_cpus());
    pool_run(pool, b->n, 1, load_some, b);
    pool_free(pool);
    progress_free(b->progress);
    pthread_mutex_destroy(&b->lock);
    if (b->err.code != ERR_NONE) err_set(err, b->err.code, "%s", b->err.message);
}

int model_bind(struct model *m, const struct weights *w, const struct model_options *options,
               struct err *err)
{
    struct binder b = {.m = m, .w = w, .defer = options->expert_slots > 0};
    int rc = list_weights(&b, err);
    if (rc == 0 && b.defer) rc = defer_experts(&b, options->expert_slots, err);
    if (rc == 0) load_all(&b, options->progress, err);
    free(b.list);
    return rc || b.err.code != ERR_NONE ? -1 : 0;
}
