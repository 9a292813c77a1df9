/* What does not depend on speed: stored runs, the harness's bookkeeping, and that a model's cases feed
 * what they say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cpu/cpu.h"
#include "cpu/kernels.h"
#include "measure/bench_model.h"
#include "measure/rounds.h"

static const struct bench_row some_row = {.name = "decode",
                                          .n = 4,
                                          .context = 4096,
                                          .unit = "tokens/s",
                                          .rate = 10.5,
                                          .limit = 12,
                                          .share = 0.875,
                                          .seconds = 0.4,
                                          .rates = {1e10, 2e11, 3e10},
                                          .rounds = 9,
                                          .dropped = 2};

static char *text_of(const struct bench_run *r)
{
    json_t *root = bench_run_json(r);
    char *text = json_dumps(root, 0);
    json_decref(root);
    return text;
}

static void a_run_is_read_as_it_was_written(void **state)
{
    (void)state;
    struct bench_run a, b;
    struct err err = {0};
    bench_run_init(&a);
    json_object_set_new(a.about, "cpu", json_string("x"));
    bench_run_add(&a, &some_row);
    char *text = text_of(&a);
    assert_int_equal(bench_run_parse(&b, "t", text, strlen(text), &err), 0);
    assert_int_equal(b.n_rows, 1);
    const struct bench_row *r = bench_run_find(&b, &some_row);
    assert_non_null(r);
    assert_int_equal(r->rounds, 9);
    assert_int_equal(r->dropped, 2);
    assert_true(r->rates.int_ops > 1.9e11 && r->rates.int_ops < 2.1e11);
    assert_string_equal(json_string_value(json_object_get(b.about, "cpu")), "x");
    struct bench_row other = some_row;
    other.context = 0;
    assert_null(bench_run_find(&b, &other));
    free(text);
    bench_run_fini(&a);
    bench_run_fini(&b);
}

static void what_is_no_run_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "[]",
                                      "{}",
                                      "{\"tenon_bench\": 2, \"about\": {}, \"rows\": []}",
                                      "{\"tenon_bench\": 1, \"about\": [], \"rows\": []}",
                                      "{\"tenon_bench\": 1, \"about\": {}, \"rows\": [{}]}",
                                      "{\"tenon_bench\": 1, \"about\": {}, \"rows\": [3]}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct bench_run r;
        struct err err = {0};
        assert_int_equal(bench_run_parse(&r, "t", bad[i], strlen(bad[i]), &err), -1);
        assert_true(strstr(err.message, "t: ") != NULL);
    }
}

struct counted {
    int calls, times;
};

static int count(void *ctx, int times, struct err *err)
{
    struct counted *c = ctx;
    (void)err;
    c->calls++;
    c->times += times;
    return 0;
}

static double one_second(void *ctx, const struct rates *r)
{
    (void)ctx;
    assert_true(r->read > 0 && r->int_ops > 0 && r->float_ops > 0);
    return 1.0;
}

static int refuse(void *ctx, int times, struct err *err)
{
    (void)ctx;
    (void)times;
    return err_set(err, ERR_NUMERIC, "no");
}

static struct machine *open_machine(void)
{
    struct machine *m;
    struct err err = {0};
    if (machine_open(&m, kernels_find(NULL), 2, &err)) fail_msg("%s", err.message);
    return m;
}

static void every_round_counts_or_is_dropped(void **state)
{
    (void)state;
    struct machine *m = open_machine();
    struct counted c = {0};
    struct rounds_job job = {count, one_second, &c};
    struct rounds_result r;
    struct err err = {0};
    assert_int_equal(rounds_run(&r, m, &job, 2, &err), 0);
    assert_true(r.n >= 1 && r.n + r.n_dropped <= 6 && r.n + r.n_dropped >= 2);
    assert_true(c.calls > r.n + r.n_dropped && c.times > c.calls);
    assert_true(r.seconds > 0 && r.share > 0);
    job.work = refuse;
    assert_int_equal(rounds_run(&r, m, &job, 2, &err), -1);
    assert_int_equal(err.code, ERR_NUMERIC);
    machine_close(m);
}

static void cases_say_what_they_measured(void **state)
{
    (void)state;
    struct machine *machine = open_machine();
    struct backend *backend;
    struct weights *w;
    struct model *m;
    struct bench_model *b;
    struct bench_row row;
    struct bench_op ops[OP_COUNT];
    struct err err = {0};
    if (cpu_open(&backend, MODE_DEFAULT, 2, NULL, &err) || weights_open(&w, "models/nano", &err) ||
        model_open(&m, backend, w, &(struct model_options){0}, &err) ||
        bench_model_open(&b, m, w, machine, &err))
        fail_msg("%s", err.message);
    assert_int_equal(bench_model_decode(b, 3, 2000, 1, &row, ops, &err), 0);
    assert_string_equal(row.name, "decode");
    assert_int_equal(row.n, 3);
    assert_int_equal(row.context, 2000);
    assert_true(row.rate > 0 && row.limit > 0 && row.rates.read > 0);
    assert_int_equal(ops[OP_EXPERTS].calls, model_config(m)->n_layers);
    assert_true(ops[OP_EXPERTS].seconds > 0 && ops[OP_EXPERTS].limit > 0);
    assert_int_equal(bench_model_prefill(b, 100, 64, 1, &row, ops, &err), 0);
    assert_string_equal(row.name, "prefill");
    assert_int_equal(row.n, 100);
    assert_int_equal(ops[OP_EXPERTS].calls, 2 * model_config(m)->n_layers);
    bench_model_close(b);
    model_close(m);
    weights_close(w);
    backend->close(backend);
    machine_close(machine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_is_read_as_it_was_written),
        cmocka_unit_test(what_is_no_run_is_refused),
        cmocka_unit_test(every_round_counts_or_is_dropped),
        cmocka_unit_test(cases_say_what_they_measured),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
