#include "files.h"

#include <math.h>

#include "alloc_watch.h"
#include "base/file.h"
#include "format/gguf_write.h"

/* What the reader may hold for a file of n bytes. */
static size_t allowed(size_t n)
{
    return 8192 + 24 * n;
}

/* One key of every kind and three tensors of 4 + 34 x 2 + 17 x 6 values. */
static void write_sample(const char *path)
{
    static const uint64_t dims[3][3] = {{2}, {32, 2}, {32, 3, 2}};
    static const enum dtype types[3] = {DT_BF16, DT_Q8_0, DT_MXFP4};
    struct gguf_writer *w;
    struct err err = {0};
    unsigned char data[256];
    assert_int_equal(gguf_writer_open(&w, path, &err), 0);
    gguf_put_string(w, "general.architecture", "test", 4);
    gguf_put_u32(w, "u32", 4000000000u);
    gguf_put_f32(w, "f32", 0.5f);
    gguf_put_bool(w, "yes", true);
    gguf_put_raw(w, "i8", GGUF_I8, "\xfe", 1);
    gguf_put_raw(w, "i64", GGUF_I64, "\xff\xff\xff\xff\xff\xff\xff\xff", 8);
    gguf_put_raw(w, "u64", GGUF_U64, "\x01\0\0\0\0\0\0\x80", 8);
    gguf_put_raw(w, "f64", GGUF_F64, "\0\0\0\0\0\0\xf8\x3f", 8);
    gguf_put_raw(w, "nan", GGUF_F32, "\0\0\xc0\x7f", 4);
    gguf_put_array(w, "words", GGUF_STRING, 3);
    gguf_add_string(w, "one", 3);
    gguf_add_string(w, "", 0);
    gguf_add_string(w, "a\0b", 3);
    gguf_put_array(w, "ints", GGUF_I32, 2);
    gguf_add_i32(w, -7);
    gguf_add_i32(w, 1 << 30);
    gguf_put_array(w, "floats", GGUF_F32, 1);
    gguf_add_f32(w, -2.25f);
    gguf_put_array(w, "none", GGUF_STRING, 0);
    for (int i = 0; i < 3; i++) {
        char name[8];
        snprintf(name, sizeof name, "t%d", i);
        gguf_declare(w, name, types[i], i + 1, dims[i]);
    }
    assert_int_equal(gguf_declared_bytes(w), 4 + 68 + 102);
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (unsigned char)i;
    assert_int_equal(gguf_begin(w, &err), 0);
    assert_int_equal(gguf_write(w, data, 3, &err), 0);
    assert_int_equal(gguf_write(w, data + 3, 100, &err), 0); /* across tensors */
    assert_int_equal(gguf_write(w, data + 103, 71, &err), 0);
    assert_int_equal(gguf_finish(w, &err), 0);
    gguf_writer_close(w);
}

static unsigned char *sample(size_t *size)
{
    struct place p;
    place_make(&p);
    write_sample(place_path(&p, "sample.gguf"));
    unsigned char *data = read_whole(place_path(&p, "sample.gguf"), size);
    place_remove(&p);
    return data;
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    struct place p;
    struct gguf *g;
    struct err err = {0};
    struct gguf_array a;
    const char *s;
    size_t len;
    uint64_t u;
    double f;
    bool yes;
    place_make(&p);
    write_sample(place_path(&p, "sample.gguf"));
    if (gguf_open(&g, place_path(&p, "sample.gguf"), &err)) fail_msg("%s", err.message);

    assert_int_equal(gguf_key_count(g), 13);
    assert_string_equal(gguf_key_at(g, 1), "u32");
    assert_int_equal(gguf_get_string(g, "general.architecture", &s, &len, &err), 0);
    assert_true(len == 4 && !memcmp(s, "test", 4));
    assert_int_equal(gguf_get_u64(g, "u32", &u, &err), 0);
    assert_int_equal(u, 4000000000u);
    assert_int_equal(gguf_get_u64(g, "u64", &u, &err), 0);
    assert_true(u == 0x8000000000000001u);
    assert_int_equal(gguf_get_f64(g, "f32", &f, &err), 0);
    assert_true(f == 0.5);
    assert_int_equal(gguf_get_f64(g, "f64", &f, &err), 0);
    assert_true(f == 1.5);
    assert_int_equal(gguf_get_f64(g, "i8", &f, &err), 0);
    assert_true(f == -2);
    assert_int_equal(gguf_get_bool(g, "yes", &yes, &err), 0);
    assert_true(yes);
    assert_int_equal(gguf_get_strings(g, "words", &a, &err), 0);
    assert_int_equal(a.count, 3);
    s = gguf_string_at(&a, 2, &len);
    assert_true(len == 3 && !memcmp(s, "a\0b", 3));
    gguf_string_at(&a, 1, &len);
    assert_int_equal(len, 0);
    assert_int_equal(gguf_get_ints(g, "ints", &a, &err), 0);
    assert_int_equal(gguf_int_at(&a, 0), -7);
    assert_int_equal(gguf_get_floats(g, "ints", &a, &err), 0);
    assert_true(gguf_float_at(&a, 1) == 1 << 30);
    assert_int_equal(gguf_get_floats(g, "floats", &a, &err), 0);
    assert_true(gguf_float_at(&a, 0) == -2.25);
    assert_int_equal(gguf_get_strings(g, "none", &a, &err), 0);
    assert_int_equal(a.count, 0);
    assert_string_equal(gguf_type_of(g, "words"), "array of string");
    assert_null(gguf_type_of(g, "absent"));

    assert_int_equal(gguf_tensor_count(g), 3);
    const struct gguf_tensor *t = gguf_tensor_find(g, "t2");
    assert_non_null(t);
    assert_int_equal(t->dtype, DT_MXFP4);
    assert_int_equal(t->n_dims, 3);
    assert_int_equal(t->dim[1], 3);
    assert_int_equal(t->bytes, 102);
    unsigned char byte;
    assert_int_equal(file_read(gguf_file_at(g, 0), t->offset, &byte, 1, &err), 0);
    assert_int_equal(byte, 72);
    assert_null(gguf_tensor_find(g, "t3"));
    gguf_close(g);
    place_remove(&p);
}

static void the_wrong_type_is_refused(void **state)
{
    (void)state;
    size_t size, len;
    unsigned char *data = sample(&size);
    struct gguf *g;
    struct gguf_array a;
    struct err err = {0};
    const char *s;
    uint64_t u;
    double f;
    bool yes;
    assert_int_equal(gguf_open_bytes(&g, "sample", data, size, &err), 0);
#define REFUSED(call, says)                                                                        \
    do {                                                                                           \
        err = (struct err){0};                                                                     \
        assert_int_equal(call, -1);                                                                \
        assert_int_equal(err.code, ERR_FORMAT);                                                    \
        assert_non_null(strstr(err.message, says));                                                \
    } while (0)
    REFUSED(gguf_get_string(g, "u32", &s, &len, &err), "u32");
    REFUSED(gguf_get_string(g, "absent", &s, &len, &err), "missing");
    REFUSED(gguf_get_u64(g, "f32", &u, &err), "f32");
    REFUSED(gguf_get_u64(g, "yes", &u, &err), "bool");
    REFUSED(gguf_get_u64(g, "i8", &u, &err), "negative");
    REFUSED(gguf_get_u64(g, "i64", &u, &err), "negative");
    REFUSED(gguf_get_u64(g, "ints", &u, &err), "array of i32");
    REFUSED(gguf_get_f64(g, "yes", &f, &err), "bool");
    REFUSED(gguf_get_f64(g, "nan", &f, &err), "finite");
    REFUSED(gguf_get_bool(g, "u32", &yes, &err), "u32");
    REFUSED(gguf_get_strings(g, "ints", &a, &err), "array of i32");
    REFUSED(gguf_get_ints(g, "floats", &a, &err), "array of f32");
    REFUSED(gguf_get_ints(g, "u32", &a, &err), "u32");
    REFUSED(gguf_get_floats(g, "words", &a, &err), "array of string");
    gguf_close(g);
    free(data);
}

static int open_watched(const void *data, size_t size, struct err *err)
{
    struct gguf *g;
    *err = (struct err){0};
    alloc_watch_start();
    int rc = gguf_open_bytes(&g, "test", data, size, err);
    size_t peak = alloc_watch_stop();
    if (peak > allowed(size)) fail_msg("%zu bytes for a file of %zu", peak, size);
    if (rc) {
        assert_int_not_equal(err->code, ERR_NONE);
        return -1;
    }
    for (int i = 0; i < gguf_tensor_count(g); i++) {
        const struct gguf_tensor *t = gguf_tensor_at(g, i);
        assert_true(t->offset <= size && t->bytes <= size - t->offset && t->bytes > 0);
    }
    gguf_close(g);
    return 0;
}

/* A copy whose end is the end of its memory, so that a sanitizer sees any read past it. */
static int open_copy(const unsigned char *data, size_t size, struct err *err)
{
    unsigned char *copy = malloc(size ? size : 1);
    assert_non_null(copy);
    if (size) memcpy(copy, data, size);
    int rc = open_watched(copy, size, err);
    free(copy);
    return rc;
}

static void every_cut_is_refused(void **state)
{
    (void)state;
    size_t size;
    unsigned char *data = sample(&size);
    struct err err;
    assert_int_equal(open_copy(data, size, &err), 0);
    assert_int_equal(open_copy(data, size - 26, &err), 0); /* padding after the last tensor */
    for (size_t n = 0; n < size - 26; n++)
        assert_int_equal(open_copy(data, n, &err), -1);
    free(data);
}

static void every_flipped_bit_is_refused_or_harmless(void **state)
{
    (void)state;
    size_t size;
    unsigned char *data = sample(&size);
    int refused = 0;
    for (size_t bit = 0; bit < 8 * size; bit++) {
        struct err err;
        data[bit / 8] = (unsigned char)(data[bit / 8] ^ 1 << bit % 8);
        refused += open_copy(data, size, &err) != 0;
        data[bit / 8] = (unsigned char)(data[bit / 8] ^ 1 << bit % 8);
    }
    assert_true(refused > 1000);
    free(data);
}

static void a_golden_header_cut_anywhere_is_refused(void **state)
{
    (void)state;
    enum { HEADER = 9456 }; /* bytes before the tensors */
    size_t size;
    unsigned char *data = read_whole("tests/golden/gguf/zeta-mixed.gguf", &size);
    struct err err;
    assert_int_equal(open_copy(data, size, &err), 0);
    for (size_t n = 0; n <= HEADER; n++)
        assert_int_equal(open_copy(data, n, &err), -1);
    assert_int_equal(open_copy(data, size / 2, &err), -1);
    assert_int_equal(open_copy(data, size - 1, &err), -1);
    free(data);
}

/* ---- hand-made files ---- */

struct maker {
    unsigned char bytes[4096];
    size_t n;
};

static void put(struct maker *m, const void *data, size_t n)
{
    assert_true(n <= sizeof m->bytes - m->n);
    memcpy(m->bytes + m->n, data, n);
    m->n += n;
}

static void le(struct maker *m, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++, v >>= 8)
        put(m, &(unsigned char){(unsigned char)v}, 1);
}

static void text(struct maker *m, const char *s)
{
    le(m, strlen(s), 8);
    put(m, s, strlen(s));
}

static void start(struct maker *m, uint64_t n_tensors, uint64_t n_kv)
{
    m->n = 0;
    put(m, "GGUF", 4);
    le(m, 3, 4);
    le(m, n_tensors, 8);
    le(m, n_kv, 8);
}

static void key(struct maker *m, const char *name, uint32_t type)
{
    text(m, name);
    le(m, type, 4);
}

static void tensor(struct maker *m, const char *name, int n_dims, uint64_t d0, uint64_t d1,
                   uint32_t type, uint64_t offset)
{
    text(m, name);
    le(m, (uint64_t)n_dims, 4);
    if (n_dims > 0) le(m, d0, 8);
    if (n_dims > 1) le(m, d1, 8);
    for (int i = 2; i < n_dims; i++)
        le(m, 1, 8);
    le(m, type, 4);
    le(m, offset, 8);
}

/* Pads to 32 and adds n bytes of tensor data. */
static void data_bytes(struct maker *m, size_t n)
{
    while (m->n % 32)
        le(m, 0, 1);
    while (n--)
        le(m, 0, 1);
}

static void refused(struct maker *m, enum err_code code, const char *says)
{
    struct err err;
    if (open_copy(m->bytes, m->n, &err) == 0) fail_msg("accepted; wanted: %s", says);
    if (!strstr(err.message, says)) fail_msg("\"%s\"; wanted: %s", err.message, says);
    assert_int_equal(err.code, code);
}

static void huge_claims_are_refused(void **state)
{
    (void)state;
    static const uint64_t huge[] = {1000, 1 << 17, UINT32_MAX, (uint64_t)1 << 61, UINT64_MAX};
    struct maker m;
    for (size_t i = 0; i < sizeof huge / sizeof *huge; i++) {
        start(&m, huge[i], 0);
        refused(&m, ERR_LIMIT, "tensors");
        start(&m, 0, huge[i]);
        refused(&m, ERR_LIMIT, "metadata entries");
        for (uint32_t type = GGUF_U8; type <= GGUF_F64; type++) { /* arrays of every type */
            if (type == GGUF_ARRAY) continue;
            start(&m, 0, 1);
            key(&m, "a", GGUF_ARRAY);
            le(&m, type, 4);
            le(&m, huge[i], 8);
            refused(&m, ERR_FORMAT, "do not fit");
        }
        start(&m, 0, 1);
        le(&m, huge[i], 8); /* length of a key */
        data_bytes(&m, 32);
        refused(&m, huge[i] > 1 << 16 ? ERR_LIMIT : ERR_FORMAT, "");
        start(&m, 0, 1);
        key(&m, "s", GGUF_STRING);
        le(&m, huge[i], 8);
        refused(&m, huge[i] > 16 << 20 ? ERR_LIMIT : ERR_FORMAT, "");
    }
}

static void bad_metadata_is_refused(void **state)
{
    (void)state;
    struct maker m;
    start(&m, 0, 2);
    key(&m, "same", GGUF_U8);
    le(&m, 1, 1);
    key(&m, "same", GGUF_U8);
    le(&m, 1, 1);
    refused(&m, ERR_FORMAT, "same is there twice");

    start(&m, 0, 1);
    key(&m, "k", 13);
    le(&m, 1, 8);
    refused(&m, ERR_FORMAT, "unknown type 13");

    start(&m, 0, 1);
    key(&m, "b", GGUF_BOOL);
    le(&m, 2, 1);
    refused(&m, ERR_FORMAT, "bool of value 2");

    start(&m, 0, 1);
    key(&m, "k", GGUF_ARRAY);
    le(&m, GGUF_ARRAY, 4);
    le(&m, 0, 8);
    refused(&m, ERR_UNSUPPORTED, "array of arrays");

    start(&m, 0, 1);
    key(&m, "k", GGUF_ARRAY);
    le(&m, 99, 4);
    le(&m, 0, 8);
    refused(&m, ERR_FORMAT, "unknown type 99");

    start(&m, 0, 1);
    le(&m, 0, 8);
    le(&m, GGUF_U8, 4);
    le(&m, 1, 1);
    refused(&m, ERR_FORMAT, "empty name");

    start(&m, 0, 1);
    le(&m, 3, 8);
    put(&m, "a\0b", 3);
    le(&m, GGUF_U8, 4);
    le(&m, 1, 1);
    refused(&m, ERR_FORMAT, "NUL");
}

static void other_files_are_refused(void **state)
{
    (void)state;
    struct maker m = {0};
    refused(&m, ERR_FORMAT, "wanted");
    put(&m, "GGML\3\0\0\0", 8);
    refused(&m, ERR_FORMAT, "no GGUF");
    start(&m, 0, 0);
    m.bytes[4] = 2;
    refused(&m, ERR_UNSUPPORTED, "version 2");
    m.bytes[4] = 0;
    m.bytes[7] = 3;
    refused(&m, ERR_UNSUPPORTED, "big-endian");
}

static void alignment_is_a_small_power_of_two(void **state)
{
    (void)state;
    static const uint32_t bad[] = {0, 3, 33, 1 << 17, UINT32_MAX};
    struct maker m;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        start(&m, 0, 1);
        key(&m, "general.alignment", GGUF_U32);
        le(&m, bad[i], 4);
        refused(&m, ERR_FORMAT, "alignment");
    }
    start(&m, 0, 1);
    key(&m, "general.alignment", GGUF_F32);
    le(&m, 32, 4);
    refused(&m, ERR_FORMAT, "alignment");
    struct err err;
    start(&m, 1, 1);
    key(&m, "general.alignment", GGUF_U32);
    le(&m, 64, 4);
    tensor(&m, "t", 1, 4, 0, 0, 0);
    while (m.n % 64)
        le(&m, 0, 1);
    for (int i = 0; i < 16; i++)
        le(&m, 0, 1);
    assert_int_equal(open_copy(m.bytes, m.n, &err), 0);
}

static void bad_tensors_are_refused(void **state)
{
    (void)state;
    static const struct {
        int n_dims;
        uint64_t d0, d1;
        uint32_t type;
        uint64_t offset;
        enum err_code code;
        const char *says;
    } cases[] = {
        {0, 0, 0, 0, 0, ERR_FORMAT, "0 dimensions"},
        {5, 1, 1, 0, 0, ERR_FORMAT, "5 dimensions"},
        {1, 0, 0, 0, 0, ERR_FORMAT, "dimension 0 is 0"},
        {2, 4, 0, 0, 0, ERR_FORMAT, "dimension 1 is 0"},
        {1, UINT64_MAX, 0, 0, 0, ERR_FORMAT, "dimension 0"},
        {2, (uint64_t)1 << 33, (uint64_t)1 << 33, 0, 0, ERR_FORMAT, "overflows"},
        {2, (uint64_t)1 << 32, (uint64_t)1 << 30, 0, 0, ERR_FORMAT, "overflows"},
        {1, 17, 0, 0, 0, ERR_FORMAT, "outside"},
        {1, 1, 0, 0, 32, ERR_FORMAT, "outside"},
        {1, 1, 0, 0, 64, ERR_FORMAT, "outside"},
        {1, 1, 0, 0, 4, ERR_FORMAT, "unaligned"},
        {1, 1, 0, 0, UINT64_MAX - 31, ERR_FORMAT, "outside"},
        {1, 33, 0, 8, 0, ERR_FORMAT, "blocks of Q8_0"},
        {1, 32, 0, 12, 0, ERR_UNSUPPORTED, "type Q4_K (12)"},
        {1, 32, 0, 16, 0, ERR_UNSUPPORTED, "type IQ2_XXS (16)"},
        {1, 32, 0, 3, 0, ERR_UNSUPPORTED, "type Q4_1 (3)"},
        {1, 32, 0, 35, 0, ERR_UNSUPPORTED, "type TQ2_0 (35)"},
        {1, 32, 0, 9999, 0, ERR_UNSUPPORTED, "type ? (9999)"},
    };
    struct maker m;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        start(&m, 1, 0);
        tensor(&m, "the name", cases[i].n_dims, cases[i].d0, cases[i].d1, cases[i].type,
               cases[i].offset);
        data_bytes(&m, 32);
        refused(&m, cases[i].code, cases[i].says);
    }
    start(&m, 2, 0);
    tensor(&m, "a", 1, 9, 0, 0, 0);
    tensor(&m, "b", 1, 1, 0, 0, 32);
    data_bytes(&m, 64);
    refused(&m, ERR_FORMAT, "overlapping");
    start(&m, 2, 0);
    tensor(&m, "a", 1, 1, 0, 0, 0);
    tensor(&m, "a", 1, 1, 0, 0, 32);
    data_bytes(&m, 64);
    refused(&m, ERR_FORMAT, "tensor a is there twice");
    start(&m, 1, 0);
    tensor(&m, "a", 1, 1, 0, 0, 0);
    refused(&m, ERR_FORMAT, "before its tensors");
}

/* ---- split sets ---- */

/* NAME-0000i-of-0000n with one tensor; no and count as given. */
static void write_split(struct place *p, int i, int n, uint64_t no, uint64_t count,
                        const char *name, int total)
{
    struct maker m;
    char file[64];
    start(&m, 1, total >= 0 ? 3 : 2);
    key(&m, "split.no", GGUF_U16);
    le(&m, no, 2);
    key(&m, "split.count", GGUF_U16);
    le(&m, count, 2);
    if (total >= 0) {
        key(&m, "split.tensors.count", GGUF_I32);
        le(&m, (uint64_t)total, 4);
    }
    tensor(&m, name, 1, 8, 0, 0, 0);
    data_bytes(&m, 32);
    snprintf(file, sizeof file, "m-%05d-of-%05d.gguf", i, n);
    place_write(p, file, m.bytes, m.n);
}

static int open_first(struct place *p, const char *name, struct gguf **g, struct err *err)
{
    *err = (struct err){0};
    return gguf_open(g, place_path(p, name), err);
}

static void split_sets_open_as_one(void **state)
{
    (void)state;
    static const char first[] = "m-00001-of-00003.gguf";
    struct place p;
    struct gguf *g;
    struct err err;
    place_make(&p);
    write_split(&p, 1, 3, 0, 3, "a", 3);
    write_split(&p, 2, 3, 1, 3, "b", -1);
    write_split(&p, 3, 3, 2, 3, "c", -1);
    if (open_first(&p, first, &g, &err)) fail_msg("%s", err.message);
    assert_int_equal(gguf_tensor_count(g), 3);
    assert_int_equal(gguf_file_count(g), 3);
    assert_int_equal(gguf_tensor_find(g, "c")->file, 2);
    gguf_close(g);

    assert_int_equal(open_first(&p, "m-00002-of-00003.gguf", &g, &err), -1);
    assert_non_null(strstr(err.message, "00001-of-00003"));

    write_split(&p, 3, 3, 1, 3, "c", -1);
    assert_int_equal(open_first(&p, first, &g, &err), -1);
    write_split(&p, 3, 3, 2, 4, "c", -1);
    assert_int_equal(open_first(&p, first, &g, &err), -1);
    write_split(&p, 3, 3, 2, 3, "a", -1);
    assert_int_equal(open_first(&p, first, &g, &err), -1);
    assert_non_null(strstr(err.message, "twice"));
    write_split(&p, 3, 3, 2, 3, "c", -1);
    write_split(&p, 1, 3, 0, 3, "a", 4);
    assert_int_equal(open_first(&p, first, &g, &err), -1);
    assert_non_null(strstr(err.message, "split.tensors.count is 4"));
    write_split(&p, 1, 3, 0, 9999, "a", 3);
    assert_int_equal(open_first(&p, first, &g, &err), -1);
    write_split(&p, 1, 3, 0, 3, "a", 3);
    assert_int_equal(unlink(place_path(&p, "m-00002-of-00003.gguf")), 0);
    assert_int_equal(open_first(&p, first, &g, &err), -1);
    assert_int_equal(err.code, ERR_IO);
    assert_int_equal(
        symlink(place_path(&p, "m-00003-of-00003.gguf"), place_path(&p, "m-00002-of-00003.gguf")),
        0);
    assert_int_equal(open_first(&p, first, &g, &err), -1);
    place_remove(&p);
}

/* ---- the writer ---- */

static void an_unfinished_file_leaves_nothing(void **state)
{
    (void)state;
    struct place p;
    struct gguf_writer *w;
    struct err err = {0};
    place_make(&p);
    place_text(&p, "out.gguf", "old");
    assert_int_equal(gguf_writer_open(&w, place_path(&p, "out.gguf"), &err), 0);
    gguf_declare(w, "t", DT_F32, 1, (uint64_t[]){4});
    assert_int_equal(gguf_begin(w, &err), 0);
    gguf_writer_close(w);
    size_t size;
    unsigned char *data = read_whole(place_path(&p, "out.gguf"), &size);
    assert_true(size == 3 && !memcmp(data, "old", 3));
    free(data);
    assert_int_equal(unlink(place_path(&p, "out.gguf")), 0);
    assert_int_equal(rmdir(p.dir), 0); /* empty: no temporary file is left */
    assert_int_equal(gguf_writer_open(&w, "/nonexistent/x.gguf", &err), -1);
    assert_int_equal(err.code, ERR_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(the_wrong_type_is_refused),
        cmocka_unit_test(every_cut_is_refused),
        cmocka_unit_test(every_flipped_bit_is_refused_or_harmless),
        cmocka_unit_test(a_golden_header_cut_anywhere_is_refused),
        cmocka_unit_test(huge_claims_are_refused),
        cmocka_unit_test(bad_metadata_is_refused),
        cmocka_unit_test(other_files_are_refused),
        cmocka_unit_test(alignment_is_a_small_power_of_two),
        cmocka_unit_test(bad_tensors_are_refused),
        cmocka_unit_test(split_sets_open_as_one),
        cmocka_unit_test(an_unfinished_file_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
