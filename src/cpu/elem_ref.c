/* Elementwise kernels. */
#include "base/fmath.h"
#include "cpu/kernels_ref.h"
#include "quant/convert.h"

#include <string.h>

void row_decode_ref(float *out, const uint8_t *row, int head_dim, int rope_dim, int rounded)
{
    if (!rounded) {
        memcpy(out, row, (size_t)head_dim * sizeof *out);
        return;
    }
    int n = head_dim - rope_dim;
    const uint8_t *rope = row + n, *scale = rope + 2 * (size_t)rope_dim;
    for (int g = 0; g < n / KV_FP8_GROUP; g++) {
        float s = e8m0_to_f32(scale[g]);
        for (int i = g * KV_FP8_GROUP; i < (g + 1) * KV_FP8_GROUP; i++)
            out[i] = e4m3_to_f32(row[i]) * s;
    }
    for (int i = 0; i < rope_dim; i++)
        out[n + i] = bf16_to_f32((uint16_t)(rope[2 * i] | rope[2 * i + 1] << 8));
}

/* The comparisons let a NaN through. */
void swiglu_ref(float *out, const float *g, const float *u, int n, float limit, float w)
{
    for (int i = 0; i < n; i++) {
        float gate = g[i] > limit ? limit : g[i];
        float up = u[i] > limit ? limit : u[i];
        up = up < -limit ? -limit : up;
        out[i] = fm_silu(gate) * up * w;
    }
}

void mix_ref(float *y, const float *x, size_t ldx, const float *a, int n_streams, int n)
{
    for (int i = 0; i < n; i++) {
        float sum = a[0] * x[i];
        for (int j = 1; j < n_streams; j++)
            sum = __builtin_fmaf(a[j], x[(size_t)j * ldx + (size_t)i], sum);
        y[i] = sum;
    }
}

void rope_ref(float *x, const float *cs, int r, int inverse)
{
    for (int i = 0; i < r; i += 2) {
        float c = cs[i], s = inverse ? -cs[i + 1] : cs[i + 1];
        float x0 = x[i], x1 = x[i + 1];
        x[i] = __builtin_fmaf(-x1, s, x0 * c);
        x[i + 1] = __builtin_fmaf(x1, c, x0 * s);
    }
}
