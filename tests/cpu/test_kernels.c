#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../support/random.h"
#include "base/fmath.h"
#include "cpu/kernels.h"

static const char *const names[] = {"ref", "avx2", "avxvnni", "avx512", "neon", "i8mm"};

/* The tables that this build and this processor have, the reference first. */
static int tables(const struct cpu_kernels *k[6])
{
    int n = 0;
    for (int i = 0; i < 6; i++)
        if (kernels_find(names[i])) k[n++] = kernels_find(names[i]);
    return n;
}

static void tables_are_found_by_name(void **state)
{
    (void)state;
    const struct cpu_kernels *k[6];
    int n = tables(k);
    for (int i = 0; i < 6; i++)
        if (!kernels_find(names[i])) print_message("%s: not run here\n", names[i]);
    assert_ptr_equal(k[0], &kernels_ref);
    assert_ptr_equal(kernels_find(NULL), k[n - 1]);
    assert_null(kernels_find("avx3"));
    for (int i = 0; i < n; i++)
        assert_string_equal(kernels_find(k[i]->name)->name, k[i]->name);
}

enum { QUANT = 4096 };

static void check_quantise(const float *x, int n)
{
    const struct cpu_kernels *k[6];
    int n_tables = tables(k);
    int8_t q[2][QUANT];
    float scale[2][QUANT / 32];
    int16_t pairs[2][QUANT / 16];
    for (int i = 0; i < n_tables; i++) {
        int at = i > 0;
        k[i]->quantise(q[at], scale[at], pairs[at], x, n);
        assert_memory_equal(q[at], q[0], (size_t)n);
        assert_memory_equal(scale[at], scale[0], (size_t)n / 32 * sizeof(float));
        assert_memory_equal(pairs[at], pairs[0], (size_t)n / 16 * sizeof(int16_t));
    }
    for (int c = 0; c < n; c++)
        assert_true(q[0][c] >= -127);
}

static void quantise_gives_the_same_bits(void **state)
{
    (void)state;
    static float x[QUANT];
    struct random r = {1};
    for (int round = 0; round < 200; round++) {
        random_floats(&r, x, QUANT);
        for (int g = 0; g < QUANT / 32; g++) {
            float scale = (float)ldexp(1.0, random_int(&r, -150, 120));
            for (int k = 0; k < 32; k++)
                x[32 * g + k] *= round % 2 ? 1.0f : scale;
        }
        check_quantise(x, QUANT);
    }
}

static void quantise_follows_the_contract(void **state)
{
    (void)state;
    const struct cpu_kernels *k[6];
    int n_tables = tables(k);
    struct random r = {2};
    for (int round = 0; round < 2000; round++) {
        float x[32], amax = 0;
        for (int i = 0; i < 32; i++) {
            /* half of them lie between two codes: ties, when the largest is a power of two times 127 */
            x[i] = round % 2 ? random_float(&r) : (float)random_int(&r, -254, 254) * 0.5f;
        }
        if (round % 2 == 0) x[5] = -127.0f;
        for (int i = 0; i < 32; i++)
            amax = fabsf(x[i]) > amax ? fabsf(x[i]) : amax;
        for (int i = 0; i < n_tables; i++) {
            int8_t q[32];
            float scale;
            int16_t pairs[2];
            k[i]->quantise(q, &scale, pairs, x, 32);
            assert_true(scale == amax / 127.0f);
            int sum[2] = {0, 0};
            for (int c = 0; c < 32; c++) {
                assert_int_equal(q[c], (int)rintf(x[c] * (127.0f / amax)));
                sum[c / 2 % 2] += q[c];
            }
            assert_int_equal(pairs[0], sum[0]);
            assert_int_equal(pairs[1], sum[1]);
        }
    }
}

static void quantise_of_extremes(void **state)
{
    (void)state;
    static const float extremes[] = {0.0f,       -0.0f,
                                     0x1p-100f,  0x1.fffffep-101f,
                                     0x1p-149f,  INFINITY,
                                     -INFINITY,  NAN,
                                     -NAN,       0x1.fffffep127f,
                                     1.0f,       -0x1p-100f,
                                     0x1.0p-99f, -0x1.fffffep127f,
                                     127.0f};
    const struct cpu_kernels *k[6];
    int n_tables = tables(k);
    float x[32] = {0};
    for (size_t e = 0; e < sizeof extremes / sizeof extremes[0]; e++)
        for (int at = 0; at < 32; at++) {
            memset(x, 0, sizeof x);
            x[(at + 9) % 32] = 0x1p-110f;
            x[at] = extremes[e];
            check_quantise(x, 32);
            for (int i = 0; i < n_tables; i++) {
                int8_t q[32];
                float scale;
                int16_t pairs[2];
                k[i]->quantise(q, &scale, pairs, x, 32);
                if (!isfinite(extremes[e]))
                    assert_true(isnan(scale) && q[at] == 0);
                else if (fabsf(extremes[e]) < 0x1p-100f)
                    assert_true(scale == 0.0f && q[at] == 0);
                else
                    assert_int_equal(q[at], extremes[e] > 0 ? 127 : -127);
            }
        }
}

/* Kernels that take several groups at once treat each as if it were alone. */
static void quantise_of_extremes_beside_other_groups(void **state)
{
    (void)state;
    static const float extremes[] = {
        0.0f, 0x1.fffffep-101f, 0x1p-100f, 0x1.fffffep127f, INFINITY, -NAN, 1.0f};
    struct random r = {9};
    for (int round = 0; round < 2000; round++) {
        float x[32 * 13];
        int n = random_int(&r, 1, 13);
        random_floats(&r, x, 32 * n);
        for (int g = 0; g < n; g++) {
            float e = extremes[random_int(&r, 0, 6)];
            for (int k = 0; k < 32 && e < 1.0f; k++)
                x[32 * g + k] = e > 0 ? e * random_float(&r) : 0.0f;
            x[32 * g + random_int(&r, 0, 31)] = e;
        }
        check_quantise(x, 32 * n);
    }
}

static void sums_of_squares_follow_the_contract(void **state)
{
    (void)state;
    const struct cpu_kernels *k[6];
    int n_tables = tables(k);
    struct random r = {3};
    for (int n = 1; n < 300; n++) {
        float *x = malloc((size_t)n * sizeof *x), p[16] = {0};
        random_floats(&r, x, n);
        for (int i = 0; i < n; i++)
            p[i % 16] = fmaf(x[i], x[i], p[i % 16]);
        for (int i = 0; i < 8; i++)
            p[i] += p[i + 8];
        for (int i = 0; i < 4; i++)
            p[i] += p[i + 4];
        float want = (p[0] + p[2]) + (p[1] + p[3]);
        for (int i = 0; i < n_tables; i++) {
            float got = k[i]->sum_squares(x, n);
            assert_memory_equal(&got, &want, sizeof want);
        }
        free(x);
    }
}

static void swiglu_follows_the_contract(void **state)
{
    (void)state;
    const struct cpu_kernels *k[6];
    int n_tables = tables(k);
    struct random r = {4};
    for (int n = 1; n < 200; n++) {
        float g[200], u[200], out[200];
        for (int i = 0; i < n; i++) {
            g[i] = random_wild(&r) * 10.0f;
            u[i] = random_wild(&r) * 10.0f;
        }
        float limit = n % 2 ? 7.0f : 3.0f, w = random_float(&r);
        for (int t = 0; t < n_tables; t++) {
            k[t]->swiglu(out, g, u, n, limit, w);
            for (int i = 0; i < n; i++) {
                float gate = fminf(g[i], limit), up = fmaxf(fminf(u[i], limit), -limit);
                float want = (fm_silu(gate) * up) * w;
                assert_memory_equal(&out[i], &want, sizeof want);
            }
        }
    }
}

static void swiglu_lets_nan_through(void **state)
{
    (void)state;
    const struct cpu_kernels *k[6];
    int n_tables = tables(k);
    for (int t = 0; t < n_tables; t++)
        for (int n = 1; n < 20; n++)
            for (int at = 0; at < n; at++) {
                float g[20], u[20], out[20];
                for (int i = 0; i < n; i++)
                    g[i] = u[i] = 1.0f;
                (at % 2 ? g : u)[at] = NAN;
                k[t]->swiglu(out, g, u, n, 10.0f, 1.0f);
                for (int i = 0; i < n; i++)
                    assert_int_equal(!!isnan(out[i]), i == at);
            }
}

static void mixing_follows_the_contract(void **state)
{
    (void)state;
    const struct cpu_kernels *k[6];
    int n_tables = tables(k);
    struct random r = {5};
    for (int round = 0; round < 100; round++) {
        int streams = random_int(&r, 1, 6), n = random_int(&r, 1, 70),
            ldx = n + random_int(&r, 0, 5);
        float x[6 * 80], a[6], y[70];
        random_floats(&r, x, streams * ldx);
        random_floats(&r, a, streams);
        for (int t = 0; t < n_tables; t++) {
            k[t]->mix(y, x, (size_t)ldx, a, streams, n);
            for (int i = 0; i < n; i++) {
                float want = a[0] * x[i];
                for (int j = 1; j < streams; j++)
                    want = fmaf(a[j], x[j * ldx + i], want);
                assert_memory_equal(&y[i], &want, sizeof want);
            }
        }
    }
}

static void rope_follows_the_contract(void **state)
{
    (void)state;
    const struct cpu_kernels *k[6];
    int n_tables = tables(k);
    struct random r = {7};
    for (int round = 0; round < 200; round++) {
        int n = 2 * random_int(&r, 1, 35), inverse = round % 2;
        float x[70], cs[70], y[70];
        random_floats(&r, x, n);
        random_floats(&r, cs, n);
        for (int t = 0; t < n_tables; t++) {
            memcpy(y, x, sizeof y);
            k[t]->rope(y, cs, n, inverse);
            for (int i = 0; i < n; i += 2) {
                float sin = inverse ? -cs[i + 1] : cs[i + 1];
                float want[2] = {fmaf(-x[i + 1], sin, x[i] * cs[i]),
                                 fmaf(x[i + 1], cs[i], x[i] * sin)};
                assert_memory_equal(y + i, want, sizeof want);
            }
        }
    }
}

/* ldexp of the fields, apart from quant/. */
static float e4m3(int code)
{
    int e = code >> 3 & 15, m = code & 7;
    float v = (float)(e ? ldexp(8 + m, e - 10) : ldexp(m, -9));
    return code & 0x80 ? -v : v;
}

static void rows_decode_to_what_they_hold(void **state)
{
    (void)state;
    const struct cpu_kernels *k[6];
    int n_tables = tables(k);
    struct random r = {6};
    for (int round = 0; round < 300; round++) {
        int groups = random_int(&r, 1, 7), rope = 2 * random_int(&r, 1, 33), n = 64 * groups;
        size_t size = kv_row_bytes(ROW_E4M3_BF16, n + rope, rope);
        uint8_t *row = malloc(size);
        float *out = malloc((size_t)(n + rope) * sizeof *out);
        for (size_t i = 0; i < size; i++)
            row[i] = (uint8_t)random_u64(&r);
        for (int i = 0; i < groups; i++)
            row[n + 2 * rope + i] = (uint8_t)random_int(&r, 0, 254);
        for (int i = 0; i < n && round % 2; i++)
            row[i] = (uint8_t)((row[i] & 0x7f) == 0x7f ? 0x80 : i);
        for (int t = 0; t < n_tables; t++) {
            k[t]->row_decode(out, row, n + rope, rope, 1);
            for (int i = 0; i < n + rope; i++) {
                float want =
                    i < n ? (float)(e4m3(row[i]) * ldexp(1, row[n + 2 * rope + i / 64] - 127)) : 0;
                uint32_t bits =
                    i < n ? 0 : (uint32_t)(row[2 * i - n] | row[2 * i - n + 1] << 8) << 16;
                if (i >= n) memcpy(&want, &bits, 4);
                if (isnan(want) || (i < n && (row[i] & 0x7f) == 0x7f))
                    assert_true(isnan(out[i]));
                else
                    assert_memory_equal(&out[i], &want, sizeof want);
            }
        }
        free(row);
        free(out);
    }
}

static void float_rows_are_copied(void **state)
{
    (void)state;
    const struct cpu_kernels *k[6];
    int n_tables = tables(k);
    struct random r = {7};
    float x[37], out[37];
    random_floats(&r, x, 37);
    for (int t = 0; t < n_tables; t++) {
        k[t]->row_decode(out, (const uint8_t *)x, 37, 8, 0);
        assert_memory_equal(out, x, sizeof x);
    }
}

static float index_want(const int8_t *q, const float *q_scale, const float *w, int heads, int dim,
                        const uint8_t *key)
{
    static const int value[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};
    float score = 0;
    for (int h = 0; h < heads; h++) {
        float s = 0;
        for (int g = 0; g < dim / 32; g++) {
            int sum = 0;
            for (int k = 32 * g; k < 32 * g + 32; k++)
                sum += q[h * dim + k] * value[k % 2 ? key[k / 2] >> 4 : key[k / 2] & 15];
            float ks = (float)ldexp(1, key[dim / 2 + g] - 128);
            s = fmaf((float)sum, q_scale[h * (dim / 32) + g] * ks, s);
        }
        score = fmaf(s > 0 ? s : 0, w[h], score);
    }
    return score;
}

static void index_scores_follow_the_contract(void **state)
{
    (void)state;
    static const int8_t doubled[] = {0, 1, 2, 3, 4, 6, 8, 12};
    const struct cpu_kernels *k[6];
    int n_tables = tables(k);
    struct random r = {8};
    for (int round = 0; round < 150; round++) {
        int heads = random_int(&r, 1, 70), dim = 32 * random_int(&r, 1, 9),
            n = random_int(&r, 1, 70);
        size_t key_bytes = kv_key_bytes(MODE_DEFAULT, dim) + (size_t)random_int(&r, 0, 3);
        size_t q_size = (size_t)heads * (size_t)dim;
        int8_t *q = malloc(q_size);
        float *q_scale = malloc(q_size / 32 * sizeof *q_scale),
              *w = malloc((size_t)heads * sizeof *w);
        uint8_t *keys = malloc((size_t)n * key_bytes);
        float *score = malloc((size_t)n * sizeof *score);
        for (size_t i = 0; i < q_size; i++) {
            int v = round % 10 ? doubled[random_int(&r, 0, 7)] : 12;
            q[i] = (int8_t)(random_int(&r, 0, round % 10 ? 1 : 0) ? -v : v);
        }
        for (size_t i = 0; i < q_size / 32; i++)
            q_scale[i] = (float)ldexp(1, random_int(&r, -20, 5));
        random_floats(&r, w, heads);
        for (size_t i = 0; i < (size_t)n * key_bytes; i++)
            keys[i] = (uint8_t)(round % 10 ? random_u64(&r) : 0xf7);
        for (int i = 0; i < n; i++)
            for (int g = 0; g < dim / 32; g++)
                keys[(size_t)i * key_bytes + (size_t)(dim / 2 + g)] =
                    (uint8_t)(round % 9 ? random_int(&r, 100, 140) : random_int(&r, 0, 254));
        for (int t = 0; t < n_tables; t++) {
            k[t]->index_scores(score, q, q_scale, w, heads, dim, keys, key_bytes, n);
            for (int i = 0; i < n; i++) {
                float want = index_want(q, q_scale, w, heads, dim, keys + (size_t)i * key_bytes);
                if (memcmp(&score[i], &want, sizeof want))
                    fail_msg("%s: %d heads, dim %d, key %d of %d", k[t]->name, heads, dim, i, n);
            }
        }
        free(q);
        free(q_scale);
        free(w);
        free(keys);
        free(score);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_are_found_by_name),
        cmocka_unit_test(quantise_gives_the_same_bits),
        cmocka_unit_test(quantise_follows_the_contract),
        cmocka_unit_test(quantise_of_extremes),
        cmocka_unit_test(quantise_of_extremes_beside_other_groups),
        cmocka_unit_test(sums_of_squares_follow_the_contract),
        cmocka_unit_test(swiglu_follows_the_contract),
        cmocka_unit_test(swiglu_lets_nan_through),
        cmocka_unit_test(mixing_follows_the_contract),
        cmocka_unit_test(rope_follows_the_contract),
        cmocka_unit_test(rows_decode_to_what_they_hold),
        cmocka_unit_test(float_rows_are_copied),
        cmocka_unit_test(index_scores_follow_the_contract),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
