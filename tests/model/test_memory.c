/* Memory of a step: all of it is taken while warming up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../format/alloc_watch.h"
#include "../support/golden.h"
#include "base/mem.h"

enum { PROMPT = 140, CHUNK = 40 };

static void forward(struct bench_model *b, struct kv *kv, const int *tokens, int n, float *logits)
{
    struct model_input in = {kv, tokens, n, 1};
    struct model_output out = {.logits = logits};
    struct err err = {0};
    if (model_forward(b->model, &in, 1, &out, NULL, &err)) fail_msg("%s", err.message);
}

/* Positions 140 to 254 lie in one page, so session state needs nothing new either. */
static void a_warm_step_allocates_nothing(void **state)
{
    static const enum numeric_mode modes[] = {MODE_DEFAULT, MODE_F32_ACTS, MODE_FLOAT};
    (void)state;
    for (int m = 0; m < 3; m++) {
        struct bench_model b = model_for_test("tests/golden/alpha", modes[m], 2, NULL, 1);
        float *logits = xmalloc((size_t)b.vocab * sizeof *logits);
        int tokens[PROMPT];
        for (int i = 0; i < PROMPT; i++)
            tokens[i] = i * 7 % b.vocab;
        struct kv *kv = kv_new(b.pool);
        forward(&b, kv, tokens, PROMPT, logits);
        forward(&b, kv, tokens, CHUNK, logits);
        alloc_watch_start();
        for (int i = 0; i < 20; i++)
            forward(&b, kv, tokens + i, 1, logits);
        forward(&b, kv, tokens, CHUNK, logits);
        assert_int_equal(alloc_watch_stop(), 0);
        kv_free(kv);
        free(logits);
        model_done(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_warm_step_allocates_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
