#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/sha256.h"
#include "secure/keys.h"

/* SHA-256 of "foo" and of "bar". */
#define FOO "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"
#define BAR "fcde2b2edba56bf408601fb721fe9b5c338d10ee429ea04fae5511b68fbf8fb9"

static struct keys *parse(const char *text)
{
    struct keys *k = NULL;
    struct err err = {0};
    if (keys_parse(&k, "file", text, strlen(text), &err)) fail_msg("%s", err.message);
    return k;
}

static void every_limit_is_read(void **state)
{
    (void)state;
    struct keys *k = parse("# comment\n\n \t\n"
                           "ann " FOO " requests=1 tokens=1000000000000 concurrent=3 daily=4 "
                           "models=a,b/c priority=-9 expires=2027-01-31\r\n"
                           "  B.o-b_2\t" BAR);
    assert_int_equal(keys_count(k), 2);
    const struct key *ann = keys_get(k, 0), *bob = keys_get(k, 1);
    assert_string_equal(ann->name, "ann");
    assert_int_equal(ann->requests, 1);
    assert_int_equal(ann->tokens, 1000000000000);
    assert_int_equal(ann->concurrent, 3);
    assert_int_equal(ann->daily, 4);
    assert_string_equal(ann->models, "a,b/c");
    assert_int_equal(ann->priority, -9);
    assert_int_equal(ann->expires, 1801353600);
    assert_string_equal(bob->name, "B.o-b_2");
    assert_true(!bob->requests && !bob->tokens && !bob->concurrent && !bob->daily && !bob->models &&
                !bob->priority && !bob->expires);
    keys_release(k);
}

static void bad_lines_are_refused_with_their_number(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } bad[] = {
        {"ann", "line 1: behind the name"},
        {"\n\nann " FOO "0", "line 3: behind the name"},
        {"ann 2c26", "behind the name"},
        {"ann g" FOO, "behind the name"},
        {"a/b " FOO, "no name"},
        {"1234567890123456789012345678901234567890123456789012345678901234x " FOO, "no name"},
        {"ann " FOO " requests", "has no value"},
        {"ann " FOO " requests=", "requests is"},
        {"ann " FOO " requests=0", "requests is"},
        {"ann " FOO " requests=-1", "requests is"},
        {"ann " FOO " requests=+1", "requests is"},
        {"ann " FOO " tokens=1000000000001", "tokens is"},
        {"ann " FOO " tokens=99999999999999999999999", "tokens is"},
        {"ann " FOO " concurrent=1.5", "concurrent is"},
        {"ann " FOO " daily=1e3", "daily is"},
        {"ann " FOO " daily=1 daily=2", "daily is twice"},
        {"ann " FOO " models=", "models is"},
        {"ann " FOO " models=a,,b", "models is"},
        {"ann " FOO " models=,a", "models is"},
        {"ann " FOO " models=a,", "models is"},
        {"ann " FOO " priority=10", "priority is"},
        {"ann " FOO " priority=-10", "priority is"},
        {"ann " FOO " expires=2027-02-29", "expires is"},
        {"ann " FOO " expires=2027-1-31", "expires is"},
        {"ann " FOO " expires=2027-13-01", "expires is"},
        {"ann " FOO " expires=1970-01-01", "expires is"},
        {"ann " FOO " expires=2027-01-31T", "expires is"},
        {"ann " FOO " rate=3", "no limit \"rate\""},
        {"ann " FOO "\nann " BAR, "line 2: name \"ann\": there is another of that name"},
        {"ann " FOO "\nbob " FOO, "line 2: name \"bob\": the same key"},
        {"ann " FOO "\x01", "line 1: a control byte"},
        {"ann\r" FOO, "line 1: a control byte"},
        {"ann " FOO " daily=x", "line 1: ann: daily is \"x\""},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct keys *k = NULL;
        struct err err = {0};
        assert_int_equal(keys_parse(&k, "file", bad[i].text, strlen(bad[i].text), &err), -1);
        assert_null(k);
        assert_int_equal(err.code, ERR_FORMAT);
        if (!strstr(err.message, bad[i].words)) fail_msg("%zu: %s", i, err.message);
        assert_ptr_equal(strstr(err.message, "file: line "), err.message);
    }
}

static void a_key_is_found_by_its_text_alone(void **state)
{
    (void)state;
    struct keys *k = parse("ann " FOO "\nbob " BAR "\n");
    assert_ptr_equal(keys_find(k, "foo"), keys_get(k, 0));
    assert_ptr_equal(keys_find(k, "bar"), keys_get(k, 1));
    assert_null(keys_find(k, ""));
    assert_null(keys_find(k, "fo"));
    assert_null(keys_find(k, "fooo"));
    assert_null(keys_find(k, FOO));
    keys_release(k);
}

static void models_are_allowed_by_either_name(void **state)
{
    (void)state;
    struct keys *k = parse("ann " FOO " models=nano,deepseek-chat\nbob " BAR);
    const struct key *ann = keys_get(k, 0), *bob = keys_get(k, 1);
    assert_true(key_allows(ann, "deepseek-chat", "other"));
    assert_true(key_allows(ann, "deepseek-reasoner", "nano"));
    assert_false(key_allows(ann, "deepseek-reasoner", "other"));
    assert_false(key_allows(ann, "nan", "nanoo"));
    assert_false(key_allows(ann, "nano,deepseek-chat", ""));
    assert_true(key_allows(bob, "anything", "other"));
    keys_release(k);
}

static void a_set_lives_while_someone_holds_it(void **state)
{
    (void)state;
    struct keys *k = parse("ann " FOO);
    const struct key *ann = keys_get(keys_hold(k), 0);
    keys_release(k);
    assert_string_equal(ann->name, "ann");
    keys_release(k);
    keys_release(NULL);
}

static void new_keys_are_random(void **state)
{
    (void)state;
    char a[KEY_TEXT], b[KEY_TEXT];
    key_make(a);
    key_make(b);
    assert_int_equal(strlen(a), KEY_TEXT - 1);
    assert_memory_equal(a, "sk-", 3);
    assert_int_equal(strspn(a + 3, "0123456789abcdef"), 64);
    assert_string_not_equal(a, b);
}

/* --- the file --- */

static void put(const char *path, const char *text)
{
    struct err err = {0};
    if (file_replace(path, text, strlen(text), &err)) fail_msg("%s", err.message);
}

static void check_file(const char *path, const char *wanted)
{
    char *text;
    size_t size;
    struct stat st;
    struct err err = {0};
    if (file_slurp(path, 1 << 20, &text, &size, &err)) fail_msg("%s", err.message);
    assert_string_equal(text, wanted);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    free(text);
}

static struct key foo_key(const char *name)
{
    struct key k = {0};
    memcpy(k.name, name, strlen(name) + 1);
    sha256_of("foo", 3, k.hash);
    return k;
}

static void lines_come_and_go_and_comments_stay(void **state)
{
    (void)state;
    char folder[] = "/tmp/tenon-keys-XXXXXX", path[64];
    struct err err = {0};
    struct key ann = foo_key("ann");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/keys", folder);
    assert_int_equal(keys_add(path, &ann, &err), 0);
    check_file(path, "ann " FOO "\n");

    put(path, "# mine\nann2 " BAR " daily=5"); /* no end of line */
    ann.requests = 7;
    ann.priority = 3;
    ann.expires = 1801353600;
    ann.models = xstrdup("a,b");
    assert_int_equal(keys_add(path, &ann, &err), 0);
    check_file(path, "# mine\nann2 " BAR " daily=5\nann " FOO
                     " requests=7 models=a,b priority=3 expires=2027-01-31\n");
    assert_int_equal(keys_remove(path, "ann", &err), 0);
    check_file(path, "# mine\nann2 " BAR " daily=5\n");
    assert_int_equal(keys_remove(path, "ann", &err), -1);
    assert_int_equal(err.code, ERR_ARGUMENT);
    key_fini(&ann);
    unlink(path);
    rmdir(folder);
}

static void what_would_not_read_is_not_written(void **state)
{
    (void)state;
    char folder[] = "/tmp/tenon-keys-XXXXXX", path[64];
    struct err twice = {0}, same = {0}, name = {0}, broken = {0}, nowhere = {0};
    struct key ann = foo_key("ann"), bob = foo_key("bob"), bad = foo_key("a b");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/keys", folder);
    put(path, "ann " FOO "\n");
    assert_int_equal(keys_add(path, &ann, &twice), -1);
    assert_int_equal(twice.code, ERR_ARGUMENT);
    assert_int_equal(keys_add(path, &bob, &same), -1);
    assert_non_null(strstr(same.message, "same key"));
    sha256_of("bar", 3, bad.hash);
    assert_int_equal(keys_add(path, &bad, &name), -1);
    check_file(path, "ann " FOO "\n");
    put(path, "nonsense\n");
    assert_int_equal(keys_add(path, &bad, &broken), -1);
    check_file(path, "nonsense\n");
    unlink(path);
    assert_int_equal(rmdir(folder), 0); /* nothing is left beside it */
    assert_int_equal(keys_add(path, &ann, &nowhere), -1);
    assert_int_equal(nowhere.code, ERR_IO);
}

static void a_key_may_stand_beside_the_file(void **state)
{
    (void)state;
    struct key foo = foo_key("default");
    struct keys *k = NULL;
    struct err err = {0}, twice = {0}, none = {0};
    char path[] = "/tmp/tenon-keys-XXXXXX";
    close(mkstemp(path));
    assert_int_equal(keys_read(&k, NULL, foo.hash, &err), 0);
    assert_string_equal(keys_find(k, "foo")->name, "default");
    keys_release(k);
    put(path, "bob " BAR);
    assert_int_equal(keys_read(&k, path, foo.hash, &err), 0);
    assert_string_equal(keys_find(k, "foo")->name, "default");
    assert_string_equal(keys_find(k, "bar")->name, "bob");
    keys_release(k);
    put(path, "bob " FOO);
    assert_int_equal(keys_read(&k, path, foo.hash, &twice), -1);
    assert_null(k);
    unlink(path);
    assert_int_equal(keys_read(&k, path, NULL, &none), -1);
    assert_int_equal(none.code, ERR_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_limit_is_read),
        cmocka_unit_test(bad_lines_are_refused_with_their_number),
        cmocka_unit_test(a_key_is_found_by_its_text_alone),
        cmocka_unit_test(models_are_allowed_by_either_name),
        cmocka_unit_test(a_set_lives_while_someone_holds_it),
        cmocka_unit_test(new_keys_are_random),
        cmocka_unit_test(lines_come_and_go_and_comments_stay),
        cmocka_unit_test(what_would_not_read_is_not_written),
        cmocka_unit_test(a_key_may_stand_beside_the_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
