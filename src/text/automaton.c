#include "text/automaton.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { FIRST_SIZE = 256, WRAP_NODES = 6 };

struct compiler {
    const struct grammar *g;
    struct automaton *a;
    int cap, cap_rules;
    int end;         /* OP_RETURN of the rule being written */
    int32_t *bodies; /* expression of each rule; those behind the grammar's are repeated ones */
    struct err *err;
    bool failed;
};

/* ---- writing the program ---- */

static int fail_size(struct compiler *c, int n, const char *what)
{
    if (!c->failed) err_set(c->err, ERR_LIMIT, "the grammar is too large: over %d %s", n, what);
    c->failed = true;
    return 0;
}

static int add(struct compiler *c, enum op op, int x, int y)
{
    struct automaton *a = c->a;
    if (c->failed) return 0;
    if (a->n == c->cap) {
        int cap = c->cap ? 2 * c->cap : FIRST_SIZE;
        void *code =
            cap <= AUTOMATON_MAX_SIZE ? realloc(a->code, (size_t)cap * sizeof *a->code) : NULL;
        if (!code) return fail_size(c, a->n, "steps");
        a->code = code;
        c->cap = cap;
    }
    a->code[a->n] = (struct instruction){(uint8_t)op, x, y};
    return a->n++;
}

/* A rule of our own for an expression that repeats: so each repetition is one call. */
static int add_rule(struct compiler *c, int node)
{
    struct automaton *a = c->a;
    if (a->n_rules == c->cap_rules) {
        int cap = 2 * c->cap_rules + 16;
        void *bodies = cap <= 2 * GRAMMAR_MAX_RULES
                           ? realloc(c->bodies, (size_t)cap * sizeof *c->bodies)
                           : NULL;
        if (!bodies) return fail_size(c, a->n_rules, "rules");
        c->bodies = bodies;
        c->cap_rules = cap;
    }
    c->bodies[a->n_rules] = node;
    return a->n_rules++;
}

/* Whether an expression has more than `most` parts. */
static bool is_larger(const struct grammar *g, int node, int *most)
{
    const struct grammar_node *n = &g->nodes[node];
    if (--*most < 0) return true;
    if (n->kind == GRAMMAR_REPEAT) return is_larger(g, n->a, most);
    if (n->kind != GRAMMAR_SEQUENCE && n->kind != GRAMMAR_CHOICE) return false;
    for (int child = n->a; child >= 0; child = g->nodes[child].prev)
        if (is_larger(g, child, most)) return true;
    return false;
}

static int emit(struct compiler *c, int node, int next, int depth);

static int emit_repeat(struct compiler *c, const struct grammar_node *n, int next, int depth)
{
    int most = WRAP_NODES, rule = -1;
    if ((n->min > 1 || n->max > 1) && is_larger(c->g, n->a, &most)) rule = add_rule(c, n->a);
    int at = next;
    if (n->max < 0) {
        int body, loop = add(c, OP_SPLIT, 0, next);
        body = rule >= 0 ? add(c, OP_CALL, rule, loop) : emit(c, n->a, loop, depth + 1);
        if (c->failed) return 0;
        c->a->code[loop].x = body;
        at = loop;
    }
    for (int i = n->max; i > n->min && !c->failed; i--) {
        int body = rule >= 0 ? add(c, OP_CALL, rule, at) : emit(c, n->a, at, depth + 1);
        at = add(c, OP_SPLIT, body, next);
    }
    for (int i = 0; i < n->min && !c->failed; i++) {
        int before = at;
        at = rule >= 0 ? add(c, OP_CALL, rule, at) : emit(c, n->a, at, depth + 1);
        if (at == before) break; /* it is empty */
    }
    return at;
}

/* The program of an expression, from its end: returns where it begins. */
static int emit(struct compiler *c, int node, int next, int depth)
{
    const struct grammar *g = c->g;
    const struct grammar_node *n = &g->nodes[node];
    if (c->failed) return 0;
    if (depth > GRAMMAR_MAX_DEPTH) return fail_size(c, GRAMMAR_MAX_DEPTH, "levels");
    int at = next;
    switch (n->kind) {
    case GRAMMAR_EMPTY:
        return next;
    case GRAMMAR_SET:
        return add(c, OP_SET, n->a, next);
    case GRAMMAR_CALL:
        return add(c, OP_CALL, n->a, next);
    case GRAMMAR_SEQUENCE:
        for (int child = n->a; child >= 0; child = g->nodes[child].prev)
            at = emit(c, child, at, depth + 1);
        return at;
    case GRAMMAR_CHOICE:
        at = -1;
        for (int child = n->a; child >= 0; child = g->nodes[child].prev) {
            int one = emit(c, child, next, depth + 1);
            at = at < 0 ? one : add(c, OP_SPLIT, one, at);
        }
        return at < 0 ? add(c, OP_FAIL, 0, 0) : at;
    case GRAMMAR_REPEAT:
        return emit_repeat(c, n, next, depth);
    default:
        return add(c, OP_FAIL, 0, 0);
    }
}

static int emit_rules(struct compiler *c)
{
    struct automaton *a = c->a;
    for (int i = 0; i < c->g->n_rules; i++) {
        if (c->g->rules[i].node < 0)
            return err_set(c->err, ERR_ARGUMENT, "rule \"%s\" is not defined", c->g->rules[i].name);
        add_rule(c, c->g->rules[i].node);
    }
    add(c, OP_ACCEPT, 0, 0);
    for (int i = 0; i < a->n_rules && !c->failed; i++) {
        int32_t *entry = realloc(a->entry, ((size_t)i + 1) * sizeof *entry);
        if (!entry) return fail_size(c, i, "rules"), -1;
        a->entry = entry;
        int end = add(c, OP_RETURN, 0, 0);
        a->entry[i] = emit(c, c->bodies[i], end, 0);
    }
    return c->failed ? -1 : 0;
}

/* ---- what is known of each place ---- */

/* Places by what they depend on: a list for each place, and one for each rule's entry. */
struct edges {
    int32_t *first; /* [n + n_rules] index into next and from; -1: none */
    int32_t *next, *from;
    int n;
};

static void add_edge(struct edges *e, int to, int from)
{
    e->next[e->n] = e->first[to];
    e->from[e->n] = from;
    e->first[to] = e->n++;
}

static int edges_new(struct edges *e, const struct automaton *a)
{
    size_t n = (size_t)a->n + (size_t)a->n_rules;
    *e = (struct edges){.first = malloc(n * sizeof *e->first),
                        .next = malloc(2 * n * sizeof *e->next),
                        .from = malloc(2 * n * sizeof *e->from)};
    if (!e->first || !e->next || !e->from) return -1;
    memset(e->first, 0xFF, n * sizeof *e->first);
    for (int i = 0; i < a->n; i++) {
        const struct instruction *p = &a->code[i];
        if (p->op == OP_SPLIT) add_edge(e, p->x, i);
        if (p->op == OP_CALL) add_edge(e, a->n + p->x, i);
        if (p->op >= OP_SET) add_edge(e, p->y, i);
    }
    return 0;
}

static void edges_free(struct edges *e)
{
    free(e->first);
    free(e->next);
    free(e->from);
}

/* Whether a place has the property once those that it leads to have it. */
static bool follows(const struct automaton *a, const bool *has, int i, bool reads)
{
    const struct instruction *p = &a->code[i];
    if (p->op == OP_SPLIT) return has[p->x] || has[p->y];
    if (p->op == OP_CALL) return has[p->y] && has[a->entry[p->x]];
    return p->op == OP_SET && reads && has[p->y];
}

/* has[i]: the end of the rule can be reached from i; without reads only by reading nothing. rules_at[r]
 * lists the rules that begin at a place. Linear: each place gets the property once. */
static void spread(const struct automaton *a, const struct edges *e, const int32_t *entries,
                   const int32_t *more_entries, int32_t *stack, bool *has, bool reads)
{
    int n = 0;
    memset(has, 0, (size_t)a->n * sizeof *has);
    for (int i = 0; i < a->n; i++) {
        if (a->code[i].op != OP_RETURN && a->code[i].op != OP_ACCEPT) continue;
        has[i] = true;
        stack[n++] = i;
    }
    while (n > 0) {
        int at = stack[--n];
        int rule = entries[at];
        for (int list = at; list >= 0;) {
            for (int k = e->first[list]; k >= 0; k = e->next[k]) {
                int from = e->from[k];
                if (has[from] || !follows(a, has, from, reads)) continue;
                has[from] = true;
                stack[n++] = from;
            }
            list = rule >= 0 ? a->n + rule : -1;
            if (rule >= 0) rule = more_entries[rule];
        }
    }
}

/* Marks what is nullable, and takes out what leads nowhere. */
static int analyse(struct compiler *c)
{
    struct automaton *a = c->a;
    struct edges e = {0};
    size_t n = (size_t)a->n, n_rules = (size_t)a->n_rules;
    int32_t *entries = malloc(n * sizeof *entries), *more = malloc(n_rules * sizeof *more);
    int32_t *stack = malloc(n * sizeof *stack);
    bool *productive = malloc(n * sizeof *productive);
    int rc = -1;
    a->nullable = malloc(n * sizeof *a->nullable);
    if (!entries || !more || !stack || !productive || !a->nullable || edges_new(&e, a)) {
        err_set(c->err, ERR_LIMIT, "no memory for a grammar of %d steps", a->n);
        goto done;
    }
    memset(entries, 0xFF, n * sizeof *entries);
    for (int r = 0; r < a->n_rules; r++) {
        more[r] = entries[a->entry[r]];
        entries[a->entry[r]] = r;
    }
    spread(a, &e, entries, more, stack, a->nullable, false);
    spread(a, &e, entries, more, stack, productive, true);
    for (int i = 0; i < a->n; i++)
        if (!productive[i]) a->code[i].op = OP_FAIL;
    rc = 0;
    if (a->code[a->entry[a->root]].op == OP_FAIL)
        rc = err_set(c->err, ERR_ARGUMENT, "the grammar matches no text at all");
done:
    edges_free(&e);
    free(entries);
    free(more);
    free(stack);
    free(productive);
    return rc;
}

/* ---- order of the rules ---- */

/* A walk through the rules, each calling those that can stand at its beginning. */
struct walk {
    int32_t *next_call; /* [n] the calls at the beginning of a rule, as lists; -1: the end */
    int32_t *calls;     /* [n_rules] first of each; -1: none */
    int32_t *path;      /* [n_rules] rules being walked */
    uint8_t *state;     /* [n_rules] 0: new; 1: on the path; 2: done */
    int32_t *stack;     /* [n + 1] */
    bool *seen;         /* [n] */
};

/* Lists the calls that rule r can make before it has read anything. */
static void list_calls(const struct automaton *a, struct walk *w, int r)
{
    int n = 0;
    w->stack[n++] = a->entry[r];
    while (n > 0) {
        int at = w->stack[--n];
        const struct instruction *p = &a->code[at];
        if (w->seen[at] || p->op == OP_FAIL) continue;
        w->seen[at] = true;
        if (p->op == OP_SPLIT) {
            w->stack[n++] = p->x;
            w->stack[n++] = p->y;
        } else if (p->op == OP_CALL) {
            w->next_call[at] = w->calls[r];
            w->calls[r] = at;
            if (a->nullable[a->entry[p->x]]) w->stack[n++] = p->y;
        }
    }
}

static int refuse_recursion(struct compiler *c, int rule)
{
    return err_set(c->err, ERR_ARGUMENT,
                   "rule \"%s\" calls itself before it has read anything (left recursion)",
                   rule < c->g->n_rules ? c->g->rules[rule].name : "a repeated part");
}

/* Depth first from rule r: ranks fall from the callers to the called. */
static int rank_from(struct compiler *c, struct walk *w, int r, int *rank)
{
    struct automaton *a = c->a;
    int n = 0;
    w->path[n++] = r;
    w->state[r] = 1;
    while (n > 0) {
        int top = w->path[n - 1], at = w->calls[top];
        if (at < 0) {
            w->state[top] = 2;
            a->rank[top] = --*rank;
            n--;
            continue;
        }
        w->calls[top] = w->next_call[at];
        int called = a->code[at].x;
        if (w->state[called] == 1) return refuse_recursion(c, called);
        if (w->state[called] == 2) continue;
        w->state[called] = 1;
        w->path[n++] = called;
    }
    return 0;
}

static int order_rules(struct compiler *c)
{
    struct automaton *a = c->a;
    size_t n = (size_t)a->n, n_rules = (size_t)a->n_rules;
    struct walk w = {.next_call = malloc(n * sizeof *w.next_call),
                     .calls = malloc(n_rules * sizeof *w.calls),
                     .path = malloc(n_rules * sizeof *w.path),
                     .state = calloc(n_rules, sizeof *w.state),
                     .stack = malloc((2 * n + 2) * sizeof *w.stack),
                     .seen = calloc(n, sizeof *w.seen)};
    int rc = -1, rank = a->n_rules;
    a->rank = malloc(n_rules * sizeof *a->rank);
    if (!w.next_call || !w.calls || !w.path || !w.state || !w.stack || !w.seen || !a->rank) {
        err_set(c->err, ERR_LIMIT, "no memory for a grammar of %d rules", a->n_rules);
        goto done;
    }
    for (int r = 0; r < a->n_rules; r++) {
        w.calls[r] = -1;
        list_calls(a, &w, r);
    }
    rc = 0;
    for (int r = 0; r < a->n_rules && rc == 0; r++)
        if (w.state[r] == 0) rc = rank_from(c, &w, r, &rank);
done:
    free(w.next_call);
    free(w.calls);
    free(w.path);
    free(w.state);
    free(w.stack);
    free(w.seen);
    return rc;
}

/* ---- classes of symbols ---- */

static bool has_symbol(const struct symbol_set *s, int symbol)
{
    return s->bits[symbol / 64] >> symbol % 64 & 1;
}

/* Splits the classes that a set has only some symbols of. */
static void refine(struct automaton *a, const struct symbol_set *set)
{
    int16_t moved
        [GRAMMAR_SYMBOLS]; /* the class for those of a class that are in the set; -1: none yet */
    int outside[GRAMMAR_SYMBOLS] = {0};
    for (int s = 0; s < GRAMMAR_SYMBOLS; s++) {
        moved[s] = -1;
        if (!has_symbol(set, s)) outside[a->symbol_class[s]] = 1;
    }
    for (int s = 0; s < GRAMMAR_SYMBOLS; s++) {
        int class = a->symbol_class[s];
        if (!has_symbol(set, s) || !outside[class]) continue;
        if (moved[class] < 0) moved[class] = (int16_t)a->n_classes++;
        a->symbol_class[s] = (uint16_t)moved[class];
    }
}

static int make_classes(struct compiler *c)
{
    struct automaton *a = c->a;
    const struct grammar *g = c->g;
    a->n_classes = 1;
    a->n_sets = g->n_sets;
    a->sets = calloc((size_t)g->n_sets * GRAMMAR_WORDS + 1, sizeof *a->sets);
    if (!a->sets) return err_set(c->err, ERR_LIMIT, "no memory for %d sets", g->n_sets);
    for (int i = 0; i < g->n_sets; i++)
        refine(a, &g->sets[i]);
    for (int i = 0; i < g->n_sets; i++)
        for (int s = 0; s < GRAMMAR_SYMBOLS; s++)
            if (has_symbol(&g->sets[i], s))
                a->sets[i * GRAMMAR_WORDS + a->symbol_class[s] / 64] |= UINT64_C(1)
                                                                        << a->symbol_class[s] % 64;
    return 0;
}

static int draw_secret(struct compiler *c)
{
    if (getrandom(c->a->secret, sizeof c->a->secret, 0) != (ssize_t)sizeof c->a->secret)
        return err_set(c->err, ERR_IO, "no random numbers");
    return 0;
}

/* ---- the whole ---- */

int automaton_new(struct automaton **out, const struct grammar *g, int root, struct err *err)
{
    *out = NULL;
    if (grammar_check(g, err)) return -1;
    struct compiler c = {.g = g, .err = err};
    c.a = calloc(1, sizeof *c.a);
    if (!c.a) return err_set(err, ERR_LIMIT, "no memory for a grammar");
    c.a->root = root;
    int rc = emit_rules(&c) || analyse(&c) || order_rules(&c) || make_classes(&c) || draw_secret(&c)
                 ? -1
                 : 0;
    free(c.bodies);
    if (rc)
        automaton_free(c.a);
    else
        *out = c.a;
    return rc;
}

void automaton_free(struct automaton *a)
{
    if (!a) return;
    free(a->code);
    free(a->entry);
    free(a->rank);
    free(a->nullable);
    free(a->sets);
    free(a);
}
