/* In the place of the library's header, for tests/cpu as static programs of ARM64 (tests/cpu/test_arm64.sh):
 * what those tests use of it, and the same last lines. */
#pragma once
#include <stdio.h>
#include <string.h>

static jmp_buf test_end;

#define fail_msg(...)                                                                              \
    do {                                                                                           \
        printf("%s:%d: ", __FILE__, __LINE__);                                                     \
        printf(__VA_ARGS__);                                                                       \
        printf("\n");                                                                              \
        longjmp(test_end, 1);                                                                      \
    } while (0)
#define print_message printf
#define assert_true(x)                                                                             \
    do {                                                                                           \
        if (!(x)) fail_msg("not true: %s", #x);                                                    \
    } while (0)
#define assert_null(p) assert_true((p) == NULL)
#define assert_non_null(p) assert_true((p) != NULL)
#define assert_ptr_equal(a, b) assert_true((const void *)(a) == (const void *)(b))
#define assert_int_equal(a, b) assert_true((long long)(a) == (long long)(b))
#define assert_string_equal(a, b) assert_true(!strcmp(a, b))
#define assert_memory_equal(a, b, n) assert_true(!memcmp(a, b, n))

struct CMUnitTest {
    const char *name;
    void (*run)(void **state);
};

#define cmocka_unit_test(f)                                                                        \
    {                                                                                              \
#f, f                                                                                      \
    }

/* Whether it failed. */
static int run_test(void (*run)(void **state))
{
    void *state = NULL;
    if (setjmp(test_end)) return 1;
    run(&state);
    return 0;
}

static int run_tests(const struct CMUnitTest *tests, size_t n)
{
    size_t failed = 0;
    setvbuf(stdout, NULL, _IOLBF, 0); /* what was said before a crash */
    for (size_t i = 0; i < n; i++) {
        int bad = run_test(tests[i].run);
        failed += (size_t)bad;
        printf("%s %s\n", bad ? "FAILED" : "ok", tests[i].name);
    }
    printf("%zu passed, %zu failed\n", n - failed, failed);
    return failed != 0;
}

#define cmocka_run_group_tests(tests, setup, teardown)                                             \
    run_tests(tests, sizeof(tests) / sizeof *(tests))
