/* The most that the instructions of the NEON kernels do on registers alone. */
#include <arm_neon.h>

#include "cpu/kernels_neon.h"
#include "cpu/unroll.h"

enum { CHAINS = 16 };

/* The compiler must keep the value, and must not know it. */
#define KEEP(x) __asm__ volatile("" : "+w"(x))

/* sdot: 16 products. */
double int_peak_neon(long loops)
{
    int32x4_t sum[CHAINS];
    int8x16_t a = vdupq_n_s8(3), b = vdupq_n_s8(5);
    UNROLL
    for (int c = 0; c < CHAINS; c++)
        sum[c] = vdupq_n_s32(0);
    for (long i = 0; i < loops; i++) {
        UNROLL
        for (int c = 0; c < CHAINS; c++) {
            sum[c] = vdotq_s32(sum[c], a, b);
            KEEP(sum[c]);
        }
    }
    return 32.0 * CHAINS * (double)loops;
}

double float_peak_neon(long loops)
{
    float32x4_t sum[CHAINS], a = vdupq_n_f32(0.5f), b = vdupq_n_f32(0.25f);
    UNROLL
    for (int c = 0; c < CHAINS; c++)
        sum[c] = vdupq_n_f32(0);
    for (long i = 0; i < loops; i++) {
        UNROLL
        for (int c = 0; c < CHAINS; c++) {
            sum[c] = vfmaq_f32(sum[c], a, b);
            KEEP(sum[c]);
        }
    }
    return 8.0 * CHAINS * (double)loops;
}

/* Fetched ahead as the kernels do it. */
uint64_t read_peak_neon(const uint8_t *p, size_t size)
{
    enum { LOADS = 16, AHEAD = 4096 };
    uint8x16_t sum[LOADS];
    UNROLL
    for (int c = 0; c < LOADS; c++)
        sum[c] = vdupq_n_u8(0);
    for (size_t i = 0; i < size; i += 256) {
        UNROLL
        for (int line = 0; line < 4; line++)
            __builtin_prefetch((const void *)((uintptr_t)p + i + AHEAD + 64 * (size_t)line));
        UNROLL
        for (int c = 0; c < LOADS; c++)
            sum[c] = veorq_u8(sum[c], vld1q_u8(p + i + 16 * c));
    }
    UNROLL
    for (int c = 1; c < LOADS; c++)
        sum[0] = veorq_u8(sum[0], sum[c]);
    uint64x2_t all = vreinterpretq_u64_u8(sum[0]);
    return vgetq_lane_u64(all, 0) ^ vgetq_lane_u64(all, 1);
}
