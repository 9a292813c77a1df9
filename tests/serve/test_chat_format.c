/* The form that a request wants of its answer: which fields say so, what of them comes together, what is refused;
 * and the cache of what they compile to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../support/chat_body.h"
#include "../support/golden.h"
#include "serve/constraint_cache.h"

#define SCHEMA(x) "\"response_format\": {\"type\": \"json_schema\", \"json_schema\": " x "}"
#define TOOLS "\"tools\": [" TOOL("f") ", " TOOL("g") "]"
#define STRICT "{\"function\": {\"name\": \"s\", \"strict\": true}}"

static void each_field_says_what_form_the_answer_has(void **state)
{
    (void)state;
    static const struct {
        const char *fields;
        enum constraint_kind kind;
        const char *field;
    } rows[] = {
        {"\"response_format\": {\"type\": \"json_object\"}", CONSTRAINT_JSON_OBJECT,
         "response_format"},
        {SCHEMA("{\"name\": \"n\", \"schema\": {}, \"strict\": true}"), CONSTRAINT_SCHEMA,
         "response_format"},
        {"\"json_schema\": {\"type\": \"object\"}", CONSTRAINT_SCHEMA, "json_schema"},
        {"\"guided_json\": {\"type\": \"object\"}", CONSTRAINT_SCHEMA, "guided_json"},
        {"\"guided_json\": \"{\\\"type\\\": \\\"object\\\"}\"", CONSTRAINT_SCHEMA, "guided_json"},
        {"\"grammar\": \"root ::= x\"", CONSTRAINT_EBNF, "grammar"},
        {"\"guided_grammar\": \"x\"", CONSTRAINT_EBNF, "guided_grammar"},
        {"\"guided_regex\": \"a+\"", CONSTRAINT_REGEX, "guided_regex"},
        {"\"guided_choice\": [\"a\"]", CONSTRAINT_CHOICE, "guided_choice"},
        {"\"structured_outputs\": {\"regex\": \"a\"}", CONSTRAINT_REGEX, "structured_outputs"},
        {"\"structured_outputs\": {\"json\": {\"type\": \"null\"}}", CONSTRAINT_SCHEMA,
         "structured_outputs"},
        {"\"structured_outputs\": {\"choice\": [\"a\", \"b\"]}", CONSTRAINT_CHOICE,
         "structured_outputs"},
        {"\"structured_outputs\": {\"grammar\": \"x\"}", CONSTRAINT_EBNF, "structured_outputs"},
        {"\"structured_outputs\": {\"json_object\": true}", CONSTRAINT_JSON_OBJECT,
         "structured_outputs"},
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct chat_request *r = body_good(rows[i].fields, &rules_plain);
        assert_true(r->is_bound);
        assert_int_equal(r->answer.kind, rows[i].kind);
        assert_string_equal(r->answer_field, rows[i].field);
        assert_null(r->answer.tools);
        assert_int_equal(r->answer.schema != NULL, rows[i].kind == CONSTRAINT_SCHEMA);
        chat_request_fini(r);
    }
    struct chat_request *r = body_good("\"guided_regex\": \"a+\"", &rules_plain);
    assert_int_equal(r->answer.size, 2);
    assert_string_equal(r->answer.text, "a+");
    chat_request_fini(r);
}

static void calls_are_bound_when_something_says_so(void **state)
{
    (void)state;
    static const struct {
        const char *fields;
        bool bound, must_call, one_call;
        const char *only;
    } rows[] = {
        {TOOLS, false, false, false, NULL},
        {TOOLS ", \"tool_choice\": \"none\", \"parallel_tool_calls\": false", false, false, true,
         NULL},
        {TOOLS ", \"tool_choice\": \"required\"", true, true, false, NULL},
        {TOOLS ", \"tool_choice\": " TOOL("g"), true, true, false, "g"},
        {TOOLS ", \"parallel_tool_calls\": false", true, false, true, NULL},
        {"\"tools\": [" TOOL("f") ", " STRICT "]", true, false, false, NULL},
        {TOOLS ", \"response_format\": {\"type\": \"json_object\"}", true, false, false, NULL},
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct chat_request *r = body_good(rows[i].fields, &rules_plain);
        assert_int_equal(r->is_bound, rows[i].bound);
        assert_int_equal(r->answer.must_call, rows[i].must_call);
        assert_int_equal(r->answer.one_call, rows[i].one_call);
        assert_ptr_equal(r->answer.tools, rows[i].bound ? r->tools : NULL);
        if (rows[i].only) assert_string_equal(r->answer.only, rows[i].only);
        if (!rows[i].only) assert_null(r->answer.only);
        chat_request_fini(r);
    }
}

static void bad_forms_are_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *fields;
        int status;
        const char *param;
    } rows[] = {
        {SCHEMA("{\"name\": \"n\"}"), 400, "response_format.json_schema.schema"},
        {SCHEMA("{\"schema\": {}}"), 400, "response_format.json_schema.name"},
        {SCHEMA("null"), 400, "response_format.json_schema"},
        {SCHEMA("{\"name\": \"n m\", \"schema\": {}}"), 400, "response_format.json_schema.name"},
        {SCHEMA("{\"name\": \"n\", \"schema\": []}"), 400, "response_format.json_schema.schema"},
        {SCHEMA("{\"name\": \"n\", \"schema\": {}, \"strict\": 1}"), 400,
         "response_format.json_schema.strict"},
        {"\"guided_regex\": \"a\", \"grammar\": \"b\"", 400, "guided_regex"},
        {"\"json_schema\": {\"type\": \"null\"}, \"response_format\": {\"type\": \"json_object\"}",
         400, "json_schema"},
        {"\"structured_outputs\": {\"regex\": \"a\", \"choice\": [\"a\"]}", 400,
         "structured_outputs.choice"},
        {"\"structured_outputs\": 0", 400, "structured_outputs"},
        {"\"structured_outputs\": {\"structural_tag\": \"x\"}", 400,
         "structured_outputs.structural_tag"},
        {"\"guided_json\": 5", 400, "guided_json"},
        {"\"guided_json\": \"{\"", 400, "guided_json"},
        {"\"guided_json\": \"[]\"", 400, "guided_json"},
        {"\"grammar\": 5", 400, "grammar"},
        {"\"guided_choice\": \"a\"", 400, "guided_choice"},
        {"\"guided_regex\": \"a\", \"ignore_eos\": true", 400, "ignore_eos"},
        {TOOLS ", \"tool_choice\": \"required\", \"ignore_eos\": true", 400, "ignore_eos"},
    };
    for (size_t i = 0; i < LENGTH(rows); i++)
        assert_body(rows[i].fields, &rules_plain, rows[i].status, rows[i].param);
}

static struct bench_model model;
static struct tokenizer *tokenizer;
static struct engine *engine;

static int open_engine(void **state)
{
    (void)state;
    struct engine_options o = {.max_context = 300};
    model = model_for_test("models/nano", MODE_DEFAULT, 1, NULL, 1);
    return tokenizer_open(&tokenizer, "models/nano", NULL) ||
           engine_open(&engine, model.model, tokenizer, &o, NULL);
}

static int close_engine(void **state)
{
    (void)state;
    engine_close(engine);
    tokenizer_close(tokenizer);
    model_done(&model);
    return 0;
}

static const struct cache_tenant ALICE = {1, {1}, {0}}, BOB = {2, {2}, {0}};

static struct constraint *get_as(struct constraint_cache *c, const struct cache_tenant *t,
                                 const struct constraint_spec *spec)
{
    struct constraint *out;
    struct err err = {0};
    if (constraint_cache_get(c, t, spec, &out, &err)) fail_msg("%s", err.message);
    constraint_drop(out); /* the cache's own hold keeps it */
    return out;
}

static struct constraint *get(struct constraint_cache *c, const struct constraint_spec *spec)
{
    return get_as(c, &ALICE, spec);
}

/* A form of its own for each i. */
static struct constraint *get_numbered(struct constraint_cache *c, const struct cache_tenant *t,
                                       int i)
{
    char text[16];
    int size = snprintf(text, sizeof text, "form %d", i);
    struct constraint_spec one = {.kind = CONSTRAINT_REGEX, .text = text, .size = (size_t)size};
    return get_as(c, t, &one);
}

static void nobody_gets_what_another_one_had_compiled(void **state)
{
    (void)state;
    struct constraint_cache *c = constraint_cache_new(engine);
    struct cache_tenant user = ALICE, group = ALICE;
    user.scope[31] = 1;
    group.group = 3;
    struct constraint *of_alice = get_numbered(c, &ALICE, 0), *of_bob = get_numbered(c, &BOB, 0);
    struct constraint *of_user = get_numbered(c, &user, 0);
    struct constraint *of_group = get_numbered(c, &group, 0);
    struct constraint *all[] = {of_alice, of_bob, of_user, of_group};
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < i; k++)
            assert_ptr_not_equal(all[i], all[k]);
    assert_ptr_equal(get_numbered(c, &ALICE, 0), of_alice);
    assert_ptr_equal(get_numbered(c, &BOB, 0), of_bob);
    assert_ptr_equal(get_numbered(c, &user, 0), of_user);
    constraint_cache_free(c);
}

static void a_flood_of_forms_takes_nothing_from_a_group_within_its_share(void **state)
{
    (void)state;
    enum { SHARE = CONSTRAINT_CACHE_SIZE / 2 };
    struct constraint_cache *c = constraint_cache_new(engine);
    struct constraint *kept[SHARE]; /* held, so that no new one comes to its address */
    struct cache_tenant users = BOB;
    for (int i = 0; i < SHARE; i++)
        kept[i] = constraint_hold(get_numbered(c, &ALICE, i));
    for (int i = 0; i < 2 * CONSTRAINT_CACHE_SIZE; i++) {
        users.scope[0] = (uint8_t)i; /* other users of the same key have no more */
        (void)get_numbered(c, &users, 100 + i);
    }
    for (int i = 0; i < SHARE; i++)
        assert_ptr_equal(get_numbered(c, &ALICE, i), kept[i]);
    struct constraint *next =
        constraint_hold(get_numbered(c, &ALICE, SHARE)); /* beyond it: her own oldest */
    assert_ptr_not_equal(get_numbered(c, &ALICE, 0), kept[0]);
    assert_ptr_equal(get_numbered(c, &ALICE, SHARE), next);
    constraint_drop(next);
    for (int i = 0; i < SHARE; i++)
        constraint_drop(kept[i]);
    constraint_cache_free(c);
}

static void one_that_comes_later_gets_its_share(void **state)
{
    (void)state;
    struct constraint_cache *c = constraint_cache_new(engine);
    struct cache_tenant many = {0};
    for (int i = 0; i < CONSTRAINT_CACHE_SIZE; i++)
        (void)get_numbered(c, &ALICE, i);
    struct constraint *of_bob = constraint_hold(get_numbered(c, &BOB, 0));
    for (int i = 0; i < CONSTRAINT_CACHE_SIZE; i++)
        (void)get_numbered(c, &ALICE, 100 + i);
    assert_ptr_equal(get_numbered(c, &BOB, 0), of_bob);
    for (int i = 0; i < 2 * CONSTRAINT_CACHE_SIZE; i++) { /* more groups than places */
        many.group = (unsigned)(10 + i);
        struct constraint *one = constraint_hold(get_numbered(c, &many, 0));
        assert_ptr_equal(get_numbered(c, &many, 0), one);
        constraint_drop(one);
    }
    constraint_drop(of_bob);
    constraint_cache_free(c);
}

static void the_cache_gives_the_same_for_the_same_and_forgets_the_oldest(void **state)
{
    (void)state;
    struct constraint_cache *c = constraint_cache_new(engine);
    json_t *a = json_pack("{s:s}", "type", "null"), *b = json_pack("{s:s}", "type", "null");
    json_t *other = json_pack("{s:s}", "type", "string");
    struct constraint_spec spec = {.kind = CONSTRAINT_SCHEMA, .schema = a};
    struct constraint *first = get(c, &spec);
    spec.schema = b;
    assert_ptr_equal(get(c, &spec), first);
    spec.schema = other;
    assert_ptr_not_equal(get(c, &spec), first);
    spec.schema = a;
    struct constraint *held;
    assert_int_equal(constraint_cache_get(c, &ALICE, &spec, &held, NULL), 0);
    for (int i = 0; i < CONSTRAINT_CACHE_SIZE; i++)
        (void)get_numbered(c, &ALICE, i);
    assert_ptr_not_equal(get(c, &spec), held); /* it was forgotten, but is still there */
    constraint_drop(held);
    struct err err = {0};
    struct constraint_spec bad = {.kind = CONSTRAINT_REGEX, .text = "(", .size = 1};
    assert_int_equal(constraint_cache_get(c, &ALICE, &bad, &held, &err), -1);
    assert_int_equal(err.code, ERR_ARGUMENT);
    assert_null(held);
    constraint_cache_free(c);
    json_decref(a);
    json_decref(b);
    json_decref(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_field_says_what_form_the_answer_has),
        cmocka_unit_test(calls_are_bound_when_something_says_so),
        cmocka_unit_test(bad_forms_are_refused_by_name),
        cmocka_unit_test(nobody_gets_what_another_one_had_compiled),
        cmocka_unit_test(a_flood_of_forms_takes_nothing_from_a_group_within_its_share),
        cmocka_unit_test(one_that_comes_later_gets_its_share),
        cmocka_unit_test(the_cache_gives_the_same_for_the_same_and_forgets_the_oldest),
    };
    return cmocka_run_group_tests(tests, open_engine, close_engine);
}
