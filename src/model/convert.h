/* Any model Tenon reads, written as one GGUF file that llama.cpp reads too. */
#pragma once
#include <stdbool.h>

#include "base/err.h"

/* Reads the model at `model` (see weights_open) and writes `out`.
 *
 * FP4 becomes MXFP4 without loss, FP8 becomes Q8_0 (one rounding), vectors become F32, I64 tables
 * I32; everything else is kept as it is. Experts are stacked. The tokenizer is that of the model's
 * tokenizer.json or GGUF; without one, a list of dummy tokens of the right length.
 *
 * mtp: also writes the MTP block, as blk.N.nextn.*. llama.cpp has no place for all of its tensors and
 * refuses such a file, so the default is without; Tenon drafts only with it.
 * f32: every value of the matrices as F32, exact, and nothing quantised: for comparing engines.
 *
 * Memory: a few megabytes and one matrix's scales. A progress bar shows on a terminal. On failure
 * nothing is left at `out`. */
struct convert_options {
    bool mtp, f32;
};

MUST_USE int convert_to_gguf(const char *model, const char *out,
                             const struct convert_options *options, struct err *err);
