#include "text/matcher.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

/* All powers of two, so that room which is doubled ends there. */
enum { MAX_SETS = 1 << 15, MAX_PAIRS = 1 << 18, MAX_EDGES = 1 << 18, FIRST_ROOM = 64 };

/* The first two sets: nothing, and what the root rule returns to. */
enum { SET_EMPTY, SET_END };

enum { EDGE_UNKNOWN = -1, EDGE_TOO_LARGE = -2, NO_ROOM = -3 };

/* A place in the program, and the set of those its rule returns to. */
struct pair {
    int32_t place, back;
};

struct set {
    int32_t start, n; /* of its pairs; ascending */
    int32_t row;      /* of edges; -1: none yet */
    struct matcher_key key;
};

struct edge {
    int32_t to;    /* a set, or EDGE_... */
    int32_t cost;  /* places looked at to find it */
    uint32_t walk; /* the last one that counted it */
};

/* Elements that a list has room for. */
struct room {
    int n, max;
};

/* What is stored. A set's pairs refer to sets before it. */
struct store {
    const uint8_t *secret; /* of the automaton */
    struct pair *pairs;
    struct set *sets;
    int32_t *slots; /* [2 * set_room.n] hash table: a set + 1; 0: none */
    struct edge *edges;
    int n_pairs, n_sets, n_edges;
    struct room pair_room, set_room, edge_room;
};

struct seen {
    struct pair pair;
    uint32_t closure;
};

struct call {
    struct pair pair; /* where it returns to */
    int32_t next;     /* the one before it of the same rule; -1: none */
};

struct matcher {
    const struct automaton *a;
    struct store store;
    int32_t state;
    /* of the closure being made */
    struct pair *work, *items; /* to be looked at; found */
    struct seen *seen;         /* [2 * seen_room.n] hash table */
    struct call *calls;
    int32_t *rule_calls;   /* [n_rules] by rank: last call; -1: none */
    int32_t *rule_of_rank; /* [n_rules] */
    uint64_t *pending;     /* bits of ranks that are called */
    int n_work, n_items, n_seen, n_calls, cost;
    struct room work_room, item_room, seen_room, call_room;
    uint32_t closure;
    bool failed;    /* too much work */
    bool no_memory; /* for what the closure needs; it may be there another time */
    uint32_t walk;
    int32_t path[TOKEN_TRIE_MAX_BYTES + 1]; /* states by depth */
};

/* ---- room ---- */

/* Room for `wanted` elements, at least twice as much as before. list: where the pointer to them is. Where it fails
 * nothing has changed. */
static bool grow(void *list, struct room *room, int wanted, size_t each)
{
    int n = room->n ? room->n : FIRST_ROOM;
    void *old, *more;
    if (room->n && wanted <= room->n) return true;
    if (wanted > room->max) return false;
    while (n < wanted)
        n *= 2;
    memcpy(&old, list, sizeof old);
    more = realloc(old, (size_t)n * each);
    if (!more) return false;
    memcpy(list, &more, sizeof more);
    room->n = n;
    return true;
}

/* ---- storing sets ---- */

static int by_place(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;
    if (x->place != y->place) return x->place < y->place ? -1 : 1;
    return (x->back > y->back) - (x->back < y->back);
}

static int sort_pairs(struct pair *pairs, int n)
{
    int kept = 0;
    if (n > 1) qsort(pairs, (size_t)n, sizeof *pairs, by_place);
    for (int i = 0; i < n; i++)
        if (kept == 0 || by_place(&pairs[kept - 1], &pairs[i]) != 0) pairs[kept++] = pairs[i];
    return kept;
}

/* A sum, so that the order of the pairs, which hangs on numbers of sets, does not count. What is summed up hangs on
 * the secret: whoever writes grammars cannot look for two sets with the same sum. */
static struct matcher_key key_of(const struct store *s, const struct pair *pairs, int n)
{
    struct matcher_key key = {{(uint64_t)n, 0}};
    for (int i = 0; i < n; i++) {
        struct {
            uint64_t place;
            struct matcher_key back;
        } one = {(uint64_t)pairs[i].place, s->sets[pairs[i].back].key};
        XXH128_hash_t h =
            XXH3_128bits_withSecret(&one, sizeof one, s->secret, AUTOMATON_SECRET_SIZE);
        key.half[0] += h.low64;
        key.half[1] += h.high64;
    }
    return key;
}

/* Where the set of these pairs stands in the table, or will stand. */
static int32_t *find_slot(const struct store *s, struct matcher_key key, const struct pair *pairs,
                          int n)
{
    uint64_t last = 2 * (uint64_t)s->set_room.n - 1;
    for (uint64_t at = key.half[0];; at++) {
        int32_t *slot = &s->slots[at & last];
        if (!*slot) return slot;
        const struct set *known = &s->sets[*slot - 1];
        if (known->n == n &&
            (n == 0 || memcmp(s->pairs + known->start, pairs, (size_t)n * sizeof *pairs) == 0))
            return slot;
    }
}

/* Room for a set more, and a table of twice as many places. */
static bool grow_sets(struct store *s)
{
    if (s->n_sets < s->set_room.n) return true;
    int n = s->set_room.n ? 2 * s->set_room.n : FIRST_ROOM;
    int32_t *slots = n <= s->set_room.max ? calloc(2 * (size_t)n, sizeof *slots) : NULL;
    if (!slots || !grow(&s->sets, &s->set_room, n, sizeof *s->sets)) {
        free(slots);
        return false;
    }
    free(s->slots);
    s->slots = slots;
    for (int i = 0; i < s->n_sets; i++)
        *find_slot(s, s->sets[i].key, s->pairs + s->sets[i].start, s->sets[i].n) = i + 1;
    return true;
}

/* The number of the set of these pairs, which are sorted; NO_ROOM. */
static int32_t store_set(struct store *s, const struct pair *pairs, int n)
{
    struct matcher_key key = key_of(s, pairs, n);
    const int32_t *known = find_slot(s, key, pairs, n);
    if (*known) return *known - 1;
    if (!grow_sets(s) || !grow(&s->pairs, &s->pair_room, s->n_pairs + n, sizeof *s->pairs))
        return NO_ROOM;
    int32_t *slot = find_slot(s, key, pairs, n); /* the table may be another one */
    s->sets[s->n_sets] = (struct set){s->n_pairs, n, -1, key};
    if (n) memcpy(s->pairs + s->n_pairs, pairs, (size_t)n * sizeof *pairs);
    s->n_pairs += n;
    *slot = ++s->n_sets;
    return *slot - 1;
}

static void store_clear(struct store *s)
{
    struct pair end = {0, SET_EMPTY};
    memset(s->slots, 0, 2 * (size_t)s->set_room.n * sizeof *s->slots);
    s->n_sets = s->n_pairs = s->n_edges = 0;
    (void)store_set(s, NULL, 0);
    (void)store_set(s, &end, 1);
}

/* Forgets all but the current state and what it refers to. */
static void forget(struct matcher *m)
{
    struct store *s = &m->store;
    int n = s->n_sets;
    int32_t *moved = calloc((size_t)n, sizeof *moved);
    struct pair *pairs = malloc((size_t)s->n_pairs * sizeof *pairs);
    struct set *sets = malloc((size_t)n * sizeof *sets);
    if (!moved || !pairs || !sets) goto done;
    memcpy(pairs, s->pairs, (size_t)s->n_pairs * sizeof *pairs);
    memcpy(sets, s->sets, (size_t)n * sizeof *sets);
    moved[m->state] = 1;
    for (int i = n - 1; i >= 0; i--)
        for (int k = 0; moved[i] && k < sets[i].n; k++)
            moved[pairs[sets[i].start + k].back] = 1;
    store_clear(s);
    for (int i = 0; i < n; i++) {
        struct pair *own = pairs + sets[i].start;
        if (!moved[i]) continue;
        for (int k = 0; k < sets[i].n; k++)
            own[k].back = moved[own[k].back];
        moved[i] = store_set(s, own, sort_pairs(own, sets[i].n));
    }
    m->state = moved[m->state];
done:
    free(moved);
    free(pairs);
    free(sets);
}

/* ---- closures ---- */

static bool is_given_up(const struct matcher *m)
{
    return m->failed || m->no_memory;
}

/* The pair's place in the table; *known: it has come in this closure. */
static struct seen *find_seen(struct matcher *m, struct pair p, bool *known)
{
    uint64_t hash =
        ((uint64_t)(uint32_t)p.place << 32 | (uint32_t)p.back) * UINT64_C(0x9E3779B97F4A7C15);
    uint64_t last = 2 * (uint64_t)m->seen_room.n - 1;
    for (uint64_t at = hash >> 32;; at++) {
        struct seen *s = &m->seen[at & last];
        *known = s->closure == m->closure && by_place(&s->pair, &p) == 0;
        if (*known || s->closure != m->closure) return s;
    }
}

/* Room for one more that has come. */
static bool grow_seen(struct matcher *m)
{
    struct room *room = &m->seen_room;
    if (m->n_seen < room->n) return true;
    int old = room->n, n = old ? 2 * old : FIRST_ROOM;
    struct seen *before = m->seen,
                *seen = n <= room->max ? calloc(2 * (size_t)n, sizeof *seen) : NULL;
    if (!seen) return false;
    m->seen = seen;
    room->n = n;
    for (int i = 0; i < 2 * old; i++) {
        bool known;
        if (before[i].closure == m->closure) *find_seen(m, before[i].pair, &known) = before[i];
    }
    free(before);
    return true;
}

static void push(struct matcher *m, int32_t place, int32_t back)
{
    struct pair p = {place, back};
    bool known;
    if (m->a->code[place].op == OP_FAIL || is_given_up(m)) return;
    if (++m->cost > MATCHER_MAX_WORK) {
        m->failed = true;
        return;
    }
    if (!grow_seen(m) || !grow(&m->work, &m->work_room, m->n_work + 1, sizeof *m->work)) {
        m->no_memory = true;
        return;
    }
    struct seen *s = find_seen(m, p, &known);
    if (known) return;
    *s = (struct seen){p, m->closure};
    m->n_seen++;
    m->work[m->n_work++] = p;
}

static void add_call(struct matcher *m, int rule, struct pair back)
{
    int rank = m->a->rank[rule];
    if (!grow(&m->calls, &m->call_room, m->n_calls + 1, sizeof *m->calls)) {
        m->no_memory = true;
        return;
    }
    m->calls[m->n_calls] = (struct call){back, m->rule_calls[rank]};
    m->rule_calls[rank] = m->n_calls++;
    m->pending[rank / 64] |= UINT64_C(1) << rank % 64;
}

static void add_item(struct matcher *m, struct pair p)
{
    m->no_memory = !grow(&m->items, &m->item_room, m->n_items + 1, sizeof *m->items);
    if (!m->no_memory) m->items[m->n_items++] = p;
}

/* Looks at all that waits. fresh: these rules begin here, so that their end reached without reading is known
 * to their callers already (automaton.nullable). */
static void drain(struct matcher *m, bool fresh)
{
    const struct automaton *a = m->a;
    while (m->n_work > 0 && !is_given_up(m)) {
        struct pair p = m->work[--m->n_work];
        const struct instruction *in = &a->code[p.place];
        if (in->op == OP_SET || in->op == OP_ACCEPT) {
            add_item(m, p);
        } else if (in->op == OP_SPLIT) {
            push(m, in->x, p.back);
            push(m, in->y, p.back);
        } else if (in->op == OP_CALL) {
            add_call(m, in->x, (struct pair){in->y, p.back});
            if (a->nullable[a->entry[in->x]]) push(m, in->y, p.back);
        } else if (in->op == OP_RETURN && !fresh) {
            const struct set *back = &m->store.sets[p.back];
            for (int i = 0; i < back->n; i++) {
                struct pair to = m->store.pairs[back->start + i];
                push(m, to.place, to.back);
            }
        }
    }
}

/* The set that the rule of this rank returns to, from all calls of it. A call that is the last thing in its
 * rule returns to where that one does. */
static int32_t make_back(struct matcher *m, int rank)
{
    int n = 0; /* of them, in m->work, which is empty */
    for (int at = m->rule_calls[rank]; at >= 0; at = m->calls[at].next) {
        struct pair p = m->calls[at].pair;
        const struct set *back = &m->store.sets[p.back];
        bool is_tail = m->a->code[p.place].op == OP_RETURN;
        int more = is_tail ? back->n : 1;
        m->cost += more;
        if (n + more > MATCHER_MAX_WORK || m->cost > MATCHER_MAX_WORK) {
            m->failed = true;
            return SET_EMPTY;
        }
        if (!grow(&m->work, &m->work_room, n + more, sizeof *m->work)) {
            m->no_memory = true;
            return SET_EMPTY;
        }
        memcpy(m->work + n, is_tail ? m->store.pairs + back->start : &p,
               (size_t)more * sizeof *m->work);
        n += more;
    }
    m->rule_calls[rank] = -1;
    return store_set(&m->store, m->work, sort_pairs(m->work, n));
}

static void closure_begin(struct matcher *m)
{
    m->n_work = m->n_items = m->n_seen = m->n_calls = m->cost = 0;
    m->failed = m->no_memory = false;
    if (++m->closure == 0) { /* the count has gone round */
        if (m->seen) memset(m->seen, 0, 2 * (size_t)m->seen_room.n * sizeof *m->seen);
        m->closure = 1;
    }
}

/* Whatever went wrong, no call is left for the next closure. */
static void drop_calls(struct matcher *m)
{
    int words = (m->a->n_rules + 63) / 64;
    memset(m->pending, 0, (size_t)words * sizeof *m->pending);
    memset(m->rule_calls, 0xFF, (size_t)m->a->n_rules * sizeof *m->rule_calls);
}

/* What waits, and all that follows without reading, as a set; EDGE_TOO_LARGE, NO_ROOM. */
static int32_t closure_end(struct matcher *m)
{
    int words = (m->a->n_rules + 63) / 64;
    int32_t back = SET_EMPTY;
    drain(m, false);
    for (int w = 0; w < words && back >= 0 && !is_given_up(m); w++) {
        while (m->pending[w] && back >= 0 && !is_given_up(m)) {
            int rank = w * 64 + __builtin_ctzll(m->pending[w]);
            m->pending[w] &= m->pending[w] - 1;
            back = make_back(m, rank);
            if (back < 0 || is_given_up(m)) break;
            push(m, m->a->entry[m->rule_of_rank[rank]], back);
            drain(m, true);
        }
    }
    if (is_given_up(m) || back < 0) {
        drop_calls(m);
        return m->failed ? EDGE_TOO_LARGE : NO_ROOM;
    }
    return store_set(&m->store, m->items, sort_pairs(m->items, m->n_items));
}

/* ---- steps ---- */

static struct edge *find_edge(struct matcher *m, int32_t state, int class)
{
    struct store *s = &m->store;
    struct set *set = &s->sets[state];
    int n = m->a->n_classes;
    if (set->row < 0) {
        if (!grow(&s->edges, &s->edge_room, s->n_edges + n, sizeof *s->edges)) return NULL;
        set->row = s->n_edges;
        s->n_edges += n;
        for (int i = 0; i < n; i++)
            s->edges[set->row + i] = (struct edge){.to = EDGE_UNKNOWN};
    }
    return &s->edges[set->row + class];
}

/* The state behind `state` by a symbol of the class: SET_EMPTY when there is none; EDGE_TOO_LARGE, NO_ROOM. */
static struct edge *step(struct matcher *m, int32_t state, int class)
{
    struct edge *e = find_edge(m, state, class);
    if (!e || e->to != EDGE_UNKNOWN) return e;
    const struct set *set = &m->store.sets[state];
    closure_begin(m);
    for (int i = 0; i < set->n; i++) {
        struct pair p = m->store.pairs[set->start + i];
        const struct instruction *in = &m->a->code[p.place];
        if (in->op == OP_SET && automaton_set_has(m->a, in->x, class)) push(m, in->y, p.back);
    }
    m->cost += set->n;
    int32_t to = closure_end(m);
    if (to == NO_ROOM) return NULL;
    e->to = to;
    e->cost = m->cost;
    return e;
}

static int fail_large(struct err *err)
{
    return err_set(err, ERR_LIMIT, "the grammar leaves too much open here: over %d ways to go on",
                   MATCHER_MAX_WORK);
}

/* 1, 0, -1 as matcher_bytes; NO_ROOM. symbols are bytes, or one that is none. */
static int try_symbols(struct matcher *m, const char *s, size_t size, int symbol, struct err *err)
{
    int32_t state = m->state;
    for (size_t i = 0; i < size; i++) {
        int one = s ? (unsigned char)s[i] : symbol;
        const struct edge *e = step(m, state, m->a->symbol_class[one]);
        if (!e) return NO_ROOM;
        if (e->to == EDGE_TOO_LARGE) return fail_large(err);
        if (e->to == SET_EMPTY) return 0;
        state = e->to;
    }
    m->state = state;
    return 1;
}

static int fail_room(struct err *err)
{
    return err_set(err, ERR_LIMIT,
                   "the grammar has too many states here: over %d sets, or no memory for them",
                   MAX_SETS);
}

static int go_on(struct matcher *m, const char *s, size_t size, int symbol, struct err *err)
{
    int rc = try_symbols(m, s, size, symbol, err);
    if (rc == NO_ROOM) {
        forget(m);
        rc = try_symbols(m, s, size, symbol, err);
    }
    return rc == NO_ROOM ? fail_room(err) : rc;
}

int matcher_bytes(struct matcher *m, const char *s, size_t size, struct err *err)
{
    return go_on(m, s, size, 0, err);
}

int matcher_symbol(struct matcher *m, int symbol, struct err *err)
{
    return go_on(m, NULL, 1, symbol, err);
}

/* The pair of OP_ACCEPT is the first. */
bool matcher_may_end(const struct matcher *m)
{
    const struct set *s = &m->store.sets[m->state];
    return s->n > 0 && m->store.pairs[s->start].place == 0;
}

bool matcher_must_end(const struct matcher *m)
{
    return matcher_may_end(m) && m->store.sets[m->state].n == 1;
}

struct matcher_key matcher_key(const struct matcher *m)
{
    return m->store.sets[m->state].key;
}

/* ---- masks ---- */

static void set_bit(uint64_t *bits, int id)
{
    bits[id / 64] |= UINT64_C(1) << id % 64;
}

/* 1: done; -1; NO_ROOM. */
static int walk_trie(struct matcher *m, const struct token_trie *t, uint64_t *bits, struct err *err)
{
    int work = 0;
    memset(bits, 0, (size_t)t->n_words * sizeof *bits);
    m->walk++;
    m->path[0] = m->state;
    for (int i = 1; i < t->n;) {
        const struct trie_node *node = &t->nodes[i];
        struct edge *e = step(m, m->path[node->depth - 1], m->a->symbol_class[node->byte]);
        if (!e) return NO_ROOM;
        if (e->to == EDGE_TOO_LARGE) return fail_large(err);
        if (e->walk != m->walk) {
            e->walk = m->walk;
            work += e->cost;
            if (work > MATCHER_MASK_WORK)
                return err_set(err, ERR_LIMIT,
                               "the grammar takes too much work here: over %d steps",
                               MATCHER_MASK_WORK);
        }
        if (e->to == SET_EMPTY) {
            i = node->skip;
            continue;
        }
        m->path[node->depth] = e->to;
        if (node->token >= 0) set_bit(bits, node->token);
        i++;
    }
    const struct edge *e = step(m, m->state, m->a->symbol_class[GRAMMAR_DSML]);
    if (!e) return NO_ROOM;
    if (t->dsml >= 0 && e->to > SET_EMPTY) set_bit(bits, t->dsml);
    if (t->eos >= 0 && matcher_may_end(m)) set_bit(bits, t->eos);
    return 1;
}

int matcher_mask(struct matcher *m, const struct token_trie *t, uint64_t *bits, struct err *err)
{
    int rc = walk_trie(m, t, bits, err);
    if (rc == NO_ROOM) {
        forget(m);
        rc = walk_trie(m, t, bits, err);
    }
    if (rc == NO_ROOM) return fail_room(err);
    return rc < 0 ? -1 : 0;
}

/* ---- the whole ---- */

int matcher_new(struct matcher **out, const struct automaton *a, struct err *err)
{
    struct matcher *m = calloc(1, sizeof *m);
    size_t n_rules = (size_t)a->n_rules;
    *out = NULL;
    if (!m) return err_set(err, ERR_LIMIT, "no memory for a matcher");
    m->a = a;
    m->store.secret = a->secret;
    m->store.pair_room.max = MAX_PAIRS;
    m->store.set_room.max = MAX_SETS;
    m->store.edge_room.max = MAX_EDGES;
    m->work_room.max = m->item_room.max = MATCHER_MAX_WORK;
    m->seen_room.max = m->call_room.max = MATCHER_MAX_WORK;
    m->rule_calls = malloc(n_rules * sizeof *m->rule_calls);
    m->rule_of_rank = malloc(n_rules * sizeof *m->rule_of_rank);
    m->pending = malloc((n_rules + 63) / 64 * sizeof *m->pending);
    if (!m->rule_calls || !m->rule_of_rank || !m->pending || !grow_sets(&m->store) ||
        !grow(&m->store.pairs, &m->store.pair_room, FIRST_ROOM, sizeof *m->store.pairs)) {
        matcher_free(m);
        return err_set(err, ERR_LIMIT, "no memory for a matcher");
    }
    for (int i = 0; i < a->n_rules; i++)
        m->rule_of_rank[a->rank[i]] = i;
    drop_calls(m);
    store_clear(&m->store);
    if (matcher_restart(m, err)) {
        matcher_free(m);
        return -1;
    }
    *out = m;
    return 0;
}

int matcher_restart(struct matcher *m, struct err *err)
{
    for (int i = 0; i < 2; i++) {
        closure_begin(m);
        push(m, m->a->entry[m->a->root], SET_END);
        int32_t state = closure_end(m);
        if (state >= 0) {
            m->state = state;
            return 0;
        }
        if (state == EDGE_TOO_LARGE) return fail_large(err);
        m->state = SET_EMPTY;
        forget(m);
    }
    return fail_room(err);
}

size_t matcher_room(const struct matcher *m)
{
    const struct store *s = &m->store;
    size_t n_rules = (size_t)m->a->n_rules;
    return sizeof *m + n_rules * (sizeof *m->rule_calls + sizeof *m->rule_of_rank) +
           (n_rules + 63) / 64 * sizeof *m->pending + (size_t)s->pair_room.n * sizeof *s->pairs +
           (size_t)s->set_room.n * (sizeof *s->sets + 2 * sizeof *s->slots) +
           (size_t)s->edge_room.n * sizeof *s->edges +
           (size_t)(m->work_room.n + m->item_room.n) * sizeof *m->work +
           (size_t)m->seen_room.n * 2 * sizeof *m->seen + (size_t)m->call_room.n * sizeof *m->calls;
}

void matcher_free(struct matcher *m)
{
    if (!m) return;
    free(m->store.pairs);
    free(m->store.sets);
    free(m->store.slots);
    free(m->store.edges);
    free(m->work);
    free(m->items);
    free(m->seen);
    free(m->calls);
    free(m->rule_calls);
    free(m->rule_of_rank);
    free(m->pending);
    free(m);
}
