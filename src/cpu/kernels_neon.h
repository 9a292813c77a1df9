/* The kernels of kernels_neon.c: ARM64 with dot products and half-precision arithmetic, with the bits of
 * kernels_ref.c. Contracts: cpu/kernels.h. */
#pragma once
#include "cpu/kernels.h"

void quantise_neon(int8_t *q, float *scale, int16_t *pairs, const float *x, int n);
void matmul_int_neon(float *y, size_t ldy, const struct packed *w, int row0, int row1,
                     const struct acts *x, int x_first, const int32_t *idx, int n_t);
void matmul_f32_neon(float *y, size_t ldy, const struct packed *w, int row0, int row1,
                     const struct acts *x, int x_first, const int32_t *idx, int n_t);
float sum_squares_neon(const float *x, int n);
void row_decode_neon(float *out, const uint8_t *row, int head_dim, int rope_dim, int rounded);
void attend_neon(float *o, const float *q, int head0, int head1, int head_dim, const float *keys,
                 int n, const int32_t *block_end, int n_blocks, const float *sink, float scale,
                 float *scores);
void swiglu_neon(float *out, const float *g, const float *u, int n, float limit, float w);
void mix_neon(float *y, const float *x, size_t ldx, const float *a, int n_streams, int n);
void rope_neon(float *x, const float *cs, int r, int inverse);
void index_scores_neon(float *score, const int8_t *q, const float *q_scale, const float *w,
                       int heads, int dim, const uint8_t *keys, size_t key_bytes, int n_keys);
double int_peak_neon(long loops);
double float_peak_neon(long loops);
uint64_t read_peak_neon(const uint8_t *p, size_t size);
