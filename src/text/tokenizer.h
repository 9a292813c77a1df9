/* Byte-level BPE tokenizer of DeepSeek V3 and V4: text to token ids and back.
 * Source: docs/spec, tokenizer and prompt, section 1.
 *
 *     struct tokenizer *t = NULL;
 *     struct ids ids;
 *     ids_init(&ids, 1 << 20);
 *     if (tokenizer_open(&t, "models/nano", err)) ...
 *     if (tokenizer_encode(t, text, size, false, &ids, err)) ...
 *     ... ids.data, ids.n ...
 *     ids_fini(&ids);
 *
 * A tokenizer does not change once open: any number of threads may use it at once. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "text/ids.h"
#include "text/utf8.h"

struct tokenizer;

/* path: a tokenizer.json, a model folder that holds one, or a .gguf file with a tokenizer inside.
 * Everything is checked here, so that later calls cannot meet a bad table: ids unique and without
 * a gap too large, all 256 byte symbols there, every merge's parts and result in the vocabulary,
 * no merge that makes an added token. A pre-tokenizer pattern that is not known is
 * ERR_UNSUPPORTED; the message quotes it. */
MUST_USE int tokenizer_open(struct tokenizer **out, const char *path, struct err *err);

/* The same from the bytes of a tokenizer.json; `what` names them in errors. */
MUST_USE int tokenizer_from_json(struct tokenizer **out, const char *what, const char *text,
                                 size_t size, struct err *err);

void tokenizer_close(struct tokenizer *t); /* takes NULL */

/* Largest id + 1. May be below the model's logit width (which is padded), never above it for a
 * model that loads: the engine checks. */
int tokenizer_count(const struct tokenizer *t);

/* The raw bytes of a token: of an added token its literal text, else the bytes it stands for, which
 * need not be whole characters. NULL and *size 0 when id names no token. Borrowed from t. */
const char *tokenizer_piece(const struct tokenizer *t, int id, size_t *size);

/* The id of the added token with exactly this text, such as "<think>", or -1. Control tokens are
 * found by their text only: the numbers differ between models. */
int tokenizer_find(const struct tokenizer *t, const char *text);

/* True for every added token; and for those whose file says special (dropped by skip_special). */
bool tokenizer_is_added(const struct tokenizer *t, int id);
bool tokenizer_is_special(const struct tokenizer *t, int id);

/* Appends the ids of text[0, size) to out. No BOS or EOS is ever added.
 *   specials  true: the text of an added token becomes its id, as in the reference tokenizer.
 *             false, for text from people: no added token is ever made (security rule P5).
 * Invalid UTF-8 is read as U+FFFD, one for each maximal invalid subsequence. Work is
 * O(n log n); out->work counts the heap operations. ERR_LIMIT when out is full or memory is short. */
MUST_USE int tokenizer_encode(const struct tokenizer *t, const char *text, size_t size,
                              bool specials, struct ids *out, struct err *err);

/* Bytes [start, end) of a text. */
struct span {
    size_t start, end;
};

/* The same where only some parts of the text may hold added tokens: those wholly inside one of the
 * trusted spans (ascending, apart from each other). The ids are those of tokenizer_encode with
 * specials true unless text outside the spans takes part in such a match. */
MUST_USE int tokenizer_encode_trusted(const struct tokenizer *t, const char *text, size_t size,
                                      const struct span *trusted, int n_trusted, struct ids *out,
                                      struct err *err);

/* Appends the text of the ids to out, as UTF-8 with U+FFFD for what is not. Ids that name no token
 * are ERR_ARGUMENT. skip_special leaves out the tokens that tokenizer_is_special names. */
MUST_USE int tokenizer_decode(const struct tokenizer *t, const int32_t *ids, size_t n,
                              bool skip_special, struct buf *out, struct err *err);

/* Streaming decoder: the same text as tokenizer_decode, a token at a time, never half a character
 * (at most three bytes wait). Holds no memory of its own. */
struct detok {
    const struct tokenizer *t;
    bool skip_special;
    struct utf8_stream stream;
};

void detok_init(struct detok *d, const struct tokenizer *t, bool skip_special);
/* Appends what is complete. An id that names no token adds nothing. */
void detok_add(struct detok *d, int32_t id, struct buf *out);
/* End of the text: half a character left over becomes one U+FFFD. */
void detok_flush(struct detok *d, struct buf *out);
