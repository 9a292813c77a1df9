/* The tables behind a tokenizer: tokens by id and by bytes, the added tokens, the merges. Filled by
 * the readers of tokenizer.json and GGUF, which share its checks. Private to text. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "text/bpe.h"

/* Largest id + 1, and longest text of an added token in bytes. */
enum { VOCAB_MAX_IDS = 1 << 20, VOCAB_MAX_ADDED_BYTES = 256 };

struct vocab_token {
    size_t start; /* in the blob */
    uint32_t size;
    bool present; /* id names a token */
    bool added;   /* matched in the text as it is, never made by BPE */
    bool special; /* added, and left out of text on request */
    bool literal; /* spelled outside the byte alphabet: must turn out to be an added token */
};

struct vocab {
    struct vocab_token *tokens; /* [n_ids] */
    int n_ids, cap_ids;
    struct buf blob;
    int32_t *slots; /* hash table of ids by bytes, without added tokens; -1: empty */
    size_t n_slots, n_filled;
    uint64_t seed;
    int32_t *added; /* ids in order of their bytes, once vocab_seal_added has run */
    int n_added, cap_added;
    bool first[256]; /* bytes that begin an added token */
    struct bpe *bpe;
};

void vocab_init(struct vocab *v);
void vocab_fini(struct vocab *v);

/* An entry of the vocabulary, spelled in the byte alphabet of GPT-2. */
MUST_USE int vocab_add(struct vocab *v, int64_t id, const char *spelling, size_t size,
                       struct err *err);

/* An added token, as its literal text; may repeat an entry of the vocabulary with the same id. Its
 * entries all come after those of vocab_add. */
MUST_USE int vocab_add_added(struct vocab *v, int64_t id, const char *text, size_t size,
                             bool special, struct err *err);

/* All tokens are there: checks what only shows now, and makes ready for merges and matching. */
MUST_USE int vocab_seal(struct vocab *v, int n_merges, struct err *err);

/* Merge number `rank`, its parts spelled in the byte alphabet, in order of rank. */
MUST_USE int vocab_add_merge(struct vocab *v, size_t rank, const char *left, size_t left_size,
                             const char *right, size_t right_size, struct err *err);

/* The same for "left right". */
MUST_USE int vocab_add_merge_text(struct vocab *v, size_t rank, const char *text, size_t size,
                                  struct err *err);

/* Length of the longest added token that s[0, size) begins with, 0 for none. */
size_t vocab_match_added(const struct vocab *v, const char *s, size_t size, int32_t *id);

/* Bytes of a token; NULL for none. */
const char *vocab_piece(const struct vocab *v, int id, size_t *size);
