/* tenon run: answers one prompt. */
#include <argp.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/ask.h"
#include "cli/cli.h"
#include "cli/interrupt.h"
#include "cli/run_form.h"
#include "cli/run_request.h"
#include "cli/show.h"
#include "engine/state_file.h"

enum { MAX_TEXT = 64 << 20, MAX_PROMPT_IDS = 64 << 20 };

struct options {
    struct ask_options ask;
    struct run_form form;
    const char *model;
    /* where the prompt comes from: one of them */
    const char *prompt, *file, *tokens, *messages, *request;
    const char *session;
    bool raw, json, stats, thinking;
};

struct run {
    const struct options *o;
    struct opened open;
    struct session *session;
    json_t *tools; /* of --messages; or NULL */
    bool resumed;  /* the session came from its file */
    uint8_t digest[32];
};

enum {
    KEY_TOKENS = 0x2000,
    KEY_MESSAGES,
    KEY_REQUEST,
    KEY_SESSION,
    KEY_RAW,
    KEY_SCHEMA,
    KEY_GRAMMAR,
    KEY_REGEX,
    KEY_JSON,
    KEY_STATS,
    KEY_LOGPROBS,
    KEY_SHOW
};

static const struct argp_option option_table[] = {
    {"prompt", 'p', "TEXT", 0, "The prompt", 1},
    {"file", 'f', "FILE", 0, "Read it from FILE, byte for byte", 1},
    {"tokens", KEY_TOKENS, "FILE", 0,
     "FILE holds decimal token ids; needs no tokenizer and answers with ids", 1},
    {"messages", KEY_MESSAGES, "FILE", 0,
     "FILE holds a JSON list of messages, or an object with \"messages\" and \"tools\"", 1},
    {"request", KEY_REQUEST, "FILE", 0,
     "FILE holds the body of POST /chat/completions or /completions: prints, as JSON, the choices "
     "that tenon serve "
     "gives; what is "
     "asked stands there, not in options",
     1},
    {"raw", KEY_RAW, NULL, 0,
     "Send the text alone: no chat format, no first token; still no control tokens from text", 2},
    {"session", KEY_SESSION, "FILE", 0,
     "Go on from the session in FILE, if it is there, with the prompt as the next turn; save it to "
     "FILE at the end",
     2},
    {"json-schema", KEY_SCHEMA, "SCHEMA", 0,
     "The answer is JSON that fits SCHEMA, which is JSON or a file; one that thinks is bound "
     "behind the "
     "reasoning",
     3},
    {"json-schema-file", KEY_SCHEMA, NULL, OPTION_ALIAS, NULL, 3},
    {"grammar", KEY_GRAMMAR, "GRAMMAR", 0,
     "The answer is one of the grammar in llama.cpp's form, which is text with ::= in it or a file",
     3},
    {"grammar-file", KEY_GRAMMAR, NULL, OPTION_ALIAS, NULL, 3},
    {"regex", KEY_REGEX, "PATTERN", 0, "The answer matches PATTERN as a whole", 3},
    {"json", KEY_JSON, NULL, 0, "Print one JSON object at the end", 4},
    {"logprobs", KEY_LOGPROBS, "N", 0,
     "With --json: log-probability of each token and of the N (0 to 20) most likely", 4},
    {"show-thinking", KEY_SHOW, NULL, 0,
     "Print the reasoning into a pipe or file too, between <think> and </think>", 4},
    {"stats", KEY_STATS, NULL, 0, "Print speeds to stderr", 4},
    {0},
};

static void check_combination(const struct options *o, struct argp_state *state)
{
    int n = !!o->prompt + !!o->file + !!o->tokens + !!o->messages + !!o->request;
    if (!o->model) argp_error(state, "which model?");
    if (n != 1) argp_error(state, "one of -p, -f, --tokens, --messages and --request is wanted");
    if (o->raw && o->messages) argp_error(state, "--raw and --messages exclude each other");
    if (o->request && (o->raw || o->session || o->ask.system || o->ask.n_stops))
        argp_error(state, "--request says itself what is asked");
    bool no_format = o->raw || o->tokens;
    if (o->ask.system && (no_format || o->messages))
        argp_error(state, "--system goes with -p or -f, in the chat format");
    if (o->tokens && o->ask.n_stops)
        argp_error(state, "--tokens has no text that --stop could end");
    if (o->form.option && (o->tokens || o->request || o->ask.ignore_eos))
        argp_error(state, "%s does not go with --tokens, --request or --ignore-eos",
                   o->form.option);
    if (o->ask.sampling.logprobs >= 0 && !o->json) argp_error(state, "--logprobs needs --json");
}

static void set_form(struct run_form *f, enum constraint_kind kind, const char *option,
                     const char *arg, struct argp_state *state)
{
    if (f->option) argp_error(state, "%s and %s exclude each other", f->option, option);
    *f = (struct run_form){.option = option, .given = arg, .spec = {.kind = kind}};
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;
    switch (key) {
    case KEY_SCHEMA:
        set_form(&o->form, CONSTRAINT_SCHEMA, "--json-schema", arg, state);
        return 0;
    case KEY_GRAMMAR:
        set_form(&o->form, CONSTRAINT_EBNF, "--grammar", arg, state);
        return 0;
    case KEY_REGEX:
        set_form(&o->form, CONSTRAINT_REGEX, "--regex", arg, state);
        return 0;
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &o->ask;
        return 0;
    case 'p':
        o->prompt = arg;
        return 0;
    case 'f':
        o->file = arg;
        return 0;
    case KEY_TOKENS:
        o->tokens = arg;
        return 0;
    case KEY_MESSAGES:
        o->messages = arg;
        return 0;
    case KEY_REQUEST:
        o->request = arg;
        return 0;
    case KEY_SESSION:
        o->session = arg;
        return 0;
    case KEY_RAW:
        o->raw = true;
        return 0;
    case KEY_JSON:
        o->json = true;
        return 0;
    case KEY_SHOW:
        o->thinking = true;
        return 0;
    case KEY_STATS:
        o->stats = true;
        return 0;
    case KEY_LOGPROBS:
        o->ask.sampling.logprobs = (int)open_int(state, "--logprobs", arg, 0, SAMPLER_MAX_LOGPROBS);
        return 0;
    case ARGP_KEY_ARG:
        if (state->arg_num > 0) argp_error(state, "one model, please; the prompt goes with -p");
        o->model = arg;
        return 0;
    case ARGP_KEY_END:
        check_combination(o, state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_child children[] = {{&ask_argp, 0, NULL, 0}, {0}};
static const struct argp parser = {
    .options = option_table,
    .parser = parse_option,
    .args_doc = "MODEL",
    .doc =
        "Answers one prompt. A FILE that is - is standard input.\v"
        "On a terminal the reasoning is shown dimmed before the answer; into a pipe or a file goes "
        "the answer alone. A session keeps the reasoning of earlier turns, as its state goes on "
        "from the tokens.",
    .children = children,
};

/* ---- session ---- */

/* Found out before the work rather than after it. */
static int check_can_save(const char *path, struct err *err)
{
    const char *slash = strrchr(path, '/');
    char *dir = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    int rc = 0;
    if (!dir || access(dir, W_OK)) rc = err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
    free(dir);
    return rc;
}

static int open_session(struct run *r, struct err *err)
{
    const struct options *o = r->o;
    if (o->session) {
        if (check_can_save(o->session, err)) return -1;
        if (weights_digest(r->open.weights, r->digest, err)) return -1;
        r->resumed = access(o->session, F_OK) == 0 || errno != ENOENT;
    }
    if (!r->resumed) return engine_session_new(&r->session, r->open.engine, err);
    if (o->ask.system || o->ask.effort)
        return err_set(err, ERR_ARGUMENT, "%s: the session has begun; --%s comes too late",
                       o->session, o->ask.system ? "system" : "effort");
    return engine_session_load(&r->session, r->open.engine, r->digest, o->session, err);
}

/* A session goes on with MTP's state if its file has that, whether there are to be drafts or not. */
static enum open_mtp mtp_of(const struct options *o)
{
    enum open_mtp mtp = ask_mtp(&o->ask);
    if (!o->session || access(o->session, F_OK) || mtp == OPEN_MTP_MUST) return mtp;
    return session_file_has_mtp(o->session) ? OPEN_MTP_IF_THERE : OPEN_MTP_NONE;
}

/* A session goes on with the numbers it had unless a seed is given. */
static void seed_session(struct run *r)
{
    if (r->resumed && !r->o->ask.has_seed) return;
    session_set_key(r->session, (struct sampler_key){.seed = ask_seed(&r->o->ask)});
}

/* ---- prompt ---- */

/* The text of -p or -f. The caller frees. */
static int read_text(char **text, size_t *size, const struct options *o, struct err *err)
{
    if (o->file) return file_slurp_input(o->file, MAX_TEXT, text, size, err);
    *text = strdup(o->prompt);
    *size = strlen(o->prompt);
    return *text ? 0 : err_set(err, ERR_LIMIT, "no memory for the prompt");
}

/* The chat format. In a session that goes on, the turn follows the tokens that are there: an answer
 * that was cut off gets its EOS, and the prompt no second BOS. */
static int encode_messages(struct run *r, const json_t *messages, struct ids *ids, struct err *err)
{
    struct prompt_options p = ask_prompt_options(&r->o->ask, r->o->model);
    int n = session_length(r->session), eos = engine_eos(r->open.engine);
    if (r->resumed) {
        p.no_bos = p.keep_thinking = true;
        if (n && session_tokens(r->session)[n - 1] != eos && ids_add(ids, eos, err)) return -1;
    }
    return engine_prompt(r->open.engine, messages, r->tools, &p, ids, err);
}

static int encode_prompt(struct run *r, struct ids *ids, struct err *err)
{
    const struct options *o = r->o;
    json_t *messages = NULL;
    char *text = NULL;
    size_t size = 0;
    int rc;
    if (o->messages) {
        rc = ask_messages(&messages, &r->tools, o->messages, err);
        if (rc == 0) rc = encode_messages(r, messages, ids, err);
        if (rc) err_prefix(err, "%s", o->messages);
    } else {
        rc = read_text(&text, &size, o, err);
        if (rc == 0 && o->raw) {
            rc = engine_raw(r->open.engine, text, size, false, ids, err);
        } else if (rc == 0) {
            rc = ask_text_messages(&messages, &o->ask, o->file ? o->file : "command line", text,
                                   size, err);
            if (rc == 0) rc = encode_messages(r, messages, ids, err);
        }
    }
    free(text);
    json_decref(messages);
    return rc;
}

static int append_prompt(struct run *r, struct err *err)
{
    struct ids ids;
    int rc;
    if (r->o->tokens) {
        rc = open_ids(&ids, r->o->tokens, engine_vocab(r->open.engine), err);
    } else {
        ids_init(&ids, MAX_PROMPT_IDS);
        rc = encode_prompt(r, &ids, err);
    }
    if (rc == 0) rc = session_append(r->session, ids.data, (int)ids.n, err);
    ids_fini(&ids);
    return rc;
}

/* ---- output ---- */

static json_t *logprobs_json(const struct generation_result *g)
{
    json_t *list = json_array();
    for (int i = 0; i < g->n; i++) {
        const struct pick *p = &g->picks[i];
        json_t *top = json_array();
        for (int j = 0; j < p->n_top; j++)
            json_array_append_new(top, json_pack("{s:i, s:f}", "id", p->top[j].id, "logprob",
                                                 (double)p->top[j].logprob));
        json_array_append_new(list, json_pack("{s:i, s:f, s:o}", "id", p->id, "logprob",
                                              (double)p->logprob, "top", top));
    }
    return list;
}

static void add_text(json_t *out, const struct parse_result *t)
{
    json_object_set_new(out, "content", json_stringn(t->content, t->content_size));
    json_object_set_new(out, "reasoning", json_stringn(t->reasoning, t->reasoning_size));
    json_t *calls = json_array();
    for (int i = 0; i < t->n_calls; i++)
        json_array_append_new(calls, json_pack("{s:s, s:s}", "name", t->calls[i].name, "arguments",
                                               t->calls[i].arguments));
    json_object_set_new(out, "tool_calls", calls);
}

static int print_json(const struct run *r, const struct generation_result *g, struct err *err)
{
    json_t *out = json_object();
    if (g->text) add_text(out, g->text);
    json_t *ids = json_array();
    for (int i = 0; i < g->n; i++)
        json_array_append_new(ids, json_integer(g->ids[i]));
    json_object_set_new(out, "ids", ids);
    json_object_set_new(out, "prompt_tokens", json_integer(g->stats.n_prompt));
    json_object_set_new(out, "reused_tokens", json_integer(g->stats.n_reused));
    json_object_set_new(out, "generated_tokens", json_integer(g->n));
    json_object_set_new(
        out, "drafts",
        json_pack("{s:i, s:i}", "made", g->stats.n_drafts, "right", g->stats.n_right));
    json_object_set_new(out, "finish_reason", json_string(finish_name(g->finish)));
    json_object_set_new(out, "seed", json_integer((json_int_t)session_key(r->session).seed));
    if (g->picks) json_object_set_new(out, "logprobs", logprobs_json(g));
    json_object_set_new(out, "timings",
                        json_pack("{s:f, s:f}", "prompt_seconds", g->stats.prompt_seconds,
                                  "decode_seconds", g->stats.decode_seconds));
    struct cache_stats c = open_cache_stats(&r->open);
    if (c.n_slots)
        json_object_set_new(out, "experts",
                            json_pack("{s:i, s:I, s:I, s:I, s:I, s:I, s:f}", "slots", c.n_slots,
                                      "hits", (json_int_t)c.hits, "misses", (json_int_t)c.misses,
                                      "ahead", (json_int_t)c.ahead, "ahead_used",
                                      (json_int_t)c.ahead_used, "read_bytes",
                                      (json_int_t)c.bytes_read, "wait_seconds", c.wait_seconds));
    bool bad = json_dumpf(out, stdout, JSON_REAL_PRECISION(9)) || putchar('\n') == EOF;
    json_decref(out);
    return bad ? err_set(err, ERR_IO, "cannot write to standard output") : 0;
}

static int print_ids(const struct generation_result *g)
{
    for (int i = 0; i < g->n; i++)
        printf("%s%d", i ? " " : "", g->ids[i]);
    putchar('\n');
    return 0;
}

static void emit(void *ctx, const struct parse_event *e)
{
    show_event(ctx, e);
}

static bool begins_thinking(const struct run *r)
{
    if (r->o->raw || r->o->tokens) return false;
    return ask_begins_thinking(r->open.tokenizer, session_tokens(r->session),
                               session_length(r->session));
}

static int generate(struct run *r, enum finish *how, struct err *err)
{
    const struct options *o = r->o;
    struct generation *g = NULL;
    struct show show;
    atomic_bool cancel;
    struct generate_options go = ask_generate_options(&o->ask, r->open.engine, begins_thinking(r));
    go.parse.tools = r->tools;
    if (o->raw) go.parse.ids = (struct parse_ids){-1, -1, -1, -1};
    go.constraint = o->form.constraint;
    go.cancel = &cancel;
    show_init(&show, stdout);
    show.thinking = r->o->thinking;
    if (!o->json) {
        go.emit = emit;
        go.ctx = &show;
    }
    if (generation_open(&g, r->session, &go, err)) return -1;
    interrupt_watch(&cancel, true);
    int rc = generation_run(g, err);
    interrupt_forget();
    if (!o->json) show_end(&show);

    const struct generation_result *result = generation_result(g);
    if (rc == 0 && o->json) rc = print_json(r, result, err);
    if (rc == 0 && o->tokens && !o->json) rc = print_ids(result);
    struct cache_stats cache = open_cache_stats(&r->open);
    if (o->stats) ask_print_stats(stderr, &result->stats, &cache);
    *how = result->finish;
    generation_close(g);
    return rc;
}

static int run(struct options *o, enum finish *how, struct err *err)
{
    struct run r = {.o = o};
    struct engine_options engine = {.max_context = o->ask.context, .drafts = o->ask.drafts};
    int rc = ask_check(&o->ask, err);
    if (rc == 0) rc = run_form_read(&o->form, err);
    if (rc == 0)
        rc = open_model(&r.open, o->model, &o->ask.open, !o->tokens, mtp_of(o), &engine, err);
    if (rc == 0) rc = run_form_compile(&o->form, r.open.engine, err);
    if (rc == 0) rc = open_session(&r, err);
    if (rc == 0) {
        seed_session(&r);
        rc = append_prompt(&r, err);
    }
    if (rc == 0) rc = generate(&r, how, err);
    if (rc == 0 && o->session) rc = session_save(r.session, r.digest, o->session, err);
    json_decref(r.tools);
    session_free(r.session);
    run_form_fini(&o->form);
    open_close(&r.open);
    return rc;
}

int cli_run(int argc, char **argv)
{
    struct options o = {0};
    struct err err = {0};
    enum finish how = FINISH_STOP;
    ask_init(&o.ask);
    int rc = argp_parse(&parser, argc, argv, 0, NULL, &o) ? CLI_USAGE : 0;
    bool cancelled = false;
    if (rc == 0 && o.request) {
        if (run_request(&o.ask, o.model, o.request, &cancelled, &err)) rc = cli_fail(&err);
        if (cancelled) how = FINISH_CANCELLED;
    } else if (rc == 0 && run(&o, &how, &err)) {
        rc = cli_fail(&err);
    }
    if (rc == 0 && how == FINISH_CANCELLED) rc = CLI_INTERRUPTED;
    ask_fini(&o.ask);
    return rc;
}
