#include "bits.h"

#include <stdio.h>
#include <stdlib.h>

#include "cpu/cpu.h"
#include "model/model.h"

enum { N_TOKENS = 170, CHUNK = 61 };

/* Every part of V4: window, CSA with a real selection, HCA, hash routing, MTP; widths that are no
 * multiple of 128. */
static struct config small_config(void)
{
    return (struct config){.vocab = 80,
                           .dim = 96,
                           .n_layers = 4,
                           .n_heads = 4,
                           .head_dim = 96,
                           .rope_dim = 32,
                           .q_lora = 64,
                           .o_groups = 2,
                           .o_lora = 32,
                           .window = 16,
                           .ratio = {0, 4, 128, 4},
                           .index_heads = 4,
                           .index_dim = 64,
                           .index_topk = 8,
                           .n_experts = 8,
                           .n_used = 3,
                           .n_shared = 1,
                           .expert_dim = 64,
                           .n_hash_layers = 1,
                           .route_scale = 1.5f,
                           .swiglu_limit = 2.0f,
                           .hc_mult = 4,
                           .hc_iters = 20,
                           .hc_eps = 1e-6f,
                           .norm_eps = 1e-6f,
                           .rope_theta = 10000,
                           .compress_theta = 160000,
                           .yarn_factor = 16,
                           .yarn_beta_fast = 32,
                           .yarn_beta_slow = 1,
                           .yarn_original = 65536,
                           .max_positions = 1 << 20,
                           .n_mtp = 1,
                           .bos = 0,
                           .eos = 1};
}

static void digest_op(void *ctx, struct step *s, enum op op, const struct tensor *out,
                      const struct itensor *ints)
{
    struct digest *d = (struct digest *)ctx + op;
    (void)s;
    if (out) digest_add(d, out->data, (size_t)out->rows * (size_t)out->cols * sizeof *out->data);
    /* The ids of select are valid up to each row's count only: attend's output stands for them. */
    if (ints && op == OP_ROUTE)
        digest_add(d, ints->data, (size_t)ints->rows * (size_t)ints->cols * sizeof *ints->data);
}

static void must(int rc, const struct err *err)
{
    if (!rc) return;
    fprintf(stderr, "%s\n", err->message);
    exit(1);
}

static void run_tokens(struct model *m, struct backend *b, struct digest op[OP_COUNT],
                       struct digest out[2])
{
    const struct config *c = model_config(m);
    struct kv_pool *pool = kv_pool_new(b, model_layout(m), 0);
    struct kv *kv = kv_new(pool);
    struct observer observer = {digest_op, op};
    struct err err = {0};
    static int tokens[N_TOKENS];
    static float logits[2][CHUNK * 80];
    for (int i = 0; i < N_TOKENS; i++)
        tokens[i] = (int)(noise(77, (uint64_t)i) % (uint64_t)c->vocab);
    for (int at = 0; at < N_TOKENS; at += CHUNK) {
        int n = N_TOKENS - at < CHUNK ? N_TOKENS - at : CHUNK;
        struct model_input in = {kv, tokens + at, n, n};
        struct model_output o = {.logits = logits[0], .mtp_logits = logits[1]};
        must(model_forward(m, &in, 1, &o, &observer, &err), &err);
        digest_add(&out[0], logits[0], (size_t)n * (size_t)c->vocab * sizeof(float));
        digest_add(&out[1], logits[1], (size_t)o.n_mtp * (size_t)c->vocab * sizeof(float));
    }
    kv_free(kv);
    kv_pool_free(pool);
}

void bits_of_forward(enum numeric_mode mode, const char *isa, int threads)
{
    static const char *const names[] = {"default", "f32", "float"};
    struct config config = small_config();
    struct backend *b;
    struct model *m;
    struct err err = {0};
    struct digest op[OP_COUNT], out[2] = {digest_new(), digest_new()};
    for (int i = 0; i < OP_COUNT; i++)
        op[i] = digest_new();

    struct weights *w = weights_noise(&config);
    must(cpu_open(&b, mode, threads, isa, &err), &err);
    must(model_open(&m, b, w, &(struct model_options){.mtp = true}, &err), &err);
    run_tokens(m, b, op, out);
    model_close(m);
    b->close(b);
    weights_noise_free(w);

    char name[64];
    for (int i = 0; i < OP_COUNT; i++) {
        if (i == OP_SELECT || i == OP_ROWS_KEEP) continue; /* attend stands for both */
        snprintf(name, sizeof name, "%s %s", names[mode], op_name((enum op)i));
        digest_print(&op[i], name);
    }
    snprintf(name, sizeof name, "%s logits", names[mode]);
    digest_print(&out[0], name);
    snprintf(name, sizeof name, "%s mtp logits", names[mode]);
    digest_print(&out[1], name);
}
