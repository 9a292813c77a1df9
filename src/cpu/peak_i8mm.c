/* The most that the matrix instructions do on registers alone; floats as in NEON's. */
#include <arm_neon.h>

#include "cpu/kernels_i8mm.h"
#include "cpu/unroll.h"

enum { CHAINS = 16 };

/* The compiler must keep the value, and must not know it. */
#define KEEP(x) __asm__ volatile("" : "+w"(x))

/* smmla: 32 products. */
double int_peak_i8mm(long loops)
{
    int32x4_t sum[CHAINS];
    int8x16_t a = vdupq_n_s8(3), b = vdupq_n_s8(5);
    UNROLL
    for (int c = 0; c < CHAINS; c++)
        sum[c] = vdupq_n_s32(0);
    for (long i = 0; i < loops; i++) {
        UNROLL
        for (int c = 0; c < CHAINS; c++) {
            sum[c] = vmmlaq_s32(sum[c], a, b);
            KEEP(sum[c]);
        }
    }
    return 64.0 * CHAINS * (double)loops;
}
