#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../support/golden.h"
#include "base/mem.h"
#include "measure/ppl.h"

static const char ZETA[] = "tests/golden/zeta";

enum { BOS = 0, LENGTH = 16, SKIP = 5, SCORED = LENGTH - 1 - SKIP };

struct rig {
    struct bench_model b;
    struct ids text;
    struct windows w;
};

static struct ids text_of(int n)
{
    struct ids ids;
    size_t all;
    int32_t *tokens = golden_i32(ZETA, "tokens", &all);
    ids_init(&ids, 1 << 20);
    for (int i = 0; i < n; i++)
        assert_int_equal(ids_add(&ids, tokens[(size_t)i % all], NULL), 0);
    free(tokens);
    return ids;
}

static struct rig rig_open(enum numeric_mode mode, int n_tokens)
{
    struct rig r = {.b = model_for_test(ZETA, mode, 2, NULL, 0), .text = text_of(n_tokens)};
    struct err err = {0};
    if (windows_cut(&r.w, &r.text, BOS, LENGTH, SKIP, 0, &err)) fail_msg("%s", err.message);
    return r;
}

static void rig_close(struct rig *r)
{
    windows_fini(&r->w);
    ids_fini(&r->text);
    model_done(&r->b);
}

/* ---- windows ---- */

static void windows_are_llamas(void **state)
{
    (void)state;
    struct ids text;
    struct windows w;
    ids_init(&text, 100);
    for (int i = 0; i < 30; i++)
        assert_int_equal(ids_add(&text, 100 + i, NULL), 0);
    assert_int_equal(windows_cut(&w, &text, 7, 10, 5, 0, NULL), 0);
    assert_int_equal(w.n, 3); /* 31 tokens with BOS */
    static const int32_t want[3][10] = {{7, 100, 101, 102, 103, 104, 105, 106, 107, 108},
                                        {7, 110, 111, 112, 113, 114, 115, 116, 117, 118},
                                        {7, 120, 121, 122, 123, 124, 125, 126, 127, 128}};
    assert_memory_equal(w.tokens, want, sizeof want);
    assert_int_equal(windows_scored(&w), 4);
    windows_fini(&w);

    assert_int_equal(windows_cut(&w, &text, 7, 4, 2, 3, NULL), 0); /* 7 windows, 3 of them */
    assert_int_equal(w.n, 3);
    static const int32_t some[3][4] = {{7, 100, 101, 102}, {7, 112, 113, 114}, {7, 116, 117, 118}};
    assert_memory_equal(w.tokens, some, sizeof some);
    uint8_t a[32], b[32];
    windows_digest(&w, a);
    w.tokens[11]++;
    windows_digest(&w, b);
    assert_memory_not_equal(a, b, sizeof a);
    windows_fini(&w);

    assert_int_equal(windows_cut(&w, &text, 7, 31, 15, 0, NULL), 0);
    assert_int_equal(w.n, 1);
    windows_fini(&w);
    struct err err = {0};
    assert_int_equal(windows_cut(&w, &text, 7, 32, 16, 0, &err), -1);
    assert_int_equal(err.code, ERR_ARGUMENT);
    assert_non_null(strstr(err.message, "31 tokens with BOS, a window 32"));
    ids_fini(&text);
}

/* All logits of each window, run alone and whole. */
static float *logits_of(struct rig *r)
{
    size_t row = (size_t)r->b.vocab, window = (LENGTH - 1) * row;
    float *all = xcalloc((size_t)r->w.n * window, sizeof *all);
    for (int i = 0; i < r->w.n; i++)
        run_logits(&r->b, r->w.tokens + (size_t)i * LENGTH, LENGTH - 1, LENGTH,
                   all + (size_t)i * window, NULL);
    return all;
}

static void each_scored_row_comes_once_with_its_logits(void **state)
{
    (void)state;
    struct rig r = rig_open(MODE_DEFAULT, 150); /* 9 windows */
    float *want = logits_of(&r);
    static const int at_once[] = {1, 2, 4, 9, 1000};
    size_t vocab = (size_t)r.b.vocab;
    for (size_t k = 0; k < sizeof at_once / sizeof *at_once; k++) {
        struct scorer *s = NULL;
        const struct scored_row *rows;
        bool seen[9][SCORED] = {{false}};
        int n, total = 0;
        assert_int_equal(scorer_open(&s, r.b.model, &r.w, at_once[k], NULL), 0);
        for (;;) {
            assert_int_equal(scorer_step(s, &rows, &n, NULL), 0);
            if (n < 0) break;
            for (int i = 0; i < n; i++, total++) {
                const struct scored_row *x = &rows[i];
                assert_in_range(x->window, 0, 8);
                assert_in_range(x->index, 0, SCORED - 1);
                assert_false(seen[x->window][x->index]);
                seen[x->window][x->index] = true;
                size_t pos = (size_t)x->index + SKIP;
                assert_int_equal(x->target, r.w.tokens[(size_t)x->window * LENGTH + pos + 1]);
                assert_memory_equal(x->logits,
                                    want + ((size_t)x->window * (LENGTH - 1) + pos) * vocab,
                                    vocab * sizeof *want);
            }
        }
        assert_int_equal(total, 9 * SCORED);
        scorer_close(s);
    }
    free(want);
    rig_close(&r);
}

/* ---- perplexity and divergence ---- */

static struct ppl_result measure(const struct ppl_job *job)
{
    struct ppl_result out;
    struct err err = {0};
    if (ppl_run(job, &out, &err)) fail_msg("%s", err.message);
    return out;
}

static double nll_of(const float *logits, int vocab, int target)
{
    double max = -INFINITY, sum = 0;
    for (int i = 0; i < vocab; i++)
        max = fmax(max, (double)logits[i]);
    for (int i = 0; i < vocab; i++)
        sum += exp((double)logits[i] - max);
    return max + log(sum) - (double)logits[target];
}

static void near(double got, double want, double limit)
{
    if (!(fabs(got - want) <= limit)) fail_msg("%.9f, not %.9f", got, want);
}

static void perplexity_is_that_of_the_logits(void **state)
{
    (void)state;
    struct rig r = rig_open(MODE_DEFAULT, 150);
    float *logits = logits_of(&r);
    double sum = 0, squares = 0;
    for (int i = 0; i < r.w.n; i++) {
        double window = 0;
        for (int p = SKIP; p < LENGTH - 1; p++)
            window += nll_of(logits + ((size_t)i * (LENGTH - 1) + (size_t)p) * (size_t)r.b.vocab,
                             r.b.vocab, r.w.tokens[i * LENGTH + p + 1]);
        sum += window / SCORED;
        squares += window / SCORED * window / SCORED;
    }
    double mean = sum / 9, error = sqrt((squares / 9 - mean * mean) / 8);
    struct ppl_result first = {0};
    for (int at_once = 1; at_once <= 16; at_once *= 4) {
        struct ppl_result p =
            measure(&(struct ppl_job){.model = r.b.model, .windows = &r.w, .at_once = at_once});
        assert_int_equal(p.n_windows, 9);
        assert_int_equal(p.n_tokens, 9 * SCORED);
        near(p.model.nll.value, mean, 1e-6);
        near(p.model.nll.error, error, 1e-6);
        near(p.model.ppl, exp(mean), 1e-4);
        near(log(p.model.ppl_range.high), mean + 1.95996 * error, 1e-5);
        if (at_once == 1) first = p;
        assert_memory_equal(&p.model, &first.model, sizeof p.model); /* to the bit */
    }
    free(logits);
    rig_close(&r);
}

static void divergence_is_that_of_the_logits(void **state)
{
    (void)state;
    struct rig r = rig_open(MODE_DEFAULT, 150), base = rig_open(MODE_FLOAT, 150);
    float *q = logits_of(&r), *p = logits_of(&base);
    double sum = 0;
    int same = 0;
    for (int i = 0; i < r.w.n; i++)
        for (int pos = SKIP; pos < LENGTH - 1; pos++) {
            size_t at = ((size_t)i * (LENGTH - 1) + (size_t)pos) * (size_t)r.b.vocab;
            sum += mean_kl(p + at, q + at, 1, (size_t)r.b.vocab);
            same += argmax(p + at, r.b.vocab) == argmax(q + at, r.b.vocab);
        }
    struct ppl_job job = {.model = r.b.model, .windows = &r.w, .at_once = 4, .base = base.b.model};
    struct ppl_result got = measure(&job);
    near(got.kl.value, sum / (9 * SCORED), 1e-6);
    assert_true(got.kl.value > 1e-4); /* the modes do differ */
    assert_int_equal(got.n_same, same);
    assert_true(got.kl_median <= got.kl_99 && got.kl_99 <= got.kl_999 && got.kl_999 <= got.kl_max &&
                got.kl_median < got.kl.value);
    struct ppl_result own =
        measure(&(struct ppl_job){.model = base.b.model, .windows = &r.w, .at_once = 4});
    assert_memory_equal(&got.base, &own.model, sizeof own.model);

    job.base = r.b.model; /* itself */
    got = measure(&job);
    assert_true(got.kl.value == 0 && got.kl_max == 0);
    assert_int_equal(got.n_same, 9 * SCORED);
    free(p);
    free(q);
    rig_close(&base);
    rig_close(&r);
}

static void cancelling_keeps_whole_windows(void **state)
{
    (void)state;
    struct rig r = rig_open(MODE_DEFAULT, 150);
    atomic_bool cancel = true;
    struct ppl_result p = measure(
        &(struct ppl_job){.model = r.b.model, .windows = &r.w, .at_once = 4, .cancel = &cancel});
    assert_true(p.cancelled);
    assert_int_equal(p.n_windows, 0);
    assert_int_equal(p.n_tokens, 0);
    rig_close(&r);
}

static void log_probabilities_of_a_row(void **state)
{
    (void)state;
    float x[4] = {0, 0, 0, 0}, far[3] = {1000, -1000, 999}, lp[4];
    ppl_logprobs(x, 4, lp);
    for (int i = 0; i < 4; i++)
        near((double)lp[i], log(0.25), 1e-6);
    ppl_logprobs(far, 3, lp);
    near((double)lp[0], -0.31326169, 1e-6);
    near((double)lp[1], -2000.31326, 1e-3);
    near((double)lp[2], -1.31326169, 1e-6);
    ppl_logprobs(x, 4, x); /* in place */
    const float p[2] = {logf(0.5f), logf(0.5f)}, q[2] = {logf(0.9f), logf(0.1f)};
    near(ppl_divergence(p, q, 2), 0.5 * log(0.5 / 0.9) + 0.5 * log(0.5 / 0.1), 1e-6);
    near(ppl_divergence(p, p, 2), 0, 0);
}

/* ---- base files ---- */

static struct kl_base_id id_of(const struct rig *r)
{
    struct kl_base_id id = {.vocab = (uint32_t)r->b.vocab,
                            .windows = (uint32_t)r->w.n,
                            .length = LENGTH,
                            .skip = SKIP,
                            .mode = MODE_FLOAT,
                            .model = {1, 2, 3}};
    windows_digest(&r->w, id.tokens);
    return id;
}

static struct kl_base_image save_base(struct rig *r)
{
    struct kl_base_image image;
    struct kl_base_id id = id_of(r);
    assert_int_equal(kl_base_new(&image, &id, NULL), 0);
    measure(&(struct ppl_job){.model = r->b.model, .windows = &r->w, .at_once = 4, .save = &image});
    kl_base_seal(&image);
    return image;
}

static void a_stored_base_is_the_model_to_the_bit(void **state)
{
    (void)state;
    struct rig r = rig_open(MODE_DEFAULT, 60), base = rig_open(MODE_FLOAT, 60);
    struct kl_base_image image = save_base(&base);
    struct kl_base_view view;
    struct kl_base_id id = id_of(&base);
    assert_int_equal(image.size, KL_BASE_HEADER + 3 * SCORED * (size_t)r.b.vocab * 4);
    assert_int_equal(kl_base_parse(&view, "base", image.data, image.size, NULL), 0);
    assert_memory_equal(&view.id, &id, sizeof id);
    assert_int_equal(view.n_rows, 3 * SCORED);
    struct ppl_job job = {.model = r.b.model, .windows = &r.w, .at_once = 2, .base = base.b.model};
    struct ppl_result live = measure(&job);
    job.base = NULL;
    job.file = &view;
    job.at_once = 3;
    struct ppl_result stored = measure(&job);
    assert_true(live.kl.value > 1e-4);
    assert_memory_equal(&live.kl, &stored.kl, sizeof live.kl);
    assert_memory_equal(&live.base, &stored.base, sizeof live.base);
    assert_true(live.kl_max == stored.kl_max && live.n_same == stored.n_same);
    free(image.data);
    rig_close(&base);
    rig_close(&r);
}

/* Every byte, every bit of the header; and every shorter file, and one byte more. */
static void damage_anywhere_is_refused(void **state)
{
    (void)state;
    struct kl_base_id id = {.vocab = 5, .windows = 2, .length = 6, .skip = 2, .mode = 1};
    struct kl_base_image image;
    struct kl_base_view view;
    assert_int_equal(kl_base_new(&image, &id, NULL), 0);
    for (size_t row = 0; row < 6; row++)
        kl_base_put(&image, row, (const float[]){-1, -2, -3, -4, -5}, 5);
    kl_base_seal(&image);
    assert_int_equal(kl_base_parse(&view, "x", image.data, image.size, NULL), 0);
    for (size_t i = 0; i < image.size; i++)
        for (int bit = 0; bit < 8; bit++) {
            struct err err = {0};
            image.data[i] ^= (uint8_t)(1 << bit);
            assert_int_equal(kl_base_parse(&view, "x", image.data, image.size, &err), -1);
            assert_true(err.code == ERR_FORMAT || err.code == ERR_UNSUPPORTED);
            assert_null(view.rows);
            image.data[i] ^= (uint8_t)(1 << bit);
        }
    for (size_t size = 0; size < image.size; size++) {
        uint8_t *cut = xmalloc(size + 1); /* so that a sanitizer sees a read past the end */
        memcpy(cut, image.data, size);
        assert_int_equal(kl_base_parse(&view, "x", cut, size, NULL), -1);
        free(cut);
    }
    uint8_t *more = xcalloc(1, image.size + 1);
    memcpy(more, image.data, image.size);
    assert_int_equal(kl_base_parse(&view, "x", more, image.size + 1, NULL), -1);
    free(more);
    free(image.data);
}

/* Right hashes, wrong contents. */
static void numbers_and_values_are_checked_too(void **state)
{
    (void)state;
    struct kl_base_id id = {.vocab = 5, .windows = 2, .length = 6, .skip = 2}, bad;
    struct kl_base_image image;
    struct kl_base_view view;
    struct err err = {0};
    assert_int_equal(kl_base_new(&image, &id, NULL), 0);
    static const float values[] = {NAN, INFINITY, 1, -INFINITY};
    float row[5];
    for (int i = 0; i < 4; i++) {
        kl_base_put(&image, 5, (const float[]){-1, -1, -1, values[i], -1}, 5);
        kl_base_seal(&image);
        assert_int_equal(kl_base_parse(&view, "x", image.data, image.size, NULL), 0);
        assert_int_equal(kl_base_row(&view, 4, row, NULL), 0);
        assert_int_equal(kl_base_row(&view, 5, row, &err), -1);
        assert_int_equal(err.code, ERR_FORMAT);
    }
    for (int at = 12; at <= 28; at += 4) {
        image.data[at + 3] ^= 0x40;
        kl_base_seal(&image);
        assert_int_equal(kl_base_parse(&view, "x", image.data, image.size, NULL), -1);
        image.data[at + 3] ^= 0x40;
    }
    kl_base_seal(&image);
    assert_int_equal(kl_base_parse(&view, "x", image.data, image.size, NULL), 0);
    assert_int_equal(kl_base_match(&view, &id, NULL), 0);
    for (int i = 0; i < 5; i++) {
        bad = id;
        uint32_t *number[] = {&bad.vocab, &bad.windows, &bad.length, &bad.skip};
        if (i < 4)
            ++*number[i];
        else
            bad.tokens[31] ^= 1;
        assert_int_equal(kl_base_match(&view, &bad, NULL), -1);
    }
    bad = id;
    bad.model[0] ^= 1; /* another model is what it is for */
    bad.mode = 2;
    assert_int_equal(kl_base_match(&view, &bad, NULL), 0);
    free(image.data);

    id.vocab = 1 << 20;
    id.windows = 1 << 20;
    err = (struct err){0};
    assert_int_equal(kl_base_new(&image, &id, &err), -1);
    assert_int_equal(err.code, ERR_LIMIT);
    assert_null(image.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows_are_llamas),
        cmocka_unit_test(each_scored_row_comes_once_with_its_logits),
        cmocka_unit_test(perplexity_is_that_of_the_logits),
        cmocka_unit_test(divergence_is_that_of_the_logits),
        cmocka_unit_test(cancelling_keeps_whole_windows),
        cmocka_unit_test(log_probabilities_of_a_row),
        cmocka_unit_test(a_stored_base_is_the_model_to_the_bit),
        cmocka_unit_test(damage_anywhere_is_refused),
        cmocka_unit_test(numbers_and_values_are_checked_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
