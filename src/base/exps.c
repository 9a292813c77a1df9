#include "base/exps.h"

#include "base/exps_loop.h"

void exps_plain(float *y, const float *x, float max, float t, int n)
{
    exps_loop(y, x, max, t, n);
}

#ifdef __x86_64__
void exps(float *y, const float *x, float max, float t, int n)
{
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        exps_avx2(y, x, max, t, n);
    else
        exps_plain(y, x, max, t, n);
}
#else
void exps(float *y, const float *x, float max, float t, int n)
{
    exps_plain(y, x, max, t, n);
}
#endif
