/* Stored benchmarks: what is accepted must be written and read again as the same rows.
 *
 * The seed `nano` is the output of
 *     tenon bench models/nano --rounds 1 --batch 1 --context 0 --prefill 0 --json */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "measure/bench.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bench_run a, b;
    struct err err = {0};
    if (bench_run_parse(&a, "fuzz", (const char *)data, size, &err)) {
        CHECK(err.message[0] && !a.rows, "refused without a message");
        return 0;
    }
    json_t *root = bench_run_json(&a);
    char *text = json_dumps(root, JSON_REAL_PRECISION(17));
    CHECK(text, "cannot be written");
    CHECK(bench_run_parse(&b, "again", text, strlen(text), &err) == 0, "%s", err.message);
    CHECK(a.n_rows == b.n_rows, "%d rows, then %d", a.n_rows, b.n_rows);
    for (int i = 0; i < a.n_rows; i++) {
        const struct bench_row *x = &a.rows[i], *y = &b.rows[i];
        CHECK(!strcmp(x->name, y->name) && x->rate <= y->rate && x->rate >= y->rate, "row %d", i);
        CHECK(bench_run_find(&b, x), "row %d is not found", i);
    }
    free(text);
    json_decref(root);
    bench_run_fini(&a);
    bench_run_fini(&b);
    return 0;
}
