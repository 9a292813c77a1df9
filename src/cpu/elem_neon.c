/* Elementwise kernels. Tails go through the reference: an element's bits do not depend on its place. */
#include <arm_neon.h>
#include <string.h>

#include "cpu/fmath_neon.h"
#include "cpu/kernels_neon.h"
#include "cpu/kernels_ref.h"
#include "cpu/neon.h"
#include "quant/convert.h"

enum { LANES = 4 };

/* 8 values of a stored row; s is the scale of their group. */
INLINE void decode_e4m3(float *out, const uint8_t *p, float s)
{
    int8x8_t code = vreinterpret_s8_u8(vld1_u8(p));
    uint8x8_t is_nan = vceq_s8(vand_s8(code, vdup_n_s8(0x7f)), vdup_n_s8(0x7f));
    uint16x8_t nan = vandq_u16(vshll_n_u8(is_nan, 8), vdupq_n_u16(0x7e00));
    float16x8_t v = vreinterpretq_f16_u16(vorrq_u16(vreinterpretq_u16_f16(e4m3_halves(code)), nan));
    float32x4_t low = vmulq_n_f32(vcvt_f32_f16(vget_low_f16(v)), 256.0f);
    float32x4_t high = vmulq_n_f32(vcvt_high_f32_f16(v), 256.0f);
    vst1q_f32(out, vmulq_n_f32(low, s));
    vst1q_f32(out + LANES, vmulq_n_f32(high, s));
}

void row_decode_neon(float *out, const uint8_t *row, int head_dim, int rope_dim, int rounded)
{
    if (!rounded) {
        memcpy(out, row, (size_t)head_dim * sizeof *out);
        return;
    }
    int n = head_dim - rope_dim, i = 0;
    const uint8_t *rope = row + n, *scale = rope + 2 * (size_t)rope_dim;
    for (int g = 0; g < n / KV_FP8_GROUP; g++) {
        float s = e8m0_to_f32(scale[g]);
        for (int k = g * KV_FP8_GROUP; k < (g + 1) * KV_FP8_GROUP; k += 8)
            decode_e4m3(out + k, row + k, s);
    }
    for (; i + LANES <= rope_dim; i += LANES) {
        uint16x4_t v = vreinterpret_u16_u8(vld1_u8(rope + 2 * i));
        uint32x4_t x = vshlq_n_u32(vmovl_u16(v), 16);
        float32x4_t f = vreinterpretq_f32_u32(x);
        uint32x4_t quiet = vbicq_u32(vdupq_n_u32(0x400000), vceqq_f32(f, f));
        vst1q_f32(out + n + i, vreinterpretq_f32_u32(vorrq_u32(x, quiet)));
    }
    for (; i < rope_dim; i++)
        out[n + i] = bf16_to_f32((uint16_t)(rope[2 * i] | rope[2 * i + 1] << 8));
}

void swiglu_neon(float *out, const float *g, const float *u, int n, float limit, float w)
{
    int i = 0;
    for (; i + LANES <= n; i += LANES) {
        float32x4_t gate = fm4_at_most(vld1q_f32(g + i), limit);
        float32x4_t up = fm4_at_least(fm4_at_most(vld1q_f32(u + i), limit), -limit);
        vst1q_f32(out + i, vmulq_n_f32(vmulq_f32(fm4_silu(gate), up), w));
    }
    swiglu_ref(out + i, g + i, u + i, n - i, limit, w);
}

void mix_neon(float *y, const float *x, size_t ldx, const float *a, int n_streams, int n)
{
    int i = 0;
    for (; i + LANES <= n; i += LANES) {
        float32x4_t sum = vmulq_n_f32(vld1q_f32(x + i), a[0]);
        for (int j = 1; j < n_streams; j++)
            sum = vfmaq_n_f32(sum, vld1q_f32(x + (size_t)j * ldx + i), a[j]);
        vst1q_f32(y + i, sum);
    }
    mix_ref(y + i, x + i, ldx, a, n_streams, n - i);
}

/* Products of the first of each pair, then of the second fused with them. */
void rope_neon(float *x, const float *cs, int r, int inverse)
{
    int i = 0;
    for (; i + 2 * LANES <= r; i += 2 * LANES) {
        float32x4x2_t v = vld2q_f32(x + i), t = vld2q_f32(cs + i), out;
        float32x4_t c = t.val[0], s = inverse ? vnegq_f32(t.val[1]) : t.val[1];
        out.val[0] = vfmsq_f32(vmulq_f32(v.val[0], c), v.val[1], s);
        out.val[1] = vfmaq_f32(vmulq_f32(v.val[0], s), v.val[1], c);
        vst2q_f32(x + i, out);
    }
    rope_ref(x + i, cs + i, r - i, inverse);
}
