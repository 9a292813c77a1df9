#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/exps.h"
#include "base/fmath.h"

/* A prime: hits every exponent and all kinds of mantissas. tools/check-fmath tries every f32. */
enum { STRIDE = 10007 };

static double ulp_of(double exact)
{
    int e = exact == 0 ? -126 : ilogb(exact);
    return ldexp(1, (e < -126 ? -126 : e) - 23);
}

static void check(float (*f)(float), double (*exact)(double))
{
    for (uint64_t u = 0; u <= UINT32_MAX; u += STRIDE) {
        float x = fm_float((uint32_t)u);
        float y = f(x);
        double want = exact((double)x);
        if (isnan(want))
            assert_int_equal(fm_bits(y), 0x7fc00000u);
        else if (fabs(want) >= 0x1.ffffffp127)
            assert_true(y == (float)want);
        else if (!(fabs((double)y - want) <= 2 * ulp_of(want)))
            fail_msg("at %a: %a, exact %a", (double)x, (double)y, want);
    }
}

static float exp_f(float x)
{
    return fm_exp(x);
}

static float sigmoid_f(float x)
{
    return fm_sigmoid(x);
}

static float silu_f(float x)
{
    return fm_silu(x);
}

static double sigmoid_d(double x)
{
    return x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x));
}

static double silu_d(double x)
{
    return x < -1000 ? -0.0 : x * sigmoid_d(x);
}

static double softplus_d(double x)
{
    return x > 20 ? x : log1p(exp(x));
}

static void every_function_is_within_two_ulp(void **state)
{
    (void)state;
    check(exp_f, exp);
    check(fm_log, log);
    check(fm_log1p, log1p);
    check(sigmoid_f, sigmoid_d);
    check(silu_f, silu_d);
    check(fm_softplus, softplus_d);
    check(fm_sin, sin);
    check(fm_cos, cos);
}

static void every_nan_comes_out_as_the_one_nan(void **state)
{
    (void)state;
    float (*const f[])(float) = {exp_f,  fm_log,      fm_log1p, sigmoid_f,
                                 silu_f, fm_softplus, fm_sin,   fm_cos};
    const uint32_t nans[] = {0x7fc00000u, 0xffc00000u, 0x7f800001u, 0xff812345u, 0x7fffffffu};
    for (size_t i = 0; i < sizeof f / sizeof f[0]; i++)
        for (size_t k = 0; k < sizeof nans / sizeof nans[0]; k++)
            assert_int_equal(fm_bits(f[i](fm_float(nans[k]))), 0x7fc00000u);
    assert_int_equal(fm_bits(fm_log(-1.0f)), 0x7fc00000u);
    assert_int_equal(fm_bits(fm_log1p(-1.5f)), 0x7fc00000u);
    assert_int_equal(fm_bits(fm_sin(INFINITY)), 0x7fc00000u);
    assert_int_equal(fm_bits(fm_cos(-INFINITY)), 0x7fc00000u);
}

static void special_values_are_exact(void **state)
{
    (void)state;
    assert_int_equal(fm_bits(fm_exp(0.0f)), fm_bits(1.0f));
    assert_int_equal(fm_bits(fm_exp(-0.0f)), fm_bits(1.0f));
    assert_true(fm_exp(INFINITY) == INFINITY);
    assert_int_equal(fm_bits(fm_exp(-INFINITY)), 0);
    assert_true(fm_exp(89.0f) == INFINITY);
    assert_true(fm_exp(88.7f) < INFINITY);
    assert_true(fm_log(0.0f) == -INFINITY);
    assert_true(fm_log(-0.0f) == -INFINITY);
    assert_true(fm_log(INFINITY) == INFINITY);
    assert_int_equal(fm_bits(fm_log(1.0f)), 0);
    assert_true(fm_log1p(-1.0f) == -INFINITY);
    assert_int_equal(fm_bits(fm_log1p(-0.0f)), 0x80000000u);
    assert_int_equal(fm_bits(fm_sin(-0.0f)), 0x80000000u);
    assert_int_equal(fm_bits(fm_cos(0.0f)), fm_bits(1.0f));
    assert_int_equal(fm_bits(fm_sigmoid(0.0f)), fm_bits(0.5f));
    assert_int_equal(fm_bits(fm_sigmoid(INFINITY)), fm_bits(1.0f));
    assert_int_equal(fm_bits(fm_sigmoid(-INFINITY)), 0);
    assert_true(fm_silu(INFINITY) == INFINITY);
    assert_int_equal(fm_bits(fm_silu(-INFINITY)), 0x80000000u);
    assert_int_equal(fm_bits(fm_silu(-0.0f)), 0);
    assert_true(fm_softplus(21.5f) == 21.5f);
}

static void subnormal_results_are_kept(void **state)
{
    (void)state;
    assert_int_equal(fm_bits(fm_exp(-103.0f)), 1);
    assert_true(fabs((double)fm_exp(-90.0f) - exp(-90.0)) <= 0x1p-149);
    assert_true(fabs((double)fm_sigmoid(-90.0f) - exp(-90.0)) <= 0x1p-149);
    assert_int_equal(fm_bits(fm_sin(fm_float(7))), 7);
}

static void f64_helpers_are_within_two_ulp(void **state)
{
    (void)state;
    for (int i = -7000; i <= 7000; i++) {
        double x = 0.1 * i + 1e-5 * i * (i % 7);
        if (fabs(x) > 700) continue;
        double want = exp(x);
        assert_true(fabs(fm_exp64(x) - want) <= 2 * ldexp(1, ilogb(want) - 52));
    }
    for (int i = 1; i < 20000; i++) {
        double x = i < 10000 ? i / 5000.0 : ldexp(1 + (i % 997) / 997.0, i % 900 - 450);
        double want = log(x);
        double ulp = want == 0 ? 0x1p-1074 : ldexp(1, ilogb(want) - 52);
        assert_true(fabs(fm_log64(x) - want) <= 2 * ulp);
    }
    assert_true(isnan(fm_exp64(701)) && isnan(fm_log64(0)) && isnan(fm_log64(-1)));
}

/* Whatever the instructions, the count and the place in a block. */
static void exponentials_of_many_are_those_of_each(void **state)
{
    (void)state;
    enum { N = 300 };
    float x[N], y[N + 1];
    uint32_t random = 5;
    for (int n = 0; n <= N; n++) {
        float max = (float)(n % 7) - 3, t = n % 3 ? 0.25f * (float)(1 + n % 5) : 1;
        for (int i = 0; i < n; i++) {
            random = random * 1664525u + 1013904223u;
            x[i] = i % 17 == 3 ? -INFINITY : max - (float)(random >> 8) * 0x1p-17f;
        }
        y[n] = 42;
        void (*const variants[])(float *, const float *, float, float, int) = {
            exps,
            exps_plain,
#ifdef __x86_64__
            __builtin_cpu_supports("fma") && __builtin_cpu_supports("avx2") ? exps_avx2 : exps,
#endif
        };
        for (size_t v = 0; v < sizeof variants / sizeof *variants; v++) {
            variants[v](y, x, max, t, n);
            for (int i = 0; i < n; i++) {
                float z = (x[i] - max) / t, want = z < -104 ? 0.0f : fm_exp(z);
                assert_int_equal(fm_bits(y[i]), fm_bits(want));
            }
            assert_true(y[n] == 42);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_function_is_within_two_ulp),
        cmocka_unit_test(every_nan_comes_out_as_the_one_nan),
        cmocka_unit_test(special_values_are_exact),
        cmocka_unit_test(subnormal_results_are_kept),
        cmocka_unit_test(exponentials_of_many_are_those_of_each),
        cmocka_unit_test(f64_helpers_are_within_two_ulp),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
