/* The tokens of a vocabulary by their bytes, so that tokens which begin alike are looked at together; made
 * once for a tokenizer, never changed. Added tokens are not in it: text does not spell them. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "text/tokenizer.h"

/* Longer tokens are left out. */
enum { TOKEN_TRIE_MAX_BYTES = 256 };

struct trie_node {
    int32_t token; /* that ends here; -1: none */
    int32_t skip;  /* the node behind those below this one */
    uint16_t depth;
    uint8_t byte;
};

struct token_trie {
    const struct tokenizer *tokenizer; /* borrowed */
    struct trie_node *nodes; /* [n] each before those below it; nodes[0] is the root, depth 0 */
    int n;
    int n_ids;                /* bits of a mask: ids 0..n_ids - 1 */
    int n_words;              /* 64 bits each */
    int eos, end_think, dsml; /* ids; -1: none */
};

/* n_ids: how many logits the model has. t is borrowed. */
MUST_USE int token_trie_new(struct token_trie **out, const struct tokenizer *t, int n_ids, int eos,
                            struct err *err);
void token_trie_free(struct token_trie *trie); /* takes NULL */
