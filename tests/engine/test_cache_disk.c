/* The cache directory: what a restart finds again, and what nobody may make it find. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "../support/engine_rig.h"
#include "../support/random.h"
#include "base/file.h"
#include "base/log.h"
#include "engine/cache_index.h"
#include "engine/prefix_cache.h"

enum { LONGEST = 500, PATH = 256 };

static const struct cache_tenant ALICE = {1, {1}, {1}}, BOB = {2, {2}, {2}};
static char dir[] = "/tmp/tenon-cache-XXXXXX";

/* --- the directory --- */

/* Calls use for each file whose name ends so; returns how many. */
static int each_file(const char *ending, void (*use)(const char *path))
{
    DIR *d = opendir(dir);
    int n = 0;
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));) {
        char path[PATH];
        size_t length = strlen(e->d_name), cut = strlen(ending);
        if (length < cut || strcmp(e->d_name + length - cut, ending) != 0) continue;
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        if (use) use(path);
        n++;
    }
    closedir(d);
    return n;
}

static void remove_file(const char *path)
{
    unlink(path); /* not . and .. */
}

static char one_path[PATH];

static void remember(const char *path)
{
    snprintf(one_path, sizeof one_path, "%s", path);
}

static const char *the_entry(void)
{
    assert_int_equal(each_file(".prefix", remember), 1);
    return one_path;
}

static int setup(void **state)
{
    (void)state;
    log_set_level(LOG_ERROR); /* warnings are what is wanted here */
    memcpy(dir + sizeof dir - 7, "XXXXXX", 6);
    return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    each_file("", remove_file);
    return rmdir(dir);
}

/* --- a cache over it --- */

struct cache_rig {
    struct bench_model b;
    struct prefix_cache *cache;
    int32_t tokens[LONGEST];
    struct prefix_options o;
};

static void open_cache(struct cache_rig *r)
{
    struct err err = {0};
    if (prefix_cache_open(&r->cache, r->b.model, r->b.pool, &r->o, &err))
        fail_msg("%s", err.message);
}

static struct cache_rig *rig_open_with(uint64_t disk)
{
    struct cache_rig *r = calloc(1, sizeof *r);
    r->b = model_for_test("tests/golden/zeta", MODE_DEFAULT, 1, NULL, 1);
    r->o = (struct prefix_options){
        .memory = 1 << 24, .every = 100, .dir = dir, .disk = disk, .model_digest = {9}};
    fill_tokens(r->tokens, LONGEST, r->b.vocab);
    open_cache(r);
    return r;
}

static struct cache_rig *cache_rig_open(void)
{
    return rig_open_with(1 << 24);
}

static void cache_rig_close(struct cache_rig *r)
{
    prefix_cache_close(r->cache);
    assert_int_equal(kv_pool_used(r->b.pool), 0);
    model_done(&r->b);
    free(r);
}

static void reopen(struct cache_rig *r)
{
    prefix_cache_close(r->cache);
    open_cache(r);
}

static struct disk_stats disk(const struct cache_rig *r)
{
    return prefix_cache_stats(r->cache).disk;
}

/* The tokens of text `first` from the start. */
static int32_t *text(struct cache_rig *r, int first)
{
    r->tokens[0] = first;
    return r->tokens;
}

static void settle(struct cache_rig *r)
{
    struct timespec moment = {0, 200000};
    while (prefix_cache_work(r->cache) || prefix_cache_stats(r->cache).n_to_disk)
        nanosleep(&moment, NULL);
}

static void store(struct cache_rig *r, const struct cache_tenant *t, int first, int n)
{
    struct session *s = session_of_tokens(&r->b, r->tokens, first, n);
    prefix_cache_store(r->cache, t, s, true);
    session_free(s);
    settle(r);
}

static struct session *end_load(struct cache_rig *r, struct cache_load *l)
{
    struct timespec moment = {0, 200000};
    struct cache_load *done;
    while (!(done = prefix_cache_loaded(r->cache)))
        if (!prefix_cache_work(r->cache)) nanosleep(&moment, NULL);
    assert_ptr_equal(done, l);
    return prefix_cache_take(r->cache, l, r->tokens);
}

/* What the disk has of a prompt of n; NULL: nothing. */
static struct session *load(struct cache_rig *r, const struct cache_tenant *t, int first, int n)
{
    struct cache_load l;
    if (!prefix_cache_load(r->cache, &l, t, text(r, first), n, 0)) return NULL;
    return end_load(r, &l);
}

static int loaded(struct cache_rig *r, const struct cache_tenant *t, int first, int n)
{
    struct session *s = load(r, t, first, n);
    int hit = s ? session_fed(s) : 0;
    session_free(s);
    return hit;
}

/* --- tests --- */

static void a_restart_finds_what_was_written(void **state)
{
    (void)state;
    struct cache_rig *r = cache_rig_open();
    size_t vocab = (size_t)r->b.vocab * sizeof(float);
    float *want = malloc(vocab), *got = malloc(vocab);
    store(r, &ALICE, 7, 300);
    store(r, &ALICE, 7, 130);
    store(r, &BOB, 8, 50);
    assert_int_equal(disk(r).n_written, 3);
    reopen(r);
    assert_int_equal(disk(r).n_files, 3);
    assert_int_equal(loaded(r, &ALICE, 7, 200), 130);
    assert_int_equal(loaded(r, &ALICE, 7, 300), 130);
    assert_int_equal(loaded(r, &ALICE, 8, 300), 0);
    assert_int_equal(loaded(r, &BOB, 7, 300), 0);
    struct cache_tenant user = ALICE, owner = ALICE;
    user.scope[31]++;
    owner.owner[31]++;
    assert_int_equal(loaded(r, &user, 7, 300), 0);
    assert_int_equal(loaded(r, &owner, 7, 300), 0);
    assert_int_equal(loaded(r, &BOB, 8, 300), 50);
    struct session *warm = load(r, &ALICE, 7, 400),
                   *cold = session_of_tokens(&r->b, r->tokens, 7, 300);
    assert_int_equal(session_fed(warm), 300);
    for (int at = 300; at < 400; at += 50) {
        struct session *pair[] = {warm, cold};
        for (int i = 0; i < 2; i++)
            if (session_append(pair[i], r->tokens + at, 50, NULL) ||
                session_feed(pair[i], at + 50, 64, i ? want : got, NULL, NULL))
                fail_msg("it cannot be fed");
        assert_memory_equal(got, want, vocab);
    }
    session_free(warm);
    session_free(cold);
    free(want);
    free(got);
    cache_rig_close(r);
}

static void files_are_private_and_whole(void **state)
{
    (void)state;
    struct cache_rig *r = cache_rig_open();
    struct stat st;
    char path[PATH];
    store(r, &ALICE, 7, 100);
    assert_int_equal(stat(the_entry(), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(st.st_size, disk(r).bytes);
    snprintf(path, sizeof path, "%s/secret", dir);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(each_file(".part", NULL), 0);
    cache_rig_close(r);
}

static void what_waits_is_written_at_the_end(void **state)
{
    (void)state;
    struct cache_rig *r = cache_rig_open();
    for (int i = 0; i < 5; i++) {
        struct session *s = session_of_tokens(&r->b, r->tokens, i, 100);
        prefix_cache_store(r->cache, &ALICE, s, true);
        prefix_cache_store(r->cache, &BOB, s, i == 0);
        session_free(s);
    }
    reopen(r);
    assert_int_equal(disk(r).n_files, 6);
    for (int i = 0; i < 5; i++)
        assert_int_equal(loaded(r, &ALICE, i, 200), 100);
    cache_rig_close(r);
}

static void what_is_evicted_before_its_turn_is_not_written(void **state)
{
    (void)state;
    struct cache_rig *r = cache_rig_open();
    for (int i = 0; i < 3; i++) {
        struct session *s = session_of_tokens(&r->b, r->tokens, i, 100);
        prefix_cache_store(r->cache, &ALICE, s, true);
        session_free(s);
    }
    prefix_cache_limit(r->cache, 0);
    settle(r);
    assert_int_equal(disk(r).n_written, 0);
    assert_int_equal(each_file(".prefix", NULL), 0);
    cache_rig_close(r);
}

/* The whole file, changed by `change`; then a miss, and the file is gone. */
static void assert_refused_after(struct cache_rig *r,
                                 void (*change)(char *data, size_t *size, int at), int at,
                                 bool at_start)
{
    struct err err = {0};
    char *data = NULL;
    size_t size = 0;
    if (!each_file(".prefix", NULL)) store(r, &ALICE, 7, 40);
    if (!at_start) reopen(r);
    if (at_start) prefix_cache_close(r->cache);
    if (file_slurp(the_entry(), 1 << 24, &data, &size, &err)) fail_msg("%s", err.message);
    change(data, &size, at);
    if (file_replace(one_path, data, size, &err)) fail_msg("%s", err.message);
    free(data);
    if (at_start) open_cache(r);
    assert_int_equal(loaded(r, &ALICE, 7, 100), 0);
    assert_int_equal(each_file(".prefix", NULL), 0);
    assert_int_equal(disk(r).n_files, 0);
    assert_int_equal(disk(r).n_bad, 1);
    assert_false(disk(r).off);
    prefix_cache_limit(r->cache, 0); /* so that it is written again */
    prefix_cache_limit(r->cache, SIZE_MAX);
}

static void flip(char *data, size_t *size, int at)
{
    data[(size_t)at % *size] ^= (char)(1 << at % 8);
}

static void cut(char *data, size_t *size, int at)
{
    (void)data;
    *size = (size_t)at % *size;
}

/* All over the heads, and behind them. */
static void a_flipped_bit_anywhere_is_a_miss(void **state)
{
    (void)state;
    struct cache_rig *r = cache_rig_open();
    struct random random = {5};
    for (int at = 0; at < CACHE_FILE_SIGNED; at += 5)
        assert_refused_after(r, flip, at, at % 2);
    for (int i = 0; i < 40; i++)
        assert_refused_after(r, flip, random_int(&random, CACHE_FILE_SIGNED, 1 << 24), false);
    cache_rig_close(r);
}

static void a_file_cut_anywhere_is_a_miss(void **state)
{
    (void)state;
    struct cache_rig *r = cache_rig_open();
    struct random random = {6};
    for (int at = 0; at < CACHE_FILE_SIGNED; at += 37)
        assert_refused_after(r, cut, at, at % 2);
    for (int i = 0; i < 30; i++)
        assert_refused_after(r, cut, random_int(&random, 0, 1 << 24), i % 2);
    cache_rig_close(r);
}

/* Another secret's entries, under the right name. */
static void entries_of_another_secret_are_removed(void **state)
{
    (void)state;
    struct cache_rig *r = cache_rig_open();
    char path[PATH];
    store(r, &ALICE, 7, 100);
    prefix_cache_close(r->cache);
    snprintf(path, sizeof path, "%s/secret", dir);
    unlink(path);
    open_cache(r);
    assert_int_equal(disk(r).n_files, 0);
    assert_int_equal(disk(r).n_bad, 1);
    assert_int_equal(each_file(".prefix", NULL), 0);
    cache_rig_close(r);
}

/* One entry put in another one's place: its code is right, its name is not. */
static void an_entry_under_another_name_is_a_miss(void **state)
{
    (void)state;
    struct cache_rig *r = cache_rig_open();
    char bob[PATH];
    struct err err = {0};
    char *data = NULL;
    size_t size = 0;
    store(r, &BOB, 8, 100);
    snprintf(bob, sizeof bob, "%s", the_entry());
    if (file_slurp(bob, 1 << 24, &data, &size, &err)) fail_msg("%s", err.message);
    unlink(bob);
    store(r, &ALICE, 8, 100);
    if (file_replace(the_entry(), data, size, &err)) fail_msg("%s", err.message);
    free(data);
    assert_int_equal(loaded(r, &ALICE, 8, 200), 0);
    assert_int_equal(disk(r).n_bad, 1);
    cache_rig_close(r);
}

static void another_model_or_mode_finds_nothing(void **state)
{
    (void)state;
    struct cache_rig *r = cache_rig_open();
    store(r, &ALICE, 7, 100);
    r->o.model_digest[3]++;
    reopen(r);
    assert_int_equal(loaded(r, &ALICE, 7, 200), 0);
    r->o.model_digest[3]--;
    prefix_cache_close(r->cache);
    struct bench_model other = model_for_test("tests/golden/zeta", MODE_F32_ACTS, 1, NULL, 1);
    struct bench_model mine = r->b;
    r->b = other;
    open_cache(r);
    assert_int_equal(loaded(r, &ALICE, 7, 200), 0);
    prefix_cache_close(r->cache);
    r->b = mine;
    open_cache(r);
    assert_int_equal(loaded(r, &ALICE, 7, 200), 100); /* it was left alone */
    model_done(&other);
    cache_rig_close(r);
}

static void foreign_files_are_left_alone(void **state)
{
    (void)state;
    static const char *const names[] = {"notes.txt", "x.prefix", "0123.part"};
    struct cache_rig *r = cache_rig_open();
    char path[PATH];
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        assert_int_equal(file_replace(path, "hello", 5, NULL), 0);
    }
    snprintf(path, sizeof path, "%s/%064d.part", dir, 0); /* what a kill leaves */
    assert_int_equal(file_replace(path, "hello", 5, NULL), 0);
    snprintf(path, sizeof path, "%s/%064d.prefix", dir, 0); /* a link out of the directory */
    assert_int_equal(symlink("/etc/passwd", path), 0);
    reopen(r);
    assert_int_equal(disk(r).n_files, 0);
    assert_int_equal(disk(r).n_bad, 1);
    assert_int_equal(each_file(".part", NULL), 1);
    assert_int_equal(each_file(".prefix", NULL), 1);
    assert_int_equal(access("/etc/passwd", R_OK), 0);
    cache_rig_close(r);
}

static void the_budget_holds_and_owners_share_it(void **state)
{
    (void)state;
    struct cache_rig *r = cache_rig_open();
    store(r, &ALICE, 100, 100);
    uint64_t each = disk(r).bytes;
    cache_rig_close(r);
    each_file(".prefix", remove_file);
    r = rig_open_with(6 * each + each / 2);
    for (int i = 0; i < 5; i++)
        store(r, &ALICE, i, 100);
    for (int i = 0; i < 20; i++)
        store(r, &BOB, i, 100);
    assert_int_equal(disk(r).n_files, 6);
    assert_true(disk(r).bytes <= 6 * each + each / 2);
    assert_int_equal(each_file(".prefix", NULL), 6);
    int left = 0;
    for (int i = 0; i < 5; i++)
        left += loaded(r, &ALICE, i, 200) > 0;
    assert_int_equal(left, 3);
    r->o.disk = 2 * each;
    reopen(r);
    assert_int_equal(disk(r).n_files, 2);
    assert_int_equal(each_file(".prefix", NULL), 2);
    r->o.disk = each / 2; /* nothing fits */
    reopen(r);
    store(r, &ALICE, 9, 100);
    assert_int_equal(each_file(".prefix", NULL), 0);
    assert_false(disk(r).off);
    cache_rig_close(r);
}

static void who_has_most_of_what_is_short_gives_it(void **state)
{
    (void)state;
    struct cache_index x;
    struct cache_name alice = {.owner = {1}}, bob = {.owner = {2}}, carol = {.owner = {3}};
    assert_int_equal(cache_index_init(&x, 5, NULL), 0);
    for (uint8_t i = 0; i < 5; i++) {
        struct cache_name *name = i < 2 ? &alice : &bob;
        name->key[0] = i;
        cache_index_add(&x, name, i < 2 ? 100 : 10);
    }
    assert_int_equal(cache_index_victim(&x, INDEX_BYTES, bob.owner, 10)->name.owner[0], 1);
    assert_int_equal(cache_index_victim(&x, INDEX_FILES, bob.owner, 1)->name.key[0], 2);
    assert_int_equal(cache_index_victim(&x, INDEX_FILES, carol.owner, 1)->name.owner[0], 2);
    cache_index_remove(&x, cache_index_find(&x, bob.key));
    assert_int_equal(cache_index_victim(&x, INDEX_FILES, alice.owner, 1)->name.key[0], 0);
    cache_index_fini(&x);
}

static void a_load_begins_for_half_a_step_more_than_memory_has(void **state)
{
    (void)state;
    struct cache_rig *r = cache_rig_open();
    static struct cache_load l; /* the reader may have it when a check fails */
    store(r, &ALICE, 7, 200);
    assert_false(prefix_cache_load(r->cache, &l, &ALICE, text(r, 7), 400, 199));
    assert_false(prefix_cache_load(r->cache, &l, &ALICE, text(r, 7), 400, 151));
    assert_false(prefix_cache_load(r->cache, &l, &ALICE, text(r, 7), 200, 150)); /* 199 at most */
    assert_true(prefix_cache_load(r->cache, &l, &ALICE, text(r, 7), 400, 150));
    struct session *s = end_load(r, &l);
    assert_int_equal(session_fed(s), 200);
    session_free(s);
    r->o.every = 1; /* then it is PREFIX_MIN */
    reopen(r);
    assert_false(prefix_cache_load(r->cache, &l, &ALICE, text(r, 7), 400, 200 - PREFIX_MIN + 1));
    assert_true(prefix_cache_load(r->cache, &l, &ALICE, text(r, 7), 400, 200 - PREFIX_MIN));
    session_free(end_load(r, &l));
    cache_rig_close(r);
}

/* Groups are numbered anew at every start. */
static void owners_keep_entries_and_shares_under_another_number(void **state)
{
    (void)state;
    struct cache_rig *r = cache_rig_open();
    struct cache_tenant alice = ALICE, bob = BOB;
    store(r, &ALICE, 100, 100);
    uint64_t each = disk(r).bytes;
    r->o.disk = 6 * each + each / 2;
    for (int i = 0; i < 2; i++)
        store(r, &ALICE, i, 100);
    store(r, &BOB, 50, 100);
    reopen(r);
    alice.group = BOB.group;
    bob.group = ALICE.group;
    assert_int_equal(loaded(r, &alice, 0, 200), 100);
    assert_int_equal(loaded(r, &bob, 50, 200), 100);
    assert_int_equal(loaded(r, &bob, 0, 200), 0);
    for (int i = 0; i < 10; i++)
        store(r, &bob, i, 100);
    assert_int_equal(disk(r).n_files, 6);
    assert_int_equal(
        loaded(r, &alice, 100, 200) + loaded(r, &alice, 0, 200) + loaded(r, &alice, 1, 200), 300);
    cache_rig_close(r);
}

static void no_space_ends_the_disk_and_nothing_else(void **state)
{
    (void)state;
    struct cache_rig *r = cache_rig_open();
    struct rlimit all, few;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &all), 0);
    few = (struct rlimit){20000, all.rlim_max};
    store(r, &ALICE, 6, 100);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &few), 0);
    store(r, &ALICE, 7, 100);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &all), 0);
    assert_true(disk(r).off);
    assert_int_equal(each_file(".part", NULL), 0);
    assert_int_equal(each_file(".prefix", NULL), 1);
    store(r, &ALICE, 8, 100);
    assert_int_equal(disk(r).n_written, 1);
    assert_int_equal(loaded(r, &ALICE, 6, 200), 0); /* out of use */
    struct session *s = prefix_cache_find(r->cache, &ALICE, text(r, 8), 200);
    assert_int_equal(session_fed(s), 100); /* memory goes on */
    session_free(s);
    reopen(r);
    assert_int_equal(loaded(r, &ALICE, 6, 200), 100);
    cache_rig_close(r);
}

static void without_a_free_descriptor_an_entry_is_a_miss_and_stays(void **state)
{
    (void)state;
    struct cache_rig *r = cache_rig_open();
    struct rlimit all, none;
    store(r, &ALICE, 6, 100);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &all), 0);
    none = (struct rlimit){0, all.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    int hit = loaded(r, &ALICE, 6, 200);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &all), 0);
    assert_int_equal(hit, 0);
    assert_int_equal(disk(r).n_bad, 0);
    assert_false(disk(r).off);
    assert_int_equal(loaded(r, &ALICE, 6, 200), 100);
    cache_rig_close(r);
}

static void without_a_free_descriptor_nothing_is_written_and_the_disk_goes_on(void **state)
{
    (void)state;
    struct cache_rig *r = cache_rig_open();
    struct rlimit all, none;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &all), 0);
    none = (struct rlimit){0, all.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    store(r, &ALICE, 6, 100);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &all), 0);
    assert_int_equal(disk(r).n_written, 0);
    assert_false(disk(r).off);
    store(r, &ALICE, 6, 100);
    assert_int_equal(disk(r).n_written, 1);
    assert_int_equal(loaded(r, &ALICE, 6, 200), 100);
    cache_rig_close(r);
}

static void an_entry_that_cannot_be_opened_ends_the_disk(void **state)
{
    (void)state;
    struct cache_rig *r = cache_rig_open();
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    store(r, &ALICE, 6, 100);
    assert_true(strlen(the_entry()) < sizeof address.sun_path);
    memcpy(address.sun_path, one_path, strlen(one_path) + 1);
    unlink(one_path);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(loaded(r, &ALICE, 6, 200), 0);
    assert_true(disk(r).off);
    close(fd);
    cache_rig_close(r);
}

static void an_entry_that_cannot_be_removed_ends_the_disk(void **state)
{
    (void)state;
    struct cache_rig *r = cache_rig_open();
    store(r, &ALICE, 6, 100);
    uint64_t each = disk(r).bytes;
    r->o.disk = each + each / 2;
    reopen(r);
    unlink(the_entry());
    assert_int_equal(mkdir(one_path, 0700), 0);
    store(r, &ALICE, 7, 100);
    assert_true(disk(r).off);
    assert_int_equal(disk(r).n_written, 0);
    assert_int_equal(rmdir(one_path), 0);
    cache_rig_close(r);
}

/* Its renaming has come to the disk by half. */
static void the_other_name_of_the_secret_goes(void **state)
{
    (void)state;
    struct cache_rig *r = cache_rig_open();
    char path[PATH], part[PATH];
    store(r, &ALICE, 6, 100);
    snprintf(path, sizeof path, "%s/secret", dir);
    snprintf(part, sizeof part, "%s/secret.part", dir);
    assert_int_equal(link(path, part), 0);
    reopen(r);
    assert_int_equal(access(part, F_OK), -1);
    assert_int_equal(loaded(r, &ALICE, 6, 200), 100);
    cache_rig_close(r);
}

static void an_unsafe_directory_is_refused(void **state)
{
    (void)state;
    struct cache_rig *r = cache_rig_open();
    struct prefix_cache *second = NULL;
    struct err err = {0};
    char path[PATH];
    assert_int_equal(prefix_cache_open(&second, r->b.model, r->b.pool, &r->o, &err), -1);
    assert_int_equal(err.code, ERR_ARGUMENT);
    assert_non_null(strstr(err.message, "another process"));
    cache_rig_close(r);

    r = calloc(1, sizeof *r);
    r->b = model_for_test("tests/golden/zeta", MODE_DEFAULT, 1, NULL, 1);
    r->o = (struct prefix_options){.memory = 1, .every = 1, .dir = dir, .disk = 1};
    snprintf(path, sizeof path, "%s/secret", dir);
    const struct {
        const char *path;
        mode_t bad, good;
    } modes[] = {{dir, 0770, 0700}, {dir, 0702, 0700}, {path, 0640, 0600}, {path, 0604, 0600}};
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        err = (struct err){0};
        assert_int_equal(chmod(modes[i].path, modes[i].bad), 0);
        assert_int_equal(prefix_cache_open(&second, r->b.model, r->b.pool, &r->o, &err), -1);
        assert_int_equal(err.code, ERR_ARGUMENT);
        assert_int_equal(chmod(modes[i].path, modes[i].good), 0);
    }
    assert_int_equal(truncate(path, 31), 0);
    assert_int_equal(prefix_cache_open(&second, r->b.model, r->b.pool, &r->o, NULL), -1);
    r->o.dir = "/proc/nowhere";
    err = (struct err){0};
    assert_int_equal(prefix_cache_open(&second, r->b.model, r->b.pool, &r->o, &err), -1);
    assert_int_equal(err.code, ERR_IO);
    model_done(&r->b);
    free(r);
}

/* A child that writes entries without end; returns when it has begun. */
static pid_t write_in_a_child(int n_tokens)
{
    struct timespec moment = {0, 1000000};
    int had = each_file(".prefix", NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* whatever becomes of the test */
        struct cache_rig *r = rig_open_with(1 << 30);
        for (int i = 0;; i++)
            store(r, &ALICE, i % r->b.vocab, n_tokens);
    }
    while (each_file(".prefix", NULL) == had) {
        assert_int_equal(waitpid(child, NULL, WNOHANG), 0); /* it lives */
        nanosleep(&moment, NULL);
    }
    return child;
}

static void a_kill_while_writing_leaves_good_entries_only(void **state)
{
    (void)state;
    struct random random = {8};
    for (int round = 0; round < 25; round++) {
        pid_t child = write_in_a_child(40 + round);
        struct timespec moment = {0, random_int(&random, 0, 30) * 1000000};
        nanosleep(&moment, NULL);
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        struct cache_rig *r = rig_open_with(1 << 30);
        int n = disk(r).n_files, hits = 0;
        assert_int_equal(each_file(".part", NULL), 0);
        assert_int_equal(each_file(".prefix", NULL), n);
        for (int i = 0; i < r->b.vocab && round % 6 == 0; i++)
            hits += loaded(r, &ALICE, i, 40 + round + 1) == 40 + round;
        assert_true(round % 6 || hits > 0);
        assert_int_equal(disk(r).n_bad, 0);
        cache_rig_close(r);
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_restart_finds_what_was_written),
        TEST(files_are_private_and_whole),
        TEST(what_waits_is_written_at_the_end),
        TEST(what_is_evicted_before_its_turn_is_not_written),
        TEST(a_flipped_bit_anywhere_is_a_miss),
        TEST(a_file_cut_anywhere_is_a_miss),
        TEST(entries_of_another_secret_are_removed),
        TEST(an_entry_under_another_name_is_a_miss),
        TEST(another_model_or_mode_finds_nothing),
        TEST(foreign_files_are_left_alone),
        TEST(the_budget_holds_and_owners_share_it),
        TEST(who_has_most_of_what_is_short_gives_it),
        TEST(a_load_begins_for_half_a_step_more_than_memory_has),
        TEST(owners_keep_entries_and_shares_under_another_number),
        TEST(no_space_ends_the_disk_and_nothing_else),
        TEST(without_a_free_descriptor_an_entry_is_a_miss_and_stays),
        TEST(without_a_free_descriptor_nothing_is_written_and_the_disk_goes_on),
        TEST(an_entry_that_cannot_be_opened_ends_the_disk),
        TEST(an_entry_that_cannot_be_removed_ends_the_disk),
        TEST(the_other_name_of_the_secret_goes),
        TEST(an_unsafe_directory_is_refused),
        TEST(a_kill_while_writing_leaves_good_entries_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
