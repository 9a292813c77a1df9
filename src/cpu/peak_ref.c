/* The most that plain C does on registers alone. */
#include <string.h>

#include "cpu/kernels_ref.h"

enum { CHAINS = 8 };

/* The compiler must keep the value, and must not know it. */
#define KEEP(x) __asm__ volatile("" : "+r"(x))
#define KEEP_FLOAT(x) __asm__ volatile("" : "+m"(x))

double int_peak_ref(long loops)
{
    int32_t sum[CHAINS] = {0}, a = 3;
    for (long i = 0; i < loops; i++)
        for (int c = 0; c < CHAINS; c++) {
            sum[c] += a * (c + 1);
            KEEP(sum[c]);
        }
    return 2.0 * CHAINS * (double)loops;
}

double float_peak_ref(long loops)
{
    float sum[CHAINS] = {0}, a = 0.5f;
    for (long i = 0; i < loops; i++)
        for (int c = 0; c < CHAINS; c++) {
            sum[c] = __builtin_fmaf(a, (float)c, sum[c]);
            KEEP_FLOAT(sum[c]);
        }
    return 2.0 * CHAINS * (double)loops;
}

uint64_t read_peak_ref(const uint8_t *p, size_t size)
{
    uint64_t sum[4] = {0};
    for (size_t i = 0; i < size; i += 32)
        for (int c = 0; c < 4; c++) {
            uint64_t v;
            memcpy(&v, p + i + 8 * c, sizeof v);
            sum[c] ^= v;
        }
    return sum[0] ^ sum[1] ^ sum[2] ^ sum[3];
}
