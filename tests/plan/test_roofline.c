#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "plan/roofline.h"

static const struct rates machine = {.read = 100, .int_ops = 1000, .float_ops = 50};

static void is(double got, double want)
{
    if (!(fabs(got - want) <= 1e-12)) fail_msg("%.15f, not %.15f", got, want);
}

static void memory_or_arithmetic_bounds_an_op(void **state)
{
    (void)state;
    is(roofline_op(&(struct ledger_entry){.weight_bytes = 150, .state_bytes = 50, .int_ops = 1900},
                   &machine),
       2.0);
    is(roofline_op(&(struct ledger_entry){.weight_bytes = 200, .int_ops = 2000, .float_ops = 25},
                   &machine),
       2.5);
}

static void a_step_is_the_sum_of_its_ops(void **state)
{
    (void)state;
    struct ledger l = {0};
    l.op[OP_PROJECT] = (struct ledger_entry){.weight_bytes = 300, .int_ops = 1000};
    l.op[OP_ATTEND] = (struct ledger_entry){.state_bytes = 100, .float_ops = 100};
    is(roofline_seconds(&l, &machine), 3.0 + 2.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_or_arithmetic_bounds_an_op),
        cmocka_unit_test(a_step_is_the_sum_of_its_ops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
