#include "quant/act8.h"

#include "quant/convert.h"

/* |x| below 2^22 to the nearest integer, ties to even. */
static int32_t nearest(float x)
{
    return (int32_t)(fm_bits(x + FM_ROUND) - fm_bits(FM_ROUND));
}

static float encode_group(int8_t *q, const float *x)
{
    uint32_t most = largest_bits(x, ACT8_GROUP);
    if (most >= 0x7f800000u || most < 0x0d800000u) { /* 2^-100 */
        memset(q, 0, ACT8_GROUP);
        return most < 0x0d800000u ? 0.0f : fm_nan();
    }
    float amax = fm_float(most), r = 127.0f / amax;
    for (int i = 0; i < ACT8_GROUP; i++) {
        int32_t v = nearest(x[i] * r);
        q[i] = (int8_t)(v > 127 ? 127 : v < -127 ? -127 : v);
    }
    return amax / 127.0f;
}

void act8_encode(int8_t *q, float *scale, int16_t *pairs, const float *x, int n)
{
    for (int g = 0; g < n / ACT8_GROUP; g++) {
        int8_t *group = q + g * ACT8_GROUP;
        scale[g] = encode_group(group, x + g * ACT8_GROUP);
        if (!pairs) continue;
        int sum[2] = {0, 0};
        for (int i = 0; i < ACT8_GROUP; i++)
            sum[i / 2 % 2] += group[i];
        pairs[2 * g] = (int16_t)sum[0];
        pairs[2 * g + 1] = (int16_t)sum[1];
    }
}
