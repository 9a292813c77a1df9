/* Session state as a value: forks, rollbacks and copies through the host give the bits of a fresh run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../support/golden.h"
#include "base/mem.h"

static const char *const models[] = {"tests/golden/zeta", "tests/golden/alpha",
                                     "tests/golden/beta"};
enum { N_MODELS = sizeof models / sizeof *models, LENGTH = 300 };

static void fill(int32_t *tokens, int n, int vocab, uint32_t seed)
{
    for (int i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        tokens[i] = (int32_t)((seed >> 8) % (uint32_t)vocab);
    }
}

/* Boundaries named by the V4 spec: ends of entries, of overlaps, of windows and pages. */
static const int boundaries[] = {1, 3, 4, 5, 8, 15, 16, 17, 127, 128, 129, 131, 255, 256, 257};
enum { N_BOUNDARIES = sizeof boundaries / sizeof *boundaries };

static void rollback_to_any_snapshot_equals_fresh(void **state)
{
    (void)state;
    for (int i = 0; i < N_MODELS; i++) {
        struct bench_model b = model_for_test(models[i], MODE_DEFAULT, 2, NULL, 1);
        size_t v = (size_t)b.vocab, row = v * sizeof(float);
        int32_t tokens[LENGTH], other[LENGTH];
        fill(tokens, LENGTH, b.vocab, 1);
        fill(other, LENGTH, b.vocab, 2);
        float *fresh = xmalloc(LENGTH * row), *got = xmalloc(row);
        run_logits(&b, tokens, LENGTH, LENGTH, fresh, NULL);

        struct kv *kv = kv_new(b.pool), *snapshot[N_BOUNDARIES];
        for (int s = 0, at = 0; s < N_BOUNDARIES; at = boundaries[s++]) {
            feed(&b, kv, tokens + at, boundaries[s] - at, got);
            assert_memory_equal(got, fresh + (size_t)(boundaries[s] - 1) * v, row);
            snapshot[s] = kv_fork(kv);
        }
        /* A wrong continuation over everything that the snapshots share. */
        feed(&b, kv, other, 200, got);
        kv_free(kv);
        for (int s = N_BOUNDARIES - 1; s >= 0; s--) {
            struct kv *again = kv_fork(snapshot[s]);
            int at = boundaries[s];
            feed(&b, again, other, 37, got); /* spoils a fork, not the snapshot */
            kv_free(again);
            feed(&b, snapshot[s], tokens + at, 20, got);
            assert_memory_equal(got, fresh + (size_t)(at + 19) * v, row);
            kv_free(snapshot[s]);
        }
        assert_int_equal(kv_pool_used(b.pool), 0);
        free(fresh);
        free(got);
        model_done(&b);
    }
}

static void copy_through_the_host_equals_fresh(void **state)
{
    (void)state;
    for (int i = 0; i < N_MODELS; i++) {
        struct bench_model b = model_for_test(models[i], MODE_DEFAULT, 2, NULL, 1);
        const struct kv_layout *l = model_layout(b.model);
        size_t row = (size_t)b.vocab * sizeof(float);
        int32_t tokens[LENGTH];
        fill(tokens, LENGTH, b.vocab, 3);
        float *want = xmalloc(row), *got = xmalloc(row);
        char *bytes = xmalloc(l->live_bytes > l->page_bytes ? l->live_bytes : l->page_bytes);
        for (int s = 0; s < N_BOUNDARIES; s++) {
            int at = boundaries[s];
            struct kv *kv = kv_new(b.pool), *copy;
            struct err err = {0};
            feed(&b, kv, tokens, at, got);
            assert_int_equal(kv_import(&copy, b.pool, at, &err), 0);
            kv_read(kv, KV_LIVE, 0, bytes, l->live_bytes);
            kv_write(copy, KV_LIVE, 0, bytes, l->live_bytes);
            for (int p = 0; p < kv_n_pages(kv); p++) {
                kv_read(kv, p, 0, bytes, l->page_bytes);
                kv_write(copy, p, 0, bytes, l->page_bytes);
            }
            feed(&b, kv, tokens + at, 33, want);
            feed(&b, copy, tokens + at, 33, got);
            assert_memory_equal(want, got, row);
            kv_free(kv);
            kv_free(copy);
        }
        free(bytes);
        free(want);
        free(got);
        model_done(&b);
    }
}

static void a_full_pool_refuses_and_keeps_the_sequence(void **state)
{
    (void)state;
    struct bench_model b = model_for_test("tests/golden/alpha", MODE_DEFAULT, 1, NULL, 0);
    const struct kv_layout *l = model_layout(b.model);
    struct kv_pool *pool = kv_pool_new(b.backend, l, l->live_bytes + l->page_bytes);
    int32_t tokens[LENGTH];
    fill(tokens, LENGTH, b.vocab, 4);
    float *last = xmalloc((size_t)b.vocab * sizeof *last);
    struct kv *kv = kv_new(pool);
    feed(&b, kv, tokens, 100, last);

    struct model_input in = {kv, (int *)tokens + 100, 60, 1};
    struct model_output out = {.logits = last};
    struct err err = {0};
    assert_int_equal(model_forward(b.model, &in, 1, &out, NULL, &err), -1);
    assert_int_equal(err.code, ERR_LIMIT);
    assert_int_equal(kv_length(kv), 100);
    feed(&b, kv, tokens + 100, 28, last); /* what fits still works */

    kv_free(kv);
    kv_pool_free(pool);
    free(last);
    model_done(&b);
}

static void a_token_outside_the_vocabulary_is_refused(void **state)
{
    (void)state;
    struct bench_model b = model_for_test("tests/golden/zeta", MODE_DEFAULT, 1, NULL, 0);
    struct kv *kv = kv_new(b.pool);
    int bad[] = {-1, b.vocab, 1 << 30};
    for (int i = 0; i < 3; i++) {
        struct model_input in = {kv, &bad[i], 1, 0};
        struct model_output out = {0};
        struct err err = {0};
        assert_int_equal(model_forward(b.model, &in, 1, &out, NULL, &err), -1);
        assert_int_equal(err.code, ERR_ARGUMENT);
    }
    kv_free(kv);
    model_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rollback_to_any_snapshot_equals_fresh),
        cmocka_unit_test(copy_through_the_host_equals_fresh),
        cmocka_unit_test(a_full_pool_refuses_and_keeps_the_sequence),
        cmocka_unit_test(a_token_outside_the_vocabulary_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
