#include "engine/prefix_cache.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/log.h"
#include "model/model.h"

struct entry {
    struct entry *next; /* of its group, more tokens */
    uint8_t key[HMAC_BYTES];
    struct cache_tenant tenant;
    struct session *session; /* kept; all its tokens are fed */
    uint64_t last_use;       /* by the group's clock */
    unsigned hits;
    uint64_t to_disk; /* its turn; 0: none */
};

/* What a group has. */
struct share {
    struct share *next;
    unsigned group;
    struct entry *entries; /* fewest tokens first; never NULL between calls */
    size_t bytes;
    int n_entries;
    uint64_t clock;
};

struct prefix_cache {
    struct model *m;
    struct kv_pool *pool;
    struct prefix_options o;
    struct state_identity model;
    uint8_t secret[CACHE_SECRET];
    size_t limit;
    size_t tokens; /* bytes of the entries' lists of tokens */
    struct share *shares;
    struct prefix_stats stats;
    /* the disk; NULL: none */
    struct cache_disk *disk;
    uint64_t turns;       /* given to entries */
    int n_to_disk;        /* entries that have one */
    struct entry *copied; /* on its way out; NULL: none */
    struct state_copy copy;
    struct disk_request write;
    bool is_writing;
    struct cache_load *loads,
        **last_load;         /* the first one is the reader's, is filled, or is over */
    bool is_read, is_loaded; /* it: the bytes are here; it is over */
    struct state_fill fill;  /* of it; kv NULL: not begun */
    struct session *filled;  /* of it, once it is over; NULL: a miss */
};

static int open_disk(struct prefix_cache *c, const struct prefix_options *o, struct err *err)
{
    struct disk_options d = {.dir = o->dir, .max_bytes = o->disk, .model = c->model};
    return o->dir ? cache_disk_open(&c->disk, &d, err) : 0;
}

int prefix_cache_open(struct prefix_cache **out, struct model *m, struct kv_pool *pool,
                      const struct prefix_options *o, struct err *err)
{
    CHECK(o->every >= 1, "a point every %d tokens", o->every);
    struct prefix_cache *c = calloc(1, sizeof *c);
    *out = NULL;
    if (!c) return err_set(err, ERR_LIMIT, "no memory for a cache");
    *c = (struct prefix_cache){.m = m, .pool = pool, .o = *o, .limit = o->memory};
    c->model = state_identity_of(m, o->model_digest);
    c->last_load = &c->loads;
    int rc = open_disk(c, o, err);
    if (rc == 0 && getrandom(c->secret, sizeof c->secret, 0) != (ssize_t)sizeof c->secret)
        rc = err_set(err, ERR_IO, "no random numbers for the cache's secret");
    if (rc) {
        cache_disk_close(c->disk);
        free(c);
        return -1;
    }
    *out = c;
    return 0;
}

/* --- what entries take --- */

static size_t kept_bytes(const struct prefix_cache *c)
{
    return kv_pool_kept(c->pool) + c->tokens;
}

static size_t token_bytes(const struct session *s)
{
    return (size_t)session_fed(s) * sizeof *session_tokens(s);
}

/* --- eviction --- */

static void drop_empty_shares(struct prefix_cache *c)
{
    for (struct share **at = &c->shares, *s; (s = *at);) {
        if (s->entries) {
            at = &s->next;
        } else {
            *at = s->next;
            free(s);
        }
    }
}

/* Its turn is over, or will not come. */
static void end_turn(struct prefix_cache *c, struct entry *e)
{
    if (e->to_disk) c->n_to_disk--;
    e->to_disk = 0;
    if (c->copied != e) return;
    free(c->copy.image.data);
    c->copied = NULL;
}

static void drop_entry(struct prefix_cache *c, struct share *share, struct entry *e)
{
    struct entry **at = &share->entries;
    size_t before = kept_bytes(c);
    while (*at != e)
        at = &(*at)->next;
    *at = e->next;
    end_turn(c, e);
    c->tokens -= token_bytes(e->session);
    session_free(e->session);
    free(e);
    share->bytes -= before - kept_bytes(c);
    share->n_entries--;
    c->stats.n_entries--;
}

static struct entry *worst_entry(const struct share *share)
{
    struct entry *worst = NULL;
    double most = -1;
    for (struct entry *e = share->entries; e; e = e->next) {
        double age = (double)(share->clock - e->last_use + 1);
        size_t alone = kv_kept_alone(session_kv(e->session)) + token_bytes(e->session);
        double rank = age * (double)alone / (1 + (double)e->hits);
        if (rank <= most) continue;
        most = rank;
        worst = e;
    }
    return worst;
}

enum measure { BYTES, ENTRIES };

/* Makes one entry go, for `wanted` bytes or entries of group `asks` (NULL: of nobody). False when the one that has
 * to give is that group, and it has nothing. */
static bool evict(struct prefix_cache *c, enum measure by, const struct share *asks, size_t wanted)
{
    struct share *fullest = NULL;
    size_t most = 0;
    for (struct share *s = c->shares; s; s = s->next) {
        size_t has = by == BYTES ? s->bytes : (size_t)s->n_entries;
        if (s == asks) has += wanted;
        if (fullest && has <= most) continue;
        fullest = s;
        most = has;
    }
    if (!fullest || !fullest->entries) return false;
    drop_entry(c, fullest, worst_entry(fullest));
    c->stats.n_evicted++;
    return true;
}

void prefix_cache_limit(struct prefix_cache *c, size_t bytes)
{
    c->limit = bytes < c->o.memory ? bytes : c->o.memory;
    while (kept_bytes(c) > c->limit && evict(c, BYTES, NULL, 0))
        ;
    drop_empty_shares(c);
}

/* --- finding --- */

static struct share *find_share(const struct prefix_cache *c, unsigned group)
{
    struct share *s = c->shares;
    while (s && s->group != group)
        s = s->next;
    return s;
}

/* Whether e can be of these tokens at all: what is cheap to see. */
static bool is_likely(const struct entry *e, const struct cache_tenant *t, const int32_t *ids,
                      int n)
{
    int fed = session_fed(e->session);
    return fed <= n && ids[fed - 1] == session_tokens(e->session)[fed - 1] &&
           !memcmp(e->tenant.scope, t->scope, sizeof t->scope);
}

/* The longest entry that ids[0, n) begins with. */
static struct entry *find_longest(const struct prefix_cache *c, const struct share *share,
                                  const struct cache_tenant *t, const int32_t *ids, int n)
{
    struct cache_keys keys;
    struct entry *longest = NULL;
    cache_keys_begin(&keys, c->secret, &c->model, t);
    for (struct entry *e = share->entries; e; e = e->next) {
        uint8_t key[HMAC_BYTES];
        int fed = session_fed(e->session);
        if (!is_likely(e, t, ids, n)) continue;
        cache_keys_at(&keys, ids, fed, key);
        if (hmac_equal(key, e->key) && session_common(e->session, ids, fed) == fed) longest = e;
    }
    return longest;
}

struct session *prefix_cache_find(struct prefix_cache *c, const struct cache_tenant *t,
                                  const int32_t *ids, int n)
{
    struct share *share = find_share(c, t->group);
    struct entry *e = share ? find_longest(c, share, t, ids, n - 1) : NULL;
    if (!e) return NULL;
    e->hits++;
    e->last_use = ++share->clock;
    return session_fork(e->session);
}

/* --- storing --- */

static struct share *make_share(struct prefix_cache *c, unsigned group)
{
    struct share *s = calloc(1, sizeof *s);
    if (!s) return NULL;
    *s = (struct share){.next = c->shares, .group = group};
    c->shares = s;
    return s;
}

/* What s was fed, as an entry that is not yet in the list. NULL when there is no memory. */
static struct entry *make_entry(const struct session *s, const struct cache_tenant *t,
                                const uint8_t key[HMAC_BYTES])
{
    struct entry *e = calloc(1, sizeof *e);
    if (e) e->session = session_fork(s);
    if (!e || !e->session) {
        free(e);
        return NULL;
    }
    session_drop_pending(e->session);
    e->tenant = *t;
    memcpy(e->key, key, sizeof e->key);
    return e;
}

/* Evicts until e can be kept. Which blocks others keep changes with every entry that goes. */
static bool make_room(struct prefix_cache *c, const struct share *share, const struct entry *e)
{
    for (;;) {
        size_t wanted = kv_keep_bytes(session_kv(e->session)) + token_bytes(e->session);
        size_t kept = kept_bytes(c);
        bool fits = wanted <= c->limit && kept <= c->limit - wanted;
        if (fits && c->stats.n_entries < PREFIX_MAX_ENTRIES) return true;
        if (!(fits ? evict(c, ENTRIES, share, 1) : evict(c, BYTES, share, wanted))) return false;
    }
}

static void insert(struct prefix_cache *c, struct share *share, struct entry *e)
{
    struct entry **at = &share->entries;
    size_t before = kept_bytes(c);
    while (*at && session_fed((*at)->session) < session_fed(e->session))
        at = &(*at)->next;
    e->next = *at;
    *at = e;
    session_keep(e->session);
    c->tokens += token_bytes(e->session);
    e->last_use = ++share->clock;
    share->bytes += kept_bytes(c) - before;
    share->n_entries++;
    c->stats.n_entries++;
    c->stats.n_stored++;
}

static void give_turn(struct prefix_cache *c, struct entry *e)
{
    if (!c->disk || e->to_disk) return;
    e->to_disk = ++c->turns;
    c->n_to_disk++;
}

static struct entry *find_key(const struct share *share, const uint8_t key[HMAC_BYTES])
{
    struct entry *e = share->entries;
    while (e && !hmac_equal(e->key, key))
        e = e->next;
    return e;
}

void prefix_cache_store(struct prefix_cache *c, const struct cache_tenant *t,
                        const struct session *s, bool to_disk)
{
    struct cache_keys keys;
    uint8_t key[HMAC_BYTES];
    if (session_fed(s) < PREFIX_MIN || kv_bytes(session_kv(s)) + token_bytes(s) > c->limit) return;
    cache_keys_begin(&keys, c->secret, &c->model, t);
    cache_keys_at(&keys, session_tokens(s), session_fed(s), key);
    struct share *share = find_share(c, t->group);
    struct entry *e = share ? find_key(share, key) : NULL;
    if (e) {
        e->last_use = ++share->clock;
        if (to_disk) give_turn(c, e);
        return;
    }
    if (!share) share = make_share(c, t->group);
    e = share ? make_entry(s, t, key) : NULL;
    if (e && make_room(c, share, e)) {
        insert(c, share, e);
        if (to_disk) give_turn(c, e);
    } else if (e) {
        session_free(e->session);
        free(e);
    }
    drop_empty_shares(c);
}

int prefix_cache_point(const struct prefix_cache *c, int n_system, int n_ids, int fed)
{
    if (fed < PREFIX_MIN - 1) fed = PREFIX_MIN - 1;
    int last = n_ids - 1, at = fed < last ? last : n_ids;
    long long even = ((long long)fed / c->o.every + 1) * c->o.every;
    if (even < at) at = (int)even;
    if (n_system > fed && n_system < at) at = n_system;
    return at;
}

bool prefix_cache_wants_disk(const struct prefix_cache *c, int n_system, int n_ids, int fed)
{
    return fed == n_system || fed >= n_ids - 1 - c->o.every;
}

/* --- the way out --- */

/* Whose turn it is. */
static struct entry *next_to_disk(const struct prefix_cache *c)
{
    struct entry *next = NULL;
    for (const struct share *s = c->shares; s && c->n_to_disk; s = s->next)
        for (struct entry *e = s->entries; e; e = e->next) {
            if (!e->to_disk || (next && e->to_disk >= next->to_disk)) continue;
            next = e;
        }
    return next;
}

/* Begins to copy the next entry that the disk does not have. */
static void begin_copy(struct prefix_cache *c)
{
    for (struct entry *e; !c->copied && (e = next_to_disk(c));) {
        c->write = (struct disk_request){.kind = DISK_WRITE};
        if (cache_disk_name(c->disk, &e->tenant, session_tokens(e->session),
                            session_fed(e->session), &c->write.name) &&
            state_copy_begin(&c->copy, e->session, &c->model, NULL) == 0)
            c->copied = e;
        else
            end_turn(c, e);
    }
}

static void copy_slice(struct prefix_cache *c)
{
    struct entry *e = c->copied;
    if (!state_copy_some(&c->copy, PREFIX_SLICE)) return;
    c->write.image = c->copy.image;
    c->copy.image.data = NULL;
    end_turn(c, e);
    c->is_writing = true;
    cache_disk_submit(c->disk, &c->write);
}

/* 1: the session is there; 0: not yet; -1: it will not be. */
static int fill_some(struct prefix_cache *c, const struct disk_request *r, struct err *err)
{
    if (!c->fill.kv && state_fill_begin(&c->fill, c->m, c->pool, &c->model, &r->view, err))
        return -1;
    int rc = state_fill_some(&c->fill, PREFIX_SLICE, err);
    if (rc == 1 && state_fill_end(&c->fill, &c->filled, err)) rc = -1;
    if (rc < 0) state_fill_drop(&c->fill);
    return rc;
}

/* Of what was read, into the pool. */
static void fill_slice(struct prefix_cache *c)
{
    struct disk_request *r = &c->loads->request;
    struct err err = {0};
    int rc = r->image.data ? fill_some(c, r, &err) : -1;
    if (rc == 0) return;
    if (rc < 0 && err.code != ERR_NONE && err.code != ERR_LIMIT)
        cache_disk_refuse(c->disk, &r->name, err.message);
    free(r->image.data);
    r->image = (struct state_image){0};
    c->is_loaded = true;
}

static void take_done(struct prefix_cache *c, bool wait)
{
    struct queue_item *i = cache_disk_take(c->disk, wait);
    for (struct queue_item *next; i; i = next) {
        next = i->next;
        if (i == &c->write.item)
            c->is_writing = false;
        else
            c->is_read = true;
    }
}

bool prefix_cache_work(struct prefix_cache *c)
{
    if (!c->disk) return false;
    take_done(c, false);
    if (c->is_read && !c->is_loaded) fill_slice(c);
    if (!c->is_writing && !c->copied) begin_copy(c);
    if (c->copied) copy_slice(c);
    return c->copied || c->is_read;
}

static void flush(struct prefix_cache *c)
{
    double end = clock_seconds() + PREFIX_FLUSH_SECONDS;
    while (prefix_cache_work(c) || c->is_writing) {
        if (c->is_writing) take_done(c, true);
        if (clock_seconds() > end) break;
    }
    if (c->n_to_disk) log_info("cache: %d entries were not written in time", c->n_to_disk);
}

void prefix_cache_close(struct prefix_cache *c)
{
    if (!c) return;
    if (c->disk) flush(c);
    for (struct share *s = c->shares; s; s = s->next)
        while (s->entries)
            drop_entry(c, s, s->entries);
    drop_empty_shares(c);
    cache_disk_close(c->disk);
    explicit_bzero(c->secret, sizeof c->secret);
    free(c);
}

void prefix_cache_on_wake(struct prefix_cache *c, void (*wake)(void *ctx), void *ctx)
{
    if (c->disk) cache_disk_on_done(c->disk, wake, ctx);
}

/* --- the way in --- */

bool prefix_cache_load(struct prefix_cache *c, struct cache_load *load,
                       const struct cache_tenant *t, const int32_t *ids, int n, int found)
{
    int gain = found && c->o.every / 2 > PREFIX_MIN ? c->o.every / 2 : PREFIX_MIN;
    *load = (struct cache_load){.request.kind = DISK_LOAD};
    if (!c->disk || gain >= n - found ||
        !cache_disk_find(c->disk, t, ids, n - 1, found + gain - 1, &load->request.name))
        return false;
    if (!c->loads) cache_disk_submit(c->disk, &load->request);
    *c->last_load = load;
    c->last_load = &load->next;
    return true;
}

struct cache_load *prefix_cache_loaded(struct prefix_cache *c)
{
    return c->is_loaded ? c->loads : NULL;
}

struct session *prefix_cache_take(struct prefix_cache *c, struct cache_load *load,
                                  const int32_t *ids)
{
    CHECK(c->is_loaded && load == c->loads, "a load out of turn");
    struct session *s = c->filled;
    if (s && session_common(s, ids, session_fed(s)) < session_fed(s)) {
        cache_disk_refuse(c->disk, &load->request.name, "its tokens are others than its key says");
        session_free(s);
        s = NULL;
    }
    c->filled = NULL;
    c->is_read = c->is_loaded = false;
    c->loads = load->next;
    if (!c->loads) c->last_load = &c->loads;
    if (c->loads) cache_disk_submit(c->disk, &c->loads->request);
    return s;
}

struct prefix_stats prefix_cache_stats(const struct prefix_cache *c)
{
    struct prefix_stats stats = c->stats;
    stats.n_to_disk = c->n_to_disk + c->is_writing;
    for (const struct share *s = c->shares; s; s = s->next)
        stats.bytes += s->bytes;
    if (c->disk) stats.disk = cache_disk_stats(c->disk);
    return stats;
}
