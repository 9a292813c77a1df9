/* What the parts of speculative decoding cost:
 *
 *     build/bench/draft MODEL [THREADS [ROUNDS]]
 *
 * Each round times, on sequences of one model with MTP and one without: a pass over one token without and
 * with MTP, a pass over two tokens, a draft, and keeping and taking back a row. Medians over the rounds.
 * Drafts pay when (draft + two tokens) < one token * (1 + share of drafts that are right). */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cpu/cpu.h"
#include "measure/bandwidth.h"
#include "model/model.h"

enum { PROMPT = 160, MAX_ROUNDS = 10000, PARTS = 6 };

static const char *const names[PARTS] = {
    "one token, no MTP", "one token", "two tokens", "draft", "keeping a row", "taking it back"};

struct subject {
    struct backend *backend;
    struct weights *weights;
    struct model *model[2]; /* without and with MTP */
    struct kv_pool *pool[2];
    struct kv *kv[2];
    struct kv_undo *undo;
    float *logits, *streams;
    uint32_t random;
};

static int open_subject(struct subject *s, const char *path, int threads, struct err *err)
{
    if (cpu_open(&s->backend, MODE_DEFAULT, threads, NULL, err) ||
        weights_open(&s->weights, path, err))
        return -1;
    if (!weights_have_mtp(s->weights))
        return err_set(err, ERR_ARGUMENT, "%s: this model has no MTP block", path);
    for (int i = 0; i < 2; i++) {
        struct model_options options = {.mtp = i == 1, .progress = true};
        if (model_open(&s->model[i], s->backend, s->weights, &options, err)) return -1;
        s->pool[i] = kv_pool_new(s->backend, model_layout(s->model[i]), 0);
        s->kv[i] = kv_new(s->pool[i]);
    }
    const struct config *c = model_config(s->model[0]);
    s->logits = xcalloc(2 * (size_t)c->vocab, sizeof *s->logits);
    s->streams = xcalloc(2 * (size_t)(c->hc_mult * c->dim), sizeof *s->streams);
    return kv_undo_new(&s->undo, s->pool[1], 1, err);
}

static int random_token(struct subject *s)
{
    s->random = s->random * 1664525u + 1013904223u;
    return (int)((s->random >> 8) % (uint32_t)model_config(s->model[0])->vocab);
}

/* Seconds of a pass over n random tokens; below 0 on failure. */
static double pass(struct subject *s, int with, int n, int n_logits, struct err *err)
{
    int tokens[PROMPT];
    for (int i = 0; i < n; i++)
        tokens[i] = random_token(s);
    struct model_input in = {s->kv[with], tokens, n, n_logits};
    struct model_output out = {.logits = s->logits, .streams = n == 2 ? s->streams : NULL};
    double start = clock_seconds();
    if (model_forward(s->model[with], &in, 1, &out, NULL, err)) return -1;
    return clock_seconds() - start;
}

static int measure_round(struct subject *s, double *took[PARTS], int i, struct err *err)
{
    struct kv *kv = s->kv[1];
    took[0][i] = pass(s, 0, 1, 1, err);
    took[1][i] = pass(s, 1, 1, 1, err);
    if (took[0][i] < 0 || took[1][i] < 0) return -1;

    double start = clock_seconds();
    struct model_draft draft = {kv, random_token(s)};
    if (model_draft(s->model[1], &draft, 1, s->logits, err)) return -1;
    took[3][i] = clock_seconds() - start;

    if (kv_reserve(kv, 2, err)) return -1;
    start = clock_seconds();
    kv_undo_keep(s->undo, kv, kv_length(kv) + 1, 1);
    took[4][i] = clock_seconds() - start;
    took[2][i] = pass(s, 1, 2, 2, err);
    if (took[2][i] < 0) return -1;
    start = clock_seconds();
    kv_undo_back(s->undo, kv, kv_length(kv) - 1, s->streams);
    took[5][i] = clock_seconds() - start;
    return 0;
}

static int measure(struct subject *s, int rounds, struct err *err)
{
    double *took[PARTS], ms[PARTS];
    int rc = 0;
    for (int p = 0; p < PARTS; p++)
        took[p] = xcalloc((size_t)rounds, sizeof *took[p]);
    for (int with = 0; rc == 0 && with < 2; with++)
        rc = pass(s, with, PROMPT, 1, err) < 0 ? -1 : 0;
    for (int i = 0; rc == 0 && i < rounds; i++)
        rc = measure_round(s, took, i, err);
    for (int p = 0; p < PARTS; p++) {
        ms[p] = median_of(took[p], rounds) * 1e3;
        free(took[p]);
    }
    if (rc) return -1;
    for (int p = 0; p < PARTS; p++)
        printf("%-18s %9.4f ms\n", names[p], ms[p]);
    double step = ms[2] + ms[3] + ms[4];
    printf("a step with a draft takes %.2f of one without; it pays from %.0f %% right on\n",
           step / ms[1], 100 * (step / ms[1] - 1));
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
    for (int i = 0; i < 2; i++) {
        kv_free(s.kv[i]);
        kv_pool_free(s.pool[i]);
        model_close(s.model[i]);
    }
    weights_close(s.weights);
    if (s.backend) s.backend->close(s.backend);
    free(s.logits);
    free(s.streams);
    return rc ? 1 : 0;
}
