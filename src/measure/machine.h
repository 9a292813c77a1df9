/* What this machine does at most: the limits that speeds are measured against. */
#pragma once
#include "base/err.h"
#include "plan/roofline.h"

struct machine;
struct cpu_kernels;

/* n_threads as for pool_new; the arithmetic is that of the kernels. Takes 512 MiB to read.
 * ERR_LIMIT when memory is out. */
MUST_USE int machine_open(struct machine **out, const struct cpu_kernels *k, int n_threads,
                          struct err *err);
void machine_close(struct machine *m); /* takes NULL */

int machine_threads(const struct machine *m);

/* Bytes per second of reading the buffer once (about 20 ms), in chunks that threads take dynamically as
 * the kernels do; and operations per second on registers alone (about 5 ms each). */
double machine_read(struct machine *m);
double machine_int_peak(struct machine *m);
double machine_float_peak(struct machine *m);

/* Seconds from starting the threads on work that is empty until all are back; median of many. */
double machine_barrier(struct machine *m);
