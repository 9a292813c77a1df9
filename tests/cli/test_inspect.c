/* tenon inspect and tenon convert, called as main() does. */
#include "../format/files.h"

#include <argp.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdbool.h>

#include "base/log.h"
#include "cli/cli.h"

const char *argp_program_version = "test";

/* Runs a subcommand with standard output in p/out and standard error in p/err. */
static int run(struct place *p, int (*command)(int, char **), const char *const *args)
{
    char *argv[8];
    int argc = 0;
    for (; args[argc]; argc++) {
        assert_true(argc < 7);
        argv[argc] = strdup(args[argc]);
    }
    argv[argc] = NULL;
    fflush(NULL);
    int out = dup(1), err = dup(2);
    int to = open(place_path(p, "out"), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    int to_err = open(place_path(p, "err"), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(out >= 0 && err >= 0 && to >= 0 && to_err >= 0);
    dup2(to, 1);
    dup2(to_err, 2);
    int status = command(argc, argv);
    fflush(NULL);
    dup2(out, 1);
    dup2(err, 2);
    close(out);
    close(err);
    close(to);
    close(to_err);
    while (argc > 0)
        free(argv[--argc]);
    return status;
}

static bool holds(struct place *p, const char *file, const char *text)
{
    size_t size;
    unsigned char *data = read_whole(place_path(p, file), &size);
    bool found = strstr((char *)data, text) != NULL;
    free(data);
    return found;
}

static void inspect_shows_what_is_there(void **state)
{
    (void)state;
    struct place p;
    place_make(&p);
    assert_int_equal(
        run(&p, cli_inspect, (const char *const[]){"tenon inspect", "tests/golden/alpha", NULL}),
        0);
    assert_true(holds(&p, "out", "5: 1 window, 2 CSA, 2 HCA; 2 hash-routed"));
    assert_true(holds(&p, "out", "drafts (MTP)      yes"));
    assert_false(holds(&p, "out", "MISSING"));
    assert_int_equal(run(&p, cli_inspect,
                         (const char *const[]){"tenon inspect", "--tensors",
                                               "tests/golden/gguf/alpha-mixed.gguf", NULL}),
                     0);
    assert_true(holds(&p, "out", "layers.4.ffn.experts.15.w2.weight"));
    static const char *const memory[][2] = {
        {"1G", ": fits"},
        {"9M", "experts are kept, the others are read on demand"},
        {"1.5K", "do not fit in the 1.54 kB given"}};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(run(&p, cli_inspect,
                             (const char *const[]){"tenon inspect", "models/nano", "--memory",
                                                   memory[i][0], NULL}),
                         0);
        if (!holds(&p, "out", memory[i][1])) fail_msg("%s", memory[i][0]);
    }
    place_remove(&p);
}

static void inspect_json_is_json(void **state)
{
    (void)state;
    struct place p;
    place_make(&p);
    assert_int_equal(run(&p, cli_inspect,
                         (const char *const[]){"tenon inspect", "--json", "--tensors",
                                               "tests/golden/zeta", NULL}),
                     0);
    json_t *o = json_load_file(place_path(&p, "out"), JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(o);
    assert_int_equal(json_array_size(json_object_get(o, "tensors")), 163);
    assert_int_equal(json_integer_value(json_object_get(o, "tensor_bytes")), 679280);
    assert_int_equal(json_integer_value(json_object_get(o, "missing")), 0);
    assert_true(json_is_true(json_object_get(o, "mtp")));
    const json_t *loading = json_object_get(o, "loading");
    assert_true(json_is_true(json_object_get(o, "fits")));
    assert_true(json_is_true(json_object_get(loading, "possible")));
    assert_int_equal(json_integer_value(json_object_get(loading, "slots")), 0);
    assert_true(json_integer_value(json_object_get(loading, "dense_bytes")) > 0);
    const json_t *config = json_object_get(o, "config");
    assert_int_equal(json_integer_value(json_object_get(config, "vocab_size")), 200);
    json_decref(o);
    place_remove(&p);
}

static void inspect_names_what_is_missing(void **state)
{
    (void)state;
    struct place p;
    place_make(&p);
    place_text(&p, "config.json", small_config);
    place_safetensors(
        &p, "model.safetensors",
        "{\"hc_head_base\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]}}", 16);
    assert_int_equal(run(&p, cli_inspect, (const char *const[]){"tenon inspect", p.dir, NULL}), 1);
    assert_true(holds(&p, "out", "MISSING"));
    assert_true(holds(&p, "out", "embed.weight"));
    place_remove(&p);
}

static void failures_are_one_line_and_status_1(void **state)
{
    (void)state;
    static const char *const paths[] = {"/nonexistent", "tests/golden/README.md",
                                        "tests/golden/gguf"};
    struct place p;
    place_make(&p);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(
            run(&p, cli_inspect, (const char *const[]){"tenon inspect", paths[i], NULL}), 1);
        size_t size;
        unsigned char *err = read_whole(place_path(&p, "err"), &size);
        assert_true(size > 7 && !memcmp(err, "tenon: ", 7));
        assert_ptr_equal(strchr((char *)err, '\n'), (char *)err + size - 1);
        assert_non_null(strstr((char *)err, paths[i]));
        free(err);
    }
    place_remove(&p);
}

static void convert_writes_a_file_that_inspect_reads(void **state)
{
    (void)state;
    struct place p;
    char out[80];
    place_make(&p);
    snprintf(out, sizeof out, "%s/m.gguf", p.dir);
    assert_int_equal(
        run(&p, cli_convert,
            (const char *const[]){"tenon convert", "tests/golden/zeta", out, "--mtp", NULL}),
        0);
    assert_true(holds(&p, "out", "m.gguf"));
    assert_int_equal(run(&p, cli_inspect, (const char *const[]){"tenon inspect", out, NULL}), 0);
    assert_true(holds(&p, "out", "drafts (MTP)      yes"));
    assert_int_equal(
        run(&p, cli_convert, (const char *const[]){"tenon convert", "/nonexistent", out, NULL}), 1);
    place_remove(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inspect_shows_what_is_there),
        cmocka_unit_test(inspect_json_is_json),
        cmocka_unit_test(inspect_names_what_is_missing),
        cmocka_unit_test(failures_are_one_line_and_status_1),
        cmocka_unit_test(convert_writes_a_file_that_inspect_reads),
    };
    log_set_level(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
