#include "measure/bandwidth.h"

#include <stdint.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/pool.h"

enum { CHUNK = 1 << 18 };

struct bandwidth {
    struct pool *pool;
    uint64_t *data;
    size_t bytes;
    uint64_t *sums; /* a cache line per thread: keeps the reads from being optimised away */
};

int bandwidth_open(struct bandwidth **out, size_t bytes, int n_threads, struct err *err)
{
    struct bandwidth *b = xcalloc(1, sizeof *b);
    b->pool = pool_new(n_threads);
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
    const uint64_t *p = b->data + (size_t)first * (CHUNK / sizeof *b->data);
    const uint64_t *end = b->data + (size_t)last * (CHUNK / sizeof *b->data);
    /* Independent sums, so that the loop waits for memory and not for itself. */
    uint64_t sum[16] = {0};
    for (; p < end; p += 16)
        for (int i = 0; i < 16; i++)
            sum[i] ^= p[i];
    for (int i = 0; i < 16; i++)
        b->sums[8 * thread] ^= sum[i];
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
