#include "engine_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static const char ZETA[] = "tests/golden/zeta";

struct rig rig_with(enum numeric_mode mode, const struct engine_options *o)
{
    struct rig r = {.b = model_for_test(ZETA, mode, 2, NULL, 0)};
    struct err err = {0};
    if (engine_open(&r.engine, r.b.model, NULL, o, &err)) fail_msg("%s", err.message);
    r.tokens = golden_i32(ZETA, "tokens", &r.n_tokens);
    return r;
}

void rig_close(struct rig *r)
{
    free(r->tokens);
    engine_close(r->engine);
    model_done(&r->b);
}

void fill_tokens(int32_t *tokens, int n, int vocab)
{
    for (int i = 0; i < n; i++)
        tokens[i] = (int32_t)((unsigned)i * 2654435761u >> 7) % vocab;
}

struct session *session_of_tokens(const struct bench_model *b, const int32_t *tokens, int first,
                                  int n)
{
    struct session *s = session_new(b->model, b->pool);
    struct err err = {0};
    if (session_append(s, &first, 1, &err) || session_append(s, tokens + 1, n - 1, &err) ||
        session_feed(s, n, 128, NULL, NULL, &err))
        fail_msg("%s", err.message);
    return s;
}
