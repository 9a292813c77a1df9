/* The kernels of kernels_avx512.c: AVX-512 F, BW, DQ, VL and VNNI beside what kernels_avx2.h needs, with the
 * bits of kernels_ref.c. Contracts: cpu/kernels.h. */
#pragma once
#include "cpu/kernels.h"

void quantise_avx512(int8_t *q, float *scale, int16_t *pairs, const float *x, int n);
void matmul_int_avx512(float *y, size_t ldy, const struct packed *w, int row0, int row1,
                       const struct acts *x, int x_first, const int32_t *idx, int n_t);
void attend_avx512(float *o, const float *q, int head0, int head1, int head_dim, const float *keys,
                   int n, const int32_t *block_end, int n_blocks, const float *sink, float scale,
                   float *scores);
void index_scores_avx512(float *score, const int8_t *q, const float *q_scale, const float *w,
                         int heads, int dim, const uint8_t *keys, size_t key_bytes, int n_keys);
void matmul_f32_avx512(float *y, size_t ldy, const struct packed *w, int row0, int row1,
                       const struct acts *x, int x_first, const int32_t *idx, int n_t);
float sum_squares_avx512(const float *x, int n);
void row_decode_avx512(float *out, const uint8_t *row, int head_dim, int rope_dim, int rounded);
void swiglu_avx512(float *out, const float *g, const float *u, int n, float limit, float w);
void mix_avx512(float *y, const float *x, size_t ldx, const float *a, int n_streams, int n);
/* The same for many tokens: part of matmul_int_avx512. */
void matmul_panel_avx512(float *y, size_t ldy, const struct packed *w, int row0, int row1,
                         const struct acts *x, int x_first, const int32_t *idx, int n_t);
double int_peak_avx512(long loops);
double float_peak_avx512(long loops);
uint64_t read_peak_avx512(const uint8_t *p, size_t size);
