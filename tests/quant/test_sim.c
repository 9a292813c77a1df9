/* fp8_sim, fp4_sim and act8 against their definitions in f64. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "quant/act8.h"
#include "quant/convert.h"
#include "quant/fp4_sim.h"
#include "quant/fp8_sim.h"

static uint64_t seed = 1;

static uint32_t next(void)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 32);
}

/* n values of magnitude up to 2^e; now and then zeros, ties and exact powers of two. */
static void fill(float *x, int n, int e)
{
    for (int i = 0; i < n; i++) {
        float v = (float)((int32_t)next()) * 0x1p-31f;
        switch (next() % 8) {
        case 0:
            v = 0;
            break;
        case 1:
            v = (float)((int)(next() % 33) - 16) / 16; /* ties of e2m1 and e4m3 */
            break;
        }
        x[i] = (float)ldexp(v, e);
    }
}

static double largest(const float *x, int n)
{
    double m = 0;
    for (int i = 0; i < n; i++)
        m = fabs((double)x[i]) > m ? fabs((double)x[i]) : m;
    return m;
}

/* ceil(log2(v)) for v > 0, exact. */
static int ceil_log2(float v)
{
    int e;
    return frexp((double)v, &e) == 0.5 ? e - 1 : e;
}

static void fp8_sim_follows_the_definition(void **state)
{
    (void)state;
    enum { N = 3 * FP8_SIM_GROUP };
    for (int round = 0; round < 20000; round++) {
        float x[N], y[N];
        uint8_t code[N], scale[N / FP8_SIM_GROUP];
        fill(x, N, (int)(next() % 240) - 120);
        fp8_sim_encode(code, scale, x, N);
        fp8_sim_decode(y, code, scale, N);
        for (int i = 0; i < N; i++) {
            float amax = (float)fmax(largest(x + i / 64 * 64, 64), (double)1e-4f);
            int e = ceil_log2(amax * (1.0f / 448.0f));
            assert_int_equal(scale[i / 64], e + 127);
            float v = (float)ldexp((double)x[i], -e);
            assert_int_equal(code[i], f32_to_e4m3(v));
            assert_true((double)y[i] == ldexp((double)e4m3_to_f32(code[i]), e));
        }
    }
}

static void fp8_sim_of_decoded_values_changes_nothing(void **state)
{
    (void)state;
    for (int round = 0; round < 20000; round++) {
        float x[64], y[64], z[64];
        uint8_t code[64], scale;
        fill(x, 64, (int)(next() % 60) - 10);
        fp8_sim_encode(code, &scale, x, 64);
        fp8_sim_decode(y, code, &scale, 64);
        fp8_sim_encode(code, &scale, y, 64);
        fp8_sim_decode(z, code, &scale, 64);
        assert_memory_equal(y, z, sizeof y);
    }
}

static void fp8_sim_at_the_edges(void **state)
{
    (void)state;
    float x[64] = {0}, y[64];
    uint8_t code[64], scale;
    fp8_sim_encode(code, &scale, x, 64); /* zeros: the floor of 1e-4 gives 2^-22 */
    assert_int_equal(scale, 127 - 22);
    x[3] = 448;
    fp8_sim_encode(code, &scale, x, 64);
    assert_true(scale == 127 && code[3] == 0x7e);
    x[3] = 448.00003f;
    fp8_sim_encode(code, &scale, x, 64);
    assert_int_equal(scale, 128);
    x[3] = 0x1.fffffep127f;
    fp8_sim_encode(code, &scale, x, 64);
    fp8_sim_decode(y, code, &scale, 64);
    assert_true(isfinite(e8m0_to_f32(scale)));
    const float bad[] = {INFINITY, -INFINITY, NAN};
    for (int i = 0; i < 3; i++) {
        x[3] = bad[i];
        fp8_sim_encode(code, &scale, x, 64);
        fp8_sim_decode(y, code, &scale, 64);
        assert_true(scale == 255 && isnan(y[0]) && isnan(y[3]));
    }
}

static void fp4_sim_follows_the_definition(void **state)
{
    (void)state;
    enum { N = 4 * FP4_SIM_GROUP };
    for (int round = 0; round < 20000; round++) {
        float x[N], y[N];
        uint8_t code[N / 2], scale[N / FP4_SIM_GROUP];
        fill(x, N, (int)(next() % 252) - 125);
        fp4_sim_encode(code, scale, x, N);
        fp4_sim_decode(y, code, scale, N);
        for (int i = 0; i < N; i++) {
            float amax = (float)fmax(largest(x + i / 32 * 32, 32), 6 * 0x1p-126);
            int e = ceil_log2(amax * (1.0f / 6.0f));
            uint8_t c = code[i / 2] >> (i % 2 * 4) & 15;
            assert_int_equal(scale[i / 32], e + 127);
            assert_int_equal(c, f32_to_e2m1((float)ldexp((double)x[i], -e)));
            assert_true((double)y[i] == ldexp((double)e2m1_to_f32(c), e));
        }
        for (int g = 0; g < N / 32; g++) {
            int8_t doubled[32];
            float s = fp4_sim_doubled(doubled, x + 32 * g);
            assert_true((double)s == ldexp(1, scale[g] - 128));
            for (int i = 0; i < 32; i++)
                assert_true((double)doubled[i] * (double)s == (double)y[32 * g + i]);
        }
    }
}

static void fp4_sim_at_the_edges(void **state)
{
    (void)state;
    float x[32] = {0}, y[32];
    uint8_t code[16], scale;
    int8_t doubled[32];
    fp4_sim_encode(code, &scale, x, 32);
    assert_int_equal(scale, 1); /* 2^-126 */
    x[5] = 6;
    fp4_sim_encode(code, &scale, x, 32);
    assert_true(scale == 127 && code[2] == 0x70);
    x[5] = 6.0000005f;
    fp4_sim_encode(code, &scale, x, 32);
    assert_int_equal(scale, 128);
    x[5] = -0x1.fffffep127f;
    fp4_sim_encode(code, &scale, x, 32);
    fp4_sim_decode(y, code, &scale, 32);
    assert_true(scale == 253 && y[5] == -INFINITY); /* 4 x 2^126 */
    x[5] = NAN;
    fp4_sim_encode(code, &scale, x, 32);
    fp4_sim_decode(y, code, &scale, 32);
    assert_true(scale == 255 && isnan(y[0]));
    assert_true(isnan(fp4_sim_doubled(doubled, x)));
}

static void act8_follows_the_definition(void **state)
{
    (void)state;
    enum { N = 4 * ACT8_GROUP };
    for (int round = 0; round < 20000; round++) {
        float x[N], scale[N / 32], scale2[N / 32];
        int8_t q[N], q2[N];
        int16_t pairs[N / 16];
        fill(x, N, (int)(next() % 250) - 123);
        act8_encode(q, scale, pairs, x, N);
        act8_encode(q2, scale2, NULL, x, N);
        assert_memory_equal(q, q2, sizeof q);
        assert_memory_equal(scale, scale2, sizeof scale);
        for (int g = 0; g < N / 32; g++) {
            float amax = (float)largest(x + 32 * g, 32), r = 127.0f / amax;
            int zero = amax < 0x1p-100f, sum[2] = {0, 0};
            assert_true(scale[g] == (zero ? 0 : amax / 127.0f));
            for (int i = 32 * g; i < 32 * g + 32; i++) {
                assert_true((float)q[i] == (zero ? 0 : rintf(x[i] * r)));
                assert_true(q[i] >= -127);
                sum[i % 4 / 2] += q[i];
            }
            assert_true(pairs[2 * g] == sum[0] && pairs[2 * g + 1] == sum[1]);
        }
    }
}

/* Every mantissa of amax, both signs: x * (127 / amax) may round above 127. */
static void act8_never_gives_minus_128(void **state)
{
    (void)state;
    float x[32] = {0}, scale;
    int8_t q[32];
    for (uint32_t m = 0; m < 1u << 23; m += 3) {
        x[0] = fm_float(0x3f800000u | m);
        x[1] = -x[0];
        act8_encode(q, &scale, NULL, x, 32);
        if (q[0] != 127 || q[1] != -127) fail_msg("%a gives %d, %d", (double)x[0], q[0], q[1]);
    }
}

static void act8_passes_on_what_is_not_finite(void **state)
{
    (void)state;
    const float bad[] = {INFINITY, -INFINITY, NAN};
    for (int i = 0; i < 3; i++) {
        float x[32] = {1, 2, 3}, scale;
        int8_t q[32], zero[32] = {0};
        x[17] = bad[i];
        act8_encode(q, &scale, NULL, x, 32);
        assert_int_equal(fm_bits(scale), 0x7fc00000u);
        assert_memory_equal(q, zero, sizeof q);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fp8_sim_follows_the_definition),
        cmocka_unit_test(fp8_sim_of_decoded_values_changes_nothing),
        cmocka_unit_test(fp8_sim_at_the_edges),
        cmocka_unit_test(fp4_sim_follows_the_definition),
        cmocka_unit_test(fp4_sim_at_the_edges),
        cmocka_unit_test(act8_follows_the_definition),
        cmocka_unit_test(act8_never_gives_minus_128),
        cmocka_unit_test(act8_passes_on_what_is_not_finite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
