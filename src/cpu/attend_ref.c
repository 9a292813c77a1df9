/* Attention of one query row; numerics, section 6, written out. */
#include "base/fmath.h"
#include "cpu/kernels_ref.h"

/* scores[i] = p of key i; returns the exponential of the sink. */
static float weigh_keys(float *scores, const float *q, int head_dim, const float *keys, int n,
                        float sink, float scale)
{
    float max = sink;
    for (int i = 0; i < n; i++) {
        const float *key = keys + (size_t)i * (size_t)head_dim;
        float s = 0.0f;
        for (int d = 0; d < head_dim; d++)
            s = __builtin_fmaf(q[d], key[d], s);
        scores[i] = s * scale;
        max = scores[i] > max ? scores[i] : max;
    }
    for (int i = 0; i < n; i++)
        scores[i] = fm_exp(scores[i] - max);
    return fm_exp(sink - max);
}

/* part[d] = the block's own chain; returns the block's Z. */
static float sum_block(float *part, const float *p, const float *keys, int first, int last,
                       int head_dim)
{
    float z = 0.0f;
    for (int d = 0; d < head_dim; d++)
        part[d] = 0.0f;
    for (int i = first; i < last; i++) {
        const float *v = keys + (size_t)i * (size_t)head_dim;
        z = z + p[i];
        for (int d = 0; d < head_dim; d++)
            part[d] = __builtin_fmaf(p[i], v[d], part[d]);
    }
    return z;
}

void attend_ref(float *o, const float *q, int head0, int head1, int head_dim, const float *keys,
                int n, const int32_t *block_end, int n_blocks, const float *sink, float scale,
                float *scores)
{
    float *part = scores + n;
    for (int h = head0; h < head1; h++) {
        float *out = o + (size_t)h * (size_t)head_dim;
        float last =
            weigh_keys(scores, q + (size_t)h * (size_t)head_dim, head_dim, keys, n, sink[h], scale);
        float z = 0.0f;
        for (int d = 0; d < head_dim; d++)
            out[d] = 0.0f;
        for (int b = 0; b < n_blocks; b++) {
            float zb =
                sum_block(part, scores, keys, b ? block_end[b - 1] : 0, block_end[b], head_dim);
            z = z + zb;
            for (int d = 0; d < head_dim; d++)
                out[d] = out[d] + part[d];
        }
        float r = 1.0f / (z + last);
        for (int d = 0; d < head_dim; d++)
            out[d] = out[d] * r;
    }
}
