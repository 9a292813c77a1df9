#include "files.h"

#include "alloc_watch.h"
#include "base/file.h"
#include "format/safetensors.h"

/* What a parser may hold for a file of n bytes: header, tensors and sorting, and err messages. */
static size_t allowed(size_t n)
{
    return 8192 + 24 * n;
}

/* Parses a header in memory for a file that has `data` bytes after it. */
static int parse(struct safetensors *st, const char *json, size_t size, uint64_t data,
                 struct err *err)
{
    char *copy = malloc(size + 1);
    assert_non_null(copy);
    memcpy(copy, json, size);
    *err = (struct err){0};
    return safetensors_parse(st, "test", copy, size, 8 + size + data, err);
}

/* Four tensors, out of order, with escapes and metadata; 50 bytes. */
static const char good[] =
    "{\"__metadata__\":{\"format\":\"pt\",\"by\":\"\\u0041\"},"
    "\"b\":{\"dtype\":\"BF16\",\"shape\":[2,3],\"data_offsets\":[24,36]},"
    "\"a.\\\"weight\\\"\":{\"shape\":[6],\"dtype\":\"F32\",\"data_offsets\":[0,24]},"
    "\"s\":{\"dtype\":\"F8_E8M0\",\"shape\":[],\"data_offsets\":[36,37]},"
    "\"c\":{\"dtype\":\"I8\",\"shape\":[13,1,1,1,1,1,1,1],\"data_offsets\":[37,50]}}   ";

static void a_header_is_read(void **state)
{
    (void)state;
    struct safetensors st;
    struct err err;
    if (parse(&st, good, strlen(good), 50, &err)) fail_msg("%s", err.message);
    assert_int_equal(st.n, 4);
    assert_string_equal(st.tensors[0].name, "a.\"weight\"");
    assert_int_equal(st.tensors[0].dtype, DT_F32);
    assert_int_equal(st.tensors[0].offset, 8 + strlen(good));
    assert_int_equal(st.tensors[1].dim[1], 3);
    assert_int_equal(st.tensors[2].n_dims, 0);
    assert_int_equal(st.tensors[3].n_dims, 8);
    safetensors_close(&st);
}

static void contradictions_are_refused_with_a_reason(void **state)
{
    (void)state;
#define ONE(name, dtype, shape, from, to)                                                          \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" from "," to "]" \
    "}"
    static const struct {
        const char *json;
        uint64_t data;
        enum err_code code;
        const char *says;
    } cases[] = {
        {"", 0, ERR_FORMAT, "object"},
        {"[]", 0, ERR_FORMAT, "object"},
        {"{}", 1, ERR_FORMAT, "end at byte"},
        {"{" ONE("a", "F32", "[2]", "0", "8") "}", 7, ERR_FORMAT, "only 7 follow"},
        {"{" ONE("a", "F32", "[2]", "0", "8") "}", 9, ERR_FORMAT, "end at byte"},
        {"{" ONE("a", "F32", "[2]", "0", "4") "}", 4, ERR_FORMAT, "do not fill 4 bytes"},
        {"{" ONE("a", "F32", "[1]", "8", "4") "}", 8, ERR_FORMAT, "data_offsets"},
        {"{" ONE("a", "F32", "[0]", "0", "0") "}", 0, ERR_FORMAT, "dimension 0 is 0"},
        {"{" ONE("a", "F32", "[4294967296,4294967296]", "0", "0") "}", 0, ERR_FORMAT,
         "dimension 1"},
        {"{" ONE("a", "F32", "[4611686018427387904]", "0", "0") "}", 0, ERR_FORMAT, "fill"},
        {"{" ONE("a", "F32", "[2305843009213693952,2]", "0", "0") "}", 0, ERR_FORMAT, "fill"},
        {"{" ONE("a", "I8", "[1]", "18446744073709551615", "18446744073709551616") "}", 1,
         ERR_FORMAT, "64 bits"},
        {"{" ONE("a", "I8", "[1]", "18446744073709551614", "18446744073709551615") "}", 1,
         ERR_FORMAT, "follow the header"},
        {"{" ONE("a", "I8", "[1,1,1,1,1,1,1,1,1]", "0", "1") "}", 1, ERR_LIMIT, "8 dimensions"},
        {"{" ONE("a", "I8", "[-1]", "0", "1") "}", 1, ERR_FORMAT, "whole number"},
        {"{" ONE("a", "I8", "[1.0]", "0", "1") "}", 1, ERR_FORMAT, "whole number"},
        {"{" ONE("a", "I8", "[\"1\"]", "0", "1") "}", 1, ERR_FORMAT, "whole number"},
        {"{" ONE("a", "F64", "[1]", "0", "8") "}", 8, ERR_UNSUPPORTED, "dtype F64"},
        {"{" ONE("a", "NONE\\nSUCH", "[1]", "0", "8") "}", 8, ERR_UNSUPPORTED, "NONE?SUCH"},
        {"{" ONE("a", "I8", "[1]", "0", "1") "," ONE("a", "I8", "[1]", "1", "2") "}", 2, ERR_FORMAT,
         "twice"},
        {"{" ONE("a", "I8", "[1]", "0", "1") "," ONE("\\u0061", "I8", "[1]", "1", "2") "}", 2,
         ERR_FORMAT, "twice"},
        {"{" ONE("a", "I8", "[2]", "0", "2") "," ONE("b", "I8", "[2]", "1", "3") "}", 3, ERR_FORMAT,
         "tensor b starts"},
        {"{" ONE("a", "I8", "[2]", "0", "2") "," ONE("b", "I8", "[2]", "0", "2") "}", 2, ERR_FORMAT,
         "starts"},
        {"{" ONE("a", "I8", "[1]", "0", "1") "," ONE("b", "I8", "[1]", "2", "3") "}", 3, ERR_FORMAT,
         "tensor b starts"},
        {"{" ONE("a", "I8", "[1]", "1", "2") "}", 2, ERR_FORMAT, "tensor a starts"},
        {"{\"a\":{\"dtype\":\"I8\",\"shape\":[1]}}", 0, ERR_FORMAT, "lacks"},
        {"{\"a\":{\"dtype\":\"I8\",\"dtype\":\"I8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1,
         ERR_FORMAT, "repeated"},
        {"{\"a\":{\"dtype\":\"I8\",\"shape\":[1],\"data_offsets\":[0,1],\"x\":1}}", 1, ERR_FORMAT,
         "unknown"},
        {"{\"a\":{\"dtype\":\"I8\",\"shape\":[1],\"data_offsets\":[0]}}", 1, ERR_FORMAT,
         "data_offsets"},
        {"{\"a\":{\"dtype\":\"I8\",\"shape\":[1],\"data_offsets\":[0,1,2]}}", 1, ERR_FORMAT,
         "data_offsets"},
        {"{\"__metadata__\":{\"a\":\"1\",\"a\":\"2\"}}", 0, ERR_FORMAT, "twice"},
        {"{\"__metadata__\":{\"a\":1}}", 0, ERR_FORMAT, "string"},
        {"{\"__metadata__\":{},\"__metadata__\":{}}", 0, ERR_FORMAT, "twice"},
        {"{" ONE("a", "I8", "[1]", "0", "1") "}{}", 1, ERR_FORMAT, "after the end"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct safetensors st;
        struct err err;
        if (parse(&st, cases[i].json, strlen(cases[i].json), cases[i].data, &err) == 0)
            fail_msg("%s was accepted", cases[i].json);
        if (!strstr(err.message, cases[i].says)) fail_msg("%s: %s", cases[i].json, err.message);
        assert_int_equal(err.code, cases[i].code);
        assert_null(st.tensors);
    }
}

/* Whatever was accepted lies inside the file and covers it once. */
static void check_accepted(const struct safetensors *st, uint64_t size, uint64_t data)
{
    uint64_t at = 8 + size;
    for (int i = 0; i < st->n; i++) {
        assert_int_equal(st->tensors[i].offset, at);
        at += st->tensors[i].bytes;
    }
    assert_int_equal(at, 8 + size + data);
}

static void every_cut_of_the_header_is_refused(void **state)
{
    (void)state;
    for (size_t n = 0; n < strlen(good) - 3; n++) { /* three spaces pad the end */
        struct safetensors st;
        struct err err;
        alloc_watch_start();
        int rc = parse(&st, good, n, 50, &err);
        assert_true(alloc_watch_stop() <= allowed(n));
        assert_int_equal(rc, -1);
        assert_int_not_equal(err.code, ERR_NONE);
    }
}

static void every_flipped_bit_is_refused_or_harmless(void **state)
{
    (void)state;
    char json[sizeof good];
    int accepted = 0;
    for (size_t bit = 0; bit < 8 * strlen(good); bit++) {
        struct safetensors st;
        struct err err;
        memcpy(json, good, sizeof good);
        json[bit / 8] = (char)(json[bit / 8] ^ 1 << bit % 8);
        alloc_watch_start();
        int rc = parse(&st, json, strlen(good), 50, &err);
        assert_true(alloc_watch_stop() <= allowed(strlen(good)));
        if (rc) {
            assert_int_not_equal(err.code, ERR_NONE);
            continue;
        }
        accepted++; /* a letter of a name, say */
        check_accepted(&st, strlen(good), 50);
        safetensors_close(&st);
    }
    assert_true(accepted > 0);
}

static int open_file(const char *path, struct err *err)
{
    struct file f;
    struct safetensors st;
    *err = (struct err){0};
    if (file_open(&f, path, err)) return -1;
    int rc = safetensors_open(&st, &f, err);
    if (rc == 0) safetensors_close(&st);
    file_close(&f);
    return rc;
}

static void a_golden_file_cut_anywhere_is_refused(void **state)
{
    (void)state;
    struct place p;
    struct err err;
    size_t size;
    unsigned char *data = read_whole("tests/golden/zeta/model.safetensors", &size);
    place_make(&p);
    place_write(&p, "cut", data, size);
    const char *path = place_path(&p, "cut");
    assert_int_equal(open_file(path, &err), 0);
    for (size_t n = size; n > 0;) {
        n -= n > 30000 ? 9973 % n : n > 64 ? 61 : 1;
        assert_int_equal(truncate(path, (off_t)n), 0);
        assert_int_equal(open_file(path, &err), -1);
        assert_non_null(strstr(err.message, "/cut"));
    }
    place_remove(&p);
    free(data);
}

static void claimed_sizes_cost_nothing(void **state)
{
    (void)state;
    static const uint64_t claims[] = {9,         100u << 20, (100u << 20) + 1, UINT32_MAX,
                                      INT64_MAX, UINT64_MAX, UINT64_MAX - 7};
    struct place p;
    place_make(&p);
    for (size_t i = 0; i < sizeof claims / sizeof *claims; i++) {
        unsigned char file[16] = {0};
        struct err err;
        for (int b = 0; b < 8; b++)
            file[b] = (unsigned char)(claims[i] >> (8 * b));
        file[8] = '{';
        place_write(&p, "claim", file, sizeof file);
        const char *path = place_path(&p, "claim");
        alloc_watch_start();
        int rc = open_file(path, &err);
        assert_true(alloc_watch_stop() <= allowed(sizeof file));
        assert_int_equal(rc, -1);
        assert_int_equal(err.code, ERR_FORMAT);
    }
    place_remove(&p);
}

/* Many small members: memory stays a small multiple of the header. */
static void memory_is_bounded_by_the_header(void **state)
{
    (void)state;
    enum { N = 20000 };
    size_t cap = (size_t)N * 80, n = 0;
    char *json = malloc(cap);
    struct safetensors st;
    struct err err;
    assert_non_null(json);
    for (int i = 0; i < N; i++)
        n += (size_t)snprintf(json + n, cap - n,
                              "%c\"%x\":{\"dtype\":\"I8\",\"shape\":[],\"data_offsets\":[%d,%d]}",
                              i ? ',' : '{', i, i, i + 1);
    n += (size_t)snprintf(json + n, cap - n, "}");
    alloc_watch_start();
    int rc = parse(&st, json, n, N, &err);
    size_t peak = alloc_watch_stop();
    if (rc) fail_msg("%s", err.message);
    assert_int_equal(st.n, N);
    safetensors_close(&st);
    assert_true(peak <= 10 * n);
    free(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_header_is_read),
        cmocka_unit_test(contradictions_are_refused_with_a_reason),
        cmocka_unit_test(every_cut_of_the_header_is_refused),
        cmocka_unit_test(every_flipped_bit_is_refused_or_harmless),
        cmocka_unit_test(a_golden_file_cut_anywhere_is_refused),
        cmocka_unit_test(claimed_sizes_cost_nothing),
        cmocka_unit_test(memory_is_bounded_by_the_header),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
