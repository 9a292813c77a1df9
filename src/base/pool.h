/* Worker threads that split one op at a time.
 *
 * pool_run cuts [0, n) into chunks that the threads (the caller among them) take dynamically, and
 * returns when all are done. Who computes a chunk must not touch the bits of the result: no
 * reduction crosses chunks. Between ops the threads spin for about 50 us, then sleep in the kernel.
 *
 * One thread uses a pool at a time. Subnormals are kept on every thread (FTZ and DAZ off). */
#pragma once

struct pool;

/* CPUs that this process may use. */
int pool_cpus(void);

/* n_threads >= 1 counts the caller; 0 takes one per online CPU of this process's affinity mask. Where
 * the host starts fewer, the pool has those, and says so. */
struct pool *pool_new(int n_threads);
void pool_free(struct pool *p); /* takes NULL */

int pool_threads(const struct pool *p);

/* Calls fn(ctx, first, last, thread) for disjoint [first, last) that cover [0, n), each of at most
 * `chunk` indexes (chunk >= 1) and starting at a multiple of chunk; thread is in
 * [0, pool_threads), no two calls at once have the same one. */
void pool_run(struct pool *p, int n, int chunk,
              void (*fn)(void *ctx, int first, int last, int thread), void *ctx);
