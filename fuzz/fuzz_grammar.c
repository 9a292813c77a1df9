/* What is compiled to a grammar. The first byte chooses: a regular expression, EBNF, a JSON schema, tools; the
 * rest is its text. Where it compiles, a walk by bytes that fit: there is always a next one until the text must
 * end, and what a schema lets through is JSON. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "text/dsml_rules.h"
#include "text/ebnf.h"
#include "text/matcher.h"
#include "text/regex.h"
#include "text/schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { REGEX, EBNF, SCHEMA, TOOLS, N_KINDS, N_WALKS = 4, N_STEPS = 200, MAX_INPUT = 1 << 14 };

static int add_source(struct grammar *g, int kind, const char *text, size_t size,
                      const json_t *json)
{
    if (kind == REGEX) return regex_add(g, TEXT_JSON, "regex", text, size);
    if (kind == EBNF) return grammar_call(g, ebnf_add(g, text, size));
    if (kind == TOOLS) return dsml_add(g, json, NULL, true, FAMILY_OFFICIAL);
    struct schema s;
    schema_init(&s, g, json);
    int node = schema_add(&s, json, SCHEMA_JSON, NULL);
    schema_fini(&s);
    return node;
}

static void check_json(const struct buf *text)
{
    json_error_t error;
    json_t *value =
        json_loadb(buf_text(text), text->size, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    CHECK(value, "what a schema lets through is no JSON: %s", error.text);
    json_decref(value);
}

/* By a symbol that fits, the first from a random one on. False when none does. */
static bool go_on(struct matcher *m, uint64_t *random, struct buf *text, bool *out_of_budget)
{
    *random = *random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    int first = (int)(*random >> 33) % GRAMMAR_SYMBOLS;
    for (int i = 0; i < GRAMMAR_SYMBOLS; i++) {
        int symbol = (first + i) % GRAMMAR_SYMBOLS;
        char byte = (char)symbol;
        struct err err = {0};
        int rc = symbol == GRAMMAR_DSML ? matcher_symbol(m, symbol, &err)
                                        : matcher_bytes(m, &byte, 1, &err);
        if (rc == 0) continue;
        if (rc < 0) {
            CHECK(err.code == ERR_LIMIT && err.message[0], "%s", err.message);
            *out_of_budget = true;
            return false;
        }
        if (symbol < 256) buf_add_byte(text, byte);
        return true;
    }
    return false;
}

static void walk(const struct automaton *a, int kind)
{
    struct matcher *m;
    struct err err = {0};
    uint64_t random = 1;
    if (matcher_new(&m, a, &err)) {
        CHECK(err.code == ERR_LIMIT, "%s", err.message);
        return;
    }
    for (int i = 0; i < N_WALKS; i++) {
        struct buf text;
        bool out_of_budget = false;
        buf_init(&text, 2 * N_STEPS);
        if (matcher_restart(m, &err)) break;
        for (int step = 0; step < N_STEPS && !out_of_budget && !matcher_must_end(m); step++) {
            bool went = go_on(m, &random, &text, &out_of_budget);
            CHECK(went || out_of_budget, "a dead end after %zu bytes", text.size);
            if (kind == SCHEMA && matcher_may_end(m)) check_json(&text);
        }
        buf_fini(&text);
    }
    matcher_free(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct grammar *g;
    struct automaton *a;
    struct err err = {0};
    json_t *json = NULL;
    if (size < 1 || size > MAX_INPUT) return 0;
    int kind = data[0] % N_KINDS;
    const char *text = (const char *)data + 1;
    if (kind >= SCHEMA && json_parse(&json, "schema", text, size - 1, &err)) return 0;
    CHECK(grammar_new(&g, &err) == 0, "%s", err.message);
    int root = grammar_rule(g, "root");
    grammar_define(g, root, add_source(g, kind, text, size - 1, json));
    if (automaton_new(&a, g, root, &err) == 0) {
        walk(a, kind);
        automaton_free(a);
    } else {
        CHECK((err.code == ERR_ARGUMENT || err.code == ERR_UNSUPPORTED || err.code == ERR_LIMIT) &&
                  err.message[0],
              "%s", err.message);
    }
    grammar_free(g);
    json_decref(json);
    return 0;
}
