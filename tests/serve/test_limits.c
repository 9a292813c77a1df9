#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../support/random.h"
#include "serve/limits.h"

#define FOO "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"
#define BAR "fcde2b2edba56bf408601fb721fe9b5c338d10ee429ea04fae5511b68fbf8fb9"

enum { DAY = 86400 };

/* Limits of one file, and a clock. */
struct world {
    struct limits *limits;
    struct keys *keys;
    const struct key *ann;
    struct moment now;
};

static void set_keys(struct world *w, const char *text)
{
    struct err err = {0};
    struct keys *keys = NULL;
    if (keys_parse(&keys, "file", text, strlen(text), &err)) fail_msg("%s", err.message);
    limits_set_keys(w->limits, keys);
    keys_release(w->keys);
    w->keys = keys;
    w->ann = keys_count(keys) ? keys_get(keys, 0) : NULL;
}

static struct world world_of(const char *text)
{
    struct world w = {.limits = limits_new(), .now = {1000, 20000 * (int64_t)DAY}};
    set_keys(&w, text);
    return w;
}

static void world_close(struct world *w)
{
    limits_free(w->limits);
    keys_release(w->keys);
}

static void pass_time(struct world *w, int64_t seconds)
{
    w->now.seconds += (double)seconds;
    w->now.unix += seconds;
}

/* The status of a refusal, its Retry-After in *after; 0: let in. */
static int check(struct world *w, int *after)
{
    struct api_error e = {0};
    int rc = limits_check(w->limits, w->ann, w->now, &e);
    assert_int_equal(rc, e.status ? -1 : 0);
    if (after) *after = e.retry_after;
    return e.status;
}

static int enter(struct world *w, struct pass *pass)
{
    struct api_error e = {0};
    int rc = limits_enter(w->limits, w->ann, pass, &e);
    assert_int_equal(rc, e.status ? -1 : 0);
    return e.status;
}

/* Enters and reserves; max_tokens what is left of it. */
static int begin(struct world *w, struct pass *pass, int n_prompt, int n_choices, int *max_tokens,
                 int *after)
{
    struct api_error e = {0};
    struct demand d = {n_prompt, n_choices, *max_tokens};
    assert_int_equal(enter(w, pass), 0);
    int rc = limits_reserve(pass, &d, w->now, &e);
    assert_int_equal(rc, e.status ? -1 : 0);
    *max_tokens = d.max_tokens;
    if (after) *after = e.retry_after;
    if (rc) limits_leave(w->limits, pass, &(struct used){0}, w->now);
    return e.status;
}

static void end(struct world *w, struct pass *pass, int n_prompt, int n_tokens)
{
    struct used used = {n_prompt, n_prompt / 2, n_tokens};
    limits_leave(w->limits, pass, &used, w->now);
    assert_null(pass->account);
}

static void requests_per_minute_come_evenly(void **state)
{
    (void)state;
    struct world w = world_of("ann " FOO " requests=3");
    int after;
    for (int i = 0; i < 3; i++)
        assert_int_equal(check(&w, NULL), 0);
    assert_int_equal(check(&w, &after), 429);
    assert_int_equal(after, 20);
    pass_time(&w, 19);
    assert_int_equal(check(&w, &after), 429);
    assert_int_equal(after, 1);
    pass_time(&w, 1);
    assert_int_equal(check(&w, NULL), 0);
    assert_int_equal(check(&w, NULL), 429);
    pass_time(&w, 100000); /* a minute's worth is all it holds */
    for (int i = 0; i < 3; i++)
        assert_int_equal(check(&w, NULL), 0);
    assert_int_equal(check(&w, NULL), 429);
    world_close(&w);
}

/* Whatever the limit: not a second before, and then. */
static void retry_after_is_when_there_is_enough(void **state)
{
    (void)state;
    struct random random = {3};
    for (int i = 0; i < 2000; i++) {
        int64_t limit = 1 + (int64_t)(random_u64(&random) % (i % 2 ? 100 : 1000000007));
        char text[200];
        int max_tokens, after;
        snprintf(text, sizeof text, "ann " FOO " tokens=%lld", (long long)limit);
        struct world w = world_of(text);
        struct pass first, second;
        int n = 1 + (int)(random_u64(&random) % (uint64_t)limit);
        max_tokens = (int)(limit - 1); /* all of it */
        assert_int_equal(begin(&w, &first, 1, 1, &max_tokens, NULL), 0);
        max_tokens = 0;
        assert_int_equal(begin(&w, &second, n, 1, &max_tokens, &after), 429);
        assert_true(after >= 1 && after <= 60);
        pass_time(&w, after - 1);
        if (after > 1) assert_int_equal(begin(&w, &second, n, 1, &max_tokens, NULL), 429);
        pass_time(&w, 1);
        assert_int_equal(begin(&w, &second, n, 1, &max_tokens, NULL), 0);
        end(&w, &first, 1, (int)(limit - 1));
        end(&w, &second, n, 0);
        world_close(&w);
    }
}

static void unused_tokens_are_given_back(void **state)
{
    (void)state;
    struct world w = world_of("ann " FOO " tokens=1000");
    struct pass a, b, c;
    int most = 900, after;
    assert_int_equal(begin(&w, &a, 100, 1, &most, NULL), 0);
    most = 1;
    assert_int_equal(begin(&w, &b, 1, 1, &most, &after), 429);
    assert_int_equal(after, 1); /* 2 tokens, at 16.7 a second */
    end(&w, &a, 100, 300);
    most = 300;
    assert_int_equal(begin(&w, &b, 150, 2, &most, &after), 429); /* 750 of 600 */
    assert_int_equal(after, 9);
    most = 225;
    assert_int_equal(begin(&w, &b, 150, 2, &most, NULL), 0); /* all 600 */
    end(&w, &b, 150, 450);
    pass_time(&w, 60);
    most = 1000; /* more than it ever holds: it takes all, */
    assert_int_equal(begin(&w, &c, 3000, 1, &most, NULL), 0);
    end(&w, &c, 3000, 1000); /* and leaves it 3000 in debt */
    most = 0;
    assert_int_equal(begin(&w, &a, 1, 1, &most, &after), 429);
    assert_int_equal(after, 181); /* 3001 at 16.7 a second */
    world_close(&w);
}

static void as_many_requests_at_once_as_allowed(void **state)
{
    (void)state;
    struct world w = world_of("ann " FOO " concurrent=2");
    struct pass a, b, c;
    int after;
    assert_int_equal(enter(&w, &a), 0);
    assert_int_equal(check(&w, NULL), 0);
    assert_int_equal(enter(&w, &b), 0);
    assert_int_equal(check(&w, &after), 429);
    assert_int_equal(after, 1);
    assert_int_equal(enter(&w, &c), 429); /* it came while another's body did */
    assert_null(c.account);
    end(&w, &a, 0, 0);
    assert_int_equal(check(&w, NULL), 0);
    assert_int_equal(enter(&w, &c), 0);
    end(&w, &b, 0, 0);
    end(&w, &c, 0, 0);
    world_close(&w);
}

static void a_days_tokens_are_never_exceeded(void **state)
{
    (void)state;
    struct world w = world_of("ann " FOO " daily=1000");
    struct pass a, b, c;
    int most = 700, after;
    pass_time(&w, DAY - 3600);
    assert_int_equal(begin(&w, &a, 100, 1, &most, NULL), 0);
    most = 5000;
    assert_int_equal(begin(&w, &b, 100, 2, &most, NULL), 0);
    assert_int_equal(most, 50); /* of 200 that are left, for each of two */
    most = 5;
    assert_int_equal(begin(&w, &c, 1, 1, &most, &after), 429); /* they may come back */
    assert_int_equal(after, 1);
    assert_int_equal(check(&w, NULL), 0);
    end(&w, &a, 100, 200);
    end(&w, &b, 100, 100);
    most = 400;
    assert_int_equal(begin(&w, &c, 500, 1, &most, &after), 402); /* but not 501 of 500 */
    assert_int_equal(after, 3600);
    assert_int_equal(begin(&w, &c, 400, 1, &most, NULL), 0);
    assert_int_equal(most, 100);
    end(&w, &c, 400, 100);
    assert_int_equal(check(&w, &after), 402);
    assert_int_equal(after, 3600);
    pass_time(&w, 3599);
    assert_int_equal(check(&w, &after), 402);
    assert_int_equal(after, 1);
    pass_time(&w, 1);
    assert_int_equal(check(&w, NULL), 0);
    world_close(&w);
}

static void the_message_of_402_is_the_one_clients_know(void **state)
{
    (void)state;
    struct world w = world_of("ann " FOO " daily=1");
    struct api_error e = {0};
    struct demand d = {1, 1, 1};
    struct pass a;
    assert_int_equal(limits_enter(w.limits, w.ann, &a, &e), 0);
    assert_int_equal(limits_reserve(&a, &d, w.now, &e), -1);
    assert_int_equal(e.status, 402);
    assert_string_equal(e.message, "Insufficient Balance");
    end(&w, &a, 0, 0);
    world_close(&w);
}

static void without_a_key_nothing_is_limited(void **state)
{
    (void)state;
    struct limits *l = limits_new();
    struct moment now = {0};
    struct api_error e = {0};
    struct pass pass;
    struct demand d = {1 << 30, 16, 1 << 30};
    for (int i = 0; i < 100; i++)
        assert_int_equal(limits_check(l, NULL, now, &e), 0);
    assert_int_equal(limits_enter(l, NULL, &pass, &e), 0);
    assert_int_equal(limits_reserve(&pass, &d, now, &e), 0);
    assert_int_equal(pass.group, 0);
    limits_leave(l, &pass, &(struct used){1, 1, 1}, now);
    limits_free(l);
    limits_free(NULL);
}

/* --- another file --- */

struct seen {
    struct key_totals last;
    char names[100];
};

static void see(void *ctx, const struct key_totals *t)
{
    struct seen *s = ctx;
    s->last = *t;
    strncat(s->names, t->name, sizeof s->names - strlen(s->names) - 2);
    strncat(s->names, " ", sizeof s->names - strlen(s->names) - 1);
}

static void check_names(struct world *w, const char *wanted)
{
    struct seen seen = {0};
    limits_each(w->limits, w->now, see, &seen);
    assert_string_equal(seen.names, wanted);
}

static void limits_may_change_under_a_request(void **state)
{
    (void)state;
    struct world w = world_of("ann " FOO " requests=2 daily=10 priority=4");
    struct pass a, b;
    int most = 3;
    assert_int_equal(check(&w, NULL), 0);
    assert_int_equal(check(&w, NULL), 0);
    assert_int_equal(begin(&w, &a, 2, 1, &most, NULL), 0);
    set_keys(&w, "ann " FOO " requests=3 daily=20");
    assert_int_equal(check(&w, NULL), 0); /* one more than before */
    assert_int_equal(check(&w, NULL), 429);
    assert_int_equal(a.key->priority, 4); /* it keeps the key it came with */
    most = 100;
    assert_int_equal(begin(&w, &b, 2, 1, &most, NULL), 0);
    assert_int_equal(most, 13);
    assert_int_equal(b.group, a.group);
    end(&w, &a, 2, 3);
    end(&w, &b, 2, 0);
    world_close(&w);
}

static void a_key_that_goes_leaves_its_requests(void **state)
{
    (void)state;
    struct world w = world_of("ann " FOO "\nbob " BAR);
    struct pass a;
    assert_int_equal(enter(&w, &a), 0);
    check_names(&w, "ann bob ");
    set_keys(&w, "");
    check_names(&w, "ann ");
    assert_string_equal(a.key->name, "ann");
    end(&w, &a, 5, 5);
    check_names(&w, "");
    world_close(&w);
}

static void totals_add_up(void **state)
{
    (void)state;
    struct world w = world_of("ann " FOO " requests=2 daily=100");
    struct seen seen = {0};
    struct pass a, b;
    int most = 10;
    for (int i = 0; i < 3; i++)
        check(&w, NULL);
    begin(&w, &a, 20, 1, &most, NULL);
    begin(&w, &b, 10, 1, &most, NULL);
    end(&w, &a, 20, 7);
    limits_each(w.limits, w.now, see, &seen);
    assert_string_equal(seen.names, "ann ");
    assert_int_equal(seen.last.n_running, 1);
    assert_int_equal(seen.last.n_requests, 2);
    assert_int_equal(seen.last.n_refused, 1);
    assert_int_equal(seen.last.n_prompt_tokens, 20);
    assert_int_equal(seen.last.n_cached_tokens, 10);
    assert_int_equal(seen.last.n_tokens, 7);
    assert_int_equal(seen.last.used_today, 27);
    assert_int_equal(seen.last.daily, 100);
    end(&w, &b, 10, 10);
    pass_time(&w, DAY);
    limits_each(w.limits, w.now, see, &seen);
    assert_int_equal(seen.last.used_today, 0);
    assert_int_equal(seen.last.n_tokens, 17);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_per_minute_come_evenly),
        cmocka_unit_test(retry_after_is_when_there_is_enough),
        cmocka_unit_test(unused_tokens_are_given_back),
        cmocka_unit_test(as_many_requests_at_once_as_allowed),
        cmocka_unit_test(a_days_tokens_are_never_exceeded),
        cmocka_unit_test(the_message_of_402_is_the_one_clients_know),
        cmocka_unit_test(without_a_key_nothing_is_limited),
        cmocka_unit_test(limits_may_change_under_a_request),
        cmocka_unit_test(a_key_that_goes_leaves_its_requests),
        cmocka_unit_test(totals_add_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
