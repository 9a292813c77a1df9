#include "serve/constraint_cache.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

struct entry {
    char *key; /* NULL: free */
    size_t size;
    struct constraint *constraint;
    uint64_t used;
};

struct constraint_cache {
    const struct engine *engine;
    struct token_trie *trie; /* NULL: not made yet */
    struct entry entries[CONSTRAINT_CACHE_SIZE];
    uint64_t clock;
};

struct constraint_cache *constraint_cache_new(const struct engine *e)
{
    struct constraint_cache *c = calloc(1, sizeof *c);
    if (c) c->engine = e;
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

/* All that the spec says. `failed` when that is too long to be kept. */
static void write_key(struct buf *key, const struct constraint_spec *s)
{
    buf_init(key, CONSTRAINT_CACHE_MAX_KEY);
    buf_printf(key, "%d,%d,%d,%d,%d;", (int)s->kind, s->must_call, s->one_call, (int)s->family,
               s->tools != NULL);
    add_json(key, s->schema);
    add_json(key, s->choices);
    add_json(key, s->tools);
    add_part(key, s->text ? s->text : "", s->text ? s->size : 0);
    add_part(key, s->only ? s->only : "", s->only ? strlen(s->only) : 0);
}

/* The entry of the key, or else the one that was used longest ago. */
static struct entry *find(struct constraint_cache *c, const struct buf *key, bool *found)
{
    struct entry *oldest = c->entries;
    *found = false;
    for (int i = 0; i < CONSTRAINT_CACHE_SIZE; i++) {
        struct entry *e = &c->entries[i];
        *found = e->key && e->size == key->size && memcmp(e->key, key->data, key->size) == 0;
        if (*found) return e;
        if (e->used < oldest->used) oldest = e;
    }
    return oldest;
}

static int compile(struct constraint_cache *c, const struct constraint_spec *spec,
                   struct constraint **out, struct err *err)
{
    if (!c->trie && token_trie_new(&c->trie, engine_tokenizer(c->engine), engine_vocab(c->engine),
                                   engine_eos(c->engine), err))
        return -1;
    return constraint_new(out, spec, c->trie, err);
}

int constraint_cache_get(struct constraint_cache *c, const struct constraint_spec *spec,
                         struct constraint **out, struct err *err)
{
    struct buf key;
    bool found;
    *out = NULL;
    write_key(&key, spec);
    if (key.failed) {
        buf_fini(&key);
        return compile(c, spec, out, err);
    }
    struct entry *e = find(c, &key, &found);
    if (!found) {
        if (compile(c, spec, out, err)) {
            buf_fini(&key);
            return -1;
        }
        free(e->key);
        constraint_drop(e->constraint);
        *e = (struct entry){.size = key.size, .constraint = *out};
        e->key = buf_take(&key);
    }
    e->used = ++c->clock;
    *out = constraint_hold(e->constraint);
    buf_fini(&key);
    return 0;
}
