#include "measure/bench_kernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

uint32_t bench_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* --- weights --- */

struct source {
    struct weight_src src;
    uint32_t seed;
};

/* Codes that are no NaN; floats of ordinary size, as subnormal ones take some processors a hundred times
 * longer. */
static void fill_codes(uint8_t *p, size_t size, enum weight_format f, uint32_t seed)
{
    uint32_t state = seed;
    size_t value = f == WF_F32 ? 4 : 2;
    for (size_t i = 0; i < size; i++)
        p[i] = (uint8_t)(bench_random(&state) & 0x3f);
    for (size_t i = value - 1; i < size && !weight_is_quantised(f); i += value)
        p[i] |= 0x38;
}

static int read_rows(void *ctx, int row, int n, void *out, struct err *err)
{
    const struct source *s = ctx;
    enum weight_format f = s->src.format;
    size_t size = (size_t)n * weight_row_bytes(f, s->src.cols);
    size_t block = f == WF_MXFP4 ? 17 : f == WF_Q4_0 ? 18 : 34;
    uint8_t *p = out;
    (void)err;
    fill_codes(p, size, f, s->seed + (uint32_t)row);
    if (f != WF_FP8 && weight_is_quantised(f))
        for (size_t i = 0; i < size; i += block)
            p[i] = 120;
    return 0;
}

static int read_scales(void *ctx, void *out, struct err *err)
{
    const struct source *s = ctx;
    (void)err;
    memset(out, 120, (size_t)s->src.scale_rows * (size_t)s->src.scale_cols);
    return 0;
}

int bench_weight(struct weight **out, enum weight_format format, int rows, int cols, uint32_t seed,
                 struct err *err)
{
    struct source s = {.src = {.name = "bench",
                               .format = format,
                               .rows = rows,
                               .cols = cols,
                               .ctx = &s,
                               .read_rows = read_rows,
                               .read_scales = read_scales},
                       .seed = seed};
    if (format == WF_FP8) {
        s.src.scale = SCALE_E8M0;
        s.src.block_rows = s.src.block_cols = 128;
        s.src.scale_rows = (rows + 127) / 128;
        s.src.scale_cols = (cols + 127) / 128;
    }
    return packed_load(out, &s.src, err);
}

struct acts bench_acts(const struct cpu_kernels *k, int rows, int cols)
{
    size_t n = (size_t)rows * (size_t)cols;
    struct acts x = {.rows = rows, .k = cols};
    uint32_t state = 7;
    x.f32 = xmalloc(n * sizeof *x.f32);
    x.q = xmalloc(n);
    x.scale = xmalloc(n / 32 * sizeof *x.scale);
    x.pairs = xmalloc(n / 16 * sizeof *x.pairs);
    for (size_t i = 0; i < n; i++)
        x.f32[i] = (float)bench_random(&state) * 0x1p-23f - 1.0f;
    k->quantise(x.q, x.scale, x.pairs, x.f32, (int)n);
    return x;
}

void bench_acts_fini(struct acts *x)
{
    free(x->f32);
    free(x->q);
    free(x->scale);
    free(x->pairs);
}

/* --- rows --- */

int bench_case(const struct bench_kernels *b, const char *name, int n, int context,
               const char *unit, double amount, const struct rounds_job *job, struct err *err)
{
    struct rounds_result r;
    if (rounds_run(&r, b->machine, job, b->rounds, err)) return -1;
    struct bench_row row = {.n = n,
                            .context = context,
                            .rate = amount / r.seconds,
                            .limit = amount / r.limit,
                            .share = r.share,
                            .seconds = r.seconds,
                            .rates = r.rates,
                            .rounds = r.n,
                            .dropped = r.n_dropped,
                            .noisy = r.noisy};
    snprintf(row.name, sizeof row.name, "%s", name);
    snprintf(row.unit, sizeof row.unit, "%s", unit);
    b->found(b->ctx, &row);
    return 0;
}
