/* What a cache keeps is counted, and memory that is out is an error, not an end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../support/golden.h"
#include "engine/session.h"

enum { LENGTH = 300 };

static void feed_some(struct bench_model *b, struct kv *kv, int n)
{
    int32_t tokens[LENGTH];
    float *last = malloc((size_t)b->vocab * sizeof *last);
    for (int i = 0; i < n; i++)
        tokens[i] = i * 7 % b->vocab;
    feed(b, kv, tokens, n, last);
    free(last);
}

static void each_kept_block_counts_once(void **state)
{
    (void)state;
    struct bench_model b = model_for_test("tests/golden/zeta", MODE_DEFAULT, 1, NULL, 1);
    size_t live = model_layout(b.model)->live_bytes, page = model_layout(b.model)->page_bytes;
    struct kv *kv = kv_new(b.pool);
    feed_some(&b, kv, 200);
    struct kv *first = kv_fork(kv), *twin = kv_fork(kv);
    assert_int_equal(kv_bytes(first), live + 2 * page);
    assert_int_equal(kv_keep_bytes(first), live + 2 * page);
    kv_keep(first);
    assert_int_equal(kv_pool_kept(b.pool), live + 2 * page);
    assert_int_equal(kv_keep_bytes(twin), 0);
    kv_keep(twin);
    assert_int_equal(kv_pool_kept(b.pool), live + 2 * page);
    assert_int_equal(kv_kept_alone(twin), 0);
    kv_free(twin);
    assert_int_equal(kv_kept_alone(first), live + 2 * page);

    feed_some(&b, kv, 100); /* copies the live block and the page that is half full */
    struct kv *longer = kv_fork(kv);
    assert_int_equal(kv_keep_bytes(longer), live + 2 * page);
    kv_keep(longer);
    assert_int_equal(kv_pool_kept(b.pool), 2 * live + 4 * page);
    assert_int_equal(kv_kept_alone(longer), live + 2 * page);
    assert_int_equal(kv_kept_alone(first), live + page);
    kv_free(first);
    assert_int_equal(kv_pool_kept(b.pool), live + 3 * page);
    kv_free(longer);
    assert_int_equal(kv_pool_kept(b.pool), 0);
    kv_free(kv);
    model_done(&b);
}

#ifndef TENON_SANITIZED

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
void *__libc_memalign(size_t to, size_t size);

static int left = -1; /* requests that succeed yet; -1: all */

static int is_refused(void)
{
    if (left < 0) return 0;
    if (left == 0) return 1;
    left--;
    return 0;
}

void *malloc(size_t size)
{
    return is_refused() ? NULL : __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
    return is_refused() ? NULL : __libc_calloc(n, size);
}

void *realloc(void *p, size_t size)
{
    return is_refused() ? NULL : __libc_realloc(p, size);
}

void *aligned_alloc(size_t to, size_t size)
{
    return is_refused() ? NULL : __libc_memalign(to, size);
}

/* Every request in turn is the first that fails, and all behind it. */
static void a_fork_without_memory_is_none(void **state)
{
    (void)state;
    struct bench_model b = model_for_test("tests/golden/zeta", MODE_DEFAULT, 1, NULL, 1);
    struct session *s = session_new(b.model, b.pool);
    int32_t tokens[LENGTH];
    for (int i = 0; i < LENGTH; i++)
        tokens[i] = i * 3 % b.vocab;
    assert_int_equal(session_append(s, tokens, LENGTH, NULL), 0);
    assert_int_equal(session_feed(s, LENGTH, 64, NULL, NULL, NULL), 0);
    size_t used = kv_pool_used(b.pool);
    struct session *fork = NULL;
    int n = 0;
    for (; !fork; n++) {
        left = n;
        fork = session_fork(s);
        left = -1;
        assert_int_equal(kv_pool_used(b.pool), used);
    }
    assert_true(n > 4);
    assert_int_equal(session_fed(fork), LENGTH);
    session_free(fork);
    session_free(s);
    model_done(&b);
}

static void sequences_without_memory_are_refused(void **state)
{
    (void)state;
    struct bench_model b = model_for_test("tests/golden/zeta", MODE_DEFAULT, 1, NULL, 1);
    int done = 0, n = 0;
    for (; !done; n++) {
        struct err err = {0};
        struct kv *kv = NULL;
        struct kv_undo *undo = NULL;
        left = n;
        done = kv_import(&kv, b.pool, LENGTH, &err) == 0 &&
               kv_undo_new(&undo, b.pool, 1, &err) == 0 && kv_reserve(kv, 4096, &err) == 0;
        left = -1;
        if (!done) assert_int_equal(err.code, ERR_LIMIT);
        kv_undo_free(undo);
        kv_free(kv);
        assert_int_equal(kv_pool_used(b.pool), 0);
    }
    assert_true(n > 40);
    model_done(&b);
}

#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kept_block_counts_once),
#ifndef TENON_SANITIZED
        cmocka_unit_test(a_fork_without_memory_is_none),
        cmocka_unit_test(sequences_without_memory_are_refused),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
