/* The most that the instructions of the AVX-VNNI kernels do on registers alone; floats as in AVX2's. */
#include <immintrin.h>

#include "cpu/kernels_avxvnni.h"
#include "cpu/unroll.h"

enum { CHAINS = 12 };

/* The compiler must keep the value, and must not know it. */
#define KEEP(x) __asm__ volatile("" : "+x"(x))

/* vpdpbusd: 32 products. */
double int_peak_avxvnni(long loops)
{
    __m256i sum[CHAINS], a = _mm256_set1_epi8(3), b = _mm256_set1_epi8(5);
    UNROLL
    for (int c = 0; c < CHAINS; c++)
        sum[c] = _mm256_setzero_si256();
    for (long i = 0; i < loops; i++) {
        UNROLL
        for (int c = 0; c < CHAINS; c++) {
            sum[c] = _mm256_dpbusd_avx_epi32(sum[c], a, b);
            KEEP(sum[c]);
        }
    }
    return 64.0 * CHAINS * (double)loops;
}
