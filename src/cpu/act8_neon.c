/* Activations to int8 groups: quant/act8 for 4 lanes. */
#include <arm_neon.h>

#include "base/fmath.h"
#include "cpu/kernels_neon.h"
#include "cpu/unroll.h"
#include "quant/act8.h"

/* Bits of the largest magnitude; as integers infinity and NaN are above all numbers. */
INLINE uint32_t largest(const float32x4_t x[8])
{
    uint32x4_t m = vreinterpretq_u32_f32(vabsq_f32(x[0]));
    UNROLL
    for (int i = 1; i < 8; i++)
        m = vmaxq_u32(m, vreinterpretq_u32_f32(vabsq_f32(x[i])));
    return vmaxvq_u32(m);
}

/* rint(x r) of 16 values. The conversion rounds ties to even; a product of at most 127 (1 + 2^-23) rounds to
 * 127 at most, so nothing is left to clamp. */
INLINE int8x16_t round_half(const float32x4_t x[4], float r)
{
    int16x4_t v[4];
    UNROLL
    for (int i = 0; i < 4; i++)
        v[i] = vmovn_s32(vcvtnq_s32_f32(vmulq_n_f32(x[i], r)));
    return vcombine_s8(vmovn_s16(vcombine_s16(v[0], v[1])), vmovn_s16(vcombine_s16(v[2], v[3])));
}

/* Sums of q over k mod 4 in {0, 1} and {2, 3}. */
INLINE void pair_sums(int16_t pairs[2], int8x16_t a, int8x16_t b)
{
    int16x8_t s = vaddq_s16(vpaddlq_s8(a), vpaddlq_s8(b));
    int16x4_t t = vadd_s16(vget_low_s16(s), vget_high_s16(s));
    pairs[0] = (int16_t)(vget_lane_s16(t, 0) + vget_lane_s16(t, 2));
    pairs[1] = (int16_t)(vget_lane_s16(t, 1) + vget_lane_s16(t, 3));
}

void quantise_neon(int8_t *q, float *scale, int16_t *pairs, const float *x, int n)
{
    for (int g = 0; g < n / ACT8_GROUP; g++) {
        float32x4_t v[8];
        UNROLL
        for (int i = 0; i < 8; i++)
            v[i] = vld1q_f32(x + ACT8_GROUP * g + 4 * i);
        uint32_t most = largest(v);
        int8x16_t a = vdupq_n_s8(0), b = a;
        if (most >= 0x0d800000u && most < 0x7f800000u) { /* 2^-100 */
            float amax = fm_float(most);
            a = round_half(v, 127.0f / amax);
            b = round_half(v + 4, 127.0f / amax);
            scale[g] = amax / 127.0f;
        } else {
            scale[g] = most < 0x0d800000u ? 0.0f : fm_nan();
        }
        vst1q_s8(q + ACT8_GROUP * g, a);
        vst1q_s8(q + ACT8_GROUP * g + 16, b);
        pair_sums(pairs + 2 * g, a, b);
    }
}
