/* The proof that results do not depend on compiler, optimisation, ISA, sanitizers or platform: a
 * program without libraries that prints a digest per family of operations. tests/bits.sh builds it in
 * several ways and compares its lines with expected.txt. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "format/config.h"
#include "ops/tensor.h"

/* FNV-1a, 64 bit. */
struct digest {
    uint64_t value;
};

struct digest digest_new(void);
void digest_add(struct digest *d, const void *data, size_t size);
/* "name  0123456789abcdef" */
void digest_print(const struct digest *d, const char *name);

/* Random bits by position alone: the same (key, index), the same value. */
uint64_t noise(uint64_t key, uint64_t index);
float noise_float(uint64_t key, uint64_t index); /* [-1, 1) */

void bits_of_fmath(void);
void bits_of_quant(void);
/* A whole small model with random weights: a digest per op, of the logits and of MTP's. */
void bits_of_forward(enum numeric_mode mode, const char *isa, int threads);

/* Weights in place of format/weights.h: made from noise, in every format (weights_noise.c). */
struct weights;
struct weights *weights_noise(const struct config *c);
void weights_noise_free(struct weights *w);
