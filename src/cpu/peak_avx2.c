/* The most that the instructions of the AVX2 kernels do on registers alone. */
#include <immintrin.h>

#include "cpu/kernels_avx2.h"
#include "cpu/unroll.h"

enum { CHAINS = 12 };

/* The compiler must keep the value, and must not know it. */
#define KEEP(x) __asm__ volatile("" : "+x"(x))

/* maddubs and a 16-bit addition: 32 products. */
double int_peak_avx2(long loops)
{
    __m256i sum[CHAINS], a = _mm256_set1_epi8(3), b = _mm256_set1_epi8(5);
    UNROLL
    for (int c = 0; c < CHAINS; c++)
        sum[c] = _mm256_setzero_si256();
    for (long i = 0; i < loops; i++) {
        UNROLL
        for (int c = 0; c < CHAINS; c++) {
            KEEP(b);
            sum[c] = _mm256_add_epi16(sum[c], _mm256_maddubs_epi16(a, b));
            KEEP(sum[c]);
        }
    }
    return 64.0 * CHAINS * (double)loops;
}

double float_peak_avx2(long loops)
{
    __m256 sum[CHAINS], a = _mm256_set1_ps(0.5f), b = _mm256_set1_ps(0.25f);
    UNROLL
    for (int c = 0; c < CHAINS; c++)
        sum[c] = _mm256_setzero_ps();
    for (long i = 0; i < loops; i++) {
        UNROLL
        for (int c = 0; c < CHAINS; c++) {
            sum[c] = _mm256_fmadd_ps(a, b, sum[c]);
            KEEP(sum[c]);
        }
    }
    return 16.0 * CHAINS * (double)loops;
}
