#include "cpu/vec.h"

#include "base/fmath.h"
#include "quant/convert.h"
#include "quant/fp4_sim.h"
#include "quant/fp8_sim.h"

#include <string.h>

void vec_rms_norm(const struct cpu *c, float *y, const float *x, const float *w, int n, float eps)
{
    float mean = c->k->sum_squares(x, n) / (float)n;
    float r = 1.0f / __builtin_sqrtf(mean + eps);
    for (int i = 0; i < n; i++)
        y[i] = x[i] * r * w[i];
}

void vec_rope_table(float *cs, const struct rope *rope, int pos)
{
    for (int i = 0; i < rope->dim / 2; i++) {
        float angle = (float)pos * rope->freq[i];
        cs[2 * i] = fm_cos(angle);
        cs[2 * i + 1] = fm_sin(angle);
    }
}

void vec_hadamard(float *x, int n)
{
    for (int stage = 1; stage < n; stage *= 2)
        for (int i = 0; i < n; i += 2 * stage)
            for (int j = i; j < i + stage; j++) {
                float a = x[j], b = x[j + stage];
                x[j] = a + b;
                x[j + stage] = a - b;
            }
    float scale = (float)(1.0 / __builtin_sqrt((double)n));
    for (int i = 0; i < n; i++)
        x[i] *= scale;
}

void vec_store_row(uint8_t *out, const float *x, const struct layer_kv *l)
{
    int n = l->head_dim - l->rope_dim;
    if (l->row_format == ROW_F32) {
        memcpy(out, x, (size_t)l->head_dim * sizeof *x);
        return;
    }
    int value = l->row_format == ROW_E4M3_BF16 ? 2 : 4;
    uint8_t *rope = out + n, *scales = rope + value * l->rope_dim;
    memset(scales, 0, l->row_bytes - (size_t)(scales - out)); /* the padding too */
    fp8_sim_encode(out, scales, x, n);
    for (int i = 0; i < l->rope_dim; i++) {
        uint32_t v = value == 2 ? f32_to_bf16(x[n + i]) : fm_bits(x[n + i]);
        for (int b = 0; b < value; b++)
            rope[i * value + b] = (uint8_t)(v >> 8 * b);
    }
}

void vec_load_row(const struct cpu *c, float *out, const uint8_t *row, const struct layer_kv *l)
{
    int n = l->head_dim - l->rope_dim;
    if (l->row_format != ROW_E4M3_F32) {
        c->k->row_decode(out, row, l->head_dim, l->rope_dim, l->row_format == ROW_E4M3_BF16);
        return;
    }
    fp8_sim_decode(out, row, row + n + 4 * l->rope_dim, n);
    memcpy(out + n, row + n, 4 * (size_t)l->rope_dim);
}

void vec_store_key(uint8_t *out, const float *x, const struct layer_kv *l, enum numeric_mode mode)
{
    if (mode == MODE_FLOAT)
        memcpy(out, x, (size_t)l->index_dim * sizeof *x);
    else
        fp4_sim_encode(out, out + l->index_dim / 2, x, l->index_dim);
}
