/* The real DeepSeek-V4 tokenizer against vectors of the reference, streaming, and the bound on work. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../support/random.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "text/tokenizer.h"

static struct tokenizer *tokenizer;

static int open_real(void **state)
{
    (void)state;
    struct err err = {0};
    if (tokenizer_open(&tokenizer, "tests/data/deepseek-tokenizer", &err)) {
        print_error("%s\n", err.message);
        return -1;
    }
    return 0;
}

static int close_real(void **state)
{
    (void)state;
    tokenizer_close(tokenizer);
    return 0;
}

static void assert_ids(const struct ids *ids, const json_t *want, const char *name)
{
    bool same = ids->n == json_array_size(want);
    for (size_t i = 0; same && i < ids->n; i++)
        same = ids->data[i] == json_integer_value(json_array_get(want, i));
    if (!same) fail_msg("%s: other ids", name);
}

static void check_vector(const json_t *v)
{
    struct err err = {0};
    struct ids ids;
    struct buf text;
    const json_t *want = json_object_get(v, "ids"), *given = json_object_get(v, "text");
    const char *name = json_string_value(json_object_get(v, "id"));
    ids_init(&ids, 1 << 20);
    buf_init(&text, 1 << 20);
    if (strcmp(json_string_value(json_object_get(v, "kind")), "encode") == 0) {
        assert_int_equal(tokenizer_encode(tokenizer, json_string_value(given),
                                          json_string_length(given), true, &ids, &err),
                         0);
        assert_ids(&ids, want, name);
    }
    ids_clear(&ids);
    for (size_t i = 0; i < json_array_size(want); i++)
        assert_int_equal(ids_add(&ids, (int32_t)json_integer_value(json_array_get(want, i)), &err),
                         0);
    bool skip = json_is_true(json_object_get(v, "skip_special_tokens"));
    assert_int_equal(tokenizer_decode(tokenizer, ids.data, ids.n, skip, &text, &err), 0);
    if (text.size != json_string_length(given) ||
        memcmp(buf_text(&text), json_string_value(given), text.size) != 0)
        fail_msg("%s: decodes to other text", name);
    ids_fini(&ids);
    buf_fini(&text);
}

static void all_vectors_of_the_reference_agree(void **state)
{
    (void)state;
    struct err err = {0};
    char *text;
    size_t size;
    int n = 0;
    assert_int_equal(file_slurp("tests/data/tokenizer-vectors.jsonl", 1 << 20, &text, &size, &err),
                     0);
    for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
        json_t *v = NULL;
        assert_int_equal(json_parse(&v, "vector", line, (size_t)(end - line), &err), 0);
        check_vector(v);
        json_decref(v);
        n++;
    }
    assert_int_equal(n, 108);
    free(text);
}

static void special_tokens_are_found_by_their_text(void **state)
{
    (void)state;
    size_t size;
    assert_int_equal(tokenizer_count(tokenizer), 129280);
    assert_int_equal(tokenizer_find(tokenizer, "<think>"), 128821);
    assert_int_equal(tokenizer_find(tokenizer, "｜DSML｜"), 128825);
    assert_int_equal(tokenizer_find(tokenizer, "<｜end▁of▁sentence｜>"), 1);
    assert_int_equal(tokenizer_find(tokenizer, "<think"), -1);
    assert_int_equal(tokenizer_find(tokenizer, "<think>x"), -1);
    assert_int_equal(tokenizer_find(tokenizer, "the"), -1);
    assert_int_equal(tokenizer_find(tokenizer, ""), -1);
    assert_true(tokenizer_is_special(tokenizer, 1));
    assert_false(tokenizer_is_special(tokenizer, 128821));
    assert_true(tokenizer_is_added(tokenizer, 128821));
    assert_false(tokenizer_is_added(tokenizer, 223));
    assert_memory_equal(tokenizer_piece(tokenizer, 223, &size), " ", 1);
    assert_null(tokenizer_piece(tokenizer, 129280, &size));
    assert_null(tokenizer_piece(tokenizer, -1, &size));
}

/* Every added token, as a person could type it. */
static void text_from_people_never_becomes_an_added_token(void **state)
{
    (void)state;
    struct err err = {0};
    struct ids ids;
    struct buf typed, back;
    ids_init(&ids, 1 << 20);
    buf_init(&typed, 1 << 20);
    buf_init(&back, 1 << 20);
    for (int id = 0; id < tokenizer_count(tokenizer); id++) {
        size_t size;
        const char *piece = tokenizer_piece(tokenizer, id, &size);
        if (tokenizer_is_added(tokenizer, id)) buf_add(&typed, piece, size);
    }
    assert_int_equal(tokenizer_encode(tokenizer, buf_text(&typed), typed.size, false, &ids, &err),
                     0);
    for (size_t i = 0; i < ids.n; i++)
        assert_false(tokenizer_is_added(tokenizer, ids.data[i]));
    assert_int_equal(tokenizer_decode(tokenizer, ids.data, ids.n, false, &back, &err), 0);
    assert_string_equal(buf_text(&back), buf_text(&typed));

    ids_clear(&ids);
    assert_int_equal(tokenizer_encode(tokenizer, buf_text(&typed), typed.size, true, &ids, &err),
                     0);
    assert_int_equal(ids.n, 1283);
    ids_fini(&ids);
    buf_fini(&typed);
    buf_fini(&back);
}

static void added_tokens_match_inside_trusted_spans_only(void **state)
{
    (void)state;
    struct err err = {0};
    struct ids ids;
    const char text[] = "<think><think>ab.</think>";
    struct span trusted[] = {{0, 7}, {17, 25}};
    ids_init(&ids, 100);
    assert_int_equal(
        tokenizer_encode_trusted(tokenizer, text, strlen(text), trusted, 2, &ids, &err), 0);
    int found = 0;
    for (size_t i = 0; i < ids.n; i++)
        found += tokenizer_is_added(tokenizer, ids.data[i]);
    assert_int_equal(found, 2);
    assert_int_equal(ids.data[0], 128821);
    assert_int_equal(ids.data[ids.n - 1], 128822);

    /* A match that begins in trusted text and ends outside is none. */
    struct span half[] = {{0, 5}};
    ids_clear(&ids);
    assert_int_equal(tokenizer_encode_trusted(tokenizer, text, 7, half, 1, &ids, &err), 0);
    for (size_t i = 0; i < ids.n; i++)
        assert_false(tokenizer_is_added(tokenizer, ids.data[i]));
    ids_fini(&ids);
}

static void streaming_equals_decoding_and_emits_whole_characters(void **state)
{
    (void)state;
    struct err err = {0};
    struct random random = {7};
    int32_t ids[40];
    for (int round = 0; round < 2000; round++) {
        struct buf whole, streamed;
        struct detok d;
        buf_init(&whole, 1 << 16);
        buf_init(&streamed, 1 << 16);
        /* Byte tokens (3..258) make broken characters, 175 257 225 225 a good one. */
        for (int i = 0; i < 40; i++)
            ids[i] = random_int(&random, 0, 3) ? random_int(&random, 3, 258)
                                               : random_int(&random, 0, 129279);
        if (round == 0) memcpy(ids, (int32_t[]){175, 257, 225, 225}, 4 * sizeof *ids);
        detok_init(&d, tokenizer, round % 2);
        for (int i = 0; i < 40; i++) {
            size_t before = streamed.size;
            detok_add(&d, ids[i], &streamed);
            assert_true(utf8_valid(buf_text(&streamed) + before, streamed.size - before));
            if (round == 0) assert_int_equal(streamed.size == 0, i < 3);
        }
        detok_flush(&d, &streamed);
        assert_int_equal(tokenizer_decode(tokenizer, ids, 40, round % 2, &whole, &err), 0);
        assert_int_equal(whole.size, streamed.size);
        assert_memory_equal(buf_text(&whole), buf_text(&streamed), whole.size);
        buf_fini(&whole);
        buf_fini(&streamed);
    }
}

static void unknown_ids_are_refused(void **state)
{
    (void)state;
    struct err err = {0};
    struct buf out;
    buf_init(&out, 100);
    assert_int_equal(tokenizer_decode(tokenizer, (int32_t[]){5, 129280}, 2, false, &out, &err), -1);
    assert_int_equal(err.code, ERR_ARGUMENT);
    err.code = ERR_NONE;
    assert_int_equal(tokenizer_decode(tokenizer, (int32_t[]){-1}, 1, false, &out, &err), -1);
    buf_fini(&out);
}

static void invalid_text_is_read_as_replacement_characters(void **state)
{
    (void)state;
    struct err err = {0};
    struct ids broken, repaired;
    ids_init(&broken, 100);
    ids_init(&repaired, 100);
    const char *bad = "ok\xff\xe4\xb8<think>\xc3";
    const char *good = "ok\xef\xbf\xbd\xef\xbf\xbd<think>\xef\xbf\xbd";
    assert_int_equal(tokenizer_encode(tokenizer, bad, strlen(bad), true, &broken, &err), 0);
    assert_int_equal(tokenizer_encode(tokenizer, good, strlen(good), true, &repaired, &err), 0);
    assert_int_equal(broken.n, repaired.n);
    assert_memory_equal(broken.data, repaired.data, broken.n * sizeof *broken.data);
    ids_fini(&broken);
    ids_fini(&repaired);
}

/* One huge piece of each kind; steps in the heap counted, so that no clock is needed. */
static void work_stays_near_linear_on_a_mebibyte_of_one_byte(void **state)
{
    (void)state;
    enum { N = 1 << 20 };
    static const char *const patterns[] = {"a",        " ",    "\n", "=",  "ab",
                                           "\xc3\xa9", "\xff", "1",  "the"};
    struct err err = {0};
    char *text = xmalloc(N);
    for (size_t k = 0; k < sizeof patterns / sizeof *patterns; k++) {
        struct ids ids;
        struct buf back;
        size_t period = strlen(patterns[k]);
        ids_init(&ids, 3 * N);
        buf_init(&back, 4 * N);
        for (size_t i = 0; i < N; i++)
            text[i] = patterns[k][i % period];
        assert_int_equal(tokenizer_encode(tokenizer, text, N, false, &ids, &err), 0);
        /* \xff becomes three bytes each */
        double n = patterns[k][0] == '\xff' ? 3.0 * N : N;
        assert_true((double)ids.work <= 3 * n * log2(n));
        assert_int_equal(tokenizer_decode(tokenizer, ids.data, ids.n, false, &back, &err), 0);
        if (patterns[k][0] != '\xff') {
            assert_int_equal(back.size, N);
            assert_memory_equal(buf_text(&back), text, N);
        }
        ids_fini(&ids);
        buf_fini(&back);
    }
    free(text);
}

static void a_full_list_of_ids_is_an_error(void **state)
{
    (void)state;
    struct err err = {0};
    struct ids ids;
    ids_init(&ids, 3);
    assert_int_equal(tokenizer_encode(tokenizer, "1 2 3 4 5 6", 11, true, &ids, &err), -1);
    assert_int_equal(err.code, ERR_LIMIT);
    ids_fini(&ids);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_vectors_of_the_reference_agree),
        cmocka_unit_test(special_tokens_are_found_by_their_text),
        cmocka_unit_test(text_from_people_never_becomes_an_added_token),
        cmocka_unit_test(added_tokens_match_inside_trusted_spans_only),
        cmocka_unit_test(streaming_equals_decoding_and_emits_whole_characters),
        cmocka_unit_test(unknown_ids_are_refused),
        cmocka_unit_test(invalid_text_is_read_as_replacement_characters),
        cmocka_unit_test(work_stays_near_linear_on_a_mebibyte_of_one_byte),
        cmocka_unit_test(a_full_list_of_ids_is_an_error),
    };
    return cmocka_run_group_tests(tests, open_real, close_real);
}
