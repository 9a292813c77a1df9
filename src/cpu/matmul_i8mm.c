/* Integer linears with the matrix instructions: 2 rows x 2 tokens x 8 k at once. */
#include "cpu/kernels_i8mm.h"
#include "cpu/matmul_neon.h"

/* Rows 0 1 and rows 2 3 over 8 k. */
INLINE int8x16_t rows_low(const int8x16_t w[2])
{
    return vreinterpretq_s8_s32(vzip1q_s32(vreinterpretq_s32_s8(w[0]), vreinterpretq_s32_s8(w[1])));
}

INLINE int8x16_t rows_high(const int8x16_t w[2])
{
    return vreinterpretq_s8_s32(vzip2q_s32(vreinterpretq_s32_s8(w[0]), vreinterpretq_s32_s8(w[1])));
}

/* 8 k of each of two tokens. */
INLINE int8x16_t two_tokens(const int8_t *a, const int8_t *b)
{
    return vcombine_s8(vld1_s8(a), vld1_s8(b));
}

/* The sums come out as [row][token]. One token takes the other way. */
INLINE void add_products(int32x4_t p[2], const int8x16_t w[8], const struct tile *x, int t, int g,
                         int n)
{
    if (n == 1) {
        p[0] = dot_32(p[0], w, x->q[t] + GROUP * g);
        return;
    }
    int32x4_t low = vzip1q_s32(p[0], p[1]), high = vzip2q_s32(p[0], p[1]);
    UNROLL
    for (int i = 0; i < 4; i++) {
        int at = GROUP * g + 8 * i;
        int8x16_t q = two_tokens(x->q[t] + at, x->q[t + 1] + at);
        low = vmmlaq_s32(low, rows_low(w + 2 * i), q);
        high = vmmlaq_s32(high, rows_high(w + 2 * i), q);
    }
    p[0] = vuzp1q_s32(low, high);
    p[1] = vuzp2q_s32(low, high);
}

void matmul_int_i8mm(float *y, size_t ldy, const struct packed *w, int row0, int row1,
                     const struct acts *x, int x_first, const int32_t *idx, int n_t)
{
    matmul_rows(y, ldy, w, row0, row1, x, x_first, idx, n_t);
}
