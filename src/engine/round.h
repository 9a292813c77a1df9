/* One forward pass over the shares of some answers, with drafts where they pay. What generation_run does for
 * one answer and a batch for many:
 *
 *     generation_input of each answer
 *     round_run                           drafts, the pass, its time
 *     round_accept of each answer
 *
 * Drafts (speculative decoding): before the pass MTP runs alone for the answers whose last drawn token is
 * all that is pending, and a draft of the token behind it is drawn from its logits. The pass takes the
 * draft as one more row. Then the answer draws its next token from the logits of the pending token, exactly as
 * it would without: it is the draft, and the next one is drawn from the draft's row; or it is not, and the
 * draft's row is taken back (kv_undo).
 *
 * The law: text, tokens, log-probabilities, finish and the session's state are those of an answer without
 * drafts, bit for bit. The one exception: a pass whose draft row has NaN or infinite logits fails as any
 * such pass. One thread uses a round, the one that uses the model. */
#pragma once
#include "base/err.h"
#include "engine/generate.h"

struct model_input;
struct round;

/* For steps of at most n answers, and of GENERATE_PROMPT_LOGITS rows that tell of prompts. ERR_LIMIT when memory is out. m is borrowed. */
MUST_USE int round_new(struct round **out, struct model *m, int n, struct err *err);
void round_free(struct round *r); /* takes NULL */

/* in[0, n) are the shares of answers g[0, n). Drafts come to at most max_rows rows in all, or there are
 * none. On failure (see model_forward) the sessions must be freed or replaced. */
MUST_USE int round_run(struct round *r, struct generation *const *g, struct model_input *in, int n,
                       int max_rows, struct err *err);

/* generation_accept for answer i of the last round_run; 0 when its share asked for no logits. */
MUST_USE int round_accept(struct round *r, int i, struct err *err);
