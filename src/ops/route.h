/* Mixture of experts.
 * Source: spec deepseek-v4 section 4; bits: numerics, section 7. */
#pragma once
#include "ops/tensor.h"
#include "ops/weight.h"

struct step;

struct route_args {
    struct itensor *ids;        /* out [T, k], ascending expert ids */
    struct tensor *w;           /* out [T, k] */
    const struct acts *x;       /* [T, D]; the f32 part is used */
    const struct weight *gate;  /* [E, D] F32, F16 or BF16 */
    const struct weight *bias;  /* [1, E] F32; selects only; NULL in hash layers */
    const struct weight *table; /* [V, k] I32: experts by token id; NULL in learned layers */
    int n_used;                 /* k */
    float scale;
};

/* p = sqrt(softplus(gate x)); the k largest p + bias (ties to the lower id), or table[token];
 * w = (p / sum of the k chosen p in ascending id) * scale. */
void op_route(struct step *s, const struct route_args *a);

/* One expert: y = down(weight * silu(gate x) * (up x)), clamped. */
struct expert {
    struct weight *gate, *up; /* w1, w3 [I, D]; read only */
    struct weight *down;      /* w2 [D, I] */
};

struct experts_args {
    struct tensor *y;     /* out [T, D] */
    const struct acts *x; /* [T, D] */
    const struct itensor *ids;
    const struct tensor *w;
    const struct expert *experts; /* [n_experts] */
    int n_experts;
    const struct expert *shared; /* or NULL; weight 1 */
    float limit;                 /* g = min(g, limit), u = clamp(u, -limit, limit) */
};

/* a = (silu(g) * u) * w, quantised like any input of a linear. y = sum of the routed experts' outputs from
 * +0 in ascending id, then the shared expert's. Where experts are deferred (cache.h), reading one may
 * fail the step. */
void op_experts(struct step *s, const struct experts_args *a);
