/* Decoding speed of a checkpoint as a share of what memory allows:
 *
 *     build/bench/decode MODEL [THREADS [ROUNDS]]
 *
 * Reads of a large buffer alternate with decoded tokens, so that a noisy neighbour hits both; the
 * figures are medians over the rounds. The limit is bandwidth / bytes that one token reads. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cpu/cpu.h"
#include "measure/bandwidth.h"
#include "model/model.h"

enum { BUFFER = 1 << 29, PROMPT = 16, TOKENS = 4, MAX_ROUNDS = 1000 };

struct subject {
    struct backend *backend;
    struct weights *weights;
    struct model *model;
    struct kv_pool *pool;
    struct kv *kv;
    float *logits;
    uint32_t random;
};

static int open_subject(struct subject *s, const char *path, int threads, struct err *err)
{
    struct model_options options = {.progress = true};
    if (cpu_open(&s->backend, MODE_DEFAULT, threads, NULL, err) ||
        weights_open(&s->weights, path, err) ||
        model_open(&s->model, s->backend, s->weights, &options, err))
        return -1;
    s->pool = kv_pool_new(s->backend, model_layout(s->model), 0);
    s->kv = kv_new(s->pool);
    s->logits = xcalloc((size_t)model_config(s->model)->vocab, sizeof *s->logits);
    return 0;
}

/* Feeds n random tokens, so that every step routes to other experts. */
static int feed(struct subject *s, int n, struct err *err)
{
    int tokens[PROMPT];
    for (int i = 0; i < n; i++) {
        s->random = s->random * 1664525u + 1013904223u;
        tokens[i] = (int)((s->random >> 8) % (uint32_t)model_config(s->model)->vocab);
    }
    struct model_input in = {s->kv, tokens, n, 1};
    struct model_output out = {.logits = s->logits};
    return model_forward(s->model, &in, 1, &out, NULL, err);
}

static int measure(struct subject *s, struct bandwidth *b, int rounds, struct err *err)
{
    double bytes = (double)model_bytes_per_token(s->model);
    double read[MAX_ROUNDS], speed[MAX_ROUNDS], share[MAX_ROUNDS];
    if (feed(s, PROMPT, err)) return -1;
    for (int i = 0; i < rounds; i++) {
        double before = bandwidth_read(b), start = clock_seconds();
        for (int t = 0; t < TOKENS; t++)
            if (feed(s, 1, err)) return -1;
        speed[i] = TOKENS / (clock_seconds() - start);
        read[i] = (before + bandwidth_read(b)) / 2;
        share[i] = speed[i] * bytes / read[i];
    }
    printf(
        "weights        %.2f GB, peak memory of the process %.2f GB with a read buffer of %.2f\n",
        (double)model_bytes(s->model) / 1e9, (double)mem_peak() / 1e9, BUFFER / 1e9);
    printf("read per token %.3f GB\n", bytes / 1e9);
    printf("bandwidth      %.1f GB/s\n", median_of(read, rounds) / 1e9);
    printf("decode         %.2f tokens/s\n", median_of(speed, rounds));
    printf("share          %.2f of bandwidth / bytes (median of %d rounds, %s)\n",
           median_of(share, rounds), rounds, s->backend->isa);
    return 0;
}

int main(int argc, char **argv)
{
    struct err err = {0};
    struct subject s = {.random = 1};
    struct bandwidth *b = NULL;
    int threads = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 0;
    int rounds = argc > 3 ? (int)strtol(argv[3], NULL, 10) : 15;
    if (argc < 2 || threads < 0 || rounds < 1 || rounds > MAX_ROUNDS) {
        fprintf(stderr, "usage: decode MODEL [THREADS [ROUNDS]]\n");
        return 2;
    }
    int rc = open_subject(&s, argv[1], threads, &err) ||
             bandwidth_open(&b, BUFFER, threads, &err) || measure(&s, b, rounds, &err);
    if (rc) fprintf(stderr, "decode: %s\n", err.message);
    bandwidth_close(b);
    kv_free(s.kv);
    kv_pool_free(s.pool);
    model_close(s.model);
    weights_close(s.weights);
    if (s.backend) s.backend->close(s.backend);
    free(s.logits);
    return rc ? 1 : 0;
}
