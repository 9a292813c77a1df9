/* Memory that cannot be NULL, for start-up; and aligned blocks.
 * All sizes in bytes. Every pointer from here but mem_pages is freed with free(). */
#pragma once
#include <stddef.h>

/* Abort when the host is out of memory or n * size overflows. Contents: xcalloc zero, others
 * undefined. */
void *xmalloc(size_t size);
void *xcalloc(size_t n, size_t size);
void *xrealloc(void *p, size_t n, size_t size);
char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t n);

/* Zeroed memory, aligned to 64 bytes. Large blocks (2 MiB and up) come from mmap and ask for huge
 * pages. NULL when the host has none left: the caller reports it. Free with mem_pages_free. */
void *mem_pages(size_t size);
void mem_pages_free(void *p, size_t size);

/* Largest resident set of this process so far, in bytes. */
size_t mem_peak(void);

/* Memory of the host in bytes: installed, and what a new process could take now, by the host and by the
 * limits of this process's control groups. 0 where the system does not tell. */
void mem_host(size_t *total, size_t *available);

/* What the control groups leave, SIZE_MAX without a limit. root is put before /proc and /sys; "" but in
 * tests. */
size_t mem_cgroup(const char *root);

/* Frees a block that its owner keeps behind a const pointer, since only readers see it. */
void mem_free_const(const void *p);
