/* tenon chat: a conversation in the terminal. */
#include <argp.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/ask.h"
#include "cli/cli.h"
#include "cli/interrupt.h"
#include "cli/show.h"
#include "engine/history.h"

enum { MAX_PROMPT_IDS = 64 << 20 };

struct chat {
    struct ask_options ask;
    const char *model;
    struct opened open;
    struct history *history;
    json_t *messages;              /* the conversation; a system message is the first */
    struct generation_stats stats; /* of the last answer */
    uint64_t seed;
    atomic_bool cancel; /* Ctrl-C */
    bool terminal;      /* a person types */
};

/* ---- options ---- */

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct chat *c = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &c->ask;
        return 0;
    case ARGP_KEY_ARG:
        if (state->arg_num > 0) argp_error(state, "one model, please");
        c->model = arg;
        return 0;
    case ARGP_KEY_END:
        if (!c->model) argp_error(state, "which model?");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_child children[] = {{&ask_argp, 0, NULL, 0}, {0}};
static const struct argp parser = {
    .parser = parse_option,
    .args_doc = "MODEL",
    .doc = "A conversation: each line is a message. /help lists commands; Ctrl-C stops an answer, "
           "Ctrl-D or /exit ends. When input is no terminal, every line of it is answered.",
    .children = children,
};

/* ---- messages ---- */

static bool has_system(const struct chat *c)
{
    const json_t *first = json_array_get(c->messages, 0);
    const char *role = json_string_value(json_object_get(first, "role"));
    return role && !strcmp(role, "system");
}

static void set_system(struct chat *c, const char *text)
{
    if (has_system(c)) json_array_remove(c->messages, 0);
    if (*text)
        json_array_insert_new(c->messages, 0,
                              json_pack("{s:s, s:s}", "role", "system", "content", text));
}

/* An empty conversation, but for the system message. */
static void clear_messages(struct chat *c)
{
    size_t keep = has_system(c);
    while (json_array_size(c->messages) > keep)
        json_array_remove(c->messages, json_array_size(c->messages) - 1);
    history_clear(c->history);
}

static void drop_last_message(struct chat *c)
{
    json_array_remove(c->messages, json_array_size(c->messages) - 1);
}

static json_t *assistant_message(const struct parse_result *t)
{
    json_t *m = json_pack("{s:s}", "role", "assistant");
    json_object_set_new(m, "content", json_stringn(t->content, t->content_size));
    if (t->reasoning_size)
        json_object_set_new(m, "reasoning_content", json_stringn(t->reasoning, t->reasoning_size));
    if (t->n_calls) json_object_set_new(m, "tool_calls", json_array());
    for (int i = 0; i < t->n_calls; i++) {
        char id[32];
        snprintf(id, sizeof id, "call_%d", i);
        json_array_append_new(json_object_get(m, "tool_calls"),
                              json_pack("{s:s, s:s, s:{s:s, s:s}}", "id", id, "type", "function",
                                        "function", "name", t->calls[i].name, "arguments",
                                        t->calls[i].arguments));
    }
    return m;
}

/* ---- one turn ---- */

static void emit(void *ctx, const struct parse_event *e)
{
    show_event(ctx, e);
}

static int generate(struct chat *c, struct session *s, struct err *err)
{
    struct generation *g = NULL;
    struct show show;
    struct generate_options o = ask_generate_options(&c->ask, c->open.engine, c->ask.thinking);
    show_init(&show, stdout);
    o.emit = emit;
    o.ctx = &show;
    o.cancel = &c->cancel;
    o.snapshot = history_snapshot(c->history);
    session_set_key(s, (struct sampler_key){.seed = c->seed});
    if (generation_open(&g, s, &o, err)) return -1;
    atomic_store(&c->cancel, false);
    int rc = generation_run(g, err);
    show_end(&show);
    if (rc == 0) {
        const struct generation_result *r = generation_result(g);
        if (r->finish == FINISH_CANCELLED && c->terminal) puts("(stopped)");
        c->stats = r->stats;
        json_array_append_new(c->messages, assistant_message(r->text));
    }
    atomic_store(&c->cancel, false);
    generation_close(g);
    return rc;
}

/* The whole conversation as a prompt, and its answer. */
static int answer(struct chat *c, struct err *err)
{
    struct ids ids;
    struct session *s = NULL;
    struct prompt_options p = ask_prompt_options(&c->ask, c->model);
    ids_init(&ids, MAX_PROMPT_IDS);
    int rc = engine_prompt(c->open.engine, c->messages, NULL, &p, &ids, err);
    if (rc == 0) rc = history_begin(c->history, &ids, &s, err);
    if (rc == 0) rc = generate(c, s, err);
    ids_fini(&ids);
    if (rc == 0)
        history_end(c->history);
    else
        history_fail(c->history);
    return rc;
}

static int say(struct chat *c, const char *line, size_t size, struct err *err)
{
    json_t *content = json_stringn(line, size);
    if (!content) return err_set(err, ERR_ARGUMENT, "this line is not UTF-8");
    json_array_append_new(c->messages, json_pack("{s:s, s:o}", "role", "user", "content", content));
    if (answer(c, err) == 0) return 0;
    drop_last_message(c);
    return -1;
}

/* ---- commands ---- */

static int do_help(struct chat *c, const char *arg, struct err *err);

static int do_clear(struct chat *c, const char *arg, struct err *err)
{
    (void)arg;
    (void)err;
    clear_messages(c);
    puts("(a new conversation)");
    return 0;
}

static int do_think(struct chat *c, const char *arg, struct err *err)
{
    bool on = !strcmp(arg, "on");
    if (!on && strcmp(arg, "off") != 0)
        return err_set(err, ERR_ARGUMENT, "/think on or /think off");
    c->ask.thinking = on;
    puts(on ? "(it thinks before it answers)" : "(it answers at once)");
    return 0;
}

static int do_system(struct chat *c, const char *arg, struct err *err)
{
    (void)err;
    set_system(c, arg);
    puts(*arg ? "(system prompt set)" : "(no system prompt)");
    return 0;
}

static int do_temp(struct chat *c, const char *arg, struct err *err)
{
    char *end;
    struct sampler_options s = c->ask.sampling;
    s.temperature = strtof(arg, &end);
    if (end == arg || *end) return err_set(err, ERR_ARGUMENT, "/temp wants a number");
    if (sampler_check(&s, INT32_MAX, err)) return -1;
    c->ask.sampling = s;
    printf("(temperature %g)\n", (double)s.temperature);
    return 0;
}

/* The last user message and all that followed it. */
static int do_undo(struct chat *c, const char *arg, struct err *err)
{
    (void)arg;
    size_t n = json_array_size(c->messages), i = n;
    while (i > 0) {
        const json_t *role = json_object_get(json_array_get(c->messages, i - 1), "role");
        i--;
        if (!strcmp(json_string_value(role), "user")) break;
        if (i == 0) return err_set(err, ERR_ARGUMENT, "there is nothing to undo");
    }
    if (n == 0) return err_set(err, ERR_ARGUMENT, "there is nothing to undo");
    while (json_array_size(c->messages) > i)
        drop_last_message(c);
    history_undo(c->history);
    puts("(the last message and its answer are gone)");
    return 0;
}

static int do_save(struct chat *c, const char *arg, struct err *err)
{
    if (!*arg) return err_set(err, ERR_ARGUMENT, "/save wants a file name");
    char *text = json_dumps(c->messages, JSON_INDENT(2));
    if (!text) return err_set(err, ERR_LIMIT, "no memory to save");
    int rc = file_replace(arg, text, strlen(text), err);
    free(text);
    if (rc == 0) printf("(%zu messages saved)\n", json_array_size(c->messages));
    return rc;
}

/* True when every message has a role and the encoder accepts them. */
static int check_messages(struct chat *c, const json_t *messages, const char *what, struct err *err)
{
    struct ids ids;
    struct prompt_options p = ask_prompt_options(&c->ask, c->model);
    ids_init(&ids, MAX_PROMPT_IDS);
    int rc = engine_prompt(c->open.engine, messages, NULL, &p, &ids, err);
    ids_fini(&ids);
    return rc ? err_prefix(err, "%s", what) : 0;
}

static int do_load(struct chat *c, const char *arg, struct err *err)
{
    json_t *messages = NULL, *tools = NULL;
    if (!*arg) return err_set(err, ERR_ARGUMENT, "/load wants a file name");
    if (ask_messages(&messages, &tools, arg, err)) return -1;
    json_decref(tools);
    if (check_messages(c, messages, arg, err)) {
        json_decref(messages);
        return -1;
    }
    json_decref(c->messages);
    c->messages = json_deep_copy(messages);
    json_decref(messages);
    history_clear(c->history);
    printf("(%zu messages loaded)\n", json_array_size(c->messages));
    return 0;
}

static int do_stats(struct chat *c, const char *arg, struct err *err)
{
    (void)arg;
    (void)err;
    printf("(last answer: ");
    struct cache_stats cache = open_cache_stats(&c->open);
    ask_print_stats(stdout, &c->stats, &cache);
    printf(" %d of %d context tokens; seed %llu)\n", c->stats.n_prompt + c->stats.n_generated,
           engine_context(c->open.engine), (unsigned long long)c->seed);
    return 0;
}

struct command {
    const char *name, *args, *does;
    int (*run)(struct chat *c, const char *arg, struct err *err);
};

static const struct command commands[] = {
    {"/help", "", "this list", do_help},
    {"/exit", "", "end (so does Ctrl-D)", NULL},
    {"/clear", "", "a new conversation; the system prompt stays", do_clear},
    {"/undo", "", "take back the last message and its answer", do_undo},
    {"/think", " on|off", "reasoning before the answer", do_think},
    {"/system", " TEXT", "set the system prompt; without TEXT none", do_system},
    {"/temp", " X", "temperature; 0 takes the most likely token", do_temp},
    {"/save", " FILE", "write the conversation as JSON messages", do_save},
    {"/load", " FILE", "go on with such a file", do_load},
    {"/stats", "", "speeds and context", do_stats},
};

enum { N_COMMANDS = sizeof commands / sizeof *commands };

static int do_help(struct chat *c, const char *arg, struct err *err)
{
    (void)c;
    (void)arg;
    (void)err;
    for (int i = 0; i < N_COMMANDS; i++) {
        int width = 18 - (int)strlen(commands[i].name);
        printf("  %s%-*s %s\n", commands[i].name, width, commands[i].args, commands[i].does);
    }
    return 0;
}

/* 1: the program ends. */
static int command(struct chat *c, const char *line, struct err *err)
{
    size_t n = strcspn(line, " ");
    const char *arg = line + n + strspn(line + n, " ");
    for (int i = 0; i < N_COMMANDS; i++) {
        if (strlen(commands[i].name) != n || strncmp(commands[i].name, line, n) != 0) continue;
        return commands[i].run ? commands[i].run(c, arg, err) : 1;
    }
    return err_set(err, ERR_ARGUMENT, "no command %.*s; /help lists them", (int)n, line);
}

/* ---- the loop ---- */

/* Waits for input on a terminal; false when Ctrl-C came first. It looks at the flag ten times a second: a
 * signal may come before the wait begins, or be taken by another thread, and then wakes nothing. A
 * terminal hands out one line a read, so none hides in stdin's buffer. */
static bool input_comes(struct chat *c)
{
    struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
    while (!atomic_exchange(&c->cancel, false))
        if (poll(&in, 1, 100) > 0) return true;
    return false;
}

/* One line without its newline; false at the end of input. Ctrl-C at the prompt clears the line. */
static bool read_line(struct chat *c, char **line, size_t *cap, size_t *size)
{
    atomic_store(&c->cancel, false);
    for (;;) {
        if (c->terminal) {
            fputs("> ", stdout);
            fflush(stdout);
        }
        if (c->terminal && !input_comes(c)) {
            puts("\n(Ctrl-D or /exit ends)");
            continue;
        }
        errno = 0;
        ssize_t n = getline(line, cap, stdin);
        if (n >= 0) {
            if (n && (*line)[n - 1] == '\n') (*line)[--n] = 0;
            *size = (size_t)n;
            return true;
        }
        if (errno != EINTR) return false;
        clearerr(stdin);
    }
}

static int talk(struct chat *c)
{
    char *line = NULL;
    size_t cap = 0, size = 0;
    int rc = 0, failed = 0;
    while (rc != 1 && read_line(c, &line, &cap, &size)) {
        struct err err = {0};
        if (!size) continue;
        rc = line[0] == '/' ? command(c, line, &err) : say(c, line, size, &err);
        if (rc < 0) failed = cli_fail(&err);
    }
    if (c->terminal && rc != 1) putchar('\n');
    free(line);
    return c->terminal ? 0 : failed;
}

static int chat(struct chat *c, struct err *err)
{
    struct engine_options engine = {.max_context = c->ask.context,
                                    .n_snapshots = HISTORY_SNAPSHOTS + 1,
                                    .drafts = c->ask.drafts};
    if (ask_check(&c->ask, err)) return -1;
    if (open_model(&c->open, c->model, &c->ask.open, true, ask_mtp(&c->ask), &engine, err))
        return -1;
    c->history = history_new(c->open.engine);
    if (!c->history) return err_set(err, ERR_LIMIT, "no memory for the conversation");
    c->messages = json_array();
    if (c->ask.system) set_system(c, c->ask.system);
    c->seed = ask_seed(&c->ask);
    c->terminal = isatty(STDIN_FILENO);
    if (c->terminal) puts("Type a message; /help lists commands.");
    if (c->terminal) interrupt_watch(&c->cancel, false);
    return 0;
}

int cli_chat(int argc, char **argv)
{
    struct chat c = {0};
    struct err err = {0};
    ask_init(&c.ask);
    int rc = argp_parse(&parser, argc, argv, 0, NULL, &c) ? CLI_USAGE : 0;
    if (rc == 0) rc = chat(&c, &err) ? cli_fail(&err) : talk(&c);
    interrupt_forget();
    history_free(c.history);
    json_decref(c.messages);
    open_close(&c.open);
    ask_fini(&c.ask);
    return rc;
}
