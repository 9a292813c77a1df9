/* The kernels of kernels_avxvnni.c: AVX-VNNI beside what kernels_avx2.h needs, with the bits of kernels_ref.c.
 * Contracts: cpu/kernels.h. */
#pragma once
#include "cpu/kernels.h"

void matmul_int_avxvnni(float *y, size_t ldy, const struct packed *w, int row0, int row1,
                        const struct acts *x, int x_first, const int32_t *idx, int n_t);
void index_scores_avxvnni(float *score, const int8_t *q, const float *q_scale, const float *w,
                          int heads, int dim, const uint8_t *keys, size_t key_bytes, int n_keys);
double int_peak_avxvnni(long loops);
