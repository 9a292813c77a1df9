#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "quant/blocks.h"
#include "quant/convert.h"
#include "quant/fp8_int.h"

static void fp8_int_is_64_times_the_value_rounded(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        float v = e4m3_to_f32((uint8_t)c);
        if (isnan(v)) {
            assert_int_equal(fp8_int[c], 0);
            continue;
        }
        int m = (int)floor(64 * fabs((double)v) + 0.5);
        assert_int_equal(fp8_int[c], c & 128 ? -m : m);
        assert_true(m <= 28672);
    }
    assert_int_equal(fp8_int[0x7e], 28672);
}

/* Every int8 under every finite f16 scale. */
static void q8_0_value_is_code_times_scale(void **state)
{
    (void)state;
    uint8_t row[2 * Q8_0_BYTES] = {0};
    float out[64];
    for (uint32_t h = 0; h < 65536; h += 7) {
        if ((h & 0x7c00) == 0x7c00) continue;
        for (int i = 0; i < 64; i++)
            row[i / 32 * 34 + 2 + i % 32] = (uint8_t)(i * 4 + (int)(h % 4));
        row[34] = (uint8_t)h;
        row[35] = (uint8_t)(h >> 8);
        q8_0_decode(out, row, 64);
        for (int i = 0; i < 64; i++) {
            double s = i < 32 ? 0 : (double)f16_to_f32((uint16_t)h);
            assert_true((double)out[i] == (int8_t)(i * 4 + (int)(h % 4)) * s);
        }
    }
}

static void q4_0_low_nibbles_are_the_first_half(void **state)
{
    (void)state;
    uint8_t row[Q4_0_BYTES] = {0x00, 0x38}; /* 0.5 */
    float out[32];
    for (int b = 0; b < 256; b++) {
        for (int i = 0; i < 16; i++)
            row[2 + i] = (uint8_t)(b + i);
        q4_0_decode(out, row, 32);
        for (int i = 0; i < 16; i++) {
            assert_true(out[i] == (float)((b + i) % 16 - 8) * 0.5f);
            assert_true(out[16 + i] == (float)((b + i) % 256 / 16 - 8) * 0.5f);
        }
    }
}

/* 16 codes under each scale byte, both formats. */
static void fp4_formats_hold_the_same_values(void **state)
{
    (void)state;
    static const double value[16] = {0, .5, 1, 1.5, 2, 3, 4, 6, 0, -.5, -1, -1.5, -2, -3, -4, -6};
    for (int scale = 0; scale < 256; scale++) {
        uint8_t mx[MXFP4_BYTES] = {(uint8_t)scale}, codes[16], s = (uint8_t)scale;
        float a[32], b[32];
        for (int i = 0; i < 16; i++) {
            mx[1 + i] = (uint8_t)(i | (15 - i) << 4); /* values i, then 15 - i */
            int lo = 2 * i, hi = 2 * i + 1;
            codes[i] = (uint8_t)((lo < 16 ? lo : 31 - lo) | (hi < 16 ? hi : 31 - hi) << 4);
        }
        mxfp4_decode(a, mx, 32);
        fp4_decode(b, codes, &s, 32);
        for (int i = 0; i < 32; i++) {
            double want = scale < 2 ? 0 : ldexp(value[i < 16 ? i : 31 - i], scale - 127);
            if (scale == 255)
                assert_true(isnan(a[i]) && isnan(b[i]));
            else
                assert_true(a[i] == (float)want && b[i] == (float)want);
        }
    }
}

static void fp8_takes_the_scale_of_its_block(void **state)
{
    (void)state;
    uint8_t codes[300];
    const float scales[3] = {0.5f, 3.0f, 0x1p-20f};
    float out[300];
    for (int i = 0; i < 300; i++)
        codes[i] = (uint8_t)i;
    fp8_decode(out, codes, scales, 128, 300);
    for (int i = 0; i < 300; i++) {
        float v = e4m3_to_f32((uint8_t)i);
        assert_true(isnan(v) ? isnan(out[i]) : out[i] == v * scales[i / 128]);
    }
}

static void q8_0_encode_is_within_half_a_step(void **state)
{
    (void)state;
    uint64_t seed = 9;
    for (int round = 0; round < 20000; round++) {
        float x[64], y[64];
        uint8_t row[2 * Q8_0_BYTES];
        for (int i = 0; i < 64; i++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            x[i] = (float)ldexp((double)(int32_t)(seed >> 32), -31 - round % 24);
        }
        assert_int_equal(q8_0_encode(row, x, 64), 0);
        q8_0_decode(y, row, 64);
        for (int i = 0; i < 64; i++) {
            const uint8_t *block = row + i / 32 * 34;
            double s = (double)f16_to_f32((uint16_t)(block[0] | block[1] << 8));
            assert_true((int8_t)block[2 + i % 32] >= -127);
            assert_true(fabs((double)x[i] - (double)y[i]) <= 0.5 * s * (1 + 1e-6));
        }
    }
}

static void q8_0_encode_refuses_what_f16_cannot_hold(void **state)
{
    (void)state;
    uint8_t row[Q8_0_BYTES], zero[Q8_0_BYTES] = {0};
    float x[32] = {0};
    assert_int_equal(q8_0_encode(row, x, 32), 0);
    assert_memory_equal(row, zero, sizeof row);
    const float bad[] = {INFINITY, NAN, -1e9f};
    for (int i = 0; i < 3; i++) {
        x[31] = bad[i];
        assert_int_equal(q8_0_encode(row, x, 32), -1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fp8_int_is_64_times_the_value_rounded),
        cmocka_unit_test(q8_0_value_is_code_times_scale),
        cmocka_unit_test(q4_0_low_nibbles_are_the_first_half),
        cmocka_unit_test(fp4_formats_hold_the_same_values),
        cmocka_unit_test(fp8_takes_the_scale_of_its_block),
        cmocka_unit_test(q8_0_encode_is_within_half_a_step),
        cmocka_unit_test(q8_0_encode_refuses_what_f16_cannot_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
