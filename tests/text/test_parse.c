/* The parser of the model's output: well-formed and broken output, every cut of the text, stop
 * strings, what is held back and when it goes out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../support/random.h"
#include "base/json.h"
#include "text/parse.h"

enum { THINK = 1001, END_THINK, DSML, EOS };

/* Shorthand in the samples: what becomes a control token. */
static const struct {
    char letter;
    int id;
    const char *text;
} controls[] = {{'\1', THINK, "<think>"},
                {'\2', END_THINK, "</think>"},
                {'\3', DSML, "｜DSML｜"},
                {'\4', EOS, "<｜end▁of▁sentence｜>"}};
#define T "\1"
#define ET "\2"
#define D "\3"
#define END "\4"

#define OPEN "\n\n<" D "tool_calls>\n"
#define CLOSE "</" D "tool_calls>"
#define INVOKE(name) "<" D "invoke name=\"" name "\">\n"
#define END_INVOKE "</" D "invoke>\n"
#define PARAM(key, string, value)                                                                  \
    "<" D "parameter name=\"" key "\" string=\"" string "\">" value "</" D "parameter>\n"

/* Events as text: R{reasoning}C{content}[name|arguments] and ! for a broken call. */
struct trace {
    struct buf text;
    int last; /* kind of the open run */
};

static void trace_event(void *ctx, const struct parse_event *e)
{
    static const char *const opens[] = {"R{", "C{", "[", "|", "]", "!]"};
    struct trace *t = ctx;
    bool is_text = e->kind == PARSE_REASONING || e->kind == PARSE_CONTENT;
    assert_true(utf8_valid(e->text, e->size));
    assert_int_equal(strlen(e->text), e->size);
    assert_int_equal(e->call < 0, is_text);
    if (is_text || e->kind == PARSE_ARGUMENTS) assert_true(e->size > 0);
    if (t->last != (int)e->kind) {
        if (t->last == PARSE_REASONING || t->last == PARSE_CONTENT) buf_add_str(&t->text, "}");
        buf_add_str(&t->text, opens[e->kind]);
    }
    buf_add(&t->text, e->text, e->size);
    t->last = (int)e->kind;
}

struct outcome {
    struct buf trace, result;
};

static void outcome_fini(struct outcome *o)
{
    buf_fini(&o->trace);
    buf_fini(&o->result);
}

/* The result in the same notation, then finish reason and stop string. */
static void print_result(const struct parse_result *r, struct buf *out)
{
    if (r->reasoning_size) buf_printf(out, "R{%s}", r->reasoning);
    if (r->content_size) buf_printf(out, "C{%s}", r->content);
    for (int i = 0; i < r->n_calls; i++)
        buf_printf(out, "[%s|%s]", r->calls[i].name, r->calls[i].arguments);
    buf_printf(out, " %s %d", parse_finish_name(r->finish), r->stop);
    assert_int_equal(strlen(r->reasoning), r->reasoning_size);
    assert_int_equal(strlen(r->content), r->content_size);
}

static int control_at(char c)
{
    for (int i = 0; i < 4; i++)
        if (controls[i].letter == c) return i;
    return -1;
}

struct sample {
    const char *text, *want; /* want: result as print_result writes it */
    bool thinking;
    const char *stop;
    const char *tools;
    bool length;       /* ends for want of tokens */
    const char *trace; /* the events, where they tell more than the result */
};

/* *tools: for the caller to free, with the parser. */
static struct parser *open_parser(const struct sample *s, struct trace *trace, json_t **tools)
{
    struct parser *p = NULL;
    struct err err = {0};
    *tools = NULL;
    if (s->tools && json_parse(tools, "tools", s->tools, strlen(s->tools), &err))
        fail_msg("%s", err.message);
    struct parse_options o = {.ids = {THINK, END_THINK, DSML, EOS},
                              .thinking = s->thinking,
                              .stops = &s->stop,
                              .n_stops = s->stop ? 1 : 0,
                              .tools = *tools,
                              .max_bytes = 1 << 20};
    assert_int_equal(parse_new(&p, &o, trace_event, trace, &err), 0);
    return p;
}

/* Feeds the sample in tokens whose ends `cut` chooses. */
static struct outcome feed(const struct sample *s, bool (*cut)(void *ctx, size_t at), void *ctx)
{
    struct outcome o;
    struct trace trace = {.last = -1};
    struct err err = {0};
    buf_init(&trace.text, 1 << 22);
    buf_init(&o.result, 1 << 22);
    json_t *tools;
    struct parser *p = open_parser(s, &trace, &tools);
    int rc = 0;
    for (size_t i = 0, n = strlen(s->text); i < n && rc == 0;) {
        int control = control_at(s->text[i]);
        if (control >= 0) {
            rc = parse_token(p, controls[control].id, controls[control].text,
                             strlen(controls[control].text), &err);
            i++;
            continue;
        }
        size_t end = i + 1;
        while (end < n && control_at(s->text[end]) < 0 && !cut(ctx, end))
            end++;
        rc = parse_token(p, 7, s->text + i, end - i, &err);
        i = end;
    }
    assert_true(rc >= 0);
    assert_int_equal(parse_end(p, s->length ? PARSE_LENGTH : PARSE_STOP, &err), 0);
    print_result(parse_result(p), &o.result);
    if (trace.last == PARSE_REASONING || trace.last == PARSE_CONTENT) buf_add_str(&trace.text, "}");
    o.trace = trace.text;
    parse_free(p);
    json_decref(tools);
    return o;
}

static bool never(void *ctx, size_t at)
{
    (void)ctx, (void)at;
    return false;
}
static bool always(void *ctx, size_t at)
{
    (void)ctx, (void)at;
    return true;
}
static bool at_one(void *ctx, size_t at)
{
    return *(size_t *)ctx == at;
}
static bool at_random(void *ctx, size_t at)
{
    (void)at;
    return random_int(ctx, 0, 3) == 0;
}

#define TOOLS                                                                                      \
    "[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"type\":\"object\","    \
    "\"properties\":{\"s\":{\"type\":\"string\"},\"i\":{\"type\":\"integer\"},\"o\":{\"type\":"    \
    "\"object\"},\"b\":{\"type\":\"boolean\"},\"n\":{\"type\":\"number\"}}}}}]"

static const struct sample samples[] = {
    /* plain */
    {.text = "Hello" END, .want = "C{Hello} stop -1"},
    {.text = "", .want = " stop -1"},
    {.text = "Hello", .want = "C{Hello} length -1", .length = true},
    {.text = "easy" ET "4" END, .want = "R{easy}C{4} stop -1", .thinking = true},
    {.text = ET "4" END, .want = "C{4} stop -1", .thinking = true},
    {.text = "a\n\nb  \n" END "ignored", .want = "C{a\n\nb  \n} stop -1"},
    {.text = "中文 é 😀 𠀀" ET "中" END, .want = "R{中文 é 😀 𠀀}C{中} stop -1", .thinking = true},
    {.text = "a\xe4\xb8", .want = "C{a\xef\xbf\xbd} length -1", .length = true},
    {.text = "a\xe4\xb8" ET "b" END, .want = "R{a\xef\xbf\xbd}C{b} stop -1", .thinking = true},
    /* thinking gone wrong */
    {.text = "all of it \n\n",
     .want = "R{all of it \n\n} length -1",
     .thinking = true,
     .length = true},
    {.text = "never closed" END, .want = "R{never closed} stop -1", .thinking = true},
    {.text = "a" ET "b" ET "c" T "d" END, .want = "R{a}C{bcd} stop -1", .thinking = true},
    {.text = T "a" ET "b" END, .want = "R{a}C{b} stop -1", .thinking = true},
    {.text = "x" T "y" END, .want = "C{xy} stop -1"},
    /* what only looks like structure */
    {.text = "1 < 2 </a> <" D " x\n\n<b" END, .want = "C{1 < 2 </a> <｜DSML｜ x\n\n<b} stop -1"},
    {.text = "say ｜DSML｜ and <｜DSML｜tool_calls>" END,
     .want = "C{say ｜DSML｜ and <｜DSML｜tool_calls>} stop -1"},
    {.text = "\n\n<" END, .want = "C{\n\n<} stop -1"},
    {.text = "\n\n<" D "tool_ca" END, .want = "C{\n\n<｜DSML｜tool_ca} stop -1"},
    {.text = "a" OPEN "junk" END, .want = "C{a\n\n<｜DSML｜tool_calls>\njunk} stop -1"},
    /* calls */
    {.text = "Go." OPEN INVOKE("f") PARAM("c", "true", "Oslo") PARAM("d", "false", "2")
         END_INVOKE CLOSE,
     .want = "C{Go.}[f|{\"c\": \"Oslo\", \"d\": 2}] tool_calls -1"},
    {.text = "r" ET OPEN INVOKE("f") "\n" END_INVOKE INVOKE("g") END_INVOKE CLOSE END,
     .want = "R{r}[f|{}][g|{}] tool_calls -1",
     .thinking = true},
    {.text = OPEN INVOKE("f") PARAM("c", "true", "a\"b\\c\n</b> <" D "parameter \t\x7f")
         END_INVOKE CLOSE,
     .want = "[f|{\"c\": \"a\\\"b\\\\c\\n</b> <｜DSML｜parameter \\t\x7f\"}] tool_calls -1"},
    {.text = OPEN INVOKE("f") PARAM("c", "true", "😀" T ET "</" D "invoke>") END_INVOKE CLOSE,
     .want = "[f|{\"c\": \"😀<think></think></｜DSML｜invoke>\"}] tool_calls -1"},
    {.text = OPEN INVOKE("f") PARAM("c", "true", "") END_INVOKE CLOSE,
     .want = "[f|{\"c\": \"\"}] tool_calls -1"},
    {.text =
         OPEN INVOKE("f") PARAM("a", "false", "{\"k\": [1, null]}") END_INVOKE CLOSE "more text",
     .want = "[f|{\"a\": {\"k\": [1, null]}}] tool_calls -1"},
    /* tolerance */
    {.text = "x<" D "tool_calls>" INVOKE("f") END_INVOKE CLOSE, .want = "C{x}[f|{}] tool_calls -1"},
    {.text = "x\n<" D "tool_calls>\n" INVOKE("f") END_INVOKE CLOSE,
     .want = "C{x}[f|{}] tool_calls -1"},
    {.text = "x \n\n\n  <" D "tool_calls>\n" INVOKE("f") END_INVOKE CLOSE,
     .want = "C{x \n}[f|{}] tool_calls -1"},
    {.text = "\n\n<" D "function_calls>\n" INVOKE("f") END_INVOKE "</" D "function_calls>",
     .want = "[f|{}] tool_calls -1"},
    {.text = "\n\n<" D " calls>\n<" D " invoke name=\"f\">\n<" D
             " parameter name=\"a\" string=\"true\">v</" D " parameter>\n</" D " invoke>\n</" D
             " calls>",
     .want = "[f|{\"a\": \"v\"}] tool_calls -1"},
    {.text = OPEN INVOKE("f") END_INVOKE END, .want = "[f|{}] tool_calls -1"},
    {.text = OPEN INVOKE("f") PARAM("a", "true", "1") END_INVOKE INVOKE("g") PARAM("b", "true", "2")
         END,
     .want = "[f|{\"a\": \"1\"}] tool_calls -1",
     .trace = "[f|{\"a\": \"1\"}][g|{\"b\": \"2\"!]"},
    {.text = OPEN INVOKE("g") "<" D "parameter name=\"b\" string=\"true\">cut o",
     .want = " length -1",
     .length = true,
     .trace = "[g|{\"b\": \"cut o!]"},
    {.text = OPEN INVOKE("f") "noise" PARAM("a", "false", "1") "noise" END_INVOKE "noise" CLOSE,
     .want = "[f|{\"a\": 1}] tool_calls -1"},
    {.text = OPEN INVOKE("f") PARAM("a", "false", "1") PARAM("a", "false", "2") END_INVOKE CLOSE,
     .want = "[f|{\"a\": 1}] tool_calls -1"},
    /* values that are not what they say */
    {.text = OPEN INVOKE("f") PARAM("a", "false", "{broken") END_INVOKE CLOSE,
     .want = "[f|{\"a\": \"{broken\"}] tool_calls -1"},
    {.text = OPEN INVOKE("f") "<" D "parameter name=\"a\">7</" D "parameter>\n<" D
                              "parameter name=\"b\">x y</" D "parameter>\n" END_INVOKE CLOSE,
     .want = "[f|{\"a\": 7, \"b\": \"x y\"}] tool_calls -1"},
    {.text = OPEN INVOKE("f") PARAM("s", "false", "5") PARAM("i", "true", "5") PARAM(
         "o", "true", "{}") PARAM("b", "true", "yes") PARAM("n", "true", "2.5") END_INVOKE CLOSE,
     .want = "[f|{\"s\": \"5\", \"i\": 5, \"o\": {}, \"b\": \"yes\", \"n\": 2.5}] tool_calls -1",
     .tools = TOOLS},
    {.text =
         OPEN INVOKE("f") PARAM("s", "false", "\"q\"") PARAM("i", "false", "1.5") END_INVOKE CLOSE,
     .want = "[f|{\"s\": \"q\", \"i\": 1.5}] tool_calls -1",
     .tools = TOOLS},
    /* calls before </think> */
    {.text = "r" OPEN INVOKE("f") PARAM("a", "false", "1") END_INVOKE CLOSE "\n" END,
     .want = "R{r}[f|{\"a\": 1}] tool_calls -1",
     .thinking = true},
    {.text = "r" OPEN INVOKE("f") END_INVOKE CLOSE ET "c" END,
     .want = "R{r\n\n<｜DSML｜tool_calls>\n<｜DSML｜invoke name=\"f\">\n</｜DSML｜invoke>\n"
             "</｜DSML｜tool_calls>}C{c} stop -1",
     .thinking = true},
    {.text = "r\n<" D "tool_calls></" D "tool_calls> is how. " ET "c" END,
     .want = "R{r\n<｜DSML｜tool_calls></｜DSML｜tool_calls> is how. }C{c} stop -1",
     .thinking = true},
    {.text = "r" OPEN INVOKE("f") END,
     .want = "R{r\n\n<｜DSML｜tool_calls>\n<｜DSML｜invoke name=\"f\">\n} stop -1",
     .thinking = true},
    {.text = "r\n<" D "tool_calls>" INVOKE("f") END_INVOKE CLOSE,
     .want = "R{r\n<｜DSML｜tool_calls><｜DSML｜invoke name=\"f\">\n</｜DSML｜invoke>\n"
             "</｜DSML｜tool_calls>} length -1",
     .thinking = true,
     .length = true},
    /* stop strings */
    {.text = "one STOP two" END, .want = "C{one } stop 0", .stop = "STOP"},
    {.text = "one STO" END, .want = "C{one STO} stop -1", .stop = "STOP"},
    {.text = "STOP" ET "a STOP", .want = "R{STOP}C{a } stop 0", .thinking = true, .stop = "STOP"},
    {.text = "aabaabaaab" END, .want = "C{aabaa} stop 0", .stop = "baaab"},
    {.text = "x\n\ny" END, .want = "C{x} stop 0", .stop = "\n\n"},
    {.text = "x\n\n", .want = "C{x} stop 0", .stop = "\n\n", .length = true},
    {.text = "x ab" OPEN INVOKE("f") END_INVOKE CLOSE,
     .want = "C{x ab}[f|{}] tool_calls -1",
     .stop = "abc"},
    {.text = "中国人" END, .want = "C{中} stop 0", .stop = "国"},
};
enum { N_SAMPLES = sizeof samples / sizeof *samples };

static void assert_outcome(const struct sample *s, struct outcome o)
{
    if (strcmp(buf_text(&o.result), s->want) != 0)
        fail_msg("\"%s\"\n  gives %s\n  wants %s", s->text, buf_text(&o.result), s->want);
    /* The events say what the result says. */
    const char *trace = s->trace ? s->trace : s->want;
    size_t size = s->trace ? strlen(trace) : (size_t)(strrchr(trace, ' ') - trace);
    while (!s->trace && trace[--size] != ' ')
        ;
    if (o.trace.size != size || memcmp(buf_text(&o.trace), trace, size) != 0)
        fail_msg("\"%s\"\n  events %s\n  wanted %.*s", s->text, buf_text(&o.trace), (int)size,
                 trace);
    outcome_fini(&o);
}

static void samples_give_their_result_at_every_cut(void **state)
{
    (void)state;
    struct random random = {11};
    for (int i = 0; i < N_SAMPLES; i++) {
        const struct sample *s = &samples[i];
        assert_outcome(s, feed(s, never, NULL));
        assert_outcome(s, feed(s, always, NULL));
        for (size_t at = 1; at < strlen(s->text); at++)
            assert_outcome(s, feed(s, at_one, &at));
        for (int round = 0; round < 50; round++)
            assert_outcome(s, feed(s, at_random, &random));
    }
}

static void spelled_text_gives_the_same(void **state)
{
    (void)state;
    for (int i = 0; i < N_SAMPLES; i++) {
        struct trace trace = {.last = -1};
        struct err err = {0};
        struct buf text, result;
        const struct sample *s = &samples[i];
        if (strstr(s->text, "｜DSML｜")) continue; /* typed, not a token: only ids can tell */
        buf_init(&text, 1 << 16);
        buf_init(&result, 1 << 16);
        buf_init(&trace.text, 1 << 16);
        for (const char *c = s->text; *c; c++) {
            if (control_at(*c) >= 0)
                buf_add_str(&text, controls[control_at(*c)].text);
            else
                buf_add_byte(&text, *c);
        }
        json_t *tools;
        struct parser *p = open_parser(s, &trace, &tools);
        assert_true(parse_text(p, buf_text(&text), text.size, &err) >= 0);
        assert_int_equal(parse_end(p, s->length ? PARSE_LENGTH : PARSE_STOP, &err), 0);
        print_result(parse_result(p), &result);
        assert_string_equal(buf_text(&result), s->want);
        parse_free(p);
        json_decref(tools);
        buf_fini(&text);
        buf_fini(&result);
        buf_fini(&trace.text);
    }
}

/* One token after another: what has gone out after each. */
static void assert_steps(const struct sample *s, const char *const *tokens,
                         const char *const *after)
{
    struct trace trace = {.last = -1};
    struct err err = {0};
    buf_init(&trace.text, 1 << 16);
    json_t *tools;
    struct parser *p = open_parser(s, &trace, &tools);
    for (int i = 0; tokens[i]; i++) {
        int control = control_at(tokens[i][0]);
        int id = control >= 0 ? controls[control].id : 7;
        assert_true(parse_token(p, id, tokens[i], strlen(tokens[i]), &err) >= 0);
        if (strcmp(buf_text(&trace.text), after[i]) != 0)
            fail_msg("after token %d: %s, wanted %s", i, buf_text(&trace.text), after[i]);
    }
    parse_free(p);
    json_decref(tools);
    buf_fini(&trace.text);
}

static void only_what_may_open_a_block_is_held_back(void **state)
{
    (void)state;
    struct sample chat = {0}, stop = {.stop = "END!"};
    assert_steps(&chat,
                 (const char *const[]){"a", "\n\n", "b", " <", "c", "\n\n", "<", D, "tool", NULL},
                 (const char *const[]){"C{a", "C{a", "C{a\n\nb", "C{a\n\nb", "C{a\n\nb <c",
                                       "C{a\n\nb <c", "C{a\n\nb <c", "C{a\n\nb <c", "C{a\n\nb <c"});
    assert_steps(&chat, (const char *const[]){"\xe4", "\xb8\xad!", "\xf0\x9f", "\x98\x80", NULL},
                 (const char *const[]){"", "C{中!", "C{中!", "C{中!😀"});
    assert_steps(&stop, (const char *const[]){"xE", "N", "D", "E", "ND", "!", NULL},
                 (const char *const[]){"C{x", "C{x", "C{x", "C{xEND", "C{xEND", "C{xEND"});
}

static void arguments_stream_as_they_come(void **state)
{
    (void)state;
    struct sample chat = {0};
    assert_steps(&chat,
                 (const char *const[]){"\n\n<",
                                       D,
                                       "tool_calls>\n<",
                                       D,
                                       "invoke name=\"f\">\n<",
                                       D,
                                       "parameter name=\"c\" string=\"true\">O",
                                       "s\"l",
                                       "o<",
                                       "/",
                                       "b</",
                                       D,
                                       "parameter>\n<",
                                       D,
                                       "parameter name=\"d\" string=\"false\">",
                                       "1",
                                       "2",
                                       "</",
                                       D,
                                       "parameter>\n</",
                                       D,
                                       "invoke>",
                                       "\n</",
                                       D,
                                       "tool_calls",
                                       ">",
                                       NULL},
                 (const char *const[]){"",
                                       "",
                                       "",
                                       "",
                                       "[f",
                                       "[f",
                                       "[f|{\"c\": \"O",
                                       "[f|{\"c\": \"Os\\\"l",
                                       "[f|{\"c\": \"Os\\\"lo",
                                       "[f|{\"c\": \"Os\\\"lo",
                                       "[f|{\"c\": \"Os\\\"lo</b",
                                       "[f|{\"c\": \"Os\\\"lo</b",
                                       "[f|{\"c\": \"Os\\\"lo</b\"",
                                       "[f|{\"c\": \"Os\\\"lo</b\"",
                                       "[f|{\"c\": \"Os\\\"lo</b\", \"d\": ",
                                       "[f|{\"c\": \"Os\\\"lo</b\", \"d\": ",
                                       "[f|{\"c\": \"Os\\\"lo</b\", \"d\": ",
                                       "[f|{\"c\": \"Os\\\"lo</b\", \"d\": ",
                                       "[f|{\"c\": \"Os\\\"lo</b\", \"d\": ",
                                       "[f|{\"c\": \"Os\\\"lo</b\", \"d\": 12",
                                       "[f|{\"c\": \"Os\\\"lo</b\", \"d\": 12",
                                       "[f|{\"c\": \"Os\\\"lo</b\", \"d\": 12}]",
                                       "[f|{\"c\": \"Os\\\"lo</b\", \"d\": 12}]",
                                       "[f|{\"c\": \"Os\\\"lo</b\", \"d\": 12}]",
                                       "[f|{\"c\": \"Os\\\"lo</b\", \"d\": 12}]",
                                       "[f|{\"c\": \"Os\\\"lo</b\", \"d\": 12}]"});
}

static void tokens_are_counted(void **state)
{
    (void)state;
    struct sample s = {.thinking = true};
    struct trace trace = {.last = -1};
    struct err err = {0};
    buf_init(&trace.text, 1000);
    json_t *tools;
    struct parser *p = open_parser(&s, &trace, &tools);
    assert_int_equal(parse_token(p, 7, "a", 1, &err), 0);
    assert_int_equal(parse_token(p, 7, "b", 1, &err), 0);
    assert_int_equal(parse_token(p, END_THINK, "", 0, &err), 0);
    assert_int_equal(parse_token(p, 7, "c", 1, &err), 0);
    assert_int_equal(parse_token(p, EOS, "", 0, &err), 1);
    assert_int_equal(parse_token(p, 7, "d", 1, &err), 1);
    assert_int_equal(parse_end(p, PARSE_LENGTH, &err), 0);
    assert_int_equal(parse_result(p)->n_tokens, 5);
    assert_int_equal(parse_result(p)->n_reasoning_tokens, 3);
    assert_int_equal(parse_result(p)->finish, PARSE_STOP);
    parse_free(p);
    json_decref(tools);
    buf_fini(&trace.text);
}

static void memory_is_bounded(void **state)
{
    (void)state;
    static const char *const begins[] = {"",
                                         "</think>",
                                         "</think>\n\n<｜DSML｜tool_calls>",
                                         "<｜DSML｜tool_calls>",
                                         "<｜DSML｜tool_calls>",
                                         "</think><｜DSML｜tool_calls><｜DSML｜invoke name=\"f\">"
                                         "<｜DSML｜parameter name=\"a\" string=\"true\">",
                                         "</think><｜DSML｜tool_calls><｜DSML｜invoke name=\"f\">"
                                         "<｜DSML｜parameter name=\"a\" string=\"false\">"};
    for (size_t i = 0; i < sizeof begins / sizeof *begins; i++) {
        struct parser *p = NULL;
        struct err err = {0};
        struct parse_options o = {
            .ids = {THINK, END_THINK, DSML, EOS}, .thinking = true, .max_bytes = 10000};
        char junk[1000];
        int rc;
        memset(junk, 'j', sizeof junk);
        assert_int_equal(parse_new(&p, &o, NULL, NULL, &err), 0);
        rc = parse_text(p, begins[i], strlen(begins[i]), &err);
        int fed = 0;
        for (; rc == 0 && fed < 200; fed++)
            rc = parse_token(p, 7, junk, sizeof junk, &err);
        assert_int_equal(rc, -1);
        assert_int_equal(err.code, ERR_LIMIT);
        parse_free(p);
    }
}

static void bad_stop_strings_are_refused(void **state)
{
    (void)state;
    char long_stop[300];
    memset(long_stop, 'x', 299);
    long_stop[299] = 0;
    const char *bad[] = {"", long_stop, "\xff"};
    for (int i = 0; i < 3; i++) {
        struct parser *p = NULL;
        struct err err = {0};
        struct parse_options o = {.stops = &bad[i], .n_stops = 1};
        assert_int_equal(parse_new(&p, &o, NULL, NULL, &err), -1);
        assert_int_equal(err.code, ERR_ARGUMENT);
        assert_null(p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_give_their_result_at_every_cut),
        cmocka_unit_test(spelled_text_gives_the_same),
        cmocka_unit_test(only_what_may_open_a_block_is_held_back),
        cmocka_unit_test(arguments_stream_as_they_come),
        cmocka_unit_test(tokens_are_counted),
        cmocka_unit_test(memory_is_bounded),
        cmocka_unit_test(bad_stop_strings_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
