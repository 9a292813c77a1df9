/* Indexer scores; numerics, section 7. Lanes are keys: four keys at a time turn into vectors of [key][4
 * values], as weights in R8K4. */
#include <string.h>

#include "cpu/kernels_neon.h"
#include "cpu/neon.h"
#include "quant/convert.h"

enum { LANES = 4, KEY_TILES = 4, HEADS = 32 };

struct job {
    const int8_t *q;
    const float *q_scale, *w;
    int heads, dim;
    const uint8_t *keys;
    size_t key_bytes;
    int n_keys;
};

/* Keys beyond the last repeat it. */
INLINE const uint8_t *key_at(const struct job *j, int key)
{
    return j->keys + (size_t)(key < j->n_keys ? key : j->n_keys - 1) * j->key_bytes;
}

/* 32 values of 4 keys, doubled, four to a vector of [key][4]. */
static void unpack_keys(int8x16_t out[8], const struct job *j, int first, int g)
{
    uint32x4_t v[LANES];
    for (int i = 0; i < LANES; i++)
        v[i] = vreinterpretq_u32_u8(vld1q_u8(key_at(j, first + i) + (size_t)g * (GROUP / 2)));
    /* d[c] = bytes 4 c .. 4 c + 3 of each key */
    uint32x4_t a = vzip1q_u32(v[0], v[2]), b = vzip1q_u32(v[1], v[3]);
    uint32x4_t c = vzip2q_u32(v[0], v[2]), e = vzip2q_u32(v[1], v[3]);
    uint32x4_t d[4] = {vzip1q_u32(a, b), vzip2q_u32(a, b), vzip1q_u32(c, e), vzip2q_u32(c, e)};
    for (int i = 0; i < 4; i++) {
        uint8x16_t code = vreinterpretq_u8_u32(d[i]);
        int8x16_t even = codes_4bit(vandq_u8(code, vdupq_n_u8(15)), 1);
        int8x16_t odd = codes_4bit(vshrq_n_u8(code, 4), 1);
        int32x4_t k01 = vreinterpretq_s32_s8(vzip1q_s8(even, odd)); /* 8 values each */
        int32x4_t k23 = vreinterpretq_s32_s8(vzip2q_s8(even, odd));
        out[2 * i] = vreinterpretq_s8_s32(vuzp1q_s32(k01, k23));
        out[2 * i + 1] = vreinterpretq_s8_s32(vuzp2q_s32(k01, k23));
    }
}

/* 2^(byte - 128) of 4 keys, NaN for 255. */
static float32x4_t key_scales(const struct job *j, int first, int g)
{
    float s[LANES];
    for (int i = 0; i < LANES; i++)
        s[i] = 0.5f * e8m0_to_f32(key_at(j, first + i)[j->dim / 2 + g]);
    return vld1q_f32(s);
}

/* acc[h] of 4 keys over group g: one step of each head's chain. */
static void add_group(float32x4_t acc[HEADS], const struct job *j, int head, int n_heads, int first,
                      int g)
{
    int8x16_t key[8];
    float32x4_t ks = key_scales(j, first, g);
    int groups = j->dim / GROUP;
    unpack_keys(key, j, first, g);
    for (int h = 0; h < n_heads; h++) {
        size_t at = (size_t)(head + h) * (size_t)groups + (size_t)g;
        int32x4_t sum = dot_32(vdupq_n_s32(0), key, j->q + at * GROUP);
        acc[h] = vfmaq_f32(acc[h], vcvtq_f32_s32(sum), vmulq_n_f32(ks, j->q_scale[at]));
    }
}

/* Adds heads [head, head + n_heads) to the scores of up to 16 keys. */
static void add_heads(float32x4_t score[KEY_TILES], const struct job *j, int head, int n_heads,
                      int first)
{
    float32x4_t acc[KEY_TILES][HEADS];
    int tiles = (j->n_keys - first + LANES - 1) / LANES;
    if (tiles > KEY_TILES) tiles = KEY_TILES;
    memset(acc, 0, sizeof acc);
    for (int g = 0; g < j->dim / GROUP; g++)
        for (int i = 0; i < tiles; i++)
            add_group(acc[i], j, head, n_heads, first + LANES * i, g);
    for (int i = 0; i < tiles; i++)
        for (int h = 0; h < n_heads; h++) {
            /* +0 for NaN and for -0 */
            uint32x4_t s = vandq_u32(vreinterpretq_u32_f32(acc[i][h]), vcgtzq_f32(acc[i][h]));
            score[i] = vfmaq_n_f32(score[i], vreinterpretq_f32_u32(s), j->w[head + h]);
        }
}

void index_scores_neon(float *score, const int8_t *q, const float *q_scale, const float *w,
                       int heads, int dim, const uint8_t *keys, size_t key_bytes, int n_keys)
{
    struct job j = {q, q_scale, w, heads, dim, keys, key_bytes, n_keys};
    for (int first = 0; first < n_keys; first += KEY_TILES * LANES) {
        float out[KEY_TILES * LANES];
        float32x4_t s[KEY_TILES];
        int n = n_keys - first < KEY_TILES * LANES ? n_keys - first : KEY_TILES * LANES;
        memset(s, 0, sizeof s);
        for (int head = 0; head < heads; head += HEADS)
            add_heads(s, &j, head, heads - head < HEADS ? heads - head : HEADS, first);
        for (int i = 0; i < KEY_TILES; i++)
            vst1q_f32(out + LANES * i, s[i]);
        memcpy(score + first, out, (size_t)n * sizeof *score);
    }
}
