/* Tokenizer files that are wrong, each in one way, and the tokenizer inside GGUF. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../support/small_tokenizer.h"
#include "format/gguf_write.h"
#include "text/tokenizer.h"

static int open_json(const json_t *root, struct tokenizer **t, struct err *err)
{
    char *text = json_dumps(root, 0);
    int rc = tokenizer_from_json(t, "small", text, strlen(text), err);
    free(text);
    return rc;
}

static json_t *model_of(json_t *root)
{
    return json_object_get(root, "model");
}

static json_t *added_of(json_t *root, size_t i)
{
    return json_array_get(json_object_get(root, "added_tokens"), i);
}

static json_t *split_of(json_t *root, size_t i)
{
    return json_array_get(json_object_get(json_object_get(root, "pre_tokenizer"), "pretokenizers"),
                          i);
}

static void set_vocab(json_t *root, const char *key, json_t *id)
{
    json_object_set_new(json_object_get(model_of(root), "vocab"), key, id);
}

static void set_merge(json_t *root, const char *text)
{
    json_array_set_new(json_object_get(model_of(root), "merges"), 3, json_string(text));
}

/* Each spoils a good file in one way. */
static void no_model(json_t *r)
{
    json_object_del(r, "model");
}
static void other_model(json_t *r)
{
    json_object_set_new(model_of(r), "type", json_string("Unigram"));
}
static void byte_fallback(json_t *r)
{
    json_object_set_new(model_of(r), "byte_fallback", json_true());
}
static void normalizer(json_t *r)
{
    json_object_set_new(r, "normalizer", json_pack("{s:s}", "type", "NFC"));
}
static void post_processor(json_t *r)
{
    json_object_set_new(r, "post_processor", json_pack("{s:s}", "type", "TemplateProcessing"));
}
static void other_pattern(json_t *r)
{
    json_object_set_new(json_object_get(split_of(r, 0), "pattern"), "Regex", json_string("(a+)+$"));
}
static void other_behavior(json_t *r)
{
    json_object_set_new(split_of(r, 0), "behavior", json_string("Removed"));
}
static void missing_split(json_t *r)
{
    json_array_remove(json_object_get(json_object_get(r, "pre_tokenizer"), "pretokenizers"), 2);
}
static void byte_level_regex(json_t *r)
{
    json_object_set_new(split_of(r, 3), "use_regex", json_true());
}
static void id_twice(json_t *r)
{
    set_vocab(r, "zz", json_integer(5));
}
static void id_negative(json_t *r)
{
    set_vocab(r, "zz", json_integer(-1));
}
static void id_huge(json_t *r)
{
    set_vocab(r, "zz", json_integer(1 << 30));
}
static void id_beyond_int(json_t *r)
{
    set_vocab(r, "zz", json_integer((json_int_t)1 << 32));
}
static void id_is_text(json_t *r)
{
    set_vocab(r, "zz", json_string("7"));
}
static void empty_token(json_t *r)
{
    set_vocab(r, "", json_integer(400));
}
static void no_byte_symbol(json_t *r)
{
    json_object_del(json_object_get(model_of(r), "vocab"), "q");
}
static void not_in_alphabet(json_t *r)
{
    set_vocab(r, "\u4e2d", json_integer(400));
}
static void merge_part_unknown(json_t *r)
{
    set_merge(r, "zz z");
}
static void merge_result_unknown(json_t *r)
{
    set_merge(r, "y z");
}
static void merge_without_space(json_t *r)
{
    set_merge(r, "ab");
}
static void merge_twice(json_t *r)
{
    set_merge(r, "a b");
}
static void merge_is_number(json_t *r)
{
    json_array_set_new(json_object_get(model_of(r), "merges"), 0, json_integer(1));
}
static void merge_makes_control_token(json_t *r)
{
    set_vocab(r, "xy", json_integer(400));
    json_array_append_new(json_object_get(r, "added_tokens"),
                          json_pack("{s:i, s:s, s:b}", "id", 400, "content", "xy", "special", 1));
    set_merge(r, "x y");
}
static void byte_is_control_token(json_t *r)
{
    json_array_append_new(json_object_get(r, "added_tokens"),
                          json_pack("{s:i, s:s, s:b}", "id", 'x', "content", "x", "special", 1));
}
static void added_id_taken(json_t *r)
{
    json_object_set_new(added_of(r, 0), "id", json_integer(65));
}
static void added_id_twice(json_t *r)
{
    json_object_set_new(added_of(r, 0), "id", json_integer(263));
}
static void added_text_twice(json_t *r)
{
    json_object_set_new(added_of(r, 0), "content", json_string("<think>"));
}
static void added_text_in_vocab(json_t *r)
{
    json_object_set_new(added_of(r, 0), "content", json_string("abc"));
}
static void added_empty(json_t *r)
{
    json_object_set_new(added_of(r, 0), "content", json_string(""));
}
static void added_long(json_t *r)
{
    char text[300];
    memset(text, '<', 299);
    text[299] = 0;
    json_object_set_new(added_of(r, 0), "content", json_string(text));
}
static void added_strips(json_t *r)
{
    json_object_set_new(added_of(r, 0), "lstrip", json_true());
}
static void added_special_is_text(json_t *r)
{
    json_object_set_new(added_of(r, 0), "special", json_string("yes"));
}

#define FORMAT(f)                                                                                  \
    {                                                                                              \
#f, f, ERR_FORMAT                                                                          \
    }
#define UNSUPPORTED(f)                                                                             \
    {                                                                                              \
#f, f, ERR_UNSUPPORTED                                                                     \
    }
static const struct {
    const char *name;
    void (*spoil)(json_t *root);
    enum err_code code;
} hostile[] = {
    FORMAT(no_model),
    UNSUPPORTED(other_model),
    UNSUPPORTED(byte_fallback),
    UNSUPPORTED(normalizer),
    UNSUPPORTED(post_processor),
    UNSUPPORTED(other_pattern),
    UNSUPPORTED(other_behavior),
    UNSUPPORTED(missing_split),
    UNSUPPORTED(byte_level_regex),
    FORMAT(id_twice),
    FORMAT(id_negative),
    FORMAT(id_huge),
    FORMAT(id_beyond_int),
    FORMAT(id_is_text),
    FORMAT(empty_token),
    FORMAT(no_byte_symbol),
    FORMAT(not_in_alphabet),
    FORMAT(merge_part_unknown),
    FORMAT(merge_result_unknown),
    FORMAT(merge_without_space),
    FORMAT(merge_twice),
    FORMAT(merge_is_number),
    FORMAT(merge_makes_control_token),
    FORMAT(byte_is_control_token),
    FORMAT(added_id_taken),
    FORMAT(added_id_twice),
    FORMAT(added_text_twice),
    FORMAT(added_text_in_vocab),
    FORMAT(added_empty),
    FORMAT(added_long),
    UNSUPPORTED(added_strips),
    FORMAT(added_special_is_text),
};

static void hostile_files_are_refused_by_one_clear_error(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
        struct tokenizer *t = NULL;
        struct err err = {0};
        json_t *root = small_tokenizer();
        hostile[i].spoil(root);
        if (open_json(root, &t, &err) != -1) fail_msg("%s was accepted", hostile[i].name);
        if (err.code != hostile[i].code)
            fail_msg("%s: code %d: %s", hostile[i].name, err.code, err.message);
        assert_null(t);
        assert_true(strncmp(err.message, "small: ", 7) == 0);
        json_decref(root);
    }
}

static void an_unknown_pattern_is_quoted(void **state)
{
    (void)state;
    struct tokenizer *t = NULL;
    struct err err = {0};
    json_t *root = small_tokenizer();
    other_pattern(root);
    assert_int_equal(open_json(root, &t, &err), -1);
    assert_non_null(strstr(err.message, "\"(a+)+$\""));
    json_decref(root);
}

static void every_truncation_is_refused(void **state)
{
    (void)state;
    json_t *root = small_tokenizer();
    char *text = json_dumps(root, JSON_COMPACT);
    size_t size = strlen(text);
    for (size_t cut = 0; cut < size; cut += 7) {
        struct tokenizer *t = NULL;
        struct err err = {0};
        assert_int_equal(tokenizer_from_json(&t, "cut", text, cut, &err), -1);
    }
    free(text);
    json_decref(root);
}

static void assert_encodes(const struct tokenizer *t, const char *text, bool specials,
                           const int32_t *want, size_t n)
{
    struct err err = {0};
    struct ids ids;
    ids_init(&ids, 100);
    assert_int_equal(tokenizer_encode(t, text, strlen(text), specials, &ids, &err), 0);
    assert_int_equal(ids.n, n);
    assert_memory_equal(ids.data, want, n * sizeof *want);
    ids_fini(&ids);
}
#define ENCODES(t, text, specials, ...)                                                            \
    assert_encodes(t, text, specials, (const int32_t[]){__VA_ARGS__},                              \
                   sizeof((const int32_t[]){__VA_ARGS__}) / sizeof(int32_t))

static void ranks_ties_and_the_longest_added_token_decide(void **state)
{
    (void)state;
    struct tokenizer *t = NULL;
    struct err err = {0};
    json_t *root = small_tokenizer();
    /* " abc": ranks a+b 0, ab+c 1, so "abc" is whole before the space could join. */
    assert_int_equal(open_json(root, &t, &err), 0);
    ENCODES(t, " abc", true, ' ', 257);
    ENCODES(t, " ab", true, 261);
    ENCODES(t, " aa", true, 258, 'a');
    ENCODES(t, "abc", true, 257);
    ENCODES(t, "abab", true, 256, 256);
    ENCODES(t, "aaaaa", true, 260, 'a');
    ENCODES(t, "aaa", true, 259, 'a');
    ENCODES(t, "<think>a", true, 264, 'a');
    ENCODES(t, "<thinka", true, 267, 'k', 'a');
    ENCODES(t, "<th", true, '<', 't', 'h');
    ENCODES(t, "<think>", false, '<', 't', 'h', 'i', 'n', 'k', '>');
    assert_int_equal(tokenizer_find(t, "<thin"), 267);
    tokenizer_close(t);
    json_decref(root);
}

static void merges_may_be_pairs(void **state)
{
    (void)state;
    struct tokenizer *t = NULL;
    struct err err = {0};
    json_t *root = small_tokenizer();
    json_array_set_new(json_object_get(model_of(root), "merges"), 0, json_pack("[s, s]", "a", "b"));
    assert_int_equal(open_json(root, &t, &err), 0);
    ENCODES(t, "abc", true, 257);
    tokenizer_close(t);
    json_decref(root);
}

/* ---- GGUF ---- */

static const char *spelling_of(json_t *root, int id)
{
    const char *key;
    json_t *value;
    json_object_foreach(json_object_get(model_of(root), "vocab"), key,
                        value) if (json_integer_value(value) == id) return key;
    return json_string_value(json_object_get(added_of(root, (size_t)id - 262), "content"));
}

/* Writes the small tokenizer as GGUF, spoilt where the arguments say. */
static void write_gguf(const char *path, const char *pre, int n_types, const char *last_merge)
{
    struct err err = {0};
    struct gguf_writer *w = NULL;
    json_t *root = small_tokenizer();
    assert_int_equal(gguf_writer_open(&w, path, &err), 0);
    gguf_put_string(w, "tokenizer.ggml.model", "gpt2", 4);
    gguf_put_string(w, "tokenizer.ggml.pre", pre, strlen(pre));
    gguf_put_array(w, "tokenizer.ggml.tokens", GGUF_STRING, 270);
    for (int id = 0; id < 270; id++)
        gguf_add_string(w, spelling_of(root, id), strlen(spelling_of(root, id)));
    gguf_put_array(w, "tokenizer.ggml.token_type", GGUF_I32, (uint64_t)n_types);
    for (int id = 0; id < n_types; id++)
        gguf_add_i32(w, id < 262 ? 1 : id < 264 ? 3 : 4);
    json_t *merges = json_object_get(model_of(root), "merges");
    gguf_put_array(w, "tokenizer.ggml.merges", GGUF_STRING, 6);
    for (size_t i = 0; i < 6; i++) {
        const char *merge = i < 5 ? json_string_value(json_array_get(merges, i)) : last_merge;
        gguf_add_string(w, merge, strlen(merge));
    }
    assert_int_equal(gguf_begin(w, &err), 0);
    assert_int_equal(gguf_finish(w, &err), 0);
    gguf_writer_close(w);
    json_decref(root);
}

static void a_tokenizer_inside_gguf_is_the_same(void **state)
{
    (void)state;
    struct err err = {0};
    struct tokenizer *t = NULL;
    char folder[] = "/tmp/tenon-test-XXXXXX", path[64];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/t.gguf", folder);

    write_gguf(path, "joyai-llm", 270, "\u0120 ab");
    if (tokenizer_open(&t, path, &err)) fail_msg("%s", err.message);
    assert_int_equal(tokenizer_count(t), 270);
    ENCODES(t, " ab", true, 261);
    ENCODES(t, "aaaaa", true, 260, 'a');
    ENCODES(t, "<think>a", true, 264, 'a');
    assert_true(tokenizer_is_special(t, 263));
    assert_false(tokenizer_is_special(t, 264));
    tokenizer_close(t);

    static const struct {
        const char *pre;
        int n_types;
        const char *merge, *says;
    } wrong[] = {{"default", 270, "\u0120 ab", "\"default\""},
                 {"qwen2", 270, "\u0120 ab", "\"qwen2\""},
                 {"joyai-llm", 269, "\u0120 ab", "270 tokens but 269 types"},
                 {"joyai-llm", 270, "", "merge 5"},
                 {"joyai-llm", 270, "q q", "merge 5"}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct err e = {0};
        write_gguf(path, wrong[i].pre, wrong[i].n_types, wrong[i].merge);
        assert_int_equal(tokenizer_open(&t, path, &e), -1);
        if (!strstr(e.message, wrong[i].says)) fail_msg("%s", e.message);
    }
    unlink(path);
    rmdir(folder);
}

static void missing_files_are_io_errors(void **state)
{
    (void)state;
    struct tokenizer *t = NULL;
    static const char *const paths[] = {"tests/data/none.json", "tests/data/none.gguf",
                                        "tests/text"};
    for (int i = 0; i < 3; i++) {
        struct err err = {0};
        assert_int_equal(tokenizer_open(&t, paths[i], &err), -1);
        assert_int_equal(err.code, ERR_IO);
        assert_null(t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hostile_files_are_refused_by_one_clear_error),
        cmocka_unit_test(an_unknown_pattern_is_quoted),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(ranks_ties_and_the_longest_added_token_decide),
        cmocka_unit_test(merges_may_be_pairs),
        cmocka_unit_test(a_tokenizer_inside_gguf_is_the_same),
        cmocka_unit_test(missing_files_are_io_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
