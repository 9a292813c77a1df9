/* Indexer scores with vectors of 256 bits; numerics, section 7. Lanes are keys: eight keys at a time turn
 * into vectors of [key][4 values], as weights in R8K4. What is common to index_avx2.c and
 * index_avxvnni.c: each defines group_sum. Private to these two. */
#pragma once
#include <immintrin.h>
#include <string.h>

#include "cpu/kernels.h"
#include "cpu/unroll.h"

enum { GROUP = 32, LANES = 8, KEY_TILES = 4, HEADS = 32 };

/* Products of 32 values of a query and of 8 keys (0..24, 12 is zero), and offset, summed for each key. */
INLINE __m256i group_sum(const __m256i key[8], const int8_t *q, int32_t offset);

INLINE __m256i spread32(const int8_t *p)
{
    int32_t v;
    memcpy(&v, p, sizeof v);
    return _mm256_set1_epi32(v);
}

struct job {
    const int8_t *q;
    const float *q_scale, *w;
    int heads, dim;
    const uint8_t *keys;
    size_t key_bytes;
    int n_keys;
};

/* 32 values of 8 keys as 0..24 (12 is zero), four to a vector of [key][4]. Keys beyond the last repeat
 * it. */
static void unpack_keys(__m256i out[8], const struct job *j, int first, int g)
{
    const __m256i low = _mm256_set1_epi8(15);
    const __m256i lut = _mm256_setr_epi8(12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0,
                                         12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0);
    __m256i v[4], d[4];
    for (int i = 0; i < 4; i++) {
        const uint8_t *half[2];
        for (int h = 0; h < 2; h++) {
            int key = first + i + 4 * h < j->n_keys ? first + i + 4 * h : j->n_keys - 1;
            half[h] = j->keys + (size_t)key * j->key_bytes + (size_t)g * (GROUP / 2);
        }
        __m128i lo = _mm_loadu_si128((const __m128i *)(const void *)half[0]);
        __m128i hi = _mm_loadu_si128((const __m128i *)(const void *)half[1]);
        v[i] = _mm256_inserti128_si256(_mm256_castsi128_si256(lo), hi, 1);
    }
    /* d[c] = bytes 4 c .. 4 c + 3 of each key */
    __m256i a = _mm256_unpacklo_epi32(v[0], v[1]), b = _mm256_unpacklo_epi32(v[2], v[3]);
    __m256i c = _mm256_unpackhi_epi32(v[0], v[1]), e = _mm256_unpackhi_epi32(v[2], v[3]);
    d[0] = _mm256_unpacklo_epi64(a, b);
    d[1] = _mm256_unpackhi_epi64(a, b);
    d[2] = _mm256_unpacklo_epi64(c, e);
    d[3] = _mm256_unpackhi_epi64(c, e);
    for (int i = 0; i < 4; i++) {
        __m256i even = _mm256_shuffle_epi8(lut, _mm256_and_si256(d[i], low));
        __m256i odd = _mm256_shuffle_epi8(lut, _mm256_and_si256(_mm256_srli_epi16(d[i], 4), low));
        __m256 k01 = _mm256_castsi256_ps(_mm256_unpacklo_epi8(even, odd)); /* 8 values each */
        __m256 k23 = _mm256_castsi256_ps(_mm256_unpackhi_epi8(even, odd));
        out[2 * i] = _mm256_castps_si256(_mm256_shuffle_ps(k01, k23, 0x88));
        out[2 * i + 1] = _mm256_castps_si256(_mm256_shuffle_ps(k01, k23, 0xdd));
    }
}

/* 2^(byte - 128) of 8 keys, NaN for 255. */
static __m256 key_scales(const struct job *j, int first, int g)
{
    _Alignas(32) int32_t byte[LANES];
    for (int i = 0; i < LANES; i++) {
        int key = first + i < j->n_keys ? first + i : j->n_keys - 1;
        byte[i] = j->keys[(size_t)key * j->key_bytes + (size_t)(j->dim / 2 + g)];
    }
    __m256i e = _mm256_load_si256((const __m256i *)(const void *)byte);
    __m256i ends = _mm256_or_si256(_mm256_cmpeq_epi32(e, _mm256_setzero_si256()),
                                   _mm256_cmpeq_epi32(e, _mm256_set1_epi32(255)));
    __m256i bits = _mm256_or_si256(_mm256_slli_epi32(e, 23),
                                   _mm256_and_si256(ends, _mm256_set1_epi32(0x400000)));
    return _mm256_mul_ps(_mm256_castsi256_ps(bits), _mm256_set1_ps(0.5f));
}

/* What the offset of 12 adds to a sum, negated. */
static int32_t head_offset(const int8_t *q)
{
    __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)q);
    v = _mm256_madd_epi16(_mm256_maddubs_epi16(_mm256_set1_epi8(12), v), _mm256_set1_epi16(-1));
    __m128i s = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    s = _mm_add_epi32(s, _mm_unpackhi_epi64(s, s));
    return _mm_cvtsi128_si32(_mm_add_epi32(s, _mm_shuffle_epi32(s, 1)));
}

/* acc[h] of 8 keys over group g: one step of each head's chain. */
static void add_group(__m256 acc[HEADS], const struct job *j, const int32_t offset[HEADS], int head,
                      int n_heads, int first, int g)
{
    __m256i key[8];
    __m256 ks = key_scales(j, first, g);
    int groups = j->dim / GROUP;
    unpack_keys(key, j, first, g);
    for (int h = 0; h < n_heads; h++) {
        size_t at = (size_t)(head + h) * (size_t)groups + (size_t)g;
        const int8_t *q = j->q + at * GROUP;
        __m256i sum = group_sum(key, q, offset[h]);
        __m256 s = _mm256_mul_ps(_mm256_set1_ps(j->q_scale[at]), ks);
        acc[h] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum), s, acc[h]);
    }
}

/* Adds heads [head, head + n_heads) to the scores of up to 32 keys. */
static void add_heads(__m256 score[KEY_TILES], const struct job *j, int head, int n_heads,
                      int first)
{
    __m256 acc[KEY_TILES][HEADS];
    int tiles = (j->n_keys - first + LANES - 1) / LANES;
    if (tiles > KEY_TILES) tiles = KEY_TILES;
    memset(acc, 0, sizeof acc);
    for (int g = 0; g < j->dim / GROUP; g++) {
        int32_t offset[HEADS];
        for (int h = 0; h < n_heads; h++)
            offset[h] = head_offset(j->q + (size_t)(head + h) * (size_t)j->dim + g * GROUP);
        for (int i = 0; i < tiles; i++)
            add_group(acc[i], j, offset, head, n_heads, first + LANES * i, g);
    }
    for (int i = 0; i < tiles; i++)
        for (int h = 0; h < n_heads; h++) {
            /* max gives its second operand, +0, for NaN and for -0 */
            __m256 s = _mm256_max_ps(acc[i][h], _mm256_setzero_ps());
            score[i] = _mm256_fmadd_ps(s, _mm256_set1_ps(j->w[head + h]), score[i]);
        }
}

/* What index_scores is (cpu/kernels.h). */
static void score_keys(float *score, const int8_t *q, const float *q_scale, const float *w,
                       int heads, int dim, const uint8_t *keys, size_t key_bytes, int n_keys)
{
    struct job j = {q, q_scale, w, heads, dim, keys, key_bytes, n_keys};
    for (int first = 0; first < n_keys; first += KEY_TILES * LANES) {
        _Alignas(32) float out[KEY_TILES * LANES];
        __m256 s[KEY_TILES];
        int n = n_keys - first < KEY_TILES * LANES ? n_keys - first : KEY_TILES * LANES;
        memset(s, 0, sizeof s);
        for (int head = 0; head < heads; head += HEADS)
            add_heads(s, &j, head, heads - head < HEADS ? heads - head : HEADS, first);
        for (int i = 0; i < KEY_TILES; i++)
            _mm256_store_ps(out + LANES * i, s[i]);
        memcpy(score + first, out, (size_t)n * sizeof *score);
    }
}
