/* Speed of a model's steps beside their roofline. */
#pragma once
#include "format/weights.h"
#include "measure/bench.h"
#include "measure/machine.h"
#include "model/model.h"

struct bench_model;

/* What one op takes of a step, summed over its calls. */
struct bench_op {
    long calls;
    double seconds, limit;
};

/* All are borrowed. The work of each step is counted on the null backend. ERR_LIMIT when memory is
 * out. */
MUST_USE int bench_model_open(struct bench_model **out, struct model *m, const struct weights *w,
                              struct machine *machine, struct err *err);
void bench_model_close(struct bench_model *b); /* takes NULL */

/* One token for each of n sequences, random tokens, after `context` positions each. Long contexts are
 * not computed: the pages of a short text (1,024 random tokens) are repeated, so keys and rows are
 * of a true kind and lie in memory as they would.
 * ops: NULL, or room for OP_COUNT, filled by steps of their own in which each op is timed. */
MUST_USE int bench_model_decode(struct bench_model *b, int n, int context, int rounds,
                                struct bench_row *out, struct bench_op *ops, struct err *err);

/* A prompt of n random tokens, `chunk` of them in a step, logits of the last one. */
MUST_USE int bench_model_prefill(struct bench_model *b, int n, int chunk, int rounds,
                                 struct bench_row *out, struct bench_op *ops, struct err *err);
