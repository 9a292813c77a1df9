/* What the gates of the disk run a cache directory with: a small model, a few texts, each of one tenant.
 *
 *     disk_driver live DIR LIVES SEED    opens the cache so many times, stores and looks up at random, closes it
 *     disk_driver check < DIRECTORIES    opens each, looks up everything, stores an entry that live never does
 *
 * A line for each life or directory: NAME=NUMBER of
 *     files    in the list after opening
 *     hits     entries that were loaded
 *     wrong    of these: that do not go on, bit for bit, as what was computed
 *     foreign  of these: another tenant's
 *     bad      entries that the cache has refused
 *     off      1: the cache has stopped to use the directory
 * or "refused: MESSAGE" where it could not be opened. Fails only where no cache is to blame. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "../support/golden.h"
#include "../support/random.h"
#include "base/log.h"
#include "base/mem.h"
#include "engine/prefix_cache.h"

enum {
    N_TEXTS = 6 /* and one */,
    N_LENGTHS = 3,
    N_MORE = 4,
    EVERY = 100,
    MEMORY = 1 << 24,
    STEPS = 12
};
static const int LENGTHS[N_LENGTHS] = {40, 90, 150};
enum { LONGEST = 150 + N_MORE };

static const struct cache_tenant TENANTS[] = {{1, {1}, {1}}, {2, {2}, {2}}};
enum { N_TENANTS = sizeof TENANTS / sizeof *TENANTS };

struct tally {
    int hits, wrong, foreign;
};

struct rig {
    struct bench_model b;
    struct prefix_cache *cache;
    struct prefix_options o;
    int32_t tokens[LONGEST];
    float *cold[N_TEXTS + 1][N_LENGTHS]; /* logits after N_MORE tokens more; or NULL */
    struct tally tally;
};

/* The tokens of a text. */
static int32_t *text(struct rig *r, int which)
{
    r->tokens[0] = which;
    return r->tokens;
}

static void feed_to(struct rig *r, struct session *s, int which, int n, float *logits)
{
    struct err err = {0};
    int have = session_length(s);
    CHECK(session_append(s, text(r, which) + have, n - have, &err) == 0 &&
              session_feed(s, n, 64, logits, NULL, &err) == 0,
          "%s", err.message);
}

static struct session *compute(struct rig *r, int which, int n, float *logits)
{
    struct session *s = session_new(r->b.model, r->b.pool);
    feed_to(r, s, which, n, logits);
    return s;
}

static void rig_init(struct rig *r)
{
    *r = (struct rig){.b = model_for_test("tests/golden/zeta", MODE_DEFAULT, 1, NULL, 1),
                      .o = {.memory = MEMORY, .every = EVERY, .model_digest = {9}}};
    for (int i = 0; i < LONGEST; i++)
        r->tokens[i] = (int32_t)((unsigned)i * 2654435761u >> 7) % r->b.vocab;
}

/* What an entry must go on to. */
static const float *cold(struct rig *r, int which, int length)
{
    float **logits = &r->cold[which][length];
    if (!*logits) {
        *logits = xmalloc((size_t)r->b.vocab * sizeof(float));
        session_free(compute(r, which, LENGTHS[length] + N_MORE, *logits));
    }
    return *logits;
}

static void rig_fini(struct rig *r)
{
    for (int which = 0; which <= N_TEXTS; which++)
        for (int i = 0; i < N_LENGTHS; i++)
            free(r->cold[which][i]);
    model_done(&r->b);
}

static void pause_a_moment(void)
{
    nanosleep(&(struct timespec){0, 100000}, NULL);
}

static void settle(struct rig *r)
{
    while (prefix_cache_work(r->cache) || prefix_cache_stats(r->cache).n_to_disk)
        pause_a_moment();
}

static void store(struct rig *r, int which, int length)
{
    struct session *s = compute(r, which, LENGTHS[length], NULL);
    prefix_cache_store(r->cache, &TENANTS[which % N_TENANTS], s, true);
    session_free(s);
    settle(r);
}

/* What the directory has of a text, for one tenant; it must go on as what was computed. */
static void look_up(struct rig *r, int tenant, int which, int length)
{
    struct cache_load load, *done;
    if (!prefix_cache_load(r->cache, &load, &TENANTS[tenant], text(r, which), LENGTHS[length] + 1,
                           0))
        return;
    while (!(done = prefix_cache_loaded(r->cache)))
        if (!prefix_cache_work(r->cache)) pause_a_moment();
    struct session *s = prefix_cache_take(r->cache, done, text(r, which));
    if (!s) return;
    float *logits = xmalloc((size_t)r->b.vocab * sizeof *logits);
    int at = 0;
    while (at < length && LENGTHS[at] < session_fed(s))
        at++;
    feed_to(r, s, which, LENGTHS[at] + N_MORE, logits);
    r->tally.hits++;
    r->tally.foreign += tenant != which % N_TENANTS;
    r->tally.wrong += memcmp(logits, cold(r, which, at), (size_t)r->b.vocab * sizeof *logits) != 0;
    free(logits);
    session_free(s);
}

static void look_up_all(struct rig *r)
{
    for (int tenant = 0; tenant < N_TENANTS; tenant++)
        for (int which = 0; which < N_TEXTS; which++)
            for (int length = 0; length < N_LENGTHS; length++)
                look_up(r, tenant, which, length);
}

/* False: told why it cannot be opened. */
static bool open_cache(struct rig *r, const char *dir, uint64_t bytes)
{
    struct err err = {0};
    r->o.dir = dir;
    r->o.disk = bytes;
    r->tally = (struct tally){0};
    if (prefix_cache_open(&r->cache, r->b.model, r->b.pool, &r->o, &err) == 0) return true;
    printf("refused: %s\n", err.message);
    return false;
}

static void close_cache(struct rig *r, int n_files)
{
    struct disk_stats disk = prefix_cache_stats(r->cache).disk;
    printf("files=%d hits=%d wrong=%d foreign=%d bad=%d off=%d\n", n_files, r->tally.hits,
           r->tally.wrong, r->tally.foreign, (int)disk.n_bad, disk.off);
    prefix_cache_close(r->cache);
    CHECK(kv_pool_used(r->b.pool) == 0, "pages are left");
}

/* About half of all entries have room, so that some have to go. */
static uint64_t half_of_all(struct rig *r)
{
    uint64_t bytes = 0;
    for (int i = 0; i < N_LENGTHS; i++) {
        struct session *s = compute(r, 0, LENGTHS[i], NULL);
        bytes += kv_bytes(session_kv(s)) + CACHE_FILE_SIGNED;
        session_free(s);
    }
    return bytes * N_TEXTS / 2;
}

static void live(struct rig *r, const char *dir, int lives, uint64_t seed)
{
    struct random random = {seed};
    uint64_t bytes = half_of_all(r);
    for (int i = 0; i < lives; i++) {
        if (!open_cache(r, dir, bytes)) continue;
        int n_files = prefix_cache_stats(r->cache).disk.n_files;
        for (int step = 0; step < STEPS; step++) {
            int which = random_int(&random, 0, N_TEXTS - 1);
            int length = random_int(&random, 0, N_LENGTHS - 1);
            if (step % 3 < 2)
                store(r, which, length);
            else
                look_up(r, which % N_TENANTS, which, length);
        }
        close_cache(r, n_files);
    }
}

static void check(struct rig *r)
{
    char dir[1024];
    while (fgets(dir, sizeof dir, stdin)) {
        dir[strcspn(dir, "\n")] = 0;
        if (open_cache(r, dir, 1 << 30)) {
            int n_files = prefix_cache_stats(r->cache).disk.n_files;
            look_up_all(r);
            int before = r->tally.hits;
            store(r, N_TEXTS, 0);
            look_up(r, N_TEXTS % N_TENANTS, N_TEXTS, 0);
            CHECK(r->tally.hits > before || prefix_cache_stats(r->cache).disk.off,
                  "%s: what was stored is not there", dir);
            r->tally.hits = before;
            close_cache(r, n_files);
        }
        fflush(stdout);
    }
}

int main(int argc, char **argv)
{
    struct rig r;
    log_set_level(LOG_INFO);
    rig_init(&r);
    if (argc == 5 && !strcmp(argv[1], "live"))
        live(&r, argv[2], (int)strtol(argv[3], NULL, 10), strtoull(argv[4], NULL, 10));
    else if (argc == 2 && !strcmp(argv[1], "check"))
        check(&r);
    else
        return 2;
    rig_fini(&r);
    return 0;
}
