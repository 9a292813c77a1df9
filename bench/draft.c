/* What the parts of speculative decoding cost:
 *
 *     build/bench/draft MODEL [THREADS [ROUNDS]]
 *
 * Each round times, on one sequence: a pass over one token, a draft, keeping what a row overwrites, a pass
 * over two tokens, and taking the second back. Random tokens, so that every row has other experts.
 * Medians over the rounds. Drafts pay when draft + two tokens < one token * (1 + share that is right). */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cpu/cpu.h"
#include "measure/bandwidth.h"
#include "model/model.h"

enum { PROMPT = 160, MAX_ROUNDS = 10000 };
enum { ONE, DRAFT, KEEP, TWO, BACK, PARTS };

static const char *const names[PARTS] = {[ONE] = "one token",
                                         [DRAFT] = "draft",
                                         [KEEP] = "keeping a row",
                                         [TWO] = "two tokens",
                                         [BACK] = "taking it back"};

struct subject {
    struct backend *backend;
    struct weights *weights;
    struct model *model;
    struct kv_pool *pool;
    struct kv *kv;
    struct kv_undo *undo;
    float *logits, *streams;
    uint32_t random;
};

static int open_subject(struct subject *s, const char *path, int threads, struct err *err)
{
    struct model_options options = {.mtp = true, .progress = true};
    if (cpu_open(&s->backend, MODE_DEFAULT, threads, NULL, err) ||
        weights_open(&s->weights, path, err) ||
        model_open(&s->model, s->backend, s->weights, &options, err))
        return -1;
    if (!model_has_mtp(s->model))
        return err_set(err, ERR_ARGUMENT, "%s: this model has no MTP block", path);
    s->pool = kv_pool_new(s->backend, model_layout(s->model), 0);
    s->kv = kv_new(s->pool);
    const struct config *c = model_config(s->model);
    s->logits = xcalloc(2 * (size_t)c->vocab, sizeof *s->logits);
    s->streams = xcalloc(2 * (size_t)(c->hc_mult * c->dim), sizeof *s->streams);
    return kv_undo_new(&s->undo, s->pool, 1, err);
}

static int random_token(struct subject *s)
{
    s->random = s->random * 1664525u + 1013904223u;
    return (int)((s->random >> 8) % (uint32_t)model_config(s->model)->vocab);
}

static int pass(struct subject *s, int n, int n_logits, struct err *err)
{
    int tokens[PROMPT];
    for (int i = 0; i < n; i++)
        tokens[i] = random_token(s);
    struct model_input in = {s->kv, tokens, n, n_logits};
    struct model_output out = {.logits = s->logits, .streams = n == 2 ? s->streams : NULL};
    return model_forward(s->model, &in, 1, &out, NULL, err);
}

/* at[p]: when part p - 1 was over. */
static int measure_round(struct subject *s, double at[PARTS + 1], struct err *err)
{
    at[0] = clock_seconds();
    if (pass(s, 1, 1, err)) return -1;
    at[1] = clock_seconds();
    struct model_draft draft = {s->kv, random_token(s)};
    if (model_draft(s->model, &draft, 1, s->logits, err)) return -1;
    at[2] = clock_seconds();
    if (kv_reserve(s->kv, 2, err)) return -1;
    kv_undo_keep(s->undo, s->kv, kv_length(s->kv) + 1, 1);
    at[3] = clock_seconds();
    if (pass(s, 2, 2, err)) return -1;
    at[4] = clock_seconds();
    kv_undo_back(s->undo, s->kv, kv_length(s->kv) - 1, s->streams);
    at[5] = clock_seconds();
    return 0;
}

static int measure(struct subject *s, int rounds, struct err *err)
{
    double *took[PARTS], ms[PARTS], at[PARTS + 1];
    int rc = pass(s, PROMPT, 1, err);
    for (int p = 0; p < PARTS; p++)
        took[p] = xcalloc((size_t)rounds, sizeof *took[p]);
    for (int i = 0; rc == 0 && i < rounds; i++) {
        rc = measure_round(s, at, err);
        for (int p = 0; p < PARTS; p++)
            took[p][i] = at[p + 1] - at[p];
    }
    for (int p = 0; p < PARTS; p++) {
        ms[p] = median_of(took[p], rounds) * 1e3;
        free(took[p]);
    }
    if (rc) return -1;
    for (int p = 0; p < PARTS; p++)
        printf("%-16s %9.4f ms\n", names[p], ms[p]);
    double step = (ms[DRAFT] + ms[KEEP] + ms[TWO]) / ms[ONE];
    printf("a step with a draft takes %.2f of one without: it pays from %.0f %% right on (%s)\n",
           step, 100 * (step - 1), s->backend->isa);
    return 0;
}

int main(int argc, char **argv)
{
    struct err err = {0};
    struct subject s = {.random = 1};
    int threads = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 0;
    int rounds = argc > 3 ? (int)strtol(argv[3], NULL, 10) : 301;
    if (argc < 2 || threads < 0 || rounds < 1 || rounds > MAX_ROUNDS) {
        fprintf(stderr, "usage: draft MODEL [THREADS [ROUNDS]]\n");
        return 2;
    }
    int rc = open_subject(&s, argv[1], threads, &err) || measure(&s, rounds, &err);
    if (rc) fprintf(stderr, "draft: %s\n", err.message);
    kv_undo_free(s.undo);
    kv_free(s.kv);
    kv_pool_free(s.pool);
    model_close(s.model);
    weights_close(s.weights);
    if (s.backend) s.backend->close(s.backend);
    free(s.logits);
    free(s.streams);
    return rc ? 1 : 0;
}
