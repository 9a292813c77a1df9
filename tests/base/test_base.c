#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "base/hmac.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/sha256.h"
#include "base/size.h"

/* ---- err ---- */

static void the_first_error_wins(void **state)
{
    (void)state;
    struct err err = {0};
    assert_int_equal(err_set(&err, ERR_IO, "first %d", 1), -1);
    assert_int_equal(err_set(&err, ERR_FORMAT, "second"), -1);
    assert_int_equal(err.code, ERR_IO);
    assert_string_equal(err.message, "first 1");
    assert_int_equal(err_set(NULL, ERR_IO, "nobody listens"), -1);
}

static void a_prefix_goes_in_front(void **state)
{
    (void)state;
    struct err err = {0};
    err_prefix(&err, "ignored while there is no error");
    assert_int_equal(err.code, ERR_NONE);
    err_set(&err, ERR_FORMAT, "bad byte");
    err_prefix(&err, "file %s", "x");
    assert_string_equal(err.message, "file x: bad byte");
}

static void control_bytes_cannot_forge_a_line(void **state)
{
    (void)state;
    struct err err = {0};
    err_set(&err, ERR_FORMAT, "name \"%s\"", "a\nb\x1b[2Jc\x7f");
    assert_null(strpbrk(err.message, "\n\x1b\x7f"));
    assert_non_null(strstr(err.message, "a?b?[2Jc?"));
}

static void a_long_message_is_cut(void **state)
{
    (void)state;
    struct err err = {0};
    char text[2000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    err_set(&err, ERR_FORMAT, "%s", text);
    err_prefix(&err, "%s", text);
    assert_int_equal(strlen(err.message), sizeof err.message - 1);
}

/* ---- buf ---- */

static void buf_grows_and_ends_with_nul(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 1 << 20);
    assert_string_equal(buf_text(&b), "");
    for (int i = 0; i < 1000; i++)
        buf_printf(&b, "%d,", i);
    buf_add_str(&b, "end");
    buf_add_byte(&b, '.');
    buf_add(&b, "\0x", 2);
    assert_false(b.failed);
    assert_int_equal(b.size, 10 * 2 + 90 * 3 + 900 * 4 + 3 + 1 + 2);
    assert_int_equal(b.data[b.size], 0);
    assert_memory_equal(b.data + b.size - 6, "end.\0x", 6);
    buf_clear(&b);
    assert_true(b.size == 0 && buf_text(&b)[0] == 0);
    buf_fini(&b);
}

static void buf_keeps_what_it_has_at_its_limit(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 5);
    buf_add_str(&b, "12345");
    assert_false(b.failed);
    buf_add_byte(&b, '6');
    assert_true(b.failed);
    buf_clear(&b);
    buf_add_byte(&b, '7'); /* failed stays */
    assert_int_equal(b.size, 0);
    buf_fini(&b);

    buf_init(&b, 5);
    buf_printf(&b, "%s", "123456");
    assert_true(b.failed && b.size == 0);
    buf_fini(&b);
}

static void buf_take_gives_the_text_away(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 100);
    char *s = buf_take(&b);
    assert_string_equal(s, "");
    free(s);
    buf_add_str(&b, "text");
    s = buf_take(&b);
    assert_string_equal(s, "text");
    assert_int_equal(b.size, 0);
    free(s);
    buf_add_str(&b, "more");
    assert_string_equal(buf_text(&b), "more");
    buf_fini(&b);
}

/* ---- json ---- */

static int parses_bytes(const char *text, size_t size, enum err_code *code)
{
    struct err err = {0};
    json_t *j = NULL;
    int ok = json_parse(&j, "text", text, size, &err) == 0;
    assert_true(ok ? j != NULL : j == NULL && err.code != ERR_NONE);
    json_decref(j);
    *code = err.code;
    return ok;
}

static int parses(const char *text)
{
    enum err_code code;
    return parses_bytes(text, strlen(text), &code);
}

static void json_takes_what_rfc_8259_takes(void **state)
{
    (void)state;
    assert_true(parses("{\"a\": [1, -2.5e3, true, false, null, \"\\u00e9\\n\"]}"));
    assert_true(parses(" 3 "));
    assert_true(parses("\"[[[[ \\\" {{{\""));
    assert_true(parses("[]"));
}

static void json_refuses_the_rest(void **state)
{
    (void)state;
    const char *bad[] = {"",
                         "[1,]",
                         "{\"a\":1,}",
                         "{\"a\":1,\"a\":2}",
                         "{\"x\":[{\"a\":1,\"\\u0061\":2}]}",
                         "[1] x",
                         "[01]",
                         "[+1]",
                         "[NaN]",
                         "[1e999]",
                         "['a']",
                         "[\"\\ud800\"]",
                         "[\"\xff\"]",
                         "[\"\xc0\x80\"]",
                         "[\"a\nb\"]",
                         "{\"a\\u0000b\":1}",
                         "[99999999999999999999]",
                         "[1",
                         "{\"a\"}",
                         "\xef\xbb\xbf[]",
                         "[1}",
                         "// c\n[]"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (parses(bad[i])) fail_msg("accepted: %s", bad[i]);
    enum err_code code;
    assert_false(parses_bytes("[]\0", 3, &code));
}

static void json_depth_ends_at_64(void **state)
{
    (void)state;
    char text[200];
    enum err_code code;
    for (int depth = 60; depth < 70; depth++) {
        memset(text, '[', (size_t)depth);
        memset(text + depth, ']', (size_t)depth);
        assert_int_equal(parses_bytes(text, 2 * (size_t)depth, &code), depth <= 64);
        assert_int_equal(code, depth <= 64 ? ERR_NONE : ERR_LIMIT);
    }
}

static void json_ends_at_a_million_values(void **state)
{
    (void)state;
    struct buf b;
    enum err_code code;
    buf_init(&b, 4 << 20);
    buf_add_str(&b, "[0");
    for (int i = 0; i < 1000001; i++)
        buf_add_str(&b, ",0");
    buf_add_str(&b, "]");
    assert_false(parses_bytes(b.data, b.size, &code));
    assert_int_equal(code, ERR_LIMIT);
    buf_fini(&b);
}

/* ---- files ---- */

struct folder {
    char path[64];
};

static int folder_setup(void **state)
{
    struct folder *f = xcalloc(1, sizeof *f);
    snprintf(f->path, sizeof f->path, "/tmp/tenon-test-XXXXXX");
    if (!mkdtemp(f->path)) return -1;
    *state = f;
    return 0;
}

static int folder_teardown(void **state)
{
    struct folder *f = *state;
    char path[128];
    const char *names[] = {"data", "link", "fifo", "sub/file", "loop"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", f->path, names[i]);
        unlink(path);
    }
    snprintf(path, sizeof path, "%s/sub", f->path);
    rmdir(path);
    int rc = rmdir(f->path); /* fails when a test left a file behind */
    free(f);
    return rc;
}

static const char *in(const struct folder *f, const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", f->path, name);
    return path;
}

static void file_replace_writes_all_or_nothing(void **state)
{
    const struct folder *f = *state;
    struct err err = {0};
    char *text;
    size_t size;
    assert_int_equal(file_replace(in(f, "data"), "one", 3, &err), 0);
    assert_int_equal(file_replace(in(f, "data"), "second", 6, &err), 0);
    assert_int_equal(file_slurp(in(f, "data"), 6, &text, &size, &err), 0);
    assert_int_equal(size, 6);
    assert_string_equal(text, "second");
    free(text);
    assert_int_equal(file_slurp(in(f, "data"), 5, &text, &size, &err), -1);
    assert_true(err.code == ERR_LIMIT && text == NULL);

    struct err err2 = {0};
    assert_int_equal(file_replace(in(f, "missing/data"), "x", 1, &err2), -1);
    assert_int_equal(err2.code, ERR_IO);
    assert_non_null(strstr(err2.message, "missing/data"));
}

static void file_read_stays_inside(void **state)
{
    const struct folder *f = *state;
    struct err err = {0};
    struct file file;
    char bytes[8];
    assert_int_equal(file_replace(in(f, "data"), "abcdef", 6, &err), 0);
    assert_int_equal(file_open(&file, in(f, "data"), &err), 0);
    assert_int_equal(file.size, 6);
    assert_int_equal(file_read(&file, 2, bytes, 4, &err), 0);
    assert_memory_equal(bytes, "cdef", 4);
    assert_int_equal(file_read(&file, 2, bytes, 5, &err), -1);
    assert_int_equal(err.code, ERR_IO);
    file_close(&file);
    file_close(&file);
    assert_int_equal(file.fd, -1);
}

/* Whatever the file system can do, and wherever the bytes begin and end. */
static void file_read_once_reads_what_file_read_does(void **state)
{
    enum { SIZE = 900001 };
    const struct folder *f = *state;
    static const size_t cases[][2] = {{0, SIZE},     {1, 1},           {4095, 2},
                                      {4096, 4096},  {5000, 300000},   {262144, 7},
                                      {SIZE - 1, 1}, {700000, 200001}, {4100, 270000 + 7}};
    char *want = malloc(SIZE), *got = malloc(SIZE);
    for (int i = 0; i < SIZE; i++)
        want[i] = (char)(i * 2654435761u >> 11);
    for (int direct = 0; direct < 2; direct++) {
        struct err err = {0};
        struct file file;
        assert_int_equal(file_replace(in(f, "data"), want, SIZE, &err), 0);
        assert_int_equal(file_open(&file, in(f, "data"), &err), 0);
        if (direct) file_prefer_direct(&file);
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            file_forget(&file, 0, 0);
            memset(got, 0, SIZE);
            assert_int_equal(file_read_once(&file, cases[i][0], got, cases[i][1], &err), 0);
            assert_memory_equal(got, want + cases[i][0], cases[i][1]);
        }
        assert_int_equal(file_read_once(&file, SIZE - 3, got, 4, &err), -1);
        assert_int_equal(err.code, ERR_IO);
        file_close(&file);
    }
    free(want);
    free(got);
}

static void file_check_sees_writing_and_cutting(void **state)
{
    const struct folder *f = *state;
    const struct timespec then[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    for (int how = 0; how < 3; how++) {
        struct err err = {0};
        struct file file;
        assert_int_equal(file_replace(in(f, "data"), "abcdef", 6, &err), 0);
        assert_int_equal(file_open(&file, in(f, "data"), &err), 0);
        assert_int_equal(file_check(&file, &err), 0);
        if (how == 0) assert_int_equal(truncate(in(f, "data"), 5), 0);
        if (how == 1) assert_int_equal(utimensat(AT_FDCWD, in(f, "data"), then, 0), 0);
        /* Another file under this name is none of the open one's business. */
        if (how == 2) assert_int_equal(file_replace(in(f, "data"), "x", 1, &err), 0);
        assert_int_equal(file_check(&file, &err), how == 2 ? 0 : -1);
        assert_int_equal(err.code, how == 2 ? ERR_NONE : ERR_IO);
        file_close(&file);
    }
}

static int opens_beneath(const char *dir, const char *name)
{
    struct err err = {0};
    struct file file;
    int rc = file_open_beneath(&file, dir, name, &err);
    assert_true(rc == 0 ? file.fd >= 0 : file.fd == -1 && err.code != ERR_NONE);
    file_close(&file);
    return rc == 0;
}

static void file_open_beneath_stays_beneath(void **state)
{
    const struct folder *f = *state;
    struct err err = {0};
    assert_int_equal(mkdir(in(f, "sub"), 0700), 0);
    assert_int_equal(file_replace(in(f, "data"), "x", 1, &err), 0);
    assert_int_equal(file_replace(in(f, "sub/file"), "x", 1, &err), 0);
    assert_int_equal(symlink("data", in(f, "link")), 0);
    assert_int_equal(symlink("/etc/passwd", in(f, "loop")), 0);
    assert_int_equal(mkfifo(in(f, "fifo"), 0600), 0);

    assert_true(opens_beneath(f->path, "data"));
    const char *bad[] = {"sub/file", "../data", "..",   ".",          "",        "/etc/passwd",
                         "link",     "loop",    "fifo", "sub",        "missing", "data ",
                         "da\nta",   "d%s",     "\xff", "sub/../data"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (opens_beneath(f->path, bad[i])) fail_msg("opened \"%s\"", bad[i]);
    assert_false(opens_beneath(in(f, "missing"), "data"));
}

static void only_regular_files_open(void **state)
{
    const struct folder *f = *state;
    struct err err = {0};
    struct file file;
    assert_int_equal(mkfifo(in(f, "fifo"), 0600), 0);
    assert_int_equal(file_open(&file, in(f, "fifo"), &err),
                     -1); /* and does not wait for a writer */
    assert_int_equal(file_open(&file, f->path, &err), -1);
    assert_int_equal(file_open(&file, "/dev/zero", &err), -1);
    assert_int_equal(err.code, ERR_IO);
}

/* ---- sizes, memory, hash ---- */

static void sizes_do_not_wrap(void **state)
{
    (void)state;
    uint64_t r = 7;
    int i = 7;
    assert_int_equal(size_add(UINT64_MAX, 1, &r), -1);
    assert_int_equal(size_mul(1ull << 32, 1ull << 32, &r), -1);
    assert_int_equal(size_align(UINT64_MAX, 32, &r), -1);
    assert_int_equal(size_align(5, 0, &r), -1);
    assert_int_equal(size_align(5, 12, &r), -1);
    assert_int_equal(size_to_int((uint64_t)INT_MAX + 1, &i), -1);
    assert_true(r == 7 && i == 7);
    assert_true(size_add(UINT64_MAX - 1, 1, &r) == 0 && r == UINT64_MAX);
    assert_true(size_mul((1ull << 32) - 1, 1ull << 32, &r) == 0 && r == UINT64_MAX - UINT32_MAX);
    assert_true(size_align(33, 32, &r) == 0 && r == 64);
    assert_true(size_align(0, 32, &r) == 0 && r == 0);
    assert_true(size_to_int(INT_MAX, &i) == 0 && i == INT_MAX);
}

static void pages_are_zero_and_aligned(void **state)
{
    (void)state;
    const size_t sizes[] = {0, 1, 100, (2 << 20) - 1, 2 << 20, (4 << 20) + 5};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        unsigned char *p = mem_pages(sizes[i]);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 64, 0);
        for (size_t k = 0; k < sizes[i]; k += 501)
            assert_int_equal(p[k], 0);
        if (sizes[i]) p[sizes[i] - 1] = 1;
        mem_pages_free(p, sizes[i]);
    }
    assert_null(mem_pages(SIZE_MAX));
    assert_true(mem_peak() > 0);
}

/* Files of a machine that is not this one. */
static void put(const struct folder *f, const char *name, const char *text)
{
    char command[256];
    struct err err = {0};
    snprintf(command, sizeof command, "mkdir -p \"$(dirname '%s')\"", in(f, name));
    assert_int_equal(system(command), 0);
    assert_int_equal(file_replace(in(f, name), text, strlen(text), &err), 0);
}

static void control_groups_limit_memory(void **state)
{
    const struct folder *f = *state;
    char command[256];
    assert_true(mem_cgroup(in(f, "")) == SIZE_MAX);
    put(f, "proc/self/cgroup", "1:cpu:/\n0::/a/b\n");
    assert_true(mem_cgroup(in(f, "")) == SIZE_MAX);
    put(f, "sys/fs/cgroup/a/b/memory.max", "max\n");
    put(f, "sys/fs/cgroup/a/b/memory.current", "100\n");
    assert_true(mem_cgroup(in(f, "")) == SIZE_MAX);
    /* The group above counts too; pages of files can be had back. */
    put(f, "sys/fs/cgroup/a/memory.max", "5000\n");
    put(f, "sys/fs/cgroup/a/memory.current", "3000\n");
    put(f, "sys/fs/cgroup/a/memory.stat", "anon 1\ninactive_file 200\nactive_file 50\nfile 9\n");
    assert_int_equal(mem_cgroup(in(f, "")), 5000 - (3000 - 250));
    put(f, "proc/self/cgroup", "4:memory:/c\n0::/\n");
    put(f, "sys/fs/cgroup/memory/c/memory.limit_in_bytes", "700\n");
    put(f, "sys/fs/cgroup/memory/c/memory.usage_in_bytes", "900\n");
    assert_int_equal(mem_cgroup(in(f, "")), 0);
    snprintf(command, sizeof command, "rm -r '%s/proc' '%s/sys'", f->path, f->path);
    assert_int_equal(system(command), 0);
}

static void sha256_of_abc(void **state)
{
    (void)state;
    uint8_t d[32];
    char hex[65];
    sha256_of("abc", 3, d);
    sha256_hex(d, 32, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    struct sha256 *h = sha256_new();
    sha256_add(h, "a", 1);
    sha256_add(h, "bc", 2);
    uint8_t e[32];
    sha256_end(h, e);
    sha256_free(h);
    assert_memory_equal(d, e, 32);
}

static void hmac_of(const void *key, size_t n_key, const void *text, size_t n, const char *want)
{
    struct hmac h;
    uint8_t got[HMAC_BYTES];
    char hex[2 * HMAC_BYTES + 1];
    hmac_init(&h, key, n_key);
    hmac_add(&h, text, n / 2);
    struct hmac copy = h; /* goes on from here, as the first does */
    hmac_add(&copy, (const char *)text + n / 2, n - n / 2);
    hmac_end(&copy, got);
    sha256_hex(got, HMAC_BYTES, hex);
    assert_string_equal(hex, want);
    hmac_add(&h, (const char *)text + n / 2, n - n / 2);
    hmac_end(&h, got);
    sha256_hex(got, HMAC_BYTES, hex);
    assert_string_equal(hex, want);
}

/* Test cases 1, 2 and 6 of RFC 4231: a short key, and one longer than a block. */
static void hmac_of_rfc_4231(void **state)
{
    (void)state;
    uint8_t key[131];
    memset(key, 0x0b, 20);
    hmac_of(key, 20, "Hi There", 8,
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    hmac_of("Jefe", 4, "what do ya want for nothing?", 28,
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(key, 0xaa, 131);
    hmac_of(key, 131, "Test Using Larger Than Block-Size Key - Hash Key First", 54,
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

static void hmac_fields_have_bounds(void **state)
{
    (void)state;
    static const char *const parts[][3] = {
        {"a", "bc", ""}, {"ab", "c", ""}, {"a", "b", "c"}, {"a", "", "bc"}};
    uint8_t code[4][HMAC_BYTES];
    for (int i = 0; i < 4; i++) {
        struct hmac h;
        hmac_init(&h, "key", 3);
        hmac_field(&h, parts[i][0], parts[i][1], strlen(parts[i][1]));
        hmac_add(&h, parts[i][2], strlen(parts[i][2]));
        hmac_end(&h, code[i]);
        for (int j = 0; j < i; j++)
            assert_false(hmac_equal(code[i], code[j]));
    }
    assert_true(hmac_equal(code[0], code[0]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_error_wins),
        cmocka_unit_test(a_prefix_goes_in_front),
        cmocka_unit_test(control_bytes_cannot_forge_a_line),
        cmocka_unit_test(a_long_message_is_cut),
        cmocka_unit_test(buf_grows_and_ends_with_nul),
        cmocka_unit_test(buf_keeps_what_it_has_at_its_limit),
        cmocka_unit_test(buf_take_gives_the_text_away),
        cmocka_unit_test(json_takes_what_rfc_8259_takes),
        cmocka_unit_test(json_refuses_the_rest),
        cmocka_unit_test(json_depth_ends_at_64),
        cmocka_unit_test(json_ends_at_a_million_values),
        cmocka_unit_test_setup_teardown(file_replace_writes_all_or_nothing, folder_setup,
                                        folder_teardown),
        cmocka_unit_test_setup_teardown(file_read_stays_inside, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(file_read_once_reads_what_file_read_does, folder_setup,
                                        folder_teardown),
        cmocka_unit_test_setup_teardown(file_check_sees_writing_and_cutting, folder_setup,
                                        folder_teardown),
        cmocka_unit_test_setup_teardown(control_groups_limit_memory, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(file_open_beneath_stays_beneath, folder_setup,
                                        folder_teardown),
        cmocka_unit_test_setup_teardown(only_regular_files_open, folder_setup, folder_teardown),
        cmocka_unit_test(sizes_do_not_wrap),
        cmocka_unit_test(pages_are_zero_and_aligned),
        cmocka_unit_test(sha256_of_abc),
        cmocka_unit_test(hmac_of_rfc_4231),
        cmocka_unit_test(hmac_fields_have_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
