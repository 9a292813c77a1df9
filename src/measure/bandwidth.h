/* What this machine's memory gives: the limit that decoding is measured against. */
#pragma once
#include <stddef.h>

#include "base/err.h"

struct bandwidth;
struct cpu_kernels;

/* A buffer of `bytes` (at least several times the last-level cache) that n_threads threads read with the
 * loads of k: wider ones get more out of the same memory. ERR_LIMIT when memory is out. */
MUST_USE int bandwidth_open(struct bandwidth **out, const struct cpu_kernels *k, size_t bytes,
                            int n_threads, struct err *err);
void bandwidth_close(struct bandwidth *b); /* takes NULL */

/* Reads the buffer once, in chunks that threads take dynamically as the kernels do; bytes per
 * second. */
double bandwidth_read(struct bandwidth *b);

/* Median of n values; sorts them. */
double median_of(double *values, int n);
