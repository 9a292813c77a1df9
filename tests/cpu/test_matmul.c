#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../support/stored.h"
#include "cpu/kernels.h"

static const char *const names[] = {"ref", "avx2", "avxvnni", "avx512", "neon", "i8mm"};
enum { N_TABLES = 6 };

/* Fewer of the long ones where they take long. */
#if defined(TENON_EMULATED)
enum { LONG_STEP = 1696, MANY = 12, MOST_TOKENS = 120 };
#elif defined(TENON_SANITIZED)
enum { LONG_STEP = 1696, MANY = 24, MOST_TOKENS = 300 };
#else
enum { LONG_STEP = 32, MANY = 24, MOST_TOKENS = 300 };
#endif

/* One product: weights, activations of `rows` rows of x_k values, and the slice that is multiplied. */
struct product {
    struct stored s;
    struct packed *w;
    struct acts x;
    int x_first, n_t;
    const int32_t *idx;
};

static void acts_init(struct acts *a, int rows, int k, struct random *r)
{
    size_t n = (size_t)rows * (size_t)k;
    *a = (struct acts){.rows = rows, .k = k};
    a->f32 = malloc(n * sizeof *a->f32);
    a->q = malloc(n);
    a->scale = malloc(n / 32 * sizeof *a->scale);
    a->pairs = malloc(n / 16 * sizeof *a->pairs);
    random_floats(r, a->f32, (int)n);
    kernels_ref.quantise(a->q, a->scale, a->pairs, a->f32, (int)n);
}

static void acts_fini(struct acts *a)
{
    free(a->f32);
    free(a->q);
    free(a->scale);
    free(a->pairs);
}

/* pairs of changed q */
static void acts_pair(struct acts *a)
{
    for (int g = 0; g < a->rows * a->k / 32; g++)
        for (int half = 0; half < 2; half++) {
            int sum = 0;
            for (int k = half * 2; k < 32; k += 4)
                sum += a->q[32 * g + k] + a->q[32 * g + k + 1];
            a->pairs[2 * g + half] = (int16_t)sum;
        }
}

static void product_pack(struct product *p)
{
    struct weight *w = NULL;
    struct err err = {0};
    if (packed_load(&w, &p->s.src, &err)) fail_msg("%s", err.message);
    p->w = (struct packed *)w;
}

static void product_init(struct product *p, enum weight_format f, int rows, int cols, int n_t,
                         struct random *r)
{
    static const int block[][2] = {{128, 128}, {32, 32}, {3, 64}, {1, 1 << 20}};
    int b = random_int(r, 0, 3);
    *p = (struct product){.n_t = n_t};
    stored_init(&p->s, f, rows, cols, random_int(r, 0, 1) ? SCALE_E8M0 : SCALE_F32, block[b][0],
                block[b][1], r);
    product_pack(p);
    acts_init(&p->x, n_t, cols, r);
}

static void product_fini(struct product *p)
{
    packed_free(&p->w->base);
    stored_fini(&p->s);
    acts_fini(&p->x);
}

/* Straight from the stored bytes. */
static float want_int(const struct product *p, int row, int t)
{
    size_t at = (size_t)(p->idx ? p->idx[t] : t) * (size_t)p->x.k + (size_t)p->x_first;
    float acc = 0;
    for (int g = 0; g < p->s.src.cols / 32; g++) {
        long sum = 0;
        for (int k = 32 * g; k < 32 * g + 32; k++)
            sum += (long)stored_int(&p->s, row, k) * p->x.q[at + (size_t)k];
        float scale = stored_ws(&p->s, row, g) * p->x.scale[at / 32 + (size_t)g];
        acc = __builtin_fmaf((float)sum, scale, acc);
    }
    return acc;
}

static float want_f32(const struct product *p, int row, int t)
{
    size_t at = (size_t)(p->idx ? p->idx[t] : t) * (size_t)p->x.k + (size_t)p->x_first;
    float s[16] = {0};
    for (int k = 0; k < p->s.src.cols; k++)
        s[k % 16] =
            __builtin_fmaf(stored_value(&p->s, row, k), p->x.f32[at + (size_t)k], s[k % 16]);
    for (int i = 0; i < 8; i++)
        s[i] += s[i + 8];
    for (int i = 0; i < 4; i++)
        s[i] += s[i + 4];
    return (s[0] + s[2]) + (s[1] + s[3]);
}

/* Runs rows [row0, row1) on a table; y has a margin of -1 on every side, which must stay. */
static float *run(const struct cpu_kernels *k, const struct product *p, int as_int, int row0,
                  int row1)
{
    size_t ldy = (size_t)p->s.src.rows + 3;
    float *y = malloc(ldy * (size_t)p->n_t * sizeof *y);
    for (size_t i = 0; i < ldy * (size_t)p->n_t; i++)
        y[i] = -1.0f;
    (as_int ? k->matmul_int : k->matmul_f32)(y, ldy, p->w, row0, row1, &p->x, p->x_first, p->idx,
                                             p->n_t);
    return y;
}

/* All tables against the loops above (thorough), or against the first table. */
static void check(const struct product *p, int as_int, int thorough)
{
    int rows = p->s.src.rows, row0 = rows > 16 ? 8 : 0;
    size_t ldy = (size_t)rows + 3;
    float *ref = run(&kernels_ref, p, as_int, row0, rows);
    for (int t = 0; thorough && t < p->n_t; t++)
        for (int row = 0; row < (int)ldy; row++) {
            float want = row < row0 || row >= rows ? -1.0f
                         : as_int                  ? want_int(p, row, t)
                                                   : want_f32(p, row, t);
            assert_memory_equal(&ref[(size_t)t * ldy + (size_t)row], &want, sizeof want);
        }
    for (int i = 1; i < N_TABLES; i++) {
        const struct cpu_kernels *k = kernels_find(names[i]);
        if (!k) continue;
        float *y = run(k, p, as_int, row0, rows);
        if (memcmp(y, ref, ldy * (size_t)p->n_t * sizeof *y))
            fail_msg("%s, format %d, %d x %d, %d tokens, first %d, %s", k->name,
                     (int)p->s.src.format, rows, p->s.src.cols, p->n_t, p->x_first,
                     as_int ? "int" : "f32");
        free(y);
    }
    free(ref);
}

static void every_format_and_count_of_tokens(void **state)
{
    (void)state;
    struct random r = {1};
    for (int f = 0; f < WF_I32; f++)
        for (int n_t = 1; n_t <= 13; n_t++) {
            struct product p;
            product_init(&p, (enum weight_format)f, random_int(&r, 1, 27),
                         32 * random_int(&r, 1, 20), n_t, &r);
            if (weight_is_quantised((enum weight_format)f)) check(&p, 1, 1);
            check(&p, 0, 1);
            product_fini(&p);
        }
}

static void many_tokens(void **state)
{
    (void)state;
    struct random r = {9};
    for (int f = 0; f < WF_I32; f++)
        for (int i = 0; i < MANY; i++) {
            struct product p;
            int n_t = i < MANY / 2 ? 14 + i : random_int(&r, 26, MOST_TOKENS);
            product_init(&p, (enum weight_format)f, random_int(&r, 1, 120),
                         32 * random_int(&r, 1, 40), n_t, &r);
            if (weight_is_quantised((enum weight_format)f)) check(&p, 1, 0);
            check(&p, 0, 0);
            product_fini(&p);
        }
}

static void every_length_of_a_row(void **state)
{
    (void)state;
    struct random r = {2};
    for (int f = WF_FP8; f <= WF_Q4_0; f++)
        for (int k = 32; k <= 8192; k += LONG_STEP) {
            struct product p;
            product_init(&p, (enum weight_format)f, 9, k, 1 + k / 32 % 3, &r);
            check(&p, 1, 0);
            product_fini(&p);
        }
}

static void float_rows_of_any_length(void **state)
{
    (void)state;
    struct random r = {3};
    for (int f = WF_F32; f <= WF_BF16; f++)
        for (int k = 1; k < 70; k++) {
            struct product p;
            product_init(&p, (enum weight_format)f, 1 + k % 11, k, 1 + k % 7, &r);
            check(&p, 0, 1);
            product_fini(&p);
        }
}

/* More of both than any kernel takes at once. */
static void long_rows_of_many_tokens(void **state)
{
    (void)state;
    struct random r = {8};
    for (int f = 0; f < WF_I32; f++) {
        struct product p;
        int is_quantised = weight_is_quantised((enum weight_format)f);
        product_init(&p, (enum weight_format)f, 11, is_quantised ? 1184 : 1189, 71, &r);
        if (is_quantised) check(&p, 1, 0);
        check(&p, 0, 0);
        product_fini(&p);
    }
}

static void slices_and_gathered_rows(void **state)
{
    (void)state;
    struct random r = {4};
    int32_t idx[13];
    for (int f = 0; f < WF_I32; f++)
        for (int n_t = 1; n_t <= 13; n_t += 3) {
            struct product p;
            int cols = 32 * random_int(&r, 1, 9);
            product_init(&p, (enum weight_format)f, 21, cols, n_t, &r);
            acts_fini(&p.x);
            acts_init(&p.x, 5, 3 * cols + 32, &r);
            for (int i = 0; i < n_t; i++)
                idx[i] = random_int(&r, 0, 4);
            p.idx = idx;
            p.x_first = cols + 32;
            if (weight_is_quantised((enum weight_format)f)) check(&p, 1, 1);
            check(&p, 0, 1);
            product_fini(&p);
        }
}

static void every_fp8_code(void **state)
{
    (void)state;
    struct random r = {5};
    struct product p;
    product_init(&p, WF_FP8, 8, 256, 2, &r);
    packed_free(&p.w->base);
    for (int row = 0; row < 8; row++)
        for (int k = 0; k < 256; k++) {
            int code = (k + 31 * row) % 256;
            p.s.rows[row * 256 + k] = (uint8_t)((code & 0x7f) == 0x7f ? 0 : code);
        }
    product_pack(&p);
    /* One activation a group: each output sees eight codes, alone in their groups. */
    for (int k = 0; k < 32; k++) {
        memset(p.x.q, 0, 512);
        for (int g = 0; g < 8; g++) {
            p.x.q[32 * g + k] = 127;
            p.x.q[256 + 32 * g + k] = -1;
        }
        acts_pair(&p.x);
        check(&p, 1, 1);
    }
    check(&p, 0, 1);
    product_fini(&p);
}

static void every_fp4_code_and_scale(void **state)
{
    (void)state;
    struct random r = {6};
    struct product p;
    product_init(&p, WF_FP4, 8, 32 * 32, 3, &r);
    packed_free(&p.w->base);
    for (int i = 0; i < 8 * 512; i++)
        p.s.rows[i] = (uint8_t)(i % 16 * 17);
    for (int i = 0; i < 8 * 32; i++)
        p.s.scales[i] = (uint8_t)(i == 255 ? 0 : i);
    for (int i = 0; i < 3 * 32; i++)
        p.x.scale[i] = i % 2 ? 0x1p-60f : 0x1.234p-100f;
    product_pack(&p);
    check(&p, 1, 1);
    for (int i = 0; i < 3 * 32; i++)
        p.x.scale[i] = 0x1p-10f;
    check(&p, 1, 1);
    check(&p, 0, 1);
    product_fini(&p);
}

/* The largest sums: every code the same and extreme, every activation +-127. */
static void extreme_codes_do_not_wrap(void **state)
{
    (void)state;
    static const struct {
        enum weight_format format;
        int code[4]; /* bytes */
    } cases[] = {{WF_FP4, {0x77, 0xff, 0x7f, 0xf7}},
                 {WF_MXFP4, {0x77, 0xff, 0x7f, 0xf7}},
                 {WF_Q4_0, {0xff, 0x00, 0x0f, 0xf0}},
                 {WF_Q8_0, {0x7f, 0x80, 0x81, 0x00}},
                 {WF_FP8, {0x7e, 0xfe, 0x01, 0x81}}};
    struct random r = {7};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (int c = 0; c < 4; c++)
            for (int sign = 0; sign < 4; sign++) {
                struct product p;
                enum weight_format f = cases[i].format;
                product_init(&p, f, 9, 160, 7, &r);
                packed_free(&p.w->base);
                int block = f == WF_MXFP4 ? 17 : f == WF_Q8_0 ? 34 : f == WF_Q4_0 ? 18 : 32;
                int first = f == WF_MXFP4 ? 1 : f == WF_Q8_0 || f == WF_Q4_0 ? 2 : 0;
                for (size_t b = 0; b < 9 * p.s.row_bytes; b++)
                    if ((int)(b % (size_t)block) >= first) p.s.rows[b] = (uint8_t)cases[i].code[c];
                product_pack(&p);
                for (int k = 0; k < 7 * 160; k++)
                    p.x.q[k] = (int8_t)(sign == 0                         ? 127
                                        : sign == 1                       ? -127
                                        : (sign == 2 ? k % 4 < 2 : k & 1) ? 127
                                                                          : -127);
                acts_pair(&p.x);
                check(&p, 1, 1);
                product_fini(&p);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_format_and_count_of_tokens),
        cmocka_unit_test(many_tokens),
        cmocka_unit_test(every_length_of_a_row),
        cmocka_unit_test(float_rows_of_any_length),
        cmocka_unit_test(long_rows_of_many_tokens),
        cmocka_unit_test(slices_and_gathered_rows),
        cmocka_unit_test(every_fp8_code),
        cmocka_unit_test(every_fp4_code_and_scale),
        cmocka_unit_test(extreme_codes_do_not_wrap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
