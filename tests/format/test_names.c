#include "files.h"

#include "base/json.h"
#include "format/names.h"
#include "format/official.h"

static void transformers_names_become_official(void **state)
{
    (void)state;
    static const struct {
        const char *stored, *official;
        enum name_kind kind;
        bool scale;
    } cases[] = {
        {"embed.weight", "embed.weight", NAME_PLAIN, false},
        {"model.embed_tokens.weight", "embed.weight", NAME_PLAIN, false},
        {"lm_head.weight", "head.weight", NAME_PLAIN, false},
        {"model.hc_head.hc_scale", "hc_head_scale", NAME_PLAIN, false},
        {"layers.3.attn.wq_a.scale", "layers.3.attn.wq_a.weight", NAME_PLAIN, true},
        {"layers.3.attn.wq_a.weight_scale_inv", "layers.3.attn.wq_a.weight", NAME_PLAIN, true},
        {"model.layers.42.self_attn.q_a_proj.weight", "layers.42.attn.wq_a.weight", NAME_PLAIN,
         false},
        {"model.layers.42.self_attn.q_a_proj.weight_scale_inv", "layers.42.attn.wq_a.weight",
         NAME_PLAIN, true},
        {"model.layers.0.attn_hc.fn", "layers.0.hc_attn_fn", NAME_PLAIN, false},
        {"model.layers.0.ffn_hc.scale", "layers.0.hc_ffn_scale", NAME_PLAIN, false},
        {"model.layers.0.self_attn.sinks", "layers.0.attn.attn_sink", NAME_PLAIN, false},
        {"model.layers.7.self_attn.compressor.position_bias", "layers.7.attn.compressor.ape",
         NAME_PLAIN, false},
        {"model.layers.7.self_attn.compressor.indexer.scorer.weights_proj.weight",
         "layers.7.attn.indexer.weights_proj.weight", NAME_PLAIN, false},
        {"model.layers.7.self_attn.compressor.indexer.weights_proj.weight",
         "layers.7.attn.indexer.weights_proj.weight", NAME_PLAIN, false},
        {"model.layers.7.self_attn.compressor.indexer.gate_proj.weight",
         "layers.7.attn.indexer.compressor.wgate.weight", NAME_PLAIN, false},
        {"model.layers.4.mlp.gate.e_score_correction_bias", "layers.4.ffn.gate.bias", NAME_PLAIN,
         false},
        {"model.layers.4.mlp.experts.gate_up_proj", "layers.4.ffn.experts.%d.w1.weight",
         NAME_GATE_UP, false},
        {"model.layers.4.mlp.experts.gate_up_proj_scale_inv", "layers.4.ffn.experts.%d.w1.weight",
         NAME_GATE_UP, true},
        {"model.layers.4.mlp.experts.down_proj", "layers.4.ffn.experts.%d.w2.weight", NAME_EXPERTS,
         false},
        {"model.layers.4.mlp.experts.17.up_proj.weight", "layers.4.ffn.experts.17.w3.weight",
         NAME_PLAIN, false},
        {"mtp.0.emb.tok_emb.weight", "mtp.0.emb.tok_emb.weight", NAME_IGNORED, false},
        {"mtp.2.head.weight", "mtp.2.head.weight", NAME_IGNORED, false},
        {"layers.1.ffn.gate.bias_vl", "layers.1.ffn.gate.bias_vl", NAME_IGNORED, false},
        {"vision.blocks.0.weight", "vision.blocks.0.weight", NAME_PLAIN, false},
        {"model.layers.01.input_layernorm.weight", "model.layers.01.input_layernorm.weight",
         NAME_PLAIN, false},
        {"model.layers.3.unheard.of", "model.layers.3.unheard.of", NAME_PLAIN, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct name n;
        assert_true(name_from_safetensors(&n, cases[i].stored));
        assert_string_equal(n.official, cases[i].official);
        assert_int_equal(n.kind, cases[i].kind);
        assert_int_equal(n.scale, cases[i].scale);
    }
}

static void gguf_names_become_official(void **state)
{
    (void)state;
    static const struct {
        const char *stored, *official;
        enum name_kind kind;
    } cases[] = {
        {"token_embd.weight", "embed.weight", NAME_PLAIN},
        {"output_hc_base.weight", "hc_head_base", NAME_PLAIN},
        {"blk.2.attn_sinks.weight", "layers.2.attn.attn_sink", NAME_PLAIN},
        {"blk.2.exp_probs_b.bias", "layers.2.ffn.gate.bias", NAME_PLAIN},
        {"blk.2.ffn_down_exps.weight", "layers.2.ffn.experts.%d.w2.weight", NAME_EXPERTS},
        {"blk.2.indexer.attn_q_b.weight", "layers.2.attn.indexer.wq_b.weight", NAME_PLAIN},
        {"blk.5.attn_q_a.weight", "mtp.0.attn.wq_a.weight", NAME_PLAIN},
        {"blk.5.ffn_up_exps.weight", "mtp.0.ffn.experts.%d.w3.weight", NAME_EXPERTS},
        {"blk.5.nextn.eh_proj.weight", "mtp.0.e_proj.weight", NAME_EH_PROJ},
        {"blk.5.nextn.shared_head_norm.weight", "mtp.0.norm.weight", NAME_PLAIN},
        {"blk.5.nextn.hc_head_fn.weight", "mtp.0.hc_head_fn", NAME_PLAIN},
        {"mtp.0.hc_head_fn.weight", "mtp.0.hc_head_fn", NAME_PLAIN},
        {"mtp.0.attn_q_a.weight", "mtp.0.attn.wq_a.weight", NAME_PLAIN},
        {"mtp.0.enorm.weight", "mtp.0.enorm.weight", NAME_PLAIN},
        {"rope_freqs.weight", "rope_freqs.weight", NAME_PLAIN},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct name n;
        assert_true(name_from_gguf(&n, cases[i].stored, 5));
        assert_string_equal(n.official, cases[i].official);
        assert_int_equal(n.kind, cases[i].kind);
        assert_false(n.scale);
    }
}

static int check_round_trip(void *ctx, const struct official_tensor *t)
{
    int n_layers = *(int *)ctx;
    char gguf[NAME_MAX_SIZE], back[NAME_MAX_SIZE];
    struct name n;
    int expert = -1;
    if (t->scale) return 0;
    assert_true(name_to_gguf(gguf, t->name, n_layers));
    assert_true(name_from_gguf(&n, gguf, n_layers));
    const char *at = strstr(t->name, ".experts.");
    if (at) expert = (int)strtol(at + 9, NULL, 10);
    assert_int_equal(n.kind, at ? NAME_EXPERTS : NAME_PLAIN);
    if (at)
        name_of_expert(back, n.official, expert);
    else
        snprintf(back, sizeof back, "%s", n.official);
    assert_string_equal(back, t->name);
    return 0;
}

static void every_official_name_survives_gguf(void **state)
{
    (void)state;
    static const char *const paths[] = {"tests/golden/alpha/config.json",
                                        "tests/golden/beta/config.json"};
    for (int i = 0; i < 2; i++) {
        struct config c;
        struct err err = {0};
        json_t *root;
        assert_int_equal(json_parse_file(&root, paths[i], 1 << 20, &err), 0);
        assert_int_equal(config_from_json(&c, "config", root, &err), 0);
        json_decref(root);
        assert_int_equal(official_each(&c, (struct official_options){.mtp = true}, check_round_trip,
                                       &c.n_layers),
                         0);
    }
}

static void names_too_long_are_refused(void **state)
{
    (void)state;
    char name[400] = "model.layers.1.";
    struct name n;
    memset(name + strlen(name), 'x', sizeof name - 1 - strlen(name));
    name[sizeof name - 1] = 0;
    assert_false(name_from_safetensors(&n, name));
    assert_false(name_from_gguf(&n, name, 3));
    memcpy(name + sizeof name - 7, ".scale", 7);
    assert_false(name_from_safetensors(&n, name));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(transformers_names_become_official),
        cmocka_unit_test(gguf_names_become_official),
        cmocka_unit_test(every_official_name_survives_gguf),
        cmocka_unit_test(names_too_long_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
