#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/file.h"
#include "serve/audit.h"

static const struct audit_entry entry = {
    .unix_seconds = 1801396800.1234,
    .request_id = "r-1",
    .key = "ann",
    .endpoint = "/chat/completions",
    .model = "a \"model\"",
    .status = 200,
    .finish = "stop",
    .n_prompt = 20,
    .n_cached = 5,
    .n_tokens = 7,
    .n_reasoning = 3,
    .queue = 0.0014,
    .first_token = 0.25,
    .total = 12.3456,
};

static const char line[] =
    "{\"time\":\"2027-01-31T12:00:00.123Z\",\"request_id\":\"r-1\",\"key\":\"ann\","
    "\"endpoint\":\"/chat/completions\",\"model\":\"a \\\"model\\\"\",\"status\":200,"
    "\"finish\":\"stop\",\"prompt_tokens\":20,\"cached_tokens\":5,\"completion_tokens\":7,"
    "\"reasoning_tokens\":3,\"queue_ms\":1,\"first_token_ms\":250,\"total_ms\":12346}\n";

struct place {
    char folder[32], path[64], other[64];
};

static struct place place_new(void)
{
    struct place p = {.folder = "/tmp/tenon-audit-XXXXXX"};
    assert_non_null(mkdtemp(p.folder));
    snprintf(p.path, sizeof p.path, "%s/log", p.folder);
    snprintf(p.other, sizeof p.other, "%s/log.1", p.folder);
    return p;
}

static void place_free(struct place *p)
{
    unlink(p->path);
    unlink(p->other);
    assert_int_equal(rmdir(p->folder), 0);
}

static struct audit *open_log(const char *path)
{
    struct audit *a = NULL;
    struct err err = {0};
    if (audit_open(&a, path, &err)) fail_msg("%s", err.message);
    return a;
}

/* The file holds n lines as above. */
static void check_lines(const char *path, int n)
{
    char *text;
    size_t size;
    struct err err = {0};
    if (file_slurp(path, 1 << 24, &text, &size, &err)) fail_msg("%s", err.message);
    assert_int_equal(size, (size_t)n * strlen(line));
    for (int i = 0; i < n; i++)
        assert_memory_equal(text + (size_t)i * strlen(line), line, strlen(line));
    free(text);
}

static void wait_for_lost(const struct audit *a, uint64_t n)
{
    while (audit_lost(a) < n)
        sched_yield();
}

static void a_line_holds_every_field(void **state)
{
    (void)state;
    struct place p = place_new();
    struct stat st;
    struct audit *a = open_log(p.path);
    audit_add(a, &entry);
    audit_close(a); /* writes what waits */
    a = open_log(p.path);
    audit_add(a, &entry);
    audit_close(a);
    check_lines(p.path, 2);
    assert_int_equal(stat(p.path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    audit_close(NULL);
    audit_add(NULL, &entry);
    audit_reopen(NULL);
    assert_int_equal(audit_lost(NULL), 0);
    place_free(&p);
}

static void what_did_not_come_is_null(void **state)
{
    (void)state;
    struct place p = place_new();
    struct err err = {0};
    char *text;
    size_t size;
    struct audit *a = open_log(p.path);
    audit_add(a, &(struct audit_entry){.request_id = "",
                                       .endpoint = "",
                                       .model = "",
                                       .status = 429,
                                       .queue = -1,
                                       .first_token = -1});
    audit_close(a);
    if (file_slurp(p.path, 1 << 20, &text, &size, &err)) fail_msg("%s", err.message);
    json_t *j = json_loads(text, 0, NULL);
    static const char *const null[] = {"key", "finish", "queue_ms", "first_token_ms"};
    for (size_t i = 0; i < sizeof null / sizeof *null; i++)
        assert_true(json_is_null(json_object_get(j, null[i])));
    assert_int_equal(json_object_size(j), 14);
    json_decref(j);
    free(text);
    place_free(&p);
}

static void a_moved_file_keeps_its_lines(void **state)
{
    (void)state;
    struct place p = place_new();
    struct audit *a = open_log(p.path);
    audit_add(a, &entry);
    audit_add(a, &entry);
    assert_int_equal(rename(p.path, p.other), 0);
    audit_reopen(a);
    audit_add(a, &entry);
    audit_close(a);
    check_lines(p.other, 2);
    check_lines(p.path, 1);
    place_free(&p);
}

static void a_name_that_cannot_be_opened_leaves_the_old_file(void **state)
{
    (void)state;
    struct place p = place_new();
    struct audit *a = open_log(p.path);
    struct err err = {0};
    assert_int_equal(rename(p.path, p.other), 0);
    assert_int_equal(mkdir(p.path, 0700), 0);
    audit_reopen(a);
    audit_add(a, &entry);
    audit_close(a);
    check_lines(p.other, 1);
    assert_int_equal(audit_open(&a, p.path, &err), -1);
    assert_int_equal(err.code, ERR_IO);
    assert_null(a);
    rmdir(p.path);
    place_free(&p);
}

static void a_full_disk_costs_lines_alone(void **state)
{
    (void)state;
    struct audit *a = open_log("/dev/full");
    for (int i = 0; i < 3; i++)
        audit_add(a, &entry);
    wait_for_lost(a, 3);
    assert_int_equal(audit_lost(a), 3);
    audit_close(a);
}

/* The largest size of a file cuts the second line in two, as a full disk may. */
static void no_piece_of_a_line_stays(void **state)
{
    (void)state;
    struct place p = place_new();
    struct rlimit old, low;
    struct audit *a = open_log(p.path);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    low = old;
    low.rlim_cur = strlen(line) * 3 / 2;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
    audit_add(a, &entry);
    audit_add(a, &entry);
    wait_for_lost(a, 1);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    audit_add(a, &entry);
    audit_close(a);
    check_lines(p.path, 2);
    place_free(&p);
}

static void a_disk_that_stands_still_stalls_nobody(void **state)
{
    (void)state;
    struct place p = place_new();
    assert_int_equal(mkfifo(p.path, 0600), 0);
    int reader = open(p.path, O_RDONLY | O_NONBLOCK);
    assert_true(reader >= 0);
    struct audit *a = open_log(p.path);
    int n = 2 * AUDIT_MAX_WAITING / (int)strlen(line);
    for (int i = 0; i < n; i++)
        audit_add(a, &entry); /* nobody reads */
    assert_true(audit_lost(a) > (uint64_t)n / 4 && audit_lost(a) < (uint64_t)n * 3 / 4);
    signal(SIGPIPE, SIG_IGN);
    close(reader);
    audit_close(a);
    place_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_holds_every_field),
        cmocka_unit_test(what_did_not_come_is_null),
        cmocka_unit_test(a_moved_file_keeps_its_lines),
        cmocka_unit_test(a_name_that_cannot_be_opened_leaves_the_old_file),
        cmocka_unit_test(a_full_disk_costs_lines_alone),
        cmocka_unit_test(no_piece_of_a_line_stays),
        cmocka_unit_test(a_disk_that_stands_still_stalls_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
