#include "serve/constraint_cache.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

struct entry {
    char *key; /* NULL: free */
    size_t size;
    unsigned group;
    struct constraint *constraint;
    uint64_t used;
};

struct constraint_cache {
    struct token_trie
        *trie; /* made at once: the time of the first request would tell that it is the first */
    struct entry entries[CONSTRAINT_CACHE_SIZE];
    uint64_t clock;
};

struct constraint_cache *constraint_cache_new(const struct engine *e)
{
    struct constraint_cache *c = calloc(1, sizeof *c);
    if (c && token_trie_new(&c->trie, engine_tokenizer(e), engine_vocab(e), engine_eos(e), NULL)) {
        free(c);
        return NULL;
    }
    return c;
}

void constraint_cache_free(struct constraint_cache *c)
{
    if (!c) return;
    for (int i = 0; i < CONSTRAINT_CACHE_SIZE; i++) {
        free(c->entries[i].key);
        constraint_drop(c->entries[i].constraint);
    }
    token_trie_free(c->trie);
    free(c);
}

/* Text in front of which its size stands, so that no two lists of parts are the same. */
static void add_part(struct buf *key, const char *s, size_t size)
{
    buf_printf(key, "%zu:", size);
    buf_add(key, s, size);
}

static void add_json(struct buf *key, const json_t *value)
{
    char *text = value ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    if (value && !text) key->failed = true;
    add_part(key, text ? text : "", text ? strlen(text) : 0);
    free(text);
}

/* Whose it is, and all that the spec says. `failed` when that is too long to be kept. */
static void write_key(struct buf *key, const struct cache_tenant *t,
                      const struct constraint_spec *s)
{
    buf_init(key, CONSTRAINT_CACHE_MAX_KEY);
    buf_add(key, (const char *)&t->group, sizeof t->group);
    buf_add(key, (const char *)t->scope, sizeof t->scope);
    buf_printf(key, "%d,%d,%d,%d,%d;", (int)s->kind, s->must_call, s->one_call, (int)s->family,
               s->tools != NULL);
    add_json(key, s->schema);
    add_json(key, s->choices);
    add_json(key, s->tools);
    add_part(key, s->text ? s->text : "", s->text ? s->size : 0);
    add_part(key, s->only ? s->only : "", s->only ? strlen(s->only) : 0);
}

static struct entry *find(struct constraint_cache *c, const struct buf *key)
{
    for (int i = 0; i < CONSTRAINT_CACHE_SIZE; i++) {
        struct entry *e = &c->entries[i];
        if (e->key && e->size == key->size && memcmp(e->key, key->data, key->size) == 0) return e;
    }
    return NULL;
}

static int count(const struct constraint_cache *c, unsigned group)
{
    int n = 0;
    for (int i = 0; i < CONSTRAINT_CACHE_SIZE; i++)
        n += c->entries[i].key && c->entries[i].group == group;
    return n;
}

/* A place for a form of this group: a free one, or the one that has to be given. */
static struct entry *find_place(struct constraint_cache *c, unsigned group)
{
    struct entry *chosen = NULL;
    int most = 0;
    for (int i = 0; i < CONSTRAINT_CACHE_SIZE; i++) {
        struct entry *e = &c->entries[i];
        if (!e->key) return e;
        /* The one that asks has one more in mind, and goes before others that have as many. */
        int rank = 2 * count(c, e->group) + (e->group == group ? 3 : 0);
        if (chosen && (rank < most || (rank == most && chosen->used < e->used))) continue;
        chosen = e;
        most = rank;
    }
    return chosen;
}

int constraint_cache_get(struct constraint_cache *c, const struct cache_tenant *t,
                         const struct constraint_spec *spec, struct constraint **out,
                         struct err *err)
{
    struct buf key;
    *out = NULL;
    write_key(&key, t, spec);
    struct entry *e = key.failed ? NULL : find(c, &key);
    int rc = e ? 0 : constraint_new(out, spec, c->trie, err);
    if (rc == 0 && !e && !key.failed) {
        e = find_place(c, t->group);
        free(e->key);
        constraint_drop(e->constraint);
        *e = (struct entry){.size = key.size, .group = t->group, .constraint = *out};
        e->key = buf_take(&key);
    }
    if (e) {
        e->used = ++c->clock;
        *out = constraint_hold(e->constraint);
    }
    buf_fini(&key);
    return rc;
}
