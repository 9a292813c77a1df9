/* Answers bound to a schema or to tools: whatever is drawn, what comes out is what was asked for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../support/golden.h"
#include "engine/engine.h"

#ifdef TENON_SANITIZED
enum { N_SEEDS = 2 };
#else
enum { N_SEEDS = 12 };
#endif

static struct bench_model model;
static struct tokenizer *tokenizer;
static struct token_trie *trie;
static struct engine *engine;

static int open_all(void **state)
{
    (void)state;
    struct err err = {0};
    struct engine_options o = {.max_context = 1500, .n_sessions = 1};
    model = model_for_test("models/nano", MODE_DEFAULT, 2, NULL, 1);
    return tokenizer_open(&tokenizer, "models/nano", &err) ||
           engine_open(&engine, model.model, tokenizer, &o, &err) ||
           token_trie_new(&trie, tokenizer, engine_vocab(engine), engine_eos(engine), &err);
}

static int close_all(void **state)
{
    (void)state;
    engine_close(engine);
    token_trie_free(trie);
    tokenizer_close(tokenizer);
    model_done(&model);
    return 0;
}

/* Answers the question and hands the result to check, N_SEEDS times. In thinking mode </think> is made likely.
 * Returns how many answers were complete. */
static int answer_all(const struct constraint_spec *spec, bool thinking, float temperature,
                      void (*check)(const struct generation_result *r, bool complete))
{
    struct constraint *c = NULL;
    struct err err = {0};
    struct logit_bias bias = {parse_ids_of(tokenizer).end_think, 12};
    int n_complete = 0;
    if (constraint_new(&c, spec, trie, &err)) fail_msg("%s", err.message);
    for (int seed = 0; seed < N_SEEDS; seed++) {
        struct generation *g = NULL;
        struct session *s = NULL;
        struct ids ids;
        struct prompt_options p = {.family = FAMILY_OFFICIAL, .thinking = thinking};
        struct generate_options o = engine_generate_options(engine, thinking);
        json_t *messages = json_pack("[{s:s, s:s}]", "role", "user", "content", "What is 17 + 25?");
        ids_init(&ids, 1400);
        o.constraint = c;
        o.max_tokens = 400;
        o.parse.tools = spec->tools;
        o.sampling.temperature = temperature;
        o.sampling.bias = &bias;
        o.sampling.n_bias = thinking;
        if (engine_prompt(engine, messages, NULL, &p, &ids, &err) ||
            engine_session_new(&s, engine, &err) || session_append(s, ids.data, (int)ids.n, &err))
            fail_msg("%s", err.message);
        session_set_key(s, (struct sampler_key){.seed = (uint64_t)seed});
        if (generation_open(&g, s, &o, &err) || generation_run(g, &err))
            fail_msg("%s", err.message);
        const struct generation_result *r = generation_result(g);
        bool complete = r->finish != FINISH_LENGTH;
        n_complete += complete;
        check(r, complete);
        assert_null(strstr(r->text->content, "DSML"));
        assert_null(strstr(r->text->content, "think>"));
        assert_true((r->text->n_reasoning_tokens > 0) == thinking);
        generation_close(g);
        session_free(s);
        ids_fini(&ids);
        json_decref(messages);
    }
    constraint_drop(c);
    return n_complete;
}

static void check_record(const struct generation_result *r, bool complete)
{
    json_error_t error;
    if (!complete) return;
    json_t *value = json_loads(r->text->content, 0, &error);
    if (!value) fail_msg("%s: %s", error.text, r->text->content);
    const char *kind = json_string_value(json_object_get(value, "kind"));
    json_int_t n = json_integer_value(json_object_get(value, "n"));
    const json_t *list = json_object_get(value, "list");
    assert_int_equal(json_object_size(value), 3);
    assert_true(kind && (strcmp(kind, "sum") == 0 || strcmp(kind, "product") == 0));
    assert_true(json_is_integer(json_object_get(value, "n")) && n >= -5 && n <= 500);
    assert_in_range(json_array_size(list), 1, 3);
    for (size_t i = 0; i < json_array_size(list); i++)
        assert_in_range(json_string_length(json_array_get(list, i)), 0, 4 * 10);
    json_decref(value);
}

static void answers_are_valid_for_their_schema(void **state)
{
    (void)state;
    json_t *schema = json_loads(
        "{\"type\":\"object\",\"properties\":{\"kind\":{\"enum\":[\"sum\",\"product\"]},\"n\":{"
        "\"type\":\"integer\",\"minimum\":-5,\"maximum\":500},\"list\":{\"type\":\"array\","
        "\"items\":{"
        "\"type\":\"string\",\"maxLength\":10},\"minItems\":1,\"maxItems\":3}},\"required\":["
        "\"kind\","
        "\"n\",\"list\"],\"additionalProperties\":false}",
        0, NULL);
    struct constraint_spec spec = {.kind = CONSTRAINT_SCHEMA, .schema = schema};
    for (int thinking = 0; thinking < 2; thinking++) {
        assert_int_equal(answer_all(&spec, thinking, 2, check_record), N_SEEDS);
        assert_int_equal(answer_all(&spec, thinking, 0, check_record), N_SEEDS);
    }
    json_decref(schema);
}

static void check_object(const struct generation_result *r, bool complete)
{
    json_error_t error;
    json_t *value = json_loads(r->text->content, 0, &error);
    if (complete && !json_is_object(value)) fail_msg("%s: %s", error.text, r->text->content);
    if (!complete) assert_true(r->text->content[0] == '{' || r->text->content_size == 0);
    json_decref(value);
}

static void json_objects_are_objects(void **state)
{
    (void)state;
    struct constraint_spec spec = {.kind = CONSTRAINT_JSON_OBJECT};
    int n = answer_all(&spec, false, 2, check_object) + answer_all(&spec, true, 2, check_object);
    print_message("%d of %d complete\n", n, 2 * N_SEEDS);
    if (N_SEEDS >= 12) assert_true(n > 0); /* a small model at temperature 2 seldom ends one */
}

static void check_call(const struct generation_result *r, bool complete)
{
    assert_int_equal(r->text->content_size, 0);
    if (!complete) return;
    assert_int_equal(r->finish, FINISH_TOOL_CALLS);
    assert_int_equal(r->text->n_calls, 1);
    assert_string_equal(r->text->calls[0].name, "add");
    json_t *arguments = json_loads(r->text->calls[0].arguments, 0, NULL);
    assert_int_equal(json_object_size(arguments), 2);
    assert_true(json_is_integer(json_object_get(arguments, "a")));
    assert_true(json_is_string(json_object_get(arguments, "note")));
    json_decref(arguments);
}

static void a_required_call_comes_thinking_or_not(void **state)
{
    (void)state;
    json_t *tools =
        json_loads("[{\"type\":\"function\",\"function\":{\"name\":\"add\",\"strict\":true,"
                   "\"parameters\":{\"type\":"
                   "\"object\",\"properties\":{\"a\":{\"type\":\"integer\",\"minimum\":0,"
                   "\"maximum\":99},\"note\":{"
                   "\"type\":\"string\",\"maxLength\":20}},\"required\":[\"a\",\"note\"]}}}]",
                   0, NULL);
    struct constraint_spec spec = {
        .tools = tools, .must_call = true, .one_call = true, .family = FAMILY_OFFICIAL};
    for (int thinking = 0; thinking < 2; thinking++)
        assert_int_equal(answer_all(&spec, thinking, 2, check_call), N_SEEDS);
    json_decref(tools);
}

static void a_constraint_without_text_or_end_is_refused(void **state)
{
    (void)state;
    struct constraint_spec spec = {.kind = CONSTRAINT_JSON_OBJECT};
    struct constraint *c = NULL;
    struct generation *g = NULL;
    struct session *s = NULL;
    struct err err = {0};
    int32_t id = 1;
    if (constraint_new(&c, &spec, trie, &err) || engine_session_new(&s, engine, &err) ||
        session_append(s, &id, 1, &err))
        fail_msg("%s", err.message);
    for (int i = 0; i < 2; i++) {
        struct generate_options o = engine_generate_options(engine, false);
        o.constraint = c;
        o.ignore_eos = i == 0;
        if (i == 1) o.tokenizer = NULL;
        err = (struct err){0};
        assert_int_equal(generation_open(&g, s, &o, &err), -1);
        assert_int_equal(err.code, ERR_ARGUMENT);
    }
    session_free(s);
    constraint_drop(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_valid_for_their_schema),
        cmocka_unit_test(json_objects_are_objects),
        cmocka_unit_test(a_required_call_comes_thinking_or_not),
        cmocka_unit_test(a_constraint_without_text_or_end_is_refused),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
