#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "quant/convert.h"

enum { STRIDE = 1009 };

/* What a code means, by the definition: bias, exponent bits, mantissa bits. */
static double by_definition(uint32_t code, int e_bits, int m_bits)
{
    uint32_t m = code & ((1u << m_bits) - 1), e = code >> m_bits & ((1u << e_bits) - 1);
    int bias = (1 << (e_bits - 1)) - 1;
    double v = e ? ldexp((double)((1u << m_bits) + m), (int)e - bias - m_bits)
                 : ldexp((double)m, 1 - bias - m_bits);
    return code >> (e_bits + m_bits) & 1 ? -v : v;
}

/* Every f32 at a stride goes to the nearest code, ties to even. decode gives codes 0, 1, ... in
 * ascending order up to `most`; there is no code above. */
static void check_nearest(float x, uint32_t got, float (*decode)(uint32_t), uint32_t most,
                          uint32_t sign_bit)
{
    uint32_t m = got & ~sign_bit;
    assert_int_equal((got & sign_bit) != 0, signbit(x) != 0);
    assert_true(m <= most);
    double a = fabs((double)x), here = (double)decode(m);
    if (m > 0) {
        double middle = (here + (double)decode(m - 1)) / 2;
        assert_true(m % 2 ? a > middle : a >= middle);
    }
    if (m < most) {
        double middle = (here + (double)decode(m + 1)) / 2;
        assert_true(m % 2 ? a < middle : a <= middle);
    }
}

static float f16_code(uint32_t c)
{
    return f16_to_f32((uint16_t)c);
}

static float e4m3_code(uint32_t c)
{
    return e4m3_to_f32((uint8_t)c);
}

static float e2m1_code(uint32_t c)
{
    return e2m1_to_f32((uint8_t)c);
}

static void f16_decodes_by_the_definition(void **state)
{
    (void)state;
    for (uint32_t c = 0; c < 65536; c++) {
        float x = f16_to_f32((uint16_t)c);
        assert_int_equal(signbit(x) != 0, c >> 15);
        if ((c & 0x7c00) == 0x7c00)
            assert_true(c & 0x3ff ? isnan(x) : isinf(x));
        else
            assert_true((double)x == by_definition(c, 5, 10));
    }
}

static void f16_round_trip_gives_every_code_back(void **state)
{
    (void)state;
    for (uint32_t c = 0; c < 65536; c++)
        if ((c & 0x7fff) <= 0x7c00) assert_int_equal(f32_to_f16(f16_to_f32((uint16_t)c)), c);
    assert_int_equal(f32_to_f16(NAN) & 0x7fff, 0x7e00);
}

static void f16_rounds_to_nearest_even(void **state)
{
    (void)state;
    for (uint64_t u = 0; u <= UINT32_MAX; u += STRIDE) {
        float x = fm_float((uint32_t)u);
        if (isnan(x)) continue;
        if (fabsf(x) >= 65520.0f)
            assert_int_equal(f32_to_f16(x) & 0x7fff, 0x7c00);
        else
            check_nearest(x, f32_to_f16(x), f16_code, 0x7bff, 0x8000);
    }
    assert_int_equal(f32_to_f16(65519.996f), 0x7bff);
    assert_int_equal(f32_to_f16(0x1p-25f), 0);
    assert_int_equal(f32_to_f16(0x1.000002p-25f), 1);
}

static void bf16_is_the_upper_half_rounded_to_even(void **state)
{
    (void)state;
    for (uint32_t c = 0; c < 65536; c++) {
        if ((c & 0x7fff) > 0x7f80) {
            assert_true(isnan(bf16_to_f32((uint16_t)c)));
            assert_true(isnan(bf16_to_f32(f32_to_bf16(bf16_to_f32((uint16_t)c)))));
            continue;
        }
        assert_int_equal(fm_bits(bf16_to_f32((uint16_t)c)), c << 16);
        if ((c & 0x7fff) == 0x7f80) continue;
        assert_int_equal(f32_to_bf16(fm_float(c << 16)), c);
        assert_int_equal(f32_to_bf16(fm_float(c << 16 | 0x7fff)), c);
        assert_int_equal(f32_to_bf16(fm_float(c << 16 | 0x8000)), c + (c & 1));
        assert_int_equal(f32_to_bf16(fm_float(c << 16 | 0x8001)), c + 1);
    }
    assert_int_equal(f32_to_bf16(fm_float(0x7f800001u)), 0x7fc0);
}

static void e8m0_is_a_power_of_two(void **state)
{
    (void)state;
    for (int c = 0; c < 255; c++)
        assert_true((double)e8m0_to_f32((uint8_t)c) == ldexp(1, c - 127));
    assert_int_equal(fm_bits(e8m0_to_f32(255)), 0x7fc00000u);
}

static void e4m3_decodes_by_the_definition(void **state)
{
    (void)state;
    for (uint32_t c = 0; c < 256; c++) {
        if ((c & 127) == 127) {
            assert_int_equal(fm_bits(e4m3_code(c)), 0x7fc00000u);
            continue;
        }
        assert_true((double)e4m3_code(c) == by_definition(c, 4, 3));
        assert_int_equal(f32_to_e4m3(e4m3_code(c)), c); /* -0 too */
    }
    assert_true(e4m3_code(0x7e) == 448.0f && e4m3_code(1) == 0x1p-9f);
}

static void e4m3_rounds_to_nearest_even_and_saturates(void **state)
{
    (void)state;
    for (uint64_t u = 0; u <= UINT32_MAX; u += STRIDE) {
        float x = fm_float((uint32_t)u);
        if (isnan(x)) continue;
        check_nearest(x, f32_to_e4m3(x), e4m3_code, 0x7e, 0x80);
    }
    assert_int_equal(f32_to_e4m3(INFINITY), 0x7e);
    assert_int_equal(f32_to_e4m3(-1e30f), 0xfe);
    assert_int_equal(f32_to_e4m3(NAN) & 0x7f, 0x7f);
    assert_int_equal(f32_to_e4m3(0x1p-10f), 0); /* ties */
    assert_int_equal(f32_to_e4m3(0x1.8p-9f), 2);
    assert_int_equal(f32_to_e4m3(17.0f), f32_to_e4m3(16.0f));
    assert_int_equal(f32_to_e4m3(19.0f), f32_to_e4m3(20.0f));
}

static void e2m1_has_its_eight_magnitudes_and_ties(void **state)
{
    (void)state;
    static const float value[8] = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6};
    static const float tie[7] = {0.25f, 0.75f, 1.25f, 1.75f, 2.5f, 3.5f, 5};
    static const uint8_t to[7] = {0, 2, 2, 4, 4, 6, 6};
    for (uint8_t c = 0; c < 8; c++) {
        assert_true(e2m1_to_f32(c) == value[c] && e2m1_to_f32(c | 8) == -value[c]);
        assert_int_equal(f32_to_e2m1(value[c]), c);
        assert_int_equal(f32_to_e2m1(-value[c]), c | 8);
        assert_true((float)e2m1_doubled(c) == 2 * value[c]);
    }
    for (int i = 0; i < 7; i++)
        assert_int_equal(f32_to_e2m1(tie[i]), to[i]);
    for (uint64_t u = 0; u <= UINT32_MAX; u += STRIDE) {
        float x = fm_float((uint32_t)u);
        if (!isnan(x)) check_nearest(x, f32_to_e2m1(x), e2m1_code, 7, 8);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(f16_decodes_by_the_definition),
        cmocka_unit_test(f16_round_trip_gives_every_code_back),
        cmocka_unit_test(f16_rounds_to_nearest_even),
        cmocka_unit_test(bf16_is_the_upper_half_rounded_to_even),
        cmocka_unit_test(e8m0_is_a_power_of_two),
        cmocka_unit_test(e4m3_decodes_by_the_definition),
        cmocka_unit_test(e4m3_rounds_to_nearest_even_and_saturates),
        cmocka_unit_test(e2m1_has_its_eight_magnitudes_and_ties),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
