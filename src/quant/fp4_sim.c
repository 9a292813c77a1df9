#include "quant/fp4_sim.h"

#include "quant/convert.h"

/* One code a byte; returns the scale byte. */
static uint8_t encode_group(uint8_t code[FP4_SIM_GROUP], const float *x)
{
    uint32_t most = largest_bits(x, FP4_SIM_GROUP);
    if (most >= 0x7f800000u) {
        memset(code, 0, FP4_SIM_GROUP);
        return 255;
    }
    const float least = 6.0f * 0x1p-126f;
    float amax = fm_float(most);
    uint32_t t = fm_bits((amax > least ? amax : least) * (1.0f / 6.0f));
    uint32_t byte = (t >> 23) + ((t & 0x7fffffu) != 0);
    float inverse = fm_float((254u - byte) << 23); /* byte is in [1, 253]: exact */
    for (int i = 0; i < FP4_SIM_GROUP; i++)
        code[i] = f32_to_e2m1(x[i] * inverse);
    return (uint8_t)byte;
}

void fp4_sim_encode(uint8_t *codes, uint8_t *scales, const float *x, int n)
{
    uint8_t code[FP4_SIM_GROUP];
    for (int g = 0; g < n / FP4_SIM_GROUP; g++) {
        scales[g] = encode_group(code, x + g * FP4_SIM_GROUP);
        for (int i = 0; i < FP4_SIM_GROUP / 2; i++)
            *codes++ = (uint8_t)(code[2 * i] | code[2 * i + 1] << 4);
    }
}

void fp4_sim_decode(float *out, const uint8_t *codes, const uint8_t *scales, int n)
{
    for (int i = 0; i < n; i++)
        out[i] =
            e2m1_to_f32(codes[i / 2] >> (i % 2 * 4) & 15) * e8m0_to_f32(scales[i / FP4_SIM_GROUP]);
}

float fp4_sim_doubled(int8_t code[32], const float x[32])
{
    uint8_t bits[FP4_SIM_GROUP];
    uint8_t scale = encode_group(bits, x);
    for (int i = 0; i < FP4_SIM_GROUP; i++)
        code[i] = (int8_t)e2m1_doubled(bits[i]);
    return 0.5f * e8m0_to_f32(scale);
}
