/* A progress bar on stderr: "loading  62% 99.1 of 159.6 GB  1.4 GB/s  43 s left". Drawn only when
 * stderr is a terminal and at most ten times a second; safe to call from several threads. */
#pragma once
#include <stdint.h>

struct progress;

/* unit is "B" (printed in GB or MB) or a word for things counted one by one. */
struct progress *progress_new(const char *label, uint64_t total, const char *unit);
void progress_add(struct progress *p, uint64_t n); /* takes NULL */
void progress_free(struct progress *p);            /* wipes the line; takes NULL */
