#include "base/mem.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "base/err.h"

enum { SMALL_PAGE = 4096, HUGE_PAGE = 2 << 20 };

void *xmalloc(size_t size)
{
    void *p = malloc(size ? size : 1);
    CHECK(p, "out of memory: %zu bytes", size);
    return p;
}

void *xcalloc(size_t n, size_t size)
{
    void *p = calloc(n ? n : 1, size ? size : 1);
    CHECK(p, "out of memory: %zu x %zu bytes", n, size);
    return p;
}

void *xrealloc(void *p, size_t n, size_t size)
{
    CHECK(!size || n <= SIZE_MAX / size, "out of memory: %zu x %zu bytes", n, size);
    size_t total = n * size;
    void *q = realloc(p, total ? total : 1);
    CHECK(q, "out of memory: %zu bytes", total);
    return q;
}

char *xstrdup(const char *s)
{
    return xstrndup(s, strlen(s));
}

char *xstrndup(const char *s, size_t n)
{
    char *p = xmalloc(n + 1);
    memcpy(p, s, n);
    p[n] = 0;
    return p;
}

static size_t round_up(size_t size, size_t to)
{
    return (size + to - 1) / to * to;
}

void *mem_pages(size_t size)
{
    if (size > SIZE_MAX / 2) return NULL;
    if (size < HUGE_PAGE) {
        size_t bytes = round_up(size ? size : 1, 64);
        void *p = aligned_alloc(64, bytes);
        if (p) memset(p, 0, bytes);
        return p;
    }
    /* mmap gives 4 KiB alignment; map one huge page more and trim, so that huge pages can back all of
     * it but the tail. */
    size_t bytes = round_up(size, SMALL_PAGE);
    char *raw = mmap(NULL, bytes + HUGE_PAGE, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (raw == MAP_FAILED) return NULL;
    size_t head = round_up((uintptr_t)raw, HUGE_PAGE) - (uintptr_t)raw;
    if (head) munmap(raw, head);
    if (head < HUGE_PAGE) munmap(raw + head + bytes, HUGE_PAGE - head);
    madvise(raw + head, bytes, MADV_HUGEPAGE);
    return raw + head;
}

void mem_pages_free(void *p, size_t size)
{
    if (!p) return;
    if (size < HUGE_PAGE)
        free(p);
    else
        munmap(p, round_up(size, SMALL_PAGE));
}

size_t mem_peak(void)
{
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    return (size_t)use.ru_maxrss * 1024;
}

void mem_host(size_t *total, size_t *available)
{
    *total = *available = 0;
    FILE *f = fopen("/proc/meminfo", "r");
    if (!f) return;
    char line[128];
    unsigned long kib;
    while (fgets(line, sizeof line, f)) {
        if (sscanf(line, "MemTotal: %lu kB", &kib) == 1) *total = (size_t)kib * 1024;
        if (sscanf(line, "MemAvailable: %lu kB", &kib) == 1) *available = (size_t)kib * 1024;
    }
    fclose(f);
    size_t group = mem_cgroup("");
    if (group < *available) *available = group;
}

void mem_free_const(const void *p)
{
    union {
        const void *in;
        void *out;
    } u = {.in = p};
    free(u.out);
}
