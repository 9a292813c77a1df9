/* What masks of tokens cost: mask TOKENIZER. For some forms of an answer the time to compile, and at each place of
 * a text the time of a mask that is new and of one that is kept. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "text/constraint.h"
#include "text/parse.h"

static const struct {
    const char *name, *schema; /* NULL: any JSON object */
    const char *text;          /* its places are measured */
} forms[] = {
    {"json_object", NULL, "{\"name\": \"Ann\", \"list\": [1, -2.5, true], \"in\": {\"a\": null}}"},
    {"record",
     "{\"type\":\"object\",\"properties\":{\"city\":{\"type\":\"string\"},\"days\":{\"type\":"
     "\"integer\","
     "\"minimum\":1,\"maximum\":14},\"unit\":{\"enum\":[\"C\",\"F\"]},\"tags\":{\"type\":\"array\","
     "\"items\":{"
     "\"type\":\"string\",\"maxLength\":20}}},\"required\":[\"city\",\"days\",\"unit\"]}",
     "{\"city\": \"Oslo\", \"days\": 12, \"unit\": \"C\", \"tags\": [\"a b\", \"c\"]}"},
    {"long string", "{\"type\":\"string\",\"maxLength\":2000}", "\"Some words of a text.\""},
    {"dates", "{\"type\":\"array\",\"items\":{\"type\":\"string\",\"format\":\"date-time\"}}",
     "[\"2026-11-25T12:00:00Z\"]"},
};

static void check(int rc, const struct err *err)
{
    if (rc == 0) return;
    fprintf(stderr, "mask: %s\n", err->message);
    exit(1);
}

struct cost {
    double sum, worst;
    int n;
};

static void add(struct cost *c, double seconds)
{
    c->sum += seconds;
    c->n++;
    if (seconds > c->worst) c->worst = seconds;
}

/* The ids of the text, one after the other, twice: first each state's mask is new. */
static void measure(const struct token_trie *trie, size_t form)
{
    struct err err = {0};
    struct ids ids;
    struct constraint *c;
    json_t *schema = NULL;
    struct constraint_spec spec = {.kind = CONSTRAINT_JSON_OBJECT};
    if (forms[form].schema) {
        check(json_parse(&schema, "schema", forms[form].schema, strlen(forms[form].schema), &err),
              &err);
        spec = (struct constraint_spec){.kind = CONSTRAINT_SCHEMA, .schema = schema};
    }
    ids_init(&ids, 4096);
    check(tokenizer_encode(trie->tokenizer, forms[form].text, strlen(forms[form].text), false, &ids,
                           &err),
          &err);
    double start = clock_seconds();
    check(constraint_new(&c, &spec, trie, &err), &err);
    double compile = clock_seconds() - start;
    struct cost cost[2] = {{0}};
    for (int kept = 0; kept < 2; kept++) {
        struct constraint_run *run;
        check(constraint_begin(&run, c, false, &err), &err);
        for (size_t i = 0; i < ids.n; i++) {
            const uint64_t *mask;
            start = clock_seconds();
            check(constraint_mask(run, &mask, &err), &err);
            add(&cost[kept], clock_seconds() - start);
            if (constraint_token(run, ids.data[i], &err) < 0) check(-1, &err);
        }
        constraint_end(run);
    }
    printf("%-12s compile %7.2f ms; new mask: mean %8.3f ms, worst %8.3f ms; kept: mean %6.2f us\n",
           forms[form].name, compile * 1e3, cost[0].sum / cost[0].n * 1e3, cost[0].worst * 1e3,
           cost[1].sum / cost[1].n * 1e6);
    constraint_drop(c);
    ids_fini(&ids);
    json_decref(schema);
}

int main(int argc, char **argv)
{
    struct err err = {0};
    struct tokenizer *t;
    struct token_trie *trie;
    if (argc != 2) {
        fprintf(stderr, "usage: mask TOKENIZER\n");
        return 2;
    }
    check(tokenizer_open(&t, argv[1], &err), &err);
    double start = clock_seconds();
    check(token_trie_new(&trie, t, tokenizer_count(t), parse_ids_of(t).eos, &err), &err);
    printf("%d tokens, a trie of %d nodes in %.0f ms\n", trie->n_ids, trie->n,
           (clock_seconds() - start) * 1e3);
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        measure(trie, i);
    token_trie_free(trie);
    tokenizer_close(t);
    return 0;
}
