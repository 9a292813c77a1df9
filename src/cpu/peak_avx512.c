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

/* Fetched ahead as the kernels do it. */
uint64_t read_peak_avx512(const uint8_t *p, size_t size)
{
    enum { LOADS = 4, AHEAD = 4096 };
    __m512i sum[LOADS];
    UNROLL
    for (int c = 0; c < LOADS; c++)
        sum[c] = _mm512_setzero_si512();
    for (size_t i = 0; i < size; i += 256) {
        UNROLL
        for (int line = 0; line < 4; line++)
            _mm_prefetch((const char *)(uintptr_t)((uintptr_t)p + i + AHEAD + 64 * (size_t)line),
                         _MM_HINT_T0);
        UNROLL
        for (int c = 0; c < LOADS; c++)
            sum[c] = _mm512_xor_si512(sum[c], _mm512_loadu_si512(p + i + 64 * c));
    }
    UNROLL
    for (int c = 2; c < LOADS; c++)
        sum[c % 2] = _mm512_xor_si512(sum[c % 2], sum[c]);
    return (uint64_t)_mm512_reduce_add_epi64(_mm512_xor_si512(sum[0], sum[1]));
}
