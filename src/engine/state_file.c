#include "engine/state_file.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/sha256.h"
#include "base/size.h"
#include "model/model.h"

static const char MAGIC[8] = "TENONKV1";

/* Offsets in the header; see state_file.h. */
enum {
    AT_VERSION = 8,
    AT_SECTIONS = 12,
    AT_MODEL = 16,
    AT_MODE = 48,
    AT_ROW_TYPE = 52,
    AT_MTP = 56,
    AT_PAGE = 60,
    AT_LAYOUT = 64,
    AT_TABLE = 96,
    TABLE_ENTRY = 40,
    AT_HASH = AT_TABLE + STATE_SECTIONS * TABLE_ENTRY,
    SAMPLER_BYTES = 24,
    TOKENS_HEAD = 16,
};
_Static_assert(AT_HASH + 32 == STATE_HEADER, "the header's parts add up");

const char *state_section_name(enum state_section s)
{
    static const char *const names[STATE_SECTIONS] = {
        [STATE_TOKENS] = "tokens",  [STATE_RINGS] = "rings",     [STATE_ROWS] = "rows",
        [STATE_KEYS] = "keys",      [STATE_CARRIES] = "carries", [STATE_MTP] = "MTP",
        [STATE_SAMPLER] = "sampler"};
    return names[s];
}

static uint32_t get_u32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint64_t get_u64(const uint8_t *p)
{
    return get_u32(p) | (uint64_t)get_u32(p + 4) << 32;
}

static void put_u32(uint8_t *p, uint32_t x)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(x >> 8 * i);
}

static void put_u64(uint8_t *p, uint64_t x)
{
    put_u32(p, (uint32_t)x);
    put_u32(p + 4, (uint32_t)(x >> 32));
}

/* ---- reading ---- */

static int parse_header(struct state_view *v, const uint8_t *p, size_t size, struct err *err)
{
    if (size < sizeof MAGIC || memcmp(p, MAGIC, sizeof MAGIC))
        return err_set(err, ERR_FORMAT, "not a session file (it does not begin with %.8s)", MAGIC);
    if (size < STATE_HEADER)
        return err_set(err, ERR_FORMAT, "%zu bytes, the header alone has %d: the file is cut off",
                       size, STATE_HEADER);
    if (get_u32(p + AT_VERSION) != STATE_VERSION)
        return err_set(err, ERR_UNSUPPORTED, "session file version %u, this program reads %d",
                       get_u32(p + AT_VERSION), STATE_VERSION);
    uint8_t hash[32];
    sha256_of(p, AT_HASH, hash);
    if (memcmp(hash, p + AT_HASH, sizeof hash))
        return err_set(err, ERR_FORMAT, "the header is damaged (its SHA-256 does not match)");
    if (get_u32(p + AT_SECTIONS) != STATE_SECTIONS)
        return err_set(err, ERR_FORMAT, "%u sections, there must be %d", get_u32(p + AT_SECTIONS),
                       STATE_SECTIONS);
    if (get_u32(p + AT_PAGE) != KV_PAGE)
        return err_set(err, ERR_UNSUPPORTED, "pages of %u positions, this program has %d",
                       get_u32(p + AT_PAGE), KV_PAGE);
    memcpy(v->id.model, p + AT_MODEL, sizeof v->id.model);
    memcpy(v->id.layout, p + AT_LAYOUT, sizeof v->id.layout);
    v->id.mode = get_u32(p + AT_MODE);
    v->id.row_type = get_u32(p + AT_ROW_TYPE);
    v->id.with_mtp = get_u32(p + AT_MTP);
    if (v->id.mode > MODE_FLOAT || v->id.row_type > 1 || v->id.with_mtp > 1)
        return err_set(err, ERR_FORMAT, "numeric mode %u, row type %u, MTP %u: unknown", v->id.mode,
                       v->id.row_type, v->id.with_mtp);
    return 0;
}

static int parse_sections(struct state_view *v, const uint8_t *p, size_t size, struct err *err)
{
    size_t at = STATE_HEADER;
    for (int i = 0; i < STATE_SECTIONS; i++) {
        const uint8_t *entry = p + AT_TABLE + i * TABLE_ENTRY;
        const char *name = state_section_name((enum state_section)i);
        uint64_t n = get_u64(entry);
        if (n > size - at)
            return err_set(err, ERR_FORMAT,
                           "section %s has %llu bytes, the file only %zu more: it is cut off", name,
                           (unsigned long long)n, size - at);
        uint8_t hash[32];
        sha256_of(p + at, (size_t)n, hash);
        if (memcmp(hash, entry + 8, sizeof hash))
            return err_set(err, ERR_FORMAT, "section %s is damaged (its SHA-256 does not match)",
                           name);
        v->section[i] = (struct state_bytes){.data = p + at, .size = (size_t)n};
        at += (size_t)n;
    }
    if (at != size) return err_set(err, ERR_FORMAT, "%zu bytes follow the last section", size - at);
    return 0;
}

static int parse_tokens(struct state_view *v, struct err *err)
{
    struct state_bytes b = v->section[STATE_TOKENS];
    if (b.size < TOKENS_HEAD || (b.size - TOKENS_HEAD) % 4)
        return err_set(err, ERR_FORMAT, "section tokens has %zu bytes, not %d and 4 for each token",
                       b.size, TOKENS_HEAD);
    uint64_t n = get_u64(b.data), fed = get_u64(b.data + 8);
    if (n != (b.size - TOKENS_HEAD) / 4 || fed > n || size_to_int(n, &v->n_tokens) ||
        size_to_int(fed, &v->n_fed))
        return err_set(err, ERR_FORMAT,
                       "section tokens says %llu tokens, %llu fed; it has room for %zu",
                       (unsigned long long)n, (unsigned long long)fed, (b.size - TOKENS_HEAD) / 4);
    v->token_ids = b.data + TOKENS_HEAD;
    return 0;
}

static int parse_sampler(struct state_view *v, struct err *err)
{
    struct state_bytes b = v->section[STATE_SAMPLER];
    if (b.size != SAMPLER_BYTES || get_u32(b.data + 12) != 0)
        return err_set(err, ERR_FORMAT, "section sampler has %zu bytes or bad padding", b.size);
    if (get_u64(b.data + 16) != (uint64_t)v->n_tokens)
        return err_set(err, ERR_FORMAT, "the sampler stands at %llu, the session at %d",
                       (unsigned long long)get_u64(b.data + 16), v->n_tokens);
    v->key = (struct sampler_key){.seed = get_u64(b.data), .choice = get_u32(b.data + 8)};
    return 0;
}

int state_parse(struct state_view *out, const char *what, const void *data, size_t size,
                struct err *err)
{
    *out = (struct state_view){0};
    if (parse_header(out, data, size, err) || parse_sections(out, data, size, err) ||
        parse_tokens(out, err) || parse_sampler(out, err)) {
        *out = (struct state_view){0};
        return err_prefix(err, "%s", what);
    }
    return 0;
}

/* ---- writing ---- */

int state_image_new(struct state_image *image, const struct state_view *v, struct err *err)
{
    *image = (struct state_image){0};
    uint64_t size = STATE_HEADER, sizes[STATE_SECTIONS];
    for (int i = 0; i < STATE_SECTIONS; i++) {
        sizes[i] = v->section[i].size;
        if (i == STATE_TOKENS) sizes[i] = TOKENS_HEAD + 4 * (uint64_t)v->n_tokens;
        if (i == STATE_SAMPLER) sizes[i] = SAMPLER_BYTES;
        if (size_add(size, sizes[i], &size))
            return err_set(err, ERR_LIMIT, "a session file this large cannot be");
    }
    uint8_t *p = calloc(1, (size_t)size);
    if (!p)
        return err_set(err, ERR_LIMIT, "no memory for a session file of %llu bytes",
                       (unsigned long long)size);
    *image = (struct state_image){.data = p, .size = (size_t)size};

    memcpy(p, MAGIC, sizeof MAGIC);
    put_u32(p + AT_VERSION, STATE_VERSION);
    put_u32(p + AT_SECTIONS, STATE_SECTIONS);
    memcpy(p + AT_MODEL, v->id.model, sizeof v->id.model);
    put_u32(p + AT_MODE, v->id.mode);
    put_u32(p + AT_ROW_TYPE, v->id.row_type);
    put_u32(p + AT_MTP, v->id.with_mtp);
    put_u32(p + AT_PAGE, KV_PAGE);
    memcpy(p + AT_LAYOUT, v->id.layout, sizeof v->id.layout);
    for (int i = 0; i < STATE_SECTIONS; i++)
        put_u64(p + AT_TABLE + i * TABLE_ENTRY, sizes[i]);

    uint8_t *tokens = state_image_section(image, STATE_TOKENS);
    put_u64(tokens, (uint64_t)v->n_tokens);
    put_u64(tokens + 8, (uint64_t)v->n_fed);
    if (v->n_tokens) memcpy(tokens + TOKENS_HEAD, v->token_ids, 4 * (size_t)v->n_tokens);
    uint8_t *sampler = state_image_section(image, STATE_SAMPLER);
    put_u64(sampler, v->key.seed);
    put_u32(sampler + 8, v->key.choice);
    put_u64(sampler + 16, (uint64_t)v->n_tokens);
    return 0;
}

uint8_t *state_image_section(const struct state_image *image, enum state_section s)
{
    uint8_t *at = image->data + STATE_HEADER;
    for (int i = 0; i < (int)s; i++)
        at += get_u64(image->data + AT_TABLE + i * TABLE_ENTRY);
    return at;
}

void state_image_seal(struct state_image *image)
{
    for (int i = 0; i < STATE_SECTIONS; i++) {
        uint8_t *entry = image->data + AT_TABLE + i * TABLE_ENTRY;
        sha256_of(state_image_section(image, (enum state_section)i), (size_t)get_u64(entry),
                  entry + 8);
    }
    sha256_of(image->data, AT_HASH, image->data + AT_HASH);
}

/* ---- sessions ---- */

static void hash_number(struct sha256 *h, uint64_t x)
{
    uint8_t bytes[8];
    put_u64(bytes, x);
    sha256_add(h, bytes, sizeof bytes);
}

static void hash_carry(struct sha256 *h, const struct carry_place *c)
{
    hash_number(h, (uint64_t)c->slots);
    hash_number(h, (uint64_t)c->width);
    hash_number(h, c->k);
    hash_number(h, c->s);
}

static void hash_layout(const struct kv_layout *l, uint8_t out[32])
{
    struct sha256 *h = sha256_new();
    const uint64_t whole[] = {
        (uint64_t)l->n_layers, l->live_bytes, l->page_bytes, l->carries, l->mtp,
        l->mtp_streams,        l->keys};
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++)
        hash_number(h, whole[i]);
    for (int i = 0; i < l->n_layers; i++) {
        const struct layer_kv *k = &l->layer[i];
        const uint64_t part[] = {(uint64_t)k->ratio,
                                 (uint64_t)k->window,
                                 (uint64_t)k->head_dim,
                                 (uint64_t)k->rope_dim,
                                 (uint64_t)k->index_dim,
                                 k->row_bytes,
                                 k->key_bytes,
                                 k->ring,
                                 k->rows,
                                 k->keys};
        for (size_t j = 0; j < sizeof part / sizeof *part; j++)
            hash_number(h, part[j]);
        hash_carry(h, &k->carry);
        hash_carry(h, &k->key_carry);
    }
    sha256_end(h, out);
    sha256_free(h);
}

struct state_identity state_identity_of(const struct model *m, const uint8_t digest[32])
{
    enum numeric_mode mode = model_backend(m)->mode;
    struct state_identity id = {
        .mode = (uint32_t)mode, .row_type = mode == MODE_FLOAT, .with_mtp = model_has_mtp(m)};
    memcpy(id.model, digest, sizeof id.model);
    hash_layout(model_layout(m), id.layout);
    return id;
}

/* Where a device section lies: one range of the live block, or one of every page. */
struct place {
    enum state_section section;
    bool paged;
    size_t offset, size;
};

enum { PLACES = 5 };

static void places_of(const struct kv_layout *l, struct place out[PLACES])
{
    const struct place places[PLACES] = {
        {STATE_RINGS, false, 0, l->carries},
        {STATE_CARRIES, false, l->carries, l->mtp - l->carries},
        {STATE_MTP, false, l->mtp, l->live_bytes - l->mtp},
        {STATE_ROWS, true, 0, l->keys},
        {STATE_KEYS, true, l->keys, l->page_bytes - l->keys},
    };
    memcpy(out, places, sizeof places);
}

/* Bytes of a place in a file of `fed` positions. */
static size_t place_bytes(const struct kv_layout *l, const struct place *p, int fed)
{
    if (fed == 0) return 0;
    if (!p->paged) return p->size;
    return l->page_bytes ? ((size_t)fed + KV_PAGE - 1) / KV_PAGE * p->size : 0;
}

int state_copy_begin(struct state_copy *c, const struct session *s, const struct state_identity *id,
                     struct err *err)
{
    const struct kv_layout *l = kv_layout_of(session_kv(s));
    struct place places[PLACES];
    places_of(l, places);
    struct state_view v = {.id = *id,
                           .token_ids = (const uint8_t *)session_tokens(s),
                           .n_tokens = session_length(s),
                           .n_fed = session_fed(s),
                           .key = session_key(s)};
    for (int i = 0; i < PLACES; i++)
        v.section[places[i].section].size = place_bytes(l, &places[i], v.n_fed);
    *c = (struct state_copy){.session = s};
    return state_image_new(&c->image, &v, err);
}

bool state_copy_some(struct state_copy *c, size_t max_bytes)
{
    const struct kv *kv = session_kv(c->session);
    const struct kv_layout *l = kv_layout_of(kv);
    struct place places[PLACES];
    places_of(l, places);
    for (size_t copied = 0; c->place < PLACES && copied < max_bytes;) {
        const struct place *p = &places[c->place];
        size_t at = (size_t)c->block * p->size;
        if (at == place_bytes(l, p, session_fed(c->session))) {
            c->place++;
            c->block = 0;
            continue;
        }
        kv_read(kv, p->paged ? c->block : KV_LIVE, p->offset,
                state_image_section(&c->image, p->section) + at, p->size);
        copied += p->size;
        c->block++;
    }
    return c->place == PLACES;
}

int session_save(const struct session *s, const uint8_t model_digest[32], const char *path,
                 struct err *err)
{
    struct state_copy c;
    struct state_identity id = state_identity_of(session_model(s), model_digest);
    if (state_copy_begin(&c, s, &id, err)) return err_prefix(err, "%s", path);
    state_copy_some(&c, SIZE_MAX);
    state_image_seal(&c.image);
    int rc = file_replace(path, c.image.data, c.image.size, err);
    free(c.image.data);
    return rc;
}

static int check_identity(const struct state_identity *got, const struct state_identity *want,
                          struct err *err)
{
    static const char *const modes[] = {"default", "--activations f32", "--float"};
    char a[17], b[17];
    sha256_hex(got->model, 8, a);
    sha256_hex(want->model, 8, b);
    if (memcmp(got->model, want->model, sizeof got->model))
        return err_set(err, ERR_FORMAT, "made with another model: digest %s, this one has %s", a,
                       b);
    if (got->mode != want->mode)
        return err_set(err, ERR_FORMAT, "made in numeric mode %s, this run is in %s",
                       modes[got->mode], modes[want->mode]);
    if (got->row_type != want->row_type)
        return err_set(err, ERR_FORMAT, "kv rows of type %u, this run has %u", got->row_type,
                       want->row_type);
    if (got->with_mtp != want->with_mtp)
        return err_set(err, ERR_FORMAT, "made %s MTP state, this run is %s",
                       got->with_mtp ? "with" : "without", want->with_mtp ? "with" : "without");
    if (memcmp(got->layout, want->layout, sizeof got->layout))
        return err_set(err, ERR_FORMAT,
                       "made by a version of this program that lays state out "
                       "otherwise");
    return 0;
}

/* Token ids as ints, each in [0, vocab). The caller frees. */
static int read_tokens(int32_t **out, const struct state_view *v, int vocab, struct err *err)
{
    int32_t *tokens = malloc(((size_t)v->n_tokens + 1) * sizeof *tokens);
    if (!tokens) return err_set(err, ERR_LIMIT, "no memory for %d tokens", v->n_tokens);
    for (int i = 0; i < v->n_tokens; i++) {
        uint32_t id = get_u32(v->token_ids + 4 * (size_t)i);
        if (id >= (uint32_t)vocab) {
            free(tokens);
            return err_set(err, ERR_FORMAT, "token %d is %u, the vocabulary has 0 to %d", i, id,
                           vocab - 1);
        }
        tokens[i] = (int32_t)id;
    }
    *out = tokens;
    return 0;
}

static int check_sections(const struct kv_layout *l, const struct state_view *v, struct err *err)
{
    struct place places[PLACES];
    places_of(l, places);
    for (int i = 0; i < PLACES; i++) {
        size_t need = place_bytes(l, &places[i], v->n_fed);
        size_t size = v->section[places[i].section].size;
        if (size != need)
            return err_set(err, ERR_FORMAT, "section %s has %zu bytes, %d positions need %zu",
                           state_section_name(places[i].section), size, v->n_fed, need);
    }
    return 0;
}

int state_fill_begin(struct state_fill *f, struct model *m, struct kv_pool *pool,
                     const struct state_identity *want, const struct state_view *v, struct err *err)
{
    const struct config *c = model_config(m);
    *f = (struct state_fill){.model = m, .pool = pool, .view = v};
    if (check_identity(&v->id, want, err)) return -1;
    if (v->n_tokens > c->max_positions)
        return err_set(err, ERR_FORMAT, "%d tokens, the model has %d positions", v->n_tokens,
                       c->max_positions);
    if (check_sections(model_layout(m), v, err) || read_tokens(&f->tokens, v, c->vocab, err))
        return -1;
    f->kv = kv_new(pool);
    if (f->kv) return 0;
    state_fill_drop(f);
    return err_set(err, ERR_LIMIT, "no memory for a session");
}

/* The pages, or the live block, of the sections. */
static void fill_block(struct state_fill *f, int block)
{
    struct place places[PLACES];
    places_of(model_layout(f->model), places);
    for (int i = 0; i < PLACES; i++) {
        const struct place *p = &places[i];
        if (p->paged != (block != KV_LIVE) || !p->size) continue;
        size_t at = p->paged ? (size_t)block * p->size : 0;
        kv_write(f->kv, block, p->offset, f->view->section[p->section].data + at, p->size);
    }
}

int state_fill_some(struct state_fill *f, size_t max_bytes, struct err *err)
{
    const struct kv_layout *l = model_layout(f->model);
    for (size_t copied = 0; kv_length(f->kv) < f->view->n_fed; copied += l->page_bytes) {
        int at = kv_length(f->kv), left = f->view->n_fed - at;
        if (copied >= max_bytes) return 0;
        if (kv_reserve(f->kv, left < KV_PAGE ? left : KV_PAGE, err)) return -1;
        if (at == 0) fill_block(f, KV_LIVE);
        if (l->page_bytes) fill_block(f, at / KV_PAGE);
        kv_advance(f->kv, left < KV_PAGE ? left : KV_PAGE);
    }
    return 1;
}

int state_fill_end(struct state_fill *f, struct session **out, struct err *err)
{
    struct kv *kv = f->kv;
    f->kv = NULL;
    int rc =
        session_from(out, f->model, f->pool, kv, f->tokens, f->view->n_tokens, f->view->key, err);
    state_fill_drop(f);
    return rc;
}

void state_fill_drop(struct state_fill *f)
{
    kv_free(f->kv);
    free(f->tokens);
    *f = (struct state_fill){0};
}

static int bind(struct session **out, struct model *m, struct kv_pool *pool,
                const struct state_identity *want, const struct state_view *v, struct err *err)
{
    struct state_fill f;
    if (state_fill_begin(&f, m, pool, want, v, err)) return -1;
    if (state_fill_some(&f, SIZE_MAX, err) == 1) return state_fill_end(&f, out, err);
    state_fill_drop(&f);
    return -1;
}

int session_from_state(struct session **out, struct model *m, struct kv_pool *pool,
                       const struct state_identity *want, const struct state_view *v,
                       const char *what, struct err *err)
{
    *out = NULL;
    return bind(out, m, pool, want, v, err) ? err_prefix(err, "%s", what) : 0;
}

int session_load(struct session **out, struct model *m, struct kv_pool *pool,
                 const uint8_t model_digest[32], const char *path, struct err *err)
{
    *out = NULL;
    const struct kv_layout *l = model_layout(m);
    struct place places[PLACES];
    places_of(l, places);
    int longest = model_config(m)->max_positions;
    uint64_t max = STATE_HEADER + TOKENS_HEAD + SAMPLER_BYTES + 4 * (uint64_t)longest;
    for (int i = 0; i < PLACES; i++)
        max += place_bytes(l, &places[i], longest);

    char *data = NULL;
    size_t size = 0;
    struct state_view v;
    struct state_identity want = state_identity_of(m, model_digest);
    if (file_slurp(path, (size_t)max, &data, &size, err)) return -1;
    int rc = state_parse(&v, path, data, size, err);
    if (!rc) rc = session_from_state(out, m, pool, &want, &v, path, err);
    free(data);
    return rc;
}

bool session_file_has_mtp(const char *path)
{
    uint8_t head[AT_LAYOUT];
    FILE *f = fopen(path, "rbe");
    if (!f) return false;
    bool read = fread(head, sizeof head, 1, f) == 1;
    fclose(f);
    return read && !memcmp(head, MAGIC, sizeof MAGIC) && get_u32(head + AT_MTP) == 1;
}
