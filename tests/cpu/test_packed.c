#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../support/stored.h"
#include "cpu/packed.h"

static const struct shape {
    int rows, cols, block_rows, block_cols;
} shapes[] = {{8, 128, 128, 128}, {1, 32, 1, 32},    {13, 96, 32, 32}, {16, 160, 5, 64},
              {7, 288, 128, 128}, {24, 512, 10, 96}, {9, 64, 4, 1000}};

static struct packed *load(const struct stored *s)
{
    struct weight *w = NULL;
    struct err err = {0};
    int rc = packed_load(&w, &s->src, &err);
    if (rc) fail_msg("%s", err.message);
    return (struct packed *)w;
}

static void check_round_trip(enum weight_format f, const struct shape *shape,
                             enum scale_format scale)
{
    struct random r = {(uint64_t)f * 100 + (uint64_t)shape->cols};
    struct stored s;
    stored_init(&s, f, shape->rows, shape->cols, scale, shape->block_rows, shape->block_cols, &r);
    if (f == WF_MXFP4) s.rows[0] = 1;
    if (f == WF_FP4) s.scales[0] = 0;
    struct packed *w = load(&s);
    float *row = malloc((size_t)shape->cols * sizeof *row);
    for (int i = 0; i < shape->rows; i++) {
        packed_row_f32(row, w, i);
        for (int k = 0; k < shape->cols; k++) {
            float want = stored_value(&s, i, k);
            assert_memory_equal(&row[k], &want, sizeof want);
        }
        for (int g = 0; weight_is_quantised(f) && g < shape->cols / 32; g++) {
            int16_t v[32];
            float ws = packed_scale(w, i, g), want = stored_ws(&s, i, g);
            packed_ints(v, w, i, g);
            assert_memory_equal(&ws, &want, sizeof want);
            for (int k = 0; k < 32; k++)
                assert_int_equal(v[k], stored_int(&s, i, 32 * g + k));
        }
    }
    size_t scales =
        (size_t)s.src.scale_rows * (size_t)s.src.scale_cols * (scale == SCALE_F32 ? 4 : 1);
    assert_int_equal(w->base.bytes, (size_t)shape->rows * s.row_bytes + scales);
    free(row);
    packed_free(&w->base);
    stored_fini(&s);
}

static void every_format_round_trips(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        for (int f = 0; f < WF_I32; f++) {
            check_round_trip((enum weight_format)f, &shapes[i], SCALE_E8M0);
            if (f == WF_FP8) check_round_trip(WF_FP8, &shapes[i], SCALE_F32);
        }
}

static void every_scale_byte_round_trips(void **state)
{
    (void)state;
    struct random r = {5};
    for (int byte = 0; byte < 255; byte++) {
        struct stored s;
        stored_init(&s, WF_FP4, 8, 32, SCALE_E8M0, 0, 0, &r);
        memset(s.scales, byte, 8);
        for (int i = 0; i < 16; i++)
            s.rows[i] = (uint8_t)(i * 17);
        struct packed *w = load(&s);
        float row[32];
        packed_row_f32(row, w, 0);
        for (int k = 0; k < 32; k++)
            assert_true(row[k] == stored_value(&s, 0, k));
        packed_free(&w->base);
        stored_fini(&s);
    }
}

static void a_table_is_kept_as_it_is(void **state)
{
    (void)state;
    struct random r = {1};
    struct stored s;
    stored_init(&s, WF_I32, 5, 6, SCALE_NONE, 0, 0, &r);
    struct packed *w = load(&s);
    assert_memory_equal(packed_i32(&w->base), s.rows, 5 * 6 * 4);
    packed_free(&w->base);
    stored_fini(&s);
}

static void refuse(const struct stored *s, enum err_code code, const char *says)
{
    struct weight *w = NULL;
    struct err err = {0};
    assert_int_equal(packed_load(&w, &s->src, &err), -1);
    assert_null(w);
    assert_int_equal(err.code, code);
    assert_non_null(strstr(err.message, "test.weight"));
    if (!strstr(err.message, says)) fail_msg("%s", err.message);
}

static void nan_codes_and_scales_are_refused(void **state)
{
    (void)state;
    struct random r = {2};
    struct stored s;
    stored_init(&s, WF_FP8, 9, 64, SCALE_E8M0, 4, 32, &r);
    s.rows[8 * 64 + 40] = 0xff;
    refuse(&s, ERR_FORMAT, "row 8, column 40");
    s.rows[8 * 64 + 40] = 0x7f;
    refuse(&s, ERR_FORMAT, "row 8, column 40");
    s.rows[8 * 64 + 40] = 0;
    s.scales[5] = 255;
    refuse(&s, ERR_FORMAT, "[2, 1]");
    stored_fini(&s);

    stored_init(&s, WF_FP8, 9, 64, SCALE_F32, 4, 32, &r);
    memcpy(s.scales + 4 * 3, "\0\0\x80\x7f", 4);
    refuse(&s, ERR_FORMAT, "[1, 1] is not finite");
    stored_fini(&s);

    stored_init(&s, WF_FP4, 9, 64, SCALE_E8M0, 0, 0, &r);
    s.scales[17] = 255;
    refuse(&s, ERR_FORMAT, "[8, 1]");
    stored_fini(&s);

    stored_init(&s, WF_MXFP4, 9, 64, SCALE_NONE, 0, 0, &r);
    s.rows[17 * 5] = 255;
    refuse(&s, ERR_FORMAT, "row 2, column 32");
    stored_fini(&s);

    stored_init(&s, WF_Q8_0, 9, 64, SCALE_NONE, 0, 0, &r);
    s.rows[34 * 5 + 1] = 0xfc;
    refuse(&s, ERR_FORMAT, "row 2, column 32");
    stored_fini(&s);
}

static void bad_shapes_are_refused(void **state)
{
    (void)state;
    struct random r = {3};
    for (int f = WF_FP8; f <= WF_Q4_0; f++) {
        struct stored s;
        stored_init(&s, (enum weight_format)f, 8, 64, SCALE_E8M0, 8, 64, &r);
        s.src.cols = 48;
        refuse(&s, ERR_UNSUPPORTED, "48");
        stored_fini(&s);
    }
    struct stored s;
    stored_init(&s, WF_FP8, 8, 96, SCALE_E8M0, 8, 48, &r);
    refuse(&s, ERR_UNSUPPORTED, "48");
    s.src.scale = SCALE_NONE;
    refuse(&s, ERR_FORMAT, "no scales");
    stored_fini(&s);
    stored_init(&s, WF_FP8, 8, 96, SCALE_E8M0, 8, 96, &r);
    s.src.scale_rows = 2;
    refuse(&s, ERR_FORMAT, "2 x 1 scales");
    s.src.rows = 0;
    refuse(&s, ERR_FORMAT, "0 x 96");
    stored_fini(&s);
}

static int failing_read(void *ctx, int row, int n, void *out, struct err *err)
{
    (void)ctx;
    (void)out;
    return err_set(err, ERR_IO, "test.weight: rows %d + %d", row, n);
}

static void a_failed_read_and_too_little_memory_are_errors(void **state)
{
    (void)state;
    struct random r = {4};
    for (int f = 0; f < WF_I32; f++) {
        struct stored s;
        stored_init(&s, (enum weight_format)f, 8, 64, SCALE_E8M0, 8, 64, &r);
        s.src.read_rows = failing_read;
        refuse(&s, ERR_IO, "rows 0 + 8");
        s.src.rows = INT32_MAX;
        s.src.cols = INT32_MAX / 32 * 32;
        s.src.scale_rows = INT32_MAX / 8 + 1;
        s.src.scale_cols = s.src.cols / 64 + 1;
        if (f == WF_FP4) {
            s.src.scale_rows = s.src.rows;
            s.src.scale_cols = s.src.cols / 32;
        }
        refuse(&s, ERR_LIMIT, "");
        stored_fini(&s);
    }
    packed_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_format_round_trips),
        cmocka_unit_test(every_scale_byte_round_trips),
        cmocka_unit_test(a_table_is_kept_as_it_is),
        cmocka_unit_test(nan_codes_and_scales_are_refused),
        cmocka_unit_test(bad_shapes_are_refused),
        cmocka_unit_test(a_failed_read_and_too_little_memory_are_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
