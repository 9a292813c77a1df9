#include "../format/values.h"

#include <jansson.h>

#include "base/file.h"
#include "base/log.h"
#include "format/gguf.h"
#include "model/convert.h"
#include "model/convert_rows.h"

static struct weights *open_model(const char *path)
{
    struct weights *w;
    struct err err = {0};
    if (weights_open(&w, path, &err)) fail_msg("%s", err.message);
    return w;
}

static void convert(const char *from, const char *to, bool mtp)
{
    struct err err = {0};
    if (convert_to_gguf(from, to, &(struct convert_options){.mtp = mtp}, &err))
        fail_msg("%s", err.message);
}

/* Q8_0 is off by half a step of its block at most; everything else must be exact. */
static void assert_close(const struct weight_view *v, const double *was, const double *is,
                         enum dtype to)
{
    size_t n = (size_t)v->rows * (size_t)v->cols;
    bool rounds = v->dtype == DT_F8_E4M3 && to == DT_Q8_0;
    for (size_t i = 0; i < n; i++) {
        double most = 0;
        for (size_t j = i / 32 * 32; rounds && j < i / 32 * 32 + 32; j++)
            most = fmax(most, fabs(was[j]));
        if (!(fabs(was[i] - is[i]) <= most / 127 * 0.5 * 1.002 + ldexp(127, -26) * rounds))
            fail_msg("%s: value %zu was %g, is %g", v->name, i, was[i], is[i]);
    }
}

static void values_survive(const char *model, bool mtp)
{
    struct place p;
    int rounded = 0, kept = 0;
    place_make(&p);
    const char *path = place_path(&p, "out.gguf");
    convert(model, path, mtp);
    struct weights *a = open_model(model), *b = open_model(path);
    assert_int_equal(weights_have_mtp(b), mtp);
    for (int i = 0; i < weights_count(a); i++) {
        const struct weight_view *v = weights_at(a, i), *got = weights_find(b, v->name);
        if (!mtp && !strncmp(v->name, "mtp.", 4)) {
            assert_null(got);
            continue;
        }
        if (!got) fail_msg("%s is gone", v->name);
        assert_true(got->rows == v->rows && got->cols == v->cols && got->is_vector == v->is_vector);
        if (v->dtype == DT_FP4) assert_int_equal(got->dtype, DT_MXFP4);
        if (v->dtype == DT_F8_E4M3) assert_int_equal(got->dtype, DT_Q8_0);
        double *was = values_of(a, v), *is = values_of(b, got);
        assert_close(v, was, is, got->dtype);
        *(v->dtype == DT_F8_E4M3 ? &rounded : &kept) += 1;
        free(was);
        free(is);
    }
    assert_true(rounded > 10 && kept > 50);
    struct config ca = *weights_config(a), cb = *weights_config(b);
    ca.n_mtp = cb.n_mtp;
    char *x = config_canonical(&ca), *y = config_canonical(&cb);
    assert_string_equal(x, y);
    free(x);
    free(y);
    weights_close(a);
    weights_close(b);
    place_remove(&p);
}

static void golden_models_keep_their_values(void **state)
{
    (void)state;
    values_survive("tests/golden/alpha", false);
    values_survive("tests/golden/beta", false); /* FP8 experts */
    values_survive("tests/golden/zeta", false);
}

static void the_mtp_block_is_kept_on_demand(void **state)
{
    (void)state;
    values_survive("tests/golden/zeta", true);
    values_survive("tests/golden/beta", true);
    struct err err = {0};
    assert_int_equal(convert_to_gguf("tests/golden/gguf/zeta-f32.gguf", "/tmp/never.gguf",
                                     &(struct convert_options){.mtp = true}, &err),
                     -1);
    assert_int_equal(err.code, ERR_ARGUMENT);
}

static void f32_files_hold_every_value_exactly(void **state)
{
    static const char *const models[] = {"tests/golden/zeta", "tests/golden/beta",
                                         "tests/golden/gguf/zeta-mixed.gguf"};
    (void)state;
    for (int m = 0; m < 3; m++) {
        struct place p;
        struct err err = {0};
        int n_seen = 0;
        place_make(&p);
        const char *path = place_path(&p, "out.gguf");
        if (convert_to_gguf(models[m], path, &(struct convert_options){.f32 = true}, &err))
            fail_msg("%s", err.message);
        struct weights *a = open_model(models[m]), *b = open_model(path);
        for (int i = 0; i < weights_count(b); i++) {
            const struct weight_view *got = weights_at(b, i), *v = weights_find(a, got->name);
            assert_non_null(v);
            assert_true(got->dtype == DT_F32 || got->dtype == DT_I32);
            double *was = values_of(a, v), *is = values_of(b, got);
            /* By value: a negative zero of FP4 becomes +0. */
            for (size_t k = 0; k < (size_t)v->rows * (size_t)v->cols; k++)
                assert_true(was[k] == is[k]);
            n_seen++;
            free(was);
            free(is);
        }
        assert_true(n_seen > 50);
        weights_close(a);
        weights_close(b);
        place_remove(&p);
    }
}

/* What would not load is not written. */
static void incomplete_models_are_refused(void **state)
{
    static const struct {
        const char *key;
        int value;
    } wrong[] = {{"q_lora_rank", 64},
                 {"n_routed_experts", 4},
                 {"num_hidden_layers", 1},
                 {"n_routed_experts", 4096}};
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct place p;
        struct err err = {0};
        char command[512];
        place_make(&p);
        snprintf(command, sizeof command,
                 "cp tests/golden/zeta/model.safetensors tests/golden/zeta/config.json %s", p.dir);
        assert_int_equal(system(command), 0);
        const char *config = place_path(&p, "config.json");
        json_t *root = json_load_file(config, 0, NULL);
        json_object_set_new(root, wrong[i].key, json_integer(wrong[i].value));
        assert_int_equal(json_dump_file(root, config, 0), 0);
        json_decref(root);
        assert_int_equal(
            convert_to_gguf(p.dir, place_path(&p, "out.gguf"), &(struct convert_options){0}, &err),
            -1);
        assert_int_equal(err.code, ERR_FORMAT);
        place_remove(&p);
    }
}

static void assert_same_key(const struct gguf *a, const struct gguf *b, const char *key)
{
    const uint8_t *da, *db;
    size_t na, nb;
    for (int i = 0; i < gguf_key_count(a); i++) {
        if (strcmp(gguf_key_at(a, i), key)) continue;
        for (int j = 0; j < gguf_key_count(b); j++) {
            if (strcmp(gguf_key_at(b, j), key)) continue;
            assert_int_equal(gguf_raw_at(a, i, &da, &na), gguf_raw_at(b, j, &db, &nb));
            if (na != nb || memcmp(da, db, na)) fail_msg("%s differs", key);
            return;
        }
    }
    fail_msg("%s is missing", key);
}

/* Same keys, types and values, tensor names, types and shapes as a file that llama.cpp is known to
 * load; same bytes where nothing is rounded. */
static void same_as_known(const char *model, const char *known)
{
    struct place p;
    struct gguf *a, *b;
    struct err err = {0};
    place_make(&p);
    convert(model, place_path(&p, "out.gguf"), false);
    assert_int_equal(gguf_open(&a, place_path(&p, "out.gguf"), &err), 0);
    assert_int_equal(gguf_open(&b, known, &err), 0);
    assert_int_equal(gguf_key_count(a), gguf_key_count(b));
    for (int i = 0; i < gguf_key_count(b); i++)
        assert_same_key(a, b, gguf_key_at(b, i));
    assert_int_equal(gguf_tensor_count(a), gguf_tensor_count(b));
    for (int i = 0; i < gguf_tensor_count(b); i++) {
        const struct gguf_tensor *want = gguf_tensor_at(b, i),
                                 *got = gguf_tensor_find(a, want->name);
        if (!got) fail_msg("%s is missing", want->name);
        assert_int_equal(got->dtype, want->dtype);
        assert_int_equal(got->n_dims, want->n_dims);
        assert_memory_equal(got->dim, want->dim, sizeof got->dim);
        if (got->dtype == DT_Q8_0) continue;
        char *x = malloc(got->bytes), *y = malloc(got->bytes);
        assert_true(x && y);
        assert_int_equal(file_read(gguf_file_at(a, 0), got->offset, x, got->bytes, &err), 0);
        assert_int_equal(file_read(gguf_file_at(b, 0), want->offset, y, got->bytes, &err), 0);
        if (memcmp(x, y, got->bytes)) fail_msg("bytes of %s differ", want->name);
        free(x);
        free(y);
    }
    gguf_close(a);
    gguf_close(b);
    place_remove(&p);
}

static void files_look_like_those_llama_cpp_loads(void **state)
{
    (void)state;
    same_as_known("tests/golden/zeta", "tests/golden/gguf/zeta-mixed.gguf");
    same_as_known("tests/golden/alpha", "tests/golden/gguf/alpha-mixed.gguf");
}

static void gguf_converts_to_the_same_gguf(void **state)
{
    (void)state;
    struct place p;
    struct err err = {0};
    uint8_t a[32], b[32];
    place_make(&p);
    convert("tests/golden/gguf/zeta-mixed.gguf", place_path(&p, "out.gguf"), false);
    struct weights *x = open_model("tests/golden/gguf/zeta-mixed.gguf");
    struct weights *y = open_model(place_path(&p, "out.gguf"));
    assert_int_equal(weights_digest(x, a, &err), 0);
    assert_int_equal(weights_digest(y, b, &err), 0);
    assert_memory_equal(a, b, 32);
    weights_close(x);
    weights_close(y);
    place_remove(&p);
}

/* ---- tokenizer ---- */

static const char tokenizer[] =
    "{\"added_tokens\":[{\"id\":0,\"content\":\"<|bos|>\",\"special\":true},"
    "{\"id\":1,\"content\":\"<|eos|>\",\"special\":true},{\"id\":2,\"content\":\"<|pad|>\","
    "\"special\":true},"
    "{\"id\":9,\"content\":\"<think>\",\"special\":false}],"
    "\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":"
    "{\"Regex\":\"\\\\p{N}{1,3}\"}}]},"
    "\"model\":{\"type\":\"BPE\",\"vocab\":{\"<|bos|>\":0,\"a\":3,\"b\":4,\"ab\":5,\"abb\":6},"
    "\"merges\":[\"a b\",[\"ab\",\"b\"]]}}";

/* zeta with this tokenizer.json beside it, converted to out.gguf in p. */
static int convert_with_tokenizer(struct place *p, const char *json, struct err *err)
{
    char command[256];
    snprintf(command, sizeof command,
             "cp tests/golden/zeta/*.json tests/golden/zeta/model.safetensors '%s'/", p->dir);
    assert_int_equal(system(command), 0);
    place_text(p, "tokenizer.json", json);
    *err = (struct err){0};
    return convert_to_gguf(p->dir, place_path(p, "out.gguf"), &(struct convert_options){0}, err);
}

static void assert_string_is(const struct gguf_array *a, size_t i, const char *want)
{
    size_t n;
    const char *s = gguf_string_at(a, i, &n);
    assert_true(n == strlen(want) && !memcmp(s, want, n));
}

static void tokenizer_json_goes_into_the_file(void **state)
{
    (void)state;
    struct place p;
    struct gguf *g;
    struct gguf_array a;
    struct err err;
    const char *s;
    size_t n;
    uint64_t pad;
    place_make(&p);
    if (convert_with_tokenizer(&p, tokenizer, &err)) fail_msg("%s", err.message);
    assert_int_equal(gguf_open(&g, place_path(&p, "out.gguf"), &err), 0);
    assert_int_equal(gguf_get_strings(g, "tokenizer.ggml.tokens", &a, &err), 0);
    assert_int_equal(a.count, 200);
    assert_string_is(&a, 0, "<|bos|>");
    assert_string_is(&a, 6, "abb");
    assert_string_is(&a, 7, "[PAD7]");
    assert_string_is(&a, 9, "<think>");
    assert_int_equal(gguf_get_ints(g, "tokenizer.ggml.token_type", &a, &err), 0);
    assert_int_equal(gguf_int_at(&a, 0), 3);
    assert_int_equal(gguf_int_at(&a, 6), 1);
    assert_int_equal(gguf_int_at(&a, 7), 5);
    assert_int_equal(gguf_int_at(&a, 9), 4);
    assert_int_equal(gguf_get_strings(g, "tokenizer.ggml.merges", &a, &err), 0);
    assert_string_is(&a, 0, "a b");
    assert_string_is(&a, 1, "ab b");
    assert_int_equal(gguf_get_string(g, "tokenizer.ggml.pre", &s, &n, &err), 0);
    assert_true(n == 9 && !memcmp(s, "joyai-llm", 9));
    assert_int_equal(gguf_get_u64(g, "tokenizer.ggml.padding_token_id", &pad, &err), 0);
    assert_int_equal(pad, 2);
    gguf_close(g);
    place_remove(&p);
}

static void bad_tokenizers_are_refused(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"{", "tokenizer.json"},
        {"{}", "pre_tokenizer"},
        {"{\"pre_tokenizer\":{\"pretokenizers\":[{\"pattern\":{\"Regex\":\"\\\\p{N}{1,3}\"}}]}}",
         "model.vocab"},
        {"{\"pre_tokenizer\":{\"pretokenizers\":[{\"pattern\":{\"Regex\":\"\\\\p{N}{1,3}\"}}]},"
         "\"model\":{\"vocab\":{\"a\":200},\"merges\":[]}}",
         "id 200 of a vocabulary of 200"},
        {"{\"pre_tokenizer\":{\"pretokenizers\":[{\"pattern\":{\"Regex\":\"\\\\p{N}{1,3}\"}}]},"
         "\"model\":{\"vocab\":{\"a\":1,\"b\":1},\"merges\":[]}}",
         "id 1 is"},
        {"{\"pre_tokenizer\":{\"pretokenizers\":[{\"pattern\":{\"Regex\":\"\\\\p{N}{1,3}\"}}]},"
         "\"model\":{\"vocab\":{\"a\":1},\"merges\":[7]}}",
         "merge 0"},
    };
    struct place p;
    place_make(&p);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err err;
        assert_int_equal(convert_with_tokenizer(&p, cases[i][0], &err), -1);
        if (!strstr(err.message, cases[i][1]))
            fail_msg("\"%s\"; wanted: %s", err.message, cases[i][1]);
        assert_int_not_equal(access(place_path(&p, "out.gguf"), F_OK), 0);
    }
    place_remove(&p);
}

/* ---- rows ---- */

static void fp4_rows_become_mxfp4_bit_for_bit(void **state)
{
    (void)state;
    uint8_t codes[32], scales[2] = {0, 254}, out[34];
    struct err err = {0};
    for (int i = 0; i < 32; i++)
        codes[i] = (uint8_t)((2 * i) % 16 | (2 * i + 1) % 16 << 4);
    assert_int_equal(row_fp4_to_mxfp4(codes, scales, 64, out, &err), 0);
    assert_int_equal(out[0], 0);
    assert_int_equal(out[17], 254);
    for (int k = 0; k < 64; k++) {
        int code = out[k / 32 * 17 + 1 + k % 16] >> (k % 32 / 16 * 4) & 15;
        assert_int_equal(code, k % 16);
    }
    scales[1] = 255;
    assert_int_equal(row_fp4_to_mxfp4(codes, scales, 64, out, &err), -1);
    assert_int_equal(err.code, ERR_NUMERIC);
}

static void numbers_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    uint8_t codes[32] = {0}, out[34], i32[8];
    float scale = 1, values[32];
    struct err err = {0};
    codes[5] = 0x7f;
    assert_int_equal(row_fp8_to_q8_0(codes, &scale, 128, 32, values, out, &err), -1);
    assert_int_equal(err.code, ERR_NUMERIC);
    codes[5] = 0x7e;
    scale = NAN;
    assert_int_equal(row_fp8_to_q8_0(codes, &scale, 128, 32, values, out, &err), -1);
    scale = 0x1p60f;
    assert_int_equal(row_fp8_to_q8_0(codes, &scale, 128, 32, values, out, &err), -1);
    static const int64_t fine[2] = {-5, INT32_MAX}, large[1] = {(int64_t)1 << 31};
    assert_int_equal(row_i64_to_i32((const uint8_t *)fine, 2, i32, &err), 0);
    assert_int_equal((int32_t)value_le(i32 + 4, 4), INT32_MAX);
    assert_int_equal(i32[0], 0xfb);
    assert_int_equal(row_i64_to_i32((const uint8_t *)large, 1, i32, &err), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_models_keep_their_values),
        cmocka_unit_test(the_mtp_block_is_kept_on_demand),
        cmocka_unit_test(incomplete_models_are_refused),
        cmocka_unit_test(f32_files_hold_every_value_exactly),
        cmocka_unit_test(files_look_like_those_llama_cpp_loads),
        cmocka_unit_test(gguf_converts_to_the_same_gguf),
        cmocka_unit_test(tokenizer_json_goes_into_the_file),
        cmocka_unit_test(bad_tokenizers_are_refused),
        cmocka_unit_test(fp4_rows_become_mxfp4_bit_for_bit),
        cmocka_unit_test(numbers_that_do_not_fit_are_refused),
    };
    log_set_level(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
