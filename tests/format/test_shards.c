#include "files.h"

#include <sys/resource.h>

#include "format/shards.h"

#define A1 "{\"a\":{\"dtype\":\"I8\",\"shape\":[2],\"data_offsets\":[0,2]}}"
#define B1 "{\"b\":{\"dtype\":\"I8\",\"shape\":[3],\"data_offsets\":[0,3]}}"

/* Two shards, "one" with a and "two" with b, and this index. */
static int open_with_index(struct place *p, const char *index, struct err *err)
{
    struct shards s;
    place_safetensors(p, "one", A1, 2);
    place_safetensors(p, "two", B1, 3);
    place_text(p, "model.safetensors.index.json", index);
    *err = (struct err){0};
    if (shards_open_folder(&s, p->dir, err)) {
        assert_int_equal(s.n, 0);
        return -1;
    }
    int n = s.n;
    shards_close(&s);
    return n;
}

static void an_index_and_its_shards_open(void **state)
{
    (void)state;
    struct place p;
    struct err err;
    place_make(&p);
    assert_int_equal(open_with_index(&p,
                                     "{\"metadata\":{\"total_size\":5,\"x\":null},\"weight_map\":"
                                     "{\"b\":\"two\",\"a\":\"one\"}}",
                                     &err),
                     2);
    assert_int_equal(open_with_index(&p, "{\"weight_map\":{\"a\":\"one\"}}", &err), 1);
    place_remove(&p);
}

static void an_index_that_lies_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *index, *says;
    } cases[] = {
        {"{\"weight_map\":{\"a\":\"one\",\"b\":\"one\"}}", "holds 1 tensors"},
        {"{\"weight_map\":{\"a\":\"two\",\"b\":\"one\"}}", "not in model.safetensors.index.json"},
        {"{\"weight_map\":{\"a\":\"one\",\"b\":\"three\"}}", "three"},
        {"{\"weight_map\":{\"a\":\"one\",\"a\":\"two\"}}", "twice"},
        {"{\"weight_map\":{}}", "no tensor"},
        {"{}", "no tensor"},
        {"{\"weight_map\":[]}", "object"},
        {"{\"weight_map\":{\"a\":1}}", "string"},
        {"{\"weight_map\":{\"a\":\"one\"},\"weight_map\":{\"b\":\"two\"}}", "repeated"},
        {"{\"weight_map\":{\"a\":\"one\"},\"more\":1}", "unknown"},
        {"{\"metadata\":{\"a\":{}},\"weight_map\":{\"a\":\"one\"}}", "wanted"},
        {"{\"metadata\":{\"a\":1,\"a\":1},\"weight_map\":{\"a\":\"one\"}}", "twice"},
        {"{\"weight_map\":{\"a\":\"one\"}} x", "after the end"},
        {"", "object"},
    };
    struct place p;
    place_make(&p);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err err;
        assert_int_equal(open_with_index(&p, cases[i].index, &err), -1);
        if (!strstr(err.message, cases[i].says)) fail_msg("%s: %s", cases[i].index, err.message);
    }
    place_remove(&p);
}

static void names_do_not_leave_the_folder(void **state)
{
    (void)state;
    static const char *const names[] = {
        "../one", "/etc/passwd", "..",     ".",      "",   "sub/one", "one\\u0000", "o ne",
        "link",   "fifo",        "folder", "one\\n", "%s", "~",       "one;ls",     "\\u00e9"};
    struct place p;
    place_make(&p);
    assert_int_equal(symlink("one", place_path(&p, "link")), 0);
    assert_int_equal(mkfifo(place_path(&p, "fifo"), 0600), 0);
    assert_int_equal(mkdir(place_path(&p, "folder"), 0700), 0);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char index[128];
        struct err err;
        snprintf(index, sizeof index, "{\"weight_map\":{\"a\":\"%s\"}}", names[i]);
        if (open_with_index(&p, index, &err) != -1) fail_msg("%s was opened", names[i]);
        assert_int_not_equal(err.code, ERR_NONE);
    }
    place_remove(&p);
}

static void a_folder_without_an_index_needs_one_file(void **state)
{
    (void)state;
    struct place p;
    struct shards s;
    struct err err = {0};
    place_make(&p);
    assert_int_equal(shards_open_folder(&s, p.dir, &err), -1);
    place_safetensors(&p, "x.safetensors", A1, 2);
    err = (struct err){0};
    assert_int_equal(shards_open_folder(&s, p.dir, &err), 0);
    shards_close(&s);
    place_safetensors(&p, "y.safetensors", B1, 3);
    assert_int_equal(shards_open_folder(&s, p.dir, &err), -1);
    assert_non_null(strstr(err.message, "2 files"));
    place_safetensors(&p, "model.safetensors", B1, 3);
    err = (struct err){0};
    assert_int_equal(shards_open_folder(&s, p.dir, &err), 0);
    assert_string_equal(s.headers[0].tensors[0].name, "b");
    shards_close(&s);
    err = (struct err){0};
    assert_int_equal(shards_open_folder(&s, "/nonexistent/folder", &err), -1);
    assert_int_equal(err.code, ERR_IO);
    place_remove(&p);
}

static void more_than_4096_shards_are_refused(void **state)
{
    (void)state;
    enum { N = 4097 };
    struct place p;
    struct err err = {0};
    struct shards s;
    struct rlimit limit, old;
    place_make(&p);
    size_t cap = N * 24 + 64, at = 0;
    char *index = malloc(cap);
    assert_non_null(index);
    at += (size_t)snprintf(index, cap, "{\"weight_map\":{");
    for (int i = 0; i < N; i++)
        at += (size_t)snprintf(index + at, cap - at, "%s\"t%d\":\"f%d\"", i ? "," : "", i, i);
    snprintf(index + at, cap - at, "}}");
    place_text(&p, "model.safetensors.index.json", index);
    /* Hitting the limit of open files first is a clean refusal too, so allow enough of them. */
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    limit = old;
    limit.rlim_cur = old.rlim_max < 8192 ? old.rlim_max : 8192;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    for (int i = 0; i < N; i++) {
        char name[16], json[96];
        snprintf(name, sizeof name, "f%d", i);
        snprintf(json, sizeof json,
                 "{\"t%d\":{\"dtype\":\"I8\",\"shape\":[1],\"data_offsets\":[0,1]}}", i);
        place_safetensors(&p, name, json, 1);
    }
    assert_int_equal(shards_open_folder(&s, p.dir, &err), -1);
    if (limit.rlim_cur > 4200) assert_int_equal(err.code, ERR_LIMIT);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    free(index);
    place_remove(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_index_and_its_shards_open),
        cmocka_unit_test(an_index_that_lies_is_refused),
        cmocka_unit_test(names_do_not_leave_the_folder),
        cmocka_unit_test(a_folder_without_an_index_needs_one_file),
        cmocka_unit_test(more_than_4096_shards_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
