/* Problems with long prompts, made on the spot: is what stands far back still found?
 *
 * English sentences without meaning, as many as fill the prompt, and in them
 *   needle: "The secret number of Nora is 48213."; the question asks for it. Of the problems of one
 *           length the fact stands at evenly spread depths: of n, problem i at (2 i + 1) / (2 n) of the
 *           sentences.
 *   copy:   "Remember this list: 38, 12, 95, 71, 64." in the first quarter (at a quarter of such a
 *           depth); the question asks for the list, which the answer must end with.
 * The kind of a problem is the test's name, its field "position" the length asked for, "depth" the
 * place in per cent. All is a function of the seed, the lengths and the tokenizer. */
#pragma once
#include <stdint.h>

#include "base/err.h"
#include "measure/task.h"

struct longctx_options {
    const int *positions; /* lengths of the prompts, in tokens */
    int n_positions;
    int n_each; /* problems of each test and length */
    uint64_t seed;
    /* Tokens of the whole prompt that this question makes. */
    int (*count)(void *ctx, const char *question, int *n, struct err *err);
    void *ctx;
};

/* Appends the problems of each length: needle, then copy. A prompt has at most the tokens asked for; one
 * more sentence would be too long, or fewer than 32 tokens are missing. ERR_ARGUMENT for a length that
 * the question alone does not leave room in. */
MUST_USE int longctx_make(struct task *t, const struct longctx_options *o, struct err *err);
