/* Integer linears with the dot product instructions: four products a lane. */
#include "cpu/kernels_neon.h"
#include "cpu/matmul_neon.h"

INLINE void add_products(int32x4_t p[2], const int8x16_t w[8], const struct tile *x, int t, int g,
                         int n)
{
    UNROLL
    for (int i = 0; i < n; i++)
        p[i] = dot_32(p[i], w, x->q[t + i] + GROUP * g);
}

void matmul_int_neon(float *y, size_t ldy, const struct packed *w, int row0, int row1,
                     const struct acts *x, int x_first, const int32_t *idx, int n_t)
{
    matmul_rows(y, ldy, w, row0, row1, x, x_first, idx, n_t);
}
