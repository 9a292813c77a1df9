/* The parser of the model's output. The first byte chooses mode, stop string and tools; then text in
 * which the bytes 1 to 4 are <think>, </think>, the DSML marker and EOS, and 5 ends a token. The
 * result must be the sum of the events, the same whatever the tokens' cuts, and arguments JSON. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "text/parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { THINK = 1, DSML = 3, EOS = 4, CUT = 5, TEXT = 100, MAX_BYTES = 1 << 16 };

struct sums {
    struct buf reasoning, content, arguments;
    int open; /* the call that is open, or -1 */
    int n_complete;
};

static void add_event(void *ctx, const struct parse_event *e)
{
    struct sums *s = ctx;
    CHECK(utf8_valid(e->text, e->size), "half a character");
    switch (e->kind) {
    case PARSE_REASONING:
        buf_add(&s->reasoning, e->text, e->size);
        break;
    case PARSE_CONTENT:
        buf_add(&s->content, e->text, e->size);
        break;
    case PARSE_CALL:
        CHECK(s->open < 0, "a call inside a call");
        s->open = e->call;
        buf_clear(&s->arguments);
        break;
    case PARSE_ARGUMENTS:
        CHECK(s->open == e->call, "arguments of another call");
        buf_add(&s->arguments, e->text, e->size);
        break;
    case PARSE_CALL_END:
    case PARSE_CALL_BROKEN:
        CHECK(s->open == e->call, "the end of another call");
        s->open = -1;
        if (e->kind == PARSE_CALL_BROKEN) break;
        s->n_complete++;
        json_t *parsed = NULL;
        struct err err = {0};
        if (json_parse(&parsed, "arguments", buf_text(&s->arguments), s->arguments.size, &err))
            CHECK(err.code == ERR_LIMIT, "%s", err.message); /* deep values are the client's */
        CHECK(!parsed || json_is_object(parsed), "arguments are no object");
        json_decref(parsed);
        break;
    }
}

static struct parser *start(uint8_t flags, const json_t *tools, struct sums *sums)
{
    static const char *const stops[] = {"stop", "\n\n", "aab"};
    struct parse_options o = {.ids = {THINK, THINK + 1, DSML, EOS},
                              .thinking = flags & 1,
                              .stops = stops,
                              .n_stops = flags & 2 ? 3 : 0,
                              .tools = flags & 4 ? tools : NULL,
                              .max_bytes = MAX_BYTES};
    struct parser *p = NULL;
    struct err err = {0};
    *sums = (struct sums){.open = -1};
    buf_init(&sums->reasoning, 1 << 20);
    buf_init(&sums->content, 1 << 20);
    buf_init(&sums->arguments, 1 << 20);
    CHECK(parse_new(&p, &o, add_event, sums, &err) == 0, "%s", err.message);
    return p;
}

/* At cuts or byte by byte. -1 when the cap was met. */
static int feed(struct parser *p, const uint8_t *data, size_t size, bool by_byte, bool length)
{
    struct err err = {0};
    int rc = 0;
    for (size_t i = 0; i < size && rc == 0;) {
        if (data[i] == CUT) {
            i++;
            continue;
        }
        if (data[i] >= THINK && data[i] <= EOS) {
            rc = parse_token(p, data[i], "", 0, &err);
            i++;
            continue;
        }
        size_t end = i + 1;
        while (!by_byte && end < size && (data[end] < THINK || data[end] > CUT))
            end++;
        rc = parse_token(p, TEXT, (const char *)data + i, end - i, &err);
        i = end;
    }
    if (rc < 0) return -1;
    return parse_end(p, length ? PARSE_LENGTH : PARSE_STOP, &err);
}

static void check_sums(const struct parse_result *r, struct sums *s)
{
    CHECK(s->open < 0 && s->n_complete == r->n_calls, "calls");
    CHECK(s->reasoning.size == r->reasoning_size && s->content.size == r->content_size, "sizes");
    CHECK(memcmp(buf_text(&s->reasoning), r->reasoning, r->reasoning_size) == 0, "reasoning");
    CHECK(memcmp(buf_text(&s->content), r->content, r->content_size) == 0, "content");
    CHECK((r->finish == PARSE_TOOL_CALLS) == (r->n_calls > 0), "finish reason");
}

static void check_same(const struct parse_result *a, const struct parse_result *b)
{
    CHECK(a->finish == b->finish && a->stop == b->stop && a->n_calls == b->n_calls, "results");
    CHECK(strcmp(a->reasoning, b->reasoning) == 0 && strcmp(a->content, b->content) == 0, "texts");
    for (int i = 0; i < a->n_calls; i++) {
        CHECK(strcmp(a->calls[i].name, b->calls[i].name) == 0, "names");
        CHECK(strcmp(a->calls[i].arguments, b->calls[i].arguments) == 0, "arguments");
    }
}

static void sums_fini(struct sums *s)
{
    buf_fini(&s->reasoning);
    buf_fini(&s->content);
    buf_fini(&s->arguments);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static json_t *tools;
    if (!tools)
        tools = json_loads("[{\"name\":\"f\",\"parameters\":{\"properties\":{\"s\":{\"type\":"
                           "\"string\"},\"i\":{\"type\":\"integer\"}}}}]",
                           0, NULL);
    if (size < 1 || size > MAX_BYTES / 16) return 0; /* stays below the cap */
    struct sums sums[2];
    struct parser *p[2];
    int rc[2];
    for (int k = 0; k < 2; k++) {
        p[k] = start(data[0], tools, &sums[k]);
        rc[k] = feed(p[k], data + 1, size - 1, k == 1, data[0] & 8);
        if (rc[k] == 0) check_sums(parse_result(p[k]), &sums[k]);
    }
    if (rc[0] == 0 && rc[1] == 0) check_same(parse_result(p[0]), parse_result(p[1]));
    for (int k = 0; k < 2; k++) {
        parse_free(p[k]);
        sums_fini(&sums[k]);
    }
    return 0;
}
