#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cpu/fmath_avx512.h"

enum { LANES = 16, STRIDE = 257 };

struct pair {
    float (*scalar)(float);
    __m512 (*vector)(__m512);
};

static void check(const struct pair *f)
{
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512dq")) skip();
    for (uint64_t u = 0; u <= UINT32_MAX; u += (uint64_t)LANES * STRIDE) {
        float x[LANES], want[LANES], got[LANES];
        for (int i = 0; i < LANES; i++) {
            x[i] = fm_float((uint32_t)(u + (uint64_t)i * STRIDE));
            want[i] = f->scalar(x[i]);
        }
        _mm512_storeu_ps(got, f->vector(_mm512_loadu_ps(x)));
        if (memcmp(want, got, sizeof got) != 0) fail_msg("differs near %a", (double)x[0]);
    }
}

static void exp_has_the_scalar_bits(void **state)
{
    (void)state;
    check(&(struct pair){fm_exp, fm16_exp});
}

static void sigmoid_has_the_scalar_bits(void **state)
{
    (void)state;
    check(&(struct pair){fm_sigmoid, fm16_sigmoid});
}

static void silu_has_the_scalar_bits(void **state)
{
    (void)state;
    check(&(struct pair){fm_silu, fm16_silu});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exp_has_the_scalar_bits),
        cmocka_unit_test(sigmoid_has_the_scalar_bits),
        cmocka_unit_test(silu_has_the_scalar_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
