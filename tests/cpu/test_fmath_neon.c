#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cpu/fmath_neon.h"

enum { LANES = 4, STRIDE = 4099 };

struct pair {
    float (*scalar)(float);
    float32x4_t (*vector)(float32x4_t);
};

static void check(const struct pair *f)
{
    for (uint64_t u = 0; u <= UINT32_MAX; u += (uint64_t)LANES * STRIDE) {
        float x[LANES], want[LANES], got[LANES];
        for (int i = 0; i < LANES; i++) {
            x[i] = fm_float((uint32_t)(u + (uint64_t)i * STRIDE));
            want[i] = f->scalar(x[i]);
        }
        vst1q_f32(got, f->vector(vld1q_f32(x)));
        if (memcmp(want, got, sizeof got) != 0) fail_msg("differs near %a", (double)x[0]);
    }
}

static void exp_has_the_scalar_bits(void **state)
{
    (void)state;
    check(&(struct pair){fm_exp, fm4_exp});
}

static void sigmoid_has_the_scalar_bits(void **state)
{
    (void)state;
    check(&(struct pair){fm_sigmoid, fm4_sigmoid});
}

static void silu_has_the_scalar_bits(void **state)
{
    (void)state;
    check(&(struct pair){fm_silu, fm4_silu});
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
