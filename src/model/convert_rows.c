#include "model/convert_rows.h"

#include <string.h>

#include "quant/blocks.h"
#include "quant/convert.h"

int row_fp4_to_mxfp4(const uint8_t *codes, const uint8_t *scales, int n, uint8_t *out,
                     struct err *err)
{
    for (int g = 0; g < n / BLOCK_VALUES; g++, codes += BLOCK_VALUES / 2, out += MXFP4_BYTES) {
        if (scales[g] == 255)
            return err_set(err, ERR_NUMERIC, "the scale of FP4 group %d is NaN", g);
        out[0] = scales[g];
        /* Byte j holds values 2j and 2j + 1; block byte i holds values i and i + 16. */
        for (int i = 0; i < BLOCK_VALUES / 2; i++) {
            int low = codes[i / 2] >> (i % 2 * 4) & 15;
            int high = codes[(i + 16) / 2] >> (i % 2 * 4) & 15;
            out[1 + i] = (uint8_t)(low | high << 4);
        }
    }
    return 0;
}

int row_fp8_to_q8_0(const uint8_t *codes, const float *scale, int block, int n, float *values,
                    uint8_t *out, struct err *err)
{
    fp8_decode(values, codes, scale, block, n);
    return q8_0_encode(out, values, n)
               ? err_set(err, ERR_NUMERIC, "a value that is not finite or too large for Q8_0")
               : 0;
}

static void put_f32(uint8_t *out, float v)
{
    uint32_t bits = fm_bits(v);
    for (int i = 0; i < 4; i++)
        out[i] = (uint8_t)(bits >> (8 * i));
}

static uint16_t take_u16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

void row_bf16_to_f32(const uint8_t *in, int n, uint8_t *out)
{
    for (int i = 0; i < n; i++)
        put_f32(out + 4 * i, bf16_to_f32(take_u16(in + 2 * i)));
}

void row_f16_to_f32(const uint8_t *in, int n, uint8_t *out)
{
    for (int i = 0; i < n; i++)
        put_f32(out + 4 * i, f16_to_f32(take_u16(in + 2 * i)));
}

int row_i64_to_i32(const uint8_t *in, int n, uint8_t *out, struct err *err)
{
    for (int i = 0; i < n; i++, in += 8, out += 4) {
        uint8_t fill = in[3] & 0x80 ? 0xff : 0;
        for (int j = 4; j < 8; j++)
            if (in[j] != fill)
                return err_set(err, ERR_NUMERIC, "the number at column %d exceeds i32", i);
        memcpy(out, in, 4);
    }
    return 0;
}
