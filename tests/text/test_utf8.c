/* UTF-8: what is valid, and the repair of what is not, whole and in pieces. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "text/utf8.h"

static void repair(const char *s, size_t size, size_t step, struct buf *out)
{
    struct utf8_stream stream = {0};
    for (size_t i = 0; i < size; i += step)
        utf8_stream_add(&stream, s + i, size - i < step ? size - i : step, out);
    utf8_stream_end(&stream, out);
}

#define R "\xef\xbf\xbd"

/* The results of the Unicode standard's practice (chapter 3, tables 3-8 to 3-11), which Rust and
 * Python follow. */
static const struct {
    const char *in, *out;
} repairs[] = {
    {"plain", "plain"},
    {"\xc3\xa9\xe4\xb8\xad\xf0\xa0\x80\x80", "\xc3\xa9\xe4\xb8\xad\xf0\xa0\x80\x80"},
    {"\xc0\xaf\xe0\x80\xbf\xf0\x81\x82\x41", R R R R R R R R "A"},
    {"\xed\xa0\x80\xed\xbf\xbf\xed\xaf\x41", R R R R R R R R "A"},
    {"\xf4\x91\x92\x93\xff\x41\x80\xbf\x42", R R R R R "A" R R "B"},
    {"\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41", R R R R "A"},
    {"a\xf0\x9f\x98", "a" R},
    {"\xf0\x9f\x98\xf0\x9f\x98\x80", R "\xf0\x9f\x98\x80"},
    {"\xf4\x8f\xbf\xbf\xf4\x90\x80\x80", "\xf4\x8f\xbf\xbf" R R R R},
    {"", ""},
};

static void invalid_sequences_become_replacement_characters_at_every_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof repairs / sizeof *repairs; i++) {
        size_t size = strlen(repairs[i].in);
        for (size_t step = 1; step <= size + 1; step++) {
            struct buf out;
            buf_init(&out, 1000);
            repair(repairs[i].in, size, step, &out);
            assert_string_equal(buf_text(&out), repairs[i].out);
            assert_true(utf8_valid(buf_text(&out), out.size));
            buf_fini(&out);
        }
        assert_int_equal(utf8_valid(repairs[i].in, size),
                         strcmp(repairs[i].in, repairs[i].out) == 0);
    }
}

static void every_scalar_value_survives_encode_and_decode(void **state)
{
    (void)state;
    for (int32_t cp = 0; cp < 0x110000; cp++) {
        if (cp >= 0xd800 && cp < 0xe000) continue;
        char bytes[4];
        int32_t back = -1;
        int size = utf8_encode(cp, bytes);
        assert_int_equal(utf8_decode(bytes, (size_t)size, &back), size);
        assert_int_equal(back, cp);
        for (int cut = 1; cut < size; cut++) {
            assert_int_equal(utf8_decode(bytes, (size_t)cut, &back), cut);
            assert_int_equal(back, -1);
        }
    }
}

static void a_stream_holds_at_most_three_bytes(void **state)
{
    (void)state;
    struct utf8_stream stream = {0};
    struct buf out;
    buf_init(&out, 100);
    utf8_stream_add(&stream, "x\xf0\x9f\x98", 4, &out);
    assert_string_equal(buf_text(&out), "x");
    assert_int_equal(stream.n_pending, 3);
    utf8_stream_add(&stream, "", 0, &out);
    utf8_stream_add(&stream, "\x80y", 2, &out);
    assert_string_equal(buf_text(&out), "x\xf0\x9f\x98\x80y");
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(invalid_sequences_become_replacement_characters_at_every_cut),
        cmocka_unit_test(every_scalar_value_survives_encode_and_decode),
        cmocka_unit_test(a_stream_holds_at_most_three_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
