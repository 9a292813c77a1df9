/* tenon bench serve: a load on a server of chat answers. */
#include <argp.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "cli/bench.h"
#include "cli/cli.h"
#include "cli/interrupt.h"
#include "cli/open.h"
#include "measure/load.h"
#include "text/utf8.h"

enum {
    KEY_CONCURRENCY = 0x6100,
    KEY_RATE,
    KEY_REQUESTS,
    KEY_SECONDS,
    KEY_TIMEOUT,
    KEY_PROMPT,
    KEY_ANSWER,
    KEY_PREFIX,
    KEY_TURNS,
    KEY_SEED,
    KEY_TEMPERATURE,
    KEY_THINKING,
    KEY_EOS,
    KEY_MODEL,
    KEY_KEY,
    KEY_KEY_FILE,
    KEY_LIMIT_FIRST,
    KEY_LIMIT_GAP,
    KEY_JSON
};

enum { MAX_WORDS = 1 << 20, MAX_TURNS = 1 << 16, MAX_KEY = 4096, DEFAULT_REQUESTS = 100 };
enum { DEFAULT_CLIENTS = 8, DEFAULT_OPEN_CLIENTS = 4096 };

static const double MAX_SECONDS = 1e6, MAX_TEMPERATURE = 100;

struct options {
    struct load_options load;
    char *key; /* owned */
    const char *key_file;
    bool json;
};

static const struct argp_option option_table[] = {
    {NULL, 0, NULL, 0, "How many, and when", 1},
    {"concurrency", KEY_CONCURRENCY, "N", 0,
     "So many clients, each asking again when it has its answer; default 8. With --rate the most "
     "at once; default 4096",
     1},
    {"rate", KEY_RATE, "R", 0,
     "Conversations arrive at random, R a second, whatever the server does (Poisson)", 1},
    {"requests", KEY_REQUESTS, "N", 0, "Ask N times; default 100 without --seconds", 1},
    {"seconds", KEY_SECONDS, "S", 0, "Begin none after S seconds", 1},
    {"timeout", KEY_TIMEOUT, "S", 0, "Give an answer up after S seconds; default 600", 1},
    {NULL, 0, NULL, 0, "What is asked", 2},
    {"prompt", KEY_PROMPT, "N or N-M", 0, "Words of a turn, about a token each; default 64", 2},
    {"answer", KEY_ANSWER, "N or N-M", 0, "Tokens of an answer; default 64", 2},
    {"prefix", KEY_PREFIX, "N", 0, "Words that all conversations begin with; default 0", 2},
    {"turns", KEY_TURNS, "N", 0, "Turns of a conversation, each with all before it; default 1", 2},
    {"until-eos", KEY_EOS, NULL, 0, "Answers may end before their length", 2},
    {"thinking", KEY_THINKING, NULL, 0, "Ask for thinking", 2},
    {"temp", KEY_TEMPERATURE, "T", 0, "Temperature; default 1", 2},
    {"seed", KEY_SEED, "N", 0, "Of words, lengths, arrivals; default 1", 2},
    {NULL, 0, NULL, 0, "Whom, and what counts", 3},
    {"model", KEY_MODEL, "NAME", 0, "Default deepseek-chat", 3},
    {"key-file", KEY_KEY_FILE, "FILE", 0, "Send the key that FILE holds", 3},
    {"key", KEY_KEY, "KEY", 0, "The same; other users of this machine can see it", 3},
    {"goodput-ttft", KEY_LIMIT_FIRST, "MS", 0,
     "Goodput counts answers whose first token came within MS milliseconds", 3},
    {"goodput-itl", KEY_LIMIT_GAP, "MS", 0, "... and whose tokens came MS apart, in the mean", 3},
    {"json", KEY_JSON, NULL, 0, "Print one JSON object", 3},
    {0},
};

static void read_range(struct load_range *range, const char *option, char *arg,
                       const struct argp_state *state)
{
    char *high = strchr(arg, '-');
    if (high) *high++ = 0;
    range->low = (int)open_int(state, option, arg, 1, MAX_WORDS);
    range->high = high ? (int)open_int(state, option, high, range->low, MAX_WORDS) : range->low;
}

static double read_positive(const char *option, const char *arg, const struct argp_state *state)
{
    double x = open_real(state, option, arg);
    if (!(x > 0 && x <= MAX_SECONDS)) argp_error(state, "%s %s: out of range", option, arg);
    return x;
}

static void fill_defaults(struct options *o, const struct argp_state *state)
{
    struct load_options *l = &o->load;
    if (!l->url) argp_error(state, "the URL of a server, please");
    if (!l->clients) l->clients = l->plan.rate > 0 ? DEFAULT_OPEN_CLIENTS : DEFAULT_CLIENTS;
    if (!l->requests && !(l->seconds > 0)) l->requests = DEFAULT_REQUESTS;
}

/* Options about the requests themselves. */
static error_t parse_plan(int key, char *arg, const struct argp_state *state)
{
    struct options *o = state->input;
    struct load_plan *p = &o->load.plan;
    switch (key) {
    case KEY_RATE:
        p->rate = read_positive("--rate", arg, state);
        return 0;
    case KEY_PROMPT:
        read_range(&p->prompt, "--prompt", arg, state);
        return 0;
    case KEY_ANSWER:
        read_range(&p->answer, "--answer", arg, state);
        return 0;
    case KEY_PREFIX:
        p->prefix = (int)open_int(state, "--prefix", arg, 0, MAX_WORDS);
        return 0;
    case KEY_TURNS:
        p->turns = (int)open_int(state, "--turns", arg, 1, MAX_TURNS);
        return 0;
    case KEY_SEED:
        p->seed = (uint64_t)open_int(state, "--seed", arg, 0, INT64_MAX);
        return 0;
    case KEY_TEMPERATURE:
        p->temperature = open_real(state, "--temp", arg);
        if (!(p->temperature >= 0 && p->temperature <= MAX_TEMPERATURE))
            argp_error(state, "--temp %s: out of range", arg);
        return 0;
    case KEY_THINKING:
        p->thinking = true;
        return 0;
    case KEY_EOS:
        p->ends = true;
        return 0;
    case KEY_MODEL:
        p->model = arg;
        if (!utf8_valid(arg, strlen(arg))) argp_error(state, "--model: this is no UTF-8");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;
    struct load_options *l = &o->load;
    switch (key) {
    case KEY_CONCURRENCY:
        l->clients = (int)open_int(state, "--concurrency", arg, 1, LOAD_MAX_CLIENTS);
        return 0;
    case KEY_REQUESTS:
        l->requests = (long)open_int(state, "--requests", arg, 1, INT32_MAX);
        return 0;
    case KEY_SECONDS:
        l->seconds = read_positive("--seconds", arg, state);
        return 0;
    case KEY_TIMEOUT:
        l->timeout = read_positive("--timeout", arg, state);
        return 0;
    case KEY_KEY:
        free(o->key);
        o->key = strdup(arg);
        return 0;
    case KEY_KEY_FILE:
        o->key_file = arg;
        return 0;
    case KEY_LIMIT_FIRST:
        l->limits.first = read_positive("--goodput-ttft", arg, state) / 1e3;
        return 0;
    case KEY_LIMIT_GAP:
        l->limits.gap = read_positive("--goodput-itl", arg, state) / 1e3;
        return 0;
    case KEY_JSON:
        o->json = true;
        return 0;
    case ARGP_KEY_ARG:
        if (l->url) argp_error(state, "one URL, please");
        l->url = arg;
        return 0;
    case ARGP_KEY_END:
        fill_defaults(o, state);
        return 0;
    default:
        return parse_plan(key, arg, state);
    }
}

static const struct argp parser = {
    .options = option_table,
    .parser = parse_option,
    .args_doc = "URL",
    .doc = "Asks a server for chat answers, many at once, and tells how long they took.\v"
           "URL is as http://127.0.0.1:8080. What is sent follows from the options and the seed "
           "alone. Times count from when a request was to be sent: with --rate that is when it "
           "arrived, even if it had to wait. Ctrl-C ends it early and shows what there is."};

/* ---- the result ---- */

/* A time between two texts may hold several tokens: the mean of an answer counts tokens. */
static const struct {
    const char *name, *title;
    size_t place;
} times[] = {{"ttft_ms", "first token", offsetof(struct load_result, first)},
             {"itl_ms", "between tokens", offsetof(struct load_result, gaps)},
             {"e2e_ms", "whole answer", offsetof(struct load_result, whole)},
             {"refusal_ms", "refusal", offsetof(struct load_result, refusals)}};

static const struct {
    const char *name;
    double q;
} quantiles[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"max", 1}};

enum { N_TIMES = sizeof times / sizeof *times, N_QUANTILES = sizeof quantiles / sizeof *quantiles };

static struct samples *samples_of(struct load_result *r, int i)
{
    return (struct samples *)(void *)((char *)r + times[i].place);
}

static double per_second(const struct load_result *r, long n)
{
    return r->seconds > 0 ? (double)n / r->seconds : 0;
}

static json_t *times_json(struct samples *s)
{
    json_t *o = json_pack("{s:I}", "n", (json_int_t)s->n);
    for (int i = 0; i < N_QUANTILES && s->n; i++)
        json_object_set_new(o, quantiles[i].name,
                            json_real(1e3 * samples_quantile(s, quantiles[i].q)));
    return o;
}

static json_t *result_json(struct load_result *r)
{
    json_t *outcomes = json_object(), *statuses = json_object();
    for (int i = 0; i < LOAD_OUTCOMES; i++)
        json_object_set_new(outcomes, load_outcome_name(i), json_integer(r->outcomes[i]));
    for (int i = 0; i <= LOAD_MAX_STATUS; i++) {
        char name[8];
        snprintf(name, sizeof name, "%d", i);
        if (r->statuses[i]) json_object_set_new(statuses, name, json_integer(r->statuses[i]));
    }
    json_t *o = json_pack(
        "{s:f, s:b, s:I, s:o, s:o, s:I, s:I, s:I, s:I, s:f, s:f, s:I, s:f}", "seconds", r->seconds,
        "stopped", r->stopped, "requests", (json_int_t)r->n, "outcomes", outcomes, "statuses",
        statuses, "retry_after", (json_int_t)r->n_retry_after, "prompt_tokens",
        (json_int_t)r->prompt_tokens, "cached_tokens", (json_int_t)r->cached_tokens,
        "answer_tokens", (json_int_t)r->answer_tokens, "tokens_per_s",
        per_second(r, r->answer_tokens), "requests_per_s", per_second(r, r->outcomes[LOAD_WHOLE]),
        "good", (json_int_t)r->n_good, "goodput_per_s", per_second(r, r->n_good));
    for (int i = 0; i < N_TIMES; i++)
        json_object_set_new(o, times[i].name, times_json(samples_of(r, i)));
    return o;
}

static int print_json(struct load_result *r, struct err *err)
{
    json_t *o = result_json(r);
    bool bad =
        json_dumpf(o, stdout, JSON_REAL_PRECISION(9) | JSON_INDENT(1)) || putchar('\n') == EOF;
    json_decref(o);
    return bad ? err_set(err, ERR_IO, "cannot write to standard output") : 0;
}

static void print_counts(const struct load_result *r)
{
    printf("requests  %ld in %.2f s%s; whole answers %ld, %.2f/s\n", r->n, r->seconds,
           r->stopped ? ", stopped" : "", r->outcomes[LOAD_WHOLE],
           per_second(r, r->outcomes[LOAD_WHOLE]));
    for (int i = LOAD_FAILED; i < LOAD_OUTCOMES; i++)
        if (r->outcomes[i]) printf("          %ld %s\n", r->outcomes[i], load_outcome_name(i));
    for (int i = 0; i <= LOAD_MAX_STATUS; i++)
        if (r->statuses[i]) printf("          %ld with status %d\n", r->statuses[i], i);
    if (r->n_retry_after) printf("          %ld told when to come again\n", r->n_retry_after);
    printf("tokens    %ld of prompts (%ld from a cache), %ld of answers, %.1f/s\n",
           r->prompt_tokens, r->cached_tokens, r->answer_tokens, per_second(r, r->answer_tokens));
}

static void print_limits(const struct load_result *r)
{
    if (!(r->limits.first > 0) && !(r->limits.gap > 0)) return;
    printf("goodput   %.2f/s, %ld answers", per_second(r, r->n_good), r->n_good);
    if (r->limits.first > 0) printf(", first token within %g ms", 1e3 * r->limits.first);
    if (r->limits.gap > 0) printf(", tokens %g ms apart", 1e3 * r->limits.gap);
    putchar('\n');
}

static void print_times(struct load_result *r)
{
    printf("%-16s", "ms");
    for (int i = 0; i < N_QUANTILES; i++)
        printf("%10s", quantiles[i].name);
    putchar('\n');
    for (int i = 0; i < N_TIMES; i++) {
        struct samples *s = samples_of(r, i);
        if (!s->n) continue;
        printf("%-16s", times[i].title);
        for (int k = 0; k < N_QUANTILES; k++)
            printf("%10.2f", 1e3 * samples_quantile(s, quantiles[k].q));
        putchar('\n');
    }
}

static int run(struct options *o, struct err *err)
{
    struct load_result result;
    atomic_bool stop;
    if (o->key_file) {
        size_t size;
        free(o->key);
        o->key = NULL;
        if (file_slurp(o->key_file, MAX_KEY, &o->key, &size, err)) return -1;
    }
    if (o->key) o->key[strcspn(o->key, "\r\n")] = 0;
    o->load.key = o->key;
    interrupt_watch(&stop, true);
    int rc = load_run(&result, &o->load, &stop, err);
    interrupt_forget();
    if (rc == 0 && o->json) rc = print_json(&result, err);
    if (rc == 0 && !o->json) {
        print_counts(&result);
        print_limits(&result);
        print_times(&result);
    }
    if (rc == 0 && result.stopped) rc = CLI_INTERRUPTED;
    load_result_fini(&result);
    return rc;
}

int cli_bench_serve(int argc, char **argv)
{
    struct options o = {.load = {.timeout = 600,
                                 .plan = {.seed = 1,
                                          .model = "deepseek-chat",
                                          .turns = 1,
                                          .prompt = {64, 64},
                                          .answer = {64, 64},
                                          .temperature = 1}}};
    struct err err = {0};
    argp_parse(&parser, argc, argv, 0, NULL, &o);
    int rc = run(&o, &err);
    free(o.key);
    return rc < 0 ? cli_fail(&err) : rc;
}
