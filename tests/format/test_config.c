#include "files.h"

#include <math.h>

#include "base/json.h"
#include "format/config.h"
#include "format/gguf.h"

static struct config load(const char *path)
{
    struct config c;
    struct err err = {0};
    json_t *root;
    assert_int_equal(json_parse_file(&root, path, 1 << 20, &err), 0);
    if (config_from_json(&c, path, root, &err)) fail_msg("%s", err.message);
    json_decref(root);
    return c;
}

static void assert_same(const struct config *a, const struct config *b)
{
    char *x = config_canonical(a), *y = config_canonical(b);
    assert_string_equal(x, y);
    free(x);
    free(y);
}

static void both_json_spellings_agree(void **state)
{
    (void)state;
    static const char *const models[] = {"alpha", "beta", "gamma", "zeta"};
    for (int i = 0; i < 4; i++) {
        char path[80];
        snprintf(path, sizeof path, "tests/golden/%s/config.json", models[i]);
        struct config hf = load(path);
        snprintf(path, sizeof path, "tests/golden/%s/inference/config.json", models[i]);
        struct config official = load(path);
        assert_same(&hf, &official);
    }
}

static void gguf_agrees_with_json(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"tests/golden/zeta/config.json", "tests/golden/gguf/zeta-mixed.gguf"},
        {"tests/golden/zeta/config.json", "tests/golden/gguf/zeta-f32.gguf"},
        {"tests/golden/alpha/config.json", "tests/golden/gguf/alpha-mixed.gguf"}};
    for (int i = 0; i < 3; i++) {
        struct config json = load(pairs[i][0]), c;
        struct gguf *g;
        struct err err = {0};
        assert_int_equal(gguf_open(&g, pairs[i][1], &err), 0);
        if (config_from_gguf(&c, "gguf", g, &err)) fail_msg("%s", err.message);
        assert_int_equal(c.n_mtp, 0); /* these files have no MTP block */
        json.n_mtp = 0;
        assert_same(&json, &c);
        gguf_close(g);
    }
}

static void fields_have_the_values_of_the_file(void **state)
{
    (void)state;
    struct config c = load("tests/golden/beta/config.json");
    assert_int_equal(c.vocab, 384);
    assert_int_equal(c.dim, 192);
    assert_int_equal(c.head_dim, 96);
    assert_int_equal(c.rope_dim, 32);
    assert_int_equal(c.ratio[0], 128);
    assert_int_equal(c.ratio[1], 4);
    assert_int_equal(c.ratio[2], 0);
    assert_int_equal(c.n_hash_layers, 1);
    assert_int_equal(c.yarn_original, 256);
    assert_true(c.yarn_factor == 4 && c.compress_theta == 160000 && c.rope_theta == 10000);
    assert_true(c.route_scale == 2.5f && c.swiglu_limit == 1.0f && c.norm_eps == 1e-6f);
    assert_int_equal(c.n_mtp, 1);
    assert_int_equal(c.max_positions, 1048576);
}

static void published_models_have_the_layers_of_the_spec(void **state)
{
    (void)state;
    struct config flash = load("models/deepseek-v4-flash/config.json");
    struct config pro = load("models/deepseek-v4-pro/config.json");
    int csa = 0, hca = 0;
    for (int i = 0; i < flash.n_layers; i++) {
        csa += flash.ratio[i] == 4;
        hca += flash.ratio[i] == 128;
    }
    assert_int_equal(csa, 21);
    assert_int_equal(hca, 20);
    assert_int_equal(pro.n_layers, 61);
    assert_int_equal(pro.ratio[0], 128);
    assert_int_equal(pro.ratio[60], 4);
}

/* small_config with the pair key: value set (or removed with value NULL), loaded. */
static int load_changed(struct config *c, const char *key, const char *value, struct err *err)
{
    json_t *root = json_loads(small_config, 0, NULL);
    assert_non_null(root);
    if (value) {
        json_t *v = json_loads(value, JSON_DECODE_ANY, NULL);
        assert_non_null(v);
        json_object_set_new(root, key, v);
    } else {
        json_object_del(root, key);
    }
    *err = (struct err){0};
    int rc = config_from_json(c, "config.json", root, err);
    json_decref(root);
    return rc;
}

static void absent_fields_take_published_values(void **state)
{
    (void)state;
    struct config c;
    struct err err;
    if (load_changed(&c, "none", NULL, &err)) fail_msg("%s", err.message);
    assert_int_equal(c.hc_mult, 4);
    assert_int_equal(c.hc_iters, 20);
    assert_int_equal(c.n_shared, 1);
    assert_true(isinf(c.swiglu_limit));
    assert_true(c.yarn_factor == 16 && c.yarn_beta_fast == 32 && c.yarn_beta_slow == 1);
    assert_true(c.hc_eps == 1e-6f && c.route_scale == 1.5f);
    assert_int_equal(c.yarn_original, 65536);
    assert_int_equal(c.bos, 0);
    assert_int_equal(c.eos, 1);
}

static void newer_hugging_face_keys_are_read(void **state)
{
    (void)state;
    struct config c;
    struct err err;
    json_t *root = json_loads(small_config, 0, NULL);
    json_object_del(root, "compress_ratios");
    json_object_del(root, "num_hash_layers");
    json_object_del(root, "qk_rope_head_dim");
    json_object_set_new(
        root, "layer_types",
        json_pack("[ss]", "heavily_compressed_attention", "compressed_sparse_attention"));
    json_object_set_new(root, "mlp_layer_types", json_pack("[ss]", "hash_moe", "moe"));
    json_object_set_new(root, "partial_rotary_factor", json_real(32.0 / 96));
    json_object_set_new(root, "eos_token_id", json_pack("[ii]", 3, 4));
    json_object_set_new(root, "rope_parameters",
                        json_pack("{s{ss si} s{ss si si si}}", "main", "rope_type", "default",
                                  "rope_theta", 5000, "compress", "rope_type", "yarn", "rope_theta",
                                  70000, "factor", 8, "original_max_position_embeddings", 4096));
    err = (struct err){0};
    if (config_from_json(&c, "config.json", root, &err)) fail_msg("%s", err.message);
    json_decref(root);
    assert_int_equal(c.ratio[0], 128);
    assert_int_equal(c.ratio[1], 4);
    assert_int_equal(c.n_hash_layers, 1);
    assert_int_equal(c.rope_dim, 32);
    assert_int_equal(c.eos, 3);
    assert_true(c.rope_theta == 5000 && c.compress_theta == 70000 && c.yarn_factor == 8);
    assert_int_equal(c.yarn_original, 4096);
}

static void longer_ratio_lists_are_indexed_by_layer(void **state)
{
    (void)state;
    struct config c;
    struct err err;
    assert_int_equal(load_changed(&c, "compress_ratios", "[128,4,0,0,0]", &err), 0);
    assert_int_equal(c.ratio[0], 128);
    assert_int_equal(c.ratio[1], 4);
}

static void bad_configs_are_refused_with_a_reason(void **state)
{
    (void)state;
    static const struct {
        const char *key, *value;
        enum err_code code;
        const char *says; /* part of the message */
    } cases[] = {
        {"model_type", "\"deepseek_v3\"", ERR_UNSUPPORTED, "deepseek_v3"},
        {"scoring_func", "\"sigmoid\"", ERR_UNSUPPORTED, "sigmoid"},
        {"topk_method", "\"greedy\"", ERR_UNSUPPORTED, "greedy"},
        {"hidden_act", "\"gelu\"", ERR_UNSUPPORTED, "gelu"},
        {"attention_bias", "true", ERR_UNSUPPORTED, "attention_bias"},
        {"tie_word_embeddings", "true", ERR_UNSUPPORTED, "tie_word_embeddings"},
        {"norm_topk_prob", "false", ERR_UNSUPPORTED, "norm_topk_prob"},
        {"norm_topk_prob", "1", ERR_FORMAT, "norm_topk_prob"},
        {"num_key_value_heads", "2", ERR_UNSUPPORTED, "num_key_value_heads"},
        {"rope_scaling", "{\"type\":\"linear\"}", ERR_UNSUPPORTED, "linear"},
        {"vocab_size", NULL, ERR_FORMAT, "vocab_size is missing"},
        {"head_dim", NULL, ERR_FORMAT, "head_dim is missing"},
        {"compress_ratios", NULL, ERR_FORMAT, "compress_ratios"},
        {"compress_ratios", "[4]", ERR_FORMAT, "compress_ratios"},
        {"compress_ratios", "[4,3]", ERR_UNSUPPORTED, "layer 1 is 3"},
        {"compress_ratios", "[4,-4]", ERR_UNSUPPORTED, "layer 1"},
        {"compress_ratios", "[4,256]", ERR_UNSUPPORTED, "layer 1"},
        {"compress_ratios", "[4,4.0]", ERR_UNSUPPORTED, "layer 1"},
        {"hidden_size", "0", ERR_FORMAT, "hidden_size"},
        {"hidden_size", "-32", ERR_FORMAT, "hidden_size"},
        {"hidden_size", "65537", ERR_FORMAT, "hidden_size"},
        {"hidden_size", "9223372036854775807", ERR_FORMAT, "hidden_size"},
        {"hidden_size", "32.5", ERR_FORMAT, "hidden_size"},
        {"hidden_size", "\"32\"", ERR_FORMAT, "hidden_size"},
        {"hidden_size", "true", ERR_FORMAT, "hidden_size"},
        {"num_hidden_layers", "257", ERR_FORMAT, "num_hidden_layers"},
        {"n_routed_experts", "4097", ERR_FORMAT, "n_routed_experts"},
        {"num_experts_per_tok", "3", ERR_FORMAT, "3 experts per token of 2"},
        {"num_experts_per_tok", "65", ERR_FORMAT, "num_experts_per_tok"},
        {"n_shared_experts", "2", ERR_FORMAT, "n_shared_experts"},
        {"qk_rope_head_dim", "31", ERR_UNSUPPORTED, "rope"},
        {"qk_rope_head_dim", "514", ERR_FORMAT, "rope"},
        {"qk_rope_head_dim", "96", ERR_FORMAT, "rope"},
        {"head_dim", "128", ERR_UNSUPPORTED, "multiple of 64"},
        {"index_head_dim", "48", ERR_UNSUPPORTED, "power of two"},
        {"index_head_dim", "16", ERR_UNSUPPORTED, "power of two"},
        {"index_topk", "0", ERR_FORMAT, "top 0"},
        {"o_groups", "3", ERR_FORMAT, "3 output groups"},
        {"num_hash_layers", "3", ERR_FORMAT, "3 hash layers"},
        {"hc_mult", "9", ERR_FORMAT, "hc_mult"},
        {"hc_mult", "0", ERR_FORMAT, "hc_mult"},
        {"hc_sinkhorn_iters", "1000000000", ERR_FORMAT, "hc_sinkhorn_iters"},
        {"rms_norm_eps", "-1e-6", ERR_FORMAT, "rms_norm_eps"},
        {"routed_scaling_factor", "0", ERR_FORMAT, "routed_scaling_factor"},
        {"swiglu_limit", "-1", ERR_FORMAT, "swiglu_limit"},
        {"eos_token_id", "16", ERR_FORMAT, "eos 16"},
        {"bos_token_id", "-1", ERR_FORMAT, "bos_token_id"},
        {"sliding_window", "1000000", ERR_FORMAT, "sliding_window"},
        {"rope_theta", "0", ERR_FORMAT, "rope_theta"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct config c;
        struct err err;
        if (load_changed(&c, cases[i].key, cases[i].value, &err) == 0)
            fail_msg("%s = %s was accepted", cases[i].key,
                     cases[i].value ? cases[i].value : "(absent)");
        if (!strstr(err.message, cases[i].says)) fail_msg("message \"%s\"", err.message);
        assert_int_equal(err.code, cases[i].code);
        assert_non_null(strstr(err.message, "config.json"));
    }
}

static void something_else_is_no_config(void **state)
{
    (void)state;
    static const char *const texts[] = {"[]", "1", "{}", "\"x\"", "{\"hidden_size\":{}}"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct config c;
        struct err err = {0};
        json_t *root = json_loads(texts[i], JSON_DECODE_ANY, NULL);
        assert_int_equal(config_from_json(&c, "x", root, &err), -1);
        assert_int_equal(err.code, ERR_FORMAT);
        json_decref(root);
    }
}

static void canonical_form_is_json_with_sorted_keys(void **state)
{
    (void)state;
    struct config c = load("tests/golden/zeta/config.json");
    char *text = config_canonical(&c);
    json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(root);
    const char *key, *last = "";
    json_t *value;
    json_object_foreach(root, key, value)
    {
        assert_true(strcmp(last, key) < 0); /* jansson keeps the order of the text */
        last = key;
    }
    assert_null(strchr(text, ' '));
    assert_int_equal(json_array_size(json_object_get(root, "compress_ratios")), 2);
    json_decref(root);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_json_spellings_agree),
        cmocka_unit_test(gguf_agrees_with_json),
        cmocka_unit_test(fields_have_the_values_of_the_file),
        cmocka_unit_test(published_models_have_the_layers_of_the_spec),
        cmocka_unit_test(absent_fields_take_published_values),
        cmocka_unit_test(newer_hugging_face_keys_are_read),
        cmocka_unit_test(longer_ratio_lists_are_indexed_by_layer),
        cmocka_unit_test(bad_configs_are_refused_with_a_reason),
        cmocka_unit_test(something_else_is_no_config),
        cmocka_unit_test(canonical_form_is_json_with_sorted_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
