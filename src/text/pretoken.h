/* The pre-tokenizers that Tenon knows: how text is cut into pieces before BPE.
 *
 * A tokenizer file names its cuts by regular expressions. Running a file's pattern would hand it
 * our time (rule F7), so the exact pattern texts of the known tokenizers map to matchers written by
 * hand, which take linear time; any other text is refused.
 * Source: docs/spec, tokenizer and prompt, sections 1.2 and 1.3. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum pretoken_kind {
    PRETOKEN_DEEPSEEK3, /* DeepSeek V3, R1, V4: groups of digits, then Han and kana, then the rest */
};

/* By the texts of the `Split` patterns of a tokenizer.json, in order, all of behaviour Isolated.
 * ERR_UNSUPPORTED quotes the first text that is not known there. */
MUST_USE int pretoken_from_patterns(enum pretoken_kind *out, const char *const *patterns, int n,
                                    struct err *err);

/* By the value of tokenizer.ggml.pre in a GGUF file. */
MUST_USE int pretoken_from_name(enum pretoken_kind *out, const char *name, struct err *err);

/* Cuts text into pieces, in order and without gaps. Text must be valid UTF-8. */
struct pretoken {
    const char *text;
    size_t size;
    size_t pos;     /* start of the next piece */
    size_t run_end; /* end of the run of one kind that pos is in */
    bool in_digits; /* that run is one group of digits */
};

void pretoken_init(struct pretoken *p, enum pretoken_kind kind, const char *text, size_t size);

/* The next piece as [*start, *end); false after the last. */
bool pretoken_next(struct pretoken *p, size_t *start, size_t *end);
