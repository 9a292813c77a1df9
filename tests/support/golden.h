/* The golden models of tests/golden, and a model opened for a test. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "model/model.h"

/* A tensor of DIR/expected.safetensors as f32 or i32 (or u8) values; the caller frees. *n is the
 * number of values. Fails the test when it is not there. */
float *golden_f32(const char *dir, const char *name, size_t *n);
int32_t *golden_i32(const char *dir, const char *name, size_t *n);
uint8_t *golden_u8(const char *dir, const char *name, size_t *n);

/* A number of DIR/expected.json. */
double golden_number(const char *dir, const char *key);

struct bench_model {
    struct backend *backend;
    struct weights *weights;
    struct model *model;
    struct kv_pool *pool;
    int vocab;
};

/* Opens a checkpoint on the CPU backend; fails the test on error. isa NULL: the best. */
struct bench_model model_for_test(const char *path, enum numeric_mode mode, int threads,
                                  const char *isa, int mtp);
/* The same with routed experts read on demand into `slots` slots; 0: all loaded. */
struct bench_model model_in_slots(const char *path, enum numeric_mode mode, int threads, int mtp,
                                  int slots);
void model_done(struct bench_model *b);

/* Logits [n, V] of n tokens from an empty sequence, in steps of `chunk`. mtp NULL, or room for
 * [n - 1, V]. */
void run_logits(struct bench_model *b, const int32_t *tokens, int n, int chunk, float *logits,
                float *mtp);

/* Feeds tokens to kv in one step and gives the last row's logits [V]. */
void feed(struct bench_model *b, struct kv *kv, const int32_t *tokens, int n, float *last);

/* Largest |a - b|, and largest |a|. */
double max_difference(const float *a, const float *b, size_t n);
double max_magnitude(const float *a, size_t n);

/* Mean over rows of KL(softmax(reference) || softmax(ours)), nats. */
double mean_kl(const float *reference, const float *ours, size_t rows, size_t vocab);

int argmax(const float *x, int n);
