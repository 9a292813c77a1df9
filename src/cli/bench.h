/* Private to the subcommand bench: how it prints. */
#pragma once
#include "measure/bench.h"
#include "measure/bench_model.h"

/* The head of the table, and a row of it, on stdout. */
void bench_show_head(void);
void bench_show_row(const struct bench_row *r);

/* Where a step's time goes, ops with the most time first. */
void bench_show_ops(const struct bench_op ops[OP_COUNT]);

/* Rows that both runs have, b beside a. */
void bench_show_compared(const struct bench_run *a, const struct bench_run *b);

/* tenon bench serve; argv[0] is its name. */
int cli_bench_serve(int argc, char **argv);
