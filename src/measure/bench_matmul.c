#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "measure/bench_kernels.h"

enum { ROWS = 2048, COLS = 4096, CHUNK = 128, CHUNKS = ROWS / CHUNK, MAX_TOKENS = 128 };
enum { TOTAL = 1 << 29 }; /* bytes of distinct matrices */

static const struct {
    enum weight_format format;
    const char *name;
} formats[] = {{WF_MXFP4, "mxfp4"}, {WF_Q4_0, "q4_0"}, {WF_Q8_0, "q8_0"},
               {WF_FP8, "fp8"},     {WF_BF16, "bf16"}, {WF_F32, "f32"}};

static const int tokens[] = {1, 2, 4, 8, 16, 32, MAX_TOKENS};

struct matmul {
    const struct bench_kernels *b;
    struct weight **w; /* [n], multiplied in the order of `order` */
    int *order, n;
    const struct acts *x;
    float *y;
    int n_t;
};

static void multiply(void *ctx, int first, int last, int thread)
{
    const struct matmul *j = ctx;
    const struct cpu_kernels *k = j->b->kernels;
    (void)thread;
    for (int i = first; i < last; i++) {
        const struct packed *w = (const struct packed *)j->w[j->order[i / CHUNKS % j->n]];
        int row = i % CHUNKS * CHUNK;
        (weight_is_quantised(w->base.format) ? k->matmul_int : k->matmul_f32)(
            j->y, ROWS, w, row, row + CHUNK, j->x, 0, NULL, j->n_t);
    }
}

static int multiply_all(void *ctx, int times, struct err *err)
{
    struct matmul *j = ctx;
    (void)err;
    for (int i = 0; i < times; i++)
        pool_run(j->b->pool, j->n * CHUNKS, 1, multiply, j);
    return 0;
}

static double operations(const struct matmul *j)
{
    return 2.0 * ROWS * COLS * j->n * j->n_t;
}

static double limit(void *ctx, const struct rates *r)
{
    const struct matmul *j = ctx;
    bool is_int = weight_is_quantised(j->w[0]->format);
    double memory = (double)j->w[0]->bytes * j->n / r->read;
    double work = operations(j) / (is_int ? r->int_ops : r->float_ops);
    return memory > work ? memory : work;
}

static int measure_format(struct matmul *j, const char *format, struct err *err)
{
    char name[BENCH_NAME];
    snprintf(name, sizeof name, "matmul %s", format);
    bool is_int = weight_is_quantised(j->w[0]->format);
    for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++) {
        j->n_t = tokens[i];
        double amount = j->n_t == 1 ? (double)j->w[0]->bytes * j->n : operations(j);
        const char *unit = j->n_t == 1 ? "GB/s" : is_int ? "GOP/s" : "GFLOP/s";
        struct rounds_job job = {multiply_all, limit, j};
        if (bench_case(j->b, name, j->n_t, 0, unit, amount * 1e-9, &job, err)) return -1;
    }
    return 0;
}

static int make_weights(struct matmul *j, enum weight_format format, struct err *err)
{
    uint32_t state = 1;
    size_t one = weight_row_bytes(format, COLS) * ROWS;
    int n = (int)(TOTAL / one) + 1;
    j->w = xcalloc((size_t)n, sizeof(struct weight *));
    j->order = xcalloc((size_t)n, sizeof *j->order);
    for (j->n = 0; j->n < n; j->n++) {
        if (bench_weight(&j->w[j->n], format, ROWS, COLS, (uint32_t)j->n, err)) return -1;
        int at = (int)(bench_random(&state) % (uint32_t)(j->n + 1));
        j->order[j->n] = j->order[at];
        j->order[at] = j->n;
    }
    return 0;
}

static void free_weights(struct matmul *j)
{
    for (int i = 0; i < j->n; i++)
        packed_free(j->w[i]);
    free(j->w);
    free(j->order);
}

int bench_matmul(const struct bench_kernels *b, struct err *err)
{
    struct acts x = bench_acts(b->kernels, MAX_TOKENS, COLS);
    struct matmul j = {.b = b, .x = &x};
    int rc = 0, n_measured = 0;
    j.y = xmalloc((size_t)ROWS * MAX_TOKENS * sizeof *j.y);
    for (size_t f = 0; f < sizeof formats / sizeof *formats && rc == 0; f++) {
        if (b->format && strcmp(b->format, formats[f].name) != 0) continue;
        n_measured++;
        rc = make_weights(&j, formats[f].format, err);
        if (rc == 0) rc = measure_format(&j, formats[f].name, err);
        free_weights(&j);
    }
    if (!n_measured) rc = err_set(err, ERR_ARGUMENT, "matmul: no format \"%s\"", b->format);
    bench_acts_fini(&x);
    free(j.y);
    return rc;
}
