/* What the NEON linears share: weights of layout R8K4 as vectors of 4 rows x 4 k. Private to cpu/, for
 * *_neon.c and *_i8mm.c. */
#pragma once
#include <arm_neon.h>

#include "cpu/matmul_tile.h"
#include "cpu/unroll.h"

/* Some way ahead; beyond the end of the data nothing is fetched. */
INLINE void prefetch(const void *p, size_t ahead)
{
    __builtin_prefetch((const void *)((uintptr_t)p + ahead));
}

/* e4m3: sign, exponent and mantissa at their places in an f16 are the value 2^-8. */
INLINE float16x8_t e4m3_halves(int8x8_t code)
{
    int16x8_t v = vandq_s16(vshll_n_s8(code, 7), vdupq_n_s16((int16_t)0xbf80));
    return vreinterpretq_f16_s16(v);
}

/* 16 codes of 4 bits, values of FP4 doubled. */
INLINE int8x16_t codes_4bit(uint8x16_t code, int is_fp4)
{
    static const int8_t values[2][16] = {{-8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7},
                                         {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12}};
    return vqtbl1q_s8(vld1q_s8(values[is_fp4]), code);
}

/* 4 rows over a group of 32 k, in k's order, from the 16 bytes of those rows on: w[i] is k 4 i .. 4 i + 3 of
 * each row. Not for FP8. */
INLINE void unpack_rows(int8x16_t w[8], const uint8_t *code, enum weight_format f)
{
    UNROLL
    for (int i = 0; i < 8; i++) {
        if (f == WF_Q8_0) {
            w[i] = vreinterpretq_s8_u8(vld1q_u8(code + 32 * i));
        } else {
            uint8x16_t v = vld1q_u8(code + 32 * (i % 4));
            v = i < 4 ? vandq_u8(v, vdupq_n_u8(15)) : vshrq_n_u8(v, 4);
            w[i] = codes_4bit(v, f != WF_Q4_0);
        }
    }
}

/* p += 4 rows times 16 values. */
INLINE int32x4_t dot_16(int32x4_t p, const int8x16_t w[4], int8x16_t q)
{
    p = vdotq_laneq_s32(p, w[0], q, 0);
    p = vdotq_laneq_s32(p, w[1], q, 1);
    p = vdotq_laneq_s32(p, w[2], q, 2);
    return vdotq_laneq_s32(p, w[3], q, 3);
}

/* The same with a group of 32. */
INLINE int32x4_t dot_32(int32x4_t p, const int8x16_t w[8], const int8_t *q)
{
    return dot_16(dot_16(p, w, vld1q_s8(q)), w + 4, vld1q_s8(q + 16));
}
