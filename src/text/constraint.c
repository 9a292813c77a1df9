#include "text/constraint.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "text/dsml_rules.h"
#include "text/ebnf.h"
#include "text/matcher.h"
#include "text/regex.h"
#include "text/schema.h"

enum { MASK_ROOM = 4 << 20, MIN_MASKS = 8, MAX_MASKS = 256, IDLE_ROOM = 2 << 20 };

/* Masks by state. The room for bits is there from the beginning. */
struct kept_mask {
    struct matcher_key key;
    uint64_t used; /* when it was last wanted; 0: free */
};

struct constraint {
    atomic_int n_holders;
    const struct token_trie *trie;
    struct automaton *automaton;
    bool takes_nothing;   /* the empty text will do */
    struct matcher *idle; /* of a run that ended, for the next; NULL: none */
    uint64_t *thinking;   /* [n_words] the mask before </think> */
    struct kept_mask *kept;
    uint64_t *bits; /* [n_kept, n_words] */
    int n_kept;
    uint64_t clock;
};

struct constraint_run {
    struct constraint *c;
    struct matcher *matcher;
    bool thinking; /* </think> is still to come */
};

/* ---- compiling ---- */

static int add_choices(struct grammar *g, const json_t *choices)
{
    int list = grammar_list(g, GRAMMAR_CHOICE);
    if (json_array_size(choices) == 0)
        return grammar_fail(g, ERR_ARGUMENT, "choice: a list of strings is wanted");
    for (size_t i = 0; i < json_array_size(choices) && !grammar_failed(g); i++) {
        const json_t *one = json_array_get(choices, i);
        if (!json_is_string(one))
            return grammar_fail(g, ERR_ARGUMENT, "choice: element %zu is no string", i);
        grammar_add(g, list, grammar_bytes(g, json_string_value(one), json_string_length(one)));
    }
    return list;
}

static int add_schema(struct grammar *g, const json_t *node)
{
    struct schema s;
    schema_init(&s, g, node);
    int out = schema_add(&s, node, SCHEMA_JSON, NULL);
    schema_fini(&s);
    return out;
}

static int add_json_object(struct grammar *g)
{
    struct json_rules r;
    json_rules_init(&r, g);
    return json_rules_object(&r, JSON_RULES_DEPTH - 1);
}

static int add_content(struct grammar *g, const struct constraint_spec *spec)
{
    switch (spec->kind) {
    case CONSTRAINT_JSON_OBJECT:
        return add_json_object(g);
    case CONSTRAINT_SCHEMA:
        return add_schema(g, spec->schema);
    case CONSTRAINT_REGEX:
        return regex_add(g, TEXT_RAW, "regex", spec->text, spec->size);
    case CONSTRAINT_CHOICE:
        return add_choices(g, spec->choices);
    case CONSTRAINT_EBNF:
        return grammar_call(g, ebnf_add(g, spec->text, spec->size));
    default:
        return grammar_nothing(g);
    }
}

/* Any bytes. */
static int add_anything(struct grammar *g)
{
    struct symbol_set all = {{UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX}};
    return grammar_repeat(g, grammar_set(g, &all), 0, -1);
}

/* Calls at once; or content instead; or free text, and calls behind it or not. */
static int add_calls(struct grammar *g, const struct constraint_spec *spec)
{
    int calls = dsml_add(g, spec->tools, spec->only, !spec->one_call, spec->family);
    int behind = grammar_list(g, GRAMMAR_SEQUENCE), either = grammar_list(g, GRAMMAR_CHOICE);
    bool is_free = !spec->must_call && spec->kind == CONSTRAINT_NONE;
    grammar_add(g, behind, is_free ? add_anything(g) : grammar_text(g, "\n\n"));
    grammar_add(g, behind, is_free ? grammar_repeat(g, calls, 0, 1) : calls);
    if (is_free || spec->must_call) return behind;
    grammar_add(g, either, add_content(g, spec));
    grammar_add(g, either, behind);
    return either;
}

static int compile(struct constraint *c, const struct constraint_spec *spec, struct err *err)
{
    struct grammar *g;
    if (grammar_new(&g, err)) return -1;
    int root = grammar_rule(g, "answer");
    int body = spec->tools ? add_calls(g, spec) : add_content(g, spec);
    grammar_define(g, root, body);
    int rc = automaton_new(&c->automaton, g, root, err);
    grammar_free(g);
    return rc;
}

static void clear_bit(uint64_t *bits, int id)
{
    if (id >= 0) bits[id / 64] &= ~(UINT64_C(1) << id % 64);
}

/* Room for masks, and the one of the reasoning. */
static int make_masks(struct constraint *c, struct err *err)
{
    const struct token_trie *t = c->trie;
    size_t words = (size_t)t->n_words, n = MASK_ROOM / (words * sizeof *c->bits);
    c->n_kept = n < MIN_MASKS ? MIN_MASKS : n > MAX_MASKS ? MAX_MASKS : (int)n;
    c->kept = calloc((size_t)c->n_kept, sizeof *c->kept);
    c->bits = malloc((size_t)c->n_kept * words * sizeof *c->bits);
    c->thinking = malloc(words * sizeof *c->thinking);
    if (!c->kept || !c->bits || !c->thinking)
        return err_set(err, ERR_LIMIT, "no memory for masks of %d tokens", t->n_ids);
    memset(c->thinking, 0xFF, words * sizeof *c->thinking);
    if (!c->takes_nothing) clear_bit(c->thinking, t->eos);
    clear_bit(c->thinking, t->dsml);
    return 0;
}

/* Byte tokens see to it that some token fits; a vocabulary without them fails the answer, no more. */
static int check_mask(const struct constraint *c, const uint64_t *bits, struct err *err)
{
    for (int i = 0; i < c->trie->n_words; i++)
        if (bits[i]) return 0;
    return err_set(err, ERR_UNSUPPORTED, "no token of the vocabulary fits what the answer must be");
}

/* Makes the mask of the matcher's state in room i. */
static int make_mask(struct constraint *c, struct matcher *m, int i, struct err *err)
{
    uint64_t *bits = c->bits + (size_t)i * (size_t)c->trie->n_words;
    c->kept[i].used = 0;
    if (matcher_mask(m, c->trie, bits, err) || check_mask(c, bits, err)) return -1;
    c->kept[i] = (struct kept_mask){matcher_key(m), ++c->clock};
    return 0;
}

int constraint_new(struct constraint **out, const struct constraint_spec *spec,
                   const struct token_trie *trie, struct err *err)
{
    *out = NULL;
    if (trie->eos < 0 || (spec->tools && trie->dsml < 0))
        return err_set(err, ERR_UNSUPPORTED, "the vocabulary has no token for %s",
                       trie->eos < 0 ? "the end of an answer" : "tool calls");
    struct constraint *c = calloc(1, sizeof *c);
    if (!c) return err_set(err, ERR_LIMIT, "no memory for a constraint");
    c->n_holders = 1;
    c->trie = trie;
    if (compile(c, spec, err) || matcher_new(&c->idle, c->automaton, err)) goto fail;
    c->takes_nothing = matcher_may_end(c->idle);
    if (make_masks(c, err) || make_mask(c, c->idle, 0, err)) goto fail;
    *out = c;
    return 0;

fail:
    constraint_drop(c);
    return -1;
}

struct constraint *constraint_hold(struct constraint *c)
{
    atomic_fetch_add(&c->n_holders, 1);
    return c;
}

void constraint_drop(struct constraint *c)
{
    if (!c || atomic_fetch_sub(&c->n_holders, 1) > 1) return;
    matcher_free(c->idle);
    automaton_free(c->automaton);
    free(c->thinking);
    free(c->kept);
    free(c->bits);
    free(c);
}

/* ---- one answer ---- */

int constraint_begin(struct constraint_run **out, struct constraint *c, bool thinking,
                     struct err *err)
{
    struct constraint_run *r = calloc(1, sizeof *r);
    *out = NULL;
    if (!r) return err_set(err, ERR_LIMIT, "no memory for a constraint");
    r->matcher = c->idle;
    c->idle = NULL;
    if (r->matcher ? matcher_restart(r->matcher, err)
                   : matcher_new(&r->matcher, c->automaton, err)) {
        matcher_free(r->matcher);
        free(r);
        return -1;
    }
    r->c = constraint_hold(c);
    r->thinking = thinking && c->trie->end_think >= 0;
    *out = r;
    return 0;
}

void constraint_end(struct constraint_run *r)
{
    if (!r) return;
    if (r->c->idle || matcher_room(r->matcher) > IDLE_ROOM)
        matcher_free(r->matcher);
    else
        r->c->idle = r->matcher;
    constraint_drop(r->c);
    free(r);
}

/* The mask of this state, or the one that was wanted longest ago. */
static int find_kept(const struct constraint *c, struct matcher_key key, bool *found)
{
    int oldest = 0;
    *found = false;
    for (int i = 0; i < c->n_kept; i++) {
        const struct kept_mask *k = &c->kept[i];
        *found = k->used && k->key.half[0] == key.half[0] && k->key.half[1] == key.half[1];
        if (*found) return i;
        if (k->used < c->kept[oldest].used) oldest = i;
    }
    return oldest;
}

int constraint_mask(struct constraint_run *r, const uint64_t **mask, struct err *err)
{
    struct constraint *c = r->c;
    if (r->thinking) {
        *mask = c->thinking;
        return 0;
    }
    bool found;
    int i = find_kept(c, matcher_key(r->matcher), &found);
    *mask = c->bits + (size_t)i * (size_t)c->trie->n_words;
    if (!found) return make_mask(c, r->matcher, i, err);
    c->kept[i].used = ++c->clock;
    return 0;
}

int constraint_token(struct constraint_run *r, int id, struct err *err)
{
    const struct token_trie *t = r->c->trie;
    if (r->thinking) {
        r->thinking = id != t->end_think;
        return !r->thinking && matcher_must_end(r->matcher);
    }
    if (id == t->eos) return 1;
    size_t size;
    const char *bytes = tokenizer_piece(t->tokenizer, id, &size);
    int rc = id == t->dsml ? matcher_symbol(r->matcher, GRAMMAR_DSML, err)
                           : matcher_bytes(r->matcher, bytes, bytes ? size : 0, err);
    if (rc == 0 || !bytes)
        return err_set(err, ERR_UNSUPPORTED, "token %d is not one that the answer may have", id);
    return rc < 0 ? -1 : matcher_must_end(r->matcher);
}
