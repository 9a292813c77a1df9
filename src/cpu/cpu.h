/* The CPU backend: opens it. Everything else of cpu/ is private to it.
 * Layers above reach it through struct backend (ops/backend.h). */
#pragma once
#include "ops/backend.h"

/* n_threads 0: one per CPU. isa: a table of kernels.c ("ref", "avx2", ...), or NULL for the best that this CPU has; an unknown or
 * missing one is ERR_ARGUMENT. Close with backend->close. */
MUST_USE int cpu_open(struct backend **out, enum numeric_mode mode, int n_threads, const char *isa,
                      struct err *err);
