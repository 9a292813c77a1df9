/* Experts read on demand: the bits of the loaded model for any number of slots; what a file does that
 * changes meanwhile; no allocation once warm. */
#include "../format/files.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "../format/alloc_watch.h"
#include "../support/golden.h"
#include "base/file.h"
#include "base/mem.h"

#ifdef TENON_SANITIZED
static const char *const models[] = {"tests/golden/zeta", "models/nano"};
enum { LENGTH = 16 };
#else
static const char *const models[] = {"tests/golden/zeta", "tests/golden/beta", "tests/golden/alpha",
                                     "tests/golden/gamma", "models/nano"};
enum { LENGTH = 40 };
#endif
enum { N_MODELS = sizeof models / sizeof *models };

static const int slot_counts[] = {1, 2, 7, 100000};
enum { N_COUNTS = sizeof slot_counts / sizeof *slot_counts };

static void some_tokens(int32_t *tokens, int n, int vocab)
{
    uint32_t x = 54321;
    for (int i = 0; i < n; i++) {
        x = x * 1664525u + 1013904223u;
        tokens[i] = (int32_t)((x >> 8) % (uint32_t)vocab);
    }
}

static struct cache_stats stats_of(const struct bench_model *b)
{
    struct cache_stats s;
    b->backend->cache_stats(b->backend, &s);
    return s;
}

/* Two sequences, prefill and decode mixed: rows of logits [5 V] and of MTP [9 V] by step. */
static void mixed_steps(struct bench_model *b, float *logits, float *mtp)
{
    static const int cuts[2][4] = {{9, 1, 1, 1}, {1, 5, 1, 2}};
    size_t v = (size_t)b->vocab;
    struct kv *kv[2] = {kv_new(b->pool), kv_new(b->pool)};
    int32_t tokens[2][16];
    int done[2] = {0};
    for (int q = 0; q < 2; q++)
        some_tokens(tokens[q], 16, b->vocab - q);
    for (int step = 0; step < 4; step++) {
        struct model_input in[2];
        struct model_output out = {.logits = logits, .mtp_logits = mtp};
        struct err err = {0};
        for (int q = 0; q < 2; q++) {
            in[q] = (struct model_input){kv[q], (int *)&tokens[q][done[q]], cuts[q][step], 1};
            done[q] += cuts[q][step];
        }
        if (model_forward(b->model, in, 2, &out, NULL, &err)) fail_msg("%s", err.message);
        logits += 2 * v;
        mtp += (size_t)out.n_mtp * v;
    }
    kv_free(kv[0]);
    kv_free(kv[1]);
}

enum { MIXED_LOGITS = 8, MIXED_MTP = 21 };

static void same_as_loaded(const char *path, enum numeric_mode mode, int threads, int slots)
{
    struct bench_model full = model_for_test(path, mode, 2, NULL, 1);
    struct bench_model cut = model_in_slots(path, mode, threads, 1, slots);
    size_t v = (size_t)full.vocab, n = LENGTH * v, n_mixed = (MIXED_LOGITS + MIXED_MTP) * v;
    int32_t tokens[LENGTH];
    some_tokens(tokens, LENGTH, full.vocab);
    float *want = xcalloc(n, sizeof *want), *got = xcalloc(n, sizeof *got);
    float *want_mixed = xcalloc(n_mixed, sizeof *want), *got_mixed = xcalloc(n_mixed, sizeof *got);
    for (int chunk = 1; chunk <= LENGTH; chunk += LENGTH - 1) {
        run_logits(&full, tokens, LENGTH, chunk, want, NULL);
        run_logits(&cut, tokens, LENGTH, chunk, got, NULL);
        if (memcmp(want, got, n * sizeof *want))
            fail_msg("%s: other bits with %d slots, %d threads, chunk %d", path, slots, threads,
                     chunk);
    }
    mixed_steps(&full, want_mixed, want_mixed + MIXED_LOGITS * v);
    mixed_steps(&cut, got_mixed, got_mixed + MIXED_LOGITS * v);
    assert_memory_equal(want_mixed, got_mixed, n_mixed * sizeof *want_mixed);
    struct cache_stats s = stats_of(&cut);
    assert_true(s.hits + s.misses > 0 && s.bytes_read > 0 && s.ahead_used <= s.ahead);
    assert_true(s.n_slots >= 1 && s.n_slots <= slots);
    assert_int_equal(stats_of(&full).n_slots, 0);
    assert_int_equal(model_bytes(full.model), model_bytes(cut.model));
    assert_int_equal(model_bytes_per_token(full.model), model_bytes_per_token(cut.model));
    free(want);
    free(got);
    free(want_mixed);
    free(got_mixed);
    model_done(&full);
    model_done(&cut);
}

static void slots_do_not_change_the_bits(void **state)
{
    (void)state;
    for (int i = 0; i < N_MODELS; i++)
        for (int c = 0; c < N_COUNTS; c++)
            same_as_loaded(models[i], MODE_DEFAULT, c % 2 ? 1 : 3, slot_counts[c]);
    same_as_loaded("models/nano", MODE_FLOAT, 3, 11);
    same_as_loaded("models/nano", MODE_F32_ACTS, 1, 11);
}

/* With a slot for each expert every one is read once at most, and then stays. */
static void a_large_cache_reads_each_expert_once(void **state)
{
    (void)state;
    struct bench_model b = model_in_slots("models/nano", MODE_DEFAULT, 2, 0, 100000);
    float *logits = xcalloc((size_t)b.vocab, sizeof *logits);
    int32_t tokens[64];
    some_tokens(tokens, 64, b.vocab);
    for (int round = 0; round < 2; round++) {
        struct kv *kv = kv_new(b.pool);
        struct cache_stats before = stats_of(&b);
        feed(&b, kv, tokens, 64, logits);
        kv_free(kv);
        struct cache_stats after = stats_of(&b);
        if (round) assert_int_equal(after.misses, before.misses);
        if (round) assert_true(after.hits > before.hits);
    }
    assert_true(stats_of(&b).bytes_read <= model_bytes(b.model));
    free(logits);
    model_done(&b);
}

static void copy_nano(struct place *p)
{
    char command[256];
    snprintf(command, sizeof command,
             "cp models/nano/config.json models/nano/model.safetensors '%s'", p->dir);
    assert_int_equal(system(command), 0);
}

static void expect_failure(struct bench_model *b, enum err_code code, const char *part)
{
    float *logits = xcalloc((size_t)b->vocab, sizeof *logits);
    struct kv *kv = kv_new(b->pool);
    int32_t tokens[8];
    some_tokens(tokens, 8, b->vocab);
    struct model_input in = {kv, tokens, 8, 1};
    struct model_output out = {.logits = logits};
    struct err err = {0};
    assert_int_equal(model_forward(b->model, &in, 1, &out, NULL, &err), -1);
    if (err.code != code || !strstr(err.message, part)) fail_msg("%d: %s", err.code, err.message);
    kv_free(kv);
    free(logits);
}

static void files_that_change_fail_the_step(void **state)
{
    (void)state;
    for (int how = 0; how < 2; how++) {
        struct place p;
        place_make(&p);
        copy_nano(&p);
        struct bench_model b = model_in_slots(p.dir, MODE_DEFAULT, 2, 0, 8);
        const char *path = place_path(&p, "model.safetensors");
        if (how == 0) {
            assert_int_equal(truncate(path, 100000), 0);
        } else {
            const struct timespec then[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
            assert_int_equal(utimensat(AT_FDCWD, path, then, 0), 0);
        }
        /* Again and again, and the cache closes well. */
        for (int i = 0; i < 3; i++)
            expect_failure(&b, ERR_IO, how ? "written to since" : "ends at byte");
        model_done(&b);
        place_remove(&p);
    }
}

/* The open file stays what it was when another takes its name. */
static void a_file_that_is_replaced_stays_open(void **state)
{
    (void)state;
    struct place p;
    struct err err = {0};
    place_make(&p);
    copy_nano(&p);
    struct bench_model b = model_in_slots(p.dir, MODE_DEFAULT, 2, 0, 8);
    struct bench_model full = model_for_test("models/nano", MODE_DEFAULT, 2, NULL, 0);
    assert_int_equal(file_replace(place_path(&p, "model.safetensors"), "none", 4, &err), 0);
    size_t v = (size_t)b.vocab;
    float *got = xcalloc(2 * v, sizeof *got);
    int32_t tokens[20];
    some_tokens(tokens, 20, b.vocab);
    struct kv *kv[2] = {kv_new(b.pool), kv_new(full.pool)};
    feed(&b, kv[0], tokens, 20, got);
    feed(&full, kv[1], tokens, 20, got + v);
    assert_memory_equal(got, got + v, v * sizeof *got);
    kv_free(kv[0]);
    kv_free(kv[1]);
    free(got);
    model_done(&b);
    model_done(&full);
    place_remove(&p);
}

static void a_warm_step_allocates_nothing(void **state)
{
    (void)state;
    struct bench_model b = model_in_slots("models/nano", MODE_DEFAULT, 2, 1, 9);
    float *logits = xcalloc((size_t)b.vocab, sizeof *logits);
    int32_t tokens[40];
    some_tokens(tokens, 40, b.vocab);
    struct kv *kv = kv_new(b.pool);
    feed(&b, kv, tokens, 40, logits);
    feed(&b, kv, tokens, 20, logits);
    alloc_watch_start();
    for (int i = 0; i < 20; i++)
        feed(&b, kv, tokens + i, 1, logits);
    feed(&b, kv, tokens, 20, logits);
    assert_int_equal(alloc_watch_stop(), 0);
    assert_true(stats_of(&b).misses > 100);
    kv_free(kv);
    free(logits);
    model_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slots_do_not_change_the_bits),
        cmocka_unit_test(a_large_cache_reads_each_expert_once),
        cmocka_unit_test(files_that_change_fail_the_step),
        cmocka_unit_test(a_file_that_is_replaced_stays_open),
        cmocka_unit_test(a_warm_step_allocates_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
