#include "values.h"

#include "base/log.h"
#include "format/gguf_write.h"

static struct weights *open_model(const char *path)
{
    struct weights *w;
    struct err err = {0};
    if (weights_open(&w, path, &err)) fail_msg("%s", err.message);
    return w;
}

static void digest_of(const char *path, uint8_t out[32])
{
    struct err err = {0};
    struct weights *w = open_model(path);
    if (weights_digest(w, out, &err)) fail_msg("%s", err.message);
    weights_close(w);
}

static void golden_models_open_in_every_form(void **state)
{
    (void)state;
    static const struct {
        const char *path, *container;
        int count;
        bool mtp;
    } cases[] = {
        {"tests/golden/alpha", "safetensors", 456, true},
        {"tests/golden/alpha/", "safetensors", 456, true},
        {"tests/golden/beta", "safetensors", 293, true},
        {"tests/golden/gamma", "safetensors", 890, true},
        {"tests/golden/zeta", "safetensors", 163, true},
        {"tests/golden/zeta/model.safetensors", "safetensors", 163, true},
        {"tests/golden/gguf/zeta-f32.gguf", "gguf", 110, false},
        {"tests/golden/gguf/zeta-mixed.gguf", "gguf", 110, false},
        {"tests/golden/gguf/alpha-mixed.gguf", "gguf", 379, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct weights *w = open_model(cases[i].path);
        assert_string_equal(weights_container(w), cases[i].container);
        assert_int_equal(weights_count(w), cases[i].count);
        assert_int_equal(weights_have_mtp(w), cases[i].mtp);
        for (int j = 0; j < weights_count(w); j++) {
            const struct weight_view *v = weights_at(w, j);
            assert_ptr_equal(weights_find(w, v->name), v);
            if (j) assert_true(strcmp(weights_at(w, j - 1)->name, v->name) < 0);
        }
        assert_null(weights_find(w, "no.such.tensor"));
        assert_null(weights_find(w, ""));
        assert_true(weights_tensor_bytes(w) < weights_file_bytes(w));
        weights_close(w);
    }
}

static void a_digest_tells_models_apart_and_not_containers_of_one(void **state)
{
    (void)state;
    uint8_t folder[32], file[32], other[32];
    digest_of("tests/golden/zeta", folder);
    digest_of("tests/golden/zeta/model.safetensors", file);
    digest_of("tests/golden/gguf/zeta-f32.gguf", other);
    assert_memory_equal(folder, file, 32);
    assert_memory_not_equal(folder, other, 32);
}

static void one_changed_byte_changes_the_digest(void **state)
{
    (void)state;
    struct place p;
    uint8_t before[32], after[32];
    char command[256];
    place_make(&p);
    snprintf(command, sizeof command,
             "cp tests/golden/zeta/config.json tests/golden/zeta/model.safetensors '%s'/", p.dir);
    assert_int_equal(system(command), 0);
    digest_of(p.dir, before);
    FILE *f = fopen(place_path(&p, "model.safetensors"), "r+b");
    assert_non_null(f);
    fseek(f, -1, SEEK_END);
    int c = fgetc(f);
    fseek(f, -1, SEEK_END);
    fputc(c ^ 1, f);
    fclose(f);
    digest_of(p.dir, after);
    assert_memory_not_equal(before, after, 32);
    place_remove(&p);
}

/* Every slice and scale: the official file's values are those of the F32 GGUF. */
static void official_values_equal_those_of_the_f32_gguf(void **state)
{
    (void)state;
    struct weights *a = open_model("tests/golden/zeta");
    struct weights *b = open_model("tests/golden/gguf/zeta-f32.gguf");
    int compared = 0;
    for (int i = 0; i < weights_count(b); i++) {
        const struct weight_view *v = weights_at(b, i), *u = weights_find(a, v->name);
        assert_non_null(u);
        assert_true(u->rows == v->rows && u->cols == v->cols);
        double *x = values_of(a, u), *y = values_of(b, v);
        size_t n = (size_t)v->rows * (size_t)v->cols;
        for (size_t k = 0; k < n; k++)
            if (x[k] != y[k]) fail_msg("%s: value %zu is %g and %g", v->name, k, x[k], y[k]);
        compared++;
        free(x);
        free(y);
    }
    assert_int_equal(compared, 110);
    weights_close(a);
    weights_close(b);
}

static void inference_config_alone_is_enough(void **state)
{
    (void)state;
    struct place p;
    char command[256];
    uint8_t a[32], b[32];
    place_make(&p);
    snprintf(command, sizeof command,
             "cp -r tests/golden/beta/inference tests/golden/beta/model.safetensors '%s'/", p.dir);
    assert_int_equal(system(command), 0);
    digest_of("tests/golden/beta", a);
    digest_of(p.dir, b); /* block sizes of the scales are found from the shapes */
    assert_memory_equal(a, b, 32);
    struct weights *w = open_model(p.dir);
    const struct weight_view *v = weights_find(w, "layers.0.attn.wq_b.weight");
    assert_true(v->block_rows == 128 && v->block_cols == 128);
    weights_close(w);
    place_remove(&p);
}

/* ---- small made-up models ---- */

static int open_made(struct place *p, const char *json, size_t bytes, struct weights **w,
                     struct err *err)
{
    place_text(p, "config.json", small_config);
    place_safetensors(p, "model.safetensors", json, bytes);
    *err = (struct err){0};
    return weights_open(w, p->dir, err);
}

/* First byte of a row of a view whose file place_safetensors made, given where its data lies. */
static void assert_row_at(const struct weights *w, const char *name, int row, size_t offset)
{
    struct err err = {0};
    unsigned char bytes[256];
    const struct weight_view *v = weights_find(w, name);
    assert_non_null(v);
    assert_true(v->data.row_bytes <= sizeof bytes);
    assert_int_equal(weights_read(w, v, row, 1, bytes, &err), 0);
    for (size_t i = 0; i < v->data.row_bytes; i++)
        assert_int_equal(bytes[i], (offset + i) % 251);
}

static void stacked_experts_of_transformers_are_cut_apart(void **state)
{
    (void)state;
    static const char json[] =
        "{\"model.layers.0.mlp.experts.gate_up_proj\":"
        "{\"dtype\":\"BF16\",\"shape\":[2,64,32],\"data_offsets\":[0,8192]},"
        "\"model.layers.0.mlp.experts.down_proj\":"
        "{\"dtype\":\"BF16\",\"shape\":[2,32,32],\"data_offsets\":[8192,12288]},"
        "\"model.layers.1.mlp.experts.gate_up_proj\":"
        "{\"dtype\":\"U8\",\"shape\":[2,64,16],\"data_offsets\":[12288,14336]},"
        "\"model.layers.1.mlp.experts.gate_up_proj_scale_inv\":"
        "{\"dtype\":\"F8_E8M0\",\"shape\":[2,64,1],\"data_offsets\":[14336,14464]}}";
    struct place p;
    struct weights *w;
    struct err err;
    place_make(&p);
    if (open_made(&p, json, 14464, &w, &err)) fail_msg("%s", err.message);
    assert_int_equal(weights_count(w), 2 * 3 + 2 * 2);
    assert_row_at(w, "layers.0.ffn.experts.0.w1.weight", 0, 0);
    assert_row_at(w, "layers.0.ffn.experts.0.w3.weight", 0, 32 * 64);
    assert_row_at(w, "layers.0.ffn.experts.1.w1.weight", 3, (64 + 3) * 64);
    assert_row_at(w, "layers.0.ffn.experts.1.w3.weight", 31, (64 + 63) * 64);
    assert_row_at(w, "layers.0.ffn.experts.1.w2.weight", 1, 8192 + (32 + 1) * 64);
    assert_row_at(w, "layers.1.ffn.experts.1.w3.weight", 2, 12288 + (64 + 32 + 2) * 16);
    const struct weight_view *v = weights_find(w, "layers.1.ffn.experts.1.w3.weight");
    assert_int_equal(v->dtype, DT_FP4);
    assert_true(v->rows == 32 && v->cols == 32 && v->scale_rows == 32 && v->block_cols == 32);
    unsigned char scales[32];
    assert_int_equal(weights_read_scales(w, v, scales, &err), 0);
    assert_int_equal(scales[0], (14336 + 64 + 32) % 251);
    weights_close(w);
    place_remove(&p);
}

static void scale_spellings_and_blocks_are_understood(void **state)
{
    (void)state;
    static const char json[] =
        "{\"layers.0.attn.wq_a.weight\":{\"dtype\":\"F8_E4M3\",\"shape\":[64,64],\"data_offsets\":["
        "0,4096]},"
        "\"layers.0.attn.wq_a.weight_scale_inv\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_"
        "offsets\":[4096,4112]},"
        "\"layers.0.ffn.experts.0.w1.weight\":{\"dtype\":\"F8_E4M3\",\"shape\":[32,32],"
        "\"data_offsets\":[4112,5136]},"
        "\"layers.0.ffn.experts.0.w1.scale\":{\"dtype\":\"F8_E8M0\",\"shape\":[1,1],\"data_"
        "offsets\":[5136,5137]},"
        "\"layers.0.ffn.experts.0.w2.weight\":{\"dtype\":\"F8_E4M3\",\"shape\":[32,64],"
        "\"data_offsets\":[5137,7185]},"
        "\"layers.0.ffn.experts.0.w2.scale\":{\"dtype\":\"F8_E8M0\",\"shape\":[32,2],\"data_"
        "offsets\":[7185,7249]}}";
    struct place p;
    struct weights *w;
    struct err err;
    place_make(&p);
    if (open_made(&p, json, 7249, &w, &err)) fail_msg("%s", err.message);
    const struct weight_view *v = weights_find(w, "layers.0.attn.wq_a.weight");
    assert_true(v->scale_dtype == DT_F32 && v->block_rows == 32 && v->block_cols == 32);
    v = weights_find(w, "layers.0.ffn.experts.0.w1.weight");
    assert_true(v->dtype == DT_F8_E4M3 && v->block_rows == 128 && v->block_cols == 128);
    v = weights_find(w, "layers.0.ffn.experts.0.w2.weight");
    assert_true(v->block_rows == 1 && v->block_cols == 32);
    weights_close(w);
    place_remove(&p);
}

#define T(name, dtype, shape, from, to)                                                            \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" from "," to "]" \
    "}"

static void contradictions_between_tensors_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        size_t bytes;
        const char *says;
    } cases[] = {
        {"{" T("x.weight", "F8_E4M3", "[2,32]", "0", "64") "}", 64, "FP8 without scales"},
        {"{" T("x.scale", "F8_E8M0", "[1]", "0", "1") "}", 1, "scales without their weight"},
        {"{" T("x.weight", "F8_E4M3", "[2,32]", "0",
               "64") "," T("x.scale", "F8_E8M0", "[1,1]", "64",
                           "65") "," T("x.weight_scale_inv", "F8_E8M0", "[1,1]", "65", "66") "}",
         66, "twice"},
        {"{" T("x.weight", "BF16", "[2,32]", "0", "128") "," T("x.scale", "F8_E8M0", "[1,1]", "128",
                                                               "129") "}",
         129, "BF16 with scales of F8_E8M0"},
        {"{" T("x.weight", "F8_E4M3", "[2,32]", "0", "64") "," T("x.scale", "BF16", "[1,1]", "64",
                                                                 "66") "}",
         66, "F8_E4M3 with scales of BF16"},
        {"{" T("x.weight", "F8_E4M3", "[2,32]", "0", "64") "," T("x.scale", "F8_E8M0", "[1]", "64",
                                                                 "65") "}",
         65, "another number of dimensions"},
        {"{" T("x.weight", "F8_E4M3", "[2,32]", "0", "64") "," T("x.scale", "F8_E8M0", "[5,1]",
                                                                 "64", "69") "}",
         69, "scales [5, 1] for FP8 [2, 32]"},
        {"{" T("x.weight", "F8_E4M3", "[2,32]", "0", "64") "," T("x.scale", "F8_E8M0", "[1,32]",
                                                                 "64", "96") "}",
         96, "scales [1, 32] for FP8 [2, 32]"},
        {"{" T("x.weight", "I8", "[2,16]", "0", "32") "," T("x.scale", "F8_E8M0", "[2,2]", "32",
                                                            "36") "}",
         36, "scales [2, 2] for FP4 [2, 32]"},
        {"{" T("x.weight", "I8", "[2,8]", "0", "16") "," T("x.scale", "F8_E8M0", "[2,1]", "16",
                                                           "18") "}",
         18, "for FP4 [2, 16]"},
        {"{" T("embed.weight", "BF16", "[17,32]", "0", "1088") "}", 1088, "by the config [16, 32]"},
        {"{" T("lm_head.weight", "BF16", "[16,31]", "0", "992") "}", 992, "by the config [16, 32]"},
        {"{" T("embed.weight", "I8", "[16,32]", "0", "512") "," T("model.embed_tokens.weight", "I8",
                                                                  "[16,32]", "512", "1024") "}",
         1024, "two tensors are embed.weight"},
        {"{" T("model.layers.0.mlp.experts.down_proj", "I8", "[3,32,32]", "0", "3072") "}", 3072,
         "by the config 2 of [32, 32]"},
        {"{" T("model.layers.0.mlp.experts.down_proj", "I8", "[2,32]", "0", "64") "}", 64,
         "three dimensions"},
        {"{" T("model.layers.0.mlp.experts.gate_up_proj", "F8_E4M3", "[2,64,32]", "0",
               "4096") "," T("model.layers.0.mlp.experts.gate_up_proj_scale_inv", "F8_E8M0",
                             "[2,1,1]", "4096", "4098") "}",
         4098, "covers w1 and w3"},
        {"{" T("layers.0.ffn.experts.0.w2.weight", "I8", "[32,32]", "0", "1024") "," T(
             "model.layers.0.mlp.experts.down_proj", "I8", "[2,32,32]", "1024", "3072") "}",
         3072, "two tensors are layers.0.ffn.experts.0.w2.weight"},
    };
    struct place p;
    place_make(&p);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct weights *w;
        struct err err;
        if (open_made(&p, cases[i].json, cases[i].bytes, &w, &err) == 0)
            fail_msg("case %zu was accepted", i);
        assert_null(w);
        if (!strstr(err.message, cases[i].says)) fail_msg("case %zu: %s", i, err.message);
    }
    place_remove(&p);
}

static void a_stated_block_size_must_fit(void **state)
{
    (void)state;
    static const char json[] = "{" T("x.weight", "F8_E4M3", "[64,64]", "0", "4096") "," T(
        "x.scale", "F8_E8M0", "[2,2]", "4096", "4100") "}";
    static const struct {
        const char *block;
        bool fits;
    } cases[] = {{"[32,32]", true},     {"[128,128]", false},       {"[32]", false},
                 {"[32,32,32]", false}, {"[0,32]", false},          {"[-1,32]", false},
                 {"\"32\"", false},     {"[32,2147483648]", false}, {"[40,32]", true},
                 {"[32,33]", false}};
    struct place p;
    place_make(&p);
    place_safetensors(&p, "model.safetensors", json, 4100);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char config[1024];
        struct weights *w;
        struct err err = {0};
        snprintf(config, sizeof config, "%.*s,\"quantization_config\":{\"weight_block_size\":%s}}",
                 (int)strlen(small_config) - 1, small_config, cases[i].block);
        place_text(&p, "config.json", config);
        int rc = weights_open(&w, p.dir, &err);
        if ((rc == 0) != cases[i].fits) fail_msg("%s: %s", cases[i].block, err.message);
        if (rc == 0) weights_close(w);
    }
    place_remove(&p);
}

static void unknown_tensors_are_kept_and_copies_left_out(void **state)
{
    (void)state;
    static const char json[] = "{" T("vision.conv.weight", "F16", "[2,3,4]", "0", "48") "," T(
        "mtp.0.head.weight", "BF16", "[4]", "48", "56") "," T("layers.0.ffn.gate.bias_vl", "F32",
                                                              "[2]", "56", "64") "}";
    struct place p;
    struct weights *w;
    struct err err;
    place_make(&p);
    if (open_made(&p, json, 64, &w, &err)) fail_msg("%s", err.message);
    assert_int_equal(weights_count(w), 1);
    assert_int_equal(weights_at(w, 0)->rows, 6);
    assert_int_equal(weights_at(w, 0)->cols, 4);
    assert_int_equal(weights_tensor_bytes(w), 64);
    weights_close(w);
    place_remove(&p);
}

static void a_dspark_drafter_is_no_mtp_block(void **state)
{
    (void)state;
    static const char json[] = "{" T("mtp.0.main_proj.weight", "BF16", "[32,96]", "0", "6144") "}";
    struct place p;
    struct weights *w;
    struct err err;
    place_make(&p);
    if (open_made(&p, json, 6144, &w, &err)) fail_msg("%s", err.message);
    assert_false(weights_have_mtp(w));
    weights_close(w);
    place_remove(&p);
}

static void other_paths_are_refused(void **state)
{
    (void)state;
    static const char *const paths[] = {"/nonexistent",
                                        "tests/golden/README.md",
                                        "tests/golden/gguf",
                                        "tests/golden/alpha/config.json",
                                        "",
                                        "tests/golden/none.gguf",
                                        "tests/golden/none.safetensors"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        struct weights *w;
        struct err err = {0};
        assert_int_equal(weights_open(&w, paths[i], &err), -1);
        assert_int_not_equal(err.code, ERR_NONE);
        assert_null(w);
    }
}

static void a_file_that_shrinks_later_is_an_error_of_reading(void **state)
{
    (void)state;
    static const char json[] = "{" T("a", "F32", "[16]", "0", "64") "}";
    struct place p;
    struct weights *w;
    struct err err;
    char bytes[64];
    place_make(&p);
    assert_int_equal(open_made(&p, json, 64, &w, &err), 0);
    assert_int_equal(truncate(place_path(&p, "model.safetensors"), 40), 0);
    assert_int_equal(weights_read(w, weights_at(w, 0), 0, 1, bytes, &err), -1);
    assert_int_equal(err.code, ERR_IO);
    weights_close(w);
    place_remove(&p);
}

/* ---- GGUF spellings of MTP ---- */

static void put_int(struct gguf_writer *w, const char *key, uint32_t v)
{
    char full[96];
    snprintf(full, sizeof full, "deepseek4.%s", key);
    gguf_put_u32(w, full, v);
}

/* The small model's metadata with n blocks. */
static void put_small_config(struct gguf_writer *w, uint32_t n_blocks)
{
    gguf_put_string(w, "general.architecture", "deepseek4", 9);
    put_int(w, "block_count", n_blocks);
    put_int(w, "nextn_predict_layers", 1);
    put_int(w, "embedding_length", 32);
    put_int(w, "vocab_size", 16);
    put_int(w, "attention.head_count", 2);
    put_int(w, "attention.key_length", 96);
    put_int(w, "rope.dimension_count", 32);
    put_int(w, "attention.q_lora_rank", 32);
    put_int(w, "attention.output_group_count", 1);
    put_int(w, "attention.output_lora_rank", 32);
    put_int(w, "attention.sliding_window", 8);
    put_int(w, "attention.indexer.head_count", 2);
    put_int(w, "attention.indexer.key_length", 32);
    put_int(w, "attention.indexer.top_k", 4);
    put_int(w, "expert_count", 2);
    put_int(w, "expert_used_count", 1);
    put_int(w, "expert_feed_forward_length", 32);
    put_int(w, "hash_layer_count", 0);
    gguf_put_f32(w, "deepseek4.hyper_connection.eps", 0.25f); /* the other spelling */
    gguf_put_array(w, "deepseek4.attention.compress_ratios", GGUF_I32, 3);
    gguf_add_i32(w, 4);
    gguf_add_i32(w, 0);
    gguf_add_i32(w, 0);
}

static void write_eh_proj(const char *path, uint32_t n_blocks, enum dtype dtype, uint64_t cols)
{
    struct gguf_writer *w;
    struct err err = {0};
    assert_int_equal(gguf_writer_open(&w, path, &err), 0);
    put_small_config(w, n_blocks);
    gguf_declare(w, "blk.2.nextn.eh_proj.weight", dtype, 2, (uint64_t[]){cols, 32});
    assert_int_equal(gguf_begin(w, &err), 0);
    for (uint64_t i = 0; i < gguf_declared_bytes(w); i++)
        assert_int_equal(gguf_write(w, &(unsigned char){(unsigned char)(i % 251)}, 1, &err), 0);
    assert_int_equal(gguf_finish(w, &err), 0);
    gguf_writer_close(w);
}

static void eh_proj_is_e_proj_beside_h_proj(void **state)
{
    (void)state;
    static const struct {
        enum dtype dtype;
        size_t half; /* bytes of half a row */
    } cases[] = {{DT_F32, 128}, {DT_BF16, 64}, {DT_Q8_0, 34}};
    struct place p;
    place_make(&p);
    const char *path = place_path(&p, "m.gguf");
    for (int i = 0; i < 3; i++)
        for (uint32_t n_blocks = 2; n_blocks <= 3; n_blocks++) { /* counting MTP, or not */
            write_eh_proj(path, n_blocks, cases[i].dtype, 64);
            struct weights *w = open_model(path);
            assert_int_equal(weights_config(w)->n_layers, 2);
            assert_true(weights_config(w)->hc_eps == 0.25f);
            const struct weight_view *e = weights_find(w, "mtp.0.e_proj.weight");
            const struct weight_view *h = weights_find(w, "mtp.0.h_proj.weight");
            assert_true(e && h && e->rows == 32 && e->cols == 32 && h->cols == 32);
            assert_row_at(w, "mtp.0.e_proj.weight", 5, 5 * 2 * cases[i].half);
            assert_row_at(w, "mtp.0.h_proj.weight", 5, (5 * 2 + 1) * cases[i].half);
            unsigned char two[256];
            struct err err = {0};
            assert_int_equal(weights_read(w, h, 30, 2, two, &err), 0);
            assert_int_equal(two[cases[i].half], (31 * 2 + 1) * cases[i].half % 251);
            assert_false(weights_have_mtp(w)); /* the rest of the block is not there */
            weights_close(w);
        }
    struct weights *w;
    struct err err = {0};
    write_eh_proj(path, 3, DT_F32, 96);
    assert_int_equal(weights_open(&w, path, &err), -1);
    assert_non_null(strstr(err.message, "eh_proj is not [D, 2 D]"));
    place_remove(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_models_open_in_every_form),
        cmocka_unit_test(a_digest_tells_models_apart_and_not_containers_of_one),
        cmocka_unit_test(one_changed_byte_changes_the_digest),
        cmocka_unit_test(official_values_equal_those_of_the_f32_gguf),
        cmocka_unit_test(inference_config_alone_is_enough),
        cmocka_unit_test(stacked_experts_of_transformers_are_cut_apart),
        cmocka_unit_test(scale_spellings_and_blocks_are_understood),
        cmocka_unit_test(contradictions_between_tensors_are_refused),
        cmocka_unit_test(a_stated_block_size_must_fit),
        cmocka_unit_test(unknown_tensors_are_kept_and_copies_left_out),
        cmocka_unit_test(a_dspark_drafter_is_no_mtp_block),
        cmocka_unit_test(other_paths_are_refused),
        cmocka_unit_test(a_file_that_shrinks_later_is_an_error_of_reading),
        cmocka_unit_test(eh_proj_is_e_proj_beside_h_proj),
    };
    log_set_level(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
