/* tenon bench: how fast is this machine, and how near to its limits are we? */
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "cli/bench.h"
#include "cli/cli.h"
#include "cli/open.h"
#include "measure/bandwidth.h"
#include "measure/bench_kernels.h"

enum { MAX_LIST = 32, DEFAULT_ROUNDS = 9, MAX_FILE = 16 << 20, MAX_N = 1 << 24 };

enum {
    KEY_BATCH = 0x6000,
    KEY_CONTEXT,
    KEY_PREFILL,
    KEY_CHUNK,
    KEY_ROUNDS,
    KEY_OPS,
    KEY_JSON,
    KEY_COMPARE
};

struct list {
    int value[MAX_LIST], n;
};

struct options {
    struct open_options open;
    const char *what[2]; /* the model or the kernel; two files for --compare */
    int n_what;
    struct list batch, context, prefill;
    int chunk, rounds;
    bool ops, json, compare;
};

static const struct argp_option option_table[] = {
    {NULL, 0, NULL, 0, "A model", 1},
    {"batch", KEY_BATCH, "N,N,...", 0,
     "Decode this many sequences at once; default 1,2,4,8,16,32; 0: none", 1},
    {"context", KEY_CONTEXT, "N,N,...", 0,
     "Decode one sequence after so many positions; default 4096,32768,131072 as far as the model "
     "goes; "
     "0: none (that is --batch 1)",
     1},
    {"prefill", KEY_PREFILL, "N,N,...", 0, "Prompts of N tokens; default 128,512,2048; 0: none", 1},
    {"chunk", KEY_CHUNK, "N", 0, "Tokens of a prompt in one step; default as run has it", 1},
    {"ops", KEY_OPS, NULL, 0, "After each row where its time goes, op by op", 1},
    {NULL, 0, NULL, 0, "All", 2},
    {"rounds", KEY_ROUNDS, "N", 0, "Quiet rounds of each measurement; default 9", 2},
    {"json", KEY_JSON, NULL, 0, "Print one JSON object; rows go to stderr meanwhile", 2},
    {"compare", KEY_COMPARE, NULL, 0, "Compare two files of --json", 2},
    {0},
};

static void read_list(struct list *l, const char *option, char *arg, const struct argp_state *state)
{
    char *rest = arg, *word;
    l->n = 0;
    while ((word = strsep(&rest, ","))) {
        if (l->n == MAX_LIST) argp_error(state, "%s: at most %d", option, MAX_LIST);
        l->value[l->n++] = (int)open_int(state, option, word, 0, MAX_N);
    }
}

static void check_arguments(const struct options *o, const struct argp_state *state)
{
    if (o->compare && o->n_what != 2) argp_error(state, "--compare wants two files");
    if (!o->compare && o->n_what < 1) argp_error(state, "a model or the name of a kernel, please");
    if (!o->compare && o->n_what == 2 && strcmp(o->what[0], "matmul"))
        argp_error(state, "one model, please");
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &o->open;
        return 0;
    case KEY_BATCH:
        read_list(&o->batch, "--batch", arg, state);
        return 0;
    case KEY_CONTEXT:
        read_list(&o->context, "--context", arg, state);
        return 0;
    case KEY_PREFILL:
        read_list(&o->prefill, "--prefill", arg, state);
        return 0;
    case KEY_CHUNK:
        o->chunk = (int)open_int(state, "--chunk", arg, 1, BATCH_MAX_ROWS);
        return 0;
    case KEY_ROUNDS:
        o->rounds = (int)open_int(state, "--rounds", arg, 1, ROUNDS_MAX);
        return 0;
    case KEY_OPS:
        o->ops = true;
        return 0;
    case KEY_JSON:
        o->json = true;
        return 0;
    case KEY_COMPARE:
        o->compare = true;
        return 0;
    case ARGP_KEY_ARG:
        if (o->n_what == 2) argp_error(state, "too many arguments");
        o->what[o->n_what++] = arg;
        return 0;
    case ARGP_KEY_END:
        check_arguments(o, state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_child children[] = {{&open_argp, 0, NULL, 0}, {0}};
static const struct argp parser = {
    .options = option_table,
    .parser = parse_option,
    .args_doc = "MODEL\nmachine\nmatmul [FORMAT]\nattention\nindexer\nmoe\nserve URL\n--compare "
                "A.json B.json",
    .doc =
        "Measures speed beside what the machine allows: reads of memory and bare arithmetic "
        "alternate with the work, rounds in which other processes took the processor are dropped, "
        "and medians remain. The limit of a step is its roofline: for each op the larger of bytes "
        "over bandwidth and operations over peak, summed.\v"
        "A name is a kernel's if there is one of that name; write ./moe for a folder. serve has "
        "options "
        "of its own: tenon bench serve --help.",
    .children = children,
};

/* --- one run --- */

struct bench {
    const struct options *o;
    struct machine *machine;
    const struct cpu_kernels *kernels;
    struct bench_run run;
};

static void found(void *ctx, const struct bench_row *row)
{
    struct bench *b = ctx;
    bench_run_add(&b->run, row);
    if (b->o->json)
        fprintf(stderr, "%s %d %d: %.2f %s, share %.2f\n", row->name, row->n, row->context,
                row->rate, row->unit, row->share);
    else
        bench_show_row(row);
}

/* The processor's own name; "unknown" where the system does not tell. */
static void cpu_name(char *out, size_t size)
{
    char line[512];
    FILE *f = fopen("/proc/cpuinfo", "r");
    snprintf(out, size, "unknown");
    while (f && fgets(line, sizeof line, f)) {
        const char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || !colon) continue;
        snprintf(out, size, "%.*s", (int)strcspn(colon + 2, "\n"), colon + 2);
        break;
    }
    if (f) fclose(f);
}

/* Opens and describes it. */
static int start_machine(struct bench *b, struct err *err)
{
    char cpu[128];
    double read[3];
    if (machine_open(&b->machine, b->kernels, b->o->open.n_threads, err)) return -1;
    cpu_name(cpu, sizeof cpu);
    for (int i = 0; i < 3; i++)
        read[i] = machine_read(b->machine);
    double whole = median_of(read, 3), ints = machine_int_peak(b->machine);
    double floats = machine_float_peak(b->machine), barrier = machine_barrier(b->machine);
    json_t *about = b->run.about;
    json_object_set_new(about, "tenon", json_string(TENON_VERSION));
    json_object_set_new(about, "cpu", json_string(cpu));
    json_object_set_new(about, "isa", json_string(b->kernels->name));
    json_object_set_new(about, "threads", json_integer(machine_threads(b->machine)));
    json_object_set_new(about, "read", json_real(whole));
    json_object_set_new(about, "int_ops", json_real(ints));
    json_object_set_new(about, "float_ops", json_real(floats));
    json_object_set_new(about, "barrier_s", json_real(barrier));
    if (b->o->json) return 0;
    printf("machine  %s, %d threads, %s kernels\n", cpu, machine_threads(b->machine),
           b->kernels->name);
    printf("         read %.1f GB/s, int8 %.0f GOP/s, f32 %.0f GFLOP/s, barrier %.2f us\n",
           whole * 1e-9, ints * 1e-9, floats * 1e-9, barrier * 1e6);
    return 0;
}

static int run_kernel(struct bench *b, int (*kernel)(const struct bench_kernels *, struct err *),
                      struct err *err)
{
    if (start_machine(b, err)) return -1;
    if (!b->o->json) bench_show_head();
    struct bench_kernels k = {.machine = b->machine,
                              .kernels = b->kernels,
                              .pool = pool_new(b->o->open.n_threads),
                              .rounds = b->o->rounds,
                              .format = b->o->n_what == 2 ? b->o->what[1] : NULL,
                              .found = found,
                              .ctx = b};
    int rc = kernel(&k, err);
    pool_free(k.pool);
    return rc;
}

static void describe_model(struct bench *b, const struct opened *opened, double ready)
{
    json_t *about = b->run.about;
    double bytes = (double)model_bytes(opened->model);
    double each = (double)model_bytes_per_token(opened->model);
    json_object_set_new(about, "model", json_string(b->o->what[0]));
    json_object_set_new(about, "bytes", json_real(bytes));
    json_object_set_new(about, "bytes_per_token", json_real(each));
    json_object_set_new(about, "ready_s", json_real(ready));
    struct cache_stats cache = open_cache_stats(opened);
    if (cache.n_slots) json_object_set_new(about, "expert_slots", json_integer(cache.n_slots));
    if (b->o->json) return;
    printf("model    %s: weights of %.3f GB, %.4f GB for a token; ready after %.2f s\n",
           b->o->what[0], bytes * 1e-9, each * 1e-9, ready);
    if (cache.n_slots) printf("         experts on demand, %d slots\n", cache.n_slots);
}

static int finish_row(struct bench *b, int failed, const struct bench_row *row,
                      const struct bench_op *ops)
{
    if (failed) return -1;
    found(b, row);
    if (b->o->ops && !b->o->json) bench_show_ops(ops);
    return 0;
}

/* Whether it can be measured; told when not. */
static bool fits(const char *what, int n, int most)
{
    if (n > most) log_warn("%s %d is left out: the model has %d positions", what, n, most);
    return n > 0 && n <= most;
}

static int run_cases(struct bench *b, struct bench_model *m, int max_positions, struct err *err)
{
    const struct options *o = b->o;
    struct bench_row row;
    struct bench_op ops[OP_COUNT], *wanted = o->ops ? ops : NULL;
    for (int i = 0; i < o->batch.n; i++) {
        int n = o->batch.value[i];
        if (n &&
            finish_row(b, bench_model_decode(m, n, 0, o->rounds, &row, wanted, err), &row, ops))
            return -1;
    }
    for (int i = 0; i < o->context.n; i++) {
        int n = o->context.value[i];
        if (fits("--context", n, max_positions - 1) &&
            finish_row(b, bench_model_decode(m, 1, n, o->rounds, &row, wanted, err), &row, ops))
            return -1;
    }
    for (int i = 0; i < o->prefill.n; i++) {
        int n = o->prefill.value[i];
        if (fits("--prefill", n, max_positions) &&
            finish_row(b, bench_model_prefill(m, n, o->chunk, o->rounds, &row, wanted, err), &row,
                       ops))
            return -1;
    }
    return 0;
}

static int run_model(struct bench *b, struct err *err)
{
    struct engine_options engine = {0};
    struct opened opened;
    struct bench_model *m = NULL;
    double start = clock_seconds();
    if (open_model(&opened, b->o->what[0], &b->o->open, false, false, &engine, err)) return -1;
    double ready = clock_seconds() - start;
    int rc = start_machine(b, err);
    if (rc == 0) {
        describe_model(b, &opened, ready);
        if (!b->o->json) bench_show_head();
        rc = bench_model_open(&m, opened.model, opened.weights, b->machine, err);
    }
    if (rc == 0) rc = run_cases(b, m, model_config(opened.model)->max_positions, err);
    bench_model_close(m);
    open_close(&opened);
    return rc;
}

static int run_one(struct bench *b, struct err *err)
{
    static const struct {
        const char *name;
        int (*run)(const struct bench_kernels *, struct err *);
    } kernels[] = {{"matmul", bench_matmul},
                   {"attention", bench_attention},
                   {"indexer", bench_indexer},
                   {"moe", bench_moe}};
    const char *what = b->o->what[0];
    if (!strcmp(what, "machine")) return start_machine(b, err);
    for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++)
        if (!strcmp(what, kernels[i].name)) return run_kernel(b, kernels[i].run, err);
    return run_model(b, err);
}

static int bench(const struct options *o, struct err *err)
{
    struct bench b = {.o = o, .kernels = kernels_find(o->open.isa)};
    if (!b.kernels)
        return err_set(err, ERR_ARGUMENT, "no kernels named \"%s\" for this processor",
                       o->open.isa);
    bench_run_init(&b.run);
    int rc = run_one(&b, err);
    if (rc == 0 && o->json) {
        json_t *root = bench_run_json(&b.run);
        if (json_dumpf(root, stdout, JSON_REAL_PRECISION(9) | JSON_INDENT(1)) ||
            putchar('\n') == EOF)
            rc = err_set(err, ERR_IO, "cannot write to standard output");
        json_decref(root);
    }
    bench_run_fini(&b.run);
    machine_close(b.machine);
    return rc;
}

static int read_run(struct bench_run *out, const char *path, struct err *err)
{
    char *text;
    size_t size;
    if (file_slurp_input(path, MAX_FILE, &text, &size, err)) return -1;
    int rc = bench_run_parse(out, path, text, size, err);
    free(text);
    return rc;
}

static int compare(const struct options *o, struct err *err)
{
    struct bench_run a, b;
    if (read_run(&a, o->what[0], err)) return -1;
    int rc = read_run(&b, o->what[1], err);
    if (rc == 0) {
        bench_show_compared(&a, &b);
        bench_run_fini(&b);
    }
    bench_run_fini(&a);
    return rc;
}

int cli_bench(int argc, char **argv)
{
    struct options o = {.batch = {{1, 2, 4, 8, 16, 32}, 6},
                        .context = {{4096, 32768, 131072}, 3},
                        .prefill = {{128, 512, 2048}, 3},
                        .chunk = ENGINE_CHUNK,
                        .rounds = DEFAULT_ROUNDS};
    struct err err = {0};
    if (argc > 1 && !strcmp(argv[1], "serve")) {
        char name[] = "tenon bench serve"; /* in messages */
        argv[1] = name;
        return cli_bench_serve(argc - 1, argv + 1);
    }
    if (argp_parse(&parser, argc, argv, 0, NULL, &o)) return CLI_USAGE;
    return (o.compare ? compare(&o, &err) : bench(&o, &err)) ? cli_fail(&err) : 0;
}
