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
enum { N_TABLES = 6 };

struct attention {
    int heads, head0, head1, dim, n, n_blocks;
    float *q, *keys, *sink, *scores, scale;
    int32_t block_end[300];
};

static float *floats(struct random *r, size_t n)
{
    float *x = malloc((n ? n : 1) * sizeof *x);
    random_floats(r, x, (int)n);
    return x;
}

/* Blocks of random lengths up to 64, as windows and rings give them. */
static void attention_init(struct attention *a, int heads, int dim, int n, struct random *r)
{
    *a = (struct attention){.heads = heads, .head1 = heads, .dim = dim, .n = n};
    a->q = floats(r, (size_t)heads * (size_t)dim);
    a->keys = floats(r, (size_t)n * (size_t)dim);
    a->sink = floats(r, (size_t)heads);
    a->scores = malloc((size_t)(n + dim) * (size_t)(heads + 16) * sizeof *a->scores);
    a->scale = 1.0f / sqrtf((float)dim);
    for (int end = 0; end < n;) {
        end += random_int(r, 1, 64);
        a->block_end[a->n_blocks++] = end < n ? end : n;
    }
}

static void attention_fini(struct attention *a)
{
    free(a->q);
    free(a->keys);
    free(a->sink);
    free(a->scores);
}

static float *run(const struct attention *a, const struct cpu_kernels *k)
{
    size_t size = (size_t)a->heads * (size_t)a->dim;
    float *o = malloc(size * sizeof *o);
    for (size_t i = 0; i < size; i++)
        o[i] = -1.0f;
    k->attend(o, a->q, a->head0, a->head1, a->dim, a->keys, a->n, a->block_end, a->n_blocks,
              a->sink, a->scale, a->scores);
    return o;
}

/* Section 6 of numerics, one output at a time. */
static float want(const struct attention *a, int h, int d)
{
    if (h < a->head0 || h >= a->head1) return -1.0f;
    float max = a->sink[h], z = 0, o = 0;
    float *s = malloc((size_t)a->n * sizeof *s);
    for (int i = 0; i < a->n; i++) {
        float dot = 0;
        for (int c = 0; c < a->dim; c++)
            dot = fmaf(a->q[h * a->dim + c], a->keys[i * a->dim + c], dot);
        s[i] = dot * a->scale;
        if (s[i] > max) max = s[i];
    }
    for (int b = 0, i = 0; b < a->n_blocks; b++) {
        float zb = 0, ob = 0;
        for (; i < a->block_end[b]; i++) {
            float p = fm_exp(s[i] - max);
            zb += p;
            ob = fmaf(p, a->keys[i * a->dim + d], ob);
        }
        z += zb;
        o += ob;
    }
    free(s);
    z += fm_exp(a->sink[h] - max);
    return o * (1.0f / z);
}

static void check(const struct attention *a, int thorough)
{
    size_t size = (size_t)a->heads * (size_t)a->dim * sizeof(float);
    float *ref = run(a, &kernels_ref);
    for (int h = 0; thorough && h < a->heads; h++)
        for (int d = 0; d < a->dim; d += 3) {
            float o = want(a, h, d);
            assert_memory_equal(&o, &ref[h * a->dim + d], sizeof o);
        }
    for (int i = 1; i < N_TABLES; i++) {
        const struct cpu_kernels *k = kernels_find(names[i]);
        if (!k) continue;
        float *o = run(a, k);
        if (memcmp(o, ref, size))
            fail_msg("%s: %d heads %d..%d of %d, %d keys, %d blocks", k->name, a->heads, a->head0,
                     a->head1, a->dim, a->n, a->n_blocks);
        free(o);
    }
    free(ref);
}

static void small_shapes_follow_the_contract(void **state)
{
    (void)state;
    struct random r = {1};
    for (int i = 0; i < 120; i++) {
        struct attention a;
        attention_init(&a, random_int(&r, 1, 37), random_int(&r, 1, 150), random_int(&r, 1, 150),
                       &r);
        if (i % 3 == 0) {
            a.head0 = random_int(&r, 0, a.heads - 1);
            a.head1 = random_int(&r, a.head0 + 1, a.heads);
        }
        if (i % 5 == 0) a.sink[0] = i % 10 ? 1000.0f : -INFINITY;
        if (i % 7 == 0) a.scale = 30.0f; /* most p underflow */
        check(&a, 1);
        attention_fini(&a);
    }
}

static void shapes_of_real_models(void **state)
{
    (void)state;
    static const int shapes[][3] = {
        {16, 512, 131}, {8, 512, 640}, {6, 128, 257}, {4, 192, 64}, {64, 512, 77}};
    struct random r = {2};
    for (int i = 0; i < 5; i++) {
        struct attention a;
        attention_init(&a, shapes[i][0], shapes[i][1], shapes[i][2], &r);
        check(&a, 0);
        attention_fini(&a);
    }
}

static void a_nan_key_reaches_every_output_of_a_head(void **state)
{
    (void)state;
    struct random r = {3};
    struct attention a;
    attention_init(&a, 3, 40, 30, &r);
    a.keys[17 * 40 + 5] = NAN;
    for (int i = 0; i < N_TABLES; i++) {
        const struct cpu_kernels *k = kernels_find(names[i]);
        if (!k) continue;
        float *o = run(&a, k);
        for (int c = 0; c < 3 * 40; c++)
            assert_true(isnan(o[c]));
        free(o);
    }
    attention_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_shapes_follow_the_contract),
        cmocka_unit_test(shapes_of_real_models),
        cmocka_unit_test(a_nan_key_reaches_every_output_of_a_head),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
