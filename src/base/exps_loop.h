/* The loop of base/exps.h, which each variant compiles for its instructions. */
#pragma once
#include "base/fmath.h"

static inline float exps_one(float x, float max, float t)
{
    float z = (x - max) / t;
    float e = fm_exp(z);
    return z < -104 ? 0.0f : e;
}

/* Eight at a time, so that a compiler may do them at once. */
static inline void exps_loop(float *restrict y, const float *restrict x, float max, float t, int n)
{
    int i = 0;
    for (; i + 8 <= n; i += 8)
        for (int j = 0; j < 8; j++)
            y[i + j] = exps_one(x[i + j], max, t);
    for (; i < n; i++)
        y[i] = exps_one(x[i], max, t);
}
