#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "measure/task.h"

static void add(struct task *t, const char *name, const char *text)
{
    struct err err = {0};
    if (task_add_text(t, name, text, strlen(text), &err)) fail_msg("%s", err.message);
}

static void json_lines_are_problems(void **state)
{
    (void)state;
    struct task t = {0};
    add(&t, "dir/some.jsonl",
        "\xef\xbb\xbf{\"id\": \"a\", \"lang\": \"en\", \"kind\": \"add\", \"question\": \"1 + "
        "1?\", "
        "\"answer\": \"2\", \"wording\": \"short\", \"level\": 3, \"nul\": \"x\\u0000y\"}\r\n"
        "\n  \n"
        "{\"question\": \"2 \\n+ 2?\", \"answer\": \"4\"}");
    assert_int_equal(t.n, 2);
    const struct problem *p = &t.at[0];
    assert_string_equal(p->id, "a");
    assert_string_equal(p->lang, "en");
    assert_string_equal(p->kind, "add");
    assert_string_equal(p->question, "1 + 1?");
    assert_string_equal(p->answer, "2");
    assert_string_equal(problem_field(p, "wording"), "short");
    assert_string_equal(problem_field(p, "lang"), "en");
    assert_null(problem_field(p, "level"));
    assert_null(problem_field(p, "nul"));
    assert_null(problem_field(p, "none"));
    assert_null(problem_field(p, "question"));
    p = &t.at[1];
    assert_string_equal(p->id, "some-4");
    assert_string_equal(p->lang, "?");
    assert_string_equal(p->kind, "?");
    assert_string_equal(p->question, "2 \n+ 2?");
    task_fini(&t);
}

static void tsv_is_mgsm(void **state)
{
    (void)state;
    static const struct {
        const char *name, *lang;
    } names[] = {{"a_b/mgsm_de.tsv", "de"},
                 {"mgsm_zh-CN.tsv", "zh-CN"},
                 {"mgsm.tsv", "?"},
                 {"x_y/mgsm.tsv", "?"},
                 {"mgsm_1.tsv", "?"},
                 {"mgsm_.tsv", "?"},
                 {".tsv", "?"},
                 {"mgsm_unreasonablylong.tsv", "?"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct task t = {0};
        add(&t, names[i].name, "Was ist 1000 + 450?\t1,450\r\nUnd \"3\"?\t3\n");
        assert_int_equal(t.n, 2);
        assert_string_equal(t.at[0].lang, names[i].lang);
        assert_string_equal(t.at[0].kind, "mgsm");
        assert_string_equal(t.at[0].question, "Was ist 1000 + 450?");
        assert_string_equal(t.at[0].answer, "1,450");
        assert_string_equal(t.at[1].question, "Und \"3\"?");
        task_fini(&t);
    }
    struct task t = {0};
    add(&t, "a_b/mgsm_de.tsv", "q\t1\n");
    assert_string_equal(t.at[0].id, "mgsm_de-1");
    add(&t, "other.jsonl", "{\"question\": \"q\", \"answer\": \"a\"}");
    assert_int_equal(t.n, 2); /* files add up */
    task_fini(&t);
}

static void bad_lines_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text, *message;
    } bad[] = {
        {"x.jsonl", "{\"question\": \"q\", \"answer\": \"a\"}\n{", "x.jsonl: line 2: JSON"},
        {"x.jsonl", "\n[1]", "x.jsonl: line 2: not a JSON object"},
        {"x.jsonl", "{\"answer\": \"a\"}", "line 1: \"question\" is missing"},
        {"x.jsonl", "{\"question\": \"q\"}", "\"answer\" is missing"},
        {"x.jsonl", "{\"question\": \"q\", \"answer\": 3}", "\"answer\" is no string"},
        {"x.jsonl", "{\"question\": \"\", \"answer\": \"a\"}", "the question is empty"},
        {"x.jsonl", "{\"question\": \"q\", \"answer\": \"\"}", "the answer is empty"},
        {"x.jsonl", "{\"question\": \"q\\u0000\", \"answer\": \"a\"}", "\"question\" holds a NUL"},
        {"x.jsonl", "{\"question\": \"q\", \"answer\": \"a\", \"answer\": \"b\"}", "duplicate"},
        {"x.jsonl", "{\"question\": \"q\", \"answer\": \"a\", \"id\": \"a\\u001b[2J\"}",
         "\"id\" holds a control character"},
        {"x.jsonl", "{\"question\": \"q\", \"answer\": \"a\", \"lang\": \"\\u009b\"}",
         "\"lang\" holds a control character"},
        {"x.jsonl", "{\"question\": \"q\", \"answer\": \"\xff\"}", "line 1: JSON"},
        {"x.tsv", "q\ta\nno tab\n", "x.tsv: line 2: question, one tab and answer"},
        {"x.tsv", "q\ta\tb", "one tab"},
        {"x.tsv", "\ta", "the question is empty"},
        {"x.tsv", "q\t", "the answer is empty"},
        {"x.tsv", "q\xff\ta", "not UTF-8"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct task t = {0};
        struct err err = {0};
        assert_int_equal(task_add_text(&t, bad[i].name, bad[i].text, strlen(bad[i].text), &err),
                         -1);
        assert_int_equal(err.code, ERR_FORMAT);
        if (!strstr(err.message, bad[i].message))
            fail_msg("row %zu: \"%s\" lacks \"%s\"", i, err.message, bad[i].message);
        task_fini(&t);
    }
}

static void lengths_are_limited(void **state)
{
    (void)state;
    struct task t = {0};
    struct err err = {0};
    size_t size = TASK_MAX_LINE + 1;
    char *line = xmalloc(size);
    memset(line, 'q', size);
    line[10] = '\t';
    assert_int_equal(task_add_text(&t, "x.tsv", line, size, &err), -1);
    assert_int_equal(err.code, ERR_LIMIT);
    assert_int_equal(task_add_text(&t, "x.tsv", line, size - 1, NULL), 0);
    assert_int_equal(t.n, 1);
    free(line);

    char id[TASK_MAX_LABEL + 2];
    memset(id, 'i', sizeof id);
    id[TASK_MAX_LABEL + 1] = 0;
    struct problem p = {.id = id, .lang = "en", .kind = "?", .question = "q", .answer = "a"};
    err = (struct err){0};
    assert_int_equal(task_add(&t, &p, &err), -1);
    assert_int_equal(err.code, ERR_FORMAT);
    id[TASK_MAX_LABEL] = 0;
    assert_int_equal(task_add(&t, &p, NULL), 0);
    assert_int_equal(t.n, 2);
    assert_int_equal(json_object_size(t.at[1].others), 0);
    task_fini(&t);
}

static void files_are_read(void **state)
{
    (void)state;
    struct task t = {0};
    struct err err = {0};
    assert_int_equal(task_add_file(&t, "/dev/null", &err), -1);
    assert_non_null(strstr(err.message, "/dev/null: no problems"));
    err = (struct err){0};
    assert_int_equal(task_add_file(&t, "tests/measure/none.jsonl", &err), -1);
    assert_int_equal(err.code, ERR_IO);
    char path[] = "/tmp/mgsm_XXXXXX.tsv";
    int fd = mkstemps(path, 4);
    FILE *f = fdopen(fd, "w");
    assert_non_null(f);
    fputs("q\t1\n", f);
    fclose(f);
    err = (struct err){0};
    if (task_add_file(&t, path, &err)) fail_msg("%s", err.message);
    assert_int_equal(t.n, 1);
    remove(path);
    task_fini(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_lines_are_problems), cmocka_unit_test(tsv_is_mgsm),
        cmocka_unit_test(bad_lines_are_named),     cmocka_unit_test(lengths_are_limited),
        cmocka_unit_test(files_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
