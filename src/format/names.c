#include "format/names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

struct row {
    const char *official, *hf, *gguf; /* NULL: no such spelling */
};

/* clang-format off */
static const struct row top_rows[] = {
    {"embed.weight",  "model.embed_tokens.weight", "token_embd.weight"},
    {"norm.weight",   "model.norm.weight",         "output_norm.weight"},
    {"head.weight",   "lm_head.weight",            "output.weight"},
    {"hc_head_fn",    "model.hc_head.hc_fn",       "output_hc_fn.weight"},
    {"hc_head_base",  "model.hc_head.hc_base",     "output_hc_base.weight"},
    {"hc_head_scale", "model.hc_head.hc_scale",    "output_hc_scale.weight"},
    {0},
};

#define INDEXER "self_attn.compressor.indexer."
/* After "layers.N.", "model.layers.N." and "blk.N.". The first row of an official name is the one
 * to write. */
static const struct row block_rows[] = {
    {"attn_norm.weight", "input_layernorm.weight",          "attn_norm.weight"},
    {"ffn_norm.weight",  "post_attention_layernorm.weight", "ffn_norm.weight"},
    {"hc_attn_fn",       "attn_hc.fn",                      "hc_attn_fn.weight"},
    {"hc_attn_base",     "attn_hc.base",                    "hc_attn_base.weight"},
    {"hc_attn_scale",    "attn_hc.scale",                   "hc_attn_scale.weight"},
    {"hc_ffn_fn",        "ffn_hc.fn",                       "hc_ffn_fn.weight"},
    {"hc_ffn_base",      "ffn_hc.base",                     "hc_ffn_base.weight"},
    {"hc_ffn_scale",     "ffn_hc.scale",                    "hc_ffn_scale.weight"},
    {"attn.attn_sink",      "self_attn.sinks",           "attn_sinks.weight"},
    {"attn.wq_a.weight",    "self_attn.q_a_proj.weight", "attn_q_a.weight"},
    {"attn.q_norm.weight",  "self_attn.q_a_norm.weight", "attn_q_a_norm.weight"},
    {"attn.wq_b.weight",    "self_attn.q_b_proj.weight", "attn_q_b.weight"},
    {"attn.wkv.weight",     "self_attn.kv_proj.weight",  "attn_kv.weight"},
    {"attn.kv_norm.weight", "self_attn.kv_norm.weight",  "attn_kv_a_norm.weight"},
    {"attn.wo_a.weight",    "self_attn.o_a_proj.weight", "attn_output_a.weight"},
    {"attn.wo_b.weight",    "self_attn.o_b_proj.weight", "attn_output_b.weight"},
    {"attn.compressor.ape",          "self_attn.compressor.position_bias",    "attn_compressor_ape.weight"},
    {"attn.compressor.wkv.weight",   "self_attn.compressor.kv_proj.weight",   "attn_compressor_kv.weight"},
    {"attn.compressor.wgate.weight", "self_attn.compressor.gate_proj.weight", "attn_compressor_gate.weight"},
    {"attn.compressor.norm.weight",  "self_attn.compressor.kv_norm.weight",   "attn_compressor_norm.weight"},
    {"attn.indexer.wq_b.weight",             INDEXER "q_b_proj.weight",            "indexer.attn_q_b.weight"},
    {"attn.indexer.weights_proj.weight",     INDEXER "weights_proj.weight",        "indexer.proj.weight"},
    {"attn.indexer.weights_proj.weight",     INDEXER "scorer.weights_proj.weight", NULL},
    {"attn.indexer.compressor.ape",          INDEXER "position_bias",              "indexer_compressor_ape.weight"},
    {"attn.indexer.compressor.wkv.weight",   INDEXER "kv_proj.weight",             "indexer_compressor_kv.weight"},
    {"attn.indexer.compressor.wgate.weight", INDEXER "gate_proj.weight",           "indexer_compressor_gate.weight"},
    {"attn.indexer.compressor.norm.weight",  INDEXER "kv_norm.weight",             "indexer_compressor_norm.weight"},
    {"ffn.gate.weight",  "mlp.gate.weight",                  "ffn_gate_inp.weight"},
    {"ffn.gate.bias",    "mlp.gate.e_score_correction_bias", "exp_probs_b.bias"},
    {"ffn.gate.tid2eid", "mlp.gate.tid2eid",                 "ffn_gate_tid2eid.weight"},
    {"ffn.experts.%d.w1.weight", "mlp.experts.%d.gate_proj.weight", "ffn_gate_exps.weight"},
    {"ffn.experts.%d.w2.weight", "mlp.experts.%d.down_proj.weight", "ffn_down_exps.weight"},
    {"ffn.experts.%d.w3.weight", "mlp.experts.%d.up_proj.weight",   "ffn_up_exps.weight"},
    {"ffn.shared_experts.w1.weight", "mlp.shared_experts.gate_proj.weight", "ffn_gate_shexp.weight"},
    {"ffn.shared_experts.w2.weight", "mlp.shared_experts.down_proj.weight", "ffn_down_shexp.weight"},
    {"ffn.shared_experts.w3.weight", "mlp.shared_experts.up_proj.weight",   "ffn_up_shexp.weight"},
    {0},
};

/* After "mtp.N." and "blk.(n_layers + N).", besides those of a block. The GGUF spelling without
 * "nextn." is that of separate MTP files. */
static const struct row mtp_rows[] = {
    {"e_proj.weight", NULL, "nextn.e_proj.weight"},
    {"h_proj.weight", NULL, "nextn.h_proj.weight"},
    {"enorm.weight",  NULL, "nextn.enorm.weight"},
    {"hnorm.weight",  NULL, "nextn.hnorm.weight"},
    {"norm.weight",   NULL, "nextn.shared_head_norm.weight"},
    {"hc_head_fn",    NULL, "nextn.hc_head_fn.weight"},
    {"hc_head_base",  NULL, "nextn.hc_head_base.weight"},
    {"hc_head_scale", NULL, "nextn.hc_head_scale.weight"},
    {"hc_head_fn",    NULL, "hc_head_fn.weight"},
    {"hc_head_base",  NULL, "hc_head_base.weight"},
    {"hc_head_scale", NULL, "hc_head_scale.weight"},
    {0},
};
/* clang-format on */

static bool set(char out[NAME_MAX_SIZE], const char *prefix, int index, const char *suffix)
{
    int n = index < 0 ? snprintf(out, NAME_MAX_SIZE, "%s%s", prefix, suffix)
                      : snprintf(out, NAME_MAX_SIZE, "%s%d.%s", prefix, index, suffix);
    return n >= 0 && n < NAME_MAX_SIZE;
}

/* "PREFIX<number>.": the number (below 100000, no leading zero) and what follows; NULL otherwise. */
static const char *after_number(const char *s, const char *prefix, int *number)
{
    size_t n = strlen(prefix), digits;
    if (strncmp(s, prefix, n)) return NULL;
    s += n;
    digits = strspn(s, "0123456789");
    if (digits == 0 || digits > 5 || s[digits] != '.' || (s[0] == '0' && digits > 1)) return NULL;
    *number = (int)strtol(s, NULL, 10);
    return s + digits + 1;
}

static bool ends_with(const char *s, const char *suffix)
{
    size_t n = strlen(s), m = strlen(suffix);
    return n >= m && !strcmp(s + n - m, suffix);
}

/* ---- safetensors ---- */

/* X.scale, X.weight_scale_inv -> X.weight; Y_scale_inv -> Y (stacked experts). The hyper-connections'
 * own "scale" in the transformers spelling is no block scale. */
static bool strip_scale(char out[NAME_MAX_SIZE], const char *stored, bool *scale)
{
    static const struct {
        const char *suffix, *instead;
    } spellings[] = {{".weight_scale_inv", ".weight"},
                     {".scale", ".weight"},
                     {"_proj_scale_inv", "_proj"},
                     {"_proj_scale", "_proj"}};
    *scale = false;
    if (!set(out, stored, -1, "")) return false;
    if (ends_with(stored, "_hc.scale")) return true;
    for (size_t i = 0; i < sizeof spellings / sizeof *spellings && !*scale; i++) {
        if (!ends_with(stored, spellings[i].suffix)) continue;
        size_t n = strlen(stored) - strlen(spellings[i].suffix);
        int size = snprintf(out, NAME_MAX_SIZE, "%.*s%s", (int)n, stored, spellings[i].instead);
        *scale = true;
        if (size >= NAME_MAX_SIZE) return false;
    }
    return true;
}

static bool is_ignored(const char *official)
{
    int n;
    const char *rest = after_number(official, "mtp.", &n);
    if (rest && (!strcmp(rest, "emb.tok_emb.weight") || !strcmp(rest, "head.weight"))) return true;
    return ends_with(official, ".gate.bias_vl");
}

/* The rest of a block's name in the transformers spelling. */
static bool from_hf_block(struct name *out, const char *rest, int layer)
{
    char spelled[NAME_MAX_SIZE];
    int expert = -1;
    if (!strcmp(rest, "mlp.experts.gate_up_proj")) {
        out->kind = NAME_GATE_UP;
        return set(out->official, "layers.", layer, "ffn.experts.%d.w1.weight");
    }
    if (!strcmp(rest, "mlp.experts.down_proj")) {
        out->kind = NAME_EXPERTS;
        return set(out->official, "layers.", layer, "ffn.experts.%d.w2.weight");
    }
    const char *after = after_number(rest, "mlp.experts.", &expert);
    if (after && !set(spelled, "mlp.experts.%d.", -1, after)) return false;
    for (const struct row *r = block_rows; r->official; r++)
        if (r->hf && !strcmp(r->hf, after ? spelled : rest)) {
            char official[NAME_MAX_SIZE];
            if (after)
                name_of_expert(official, r->official, expert);
            else
                set(official, r->official, -1, "");
            return set(out->official, "layers.", layer, official);
        }
    return set(out->official, "model.layers.", layer, rest);
}

bool name_from_safetensors(struct name *out, const char *stored)
{
    char base[NAME_MAX_SIZE];
    int layer;
    *out = (struct name){.kind = NAME_PLAIN};
    if (!strip_scale(base, stored, &out->scale)) return false;
    for (const struct row *r = top_rows; r->official; r++)
        if (!strcmp(base, r->hf)) return set(out->official, r->official, -1, "");
    const char *rest = after_number(base, "model.layers.", &layer);
    if (rest) return from_hf_block(out, rest, layer);
    if (is_ignored(base)) out->kind = NAME_IGNORED;
    return set(out->official, base, -1, "");
}

/* ---- GGUF ---- */

static bool from_gguf_block(struct name *out, const char *prefix, int index, const char *rest)
{
    for (const struct row *r = block_rows; r->official; r++)
        if (r->gguf && !strcmp(rest, r->gguf)) {
            if (strstr(r->official, "%d")) out->kind = NAME_EXPERTS;
            return set(out->official, prefix, index, r->official);
        }
    return false;
}

static bool from_gguf_mtp(struct name *out, int index, const char *rest)
{
    if (!strcmp(rest, "nextn.eh_proj.weight")) {
        out->kind = NAME_EH_PROJ;
        return set(out->official, "mtp.", index, "e_proj.weight");
    }
    if (!strcmp(rest, "nextn.embed_tokens.weight") ||
        !strcmp(rest, "nextn.shared_head_head.weight"))
        out->kind = NAME_IGNORED;
    for (const struct row *r = mtp_rows; r->official; r++)
        if (!strcmp(rest, r->gguf) || !strcmp(rest, r->official))
            return set(out->official, "mtp.", index, r->official);
    return false;
}

bool name_from_gguf(struct name *out, const char *stored, int n_layers)
{
    int index;
    const char *rest;
    *out = (struct name){.kind = NAME_PLAIN};
    for (const struct row *r = top_rows; r->official; r++)
        if (!strcmp(stored, r->gguf)) return set(out->official, r->official, -1, "");
    if ((rest = after_number(stored, "blk.", &index)) != NULL) {
        bool mtp = index >= n_layers;
        if (from_gguf_block(out, mtp ? "mtp." : "layers.", mtp ? index - n_layers : index, rest) ||
            (mtp && from_gguf_mtp(out, index - n_layers, rest)))
            return true;
    } else if ((rest = after_number(stored, "mtp.", &index)) != NULL) {
        if (from_gguf_block(out, "mtp.", index, rest) || from_gguf_mtp(out, index, rest))
            return true;
    }
    return set(out->official, stored, -1, "");
}

/* official, or with the expert's number replaced by %d. */
static bool without_expert(char out[NAME_MAX_SIZE], const char *rest)
{
    int expert;
    const char *after = after_number(rest, "ffn.experts.", &expert);
    return after ? set(out, "ffn.experts.%d.", -1, after) : set(out, rest, -1, "");
}

static bool find_row(char out[NAME_MAX_SIZE], const struct row *rows, const char *official,
                     int block)
{
    for (const struct row *r = rows; r->official; r++)
        if (r->gguf && !strcmp(r->official, official)) return set(out, "blk.", block, r->gguf);
    return false;
}

bool name_to_gguf(char out[NAME_MAX_SIZE], const char *official, int n_layers)
{
    char key[NAME_MAX_SIZE];
    int index;
    const char *rest;
    for (const struct row *r = top_rows; r->official; r++)
        if (!strcmp(official, r->official)) return set(out, r->gguf, -1, "");
    if ((rest = after_number(official, "layers.", &index)) != NULL)
        return without_expert(key, rest) && find_row(out, block_rows, key, index);
    if ((rest = after_number(official, "mtp.", &index)) != NULL)
        return without_expert(key, rest) && (find_row(out, block_rows, key, n_layers + index) ||
                                             find_row(out, mtp_rows, key, n_layers + index));
    return false;
}

void name_of_expert(char out[NAME_MAX_SIZE], const char *official, int expert)
{
    const char *hole = strstr(official, "%d");
    CHECK(hole, "%s names no expert", official);
    int n = snprintf(out, NAME_MAX_SIZE, "%.*s%d%s", (int)(hole - official), official, expert,
                     hole + 2);
    CHECK(n < NAME_MAX_SIZE, "%s is too long", official);
}
