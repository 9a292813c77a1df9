/* The kernel table: one per ISA (kernels_ref.c, kernels_avx2.c, ...), chosen when the backend opens.
 * Every kernel gives the same bits as its reference in *_ref.c. Single-threaded. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "cpu/packed.h"
#include "ops/kv.h"
#include "ops/tensor.h"

/* Scores of one query row against n keys for `heads` heads, see attend_ref.c. */
struct cpu_kernels {
    const char *name;

    /* int8 groups of numerics section 2: n values (n a multiple of 32) of one row. */
    void (*quantise)(int8_t *q, float *scale, int16_t *pairs, const float *x, int n);

    /* y[t * ldy + row] = sum over k of w[row][k] x[idx[t]][x_first + k] for row in
     * [row0, row1), t in [0, n_t). row0 is a multiple of PACK_ROWS; row1 is one too, or w->rows.
     * idx NULL means t itself. Integer path: w's format is quantised and x->q is there (numerics, section
     * 3). */
    void (*matmul_int)(float *y, size_t ldy, const struct packed *w, int row0, int row1,
                       const struct acts *x, int x_first, const int32_t *idx, int n_t);
    /* The same from x->f32 in the order of numerics section 4, any format. */
    void (*matmul_f32)(float *y, size_t ldy, const struct packed *w, int row0, int row1,
                       const struct acts *x, int x_first, const int32_t *idx, int n_t);

    /* Sum of squares in the order of numerics section 4. */
    float (*sum_squares)(const float *x, int n);

    /* Decodes one stored kv row (584 bytes for V4; layout in ops/kv.h) to d floats. rounded = 0: the
     * row is d floats already. */
    void (*row_decode)(float *out, const uint8_t *row, int head_dim, int rope_dim, int rounded);

    /* Attention of one query row for heads [head0, head1), numerics section 6. keys [n, d] f32 in
     * order; block_end[b] is the index after the last key of block b. scores is scratch of
     * (n + head_dim) * (head1 - head0 + 16) floats. q and o [H, d]. */
    void (*attend)(float *o, const float *q, int head0, int head1, int head_dim, const float *keys,
                   int n, const int32_t *block_end, int n_blocks, const float *sink, float scale,
                   float *scores);

    /* out[i] = silu(min(g, limit)) * clamp(u, -limit, limit) * w, in this order. */
    void (*swiglu)(float *out, const float *g, const float *u, int n, float limit, float w);

    /* Streams: y = a[0] x[0] + ..., numerics section 7: y = a0 * x0, then fmaf. x[j] at x + j * ldx. */
    void (*mix)(float *y, const float *x, size_t ldx, const float *a, int n_streams, int n);

    /* Rotates the r values at x (r even), pairs (2i, 2i + 1), by the cos and sin at cs, interleaved; inverse: by
     * -sin. Numerics, section 7: x0' = fmaf(-x1, s, x0 c), x1' = fmaf(x1, c, x0 s). */
    void (*rope)(float *x, const float *cs, int r, int inverse);

    /* Indexer scores of one query against n_keys keys of a page, numerics section 7. q: codes as doubled
     * int8 [heads, dim] and scale [heads, dim / 32] (2^(byte - 128)); keys in stored form. */
    void (*index_scores)(float *score, const int8_t *q, const float *q_scale, const float *w,
                         int heads, int dim, const uint8_t *keys, size_t key_bytes, int n_keys);

    /* The instructions of matmul_int and of matmul_f32 on registers alone, for the limits of a
     * benchmark: returns the multiplies and adds done, in time proportional to loops. */
    double (*int_peak)(long loops);
    double (*float_peak)(long loops);
    /* Reads size bytes, a multiple of 256, as fast as loads of the ISA do; the value is of no use. */
    uint64_t (*read_peak)(const uint8_t *p, size_t size);
};

extern const struct cpu_kernels kernels_ref;
#if defined(__x86_64__)
extern const struct cpu_kernels kernels_avx2, kernels_avxvnni, kernels_avx512;
#elif defined(__aarch64__)
extern const struct cpu_kernels kernels_neon, kernels_i8mm;
#endif

/* The table of that name, or the best for this CPU when name is NULL; NULL when there is none. */
const struct cpu_kernels *kernels_find(const char *name);
