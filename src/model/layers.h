/* The weights of DeepSeek-V4 by part of the paper, and the passes over them. Private to model/.
 * Names: official tensor names without ".weight" (spec deepseek-v4, section 8). */
#pragma once
#include "model/model.h"
#include "ops/backend.h"

struct compressor {
    struct weight *ape, *wkv, *wgate, *norm;
};

struct attention {
    struct weight *wq_a, *q_norm, *wq_b, *wkv, *kv_norm, *wo_a, *wo_b, *sink;
    struct compressor compressor;                   /* R > 0 */
    struct weight *index_wq_b, *index_weights_proj; /* R = 4 */
    struct compressor index_compressor;
};

struct hyper_weights {
    struct weight *fn, *base, *scale;
};

struct moe {
    struct weight *gate, *bias, *table; /* bias or table */
    struct expert *experts;             /* [E] */
    struct expert shared;
};

struct layer {
    struct hyper_weights hc_attn, hc_ffn;
    struct weight *attn_norm, *ffn_norm;
    struct attention attn;
    struct moe moe;
    const struct layer_kv *kv;
    const struct rope *rope; /* of the whole layer */
    int rope_kind;           /* index into the step's tables */
};

struct mtp {
    struct layer block;
    struct weight *e_proj, *h_proj, *enorm, *hnorm, *norm;
    struct hyper_weights hc_head;
};

enum { ROPE_PLAIN, ROPE_YARN, ROPE_KINDS };

/* Memory of a forward pass that outlives it, so that a step allocates nothing once warm. */
struct pass {
    int cap_rows, cap_seqs;
    int *tokens, *pos, *seq, *logit_rows;
    int *mtp_tokens, *mtp_pos, *mtp_seq, *mtp_row;
    struct step_seq *seqs, *mtp_seqs;
    int *mtp_last;
};

struct model {
    struct config config;
    struct backend *backend;
    struct kv_layout layout;
    struct weight *embed, *norm, *head;
    struct hyper_weights hc_head;
    struct layer *layers; /* [n_layers] */
    struct mtp *mtp;      /* NULL without */
    struct rope rope[ROPE_KINDS];
    struct pass pass;
    struct weight **all; /* every loaded weight, for model_close */
    int n_all;
    struct reader *readers; /* of deferred weights; NULL where all are loaded */
    size_t bytes, bytes_per_token;
};

/* Loads every weight that m->config asks for, or leaves routed experts to the backend's cache
 * (bind.c). */
MUST_USE int model_bind(struct model *m, const struct weights *w,
                        const struct model_options *options, struct err *err);

/* What m->config asks for in bytes of b (bind.c). */
MUST_USE int model_add_up(struct model *m, struct backend *b, const struct weights *w,
                          struct model_size *out, struct err *err);

/* The same checks, loading nothing (bind.c). */
MUST_USE int model_list(struct model *m, const struct weights *w, struct err *err);

/* Frequencies of both rope kinds (rope.c). */
void model_rope_init(struct model *m);

/* One layer over the step's rows: h [T, n D] in place; cs[kind] are the rope tables of the rows.
 * keep false: the ring stays as it is; for a layer without compression, whose state is the ring alone. */
void layer_forward(struct step *s, const struct config *c, const struct layer *l, struct tensor *h,
                   const struct tensor cs[ROPE_KINDS], bool keep);

/* Only what layer_forward leaves in the ring of a layer without compression: for when nobody wants its
 * output. */
void layer_keep_rows(struct step *s, const struct config *c, const struct layer *l,
                     const struct tensor *h, const struct tensor cs[ROPE_KINDS]);

/* The mixing parameters of a hyper-connection as ops take them. */
struct hyper hyper_of(const struct config *c, const struct hyper_weights *w);
