/* What the AVX-512 linears share: two groups of 8 rows side by side in a vector, so lanes are 16 rows. Private
 * to cpu/, for *_avx512.c. */
#pragma once
#include <immintrin.h>
#include <string.h>

#include "cpu/matmul_tile.h"
#include "cpu/unroll.h"

enum { ROWS = 2 * PACK_ROWS };

/* 32 bytes of each of two groups of rows. */
INLINE __m512i load2(const uint8_t *a, const uint8_t *b)
{
    __m256i low = _mm256_load_si256((const __m256i *)(const void *)a);
    __m256i high = _mm256_load_si256((const __m256i *)(const void *)b);
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

INLINE __m512i spread32(const int8_t *p)
{
    int32_t v;
    memcpy(&v, p, sizeof v);
    return _mm512_set1_epi32(v);
}

/* Codes of 4 bits as bytes: v's low nibbles and high ones; FP4 as 2 value + 12. */
INLINE void codes_4bit(__m512i *first, __m512i *second, __m512i v, int is_fp4)
{
    const __m512i low = _mm512_set1_epi8(15);
    const __m512i lut = _mm512_broadcast_i32x4(
        _mm_setr_epi8(12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0));
    *first = _mm512_and_si512(v, low);
    *second = _mm512_and_si512(_mm512_srli_epi16(v, 4), low);
    if (is_fp4) {
        *first = _mm512_shuffle_epi8(lut, *first);
        *second = _mm512_shuffle_epi8(lut, *second);
    }
}

/* int8 as value + 128. */
INLINE __m512i codes_8bit(__m512i v)
{
    return _mm512_xor_si512(v, _mm512_set1_epi8(-128));
}

INLINE __m512 f16_scales(const uint8_t *a, const uint8_t *b)
{
    __m128i low = _mm_load_si128((const __m128i *)(const void *)a);
    __m128i high = _mm_load_si128((const __m128i *)(const void *)b);
    return _mm512_cvtph_ps(_mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1));
}

/* 2^(byte - 128) */
INLINE __m512 e8m0_scales(const uint8_t *a, const uint8_t *b)
{
    __m128i bytes = _mm_unpacklo_epi64(_mm_loadl_epi64((const __m128i *)(const void *)a),
                                       _mm_loadl_epi64((const __m128i *)(const void *)b));
    __m512i e = _mm512_sub_epi32(_mm512_cvtepu8_epi32(bytes), _mm512_set1_epi32(1));
    return _mm512_castsi512_ps(_mm512_slli_epi32(e, 23));
}

/* The step of the chain: acc = fma(sum, ws as, acc). */
INLINE __m512 chain(__m512 acc, __m512i sum, __m512 ws, const float *as)
{
    __m512 s = _mm512_mul_ps(ws, _mm512_set1_ps(*as));
    return _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), s, acc);
}

/* e4m3 codes to sign * floor(64 |value| + 1/2), 16 bits each, as in matmul_avx2.c: lo has rows 0 and 1 of
 * each four, hi rows 2 and 3. With n the low four bits of the code (exponent's last bit, mantissa) and h the
 * other three of the exponent, 64 |value| = a 4^h / 16, a = (8 + m) << e0, but for exponent 0, where a
 * rounds alike. mulhrs takes a with the opposite sign, and -2 4^h, as +2 4^7 would not fit; it rounds half
 * up, so a negative value is pushed down by the low byte of its factor. */
INLINE void fp8_integers(__m512i *lo, __m512i *hi, __m512i v)
{
    /* -4 a by (code - 4) mod 16; a shuffle gives 0 where code - 4 is negative */
    const __m512i mantissa = _mm512_broadcast_i32x4(_mm_setr_epi8(
        -48, -52, -56, -60, -64, -72, -80, -88, -96, -104, -112, -120, -32, -36, -40, -44));
    /* -2 * 4^h, low and high byte */
    const __m512i power_lo = _mm512_broadcast_i32x4(
        _mm_setr_epi8(-2, -8, -32, -128, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0));
    const __m512i power_hi = _mm512_broadcast_i32x4(
        _mm_setr_epi8(-1, -1, -1, -1, -2, -8, -32, -128, 0, 0, 0, 0, 0, 0, 0, 0));
    const __m512i zero = _mm512_setzero_si512();
    __m512i size = _mm512_and_si512(v, _mm512_set1_epi8(0x7f));
    __m512i a = _mm512_shuffle_epi8(mantissa, _mm512_sub_epi8(size, _mm512_set1_epi8(4)));
    __m512i h = _mm512_and_si512(_mm512_srli_epi16(size, 4), _mm512_set1_epi8(15));
    __m512i bl = _mm512_shuffle_epi8(power_lo, h), bh = _mm512_shuffle_epi8(power_hi, h);
    __mmask64 negative = _mm512_movepi8_mask(v);
    __m512i push = _mm512_maskz_mov_epi8(negative, bl);
    a = _mm512_mask_sub_epi8(a, negative, zero, a);
    *lo = _mm512_mulhrs_epi16(_mm512_unpacklo_epi8(push, a), _mm512_unpacklo_epi8(bl, bh));
    *hi = _mm512_mulhrs_epi16(_mm512_unpackhi_epi8(push, a), _mm512_unpackhi_epi8(bl, bh));
}

/* ws of 16 rows at group g; rows beyond the matrix repeat the last. */
static inline __m512 fp8_scales(const struct packed *w, int row, int g)
{
    _Alignas(64) float s[ROWS];
    for (int i = 0; i < ROWS; i++)
        s[i] = packed_fp8_scale(w, row + i < w->base.rows ? row + i : w->base.rows - 1, GROUP * g);
    return _mm512_mul_ps(_mm512_load_ps(s), _mm512_set1_ps(1.0f / 64.0f));
}
