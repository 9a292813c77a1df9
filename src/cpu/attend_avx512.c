/* Attention of one query row; numerics, section 6. Scores with lanes = heads, values with lanes =
 * dimensions, so that every chain stays in one lane. */
#include <immintrin.h>
#include <string.h>

#include "cpu/fmath_avx512.h"
#include "cpu/kernels_avx512.h"
#include "cpu/unroll.h"

/* A tile of scores is KEYS x 1 or 2 vectors, one of values HEADS x VECTORS: 24 chains, and what is left of
 * the 32 registers for what they are multiplied with. */
enum { LANES = 16, KEYS = 12, HEADS = 8, VECTORS = 3 };

/* Heads [head0, head0 + n_heads) as columns: column c of q_t [head_dim][ld] and of p [n][ld] is head0 +
 * c. ld is the number of heads rounded up to 16; the columns beyond repeat the last head and are
 * dropped. */
struct job {
    float *o;
    int head0, n_heads, ld, head_dim, n;
    const float *keys;
    const int32_t *block_end;
    int n_blocks;
    float *q_t, *p;
};

/* Rows of 16 x 16 values to columns: within pairs of rows, of pairs, of quarters, of halves. */
static void transpose(__m512 r[LANES])
{
    __m512 s[LANES];
    UNROLL
    for (int i = 0; i < LANES; i += 2) {
        s[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
        s[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
    }
    UNROLL
    for (int i = 0; i < LANES; i += 4) {
        UNROLL
        for (int h = 0; h < 2; h++) {
            __m512d a = _mm512_castps_pd(s[i + h]), b = _mm512_castps_pd(s[i + h + 2]);
            r[i + 2 * h] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, b));
            r[i + 2 * h + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, b));
        }
    }
    /* r[4 i + c]: rows 4 i .. 4 i + 3 of columns c, c + 4, c + 8, c + 12 */
    UNROLL
    for (int c = 0; c < 4; c++) {
        s[c] = _mm512_shuffle_f32x4(r[c], r[c + 4], 0x88);
        s[c + 4] = _mm512_shuffle_f32x4(r[c], r[c + 4], 0xdd);
        s[c + 8] = _mm512_shuffle_f32x4(r[c + 8], r[c + 12], 0x88);
        s[c + 12] = _mm512_shuffle_f32x4(r[c + 8], r[c + 12], 0xdd);
    }
    UNROLL
    for (int c = 0; c < 4; c++) {
        r[c] = _mm512_shuffle_f32x4(s[c], s[c + 8], 0x88);
        r[c + 4] = _mm512_shuffle_f32x4(s[c + 4], s[c + 12], 0x88);
        r[c + 8] = _mm512_shuffle_f32x4(s[c], s[c + 8], 0xdd);
        r[c + 12] = _mm512_shuffle_f32x4(s[c + 4], s[c + 12], 0xdd);
    }
}

static void transpose_queries(const struct job *j, const float *q, int c)
{
    const float *from[LANES];
    for (int i = 0; i < LANES; i++) {
        int head = c + i < j->n_heads ? c + i : j->n_heads - 1;
        from[i] = q + (size_t)(j->head0 + head) * (size_t)j->head_dim;
    }
    for (int d = 0; d < j->head_dim; d += LANES) {
        int n = j->head_dim - d < LANES ? j->head_dim - d : LANES;
        float *to = j->q_t + (size_t)d * (size_t)j->ld + c;
        __m512 r[LANES];
        UNROLL
        for (int i = 0; i < LANES; i++)
            r[i] = _mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), from[i] + d);
        transpose(r);
        for (int i = 0; i < n; i++, to += j->ld)
            _mm512_storeu_ps(to, r[i]);
    }
}

/* Scores of `keys` keys for `vectors` x 16 heads from column c on. */
INLINE void score_tile(const struct job *j, int first, int c, __m512 scale, int keys, int vectors)
{
    const float *key = j->keys + (size_t)first * (size_t)j->head_dim, *q = j->q_t + c;
    float *p = j->p + (size_t)first * (size_t)j->ld + c;
    __m512 s[KEYS][2];
    UNROLL
    for (int i = 0; i < keys; i++)
        s[i][0] = s[i][1] = _mm512_setzero_ps();
    for (int d = 0; d < j->head_dim; d++, key++, q += j->ld) {
        __m512 q0 = _mm512_loadu_ps(q), q1 = vectors > 1 ? _mm512_loadu_ps(q + LANES) : q0;
        UNROLL
        for (int i = 0; i < keys; i++) {
            __m512 k = _mm512_set1_ps(key[(size_t)i * (size_t)j->head_dim]);
            s[i][0] = _mm512_fmadd_ps(q0, k, s[i][0]);
            if (vectors > 1) s[i][1] = _mm512_fmadd_ps(q1, k, s[i][1]);
        }
    }
    UNROLL
    for (int i = 0; i < keys; i++, p += j->ld) {
        _mm512_storeu_ps(p, _mm512_mul_ps(s[i][0], scale));
        if (vectors > 1) _mm512_storeu_ps(p + LANES, _mm512_mul_ps(s[i][1], scale));
    }
}

INLINE void score_keys(const struct job *j, int c, __m512 scale, int vectors)
{
    int i = 0;
    for (; i + KEYS <= j->n; i += KEYS)
        score_tile(j, i, c, scale, KEYS, vectors);
    for (; i + 4 <= j->n; i += 4)
        score_tile(j, i, c, scale, 4, vectors);
    for (; i < j->n; i++)
        score_tile(j, i, c, scale, 1, vectors);
}

static void score_heads(const struct job *j, float scale_of_scores)
{
    __m512 scale = _mm512_set1_ps(scale_of_scores);
    int c = 0;
    for (; j->ld - c > LANES; c += 2 * LANES)
        score_keys(j, c, scale, 2);
    if (c < j->ld) score_keys(j, c, scale, 1);
}

/* Scores to p for the 16 heads from column c; returns 1 / Z of each. */
static __m512 weigh_keys(const struct job *j, int c, __m512 sink)
{
    __m512 max = sink, z = _mm512_setzero_ps();
    float *at = j->p + c;
    for (int i = 0; i < j->n; i++, at += j->ld)
        max = _mm512_max_ps(_mm512_loadu_ps(at), max);
    at = j->p + c;
    for (int b = 0, i = 0; b < j->n_blocks; b++) {
        __m512 zb = _mm512_setzero_ps();
        for (; i < j->block_end[b]; i++, at += j->ld) {
            __m512 p = fm16_exp(_mm512_sub_ps(_mm512_loadu_ps(at), max));
            _mm512_storeu_ps(at, p);
            zb = _mm512_add_ps(zb, p);
        }
        z = _mm512_add_ps(z, zb);
    }
    z = _mm512_add_ps(z, fm16_exp(_mm512_sub_ps(sink, max)));
    return _mm512_div_ps(_mm512_set1_ps(1.0f), z);
}

/* Adds a block's chains over keys [first, last) to o: `heads` heads from column c on, `vectors` x 16
 * dimensions from d on, the last of them those in mask. */
INLINE void sum_tile(const struct job *j, int first, int last, int c, int d, int heads, int vectors,
                     __mmask16 mask)
{
    const float *p = j->p + (size_t)first * (size_t)j->ld + c;
    const float *key = j->keys + (size_t)first * (size_t)j->head_dim + d;
    float *o = j->o + (size_t)(j->head0 + c) * (size_t)j->head_dim + d;
    __m512 part[HEADS][VECTORS];
    UNROLL
    for (int h = 0; h < heads; h++) {
        UNROLL
        for (int v = 0; v < vectors; v++)
            part[h][v] = _mm512_setzero_ps();
    }
    for (int i = first; i < last; i++, p += j->ld, key += j->head_dim) {
        __m512 value[VECTORS];
        UNROLL
        for (int v = 0; v < vectors; v++)
            value[v] =
                vectors > 1 ? _mm512_loadu_ps(key + LANES * v) : _mm512_maskz_loadu_ps(mask, key);
        UNROLL
        for (int h = 0; h < heads; h++) {
            __m512 weight = _mm512_set1_ps(p[h]);
            UNROLL
            for (int v = 0; v < vectors; v++)
                part[h][v] = _mm512_fmadd_ps(weight, value[v], part[h][v]);
        }
    }
    UNROLL
    for (int h = 0; h < heads; h++, o += j->head_dim) {
        UNROLL
        for (int v = 0; v < vectors; v++) {
            __mmask16 m = vectors > 1 ? 0xffff : mask;
            __m512 total = _mm512_maskz_loadu_ps(m, o + LANES * v);
            _mm512_mask_storeu_ps(o + LANES * v, m, _mm512_add_ps(total, part[h][v]));
        }
    }
}

/* All dimensions of `heads` heads. */
INLINE void sum_heads(const struct job *j, int first, int last, int c, int heads)
{
    int d = 0;
    for (; d + LANES * VECTORS <= j->head_dim; d += LANES * VECTORS)
        sum_tile(j, first, last, c, d, heads, VECTORS, 0xffff);
    for (; d < j->head_dim; d += LANES) {
        int n = j->head_dim - d < LANES ? j->head_dim - d : LANES;
        sum_tile(j, first, last, c, d, heads, 1, (__mmask16)((1u << n) - 1));
    }
}

/* Block after block, so that the keys of one stay in the second cache for all heads. */
static void sum_blocks(const struct job *j)
{
    for (int b = 0, first = 0; b < j->n_blocks; first = j->block_end[b++]) {
        int c = 0, last = j->block_end[b];
        for (; c + HEADS <= j->n_heads; c += HEADS)
            sum_heads(j, first, last, c, HEADS);
        for (; c + 4 <= j->n_heads; c += 4)
            sum_heads(j, first, last, c, 4);
        for (; c < j->n_heads; c++)
            sum_heads(j, first, last, c, 1);
    }
}

void attend_avx512(float *o, const float *q, int head0, int head1, int head_dim, const float *keys,
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
    for (int c = 0; c < j.ld; c += LANES)
        transpose_queries(&j, q, c);
    score_heads(&j, scale);
    float *inverse = j.q_t; /* the queries have done their part */
    for (int c = 0; c < j.ld; c += LANES) {
        int left = j.n_heads - c;
        __mmask16 mask = (__mmask16)(left < LANES ? (1u << left) - 1 : 0xffff);
        __m512 sinks = _mm512_maskz_loadu_ps(mask, sink + head0 + c);
        _mm512_storeu_ps(inverse + c, weigh_keys(&j, c, sinks));
    }
    o += (size_t)head0 * (size_t)head_dim;
    memset(o, 0, (size_t)j.n_heads * (size_t)head_dim * sizeof *o);
    sum_blocks(&j);
    for (int h = 0; h < j.n_heads; h++, o += head_dim)
        for (int d = 0; d < head_dim; d++)
            o[d] *= inverse[h];
}
