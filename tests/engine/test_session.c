/* The law of sessions: reused == fresh, bit for bit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../support/golden.h"
#include "base/file.h"
#include "base/mem.h"
#include "engine/session.h"
#include "engine/state_file.h"

enum { MORE = 9, LONGEST = 2053 + MORE };

static const uint8_t DIGEST[32] = {1, 2, 3};
static char folder[] = "/tmp/tenon-session-XXXXXX";
static char path[64];

static int32_t token(int i, int vocab)
{
    return (int32_t)(((uint32_t)i * 2654435761u >> 7) % (uint32_t)vocab);
}

static void append(struct session *s, const int32_t *tokens, int n)
{
    struct err err = {0};
    if (session_append(s, tokens, n, &err)) fail_msg("%s", err.message);
}

static void feed_all(struct session *s, int chunk, float *logits)
{
    struct err err = {0};
    if (session_feed(s, session_length(s), chunk, logits, NULL, &err)) fail_msg("%s", err.message);
}

/* The session's file: every byte of its state. The caller frees. */
static char *file_of(const struct session *s, size_t *size)
{
    char *data = NULL, name[80];
    struct err err = {0};
    snprintf(name, sizeof name, "%s.state", path);
    if (session_save(s, DIGEST, name, &err) || file_slurp(name, 1 << 28, &data, size, &err))
        fail_msg("%s", err.message);
    unlink(name);
    return data;
}

/* What a session comes to that never was anything but some tokens. */
struct fresh {
    float *logits; /* [V] after the last */
    char *file;
    size_t size;
};

static struct fresh fresh_of(struct bench_model *b, const int32_t *tokens, int n)
{
    struct fresh f = {.logits = xmalloc((size_t)b->vocab * sizeof *f.logits)};
    struct session *s = session_new(b->model, b->pool);
    append(s, tokens, n);
    feed_all(s, n, f.logits);
    f.file = file_of(s, &f.size);
    session_free(s);
    return f;
}

static void fresh_free(struct fresh *f)
{
    free(f->logits);
    free(f->file);
}

static void assert_continues(struct bench_model *b, struct session *s, const int32_t *tokens,
                             int at, const struct fresh *fresh, const char *how)
{
    size_t size;
    float *logits = xmalloc((size_t)b->vocab * sizeof *logits);
    assert_int_equal(session_fed(s), at);
    append(s, tokens + at, MORE);
    feed_all(s, 4, logits);
    if (memcmp(logits, fresh->logits, (size_t)b->vocab * sizeof *logits) != 0)
        fail_msg("%s at %d: other logits than a fresh session", how, at);
    char *file = file_of(s, &size);
    if (size != fresh->size || memcmp(file, fresh->file, size) != 0)
        fail_msg("%s at %d: another state than a fresh session", how, at);
    free(file);
    free(logits);
}

/* Everything that can happen to a session at position `at`. */
static void check_at(struct bench_model *b, const int32_t *tokens, int at)
{
    struct err err = {0};
    struct fresh fresh = fresh_of(b, tokens, at + MORE);

    struct session *s = session_new(b->model, b->pool);
    append(s, tokens, at);
    feed_all(s, 64, NULL);
    struct session *snapshot = session_fork(s);
    if (session_save(snapshot, DIGEST, path, &err)) fail_msg("%s", err.message);

    /* The session goes another way and is thrown away; the snapshot must not have noticed. */
    int32_t other[150];
    for (int i = 0; i < 150; i++)
        other[i] = token(7777 + i, b->vocab);
    append(s, other, 150);
    feed_all(s, 33, NULL);
    struct session *back = session_fork(snapshot);
    assert_continues(b, back, tokens, at, &fresh, "rollback while the other lives");
    session_free(s);
    session_free(back);
    back = session_fork(snapshot);
    assert_continues(b, back, tokens, at, &fresh, "second rollback");
    session_free(back);
    assert_continues(b, snapshot, tokens, at, &fresh, "the snapshot itself");
    session_free(snapshot);

    struct session *loaded = NULL;
    if (session_load(&loaded, b->model, b->pool, DIGEST, path, &err)) fail_msg("%s", err.message);
    assert_memory_equal(session_tokens(loaded), tokens, (size_t)at * sizeof *tokens);
    struct session *twice = session_fork(loaded);
    assert_continues(b, twice, tokens, at, &fresh, "a fork of what was loaded");
    session_free(twice);
    assert_continues(b, loaded, tokens, at, &fresh, "save and load");
    session_free(loaded);
    fresh_free(&fresh);
    assert_int_equal(kv_pool_used(b->pool), 0);
}

static void check_model(const char *model, enum numeric_mode mode, int mtp, const int *at, int n)
{
    struct bench_model b = model_for_test(model, mode, 2, NULL, mtp);
    int32_t *tokens = xmalloc(LONGEST * sizeof *tokens);
    for (int i = 0; i < LONGEST; i++)
        tokens[i] = token(i, b.vocab);
    for (int i = 0; i < n; i++)
        check_at(&b, tokens, at[i]);
    free(tokens);
    model_done(&b);
}

static void reused_is_fresh_at_every_boundary(void **state)
{
    (void)state;
    static const int at[] = {1, 2, 3, 4, 5, 7, 8, 127, 128, 129, 255, 256, 257};
    int n = sizeof at / sizeof *at;
    check_model("tests/golden/zeta", MODE_DEFAULT, 0, at, n);
    check_model("tests/golden/alpha", MODE_DEFAULT, 1, at + 2, n - 2);
}

static void reused_is_fresh_in_the_other_modes_and_models(void **state)
{
    (void)state;
    static const int at[] = {4, 129, 256};
    check_model("tests/golden/zeta", MODE_FLOAT, 1, at, 3);
    check_model("tests/golden/zeta", MODE_F32_ACTS, 0, at, 3);
    check_model("tests/golden/beta", MODE_DEFAULT, 1, at, 3);
}

static void reused_is_fresh_where_selection_begins(void **state)
{
    (void)state;
#ifdef TENON_SANITIZED
    static const int at[] = {2049};
#else
    static const int at[] = {2047, 2049};
#endif
    check_model("tests/golden/gamma", MODE_DEFAULT, 0, at, sizeof at / sizeof *at);
}

/* ---- what a file must match ---- */

/* A session of 130 tokens, the last one pending, saved. */
static void save_some(struct bench_model *b)
{
    struct err err = {0};
    struct session *s = session_new(b->model, b->pool);
    for (int i = 0; i < 130; i++)
        append(s, (int32_t[]){token(i, b->vocab)}, 1);
    session_set_key(s, (struct sampler_key){.seed = 99, .choice = 2});
    if (session_feed(s, 129, 64, NULL, NULL, &err) || session_save(s, DIGEST, path, &err))
        fail_msg("%s", err.message);
    session_free(s);
}

static void assert_load_fails(struct bench_model *b, const uint8_t digest[32], enum err_code code,
                              const char *says)
{
    struct session *s = NULL;
    struct err err = {0};
    assert_int_equal(session_load(&s, b->model, b->pool, digest, path, &err), -1);
    assert_null(s);
    assert_int_equal(err.code, code);
    if (!strstr(err.message, says)) fail_msg("\"%s\" does not say \"%s\"", err.message, says);
    assert_non_null(strstr(err.message, path));
    assert_int_equal(kv_pool_used(b->pool), 0);
}

static void pending_tokens_and_random_numbers_are_saved(void **state)
{
    (void)state;
    struct bench_model b = model_for_test("tests/golden/zeta", MODE_DEFAULT, 1, NULL, 0);
    struct session *s = NULL;
    save_some(&b);
    assert_int_equal(session_load(&s, b.model, b.pool, DIGEST, path, NULL), 0);
    assert_int_equal(session_length(s), 130);
    assert_int_equal(session_fed(s), 129);
    assert_true(session_key(s).seed == 99 && session_key(s).choice == 2);
    session_free(s);
    model_done(&b);
}

static void an_empty_session_is_saved(void **state)
{
    (void)state;
    struct bench_model b = model_for_test("tests/golden/zeta", MODE_DEFAULT, 1, NULL, 0);
    struct session *s = session_new(b.model, b.pool);
    assert_int_equal(session_save(s, DIGEST, path, NULL), 0);
    session_free(s);
    assert_int_equal(session_load(&s, b.model, b.pool, DIGEST, path, NULL), 0);
    assert_int_equal(session_length(s), 0);
    session_free(s);
    model_done(&b);
}

static void another_model_or_mode_is_refused(void **state)
{
    (void)state;
    static const uint8_t other[32] = {9};
    struct bench_model zeta = model_for_test("tests/golden/zeta", MODE_DEFAULT, 1, NULL, 0);
    struct bench_model acts = model_for_test("tests/golden/zeta", MODE_F32_ACTS, 1, NULL, 0);
    struct bench_model full = model_for_test("tests/golden/zeta", MODE_FLOAT, 1, NULL, 0);
    struct bench_model mtp = model_for_test("tests/golden/zeta", MODE_DEFAULT, 1, NULL, 1);
    struct bench_model beta = model_for_test("tests/golden/beta", MODE_DEFAULT, 1, NULL, 0);
    save_some(&zeta);
    assert_load_fails(&zeta, other, ERR_FORMAT, "another model: digest 0102030000000000");
    assert_load_fails(&acts, DIGEST, ERR_FORMAT, "mode default, this run is in --activations f32");
    assert_load_fails(&full, DIGEST, ERR_FORMAT, "mode default, this run is in --float");
    assert_load_fails(&mtp, DIGEST, ERR_FORMAT, "made without MTP state");
    assert_load_fails(&beta, DIGEST, ERR_FORMAT, "lays state out otherwise");
    model_done(&zeta);
    model_done(&acts);
    model_done(&full);
    model_done(&mtp);
    model_done(&beta);
}

/* The file of save_some with changes, every hash right again. */
static void save_changed(const struct state_view *v, int section, size_t size, int bad_token)
{
    struct state_view changed = *v;
    struct state_image image;
    if (section >= 0) changed.section[section].size = size;
    assert_int_equal(state_image_new(&image, &changed, NULL), 0);
    if (bad_token >= 0)
        memset(state_image_section(&image, STATE_TOKENS) + 16 + 4 * bad_token, 255, 4);
    state_image_seal(&image);
    assert_int_equal(file_replace(path, image.data, image.size, NULL), 0);
    free(image.data);
}

static void contradictory_files_are_refused(void **state)
{
    (void)state;
    struct bench_model b = model_for_test("tests/golden/zeta", MODE_DEFAULT, 1, NULL, 0);
    char *data;
    size_t size;
    struct state_view v, fewer;
    save_some(&b);
    assert_int_equal(file_slurp(path, 1 << 28, &data, &size, NULL), 0);
    assert_int_equal(state_parse(&v, path, data, size, NULL), 0);

    save_changed(&v, STATE_RINGS, v.section[STATE_RINGS].size - 1, -1);
    assert_load_fails(&b, DIGEST, ERR_FORMAT, "section rings has");
    save_changed(&v, STATE_ROWS, v.section[STATE_ROWS].size / 2, -1);
    assert_load_fails(&b, DIGEST, ERR_FORMAT, "section rows has");
    save_changed(&v, STATE_KEYS, 0, -1);
    assert_load_fails(&b, DIGEST, ERR_FORMAT, "section keys has 0 bytes");
    save_changed(&v, STATE_MTP, 3, -1);
    assert_load_fails(&b, DIGEST, ERR_FORMAT, "section MTP has 3 bytes");
    save_changed(&v, -1, 0, 129);
    assert_load_fails(&b, DIGEST, ERR_FORMAT, "token 129 is 4294967295");
    fewer = v;
    fewer.n_fed = 128; /* one page less */
    save_changed(&fewer, -1, 0, -1);
    assert_load_fails(&b, DIGEST, ERR_FORMAT, "section rows has");
    fewer.n_fed = 0;
    save_changed(&fewer, -1, 0, -1);
    assert_load_fails(&b, DIGEST, ERR_FORMAT, "0 positions need 0");
    free(data);
    model_done(&b);
}

static void a_file_cut_anywhere_in_its_header_is_refused(void **state)
{
    (void)state;
    struct bench_model b = model_for_test("tests/golden/zeta", MODE_DEFAULT, 1, NULL, 0);
    save_some(&b);
    for (int size = STATE_HEADER; size >= 0; size--) {
        assert_int_equal(truncate(path, size), 0);
        assert_load_fails(&b, DIGEST, ERR_FORMAT, size < 8 ? "not a session file" : "cut off");
    }
    unlink(path);
    assert_load_fails(&b, DIGEST, ERR_IO, "No such file");
    model_done(&b);
}

static void a_full_pool_refuses_the_session(void **state)
{
    (void)state;
    struct bench_model b = model_for_test("tests/golden/zeta", MODE_DEFAULT, 1, NULL, 0);
    save_some(&b);
    struct kv_pool *small =
        kv_pool_new(b.backend, model_layout(b.model), model_layout(b.model)->live_bytes);
    struct session *s = NULL;
    struct err err = {0};
    assert_int_equal(session_load(&s, b.model, small, DIGEST, path, &err), -1);
    assert_int_equal(err.code, ERR_LIMIT);
    assert_int_equal(kv_pool_used(small), 0);
    kv_pool_free(small);
    model_done(&b);
}

/* ---- the rest of session.h ---- */

static void sessions_share_a_step(void **state)
{
    (void)state;
    enum { N = 3 };
    static const int lengths[N] = {5, 1, 131};
    struct bench_model b = model_for_test("tests/golden/zeta", MODE_DEFAULT, 2, NULL, 0);
    size_t row = (size_t)b.vocab * sizeof(float);
    float *together = xmalloc(N * row);
    struct fresh alone[N];
    struct session *s[N];
    int32_t tokens[131];
    for (int i = 0; i < 131; i++)
        tokens[i] = token(i, b.vocab);
    struct model_input in[N];
    for (int i = 0; i < N; i++) {
        alone[i] = fresh_of(&b, tokens, lengths[i]);
        s[i] = session_new(b.model, b.pool);
        append(s[i], tokens, lengths[i]);
        assert_true(session_input(s[i], 200, &in[i]));
        assert_int_equal(in[i].n_logits, 1);
    }
    struct model_output out = {.logits = together};
    assert_int_equal(model_forward(b.model, in, N, &out, NULL, NULL), 0);
    for (int i = 0; i < N; i++) {
        assert_memory_equal(alone[i].logits, together + i * b.vocab, row);
        fresh_free(&alone[i]);
        assert_false(session_input(s[i], 200, &in[i]));
        session_free(s[i]);
    }
    free(together);
    model_done(&b);
}

static void shares_are_cut_and_ask_for_logits_at_the_end(void **state)
{
    (void)state;
    struct bench_model b = model_for_test("tests/golden/zeta", MODE_DEFAULT, 1, NULL, 0);
    struct session *s = session_new(b.model, b.pool);
    struct model_input in;
    assert_false(session_input(s, 8, &in));
    append(s, (int32_t[]){1, 2, 3, 4, 5}, 5);
    assert_true(session_input(s, 4, &in));
    assert_int_equal(in.n, 4);
    assert_int_equal(in.n_logits, 0);
    assert_true(session_input(s, 5, &in));
    assert_int_equal(in.n_logits, 1);
    session_free(s);
    model_done(&b);
}

static void foreign_tokens_are_refused(void **state)
{
    (void)state;
    struct bench_model b = model_for_test("tests/golden/zeta", MODE_DEFAULT, 1, NULL, 0);
    struct session *s = session_new(b.model, b.pool);
    const int32_t bad[] = {-1, b.vocab, INT32_MAX, INT32_MIN};
    for (int i = 0; i < 4; i++) {
        struct err err = {0};
        assert_int_equal(session_append(s, (int32_t[]){0, bad[i]}, 2, &err), -1);
        assert_int_equal(err.code, ERR_ARGUMENT);
        assert_int_equal(session_length(s), 0);
    }
    session_free(s);
    model_done(&b);
}

static void a_cancelled_feed_leaves_a_good_session(void **state)
{
    (void)state;
    struct bench_model b = model_for_test("tests/golden/zeta", MODE_DEFAULT, 1, NULL, 0);
    size_t row = (size_t)b.vocab * sizeof(float);
    float *logits = xmalloc(row);
    int32_t tokens[20];
    for (int i = 0; i < 20; i++)
        tokens[i] = token(i, b.vocab);
    struct fresh fresh = fresh_of(&b, tokens, 20);
    struct session *s = session_new(b.model, b.pool);
    append(s, tokens, 20);
    atomic_bool cancel = false;
    assert_int_equal(session_feed(s, 7, 3, NULL, &cancel, NULL), 0);
    cancel = true;
    struct err err = {0};
    assert_int_equal(session_feed(s, 20, 3, logits, &cancel, &err), -1);
    assert_int_equal(err.code, ERR_CANCELLED);
    assert_int_equal(session_fed(s), 7);
    assert_int_equal(session_length(s), 20);
    cancel = false;
    assert_int_equal(session_feed(s, 20, 3, logits, &cancel, NULL), 0);
    assert_memory_equal(fresh.logits, logits, row);
    session_free(s);
    fresh_free(&fresh);
    free(logits);
    model_done(&b);
}

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder)) return -1;
    snprintf(path, sizeof path, "%s/a.session", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder); /* nothing else may lie there */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reused_is_fresh_at_every_boundary),
        cmocka_unit_test(reused_is_fresh_in_the_other_modes_and_models),
        cmocka_unit_test(reused_is_fresh_where_selection_begins),
        cmocka_unit_test(pending_tokens_and_random_numbers_are_saved),
        cmocka_unit_test(an_empty_session_is_saved),
        cmocka_unit_test(another_model_or_mode_is_refused),
        cmocka_unit_test(contradictory_files_are_refused),
        cmocka_unit_test(a_file_cut_anywhere_in_its_header_is_refused),
        cmocka_unit_test(a_full_pool_refuses_the_session),
        cmocka_unit_test(sessions_share_a_step),
        cmocka_unit_test(shares_are_cut_and_ask_for_logits_at_the_end),
        cmocka_unit_test(foreign_tokens_are_refused),
        cmocka_unit_test(a_cancelled_feed_leaves_a_good_session),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
