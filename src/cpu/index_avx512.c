/* Indexer scores; numerics, section 7. Lanes are keys: sixteen at a time turn into vectors of [key][4
 * values], two such tiles share what is read of a query. Sums of a group are int32, so the order of their
 * terms is free: even values of a key come before odd ones, as its nibbles lie, and in a query too. */
#include <immintrin.h>
#include <string.h>

#include "cpu/kernels_avx2.h"
#include "cpu/kernels_avx512.h"
#include "cpu/unroll.h"

enum { GROUP = 32, LANES = 16, TILES = 2, HEADS = 64, MAX_DIM = 256 };

struct job {
    const uint8_t *q; /* [heads, dim], + 128, even values before odd ones in every eight */
    const float *q_scale, *w;
    int heads, dim;
    const uint8_t *keys;
    size_t key_bytes;
    int n_keys;
};

/* Values of 16 keys over a group, and what a sum starts at since a query is 128 too large. */
struct tile {
    __m512i value[8], start;
    __m512 scale;
};

/* 2^(byte - 128) of 16 keys, NaN for 255. */
INLINE __m512 key_scales(const uint8_t *const key[LANES], int at)
{
    _Alignas(16) uint8_t byte[LANES];
    for (int i = 0; i < LANES; i++)
        byte[i] = key[i][at];
    __m512i e = _mm512_cvtepu8_epi32(_mm_load_si128((const __m128i *)(const void *)byte));
    __mmask16 ends = _mm512_cmpeq_epi32_mask(e, _mm512_setzero_si512()) |
                     _mm512_cmpeq_epi32_mask(e, _mm512_set1_epi32(255));
    __m512i bits = _mm512_slli_epi32(e, 23);
    bits = _mm512_mask_or_epi32(bits, ends, bits, _mm512_set1_epi32(0x400000));
    return _mm512_mul_ps(_mm512_castsi512_ps(bits), _mm512_set1_ps(0.5f));
}

/* The codes of every fourth key. */
INLINE __m512i key_codes(const uint8_t *const key[LANES], int at)
{
    __m128i v[4];
    UNROLL
    for (int i = 0; i < 4; i++)
        v[i] = _mm_loadu_si128((const __m128i *)(const void *)(key[4 * i] + at));
    __m256i low = _mm256_inserti128_si256(_mm256_castsi128_si256(v[0]), v[1], 1);
    __m256i high = _mm256_inserti128_si256(_mm256_castsi128_si256(v[2]), v[3], 1);
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

INLINE void tile_load(struct tile *t, const uint8_t *const key[LANES], int g, int dim)
{
    const __m512i low = _mm512_set1_epi8(15);
    const __m512i lut = _mm512_broadcast_i32x4(
        _mm_setr_epi8(0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12));
    __m512i v[4], d[4];
    t->scale = key_scales(key, dim / 2 + g);
    UNROLL
    for (int i = 0; i < 4; i++)
        v[i] = key_codes(key + i, g * (GROUP / 2));
    /* d[c] = bytes 4 c .. 4 c + 3 of each key */
    __m512i a = _mm512_unpacklo_epi32(v[0], v[1]), b = _mm512_unpacklo_epi32(v[2], v[3]);
    __m512i c = _mm512_unpackhi_epi32(v[0], v[1]), e = _mm512_unpackhi_epi32(v[2], v[3]);
    d[0] = _mm512_unpacklo_epi64(a, b);
    d[1] = _mm512_unpackhi_epi64(a, b);
    d[2] = _mm512_unpacklo_epi64(c, e);
    d[3] = _mm512_unpackhi_epi64(c, e);
    __m512i sum = _mm512_setzero_si512();
    UNROLL
    for (int i = 0; i < 4; i++) {
        __m512i odd = _mm512_and_si512(_mm512_srli_epi16(d[i], 4), low);
        t->value[2 * i] = _mm512_shuffle_epi8(lut, _mm512_and_si512(d[i], low));
        t->value[2 * i + 1] = _mm512_shuffle_epi8(lut, odd);
        sum = _mm512_dpbusd_epi32(sum, _mm512_set1_epi8(-128), t->value[2 * i]);
        sum = _mm512_dpbusd_epi32(sum, _mm512_set1_epi8(-128), t->value[2 * i + 1]);
    }
    t->start = _mm512_sub_epi32(_mm512_setzero_si512(), sum);
}

/* One step of each head's chain, over group g; after the last group the scores get the heads. acc
 * [HEADS][TILES]. */
INLINE void add_group(__m512 score[TILES], __m512 acc[HEADS][TILES], const struct job *j,
                      const uint8_t *const keys[TILES * LANES], int g, int tiles)
{
    int groups = j->dim / GROUP;
    const uint8_t *q = j->q + (size_t)g * GROUP;
    struct tile key[TILES];
    UNROLL
    for (int t = 0; t < tiles; t++)
        tile_load(&key[t], keys + LANES * t, g, j->dim);
    for (int h = 0; h < j->heads; h++, q += j->dim) {
        __m512 q_scale = _mm512_set1_ps(j->q_scale[(size_t)h * (size_t)groups + (size_t)g]);
        __m512i p[TILES];
        UNROLL
        for (int t = 0; t < tiles; t++)
            p[t] = key[t].start;
        UNROLL
        for (int i = 0; i < 8; i++) {
            int32_t four;
            memcpy(&four, q + 4 * i, sizeof four);
            UNROLL
            for (int t = 0; t < tiles; t++)
                p[t] = _mm512_dpbusd_epi32(p[t], _mm512_set1_epi32(four), key[t].value[i]);
        }
        UNROLL
        for (int t = 0; t < tiles; t++) {
            __m512 s = g ? acc[h][t] : _mm512_setzero_ps();
            s = _mm512_fmadd_ps(_mm512_cvtepi32_ps(p[t]), _mm512_mul_ps(q_scale, key[t].scale), s);
            if (g + 1 < groups) {
                acc[h][t] = s;
                continue;
            }
            /* max gives its second operand, +0, for NaN and for -0 */
            s = _mm512_max_ps(s, _mm512_setzero_ps());
            score[t] = _mm512_fmadd_ps(s, _mm512_set1_ps(j->w[h]), score[t]);
        }
    }
}

/* Adds the heads to the scores of up to 32 keys. Keys beyond the last repeat it. */
INLINE void add_heads(float *out, const struct job *j, int first, int tiles)
{
    const uint8_t *keys[TILES * LANES];
    __m512 acc[HEADS][TILES], score[TILES];
    for (int i = 0; i < LANES * tiles; i++) {
        int key = first + i < j->n_keys ? first + i : j->n_keys - 1;
        keys[i] = j->keys + (size_t)key * j->key_bytes;
    }
    UNROLL
    for (int t = 0; t < tiles; t++)
        score[t] = _mm512_loadu_ps(out + LANES * t);
    for (int g = 0; g < j->dim / GROUP; g++)
        add_group(score, acc, j, keys, g, tiles);
    UNROLL
    for (int t = 0; t < tiles; t++)
        _mm512_storeu_ps(out + LANES * t, score[t]);
}

static void add_32(float *out, const struct job *j, int first)
{
    add_heads(out, j, first, 2);
}

static void add_16(float *out, const struct job *j, int first)
{
    add_heads(out, j, first, 1);
}

/* n is a multiple of 32. */
static void arrange_query(uint8_t *out, const int8_t *q, int n)
{
    const __m256i order = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15));
    for (int i = 0; i < n; i += GROUP) {
        __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)(q + i));
        v = _mm256_xor_si256(_mm256_shuffle_epi8(v, order), _mm256_set1_epi8(-128));
        _mm256_storeu_si256((__m256i *)(void *)(out + i), v);
    }
}

void index_scores_avx512(float *score, const int8_t *q, const float *q_scale, const float *w,
                         int heads, int dim, const uint8_t *keys, size_t key_bytes, int n_keys)
{
    _Alignas(64) uint8_t arranged[HEADS * MAX_DIM];
    if (dim > MAX_DIM) {
        index_scores_avx2(score, q, q_scale, w, heads, dim, keys, key_bytes, n_keys);
        return;
    }
    memset(score, 0, (size_t)n_keys * sizeof *score);
    for (int head = 0; head < heads; head += HEADS) {
        size_t at = (size_t)head * (size_t)dim;
        struct job j = {arranged, q_scale + at / GROUP, w + head, 0, dim, keys, key_bytes, n_keys};
        j.heads = heads - head < HEADS ? heads - head : HEADS;
        arrange_query(arranged, q + at, j.heads * dim);
        for (int first = 0; first < n_keys; first += TILES * LANES) {
            float out[TILES * LANES] = {0};
            int n = n_keys - first < TILES * LANES ? n_keys - first : TILES * LANES;
            memcpy(out, score + first, (size_t)n * sizeof *out);
            if (n > LANES)
                add_32(out, &j, first);
            else
                add_16(out, &j, first);
            memcpy(score + first, out, (size_t)n * sizeof *out);
        }
    }
}
