/* Private to cpu/. */
#pragma once
#include "base/pool.h"
#include "cpu/cpu.h"
#include "cpu/kernels.h"

struct cpu {
    struct backend base;
    struct pool *pool;
    const struct cpu_kernels *k;
    struct arena *arena; /* scratch of the step */
    struct slots *slots; /* experts on demand; NULL: all are loaded */
};

static inline struct cpu *cpu_of(const struct step *s)
{
    return (struct cpu *)s->backend;
}

/* Scratch for the inside of an op: take, and release to the mark at the op's end. */
void *cpu_scratch(struct step *s, size_t size);

/* Runs fn over [0, n) on the pool. */
static inline void cpu_run(struct step *s, int n, int chunk,
                           void (*fn)(void *ctx, int first, int last, int thread), void *ctx)
{
    pool_run(cpu_of(s)->pool, n, chunk, fn, ctx);
}
