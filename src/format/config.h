/* The shape of a DeepSeek-V4 model, read from any of its three spellings: Hugging Face config.json,
 * DeepSeek's inference/config.json, and GGUF metadata.
 * Source: docs/spec/deepseek-v4.md, section 1. Letters as there. */
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum { CONFIG_MAX_LAYERS = 256 };

struct config {
    int vocab;    /* V, logit width */
    int dim;      /* D */
    int n_layers; /* without MTP */
    int n_heads;  /* H */
    int head_dim; /* d */
    int rope_dim; /* r, the last r of the d values rotate; even */
    int q_lora;
    int o_groups;                 /* G */
    int o_lora;                   /* per group */
    int window;                   /* raw rows visible, the token itself included */
    int ratio[CONFIG_MAX_LAYERS]; /* R per layer: 0 window only, 4 CSA, 128 HCA */
    int index_heads;
    int index_dim; /* power of two */
    int index_topk;
    int n_experts;     /* E, routed */
    int n_used;        /* k, experts per token */
    int n_shared;      /* 0 or 1 */
    int expert_dim;    /* I, routed and shared */
    int n_hash_layers; /* the first layers route by tid2eid[token] */
    float route_scale;
    float swiglu_limit; /* INFINITY when absent */
    int hc_mult;        /* streams, 4 */
    int hc_iters;       /* Sinkhorn */
    float hc_eps;
    float norm_eps;
    double rope_theta;     /* layers with R = 0 and MTP */
    double compress_theta; /* layers with R > 0, with YaRN */
    double yarn_factor, yarn_beta_fast, yarn_beta_slow;
    int yarn_original; /* original_max_position_embeddings */
    int max_positions;
    int n_mtp;    /* MTP blocks announced: 0 or 1; the tensors decide */
    int bos, eos; /* token ids, < vocab */
};

/* Reads either JSON spelling (told apart by "hidden_size" against "dim"). Every field is range-
 * checked (positive dims, consistent ratios, ...); an unknown model_type or a scoring function other
 * than sqrtsoftplus is ERR_UNSUPPORTED by name. `what` names the source in errors.
 * Absent fields take the values that every published V4 has (spec section 1), except for shapes,
 * which must be there. */
MUST_USE int config_from_json(struct config *c, const char *what, const json_t *root,
                              struct err *err);

struct gguf;

/* Reads GGUF metadata: architecture "deepseek4", keys "deepseek4.*", and the tokenizer's vocabulary
 * size and bos and eos ids. Errors and absent fields as above. */
MUST_USE int config_from_gguf(struct config *c, const char *what, const struct gguf *g,
                              struct err *err);

/* The checks alone, for a config made elsewhere. */
MUST_USE int config_check(const struct config *c, const char *what, struct err *err);

/* Canonical form for the model digest: keys sorted, no spaces. The caller frees. */
char *config_canonical(const struct config *c);
