/* Small row functions that several CPU ops share. Private to cpu/. */
#pragma once
#include "cpu/internal.h"

/* y = (x * r) * w, r = 1 / sqrt(mean(x^2) + eps). y may be x. */
void vec_rms_norm(const struct cpu *c, float *y, const float *x, const float *w, int n, float eps);

/* cos and sin of (float)pos * freq, interleaved. */
void vec_rope_table(float *cs, const struct rope *rope, int pos);

/* Hadamard transform in natural order, n a power of two: stages 1, 2, 4, ...: (a + b, a - b), then
 * times (float)(1 / sqrt(n)). */
void vec_hadamard(float *x, int n);

/* A kv row in stored form (ops/kv.h), and back. */
void vec_store_row(uint8_t *out, const float *x, const struct layer_kv *l);
void vec_load_row(const struct cpu *c, float *out, const uint8_t *row, const struct layer_kv *l);

/* An index key in stored form. Rounds unless mode is MODE_FLOAT. */
void vec_store_key(uint8_t *out, const float *x, const struct layer_kv *l, enum numeric_mode mode);
