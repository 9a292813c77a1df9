/* One pass of the model over T rows.
 *
 * A row is (sequence, position, token). Rows of one sequence are consecutive and ascending; the
 * sequences of a step may be at any position, prefill and decode mixed. The step carries scratch
 * memory and the first failure: once failed, later ops do nothing, and step_end reports. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "ops/tensor.h"

struct backend;
struct step;

/* One sequence's share of a step: rows [first, first + n) at positions pos, pos + 1, ... */
struct step_seq {
    int first, n;
    int pos;
    void *live;   /* device pointer of the live block, written by the step */
    void **pages; /* device pointers by position / 128, writable where this step writes */
};

struct step_rows {
    int n_rows; /* T */
    int n_seqs;
    const int *tokens; /* [T] */
    const int *pos;    /* [T] */
    const int *seq;    /* [T] index into seqs */
    const struct step_seq *seqs;
};

enum op {
    OP_EMBED,
    OP_ROPE_ROWS,
    OP_HC_MIX,
    OP_PROJECT,
    OP_NORM,
    OP_ROWS_APPEND,
    OP_ROWS_KEEP,
    OP_COMPRESS,
    OP_QUERY,
    OP_SELECT,
    OP_ATTEND,
    OP_PROJECT_GROUPED,
    OP_HC_JOIN,
    OP_ROUTE,
    OP_EXPERTS,
    OP_HEAD,
    OP_MTP_STREAMS,
    OP_MTP_JOIN,
    OP_COUNT
};

const char *op_name(enum op op);

/* Called after each op with its main output, for traces and ledgers. ints is NULL unless the op
 * chooses (select: ids, route: ids). */
struct observer {
    void (*after)(void *ctx, struct step *s, enum op op, const struct tensor *out,
                  const struct itensor *ints);
    void *ctx;
};

struct step {
    struct backend *backend;
    enum numeric_mode mode;
    struct step_rows rows;
    int layer;                       /* being computed; -1 outside layers; n_layers for MTP */
    const struct observer *observer; /* or NULL */
    struct err err;                  /* the first failure */
};

/* Starts a step over rows (borrowed until step_end). */
void step_begin(struct step *s, struct backend *b, const struct step_rows *rows,
                const struct observer *observer);

/* Waits for the device; 0, or -1 with the step's first failure. */
MUST_USE int step_end(struct step *s, struct err *err);

/* Scratch memory of the step, uninitialised. */
struct tensor step_f32(struct step *s, int rows, int cols);
struct itensor step_i32(struct step *s, int rows, int cols);
struct acts step_acts(struct step *s, int rows, int k);
struct rows step_stored(struct step *s, int rows, size_t row_bytes);

/* Everything taken after the mark is free again after release. */
size_t step_mark(struct step *s);
void step_release(struct step *s, size_t mark);

/* Copies a tensor to the host; waits for it. host holds rows * cols values. */
void step_read(struct step *s, float *host, const struct tensor *t);

/* Records the step's first failure. */
void step_fail(struct step *s, enum err_code code, const char *message);
