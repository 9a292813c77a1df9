/* The null backend runs the forward pass of the real models, at their real size, without their bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../format/files.h"
#include "base/json.h"
#include "base/mem.h"
#include "format/checkpoint.h"
#include "model/model.h"
#include "plan/null.h"

struct published {
    const char *folder;
    double gigabytes;            /* of tensors, with MTP */
    double token, token_experts; /* GB read per decoded token */
};

/* Spec deepseek-v4, section 9. */
static const struct published published[] = {{"models/deepseek-v4-flash", 159.61, 11.2, 3.45},
                                             {"models/deepseek-v4-pro", 864.71, 39.7, 12.85}};

static void close_to(double got, double want, double share)
{
    if (got < want * (1 - share) || got > want * (1 + share))
        fail_msg("%.3f, want %.3f", got, want);
}

/* Every tensor of the real model, in files with holes for data. */
static struct weights *open_sparse(struct place *p, const char *folder)
{
    char config_path[128];
    json_t *root;
    struct config c;
    struct err err = {0};
    struct weights *w;
    snprintf(config_path, sizeof config_path, "%s/config.json", folder);
    assert_int_equal(json_parse_file(&root, config_path, 1 << 20, &err), 0);
    assert_int_equal(config_from_json(&c, config_path, root, &err), 0);
    assert_int_equal(json_dump_file(root, place_path(p, "config.json"), 0), 0);
    json_decref(root);
    assert_int_equal(
        checkpoint_write(p->dir, &c, (struct official_options){.mtp = true}, NULL, NULL, &err), 0);
    if (weights_open(&w, p->dir, &err)) fail_msg("%s", err.message);
    return w;
}

static void step(struct model *m, struct kv *kv, int n, int n_logits)
{
    int *tokens = xcalloc((size_t)n, sizeof *tokens);
    float *logits = xcalloc((size_t)n_logits * (size_t)model_config(m)->vocab, sizeof *logits);
    struct model_input in = {kv, tokens, n, n_logits};
    struct model_output out = {.logits = logits};
    struct err err = {0};
    if (model_forward(m, &in, 1, &out, NULL, &err)) fail_msg("%s", err.message);
    free(tokens);
    free(logits);
}

static void the_real_models_bind_and_run_at_full_size(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct place p;
        struct model *m;
        struct err err = {0};
        place_make(&p);
        struct weights *w = open_sparse(&p, published[i].folder);
        struct backend *b = null_open(MODE_DEFAULT);
        if (model_open(&m, b, w, &(struct model_options){.mtp = true}, &err))
            fail_msg("%s", err.message);
        assert_true(model_has_mtp(m));
        close_to((double)model_bytes(m) / 1e9, published[i].gigabytes, 0.001);
        assert_true(mem_peak() < (size_t)2 << 30);
        model_close(m);

        if (model_open(&m, b, w, &(struct model_options){0}, &err)) fail_msg("%s", err.message);
        struct kv_pool *pool = kv_pool_new(b, model_layout(m), 0);
        struct kv *kv = kv_new(pool);
        step(m, kv, 1, 1);
        double token = (double)ledger_total(null_ledger(b)).weight_bytes / 1e9;
        const struct ledger_entry *experts = &null_ledger(b)->op[OP_EXPERTS];
        print_message("%s: %.2f GB per token, experts %.2f with the shared one\n",
                      published[i].folder, token, (double)experts->weight_bytes / 1e9);
        close_to(token, published[i].token, 0.02);
        close_to((double)model_bytes_per_token(m) / 1e9, token, 0.01);
        assert_int_equal(experts->calls, model_config(m)->n_layers);

        /* 512 tokens touch nearly all experts, and cost 512 times the arithmetic of one. */
        uint64_t one = experts->int_ops;
        null_reset(b);
        step(m, kv, 512, 1);
        assert_true(null_ledger(b)->op[OP_EXPERTS].int_ops == 512 * one);
        assert_true((double)null_ledger(b)->op[OP_EXPERTS].weight_bytes >
                    0.8 * published[i].gigabytes * 1e9);
        kv_free(kv);
        kv_pool_free(pool);
        model_close(m);
        b->close(b);
        weights_close(w);
        place_remove(&p);
    }
}

/* The spec's counts of attention and indexer work at position t. */
static void work_grows_with_the_context_as_the_spec_says(void **state)
{
    (void)state;
    struct place p;
    struct model *m;
    struct err err = {0};
    place_make(&p);
    struct weights *w = open_sparse(&p, "models/deepseek-v4-flash");
    struct backend *b = null_open(MODE_DEFAULT);
    if (model_open(&m, b, w, &(struct model_options){0}, &err)) fail_msg("%s", err.message);
    const struct config *c = model_config(m);
    struct kv_pool *pool = kv_pool_new(b, model_layout(m), 0);
    struct kv *kv = kv_new(pool);
    int prompt = 128 * 128 - 1;
    step(m, kv, prompt, 0);
    null_reset(b);
    step(m, kv, 1, 1); /* position 16383 sees 4096 CSA and 128 HCA entries */
    const struct ledger *l = null_ledger(b);
    uint64_t per_key = 4 * (uint64_t)c->n_heads * (uint64_t)c->head_dim, attend = 0, select = 0;
    for (int i = 0; i < c->n_layers; i++) {
        int entries = c->ratio[i] == 4 ? c->index_topk : c->ratio[i] ? 128 : 0;
        attend += per_key * (uint64_t)(c->window + entries);
        if (c->ratio[i] == 4)
            select += 2 * (uint64_t)c->index_heads * (uint64_t)c->index_dim * 4096;
    }
    assert_true(l->op[OP_ATTEND].float_ops == attend);
    assert_true(l->op[OP_SELECT].int_ops == select);
    kv_free(kv);
    kv_pool_free(pool);
    model_close(m);
    b->close(b);
    weights_close(w);
    place_remove(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_real_models_bind_and_run_at_full_size),
        cmocka_unit_test(work_grows_with_the_context_as_the_spec_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
