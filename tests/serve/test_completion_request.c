/* The bodies that continue raw text: fields and their ranges, the forms of a prompt, and its ids. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "serve/completion_request.h"
#include "serve/fields.h"

#define LENGTH(a) (sizeof(a) / sizeof *(a))
#define BOS                                                                                        \
    "<\xef\xbd\x9c"                                                                                \
    "begin\xe2\x96\x81of\xe2\x96\x81sentence\xef\xbd\x9c>"
#define USER "<\xef\xbd\x9cUser\xef\xbd\x9c>"

static struct tokenizer *nano; /* models/nano: has BOS, and tokens of fill-in-the-middle */

/* 0, or the status of the refusal. */
static int read_text(struct completion_request *r, const char *text, enum completion_shape shape,
                     struct api_error *e)
{
    json_t *body;
    *e = (struct api_error){0};
    *r = (struct completion_request){0};
    if (body_parse(&body, text, strlen(text), e)) return e->status;
    int rc = completion_request_read(r, body, shape, e);
    assert_int_equal(rc, e->status ? -1 : 0);
    if (rc) assert_null(r->body);
    return e->status;
}

static void good(struct completion_request *r, const char *text, enum completion_shape shape)
{
    struct api_error e;
    if (read_text(r, text, shape, &e)) fail_msg("%s: %s", text, e.message);
}

static void assert_refused(const char *text, enum completion_shape shape, int status,
                           const char *param)
{
    struct completion_request r;
    struct api_error e;
    int got = read_text(&r, text, shape, &e);
    if (got != status || strcmp(e.param, param) != 0)
        fail_msg("%s: %d, param \"%s\" (%s), wanted %d, param \"%s\"", text, got, e.param,
                 e.message, status, param);
    completion_request_fini(&r);
}

static void absent_fields_have_their_defaults(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "{\"model\": \"m\", \"prompt\": \"x\"}",
        "{\"model\": \"m\", \"prompt\": \"x\", \"suffix\": null, \"max_tokens\": null, \"n\": "
        "null, "
        "\"best_of\": null, \"echo\": null, \"logprobs\": null, \"stop\": null, \"stream\": null, "
        "\"seed\": null, \"temperature\": null, \"grammar\": \"\", \"min_tokens\": 0, "
        "\"logit_bias\": {}, \"unknown\": [1], \"response_format\": {\"type\": \"text\"}}"};
    for (size_t i = 0; i < LENGTH(bodies); i++) {
        struct completion_request r;
        good(&r, bodies[i], COMPLETION_OPENAI);
        struct sampler_options s = sampler_defaults();
        s.bias = r.bias;
        assert_memory_equal(&r.sampling, &s, sizeof s);
        assert_int_equal(r.n_prompts, 1);
        assert_string_equal(r.prompts[0].text, "x");
        assert_int_equal(r.max_tokens, COMPLETION_TOKENS);
        assert_int_equal(r.n, 1);
        assert_null(r.suffix);
        assert_true(r.bos);
        assert_false(r.echo || r.logprobs || r.stream || r.ends.ignore_eos || r.has_seed);
        assert_int_equal(r.n_stops, 0);
        completion_request_fini(&r);
    }
}

static void given_fields_arrive(void **state)
{
    (void)state;
    struct completion_request r;
    good(&r,
         "{\"model\": \"m\", \"prompt\": [\"a\", \"\"], \"max_tokens\": 0, \"n\": 8, \"best_of\": "
         "8, "
         "\"echo\": true, \"logprobs\": 5, \"stop\": \"z\", \"stream\": true, "
         "\"stream_options\": {\"include_usage\": true}, \"seed\": 7, \"temperature\": 0.5, "
         "\"top_k\": 3, \"ignore_eos\": true, \"add_special_tokens\": false}",
         COMPLETION_OPENAI);
    assert_int_equal(r.n_prompts, 2);
    assert_string_equal(r.prompts[0].text, "a");
    assert_string_equal(r.prompts[1].text, "");
    assert_int_equal(r.max_tokens, 0);
    assert_int_equal(r.n, 8);
    assert_true(r.echo && r.logprobs && r.stream && r.include_usage && r.ends.ignore_eos &&
                r.has_seed);
    assert_int_equal(r.sampling.logprobs, 5);
    assert_float_equal(r.sampling.temperature, 0.5, 0);
    assert_int_equal(r.sampling.top_k, 3);
    assert_true(r.seed == 7);
    assert_string_equal(r.stops[0], "z");
    assert_false(r.bos);
    completion_request_fini(&r);
    completion_request_fini(&r); /* twice is fine */
}

static void llama_names_arrive(void **state)
{
    (void)state;
    struct completion_request r;
    good(&r,
         "{\"prompt\": [1, 2], \"n_predict\": -2, \"repeat_penalty\": 1.5, \"repeat_last_n\": 64, "
         "\"n_probs\": 4, \"return_tokens\": true, \"samplers\": [\"top_k\"]}",
         COMPLETION_LLAMA);
    assert_null(r.model);
    assert_int_equal(r.max_tokens, -1);
    assert_float_equal(r.sampling.repeat_penalty, 1.5, 0);
    assert_int_equal(r.sampling.penalty_last_n, 64);
    assert_int_equal(r.sampling.logprobs, 4);
    assert_true(r.logprobs && r.return_tokens);
    assert_int_equal(json_array_size(r.prompts[0].ids), 2);
    completion_request_fini(&r);
    good(&r, "{\"prompt\": \"x\", \"n_probs\": 0, \"n_predict\": 0}", COMPLETION_LLAMA);
    assert_int_equal(r.sampling.logprobs, -1);
    assert_int_equal(r.max_tokens, 0);
    assert_false(r.logprobs);
    completion_request_fini(&r);
}

static void what_is_wrong_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *fields; /* behind a good model and prompt */
        int status;
        const char *param;
    } bad[] = {
        {"\"n\": 0", 422, "n"},
        {"\"n\": 17", 422, "n"},
        {"\"n\": 2147483648", 422, "n"},
        {"\"n\": 9223372036854775807", 422, "n"},
        {"\"n\": 1.0", 400, "n"},
        {"\"n\": true", 400, "n"},
        {"\"best_of\": 0", 422, "best_of"},
        {"\"best_of\": 2", 400, "best_of"},
        {"\"max_tokens\": -1", 422, "max_tokens"},
        {"\"max_tokens\": 2147483648", 422, "max_tokens"},
        {"\"max_tokens\": \"1\"", 400, "max_tokens"},
        {"\"logprobs\": -1", 422, "logprobs"},
        {"\"logprobs\": 21", 422, "logprobs"},
        {"\"logprobs\": true", 400, "logprobs"},
        {"\"echo\": 1", 400, "echo"},
        {"\"echo\": true, \"suffix\": \"\"", 400, "echo"},
        {"\"suffix\": 1", 400, "suffix"},
        {"\"suffix\": \"a\\u0000b\"", 400, "suffix"},
        {"\"stop\": \"\"", 422, "stop"},
        {"\"stop\": [1]", 400, "stop[0]"},
        {"\"stream_options\": {}", 400, "stream_options"},
        {"\"temperature\": 2.5", 422, "temperature"},
        {"\"temperature\": 1e999", 400, ""},
        {"\"top_p\": 0", 422, "top_p"},
        {"\"seed\": 1.5", 400, "seed"},
        {"\"logit_bias\": {\"x\": 1}", 400, "logit_bias"},
        {"\"logit_bias\": {\"1\": 1}, \"logprobs\": 1", 400, "logit_bias"},
        {"\"grammar\": 1", 400, "grammar"},
        {"\"json_schema\": 1", 400, "json_schema"},
        {"\"grammar\": \"root\", \"guided_regex\": \"a\"", 400, "guided_regex"},
        {"\"grammar\": \"root\", \"ignore_eos\": true", 400, "ignore_eos"},
        {"\"grammar\": \"root\", \"min_tokens\": 1", 400, "min_tokens"},
        {"\"use_beam_search\": true", 400, "use_beam_search"},
        {"\"stop_token_ids\": [-1]", 422, "stop_token_ids"},
        {"\"min_tokens\": 17", 400, "min_tokens"},
        {"\"min_tokens\": 1, \"stop\": \"a\"", 400, "min_tokens"},
        {"\"response_format\": {\"type\": \"xml\"}", 400, "response_format.type"},
    };
    for (size_t i = 0; i < LENGTH(bad); i++) {
        char text[512];
        snprintf(text, sizeof text, "{\"model\": \"m\", \"prompt\": \"x\", %s}", bad[i].fields);
        assert_refused(text, COMPLETION_OPENAI, bad[i].status, bad[i].param);
    }
}

static void the_form_of_the_answer_is_read_in_every_shape(void **state)
{
    (void)state;
    static const struct {
        const char *fields, *field;
        enum constraint_kind kind;
    } rows[] = {
        {"\"grammar\": \"root ::= [a]\"", "grammar", CONSTRAINT_EBNF},
        {"\"json_schema\": {\"type\": \"null\"}", "json_schema", CONSTRAINT_SCHEMA},
        {"\"guided_json\": \"{}\"", "guided_json", CONSTRAINT_SCHEMA},
        {"\"guided_choice\": [\"a\"]", "guided_choice", CONSTRAINT_CHOICE},
        {"\"structured_outputs\": {\"regex\": \"a\"}", "structured_outputs", CONSTRAINT_REGEX},
        {"\"response_format\": {\"type\": \"json_object\"}", "response_format",
         CONSTRAINT_JSON_OBJECT},
        {"\"response_format\": {\"type\": \"text\"}", NULL, CONSTRAINT_NONE},
    };
    static const struct {
        enum completion_shape shape;
        const char *start;
    } shapes[] = {{COMPLETION_OPENAI, "\"model\": \"m\", \"prompt\": \"x\""},
                  {COMPLETION_LLAMA, "\"prompt\": \"x\""},
                  {COMPLETION_INFILL, "\"input_prefix\": \"x\", \"input_suffix\": \"y\""}};
    for (size_t i = 0; i < LENGTH(rows) * LENGTH(shapes); i++) {
        const char *field = rows[i / LENGTH(shapes)].field;
        struct completion_request r;
        struct api_error e = {0};
        char text[512];
        snprintf(text, sizeof text, "{%s, %s}", shapes[i % LENGTH(shapes)].start,
                 rows[i / LENGTH(shapes)].fields);
        json_t *body = json_loads(text, 0, NULL);
        assert_int_equal(completion_request_read(&r, body, shapes[i % LENGTH(shapes)].shape, &e),
                         0);
        assert_int_equal(r.form.spec.kind, rows[i / LENGTH(shapes)].kind);
        if (field)
            assert_string_equal(r.form.field, field);
        else
            assert_null(r.form.field);
        completion_request_fini(&r);
    }
}

static void prompts_have_four_forms(void **state)
{
    (void)state;
    static const struct {
        const char *prompt;
        int n, status; /* prompts, or the refusal */
        const char *param;
    } rows[] = {
        {"\"\"", 1, 0, ""},
        {"\"x\"", 1, 0, ""},
        {"[\"x\"]", 1, 0, ""},
        {"[\"x\", \"y\"]", 2, 0, ""},
        {"[5]", 1, 0, ""},
        {"[5, 6]", 1, 0, ""},
        {"[[5], [6, 7], [8]]", 3, 0, ""},
        {"null", 0, 400, "prompt"},
        {"[]", 0, 400, "prompt"},
        {"5", 0, 400, "prompt"},
        {"{}", 0, 400, "prompt"},
        {"true", 0, 400, "prompt"},
        {"[5, \"x\"]", 0, 400, "prompt"},
        {"[\"x\", 5]", 0, 400, "prompt[1]"},
        {"[[5], 6]", 0, 400, "prompt[1]"},
        {"[[5], []]", 0, 400, "prompt[1]"},
        {"[5.0]", 0, 400, "prompt[0]"},
        {"[5, 6.0]", 0, 400, "prompt"},
        {"[null]", 0, 400, "prompt[0]"},
        {"[-1]", 0, 422, "prompt"},
        {"[0, 2147483648]", 0, 422, "prompt"},
        {"[[0, -9223372036854775808]]", 0, 422, "prompt[0]"},
        {"\"a\\u0000\"", 0, 400, "prompt"},
        {"[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]", 1, 0, ""},
        {"[[1],[2],[3],[4],[5],[6],[7],[8],[9],[1],[2],[3],[4],[5],[6],[7]]", 16, 0, ""},
        {"[[1],[2],[3],[4],[5],[6],[7],[8],[9],[1],[2],[3],[4],[5],[6],[7],[8]]", 0, 422, "prompt"},
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct completion_request r;
        char text[256];
        snprintf(text, sizeof text, "{\"model\": \"m\", \"prompt\": %s}", rows[i].prompt);
        if (rows[i].status) {
            assert_refused(text, COMPLETION_OPENAI, rows[i].status, rows[i].param);
            continue;
        }
        good(&r, text, COMPLETION_OPENAI);
        assert_int_equal(r.n_prompts, rows[i].n);
        for (int k = 0; k < r.n_prompts; k++)
            assert_true(!r.prompts[k].text != !r.prompts[k].ids);
        completion_request_fini(&r);
    }
}

static void choices_of_all_prompts_are_16_at_most(void **state)
{
    (void)state;
    struct completion_request r;
    good(&r, "{\"model\": \"m\", \"prompt\": [\"a\", \"b\", \"c\"], \"n\": 5}", COMPLETION_OPENAI);
    completion_request_fini(&r);
    assert_refused("{\"model\": \"m\", \"prompt\": [\"a\", \"b\", \"c\"], \"n\": 6}",
                   COMPLETION_OPENAI, 422, "n");
    assert_refused("{\"prompt\": \"a\"}", COMPLETION_OPENAI, 400, "model");
    assert_refused("{\"model\": \"m\"}", COMPLETION_OPENAI, 400, "prompt");
    assert_refused("{\"prompt\": [\"a\", \"b\"]}", COMPLETION_LLAMA, 400, "prompt");
    assert_refused("{\"input_suffix\": \"a\"}", COMPLETION_INFILL, 400, "input_prefix");
    assert_refused("{\"input_prefix\": \"\", \"input_suffix\": \"a\", \"input_extra\": [1]}",
                   COMPLETION_INFILL, 400, "input_extra[0]");
}

/* ---- ids ---- */

static void ids_of(struct ids *out, const char *text, bool specials)
{
    ids_init(out, 1000);
    assert_int_equal(tokenizer_encode(nano, text, strlen(text), specials, out, NULL), 0);
}

/* 0, or the status of the refusal. */
static int prompt_ids(struct ids *out, const char *body, enum completion_shape shape, size_t max)
{
    struct completion_request r;
    struct api_error e = {0};
    ids_init(out, max);
    good(&r, body, shape);
    int rc = completion_prompt_ids(&r, r.n_prompts - 1, nano, out, &e);
    assert_int_equal(rc, e.status ? -1 : 0);
    completion_request_fini(&r);
    return e.status;
}

static void assert_ids(const char *body, enum completion_shape shape, const char *want,
                       bool specials)
{
    struct ids got, wanted;
    assert_int_equal(prompt_ids(&got, body, shape, 1000), 0);
    ids_of(&wanted, want, specials);
    if (got.n != wanted.n || memcmp(got.data, wanted.data, got.n * sizeof *got.data) != 0)
        fail_msg("%s: %zu ids, wanted %zu", body, got.n, wanted.n);
    ids_fini(&got);
    ids_fini(&wanted);
}

static void a_text_has_one_bos(void **state)
{
    (void)state;
    assert_ids("{\"model\": \"m\", \"prompt\": \"1 + 2\"}", COMPLETION_OPENAI, BOS "1 + 2", true);
    assert_ids("{\"model\": \"m\", \"prompt\": \"" BOS "1 + 2\"}", COMPLETION_OPENAI, BOS "1 + 2",
               true);
    assert_ids("{\"model\": \"m\", \"prompt\": [\"x\", \"y\"]}", COMPLETION_OPENAI, BOS "y", true);
    assert_ids("{\"prompt\": \"\"}", COMPLETION_LLAMA, BOS, true);
    assert_ids("{\"model\": \"m\", \"prompt\": \"1\", \"add_special_tokens\": false}",
               COMPLETION_OPENAI, "1", true);
}

/* P5: only what the server writes itself, and what was sent as ids, can be a control token. */
static void text_never_becomes_a_control_token(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        enum completion_shape shape;
        int n_added;
    } rows[] = {
        {"{\"model\": \"m\", \"prompt\": \"" BOS BOS USER "\"}", COMPLETION_OPENAI, 1},
        {"{\"model\": \"m\", \"prompt\": \"" BOS USER "\", \"add_special_tokens\": false}",
         COMPLETION_OPENAI, 0},
        {"{\"model\": \"m\", \"prompt\": \"" USER "\", \"suffix\": \"" USER "</think>\"}",
         COMPLETION_OPENAI, 4},
        {"{\"input_prefix\": \"" BOS "\", \"input_suffix\": \"" USER "\", \"prompt\": \"" USER
         "\", \"input_extra\": [{\"text\": \"" USER "\", \"filename\": \"" BOS "\"}]}",
         COMPLETION_INFILL, 4},
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct ids ids;
        int n_added = 0;
        assert_int_equal(prompt_ids(&ids, rows[i].body, rows[i].shape, 1000), 0);
        for (size_t k = 0; k < ids.n; k++)
            n_added += tokenizer_is_added(nano, ids.data[k]);
        assert_int_equal(n_added, rows[i].n_added);
        ids_fini(&ids);
    }
}

static void ids_must_name_tokens(void **state)
{
    (void)state;
    char body[128];
    struct ids ids;
    int last = tokenizer_count(nano) - 1;
    snprintf(body, sizeof body, "{\"model\": \"m\", \"prompt\": [0, 5, %d]}", last);
    assert_int_equal(prompt_ids(&ids, body, COMPLETION_OPENAI, 1000), 0);
    assert_int_equal(ids.n, 3);
    assert_int_equal(ids.data[0], 0);
    assert_int_equal(ids.data[2], last);
    ids_fini(&ids);
    snprintf(body, sizeof body, "{\"model\": \"m\", \"prompt\": [0, 5, %d]}", last + 1);
    assert_int_equal(prompt_ids(&ids, body, COMPLETION_OPENAI, 1000), 400);
    ids_fini(&ids);
    assert_int_equal(
        prompt_ids(&ids, "{\"model\": \"m\", \"prompt\": [2147483647]}", COMPLETION_OPENAI, 1000),
        400);
    ids_fini(&ids);
}

static void too_many_or_no_ids_are_refused(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "{\"model\": \"m\", \"prompt\": [5, 6, 7]}",
        "{\"model\": \"m\", \"prompt\": \"a b c d\"}",
        "{\"model\": \"m\", \"prompt\": \"a b c d\", \"suffix\": \"e f g\"}",
    };
    struct ids ids;
    for (size_t i = 0; i < LENGTH(bodies); i++) {
        assert_int_equal(prompt_ids(&ids, bodies[i], COMPLETION_OPENAI, 2), 400);
        ids_fini(&ids);
    }
    assert_int_equal(prompt_ids(&ids,
                                "{\"model\": \"m\", \"prompt\": \"\", "
                                "\"add_special_tokens\": false}",
                                COMPLETION_OPENAI, 2),
                     400);
    ids_fini(&ids);
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
        cmocka_unit_test(absent_fields_have_their_defaults),
        cmocka_unit_test(given_fields_arrive),
        cmocka_unit_test(llama_names_arrive),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(the_form_of_the_answer_is_read_in_every_shape),
        cmocka_unit_test(prompts_have_four_forms),
        cmocka_unit_test(choices_of_all_prompts_are_16_at_most),
        cmocka_unit_test(a_text_has_one_bos),
        cmocka_unit_test(text_never_becomes_a_control_token),
        cmocka_unit_test(ids_must_name_tokens),
        cmocka_unit_test(too_many_or_no_ids_are_refused),
    };
    return cmocka_run_group_tests(tests, open_nano, close_nano);
}
