/* The most that the instructions of the AVX-512 kernels do on registers alone. */
#include <immintrin.h>

#include "cpu/kernels_avx512.h"
#include "cpu/unroll.h"

enum { CHAINS = 12 };

/* The compiler must keep the value, and must not know it. */
#define KEEP(x) __asm__ volatile("" : "+v"(x))

/* vpdpbusd: 64 products. */
double int_peak_avx512(long loops)
{
    __m512i sum[CHAINS], a = _mm512_set1_epi8(3), b = _mm512_set1_epi8(5);
    UNROLL
    for (int c = 0; c < CHAINS; c++)
        sum[c] = _mm512_setzero_si512();
    for (long i = 0; i < loops; i++) {
        UNROLL
        for (int c = 0; c < CHAINS; c++) {
            sum[c] = _mm512_dpbusd_epi32(sum[c], a, b);
            KEEP(sum[c]);
        }
    }
    return 128.0 * CHAINS * (double)loops;
}

double float_peak_avx512(long loops)
{
    __m512 sum[CHAINS], a = _mm512_set1_ps(0.5f), b = _mm512_set1_ps(0.25f);
    UNROLL
    for (int c = 0; c < CHAINS; c++)
        sum[c] = _mm512_setzero_ps();
    for (long i = 0; i < loops; i++) {
        UNROLL
        for (int c = 0; c < CHAINS; c++) {
            sum[c] = _mm512_fmadd_ps(a, b, sum[c]);
            KEEP(sum[c]);
        }
    }
    return 32.0 * CHAINS * (double)loops;
}
