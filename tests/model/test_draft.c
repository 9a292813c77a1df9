/* Drafts: MTP run alone gives what it gives beside the main pass, and rows that are taken back leave no
 * trace. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../format/alloc_watch.h"
#include "../support/golden.h"
#include "base/mem.h"

static const char *const models[] = {"tests/golden/zeta", "tests/golden/alpha",
                                     "tests/golden/beta"};
enum { N_MODELS = sizeof models / sizeof *models, LENGTH = 300, MAX_BACK = 3 };

/* Ends of entries, of overlaps, of windows and pages. */
static const int boundaries[] = {1, 2, 3, 7, 8, 15, 126, 127, 128, 255, 256};
enum { N_BOUNDARIES = sizeof boundaries / sizeof *boundaries };

static void fill(int32_t *tokens, int n, int vocab, uint32_t seed)
{
    for (int i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        tokens[i] = (int32_t)((seed >> 8) % (uint32_t)vocab);
    }
}

static void forward(struct bench_model *b, struct kv *kv, const int32_t *tokens, int n,
                    struct model_output *out)
{
    struct model_input in = {kv, tokens, n, out->logits ? n : 0};
    struct err err = {0};
    if (model_forward(b->model, &in, 1, out, NULL, &err)) fail_msg("%s", err.message);
}

/* Every byte of a state. The caller frees. */
static char *bytes_of(struct bench_model *b, const struct kv *kv, size_t *size)
{
    const struct kv_layout *l = model_layout(b->model);
    int n_pages = kv_n_pages(kv);
    *size = l->live_bytes + (size_t)n_pages * l->page_bytes;
    char *bytes = xmalloc(*size);
    kv_read(kv, KV_LIVE, 0, bytes, l->live_bytes);
    for (int i = 0; i < n_pages; i++)
        kv_read(kv, i, 0, bytes + l->live_bytes + (size_t)i * l->page_bytes, l->page_bytes);
    return bytes;
}

static void assert_same_state(struct bench_model *b, const struct kv *x, const struct kv *y,
                              const char *what, int at)
{
    size_t nx, ny;
    char *bx = bytes_of(b, x, &nx), *by = bytes_of(b, y, &ny);
    assert_int_equal(kv_length(x), kv_length(y));
    if (nx != ny || memcmp(bx, by, nx) != 0) fail_msg("%s at %d: another state", what, at);
    free(bx);
    free(by);
}

/* A step of tokens[at] and n guesses, all but n_good of which are taken back. */
static void step_and_back(struct bench_model *b, struct kv *kv, const int32_t *tokens, int at,
                          int n, int n_good)
{
    int width = model_config(b->model)->hc_mult * model_config(b->model)->dim;
    int32_t rows[1 + MAX_BACK];
    float *logits = xmalloc((size_t)(1 + n) * (size_t)b->vocab * sizeof *logits);
    float *streams = xmalloc((size_t)(1 + n) * (size_t)width * sizeof *streams);
    struct model_output out = {.logits = logits, .streams = streams};
    struct kv_undo *undo = NULL;
    struct err err = {0};
    for (int i = 0; i <= n; i++)
        rows[i] = i <= n_good ? tokens[at + i] : (tokens[at + i] + 1) % b->vocab;
    if (kv_undo_new(&undo, b->pool, n, &err) || kv_reserve(kv, 1 + n, &err))
        fail_msg("%s", err.message);
    kv_undo_keep(undo, kv, at + 1, n);
    forward(b, kv, rows, 1 + n, &out);
    if (n_good < n)
        kv_undo_back(undo, kv, at + 1 + n_good, streams + (size_t)n_good * (size_t)width);
    kv_undo_free(undo);
    free(logits);
    free(streams);
}

static void check_back(const char *model, enum numeric_mode mode, int mtp)
{
    struct bench_model b = model_for_test(model, mode, 2, NULL, mtp);
    int32_t tokens[LENGTH];
    int most = kv_undo_rows(model_layout(b.model)) - 1;
    fill(tokens, LENGTH, b.vocab, 1);
    struct model_output none = {0};
    struct kv *before = kv_new(b.pool); /* must not notice what its forks do */
    for (int s = 0, at = 0; s < N_BOUNDARIES; s++) {
        forward(&b, before, tokens + at, boundaries[s] - at, &none);
        at = boundaries[s];
        for (int n = 1; n <= MAX_BACK && n <= most; n += 2)
            for (int n_good = 0; n_good <= n; n_good++) {
                struct kv *want = kv_fork(before), *got = kv_fork(before);
                forward(&b, want, tokens + at, 1 + n_good, &none);
                step_and_back(&b, got, tokens, at, n, n_good);
                assert_same_state(&b, got, want, model, at);
                forward(&b, got, tokens + at + 1 + n_good, 9, &none);
                forward(&b, want, tokens + at + 1 + n_good, 9, &none);
                assert_same_state(&b, got, want, model, at + 9);
                kv_free(want);
                kv_free(got);
            }
    }
    struct kv *fresh = kv_new(b.pool);
    forward(&b, fresh, tokens, kv_length(before), &none);
    assert_same_state(&b, before, fresh, "what the forks came from", kv_length(before));
    kv_free(fresh);
    kv_free(before);
    assert_int_equal(kv_pool_used(b.pool), 0);
    model_done(&b);
}

static void rows_taken_back_leave_no_trace(void **state)
{
    (void)state;
    check_back("tests/golden/alpha", MODE_DEFAULT, 1);
#ifndef TENON_SANITIZED
    for (int i = 0; i < N_MODELS; i++) {
        check_back(models[i], MODE_DEFAULT, 1);
        check_back(models[i], MODE_DEFAULT, 0);
    }
    check_back("tests/golden/alpha", MODE_FLOAT, 1);
    check_back("tests/golden/alpha", MODE_F32_ACTS, 1);
#endif
}

/* Also: the state stays as it was, several sequences at once, and a forward pass whose MTP logits nobody
 * wants leaves the state of one whose logits are wanted. */
static void a_draft_is_what_the_main_pass_says_of_the_pair(void **state)
{
    (void)state;
    static const enum numeric_mode modes[] = {MODE_DEFAULT, MODE_F32_ACTS, MODE_FLOAT};
    for (int m = 0; m < 3; m++) {
        struct bench_model b = model_for_test(models[m], modes[m], 2, NULL, 1);
        size_t v = (size_t)b.vocab;
        int32_t tokens[LENGTH];
        fill(tokens, LENGTH, b.vocab, 5);
        float *mtp = xmalloc(LENGTH * v * sizeof *mtp),
              *got = xmalloc(N_BOUNDARIES * v * sizeof *got);
        struct model_draft in[N_BOUNDARIES];
        struct kv *kv[N_BOUNDARIES], *whole = kv_new(b.pool);
        struct model_output want = {.mtp_logits = mtp}, none = {0};
        struct err err = {0};
        forward(&b, whole, tokens, LENGTH, &want);
        for (int i = 0; i < N_BOUNDARIES; i++) {
            kv[i] = kv_new(b.pool);
            forward(&b, kv[i], tokens, boundaries[i], &none);
            in[i] = (struct model_draft){kv[i], tokens[boundaries[i]]};
        }
        for (int round = 0; round < 2; round++) {
            if (model_draft(b.model, in, N_BOUNDARIES, got, &err)) fail_msg("%s", err.message);
            for (int i = 0; i < N_BOUNDARIES; i++)
                assert_memory_equal(got + (size_t)i * v, mtp + (size_t)(boundaries[i] - 1) * v,
                                    v * sizeof *got);
        }
        for (int i = 0; i < N_BOUNDARIES; i++) {
            forward(&b, kv[i], tokens + boundaries[i], LENGTH - boundaries[i], &none);
            assert_same_state(&b, kv[i], whole, models[m], boundaries[i]);
            kv_free(kv[i]);
        }
        kv_free(whole);
        free(mtp);
        free(got);
        model_done(&b);
    }
}

static void drafts_of_foreign_tokens_are_refused(void **state)
{
    (void)state;
    struct bench_model b = model_for_test(models[0], MODE_DEFAULT, 1, NULL, 1);
    float *logits = xmalloc((size_t)b.vocab * sizeof *logits);
    struct kv *kv = kv_new(b.pool);
    struct model_output none = {0};
    struct err err = {0};
    forward(&b, kv, (int32_t[]){1, 2}, 2, &none);
    assert_int_equal(model_draft(b.model, &(struct model_draft){kv, b.vocab}, 1, logits, &err), -1);
    assert_int_equal(err.code, ERR_ARGUMENT);
    kv_free(kv);
    free(logits);
    model_done(&b);
}

static void a_warm_draft_allocates_nothing(void **state)
{
    (void)state;
    struct bench_model b = model_for_test("tests/golden/alpha", MODE_DEFAULT, 2, NULL, 1);
    int width = model_config(b.model)->hc_mult * model_config(b.model)->dim;
    float *logits = xmalloc(2 * (size_t)b.vocab * sizeof *logits);
    float *streams = xmalloc(2 * (size_t)width * sizeof *streams);
    struct model_output out = {.logits = logits, .streams = streams};
    struct kv *kv = kv_new(b.pool);
    struct kv_undo *undo = NULL;
    struct err err = {0};
    int32_t tokens[140];
    fill(tokens, 140, b.vocab, 3);
    forward(&b, kv, tokens, 140, &(struct model_output){0});
    if (kv_undo_new(&undo, b.pool, 1, &err)) fail_msg("%s", err.message);
    for (int i = 0; i < 20; i++) {
        if (i == 2) alloc_watch_start();
        int at = kv_length(kv);
        if (model_draft(b.model, &(struct model_draft){kv, 5}, 1, logits, &err) ||
            kv_reserve(kv, 2, &err))
            fail_msg("%s", err.message);
        kv_undo_keep(undo, kv, at + 1, 1);
        forward(&b, kv, tokens + i, 2, &out);
        if (i % 3 == 0) kv_undo_back(undo, kv, at + 1, streams);
    }
    assert_int_equal(alloc_watch_stop(), 0);
    kv_undo_free(undo);
    kv_free(kv);
    free(logits);
    free(streams);
    model_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_taken_back_leave_no_trace),
        cmocka_unit_test(a_draft_is_what_the_main_pass_says_of_the_pair),
        cmocka_unit_test(drafts_of_foreign_tokens_are_refused),
        cmocka_unit_test(a_warm_draft_allocates_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
