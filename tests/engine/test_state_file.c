#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/sha256.h"
#include "engine/state_file.h"
#include "ops/kv.h"

/* ---- a small file of made-up bytes ---- */

static const uint8_t TOKENS[] = {1, 0, 0, 0, 2, 0, 0, 0, 255, 1, 0, 0};

static struct state_view small_view(void)
{
    struct state_view v = {.id = {.mode = MODE_F32_ACTS, .with_mtp = 1},
                           .token_ids = TOKENS,
                           .n_tokens = 3,
                           .n_fed = 2,
                           .key = {.seed = 0x123456789abcdef0, .choice = 7}};
    static const size_t sizes[STATE_SECTIONS] = {[STATE_RINGS] = 40,
                                                 [STATE_ROWS] = 9,
                                                 [STATE_KEYS] = 0,
                                                 [STATE_CARRIES] = 16,
                                                 [STATE_MTP] = 5};
    for (int i = 0; i < STATE_SECTIONS; i++)
        v.section[i].size = sizes[i];
    memset(v.id.model, 0xAB, sizeof v.id.model);
    memset(v.id.layout, 0xCD, sizeof v.id.layout);
    return v;
}

static struct state_image small_image(void)
{
    struct state_view v = small_view();
    struct state_image image;
    if (state_image_new(&image, &v, NULL)) fail_msg("no image");
    for (int i = STATE_RINGS; i <= STATE_MTP; i++)
        memset(state_image_section(&image, (enum state_section)i), 0x10 + i, v.section[i].size);
    state_image_seal(&image);
    return image;
}

static void assert_refused(const void *data, size_t size, enum err_code code, const char *says)
{
    struct state_view v;
    struct err err = {0};
    uint8_t *exact = xmalloc(size); /* sanitizers see a read past it */
    memcpy(exact, data, size);
    assert_int_equal(state_parse(&v, "a.session", exact, size, &err), -1);
    assert_int_equal(err.code, code);
    assert_non_null(strstr(err.message, "a.session: "));
    if (!strstr(err.message, says)) fail_msg("\"%s\" does not say \"%s\"", err.message, says);
    free(exact);
}

static void a_file_comes_apart_as_it_was_put_together(void **state)
{
    (void)state;
    struct state_image image = small_image();
    struct state_view want = small_view(), v;
    assert_int_equal(state_parse(&v, "a", image.data, image.size, NULL), 0);
    assert_memory_equal(&v.id, &want.id, sizeof v.id);
    assert_int_equal(v.n_tokens, 3);
    assert_int_equal(v.n_fed, 2);
    assert_memory_equal(v.token_ids, TOKENS, sizeof TOKENS);
    assert_true(v.key.seed == want.key.seed && v.key.choice == 7);
    for (int i = STATE_RINGS; i <= STATE_MTP; i++) {
        assert_int_equal(v.section[i].size, want.section[i].size);
        for (size_t j = 0; j < v.section[i].size; j++)
            assert_int_equal(v.section[i].data[j], 0x10 + i);
    }
    free(image.data);
}

static void every_damaged_byte_is_found(void **state)
{
    (void)state;
    struct state_image image = small_image();
    for (size_t i = 0; i < image.size; i++) {
        struct state_view v;
        image.data[i] ^= 0x40;
        assert_int_equal(state_parse(&v, "a", image.data, image.size, NULL), -1);
        image.data[i] ^= 0x40;
    }
    free(image.data);
}

static void a_damaged_section_is_named(void **state)
{
    (void)state;
    for (int i = 0; i < STATE_SECTIONS; i++) {
        struct state_image image = small_image();
        struct state_view v;
        assert_int_equal(state_parse(&v, "a", image.data, image.size, NULL), 0);
        if (v.section[i].size) {
            state_image_section(&image, (enum state_section)i)[v.section[i].size - 1] ^= 1;
            char says[64];
            snprintf(says, sizeof says, "section %s is damaged",
                     state_section_name((enum state_section)i));
            assert_refused(image.data, image.size, ERR_FORMAT, says);
        }
        free(image.data);
    }
}

static void every_cut_is_refused(void **state)
{
    (void)state;
    struct state_image image = small_image();
    for (size_t size = 0; size < image.size; size++) {
        const char *says = size < 8              ? "not a session file"
                           : size < STATE_HEADER ? "the file is cut off"
                                                 : "it is cut off";
        assert_refused(image.data, size, ERR_FORMAT, says);
    }
    free(image.data);
}

static void bytes_behind_the_end_are_refused(void **state)
{
    (void)state;
    struct state_image image = small_image();
    uint8_t *longer = xcalloc(1, image.size + 1);
    memcpy(longer, image.data, image.size);
    assert_refused(longer, image.size + 1, ERR_FORMAT, "1 bytes follow");
    free(longer);
    free(image.data);
}

/* Contradictions whose hashes are right. */
static void contradictions_are_refused(void **state)
{
    (void)state;
    struct state_image first = small_image();
    size_t tokens = (size_t)(state_image_section(&first, STATE_TOKENS) - first.data);
    size_t sampler = (size_t)(state_image_section(&first, STATE_SAMPLER) - first.data);
    free(first.data);
    const struct {
        size_t at;
        uint8_t value;
        enum err_code code;
        const char *says;
    } cases[] = {
        {8, 2, ERR_UNSUPPORTED, "version 2"},
        {12, 6, ERR_FORMAT, "6 sections"},
        {48, 3, ERR_FORMAT, "numeric mode 3"},
        {52, 2, ERR_FORMAT, "row type 2"},
        {56, 2, ERR_FORMAT, "MTP 2"},
        {60, 64, ERR_UNSUPPORTED, "pages of 64"},
        {tokens, 4, ERR_FORMAT, "4 tokens"},
        {tokens + 7, 0x7f, ERR_FORMAT, "section tokens says"},
        {tokens + 8, 4, ERR_FORMAT, "4 fed"},
        {sampler + 12, 1, ERR_FORMAT, "bad padding"},
        {sampler + 16, 9, ERR_FORMAT, "the sampler stands at 9"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct state_image image = small_image();
        image.data[cases[i].at] = cases[i].value;
        state_image_seal(&image);
        assert_refused(image.data, image.size, cases[i].code, cases[i].says);
        free(image.data);
    }
}

/* Lengths in the table that add up to more than there is, up to 2^64 - 1. */
static void section_lengths_cannot_reach_outside(void **state)
{
    (void)state;
    const uint8_t lengths[3][8] = {{255, 255, 255, 255, 255, 255, 255, 255},
                                   {0, 0, 0, 0, 0, 0, 0, 128},
                                   {41, 0, 0, 0, 0, 0, 0, 0}};
    for (int i = 0; i < 3; i++) {
        struct state_image image = small_image();
        memcpy(image.data + 96 + 40 * STATE_MTP, lengths[i], 8);
        sha256_of(image.data, STATE_HEADER - 32, image.data + STATE_HEADER - 32);
        assert_refused(image.data, image.size, ERR_FORMAT, "section MTP has");
        free(image.data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_comes_apart_as_it_was_put_together),
        cmocka_unit_test(every_damaged_byte_is_found),
        cmocka_unit_test(a_damaged_section_is_named),
        cmocka_unit_test(every_cut_is_refused),
        cmocka_unit_test(bytes_behind_the_end_are_refused),
        cmocka_unit_test(contradictions_are_refused),
        cmocka_unit_test(section_lengths_cannot_reach_outside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
