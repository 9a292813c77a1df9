/* What is found, by whom, and what goes when room is short. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../support/engine_rig.h"
#include "engine/prefix_cache.h"

enum { LONGEST = 4000, EVERY = 100, TOKEN = sizeof(int32_t) };

static const struct cache_tenant ALICE = {1, {1}, {1}}, BOB = {2, {2}, {2}};

struct cache_rig {
    struct bench_model b;
    struct prefix_cache *cache;
    int32_t tokens[LONGEST];
    size_t live, page; /* bytes of a block */
};

static struct cache_rig cache_rig_open(size_t memory)
{
    struct cache_rig r = {.b = model_for_test("tests/golden/zeta", MODE_DEFAULT, 1, NULL, 1)};
    struct prefix_options o = {.memory = memory, .every = EVERY};
    struct err err = {0};
    if (prefix_cache_open(&r.cache, r.b.model, r.b.pool, &o, &err)) fail_msg("%s", err.message);
    fill_tokens(r.tokens, LONGEST, r.b.vocab);
    r.live = model_layout(r.b.model)->live_bytes;
    r.page = model_layout(r.b.model)->page_bytes;
    return r;
}

static void cache_rig_close(struct cache_rig *r)
{
    prefix_cache_close(r->cache);
    assert_int_equal(kv_pool_used(r->b.pool), 0);
    assert_int_equal(kv_pool_kept(r->b.pool), 0);
    model_done(&r->b);
}

static void store(struct cache_rig *r, const struct cache_tenant *t, int first, int n)
{
    struct session *s = session_of_tokens(&r->b, r->tokens, first, n);
    prefix_cache_store(r->cache, t, s, false);
    session_free(s);
}

/* Tokens found of a prompt of n; 0: none. */
static int found(struct cache_rig *r, const struct cache_tenant *t, int first, int n)
{
    r->tokens[0] = first;
    struct session *s = prefix_cache_find(r->cache, t, r->tokens, n);
    int hit = s ? session_fed(s) : 0;
    if (s) {
        assert_int_equal(session_length(s), hit);
        assert_memory_equal(session_tokens(s), r->tokens, (size_t)hit * sizeof *r->tokens);
    }
    session_free(s);
    return hit;
}

static void the_longest_beginning_is_found(void **state)
{
    (void)state;
    struct cache_rig r = cache_rig_open(1 << 24);
    store(&r, &ALICE, 7, 40);
    store(&r, &ALICE, 7, 300);
    store(&r, &ALICE, 7, 130);
    assert_int_equal(found(&r, &ALICE, 7, 500), 300);
    assert_int_equal(found(&r, &ALICE, 7, 301), 300);
    assert_int_equal(found(&r, &ALICE, 7, 300), 130); /* its last token is fed anew */
    assert_int_equal(found(&r, &ALICE, 7, 131), 130);
    assert_int_equal(found(&r, &ALICE, 7, 60), 40);
    assert_int_equal(found(&r, &ALICE, 7, 40), 0);
    assert_int_equal(found(&r, &ALICE, 8, 500), 0);
    r.tokens[200] ^= 1; /* the text leaves the longest entry */
    assert_int_equal(found(&r, &ALICE, 7, 500), 130);
    cache_rig_close(&r);
}

static void what_is_too_short_is_not_kept(void **state)
{
    (void)state;
    struct cache_rig r = cache_rig_open(1 << 24);
    store(&r, &ALICE, 7, PREFIX_MIN - 1);
    assert_int_equal(prefix_cache_stats(r.cache).n_entries, 0);
    store(&r, &ALICE, 7, PREFIX_MIN);
    assert_int_equal(found(&r, &ALICE, 7, 100), PREFIX_MIN);
    cache_rig_close(&r);
}

static void pending_tokens_are_no_part_of_an_entry(void **state)
{
    (void)state;
    struct cache_rig r = cache_rig_open(1 << 24);
    struct session *s = session_of_tokens(&r.b, r.tokens, 7, 50);
    const int32_t drawn = 3;
    assert_int_equal(session_append(s, &drawn, 1, NULL), 0);
    prefix_cache_store(r.cache, &ALICE, s, false);
    session_free(s);
    assert_int_equal(found(&r, &ALICE, 7, 100), 50);
    cache_rig_close(&r);
}

static void nobody_finds_what_is_another_ones(void **state)
{
    (void)state;
    struct cache_rig r = cache_rig_open(1 << 24);
    struct cache_tenant user = ALICE, group = ALICE;
    user.scope[31] = 1;
    group.group = 3;
    store(&r, &ALICE, 7, 100);
    assert_int_equal(found(&r, &BOB, 7, 200), 0);
    assert_int_equal(found(&r, &user, 7, 200), 0);
    assert_int_equal(found(&r, &group, 7, 200), 0);
    store(&r, &user, 7, 50);
    assert_int_equal(found(&r, &user, 7, 200), 50);
    assert_int_equal(found(&r, &ALICE, 7, 200), 100);
    cache_rig_close(&r);
}

static void shared_pages_count_once(void **state)
{
    (void)state;
    struct cache_rig r = cache_rig_open(1 << 24);
    struct session *s = session_of_tokens(&r.b, r.tokens, 7, 256);
    struct err err = {0};
    prefix_cache_store(r.cache, &ALICE, s, false);
    assert_int_equal(prefix_cache_stats(r.cache).bytes, r.live + 2 * r.page + 256 * TOKEN);
    prefix_cache_store(r.cache, &ALICE, s, false); /* it is there */
    assert_int_equal(prefix_cache_stats(r.cache).n_entries, 1);
    if (session_append(s, r.tokens, 10, &err) || session_feed(s, 266, 64, NULL, NULL, &err))
        fail_msg("%s", err.message);
    prefix_cache_store(r.cache, &ALICE, s, false);
    assert_int_equal(prefix_cache_stats(r.cache).bytes,
                     2 * r.live + 3 * r.page + (256 + 266) * TOKEN);
    assert_int_equal(kv_pool_used(r.b.pool), 2 * r.live + 3 * r.page);
    assert_int_equal(kv_pool_kept(r.b.pool), 2 * r.live + 3 * r.page);
    session_free(s);
    /* one goes: two live blocks are too many */
    prefix_cache_limit(r.cache, r.live + 3 * r.page + 266 * TOKEN);
    struct prefix_stats stats = prefix_cache_stats(r.cache);
    assert_int_equal(stats.n_entries, 1);
    size_t tokens = stats.bytes - kv_pool_used(r.b.pool);
    assert_true(tokens == 256 * TOKEN || tokens == 266 * TOKEN);
    cache_rig_close(&r);
}

/* Entries of one size: the oldest goes, but for what was found since. */
static void what_was_used_least_goes_first(void **state)
{
    (void)state;
    struct cache_rig r = cache_rig_open(1 << 24);
    size_t each = r.live + r.page + 100 * TOKEN;
    for (int i = 0; i < 4; i++)
        store(&r, &ALICE, i, 100);
    assert_int_equal(found(&r, &ALICE, 0, 200), 100);
    prefix_cache_limit(r.cache, 3 * each);
    assert_int_equal(prefix_cache_stats(r.cache).bytes, 3 * each);
    assert_int_equal(found(&r, &ALICE, 1, 200), 0);
    assert_int_equal(found(&r, &ALICE, 2, 200), 100);
    prefix_cache_limit(r.cache, 2 * each);
    assert_int_equal(found(&r, &ALICE, 3, 200), 0); /* 0 and 2 have been used */
    assert_int_equal(found(&r, &ALICE, 0, 200), 100);
    assert_int_equal(found(&r, &ALICE, 2, 200), 100);
    cache_rig_close(&r);
}

static void what_was_found_often_stays_longer(void **state)
{
    (void)state;
    struct cache_rig r = cache_rig_open(1 << 24);
    store(&r, &ALICE, 0, 100);
    for (int i = 0; i < 9; i++)
        assert_int_equal(found(&r, &ALICE, 0, 200), 100);
    store(&r, &ALICE, 1, 100);
    store(&r, &ALICE, 2, 100);
    prefix_cache_limit(r.cache, 2 * (r.live + r.page + 100 * TOKEN));
    assert_int_equal(found(&r, &ALICE, 0, 200),
                     100); /* three times as old as 2, ten times the use */
    assert_int_equal(found(&r, &ALICE, 1, 200), 0);
    assert_int_equal(found(&r, &ALICE, 2, 200), 100);
    cache_rig_close(&r);
}

static void of_two_as_old_the_larger_one_goes(void **state)
{
    (void)state;
    struct cache_rig r = cache_rig_open(1 << 24);
    store(&r, &ALICE, 1, 20);
    store(&r, &ALICE, 2, LONGEST - 1);
    assert_true(r.live < 29 * r.page); /* the second is more than twice the first, which is older */
    prefix_cache_limit(r.cache, 2 * r.live + 32 * r.page + LONGEST * TOKEN);
    assert_int_equal(found(&r, &ALICE, 1, 200), 20);
    assert_int_equal(found(&r, &ALICE, 2, LONGEST), 0);
    cache_rig_close(&r);
}

static void the_budget_holds_whatever_comes(void **state)
{
    (void)state;
    struct cache_rig r = cache_rig_open(0);
    size_t budget = 3 * (r.live + r.page + 100 * TOKEN);
    cache_rig_close(&r);
    r = cache_rig_open(budget);
    for (int i = 0; i < 40; i++) {
        store(&r, i % 3 ? &ALICE : &BOB, i % 11, 20 + i * 17 % 300);
        struct prefix_stats stats = prefix_cache_stats(r.cache);
        assert_true(stats.bytes <= budget);
        assert_true(stats.bytes >=
                    kv_pool_kept(r.b.pool) + (size_t)stats.n_entries * PREFIX_MIN * TOKEN);
        assert_int_equal(kv_pool_used(r.b.pool), kv_pool_kept(r.b.pool));
    }
    assert_true(prefix_cache_stats(r.cache).n_entries > 0);
    prefix_cache_limit(r.cache, 0);
    assert_int_equal(kv_pool_used(r.b.pool), 0);
    store(&r, &ALICE, 1, 100);
    assert_int_equal(prefix_cache_stats(r.cache).n_entries, 0);
    prefix_cache_limit(r.cache, SIZE_MAX); /* no more than the budget */
    for (int i = 0; i < 10; i++)
        store(&r, &ALICE, i, 100);
    assert_int_equal(prefix_cache_stats(r.cache).n_entries, 3);
    cache_rig_close(&r);
}

static void a_flood_leaves_others_their_share(void **state)
{
    (void)state;
    struct cache_rig r = cache_rig_open(0);
    size_t each = r.live + r.page + 100 * TOKEN;
    cache_rig_close(&r);
    r = cache_rig_open(6 * each);
    for (int i = 0; i < 5; i++)
        store(&r, &ALICE, i, 100);
    for (int i = 0; i < 100; i++)
        store(&r, &BOB, i, 100);
    int left = 0;
    for (int i = 0; i < 5; i++)
        left += found(&r, &ALICE, i, 200) > 0;
    assert_int_equal(left, 3);
    left = 0;
    for (int i = 0; i < 100; i++)
        left += found(&r, &BOB, i, 200) > 0;
    assert_int_equal(left, 3);
    cache_rig_close(&r);
}

/* The budget has room for so many, and not for one more. */
static void tokens_count_beside_their_states(void **state)
{
    (void)state;
    struct cache_rig r = cache_rig_open(0);
    size_t budget = r.live + 2 * r.page + 200 * TOKEN;
    cache_rig_close(&r);
    r = cache_rig_open(budget);
    store(&r, &ALICE, 1, 200);
    assert_int_equal(prefix_cache_stats(r.cache).bytes, budget);
    cache_rig_close(&r);
    r = cache_rig_open(budget);
    store(&r, &ALICE, 1, 201); /* pages as before */
    assert_int_equal(prefix_cache_stats(r.cache).n_entries, 0);
    cache_rig_close(&r);
}

/* Nor does what cannot be kept within a share cost others anything. */
static void one_entry_larger_than_its_share_is_not_kept(void **state)
{
    (void)state;
    struct cache_rig r = cache_rig_open(0);
    size_t budget = 2 * r.live + 8 * r.page + (400 + 500) * TOKEN;
    cache_rig_close(&r);
    r = cache_rig_open(budget);
    store(&r, &ALICE, 1, 400); /* 4 pages */
    store(&r, &BOB, 1, 600);   /* 5 pages: more than ALICE has */
    assert_int_equal(found(&r, &ALICE, 1, LONGEST), 400);
    assert_int_equal(found(&r, &BOB, 1, LONGEST), 0);
    store(&r, &BOB, 1, 500); /* 4 pages fit beside */
    assert_int_equal(found(&r, &BOB, 1, LONGEST), 500);
    assert_int_equal(found(&r, &ALICE, 1, LONGEST), 400);
    cache_rig_close(&r);
}

/* Small ones, each of another user, against two that have more bytes than all of them. */
static void a_flood_of_small_entries_leaves_others_their_share(void **state)
{
    (void)state;
    struct cache_rig r = cache_rig_open(1 << 24);
    struct cache_tenant user = BOB;
    store(&r, &ALICE, 1, 400);
    store(&r, &ALICE, 2, 400);
    struct session *s = session_of_tokens(&r.b, r.tokens, 1, PREFIX_MIN);
    for (int i = 0; i < PREFIX_MAX_ENTRIES + 5; i++) {
        memcpy(user.scope, &i, sizeof i);
        prefix_cache_store(r.cache, &user, s, false);
    }
    session_free(s);
    struct prefix_stats stats = prefix_cache_stats(r.cache);
    assert_int_equal(stats.n_entries, PREFIX_MAX_ENTRIES);
    assert_int_equal(stats.n_evicted, 7);
    assert_int_equal(found(&r, &ALICE, 1, 500), 400);
    assert_int_equal(found(&r, &ALICE, 2, 500), 400);
    assert_int_equal(found(&r, &user, 1, 500), PREFIX_MIN);
    cache_rig_close(&r);
}

static void points_lie_where_the_header_says(void **state)
{
    (void)state;
    struct cache_rig r = cache_rig_open(1);
    static const int want[] = {30, 100, 200, 249, 250};
    int at = 0;
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        at = prefix_cache_point(r.cache, 30, 250, at);
        assert_int_equal(at, want[i]);
    }
    assert_int_equal(prefix_cache_point(r.cache, 0, 250, 0), 100);
    assert_int_equal(prefix_cache_point(r.cache, 0, 50, 0), 49);
    assert_int_equal(prefix_cache_point(r.cache, 0, 101, 99), 100);
    assert_int_equal(prefix_cache_point(r.cache, 0, 1, 0), 1);
    assert_int_equal(prefix_cache_point(r.cache, 5, PREFIX_MIN, 0), PREFIX_MIN);
    assert_int_equal(prefix_cache_point(r.cache, 5, PREFIX_MIN + 1, 0), PREFIX_MIN);
    assert_int_equal(prefix_cache_point(r.cache, 0, INT32_MAX, INT32_MAX - 1), INT32_MAX);
    cache_rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_longest_beginning_is_found),
        cmocka_unit_test(what_is_too_short_is_not_kept),
        cmocka_unit_test(pending_tokens_are_no_part_of_an_entry),
        cmocka_unit_test(nobody_finds_what_is_another_ones),
        cmocka_unit_test(shared_pages_count_once),
        cmocka_unit_test(what_was_used_least_goes_first),
        cmocka_unit_test(what_was_found_often_stays_longer),
        cmocka_unit_test(of_two_as_old_the_larger_one_goes),
        cmocka_unit_test(the_budget_holds_whatever_comes),
        cmocka_unit_test(a_flood_leaves_others_their_share),
        cmocka_unit_test(tokens_count_beside_their_states),
        cmocka_unit_test(one_entry_larger_than_its_share_is_not_kept),
        cmocka_unit_test(a_flood_of_small_entries_leaves_others_their_share),
        cmocka_unit_test(points_lie_where_the_header_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
