#include "quant/fp8_sim.h"

#include "quant/convert.h"

static uint8_t encode_group(uint8_t *code, const float *x)
{
    uint32_t most = largest_bits(x, FP8_SIM_GROUP);
    if (most >= 0x7f800000u) {
        memset(code, 0, FP8_SIM_GROUP);
        return 255;
    }
    float amax = fm_float(most);
    uint32_t t = fm_bits((amax > 1e-4f ? amax : 1e-4f) * (1.0f / 448.0f));
    uint32_t byte = (t >> 23) + ((t & 0x7fffffu) != 0);
    float inverse = fm_float((254u - byte) << 23); /* byte is in [105, 247]: exact */
    for (int i = 0; i < FP8_SIM_GROUP; i++)
        code[i] = f32_to_e4m3(x[i] * inverse);
    return (uint8_t)byte;
}

void fp8_sim_encode(uint8_t *codes, uint8_t *scales, const float *x, int n)
{
    for (int g = 0; g < n / FP8_SIM_GROUP; g++)
        scales[g] = encode_group(codes + g * FP8_SIM_GROUP, x + g * FP8_SIM_GROUP);
}

void fp8_sim_decode(float *out, const uint8_t *codes, const uint8_t *scales, int n)
{
    for (int i = 0; i < n; i++)
        out[i] = e4m3_to_f32(codes[i]) * e8m0_to_f32(scales[i / FP8_SIM_GROUP]);
}
