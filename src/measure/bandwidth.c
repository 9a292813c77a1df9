#include "measure/bandwidth.h"

#include <stdint.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/pool.h"
#include "cpu/kernels.h"

enum { CHUNK = 1 << 18 };

struct bandwidth {
    const struct cpu_kernels *k;
    struct pool *pool;
    uint64_t *data;
    size_t bytes;
    uint64_t *sums; /* a cache line per thread: keeps the reads from being optimised away */
};

int bandwidth_open(struct bandwidth **out, const struct cpu_kernels *k, size_t bytes, int n_threads,
                   struct err *err)
{
    struct bandwidth *b = xcalloc(1, sizeof *b);
    b->pool = pool_new(n_threads);
    b->k = k;
    b->bytes = bytes / CHUNK * CHUNK;
    b->data = mem_pages(b->bytes);
    b->sums = xcalloc((size_t)pool_threads(b->pool) * 8, sizeof *b->sums);
    *out = b;
    if (!b->data) {
        bandwidth_close(b);
        *out = NULL;
        return err_set(err, ERR_LIMIT, "bandwidth: no memory for a buffer of %zu bytes", bytes);
    }
    for (size_t i = 0; i < b->bytes / sizeof *b->data; i++)
        b->data[i] = i; /* untouched pages would all be the one zero page */
    return 0;
}

void bandwidth_close(struct bandwidth *b)
{
    if (!b) return;
    pool_free(b->pool);
    mem_pages_free(b->data, b->bytes);
    free(b->sums);
    free(b);
}

static void read_chunks(void *ctx, int first, int last, int thread)
{
    struct bandwidth *b = ctx;
    const uint8_t *p = (const uint8_t *)b->data;
    for (int i = first; i < last; i++)
        b->sums[8 * thread] ^= b->k->read_peak(p + (size_t)i * CHUNK, CHUNK);
}

double bandwidth_read(struct bandwidth *b)
{
    double start = clock_seconds();
    pool_run(b->pool, (int)(b->bytes / CHUNK), 1, read_chunks, b);
    return (double)b->bytes / (clock_seconds() - start);
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double median_of(double *values, int n)
{
    qsort(values, (size_t)n, sizeof *values, ascending);
    return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}
