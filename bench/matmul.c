/* Speed of the linears beside what this machine allows.
 *   build/bench/matmul [-t THREADS] [-m MIB] [-k TABLE] [-r ROUNDS]
 * For each weight format: distinct 2048 x 4096 matrices, MIB of them in all, read plainly, multiplied with
 * T tokens, read again; `share` is the product's GB/s over the reads' around it. Medians over the
 * rounds, since other work on the machine disturbs single ones; `others` says how many processors
 * other programs kept busy meanwhile. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/pool.h"
#include "cpu/kernels.h"
#include "measure/bandwidth.h"

enum { ROWS = 2048, COLS = 4096, CHUNK = 128, MAX_ROUNDS = 99 };

static const struct {
    enum weight_format format;
    const char *name;
} formats[] = {{WF_MXFP4, "MXFP4"}, {WF_Q4_0, "Q4_0"}, {WF_Q8_0, "Q8_0"},
               {WF_FP8, "FP8"},     {WF_BF16, "BF16"}, {WF_F32, "F32"}};

static uint32_t next(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* Rows of any codes under ordinary scales; floats of ordinary size, as subnormal ones take some
 * processors a hundred times longer. */
static int read_rows(void *ctx, int row, int n, void *out, struct err *err)
{
    const struct weight_src *src = ctx;
    size_t size = (size_t)n * weight_row_bytes(src->format, src->cols);
    uint8_t *p = out;
    uint32_t state = (uint32_t)row + 1;
    int block = src->format == WF_MXFP4 ? 17 : src->format == WF_Q4_0 ? 18 : 34;
    (void)err;
    for (size_t i = 0; i < size; i++)
        p[i] = (uint8_t)(next(&state) & 0x3f);
    size_t value = src->format == WF_F32 ? 4 : 2;
    for (size_t i = value - 1; i < size && !weight_is_quantised(src->format); i += value)
        p[i] |= 0x38;
    if (src->format != WF_FP8 && weight_is_quantised(src->format))
        for (size_t i = 0; i < size; i += (size_t)block)
            p[i] = 120;
    return 0;
}

static int read_scales(void *ctx, void *out, struct err *err)
{
    const struct weight_src *src = ctx;
    (void)err;
    memset(out, 120, (size_t)src->scale_rows * (size_t)src->scale_cols);
    return 0;
}

static struct packed *load(enum weight_format format)
{
    struct weight_src src = {.name = "bench",
                             .format = format,
                             .rows = ROWS,
                             .cols = COLS,
                             .ctx = &src,
                             .read_rows = read_rows,
                             .read_scales = read_scales};
    if (format == WF_FP8) {
        src.scale = SCALE_E8M0;
        src.block_rows = src.block_cols = 128;
        src.scale_rows = ROWS / 128;
        src.scale_cols = COLS / 128;
    }
    struct weight *w;
    struct err err = {0};
    if (packed_load(&w, &src, &err)) {
        fprintf(stderr, "%s\n", err.message);
        exit(1);
    }
    return (struct packed *)w;
}

struct job {
    const struct cpu_kernels *k;
    struct packed **w;
    const int *order;
    const struct acts *x;
    float *y;
    int n_t;
    uint64_t *sums; /* per thread, so that reads are not optimised away */
};

static void multiply(void *ctx, int first, int last, int thread)
{
    const struct job *j = ctx;
    (void)thread;
    for (int i = first; i < last; i++) {
        const struct packed *w = j->w[j->order[i / (ROWS / CHUNK)]];
        int row = i % (ROWS / CHUNK) * CHUNK;
        (weight_is_quantised(w->base.format) ? j->k->matmul_int : j->k->matmul_f32)(
            j->y, ROWS, w, row, row + CHUNK, j->x, 0, NULL, j->n_t);
    }
}

static void read_only(void *ctx, int first, int last, int thread)
{
    typedef uint64_t vector __attribute__((vector_size(16)));
    const struct job *j = ctx;
    for (int i = first; i < last; i++) {
        const struct packed *w = j->w[j->order[i / (ROWS / CHUNK)]];
        size_t size = w->data_bytes / (ROWS / CHUNK) / 128;
        const vector *p =
            (const vector *)(const void *)w->data + (size_t)(i % (ROWS / CHUNK)) * size * 8;
        vector s[8] = {{0}};
        for (; size; size--, p += 8)
#pragma GCC unroll 8
            for (int a = 0; a < 8; a++)
                s[a] ^= p[a];
        for (int a = 0; a < 8; a++)
            j->sums[8 * thread] += s[a][0] ^ s[a][1];
    }
}

static double seconds(struct pool *pool, struct job *j, int n, void (*fn)(void *, int, int, int))
{
    double from = clock_seconds();
    pool_run(pool, n * (ROWS / CHUNK), 1, fn, j);
    return clock_seconds() - from;
}

/* Seconds that all processors have worked, and this process. */
static double busy_seconds(void)
{
    unsigned long long user = 0, nice = 0, system = 0;
    FILE *f = fopen("/proc/stat", "r");
    if (!f) return 0;
    int n = fscanf(f, "cpu %llu %llu %llu", &user, &nice, &system);
    fclose(f);
    return n == 3 ? (double)(user + nice + system) / (double)sysconf(_SC_CLK_TCK) : 0;
}

static double own_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void measure(struct pool *pool, struct job *j, int n, const char *name, int rounds)
{
    static const int tokens[] = {1, 2, 4, 6, 32};
    double bytes = (double)j->w[0]->base.bytes * n;
    for (size_t i = 0; i < sizeof tokens / sizeof tokens[0]; i++) {
        double read[MAX_ROUNDS], run[MAX_ROUNDS], share[MAX_ROUNDS];
        j->n_t = tokens[i];
        double start = clock_seconds(), others = busy_seconds() - own_seconds();
        double before = seconds(pool, j, n, read_only);
        for (int r = 0; r < rounds; r++) {
            run[r] = seconds(pool, j, n, multiply);
            read[r] = seconds(pool, j, n, read_only);
            share[r] = (before + read[r]) / 2 / run[r];
            before = read[r];
        }
        others = (busy_seconds() - own_seconds() - others) / (clock_seconds() - start);
        double time = median_of(run, rounds);
        printf("%-6s %3d %8.1f %8.1f %6.2f %8.0f %8.1f\n", name, tokens[i],
               bytes / median_of(read, rounds) * 1e-9, bytes / time * 1e-9,
               median_of(share, rounds), 2e-9 * ROWS * COLS * n * tokens[i] / time,
               others > 0 ? others : 0);
    }
}

static void measure_format(struct pool *pool, struct job *j, size_t f, size_t total, int rounds)
{
    size_t one = weight_row_bytes(formats[f].format, COLS) * ROWS;
    int n = (int)(total / one) + 1;
    uint32_t state = 1;
    int *order = xcalloc((size_t)n, sizeof *order);
    j->w = xcalloc((size_t)n, sizeof(struct packed *));
    for (int i = 0; i < n; i++) {
        j->w[i] = load(formats[f].format);
        int at = (int)(next(&state) % (uint32_t)(i + 1));
        order[i] = order[at];
        order[at] = i;
    }
    j->order = order;
    measure(pool, j, n, formats[f].name, rounds);
    for (int i = 0; i < n; i++)
        packed_free(&j->w[i]->base);
    free(j->w);
    free(order);
}

static struct acts random_acts(const struct cpu_kernels *k, int rows)
{
    size_t n = (size_t)rows * COLS;
    struct acts x = {.rows = rows, .k = COLS};
    uint32_t state = 7;
    x.f32 = xmalloc(n * sizeof *x.f32);
    x.q = xmalloc(n);
    x.scale = xmalloc(n / 32 * sizeof *x.scale);
    x.pairs = xmalloc(n / 16 * sizeof *x.pairs);
    for (size_t i = 0; i < n; i++)
        x.f32[i] = (float)next(&state) * 0x1p-23f - 1.0f;
    k->quantise(x.q, x.scale, x.pairs, x.f32, (int)n);
    return x;
}

int main(int argc, char **argv)
{
    int threads = 0, mib = 512, rounds = 7, option;
    const char *table = NULL;
    while ((option = getopt(argc, argv, "t:m:k:r:")) != -1) {
        int value = optarg ? (int)strtol(optarg, NULL, 10) : 0;
        if (option == 't')
            threads = value;
        else if (option == 'm')
            mib = value;
        else if (option == 'r')
            rounds = value;
        else if (option == 'k')
            table = optarg;
        else
            return 1;
    }
    const struct cpu_kernels *k = kernels_find(table);
    if (!k || threads < 0 || mib < 1 || rounds < 1 || rounds > MAX_ROUNDS) {
        fprintf(stderr, "matmul [-t THREADS] [-m MIB] [-k TABLE] [-r ROUNDS (1..%d)]\n",
                MAX_ROUNDS);
        return 1;
    }
    struct pool *pool = pool_new(threads);
    struct acts x = random_acts(k, 32);
    struct job j = {.k = k,
                    .x = &x,
                    .y = xmalloc((size_t)ROWS * 32 * sizeof(float)),
                    .sums = xcalloc((size_t)pool_threads(pool) * 8, sizeof(uint64_t))};
    printf("%d threads, %s, %d x %d, %d MiB of each format\n", pool_threads(pool), k->name, ROWS,
           COLS, mib);
    printf("%-6s %3s %8s %8s %6s %8s %8s\n", "format", "T", "read", "GB/s", "share", "GOP/s",
           "others");
    for (size_t f = 0; f < sizeof formats / sizeof formats[0]; f++)
        measure_format(pool, &j, f, (size_t)mib << 20, rounds);
    free(x.f32);
    free(x.q);
    free(x.scale);
    free(x.pairs);
    free(j.y);
    free(j.sums);
    pool_free(pool);
    return 0;
}
