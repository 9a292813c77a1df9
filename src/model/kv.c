#include "model/kv.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* --- layout --- */

static size_t align8(size_t n)
{
    return (n + 7) / 8 * 8;
}

static size_t take(size_t *at, size_t size)
{
    size_t offset = *at;
    *at += align8(size);
    return offset;
}

static void place_carry(struct carry_place *c, int ratio, int values, size_t *at)
{
    int overlap = ratio == 4;
    c->slots = overlap ? 2 * ratio : ratio;
    c->width = overlap ? 2 * values : values;
    size_t size = (size_t)c->slots * (size_t)c->width * sizeof(float);
    c->k = take(at, size);
    c->s = take(at, size);
}

void kv_layout_init(struct kv_layout *l, const struct config *c, enum numeric_mode mode,
                    int with_mtp)
{
    *l = (struct kv_layout){.n_layers = c->n_layers + (with_mtp ? 1 : 0)};
    for (int i = 0; i < l->n_layers; i++)
        l->layer[i] = (struct layer_kv){
            .ratio = i < c->n_layers ? c->ratio[i] : 0,
            .window = c->window,
            .head_dim = c->head_dim,
            .rope_dim = c->rope_dim,
            .index_dim = c->index_dim,
            .row_format = kv_row_format(mode),
            .row_bytes = kv_row_bytes(kv_row_format(mode), c->head_dim, c->rope_dim),
            .key_bytes = kv_key_bytes(mode, c->index_dim),
        };

    size_t at = 0, page = 0;
    for (int i = 0; i < c->n_layers; i++)
        l->layer[i].ring = take(&at, (size_t)c->window * l->layer[i].row_bytes);
    l->carries = at;
    for (int i = 0; i < c->n_layers; i++) {
        struct layer_kv *k = &l->layer[i];
        if (!k->ratio) continue;
        place_carry(&k->carry, k->ratio, c->head_dim, &at);
        if (k->ratio == 4) place_carry(&k->key_carry, k->ratio, c->index_dim, &at);
        k->rows = take(&page, (size_t)(KV_PAGE / k->ratio) * k->row_bytes);
    }
    l->mtp = at;
    if (with_mtp) {
        struct layer_kv *k = &l->layer[c->n_layers];
        k->ring = take(&at, (size_t)c->window * k->row_bytes);
        l->mtp_streams = take(&at, (size_t)c->hc_mult * (size_t)c->dim * sizeof(float));
    }
    l->live_bytes = at;
    l->keys = page;
    for (int i = 0; i < c->n_layers; i++)
        if (l->layer[i].ratio == 4)
            l->layer[i].keys = take(&page, (size_t)(KV_PAGE / 4) * l->layer[i].key_bytes);
    l->page_bytes = page;
}

/* --- blocks --- */

struct kv_pool {
    struct backend *backend;
    const struct kv_layout *layout;
    size_t max_bytes, used_bytes;
};

struct block {
    int refs;
    size_t size;
    void *data;
};

struct kv {
    struct kv_pool *pool;
    int length;
    struct block *live;
    struct block **pages;
    void **data; /* device pointers of pages */
    int n_pages, cap;
};

struct kv_pool *kv_pool_new(struct backend *b, const struct kv_layout *layout, size_t max_bytes)
{
    struct kv_pool *p = xcalloc(1, sizeof *p);
    *p = (struct kv_pool){.backend = b, .layout = layout, .max_bytes = max_bytes};
    return p;
}

void kv_pool_free(struct kv_pool *p)
{
    if (!p) return;
    CHECK(p->used_bytes == 0, "kv: %zu bytes still in use", p->used_bytes);
    free(p);
}

size_t kv_pool_used(const struct kv_pool *p)
{
    return p->used_bytes;
}

static struct block *block_new(struct kv_pool *p, size_t size, struct err *err)
{
    if (p->max_bytes && size > p->max_bytes - p->used_bytes) {
        err_set(err, ERR_LIMIT, "kv: %zu of %zu bytes used, %zu more were asked for", p->used_bytes,
                p->max_bytes, size);
        return NULL;
    }
    void *data = p->backend->block_new(p->backend, size);
    if (!data) {
        err_set(err, ERR_LIMIT, "kv: the device has no %zu bytes left for session state", size);
        return NULL;
    }
    struct block *b = xcalloc(1, sizeof *b);
    *b = (struct block){.refs = 1, .size = size, .data = data};
    p->used_bytes += size;
    return b;
}

static void block_drop(struct kv_pool *p, struct block *b)
{
    if (!b || --b->refs) return;
    p->backend->block_free(p->backend, b->data, b->size);
    p->used_bytes -= b->size;
    free(b);
}

/* Makes *b a block of its own: new when NULL, a copy when shared. */
static int block_own(struct kv_pool *p, struct block **b, size_t size, struct err *err)
{
    if (*b && (*b)->refs == 1) return 0;
    struct block *own = block_new(p, size, err);
    if (!own) return -1;
    if (*b) {
        p->backend->block_copy(p->backend, own->data, (*b)->data, size);
        block_drop(p, *b);
    }
    *b = own;
    return 0;
}

/* --- sequences --- */

struct kv *kv_new(struct kv_pool *p)
{
    struct kv *kv = xcalloc(1, sizeof *kv);
    kv->pool = p;
    return kv;
}

static void grow(struct kv *kv, int n_pages)
{
    if (n_pages <= kv->cap) return;
    int cap = kv->cap ? kv->cap : 8;
    while (cap < n_pages)
        cap *= 2;
    kv->pages = xrealloc(kv->pages, (size_t)cap, sizeof *kv->pages);
    kv->data = xrealloc(kv->data, (size_t)cap, sizeof *kv->data);
    kv->cap = cap;
}

struct kv *kv_fork(const struct kv *kv)
{
    struct kv *f = kv_new(kv->pool);
    f->length = kv->length;
    f->live = kv->live;
    if (f->live) f->live->refs++;
    grow(f, kv->n_pages);
    f->n_pages = kv->n_pages;
    for (int i = 0; i < kv->n_pages; i++) {
        f->pages[i] = kv->pages[i];
        f->data[i] = kv->data[i];
        f->pages[i]->refs++;
    }
    return f;
}

void kv_free(struct kv *kv)
{
    if (!kv) return;
    block_drop(kv->pool, kv->live);
    for (int i = 0; i < kv->n_pages; i++)
        block_drop(kv->pool, kv->pages[i]);
    free(kv->pages);
    free(kv->data);
    free(kv);
}

int kv_length(const struct kv *kv)
{
    return kv->length;
}

const struct kv_layout *kv_layout_of(const struct kv *kv)
{
    return kv->pool->layout;
}

static int pages_for(int positions)
{
    return (positions + KV_PAGE - 1) / KV_PAGE;
}

int kv_reserve(struct kv *kv, int n, struct err *err)
{
    struct kv_pool *p = kv->pool;
    size_t page_bytes = p->layout->page_bytes;
    if (block_own(p, &kv->live, p->layout->live_bytes, err)) return -1;
    if (!page_bytes) return 0; /* no compressed layer */
    int need = pages_for(kv->length + n), from = kv->length / KV_PAGE;
    grow(kv, need);
    for (int i = from; i < need; i++) {
        struct block *b = i < kv->n_pages ? kv->pages[i] : NULL;
        if (block_own(p, &b, page_bytes, err)) return -1;
        kv->pages[i] = b;
        kv->data[i] = b->data;
        if (i >= kv->n_pages) kv->n_pages = i + 1;
    }
    return 0;
}

void kv_advance(struct kv *kv, int n)
{
    kv->length += n;
}

void *kv_live(const struct kv *kv)
{
    return kv->live ? kv->live->data : NULL;
}

void **kv_pages(const struct kv *kv)
{
    return kv->data;
}

int kv_n_pages(const struct kv *kv)
{
    return kv->pool->layout->page_bytes ? pages_for(kv->length) : 0;
}

static struct block *block_at(const struct kv *kv, int page_or_live, size_t offset, size_t size)
{
    CHECK(page_or_live < kv->n_pages, "kv: page %d of %d", page_or_live, kv->n_pages);
    struct block *b = page_or_live == KV_LIVE ? kv->live : kv->pages[page_or_live];
    CHECK(b && offset <= b->size && size <= b->size - offset, "kv: bytes past a block");
    return b;
}

void kv_read(const struct kv *kv, int page_or_live, size_t offset, void *host, size_t size)
{
    struct block *b = block_at(kv, page_or_live, offset, size);
    kv->pool->backend->block_read(kv->pool->backend, host, b->data, offset, size);
}

void kv_write(struct kv *kv, int page_or_live, size_t offset, const void *host, size_t size)
{
    struct block *b = block_at(kv, page_or_live, offset, size);
    CHECK(b->refs == 1, "kv: writing a shared block");
    kv->pool->backend->block_write(kv->pool->backend, b->data, offset, host, size);
}

int kv_import(struct kv **out, struct kv_pool *p, int length, struct err *err)
{
    struct kv *kv = kv_new(p);
    if (length > 0 && kv_reserve(kv, length, err)) {
        kv_free(kv);
        *out = NULL;
        return -1;
    }
    kv->length = length;
    *out = kv;
    return 0;
}
