/* The same bits however the work is cut: chunks of the prompt, threads, ISA, batch mates. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../support/golden.h"
#include "base/mem.h"
#include "cpu/kernels.h"

/* Instrumented code is ten times slower: smaller shapes there, and fewer cuts. */
#ifdef TENON_SANITIZED
static const char *const models[] = {"tests/golden/zeta", "tests/golden/beta"};
static const int chunks[] = {1, 7, 129};
static const int long_prompts[] = {2053, 1100};
#else
static const char *const models[] = {"tests/golden/zeta", "tests/golden/beta", "tests/golden/alpha",
                                     "tests/golden/gamma", "models/nano"};
static const int chunks[] = {1, 2, 3, 5, 7, 64, 127, 128, 129};
static const int long_prompts[] = {2053, 8200};
#endif
enum {
    N_MODELS = sizeof models / sizeof *models,
    N_CHUNKS = sizeof chunks / sizeof *chunks,
    LENGTH = 257
};

static const enum numeric_mode modes[] = {MODE_DEFAULT, MODE_F32_ACTS, MODE_FLOAT};

/* Token ids that every vocabulary has, in no order that a model could like. */
static void some_tokens(int32_t *tokens, int n, int vocab)
{
    uint32_t x = 12345;
    for (int i = 0; i < n; i++) {
        x = x * 1664525u + 1013904223u;
        tokens[i] = (int32_t)((x >> 8) % (uint32_t)vocab);
    }
}

static void assert_same_bits(const float *a, const float *b, size_t n, const char *model,
                             const char *what, int value)
{
    if (memcmp(a, b, n * sizeof *a) == 0) return;
    for (size_t i = 0; i < n; i++)
        if (memcmp(&a[i], &b[i], sizeof *a) != 0)
            fail_msg("%s: %s %d: logit %zu is %a, was %a", model, what, value, i, b[i], a[i]);
}

static void chunks_do_not_change_the_bits(void **state)
{
    (void)state;
    for (int i = 0; i < N_MODELS; i++) {
        for (size_t m = 0; m < sizeof modes / sizeof *modes; m++) {
            struct bench_model b = model_for_test(models[i], modes[m], 2, NULL, 1);
            int32_t tokens[LENGTH];
            some_tokens(tokens, LENGTH, b.vocab);
            size_t n = LENGTH * (size_t)b.vocab, n_mtp = n - (size_t)b.vocab;
            float *one = xmalloc(n * sizeof *one), *cut = xmalloc(n * sizeof *cut);
            float *mtp_one = xmalloc(n * sizeof *one), *mtp_cut = xmalloc(n * sizeof *cut);
            run_logits(&b, tokens, LENGTH, LENGTH, one, mtp_one);
            for (int c = 0; c < N_CHUNKS; c++) {
                if (m > 0 && chunks[c] != 1 && chunks[c] != 127) continue;
                run_logits(&b, tokens, LENGTH, chunks[c], cut, mtp_cut);
                assert_same_bits(one, cut, n, models[i], "chunk", chunks[c]);
                if (model_has_mtp(b.model))
                    assert_same_bits(mtp_one, mtp_cut, n_mtp, models[i], "MTP, chunk", chunks[c]);
            }
            free(one);
            free(cut);
            free(mtp_one);
            free(mtp_cut);
            model_done(&b);
        }
    }
}

/* The lengths at which state is easily lost: ends of entries, of windows, of the full selection. */
static void chunks_do_not_change_the_bits_of_long_prompts(void **state)
{
    static const char *const names[] = {"tests/golden/gamma", "tests/golden/zeta"};
    static const int cuts[] = {64, 129};
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct bench_model b = model_for_test(names[i], MODE_DEFAULT, 2, NULL, 0);
        int length = long_prompts[i];
        int32_t *tokens = xmalloc((size_t)length * sizeof *tokens);
        some_tokens(tokens, length, b.vocab);
        size_t n = (size_t)length * (size_t)b.vocab;
        float *one = xmalloc(n * sizeof *one), *cut = xmalloc(n * sizeof *cut);
        run_logits(&b, tokens, length, length, one, NULL);
        for (int c = 0; c < 2; c++) {
            run_logits(&b, tokens, length, cuts[c], cut, NULL);
            assert_same_bits(one, cut, n, names[i], "chunk", cuts[c]);
        }
        /* Decoding goes on from a long prompt as if it had been part of it. */
        struct kv *kv = kv_new(b.pool);
        int head = length - 9;
        feed(&b, kv, tokens, head, cut);
        for (int t = head; t < length; t++) {
            feed(&b, kv, &tokens[t], 1, cut);
            assert_same_bits(one + (size_t)t * (size_t)b.vocab, cut, (size_t)b.vocab, names[i],
                             "decoding at", t);
        }
        kv_free(kv);
        free(one);
        free(cut);
        free(tokens);
        model_done(&b);
    }
}

static void threads_and_isa_do_not_change_the_bits(void **state)
{
    static const struct {
        int threads;
        const char *isa;
    } cases[] = {{1, NULL}, {2, NULL}, {3, NULL}, {7, NULL}, {2, "avx2"}, {2, "ref"}};
    (void)state;
    for (int i = 0; i < N_MODELS; i++) {
        float *first = NULL;
        for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
            if (!kernels_find(cases[c].isa)) continue;
            struct bench_model b =
                model_for_test(models[i], MODE_DEFAULT, cases[c].threads, cases[c].isa, 0);
            int32_t tokens[LENGTH];
            some_tokens(tokens, LENGTH, b.vocab);
            size_t n = LENGTH * (size_t)b.vocab;
            float *logits = xmalloc(n * sizeof *logits);
            run_logits(&b, tokens, LENGTH, 100, logits, NULL);
            if (!first) {
                first = logits;
            } else {
                assert_same_bits(first, logits, n, models[i], "threads", cases[c].threads);
                free(logits);
            }
            model_done(&b);
        }
        free(first);
    }
}

/* Three sequences of different length and position share steps; each must be as when alone. */
static void batch_mates_do_not_change_the_bits(void **state)
{
    static const int lengths[3] = {150, 40, 97};
    static const int cuts[3][4] = {{1, 120, 28, 1}, {3, 1, 1, 35}, {90, 2, 4, 1}};
    (void)state;
    for (int i = 0; i < N_MODELS; i++) {
        struct bench_model b = model_for_test(models[i], MODE_DEFAULT, 2, NULL, 1);
        size_t v = (size_t)b.vocab;
        int32_t tokens[3][LENGTH];
        float *alone[3], *mixed[3];
        struct kv *kv[3];
        for (int q = 0; q < 3; q++) {
            some_tokens(tokens[q], LENGTH, b.vocab - q);
            alone[q] = xmalloc((size_t)lengths[q] * v * sizeof(float));
            mixed[q] = xmalloc((size_t)lengths[q] * v * sizeof(float));
            run_logits(&b, tokens[q], lengths[q], lengths[q], alone[q], NULL);
            kv[q] = kv_new(b.pool);
        }
        float *out = xmalloc(3 * LENGTH * v * sizeof *out);
        int done[3] = {0};
        for (int step = 0; step < 4; step++) {
            struct model_input in[3];
            struct model_output result = {.logits = out};
            struct err err = {0};
            for (int q = 0; q < 3; q++) {
                int n = cuts[q][step];
                in[q] = (struct model_input){kv[q], (int *)&tokens[q][done[q]], n, n};
            }
            if (model_forward(b.model, in, 3, &result, NULL, &err)) fail_msg("%s", err.message);
            const float *from = out;
            for (int q = 0; q < 3; q++) {
                size_t n = (size_t)cuts[q][step];
                memcpy(mixed[q] + (size_t)done[q] * v, from, n * v * sizeof *from);
                from += n * v;
                done[q] += cuts[q][step];
            }
        }
        for (int q = 0; q < 3; q++) {
            assert_int_equal(done[q], lengths[q]);
            assert_same_bits(alone[q], mixed[q], (size_t)lengths[q] * v, models[i], "sequence", q);
            kv_free(kv[q]);
            free(alone[q]);
            free(mixed[q]);
        }
        free(out);
        model_done(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunks_do_not_change_the_bits),
        cmocka_unit_test(chunks_do_not_change_the_bits_of_long_prompts),
        cmocka_unit_test(threads_and_isa_do_not_change_the_bits),
        cmocka_unit_test(batch_mates_do_not_change_the_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
