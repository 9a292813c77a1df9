#include "text/token_trie.h"

#include <stdlib.h>
#include <string.h>

#include "text/parse.h"

struct piece {
    const char *s;
    size_t size;
    int id;
};

static int by_bytes(const void *a, const void *b)
{
    const struct piece *x = a, *y = b;
    int order = memcmp(x->s, y->s, x->size < y->size ? x->size : y->size);
    if (order) return order;
    return x->size != y->size ? (x->size > y->size) - (x->size < y->size)
                              : (x->id > y->id) - (x->id < y->id);
}

/* The tokens that text spells; n of them, and their bytes together. */
static struct piece *list_pieces(const struct tokenizer *t, int n_ids, int *n, size_t *bytes)
{
    int count = tokenizer_count(t) < n_ids ? tokenizer_count(t) : n_ids;
    struct piece *pieces = malloc(((size_t)count + 1) * sizeof *pieces);
    *n = 0;
    *bytes = 0;
    for (int id = 0; pieces && id < count; id++) {
        struct piece p = {.id = id};
        p.s = tokenizer_piece(t, id, &p.size);
        if (!p.s || tokenizer_is_added(t, id) || p.size == 0 || p.size > TOKEN_TRIE_MAX_BYTES)
            continue;
        pieces[(*n)++] = p;
        *bytes += p.size;
    }
    if (pieces) qsort(pieces, (size_t)*n, sizeof *pieces, by_bytes);
    return pieces;
}

/* Adds a token; path holds the nodes of the one before it, by depth. */
static void add_piece(struct token_trie *trie, int32_t *path, size_t *depth, const struct piece *p)
{
    size_t same = 0;
    while (same < *depth && same < p->size &&
           trie->nodes[path[same + 1]].byte == (unsigned char)p->s[same])
        same++;
    for (size_t d = same + 1; d <= *depth; d++)
        trie->nodes[path[d]].skip = trie->n;
    for (size_t d = same + 1; d <= p->size; d++) {
        path[d] = trie->n;
        trie->nodes[trie->n++] = (struct trie_node){
            .token = -1, .depth = (uint16_t)d, .byte = (unsigned char)p->s[d - 1]};
    }
    *depth = p->size;
    trie->nodes[path[p->size]].token = p->id;
}

int token_trie_new(struct token_trie **out, const struct tokenizer *t, int n_ids, int eos,
                   struct err *err)
{
    int32_t path[TOKEN_TRIE_MAX_BYTES + 1] = {0};
    int n;
    size_t bytes, depth = 0;
    struct parse_ids ids = parse_ids_of(t);
    struct piece *pieces = list_pieces(t, n_ids, &n, &bytes);
    struct token_trie *trie = calloc(1, sizeof *trie);
    *out = NULL;
    if (pieces && trie) trie->nodes = malloc((bytes + 1) * sizeof *trie->nodes);
    if (!pieces || !trie || !trie->nodes) {
        free(pieces);
        token_trie_free(trie);
        return err_set(err, ERR_LIMIT, "no memory for the trie of %d tokens", n_ids);
    }
    trie->tokenizer = t;
    trie->n_ids = n_ids;
    trie->n_words = (n_ids + 63) / 64;
    trie->eos = eos < n_ids ? eos : -1;
    trie->end_think = ids.end_think < n_ids ? ids.end_think : -1;
    trie->dsml = ids.dsml < n_ids ? ids.dsml : -1;
    trie->nodes[trie->n++] = (struct trie_node){.token = -1};
    for (int i = 0; i < n; i++)
        add_piece(trie, path, &depth, &pieces[i]);
    for (size_t d = 0; d <= depth; d++)
        trie->nodes[path[d]].skip = trie->n;
    free(pieces);
    *out = trie;
    return 0;
}

void token_trie_free(struct token_trie *trie)
{
    if (!trie) return;
    free(trie->nodes);
    free(trie);
}
