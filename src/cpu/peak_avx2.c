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

/* Fetched ahead as the kernels do it. */
uint64_t read_peak_avx2(const uint8_t *p, size_t size)
{
    enum { LOADS = 8, AHEAD = 4096 };
    __m256i sum[LOADS];
    UNROLL
    for (int c = 0; c < LOADS; c++)
        sum[c] = _mm256_setzero_si256();
    for (size_t i = 0; i < size; i += 256) {
        UNROLL
        for (int line = 0; line < 4; line++)
            _mm_prefetch((const char *)(uintptr_t)((uintptr_t)p + i + AHEAD + 64 * (size_t)line),
                         _MM_HINT_T0);
        UNROLL
        for (int c = 0; c < LOADS; c++)
            sum[c] = _mm256_xor_si256(
                sum[c], _mm256_loadu_si256((const __m256i *)(const void *)(p + i + 32 * c)));
    }
    UNROLL
    for (int c = 2; c < LOADS; c++)
        sum[c % 2] = _mm256_xor_si256(sum[c % 2], sum[c]);
    __m256i all = _mm256_xor_si256(sum[0], sum[1]);
    return (uint64_t)_mm256_extract_epi64(all, 0) ^ (uint64_t)_mm256_extract_epi64(all, 3);
}
