/* What tests of the engine begin with: a golden model, an engine over it, texts, sessions. */
#pragma once
#include <stdint.h>

#include "golden.h"
#include "engine/engine.h"

/* The golden model zeta on two threads, an engine over it, and the tokens of its golden file. */
struct rig {
    struct bench_model b;
    struct engine *engine;
    int32_t *tokens;
    size_t n_tokens;
};

struct rig rig_with(enum numeric_mode mode, const struct engine_options *o);
void rig_close(struct rig *r); /* the engine checks that no block is left */

/* n tokens of a vocabulary, in no order, each time the same. */
void fill_tokens(int32_t *tokens, int n, int vocab);

/* A session of the model that was fed n tokens: `first`, then those of tokens from 1 on. */
struct session *session_of_tokens(const struct bench_model *b, const int32_t *tokens, int first,
                                  int n);
