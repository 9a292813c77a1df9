/* A text's tokens cut into windows, and the logits of all of them: what perplexity and KL divergence are
 * computed from.
 *
 * The procedure is llama.cpp's (tools/perplexity): the text gets BOS in front and is cut into windows of
 * L tokens, what is left at the end is dropped, and the first token of each window is replaced by BOS.
 * A window is a sequence of its own. Position p predicts the token at p + 1; scored are the positions
 * skip .. L - 2, where skip is L / 2 unless told otherwise: L - 1 - skip of each window. */
#pragma once
#include <stdint.h>

#include "base/err.h"
#include "model/model.h"
#include "text/ids.h"

struct windows {
    int32_t *tokens; /* [n, length] */
    int n, length, skip;
};

/* length >= 4, 0 <= skip <= length - 2. limit 0: all windows, else so many, evenly spread. ERR_ARGUMENT
 * when the text has less than one window. */
MUST_USE int windows_cut(struct windows *w, const struct ids *text, int bos, int length, int skip,
                         int limit, struct err *err);
void windows_fini(struct windows *w);

int windows_scored(const struct windows *w);                   /* positions of one window */
void windows_digest(const struct windows *w, uint8_t out[32]); /* SHA-256 of the tokens */

/* ---- logits ---- */

/* One scored position. */
struct scored_row {
    int window, index;   /* index among the window's scored positions */
    int32_t target;      /* the token that follows */
    const float *logits; /* [V]; borrowed until the next scorer_step */
};

struct scorer;

/* Runs at_once windows in one step, each in chunks, so that a step has at most 256 rows and its logits
 * 64 MiB (one row if that is larger). The rows and their order depend on the windows, at_once and the
 * vocabulary alone: two scorers over models of one vocabulary go in step. Borrows m and w. ERR_LIMIT when
 * memory is out. */
MUST_USE int scorer_open(struct scorer **out, struct model *m, const struct windows *w, int at_once,
                         struct err *err);
void scorer_close(struct scorer *s); /* takes NULL */

/* The rows of the next step; *n may be 0 while windows begin. False after the last: *n is -1. */
MUST_USE int scorer_step(struct scorer *s, const struct scored_row **rows, int *n, struct err *err);
