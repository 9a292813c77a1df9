/* Checks base/fmath.h on every f32, or on every n-th: check-fmath [n] [function]. Prints the largest
 * error of each function in ulp of f32 against libm in f64; exit status 1 when one is above 2.
 * All of it takes about half an hour on one core; n = 1009 a second or two. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fmath.h"

struct function {
    const char *name;
    float (*f)(float);
    double (*exact)(double);
};

static double exact_sigmoid(double x)
{
    return x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x));
}

static double exact_softplus(double x)
{
    return x > 20 ? x : log1p(exp(x));
}

static double exact_silu(double x)
{
    if (x < -1000) return -0.0; /* not -infinity * 0 */
    return x * exact_sigmoid(x);
}

static float sigmoid_f(float x)
{
    return fm_sigmoid(x);
}

static float exp_f(float x)
{
    return fm_exp(x);
}

static float silu_f(float x)
{
    return fm_silu(x);
}

static const struct function functions[] = {
    {"exp", exp_f, exp},
    {"log", fm_log, log},
    {"log1p", fm_log1p, log1p},
    {"sigmoid", sigmoid_f, exact_sigmoid},
    {"softplus", fm_softplus, exact_softplus},
    {"silu", silu_f, exact_silu},
    {"sin", fm_sin, sin},
    {"cos", fm_cos, cos},
};

/* |y - exact| in units of the last place of exact; huge where one is not finite and they differ. */
static double error_ulp(float y, double exact)
{
    if (isnan(exact)) return fm_bits(y) == 0x7fc00000u ? 0 : 1e9;
    if (isnan(y)) return 1e9;
    if (fabs(exact) >= 0x1.ffffffp127) return y == (float)exact ? 0 : 1e9; /* rounds to infinity */
    if (isinf(y)) return 1e9;
    int e = exact == 0 ? -126 : ilogb(exact);
    if (e < -126) e = -126;
    return fabs((double)y - exact) * ldexp(1, 23 - e);
}

static double check(const struct function *f, uint64_t stride)
{
    double worst = 0;
    float at = 0;
    for (uint64_t u = 0; u <= UINT32_MAX; u += stride) {
        float x = fm_float((uint32_t)u);
        double e = error_ulp(f->f(x), f->exact((double)x));
        if (e > worst) {
            worst = e;
            at = x;
        }
    }
    printf("%-9s %8.4f ulp at %a\n", f->name, worst, (double)at);
    fflush(stdout);
    return worst;
}

int main(int argc, char **argv)
{
    uint64_t stride = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    if (stride == 0) stride = 1;
    int bad = 0;
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++)
        if (argc < 3 || !strcmp(argv[2], functions[i].name))
            bad |= check(&functions[i], stride) > 2;
    return bad;
}
