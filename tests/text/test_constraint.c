/* Masks of tokens against a check of each token by itself; constraints as an answer meets them; tool calls. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../support/accept.h"
#include "../support/random.h"
#include "base/clock.h"
#include "text/constraint.h"
#include "text/parse.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

#ifdef TENON_SANITIZED
enum { N_WALKS = 2, N_STEPS = 12, N_ANSWERS = 40 };
#else
enum { N_WALKS = 6, N_STEPS = 25, N_ANSWERS = 400 };
#endif

/* Of the matcher of an ordinary form, with all that its masks have made it store. */
enum { ORDINARY_ROOM = 128 << 10 };

struct world {
    struct tokenizer *tokenizer;
    struct token_trie *trie;
    struct parse_ids ids;
};

static struct world world;

static int open_world(void **state)
{
    (void)state;
    struct err err = {0};
    if (tokenizer_open(&world.tokenizer, "models/nano", &err)) return -1;
    world.ids = parse_ids_of(world.tokenizer);
    return token_trie_new(&world.trie, world.tokenizer, tokenizer_count(world.tokenizer) + 70,
                          world.ids.eos, &err);
}

static int close_world(void **state)
{
    (void)state;
    token_trie_free(world.trie);
    tokenizer_close(world.tokenizer);
    return 0;
}

static bool has(const uint64_t *mask, int id)
{
    return !mask || (mask[id / 64] >> id % 64 & 1);
}

/* A random token of the mask; EOS often when it is there. */
static int choose(const uint64_t *mask, int n_ids, int eos, struct random *random)
{
    int n = 0, chosen = -1;
    if (has(mask, eos) && random_int(random, 0, 3) == 0) return eos;
    for (int id = 0; id < n_ids; id++)
        if (id != eos && has(mask, id) && random_int(random, 0, n++) == 0) chosen = id;
    return chosen >= 0 ? chosen : eos;
}

/* ---- masks ---- */

static const struct {
    enum source kind;
    const char *source;
} sources[] = {
    {SOURCE_JSON_OBJECT, ""},
    {SOURCE_SCHEMA, "{\"type\":\"string\"}"},
    {SOURCE_SCHEMA, "{\"type\":\"string\",\"maxLength\":12}"},
    {SOURCE_SCHEMA,
     "{\"type\":\"array\",\"items\":{\"type\":\"integer\",\"minimum\":17,\"maximum\":4242}}"},
    {SOURCE_SCHEMA,
     "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"},\"kind\":{\"enum\":["
     "\"red\",\"green\",\"\xC3\xA9t\xC3\xA9\"]},\"more\":{\"$ref\":\"#\"}},"
     "\"additionalProperties\":{\"type\":\"number\"}}"},
    {SOURCE_SCHEMA, "{\"type\":\"string\",\"format\":\"date-time\"}"},
    {SOURCE_REGEX, "([a-z]+ ){3}[\\u4e00-\\u9fff]*"},
    {SOURCE_REGEX, ".*"},
    {SOURCE_EBNF, "root ::= e\ne ::= t (\"+\" t)*\nt ::= [0-9]+ | \"(\" e \")\""},
};

/* Each token alone, by a matcher of its own that is put to the same text first. */
static void check_mask(struct matcher *m, const struct automaton *a, const struct buf *text,
                       const uint64_t *bits)
{
    struct matcher *one = NULL;
    struct err err = {0};
    if (matcher_new(&one, a, &err)) fail_msg("%s", err.message);
    for (int id = 0; id < world.trie->n_ids; id++) {
        size_t size = 0;
        const char *s = tokenizer_piece(world.tokenizer, id, &size);
        bool want = false;
        if (id == world.ids.eos) {
            want = matcher_may_end(m);
        } else if (s && !tokenizer_is_added(world.tokenizer, id)) {
            if (matcher_restart(one, &err)) fail_msg("%s", err.message);
            assert_int_equal(matcher_bytes(one, buf_text(text), text->size, &err), 1);
            struct matcher_key key = matcher_key(one), same = matcher_key(m);
            assert_memory_equal(&key, &same, sizeof key);
            want = matcher_bytes(one, s, size, &err) == 1;
        }
        if (has(bits, id) != want) fail_msg("token %d after \"%s\": %d", id, buf_text(text), want);
    }
    matcher_free(one);
}

static void masks_are_those_of_each_token_alone(void **state)
{
    (void)state;
    struct random random = {5};
    uint64_t *bits = malloc((size_t)world.trie->n_words * sizeof *bits);
    int n = 0;
    for (size_t i = 0; i < COUNT(sources); i++) {
        struct automaton *a;
        struct matcher *m = NULL;
        struct err err = {0};
        if (accept_compile(&a, sources[i].kind, sources[i].source, &err) ||
            matcher_new(&m, a, &err))
            fail_msg("%s", err.message);
        for (int walk = 0; walk < N_WALKS; walk++) {
            struct buf text;
            buf_init(&text, 1 << 16);
            if (matcher_restart(m, &err)) fail_msg("%s", err.message);
            for (int step = 0; step < N_STEPS; step++, n++) {
                size_t size;
                if (matcher_mask(m, world.trie, bits, &err)) fail_msg("%s", err.message);
                if (step % 4 == walk % 4) check_mask(m, a, &text, bits);
                int id = choose(bits, world.trie->n_ids, world.ids.eos, &random);
                if (id < 0 || id == world.ids.eos) break;
                const char *s = tokenizer_piece(world.tokenizer, id, &size);
                assert_int_equal(matcher_bytes(m, s, size, &err), 1);
                buf_add(&text, s, size);
            }
            buf_fini(&text);
        }
        assert_true(matcher_room(m) < ORDINARY_ROOM);
        matcher_free(m);
        automaton_free(a);
    }
    print_message("%d states\n", n);
    free(bits);
}

/* Who writes a grammar does not know the keys of its states. */
static void keys_of_states_cannot_be_known_beforehand(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "x", "xy"};
    struct automaton *a[2];
    struct matcher *m[2] = {NULL, NULL};
    struct err err = {0};
    for (int i = 0; i < 2; i++)
        if (accept_compile(&a[i], SOURCE_REGEX, "xyz", &err) || matcher_new(&m[i], a[i], &err))
            fail_msg("%s", err.message);
    for (size_t t = 0; t < COUNT(texts); t++) {
        struct matcher_key keys[2];
        for (int i = 0; i < 2; i++) {
            if (matcher_restart(m[i], &err)) fail_msg("%s", err.message);
            assert_int_equal(matcher_bytes(m[i], texts[t], strlen(texts[t]), &err), 1);
            keys[i] = matcher_key(m[i]);
        }
        assert_true(keys[0].half[0] != keys[1].half[0] && keys[0].half[1] != keys[1].half[1]);
    }
    for (int i = 0; i < 2; i++) {
        matcher_free(m[i]);
        automaton_free(a[i]);
    }
}

static void half_a_character_is_allowed_where_it_can_be_completed(void **state)
{
    (void)state;
    struct automaton *a;
    struct matcher *m = NULL;
    struct err err = {0};
    uint64_t *bits = malloc((size_t)world.trie->n_words * sizeof *bits);
    if (accept_compile(&a, SOURCE_REGEX, "x[\xC3\xA9\xC3\xA8]", &err) || matcher_new(&m, a, &err))
        fail_msg("%s", err.message);
    assert_int_equal(matcher_bytes(m, "x", 1, &err), 1);
    if (matcher_mask(m, world.trie, bits, &err)) fail_msg("%s", err.message);
    for (int id = 0; id < world.trie->n_ids; id++) {
        size_t size = 0;
        const char *s = tokenizer_piece(world.tokenizer, id, &size);
        if (s && size == 1 && !tokenizer_is_added(world.tokenizer, id))
            assert_int_equal(has(bits, id), *s == '\xC3');
    }
    free(bits);
    matcher_free(m);
    automaton_free(a);
}

/* ---- whole answers ---- */

struct answer {
    struct buf text; /* with the marker spelled out */
    bool ended;
    struct parser *parser;
};

/* Draws tokens at random until the end, at most n. */
static void answer_randomly(struct constraint *c, bool thinking, int n, const json_t *tools,
                            struct random *random, struct answer *out)
{
    struct constraint_run *run = NULL;
    struct err err = {0};
    struct parse_options o = {.ids = world.ids, .thinking = thinking, .tools = tools};
    buf_init(&out->text, 1 << 20);
    out->ended = false;
    if (constraint_begin(&run, c, thinking, &err) || parse_new(&out->parser, &o, NULL, NULL, &err))
        fail_msg("%s", err.message);
    for (int i = 0; i < n && !out->ended; i++) {
        const uint64_t *mask = NULL;
        size_t size = 0;
        if (constraint_mask(run, &mask, &err)) fail_msg("%s", err.message);
        int id = thinking && i == 5 ? world.ids.end_think
                                    : choose(mask, world.trie->n_ids, world.ids.eos, random);
        assert_true(id >= 0 && has(mask, id));
        const char *s = tokenizer_piece(world.tokenizer, id, &size);
        bool shown = id != world.ids.eos && (!thinking || i > 5);
        if (shown) buf_add(&out->text, s, size);
        int rc = constraint_token(run, id, &err);
        if (rc < 0) fail_msg("%s", err.message);
        out->ended = rc == 1;
        if (parse_token(out->parser, id, s ? s : "", size, &err) < 0) fail_msg("%s", err.message);
    }
    constraint_end(run);
    if (parse_end(out->parser, PARSE_STOP, &err)) fail_msg("%s", err.message);
}

static void answer_fini(struct answer *a)
{
    parse_free(a->parser);
    buf_fini(&a->text);
}

static struct constraint *make(const struct constraint_spec *spec)
{
    struct constraint *c;
    struct err err = {0};
    if (constraint_new(&c, spec, world.trie, &err)) fail_msg("%s", err.message);
    return c;
}

static void a_choice_is_one_of_its_strings_and_ends(void **state)
{
    (void)state;
    json_t *choices = json_pack("[sss]", "yes", "no", "not at all");
    struct constraint_spec spec = {.kind = CONSTRAINT_CHOICE, .choices = choices};
    struct constraint *c = make(&spec);
    struct random random = {2};
    int seen[3] = {0};
    for (int i = 0; i < 60; i++) {
        struct answer a;
        bool found = false;
        answer_randomly(c, i % 2, 30, NULL, &random, &a);
        assert_true(a.ended);
        for (int k = 0; k < 3; k++) {
            bool same = strcmp(buf_text(&a.text),
                               json_string_value(json_array_get(choices, (size_t)k))) == 0;
            seen[k] += same;
            found |= same;
        }
        assert_true(found);
        answer_fini(&a);
    }
    assert_true(seen[0] && seen[1] && seen[2]);
    constraint_drop(c);
    json_decref(choices);
}

static void reasoning_is_free_but_for_eos_and_calls(void **state)
{
    (void)state;
    struct constraint_spec spec = {.kind = CONSTRAINT_REGEX, .text = "a", .size = 1};
    struct constraint *c = make(&spec);
    struct constraint_run *run = NULL;
    const uint64_t *mask = NULL;
    struct err err = {0};
    if (constraint_begin(&run, c, true, &err) || constraint_mask(run, &mask, &err))
        fail_msg("%s", err.message);
    for (int id = 0; id < tokenizer_count(world.tokenizer); id++)
        assert_int_equal(has(mask, id), id != world.ids.eos && id != world.ids.dsml);
    assert_int_equal(constraint_token(run, 5, &err), 0);
    assert_int_equal(constraint_token(run, world.ids.end_think, &err), 0);
    if (constraint_mask(run, &mask, &err)) fail_msg("%s", err.message);
    assert_false(has(mask, world.ids.eos));
    constraint_end(run);
    constraint_drop(c);

    spec = (struct constraint_spec){.kind = CONSTRAINT_REGEX, .text = "a?", .size = 2};
    c = make(&spec);
    if (constraint_begin(&run, c, true, &err) || constraint_mask(run, &mask, &err))
        fail_msg("%s", err.message);
    assert_true(has(mask, world.ids.eos)); /* nothing at all would do */
    constraint_end(run);
    constraint_drop(c);
}

static void a_token_beside_the_mask_fails_the_answer_alone(void **state)
{
    (void)state;
    struct constraint_spec spec = {.kind = CONSTRAINT_REGEX, .text = "a+", .size = 2};
    struct constraint *c = make(&spec);
    struct constraint_run *one = NULL, *other = NULL;
    const uint64_t *mask = NULL;
    struct err err = {0}, wrong = {0};
    int id = 0;
    if (constraint_begin(&one, c, false, &err) || constraint_begin(&other, c, false, &err) ||
        constraint_mask(one, &mask, &err))
        fail_msg("%s", err.message);
    while (has(mask, id) || tokenizer_is_added(world.tokenizer, id))
        id++;
    assert_int_equal(constraint_token(one, id, &wrong), -1);
    if (!strstr(wrong.message, "is not one that the answer may have"))
        fail_msg("%s", wrong.message);
    for (id = 0; !has(mask, id); id++)
        ;
    assert_int_equal(constraint_token(other, id, &err), 0);
    constraint_end(one);
    constraint_end(other);
    constraint_drop(c);
}

static void masks_are_the_same_kept_or_new(void **state)
{
    (void)state;
    struct constraint_spec spec = {.kind = CONSTRAINT_JSON_OBJECT};
    struct constraint *warm = make(&spec);
    struct random random = {7};
    struct err err = {0};
    for (int i = 0; i < 20; i++) {
        struct constraint *cold = make(&spec);
        struct constraint_run *a = NULL, *b = NULL, *other = NULL;
        if (constraint_begin(&a, warm, false, &err) || constraint_begin(&b, cold, false, &err) ||
            constraint_begin(&other, warm, false, &err))
            fail_msg("%s", err.message);
        for (int step = 0; step < N_STEPS; step++) {
            const uint64_t *x, *y;
            if (constraint_mask(a, &x, &err) || constraint_mask(b, &y, &err))
                fail_msg("%s", err.message);
            assert_memory_equal(x, y, (size_t)world.trie->n_words * sizeof *x);
            int id = choose(x, world.trie->n_ids, world.ids.eos, &random);
            int rc = constraint_token(a, id, &err);
            assert_int_equal(rc, constraint_token(b, id, &err));
            if (rc) break;
        }
        constraint_end(a);
        constraint_end(other);
        constraint_end(b);
        constraint_drop(cold);
    }
    constraint_drop(warm);
}

/* Behind `begin`, texts without one of the letters, and one of some digits: a state for every set of letters. */
static void add_wide(struct buf *out, const char *begin)
{
    buf_printf(out, "%s(?:", begin);
    for (char letter = 'a'; letter <= 'j'; letter++)
        for (char digit = '1'; digit <= '9'; digit++)
            buf_printf(out, "%s[^%c]*%c", letter == 'a' && digit == '1' ? "" : "|", letter, digit);
    buf_add_str(out, ")");
}

static void masks_that_take_too_much_work_are_refused(void **state)
{
    (void)state;
    static const char *const begins[] = {"", "<<<"};
    for (size_t i = 0; i < COUNT(begins); i++) {
        struct buf regex;
        struct constraint *c = NULL;
        struct constraint_run *run = NULL;
        struct err err = {0};
        const uint64_t *mask = NULL;
        buf_init(&regex, 4096);
        add_wide(&regex, begins[i]);
        struct constraint_spec spec = {
            .kind = CONSTRAINT_REGEX, .text = buf_text(&regex), .size = regex.size};
        int rc = constraint_new(&c, &spec, world.trie, &err);
        assert_int_equal(rc, i == 0 ? -1 : 0); /* the first mask; one behind it */
        for (int k = 0; k < 3 && rc == 0; k++) {
            struct ids ids;
            ids_init(&ids, 8);
            if (k == 0 && constraint_begin(&run, c, false, &err)) fail_msg("%s", err.message);
            if (tokenizer_encode(world.tokenizer, "<", 1, false, &ids, &err) ||
                constraint_mask(run, &mask, &err) || constraint_token(run, ids.data[0], &err))
                fail_msg("%s", err.message);
            ids_fini(&ids);
        }
        if (rc == 0) assert_int_equal(constraint_mask(run, &mask, &err), -1);
        assert_int_equal(err.code, ERR_LIMIT);
        if (!strstr(err.message, "takes too much work")) fail_msg("%s", err.message);
        constraint_end(run);
        constraint_drop(c);
        buf_fini(&regex);
    }
}

/* The mask behind a text, in malloc'd memory. */
static uint64_t *mask_behind(struct constraint *c, const char *text)
{
    struct constraint_run *run = NULL;
    const uint64_t *mask = NULL;
    struct ids ids;
    struct err err = {0};
    size_t size = (size_t)world.trie->n_words * sizeof *mask;
    ids_init(&ids, 4096);
    if (constraint_begin(&run, c, false, &err) ||
        tokenizer_encode(world.tokenizer, text, strlen(text), false, &ids, &err))
        fail_msg("%s", err.message);
    for (size_t i = 0; i < ids.n; i++)
        assert_int_equal(constraint_token(run, ids.data[i], &err), 0);
    if (constraint_mask(run, &mask, &err)) fail_msg("%s", err.message);
    uint64_t *copy = malloc(size);
    memcpy(copy, mask, size);
    constraint_end(run);
    ids_fini(&ids);
    return copy;
}

/* The same place in different surroundings, which decide what may come behind it. In DeepSeek's vocabulary, which
 * has tokens of a quote and what follows. */
static void kept_masks_tell_surroundings_apart(void **state)
{
    (void)state;
    static const char *const texts[] = {"{\"a\": \"x",   "{\"a\": [\"x", "{\"a\": {\"b\": \"x",
                                        "{\"a\": [[\"x", "{\"a\": 1",    "{\"a\": [1",
                                        "{\"x"};
    struct constraint_spec spec = {.kind = CONSTRAINT_JSON_OBJECT};
    struct world nano = world;
    struct err err = {0};
    if (tokenizer_open(&world.tokenizer, "tests/data/deepseek-tokenizer", &err) ||
        token_trie_new(&world.trie, world.tokenizer, tokenizer_count(world.tokenizer),
                       parse_ids_of(world.tokenizer).eos, &err))
        fail_msg("%s", err.message);
    struct constraint *warm = make(&spec);
    size_t size = (size_t)world.trie->n_words * sizeof(uint64_t);
    for (size_t i = 0; i < 2 * COUNT(texts); i++) {
        struct constraint *cold = make(&spec);
        uint64_t *got = mask_behind(warm, texts[i % COUNT(texts)]);
        uint64_t *want = mask_behind(cold, texts[i % COUNT(texts)]);
        assert_memory_equal(got, want, size);
        free(got);
        free(want);
        constraint_drop(cold);
    }
    constraint_drop(warm);
    close_world(NULL);
    world = nano;
}

/* ---- tool calls ---- */

static const char tools_text[] =
    "[{\"type\":\"function\",\"function\":{\"name\":\"weather\",\"strict\":true,\"parameters\":{"
    "\"type\":\"object\",\"properties\":{\"city\":{\"type\":\"string\"},\"days\":{\"type\":"
    "\"integer\","
    "\"minimum\":1,\"maximum\":9},\"unit\":{\"enum\":[\"C\",\"F\"]},\"at\":{\"anyOf\":[{\"type\":"
    "\"string\",\"format\":\"date\"},{\"type\":\"null\"}]}},\"required\":[\"city\",\"days\","
    "\"unit\","
    "\"at\"],\"additionalProperties\":false}}},"
    "{\"type\":\"function\",\"function\":{\"name\":\"now\"}},"
    "{\"type\":\"function\",\"function\":{\"name\":\"any\",\"parameters\":{\"type\":\"object\"}}},"
    "{\"type\":\"function\",\"function\":{\"name\":\"loose\",\"parameters\":{\"type\":\"object\","
    "\"properties\":{\"x\":{\"type\":\"integer\",\"not\":{}},\"y\":{\"type\":\"array\",\"items\":{"
    "\"type\":\"boolean\"}}},\"required\":[\"y\"]}}}]";

static json_t *load(const char *text)
{
    json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
    if (!value) fail_msg("no JSON: %s", text);
    return value;
}

/* Fails unless the arguments are what the tool of this name wants. */
static void check_call(const struct parse_call *call)
{
    json_t *arguments = json_loads(call->arguments, 0, NULL);
    if (!json_is_object(arguments)) fail_msg("%s: %s", call->name, call->arguments);
    if (strcmp(call->name, "weather") == 0) {
        json_int_t days = json_integer_value(json_object_get(arguments, "days"));
        const json_t *at = json_object_get(arguments, "at");
        const char *unit = json_string_value(json_object_get(arguments, "unit"));
        assert_int_equal(json_object_size(arguments), 4);
        assert_true(json_is_string(json_object_get(arguments, "city")));
        assert_in_range(days, 1, 9);
        assert_true(unit && (strcmp(unit, "C") == 0 || strcmp(unit, "F") == 0));
        assert_true(json_is_null(at) || json_string_length(at) == 10);
    } else if (strcmp(call->name, "now") == 0) {
        assert_int_equal(json_object_size(arguments), 0);
    } else if (strcmp(call->name, "loose") == 0) {
        const json_t *y = json_object_get(arguments, "y");
        assert_true(json_is_array(y));
        for (size_t i = 0; i < json_array_size(y); i++)
            assert_true(json_is_boolean(json_array_get(y, i)));
    } else {
        assert_string_equal(call->name, "any");
    }
    json_decref(arguments);
}

/* What the parser of the model's output makes of random answers. */
static void calls_are_what_the_tools_want(void **state)
{
    (void)state;
    json_t *tools = load(tools_text);
    struct random random = {11};
    int n_ended = 0, n_calls = 0, n_families = 0;
    for (int family = 0; family < FAMILY_COUNT; family++) {
        struct constraint_spec spec = {
            .tools = tools, .must_call = true, .family = (enum prompt_family)family};
        struct constraint *c = make(&spec);
        int before = n_calls;
        for (int i = 0; i < N_ANSWERS; i++) {
            struct answer a;
            answer_randomly(c, i % 2, 300, tools, &random, &a);
            const struct parse_result *r = parse_result(a.parser);
            assert_int_equal(r->content_size, 0);
            n_ended += a.ended;
            for (int k = 0; k < r->n_calls; k++, n_calls++)
                check_call(&r->calls[k]);
            if (a.ended) assert_int_equal(r->finish, PARSE_TOOL_CALLS);
            answer_fini(&a);
        }
        n_families += n_calls > before;
        constraint_drop(c);
    }
    print_message("%d answers ended, %d calls\n", n_ended, n_calls);
    assert_true(n_ended > N_ANSWERS / 20 && n_calls >= n_ended);
    assert_int_equal(n_families, FAMILY_COUNT);
    json_decref(tools);
}

/* Whether the constraint lets a text through, the marker as the token; and whether it is complete then. */
static bool lets(const struct constraint_spec *spec, const char *text, bool *complete)
{
    struct constraint *c = make(spec);
    struct constraint_run *run = NULL;
    struct ids ids;
    struct err err = {0};
    bool yes = true;
    ids_init(&ids, 4096);
    if (constraint_begin(&run, c, false, &err) ||
        tokenizer_encode(world.tokenizer, text, strlen(text), true, &ids, &err))
        fail_msg("%s", err.message);
    const uint64_t *mask = NULL;
    for (size_t i = 0; i < ids.n && yes; i++) {
        if (constraint_mask(run, &mask, &err)) fail_msg("%s", err.message);
        yes = has(mask, ids.data[i]);
        if (yes && constraint_token(run, ids.data[i], &err) < 0) fail_msg("%s", err.message);
    }
    if (yes && constraint_mask(run, &mask, &err)) fail_msg("%s", err.message);
    *complete = yes && has(mask, world.ids.eos);
    ids_fini(&ids);
    constraint_end(run);
    constraint_drop(c);
    return yes;
}

#define BEGIN "\n\n<｜DSML｜tool_calls>\n"
#define END "\n</｜DSML｜tool_calls>"
#define NOW "<｜DSML｜invoke name=\"now\">\n\n</｜DSML｜invoke>"
#define ANY(x)                                                                                     \
    "<｜DSML｜invoke name=\"any\">\n<｜DSML｜parameter name=\"p\" " x "</｜DSML｜parameter>\n"   \
    "</｜DSML｜invoke>"

static void the_form_of_calls_follows_what_is_asked(void **state)
{
    (void)state;
    json_t *tools = load(tools_text);
    struct constraint_spec must = {.tools = tools, .must_call = true, .family = FAMILY_OFFICIAL};
    struct constraint_spec named = must, one = must, may = must, json = must, free_one;
    named.only = "now";
    one.one_call = true;
    may.must_call = false;
    free_one = may;
    free_one.one_call = true;
    json.must_call = false;
    json.kind = CONSTRAINT_JSON_OBJECT;
    const struct {
        const struct constraint_spec *spec;
        const char *text;
        bool fits, complete;
    } rows[] = {
        {&must, BEGIN NOW END, true, true},
        {&must, BEGIN NOW "\n" NOW END, true, true},
        {&must, BEGIN NOW, true, false},
        {&must, BEGIN ANY("string=\"true\">a\n\"</b>") END, true, true},
        {&must, BEGIN ANY("string=\"false\">{\"a\": [1]}") END, true, true},
        {&must, BEGIN ANY("string=\"false\">abc") END, false, false},
        {&must, BEGIN ANY("string=\"false\">\"abc\"") END, false, false},
        {&must, "text" BEGIN NOW END, false, false},
        {&must, BEGIN END, false, false},
        {&must, BEGIN "<｜DSML｜invoke name=\"other\">", false, false},
        {&must, BEGIN NOW END "x", false, false},
        {&named, BEGIN NOW END, true, true},
        {&named, BEGIN ANY("string=\"true\">a") END, false, false},
        {&one, BEGIN NOW END, true, true},
        {&one, BEGIN NOW "\n" NOW END, false, false},
        {&may, "Just text.", true, true},
        {&may, "", true, true},
        {&may, "Text" BEGIN NOW END, true, true},
        {&may, BEGIN NOW "\n" NOW END, true, true},
        {&may, BEGIN "<｜DSML｜invoke name=\"other\">", false, false},
        {&may, BEGIN NOW END " more", false, false},
        {&may, "a < b </ c", true, true},
        {&free_one, "x" BEGIN NOW "\n" NOW END, false, false},
        {&json, "{\"a\": 1}", true, true},
        {&json, BEGIN NOW END, true, true},
        {&json, "text", false, false},
        {&json, "{\"a\": 1}" BEGIN, false, false},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        bool complete, fits = lets(rows[i].spec, rows[i].text, &complete);
        if (fits != rows[i].fits || complete != rows[i].complete)
            fail_msg("row %zu: %s: %d %d", i, rows[i].text, fits, complete);
    }
    json_decref(tools);
}

static void strict_tools_that_cannot_be_done_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *parameters, *message;
    } rows[] = {
        {"{\"type\":\"object\",\"properties\":{\"x\":{\"not\":{}}}}", "\"not\" at #/properties/x"},
        {"{\"type\":\"object\",\"minProperties\":1}", "\"minProperties\" at #"},
        {"{\"type\":\"object\",\"required\":[\"x\"]}", "\"x\" is no property"},
        {"{\"type\":\"object\",\"properties\":{\"a\\\"b\":{}}}", "name of a parameter"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        json_t *tools = json_pack("[{s:s, s:{s:s, s:b, s:o}}]", "type", "function", "function",
                                  "name", "f", "strict", 1, "parameters", load(rows[i].parameters));
        struct constraint_spec spec = {.tools = tools, .must_call = true};
        struct constraint *c = NULL;
        struct err err = {0};
        assert_int_equal(constraint_new(&c, &spec, world.trie, &err), -1);
        if (!strstr(err.message, rows[i].message) || !strstr(err.message, "function \"f\""))
            fail_msg("%s", err.message);
        json_object_set_new(json_object_get(json_array_get(tools, 0), "function"), "strict",
                            json_false());
        err = (struct err){0};
        if (constraint_new(&c, &spec, world.trie, &err)) fail_msg("%s", err.message);
        constraint_drop(c);
        json_decref(tools);
    }
}

/* 128 functions of 12 parameters, some of any value, some through $ref. */
static void many_tools_fit(void **state)
{
    (void)state;
    json_t *tools = json_array();
    for (int i = 0; i < 128; i++) {
        char name[16];
        json_t *properties = json_object();
        snprintf(name, sizeof name, "f%d", i);
        for (int k = 0; k < 12; k++) {
            char key[16];
            snprintf(key, sizeof key, "p%d", k);
            json_object_set_new(properties, key,
                                k % 3 == 0   ? json_object()
                                : k % 3 == 1 ? json_pack("{s:s}", "$ref", "#/$defs/d")
                                             : json_pack("{s:s}", "type", "string"));
        }
        json_array_append_new(tools,
                              json_pack("{s:s, s:{s:s, s:{s:o, s:{s:{s:s, s:{s:{s:s}}}}}}}", "type",
                                        "function", "function", "name", name, "parameters",
                                        "properties", properties, "$defs", "d", "type", "object",
                                        "properties", "x", "type", "integer"));
    }
    struct constraint_spec spec = {.tools = tools, .must_call = true, .only = NULL};
    struct constraint *c = make(&spec);
    struct random random = {4};
    struct answer a;
    answer_randomly(c, false, 100, tools, &random, &a);
    assert_true(strncmp(buf_text(&a.text), "\n\n<", 3) == 0);
    answer_fini(&a);
    constraint_drop(c);
    json_decref(tools);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(masks_are_those_of_each_token_alone),
        cmocka_unit_test(keys_of_states_cannot_be_known_beforehand),
        cmocka_unit_test(half_a_character_is_allowed_where_it_can_be_completed),
        cmocka_unit_test(a_choice_is_one_of_its_strings_and_ends),
        cmocka_unit_test(reasoning_is_free_but_for_eos_and_calls),
        cmocka_unit_test(a_token_beside_the_mask_fails_the_answer_alone),
        cmocka_unit_test(masks_are_the_same_kept_or_new),
        cmocka_unit_test(masks_that_take_too_much_work_are_refused),
        cmocka_unit_test(kept_masks_tell_surroundings_apart),
        cmocka_unit_test(calls_are_what_the_tools_want),
        cmocka_unit_test(the_form_of_calls_follows_what_is_asked),
        cmocka_unit_test(strict_tools_that_cannot_be_done_are_refused),
        cmocka_unit_test(many_tools_fit),
    };
    return cmocka_run_group_tests(tests, open_world, close_world);
}
