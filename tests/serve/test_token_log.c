/* Log-probabilities in the shape of completions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "serve/token_log.h"

static struct tokenizer *nano;

static void add_text(struct token_log *l, const char *text)
{
    struct ids ids;
    ids_init(&ids, 1000);
    assert_int_equal(tokenizer_encode(nano, text, strlen(text), false, &ids, NULL), 0);
    for (size_t i = 0; i < ids.n; i++) {
        struct pick p = {.id = ids.data[i], .logprob = -1, .n_top = 1, .top = {{5, -0.5f}}};
        token_log_add(l, p.id, &p, false);
    }
    ids_fini(&ids);
}

/* Every offset is where the token stands, in characters. */
static void offsets_count_characters(void **state)
{
    (void)state;
    static const char text[] = "12 \xc3\xa4pfel \xf0\x9f\x8d\x8e + 7 \xe4\xb8\xad";
    struct token_log l = {0};
    json_t *lists = token_log_json();
    size_t chars = 0, bytes = 0;
    token_log_add(&l, 0, NULL, true);
    add_text(&l, text);
    assert_true(token_log_write(&l, 0, nano, &chars, lists));
    const json_t *offsets = json_object_get(lists, "text_offset");
    assert_int_equal(json_array_size(offsets), l.n);
    for (int i = 0; i < l.n; i++) {
        size_t size, seen = 0;
        for (size_t k = 0; k < bytes; k++)
            seen += (text[k] & 0xc0) != 0x80;
        assert_int_equal(json_integer_value(json_array_get(offsets, (size_t)i)), seen);
        (void)tokenizer_piece(nano, l.at[i].id, &size);
        if (i > 0) bytes += size; /* the first one is BOS, and silent */
    }
    assert_int_equal(bytes, sizeof text - 1);
    assert_int_equal(chars, 16);
    json_decref(lists);
    token_log_fini(&l);
}

static void a_part_of_a_character_is_told_in_bytes(void **state)
{
    (void)state;
    struct buf name;
    int n_bytes = 0, n_texts = 0;
    buf_init(&name, 1000);
    for (int id = 0; id < tokenizer_count(nano); id++) {
        size_t size;
        const char *piece = tokenizer_piece(nano, id, &size);
        if (!piece) continue;
        buf_clear(&name);
        token_name(nano, id, &name);
        assert_true(utf8_valid(buf_text(&name), name.size));
        if (utf8_valid(piece, size)) {
            n_texts++;
            assert_int_equal(name.size, size);
            assert_memory_equal(buf_text(&name), piece, size);
        } else {
            n_bytes++;
            assert_int_equal(name.size, strlen("bytes:") + 4 * size);
            assert_int_equal(strncmp(buf_text(&name), "bytes:\\x", 8), 0);
        }
    }
    assert_true(n_bytes > 100 && n_texts > 100);
    buf_fini(&name);
}

static void the_token_itself_is_among_the_most_likely(void **state)
{
    (void)state;
    struct token_log l = {0};
    size_t chars = 0, size;
    json_t *lists = token_log_json();
    struct pick own = {.id = 300, .logprob = -3, .n_top = 2, .top = {{301, -0.25f}, {302, -2}}};
    token_log_add(&l, 7, NULL, false);
    token_log_add(&l, 300, &own, false);
    own.n_top = 0;
    token_log_add(&l, 300, &own, false);
    assert_true(token_log_write(&l, 1, nano, &chars, lists));
    const json_t *tops = json_object_get(lists, "top_logprobs");
    assert_int_equal(json_array_size(tops), 2);
    const json_t *first = json_array_get(tops, 0);
    assert_int_equal(json_object_size(first), 3);
    const char *piece = tokenizer_piece(nano, 301, &size);
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)size, piece);
    assert_float_equal(json_real_value(json_object_get(first, name)), -0.25, 0);
    assert_int_equal(json_object_size(json_array_get(tops, 1)), 1);
    json_decref(lists);
    token_log_fini(&l);
}

static void the_first_token_has_none(void **state)
{
    (void)state;
    struct token_log l = {0};
    size_t chars = 0;
    json_t *lists = token_log_json();
    token_log_add(&l, 300, NULL, false);
    assert_true(token_log_write(&l, 0, nano, &chars, lists));
    assert_true(json_is_null(json_array_get(json_object_get(lists, "token_logprobs"), 0)));
    assert_true(json_is_null(json_array_get(json_object_get(lists, "top_logprobs"), 0)));
    assert_true(json_is_string(json_array_get(json_object_get(lists, "tokens"), 0)));
    json_decref(lists);
    token_log_fini(&l);
    token_log_fini(&l); /* twice is fine */
}

static int open_nano(void **state)
{
    (void)state;
    return tokenizer_open(&nano, "models/nano", NULL);
}

static int close_nano(void **state)
{
    (void)state;
    tokenizer_close(nano);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(offsets_count_characters),
        cmocka_unit_test(a_part_of_a_character_is_told_in_bytes),
        cmocka_unit_test(the_token_itself_is_among_the_most_likely),
        cmocka_unit_test(the_first_token_has_none),
    };
    return cmocka_run_group_tests(tests, open_nano, close_nano);
}
