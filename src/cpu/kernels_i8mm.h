/* The kernels of kernels_i8mm.c: products of int8 matrices beside what kernels_neon.h needs, with the bits of
 * kernels_ref.c. Contracts: cpu/kernels.h. */
#pragma once
#include "cpu/kernels.h"

void matmul_int_i8mm(float *y, size_t ldy, const struct packed *w, int row0, int row1,
                     const struct acts *x, int x_first, const int32_t *idx, int n_t);
double int_peak_i8mm(long loops);
