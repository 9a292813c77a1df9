/* Exponentials of many logits: what a sampler spends its time on.
 *
 *     y[i] = exp((x[i] - max) / t) for i < n, 0 where that is no f32 any more (below -104; x[i] may be -inf)
 *
 * In this order: subtract, divide, fm_exp (base/fmath.h); x[i] <= max, t > 0. Every variant gives the same bits; on
 * x86-64 with FMA one is chosen that was compiled for it, elsewhere a fused multiply-add is a call. */
#pragma once

void exps(float *y, const float *x, float max, float t, int n);

/* The variants, for tests and measurements. */
void exps_plain(float *y, const float *x, float max, float t, int n);
#ifdef __x86_64__
void exps_avx2(float *y, const float *x, float max, float t, int n); /* AVX2 and FMA */
#endif
