#include "quant/blocks.h"

#include "quant/convert.h"

static float f16_at(const uint8_t *at)
{
    return f16_to_f32((uint16_t)(at[0] | at[1] << 8));
}

void q8_0_decode(float *out, const uint8_t *row, int n)
{
    for (int i = 0; i < n; i++) {
        const uint8_t *block = row + (size_t)(i / BLOCK_VALUES) * Q8_0_BYTES;
        out[i] = (float)(int8_t)block[2 + i % BLOCK_VALUES] * f16_at(block);
    }
}

/* Value i of a GGUF block's 16 bytes of nibbles. */
static uint8_t nibble(const uint8_t *codes, int i)
{
    return i < 16 ? codes[i] & 15 : codes[i - 16] >> 4;
}

void q4_0_decode(float *out, const uint8_t *row, int n)
{
    for (int i = 0; i < n; i++) {
        const uint8_t *block = row + (size_t)(i / BLOCK_VALUES) * Q4_0_BYTES;
        out[i] = (float)(nibble(block + 2, i % BLOCK_VALUES) - 8) * f16_at(block);
    }
}

static float fp4_value(uint8_t code, uint8_t scale)
{
    return scale < 2 ? 0.0f : e2m1_to_f32(code) * e8m0_to_f32(scale);
}

void mxfp4_decode(float *out, const uint8_t *row, int n)
{
    for (int i = 0; i < n; i++) {
        const uint8_t *block = row + (size_t)(i / BLOCK_VALUES) * MXFP4_BYTES;
        out[i] = fp4_value(nibble(block + 1, i % BLOCK_VALUES), block[0]);
    }
}

void fp4_decode(float *out, const uint8_t *codes, const uint8_t *scales, int n)
{
    for (int i = 0; i < n; i++)
        out[i] = fp4_value(codes[i / 2] >> (i % 2 * 4) & 15, scales[i / BLOCK_VALUES]);
}

void fp8_decode(float *out, const uint8_t *codes, const float *scales, int block, int n)
{
    for (int i = 0; i < n; i++)
        out[i] = e4m3_to_f32(codes[i]) * scales[i / block];
}

static int encode_block(uint8_t *out, const float *x)
{
    uint32_t most = largest_bits(x, BLOCK_VALUES);
    if (most >= 0x7f800000u) return -1;
    uint16_t half = f32_to_f16(fm_float(most) / 127.0f);
    if (half >= 0x7c00u) return -1;
    if (fm_float(most) > 127.5f * f16_to_f32(half))
        half++; /* a subnormal scale, rounded down far */
    float scale = f16_to_f32(half);
    out[0] = (uint8_t)(half & 255);
    out[1] = (uint8_t)(half >> 8);
    for (int i = 0; i < BLOCK_VALUES; i++) {
        float v = half ? x[i] / scale : 0.0f;
        v = v > 127.0f ? 127.0f : v < -127.0f ? -127.0f : v;
        out[2 + i] = (uint8_t)(fm_bits(v + FM_ROUND) - fm_bits(FM_ROUND));
    }
    return 0;
}

int q8_0_encode(uint8_t *out, const float *x, int n)
{
    for (int i = 0; i < n; i += BLOCK_VALUES, out += Q8_0_BYTES)
        if (encode_block(out, x + i)) return -1;
    return 0;
}
