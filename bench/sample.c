/* What drawing a token costs, of random logits at temperature 1:
 *
 *     build/bench/sample [ROUNDS]
 *
 * For vocabularies of models/nano and of V4, the whole draw, and its exponentials alone by each variant of
 * base/exps.h, in turn in each round. Medians, and the plain variant as a multiple of the chosen one. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/exps.h"
#include "base/mem.h"
#include "engine/sampler.h"
#include "measure/bandwidth.h"

enum { MAX_ROUNDS = 1000, PARTS = 3 };

static int measure(int vocab, int rounds)
{
    float *logits = xmalloc((size_t)vocab * sizeof *logits);
    float *y = xmalloc((size_t)vocab * sizeof *y);
    double *times[PARTS];
    struct sampler_options o = sampler_defaults();
    struct sampler *s = NULL;
    struct err err = {0};
    struct sampler_key key = {.seed = 1};
    uint32_t random = 7;
    int id = 0, sum = 0;
    if (sampler_new(&s, &o, vocab, &err)) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    for (int p = 0; p < PARTS; p++)
        times[p] = xmalloc((size_t)rounds * sizeof *times[p]);
    for (int r = 0; r < rounds; r++) {
        for (int i = 0; i < vocab; i++) {
            random = random * 1664525u + 1013904223u;
            logits[i] = (float)(random >> 8) * 0x1p-20f;
        }
        double t0 = clock_seconds();
        if (sampler_draw(s, logits, NULL, 0, &key, &id, &err)) return 1;
        double t1 = clock_seconds();
        exps(y, logits, 16, 1, vocab);
        double t2 = clock_seconds();
        exps_plain(y, logits, 16, 1, vocab);
        double t3 = clock_seconds();
        times[0][r] = t1 - t0;
        times[1][r] = t2 - t1;
        times[2][r] = t3 - t2;
        sum += id;
    }
    double median[PARTS];
    for (int p = 0; p < PARTS; p++)
        median[p] = median_of(times[p], rounds);
    printf("%7d tokens: a draw %.0f us, its exponentials %.0f us, plain ones %.0f us (%.1f x)%s\n",
           vocab, 1e6 * median[0], 1e6 * median[1], 1e6 * median[2], median[2] / median[1],
           sum < 0 ? "!" : "");
    for (int p = 0; p < PARTS; p++)
        free(times[p]);
    sampler_free(s);
    free(logits);
    free(y);
    return 0;
}

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 100;
    if (rounds < 1 || rounds > MAX_ROUNDS) return 2;
    return measure(4096, rounds) || measure(129280, rounds);
}
