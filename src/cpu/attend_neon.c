/* Attention of one query row; numerics, section 6. Scores with lanes = heads, values with lanes =
 * dimensions, so that every chain stays in one lane. */
#include <string.h>

#include "cpu/fmath_neon.h"
#include "cpu/kernels_neon.h"
#include "cpu/unroll.h"

enum { LANES = 4, KEYS = 8, HEADS = 4, VECTORS = 3 };

/* Heads [head0, head1) as columns: column c of q_t [head_dim][ld] and of p [n][ld] is head0 + c. ld is
 * the number of heads rounded up to 4; the columns beyond repeat the last head and are dropped. */
struct job {
    float *o;
    int head0, n_heads, ld, head_dim, n;
    const float *keys;
    const int32_t *block_end;
    int n_blocks;
    float *q_t, *p;
};

static void transpose_queries(const struct job *j, const float *q)
{
    for (int c = 0; c < j->ld; c++) {
        int h = j->head0 + (c < j->n_heads ? c : j->n_heads - 1);
        const float *from = q + (size_t)h * (size_t)j->head_dim;
        for (int d = 0; d < j->head_dim; d++)
            j->q_t[(size_t)d * (size_t)j->ld + (size_t)c] = from[d];
    }
}

/* Scores of `keys` keys for `vectors` x 4 heads from column c on. */
INLINE void score_tile(const struct job *j, int first, int c, float scale, int keys, int vectors)
{
    const float *key = j->keys + (size_t)first * (size_t)j->head_dim, *q = j->q_t + c;
    float32x4_t s[KEYS][2];
    UNROLL
    for (int i = 0; i < keys; i++)
        s[i][0] = s[i][1] = vdupq_n_f32(0);
    for (int d = 0; d < j->head_dim; d++, q += j->ld) {
        float32x4_t q0 = vld1q_f32(q), q1 = vectors > 1 ? vld1q_f32(q + LANES) : q0;
        UNROLL
        for (int i = 0; i < keys; i++) {
            float k = key[(size_t)i * (size_t)j->head_dim + (size_t)d];
            s[i][0] = vfmaq_n_f32(s[i][0], q0, k);
            if (vectors > 1) s[i][1] = vfmaq_n_f32(s[i][1], q1, k);
        }
    }
    UNROLL
    for (int i = 0; i < keys; i++) {
        float *p = j->p + (size_t)(first + i) * (size_t)j->ld + c;
        vst1q_f32(p, vmulq_n_f32(s[i][0], scale));
        if (vectors > 1) vst1q_f32(p + LANES, vmulq_n_f32(s[i][1], scale));
    }
}

static void score_heads(const struct job *j, int c, float scale, int vectors)
{
    int i = 0;
    if (vectors > 1) {
        for (; i + KEYS <= j->n; i += KEYS)
            score_tile(j, i, c, scale, KEYS, 2);
        for (; i < j->n; i++)
            score_tile(j, i, c, scale, 1, 2);
    } else {
        for (; i + KEYS <= j->n; i += KEYS)
            score_tile(j, i, c, scale, KEYS, 1);
        for (; i < j->n; i++)
            score_tile(j, i, c, scale, 1, 1);
    }
}

/* Scores to p for the 4 heads from column c; returns 1 / Z of each. */
static float32x4_t weigh_keys(const struct job *j, int c, float32x4_t sink)
{
    float32x4_t max = sink, z = vdupq_n_f32(0);
    for (int i = 0; i < j->n; i++) {
        /* A NaN is not greater. */
        float32x4_t s = vld1q_f32(j->p + (size_t)i * (size_t)j->ld + c);
        max = vbslq_f32(vcgtq_f32(s, max), s, max);
    }
    for (int b = 0, i = 0; b < j->n_blocks; b++) {
        float32x4_t zb = vdupq_n_f32(0);
        for (; i < j->block_end[b]; i++) {
            float *at = j->p + (size_t)i * (size_t)j->ld + c;
            float32x4_t p = fm4_exp(vsubq_f32(vld1q_f32(at), max));
            vst1q_f32(at, p);
            zb = vaddq_f32(zb, p);
        }
        z = vaddq_f32(z, zb);
    }
    z = vaddq_f32(z, fm4_exp(vsubq_f32(sink, max)));
    return vdivq_f32(vdupq_n_f32(1.0f), z);
}

/* o[d .. ] of `heads` heads from column c: `vectors` x 4 dimensions. */
INLINE void sum_tile(const struct job *j, int c, int d, const float *inverse, int heads,
                     int vectors)
{
    float32x4_t total[HEADS][VECTORS], part[HEADS][VECTORS];
    UNROLL
    for (int h = 0; h < heads; h++) {
        UNROLL
        for (int v = 0; v < vectors; v++)
            total[h][v] = vdupq_n_f32(0);
    }
    for (int b = 0, i = 0; b < j->n_blocks; b++) {
        UNROLL
        for (int h = 0; h < heads; h++) {
            UNROLL
            for (int v = 0; v < vectors; v++)
                part[h][v] = vdupq_n_f32(0);
        }
        const float *p = j->p + (size_t)i * (size_t)j->ld + c;
        const float *key = j->keys + (size_t)i * (size_t)j->head_dim + d;
        for (; i < j->block_end[b]; i++, p += j->ld, key += j->head_dim) {
            float32x4_t value[VECTORS];
            UNROLL
            for (int v = 0; v < vectors; v++)
                value[v] = vld1q_f32(key + LANES * v);
            UNROLL
            for (int h = 0; h < heads; h++) {
                UNROLL
                for (int v = 0; v < vectors; v++)
                    part[h][v] = vfmaq_n_f32(part[h][v], value[v], p[h]);
            }
        }
        UNROLL
        for (int h = 0; h < heads; h++) {
            UNROLL
            for (int v = 0; v < vectors; v++)
                total[h][v] = vaddq_f32(total[h][v], part[h][v]);
        }
    }
    UNROLL
    for (int h = 0; h < heads; h++) {
        float *o = j->o + (size_t)(j->head0 + c + h) * (size_t)j->head_dim + d;
        UNROLL
        for (int v = 0; v < vectors; v++)
            vst1q_f32(o + LANES * v, vmulq_n_f32(total[h][v], inverse[h]));
    }
}

/* One dimension of one head: the end of rows that are no multiple of 4. */
static void sum_value(const struct job *j, int c, int d, float inverse)
{
    float total = 0.0f;
    for (int b = 0, i = 0; b < j->n_blocks; b++) {
        float part = 0.0f;
        for (; i < j->block_end[b]; i++)
            part = __builtin_fmaf(j->p[(size_t)i * (size_t)j->ld + (size_t)c],
                                  j->keys[(size_t)i * (size_t)j->head_dim + (size_t)d], part);
        total = total + part;
    }
    j->o[(size_t)(j->head0 + c) * (size_t)j->head_dim + (size_t)d] = total * inverse;
}

static void sum_heads(const struct job *j, int c, const float *inverse, int heads)
{
    int d = 0;
    for (; d + LANES * VECTORS <= j->head_dim && heads == HEADS; d += LANES * VECTORS)
        sum_tile(j, c, d, inverse, HEADS, VECTORS);
    for (; d + LANES <= j->head_dim && heads == HEADS; d += LANES)
        sum_tile(j, c, d, inverse, HEADS, 1);
    for (int h = 0; h < heads; h++) {
        int from = d;
        for (; from + LANES * VECTORS <= j->head_dim; from += LANES * VECTORS)
            sum_tile(j, c + h, from, inverse + h, 1, VECTORS);
        for (; from + LANES <= j->head_dim; from += LANES)
            sum_tile(j, c + h, from, inverse + h, 1, 1);
        for (; from < j->head_dim; from++)
            sum_value(j, c + h, from, inverse[h]);
    }
}

void attend_neon(float *o, const float *q, int head0, int head1, int head_dim, const float *keys,
                 int n, const int32_t *block_end, int n_blocks, const float *sink, float scale,
                 float *scores)
{
    struct job j = {.o = o,
                    .head0 = head0,
                    .n_heads = head1 - head0,
                    .ld = (head1 - head0 + LANES - 1) / LANES * LANES,
                    .head_dim = head_dim,
                    .n = n,
                    .keys = keys,
                    .block_end = block_end,
                    .n_blocks = n_blocks};
    j.q_t = scores;
    j.p = scores + (size_t)head_dim * (size_t)j.ld;
    transpose_queries(&j, q);
    for (int c = 0; c < j.ld; c += 2 * LANES)
        score_heads(&j, c, scale, j.ld - c > LANES ? 2 : 1);
    for (int c = 0; c < j.n_heads; c += LANES) {
        int heads = j.n_heads - c < LANES ? j.n_heads - c : LANES;
        float sinks[LANES] = {0}, inverse[LANES];
        memcpy(sinks, sink + head0 + c, (size_t)heads * sizeof *sinks);
        vst1q_f32(inverse, weigh_keys(&j, c, vld1q_f32(sinks)));
        sum_heads(&j, c, inverse, heads);
    }
}
