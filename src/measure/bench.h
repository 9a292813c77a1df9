/* What a benchmark found: a row for each measurement, stored as JSON and compared. */
#pragma once
#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"
#include "plan/roofline.h"

enum { BENCH_NAME = 48 };

/* One measurement. name, n and context tell it from the others of its run. */
struct bench_row {
    char name[BENCH_NAME]; /* "decode", "prefill", "matmul mxfp4", ... */
    int n;                 /* rows at once: sequences, or tokens of the prompt */
    int context;           /* positions before them; of kernels the keys */
    char unit[16];         /* "tokens/s", "GB/s", "GOP/s", "GFLOP/s" */
    double rate;           /* in that unit */
    double limit;          /* the roofline's rate */
    double share;          /* rate / limit: median over rounds of each round's own */
    double seconds;        /* of one step */
    struct rates rates;    /* the machine between these rounds */
    int rounds, dropped;
    bool noisy; /* too few rounds were quiet: nothing was dropped */
    /* Experts on demand, over the steps of all rounds; for people, not read back by bench_run_parse. */
    struct {
        bool any;
        double hits;  /* share of the experts needed that were there */
        double bytes; /* read for a step */
        double wait;  /* seconds of a step that waited for them */
        double ahead; /* share of the experts read ahead that were then needed; -1: none was */
    } cache;
};

struct bench_run {
    json_t *about; /* machine, model, versions: names to strings and numbers */
    struct bench_row *rows;
    int n_rows, cap;
};

void bench_run_init(struct bench_run *r);
void bench_run_fini(struct bench_run *r);
void bench_run_add(struct bench_run *r, const struct bench_row *row);

/* As one JSON object; the caller owns it. */
json_t *bench_run_json(const struct bench_run *r);

/* From the text of bench_run_json, which may be anything: ERR_FORMAT. `what` names it. */
MUST_USE int bench_run_parse(struct bench_run *out, const char *what, const char *text, size_t size,
                             struct err *err);

/* The row of b that measures what `row` does, or NULL. */
const struct bench_row *bench_run_find(const struct bench_run *b, const struct bench_row *row);
