#include "model/kv.h"

#include <stdbool.h>
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
    size_t kept_bytes; /* of blocks that a kept sequence holds */
};

struct block {
    int refs;
    int kept; /* of these, by kept sequences */
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
    bool kept;
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

size_t kv_pool_kept(const struct kv_pool *p)
{
    return p->kept_bytes;
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
    struct block *b = malloc(sizeof *b);
    if (!b) {
        p->backend->block_free(p->backend, data, size);
        err_set(err, ERR_LIMIT, "kv: no memory for a block");
        return NULL;
    }
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

static struct block *block_of(const struct kv *kv, int page_or_live)
{
    return page_or_live == KV_LIVE ? kv->live : kv->pages[page_or_live];
}

size_t kv_bytes(const struct kv *kv)
{
    size_t size = 0;
    for (int i = kv->live ? KV_LIVE : 0; i < kv->n_pages; i++)
        size += block_of(kv, i)->size;
    return size;
}

size_t kv_keep_bytes(const struct kv *kv)
{
    size_t size = 0;
    for (int i = kv->live ? KV_LIVE : 0; i < kv->n_pages; i++)
        if (!block_of(kv, i)->kept) size += block_of(kv, i)->size;
    return size;
}

void kv_keep(struct kv *kv)
{
    CHECK(!kv->kept, "kv: kept twice");
    kv->pool->kept_bytes += kv_keep_bytes(kv);
    for (int i = kv->live ? KV_LIVE : 0; i < kv->n_pages; i++)
        block_of(kv, i)->kept++;
    kv->kept = true;
}

static void unkeep(struct kv *kv)
{
    for (int i = kv->live ? KV_LIVE : 0; i < kv->n_pages; i++) {
        struct block *b = block_of(kv, i);
        if (--b->kept == 0) kv->pool->kept_bytes -= b->size;
    }
    kv->kept = false;
}

size_t kv_kept_alone(const struct kv *kv)
{
    size_t size = kv->live && kv->live->kept == 1 ? kv->live->size : 0;
    for (int i = kv->n_pages - 1; i >= 0 && kv->pages[i]->kept == 1; i--)
        size += kv->pages[i]->size;
    return size;
}

struct kv *kv_new(struct kv_pool *p)
{
    struct kv *kv = calloc(1, sizeof *kv);
    if (kv) kv->pool = p;
    return kv;
}

static int grow(struct kv *kv, int n_pages, struct err *err)
{
    if (n_pages <= kv->cap) return 0;
    size_t cap = kv->cap ? (size_t)kv->cap : 8;
    while (cap < (size_t)n_pages)
        cap *= 2;
    struct block **pages = realloc(kv->pages, cap * sizeof *pages);
    if (pages) kv->pages = pages;
    void **data = realloc(kv->data, cap * sizeof *data);
    if (data) kv->data = data;
    if (!pages || !data) return err_set(err, ERR_LIMIT, "kv: no memory for %d pages", n_pages);
    kv->cap = (int)cap;
    return 0;
}

struct kv *kv_fork(const struct kv *kv)
{
    struct kv *f = kv_new(kv->pool);
    if (!f || grow(f, kv->n_pages, NULL)) {
        kv_free(f);
        return NULL;
    }
    f->length = kv->length;
    f->live = kv->live;
    if (f->live) f->live->refs++;
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
    if (kv->kept) unkeep(kv);
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
    CHECK(!kv->kept, "kv: a kept sequence is not fed");
    if (block_own(p, &kv->live, p->layout->live_bytes, err)) return -1;
    if (!page_bytes) return 0; /* no compressed layer */
    int need = pages_for(kv->length + n), from = kv->length / KV_PAGE;
    if (grow(kv, need, err)) return -1;
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
    struct block *b = block_of(kv, page_or_live);
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
    *out = NULL;
    if (!kv) return err_set(err, ERR_LIMIT, "kv: no memory for a sequence");
    if (length > 0 && kv_reserve(kv, length, err)) {
        kv_free(kv);
        return -1;
    }
    kv->length = length;
    *out = kv;
    return 0;
}

/* --- taking back --- */

struct kv_undo {
    struct kv_pool *pool;
    struct block *block; /* [cap] slots of what one position overwrites */
    int cap, first, n;   /* positions kept: [first, first + n) */
};

int kv_undo_rows(const struct kv_layout *l)
{
    int least = INT32_MAX;
    for (int i = 0; i < l->n_layers; i++) {
        const struct layer_kv *k = &l->layer[i];
        if (k->window < least) least = k->window;
        if (k->ratio && k->carry.slots < least) least = k->carry.slots;
        if (k->ratio == 4 && k->key_carry.slots < least) least = k->key_carry.slots;
    }
    return least;
}

static size_t carry_bytes(const struct carry_place *c)
{
    return 2 * align8((size_t)c->width * sizeof(float));
}

size_t kv_undo_bytes(const struct kv_layout *l, int n)
{
    size_t size = 0;
    for (int i = 0; i < l->n_layers; i++) {
        const struct layer_kv *k = &l->layer[i];
        size += align8(k->row_bytes);
        if (k->ratio) size += carry_bytes(&k->carry) + align8(k->row_bytes);
        if (k->ratio == 4) size += carry_bytes(&k->key_carry) + align8(k->key_bytes);
    }
    return (size_t)n * size;
}

int kv_undo_new(struct kv_undo **out, struct kv_pool *p, int n, struct err *err)
{
    CHECK(n >= 1 && n < kv_undo_rows(p->layout), "kv: %d rows to be taken back", n);
    struct block *block = block_new(p, kv_undo_bytes(p->layout, n), err);
    *out = NULL;
    if (!block) return -1;
    *out = malloc(sizeof **out);
    if (!*out) {
        block_drop(p, block);
        return err_set(err, ERR_LIMIT, "kv: no memory to take rows back");
    }
    **out = (struct kv_undo){.pool = p, .block = block, .cap = n};
    return 0;
}

void kv_undo_free(struct kv_undo *u)
{
    if (!u) return;
    block_drop(u->pool, u->block);
    free(u);
}

/* Copies between a sequence and the place in the undo block where `kept` stands, and moves that on. */
struct mover {
    struct backend *backend;
    char *kept;
    bool back;
};

static void move_bytes(struct mover *m, void *block, size_t offset, size_t size)
{
    char *there = (char *)block + offset;
    m->backend->block_copy(m->backend, m->back ? there : m->kept, m->back ? m->kept : there, size);
    m->kept += align8(size);
}

static void move_carry(struct mover *m, void *live, const struct carry_place *c, int pos)
{
    size_t size = (size_t)c->width * sizeof(float), at = (size_t)(pos % c->slots) * size;
    move_bytes(m, live, c->k + at, size);
    move_bytes(m, live, c->s + at, size);
}

/* The entry that position pos closes, if it does. */
static void move_entry(struct mover *m, void *const *pages, const struct layer_kv *k, int pos)
{
    if ((pos + 1) % k->ratio) return;
    void *page = pages[pos / KV_PAGE];
    size_t at = (size_t)(pos % KV_PAGE / k->ratio);
    move_bytes(m, page, k->rows + at * k->row_bytes, k->row_bytes);
    if (k->ratio == 4) move_bytes(m, page, k->keys + at * k->key_bytes, k->key_bytes);
}

/* Everything that position pos writes but the kept streams. MTP's ring is one position behind. */
static void move_position(struct mover *m, const struct kv *kv, int pos)
{
    const struct kv_layout *l = kv->pool->layout;
    for (int i = 0; i < l->n_layers; i++) {
        const struct layer_kv *k = &l->layer[i];
        bool is_mtp = l->mtp < l->live_bytes && i == l->n_layers - 1;
        int slot = (is_mtp ? pos - 1 : pos) % k->window;
        move_bytes(m, kv->live->data, k->ring + (size_t)slot * k->row_bytes, k->row_bytes);
        if (k->ratio) move_carry(m, kv->live->data, &k->carry, pos);
        if (k->ratio == 4) move_carry(m, kv->live->data, &k->key_carry, pos);
        if (k->ratio) move_entry(m, kv->data, k, pos);
    }
}

static void move_positions(struct kv_undo *u, const struct kv *kv, int from, bool back)
{
    size_t size = kv_undo_bytes(kv->pool->layout, 1);
    CHECK(from >= u->first && from >= 1 && kv->live->refs == 1, "kv: taking back from %d", from);
    for (int pos = from; pos < u->first + u->n; pos++) {
        char *kept = (char *)u->block->data + (size_t)(pos - u->first) * size;
        move_position(&(struct mover){kv->pool->backend, kept, back}, kv, pos);
    }
}

void kv_undo_keep(struct kv_undo *u, const struct kv *kv, int first, int n)
{
    CHECK(n >= 1 && n <= u->cap, "kv: %d of at most %d rows to be kept", n, u->cap);
    CHECK(first >= kv->length && first + n - kv->length <= kv_undo_rows(kv->pool->layout),
          "kv: rows to be kept from %d on, the state has %d", first, kv->length);
    u->first = first;
    u->n = n;
    move_positions(u, kv, first, false);
}

void kv_undo_back(struct kv_undo *u, struct kv *kv, int from, const float *streams)
{
    const struct kv_layout *l = kv->pool->layout;
    CHECK(kv->length == u->first + u->n && from < kv->length, "kv: %d positions, kept %d to %d",
          kv->length, u->first, u->first + u->n);
    move_positions(u, kv, from, true);
    if (l->mtp < l->live_bytes)
        kv_write(kv, KV_LIVE, l->mtp_streams, streams, l->live_bytes - l->mtp_streams);
    kv->length = from;
    u->n = from - u->first;
}
