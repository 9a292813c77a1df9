/* tenon eval: how good is a model? */
#include <argp.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/eval.h"

enum { DEFAULT_TOKENS = 1024, DEFAULT_WINDOW = 512, MAX_TRIES = 1024, MAX_WINDOW = 1 << 20 };

enum {
    KEY_TASK = 0x5000,
    KEY_BY,
    KEY_TRIES,
    KEY_OUT,
    KEY_LONG,
    KEY_POSITIONS,
    KEY_PPL,
    KEY_SPECIAL,
    KEY_WINDOW,
    KEY_SKIP,
    KEY_KL,
    KEY_BASE,
    KEY_BASE_MODE,
    KEY_BASE_FILE,
    KEY_SAVE_BASE,
    KEY_LIMIT,
    KEY_BATCH,
    KEY_JSON
};

static const struct argp_option option_table[] = {
    {NULL, 0, NULL, 0, "Answers to problems", 1},
    {"task", KEY_TASK, "FILE", 0,
     "Problems with final answers: JSON Lines (id, lang, question, answer, kind) or MGSM's TSV; "
     "may "
     "be repeated",
     1},
    {"longbench-like", KEY_LONG, NULL, 0,
     "Problems made on the spot: find a fact, and repeat a list, in a long text", 1},
    {"positions", KEY_POSITIONS, "N,N,...", 0, "Their lengths in tokens; default 1024,4096,16384",
     1},
    {"tries", KEY_TRIES, "N", 0, "Answers to each problem; default 1", 1},
    {"by", KEY_BY, "FIELD", 0, "Accuracy by one more field of the problems; may be repeated", 1},
    {"out", KEY_OUT, "FILE", 0, "Keep every answer, as JSON Lines, written as they finish", 1},
    {NULL, 0, NULL, 0, "Text", 4},
    {"ppl", KEY_PPL, "FILE", 0, "Perplexity of a UTF-8 text", 4},
    {"special", KEY_SPECIAL, NULL, 0, "Control tokens written out in the text count as such", 4},
    {"window", KEY_WINDOW, "N", 0, "It is cut into windows of N tokens; default 512", 4},
    {"skip", KEY_SKIP, "N", 0,
     "Positions at the start of a window that are not scored; default half of it", 4},
    {"kl", KEY_KL, NULL, 0, "KL divergence from a base on the text of --ppl", 4},
    {"base", KEY_BASE, "MODEL", 0, "Its base is another model, with the same tokenizer", 4},
    {"base-mode", KEY_BASE_MODE, "MODE", 0,
     "Its base runs in this numeric mode: default, f32, float; without --base it is the same model",
     4},
    {"base-file", KEY_BASE_FILE, "FILE", 0, "Its base was stored by --save-base", 4},
    {"save-base", KEY_SAVE_BASE, "FILE", 0,
     "Store the log-probabilities of the text of --ppl: 4 bytes for each token of the vocabulary "
     "at "
     "each position scored",
     4},
    {NULL, 0, NULL, 0, "Problems and text", 5},
    {"limit", KEY_LIMIT, "N", 0,
     "N problems, or windows, evenly spread; of --longbench-like N for each test and length "
     "(default "
     "10)",
     5},
    {"batch", KEY_BATCH, "N", 0,
     "Answers or windows at once; default 32, of --longbench-like 4, of --ppl 8. Results do not "
     "depend on it",
     5},
    {"json", KEY_JSON, NULL, 0, "Print one JSON object", 5},
    {0},
};

static void read_positions(struct eval_options *o, char *arg, const struct argp_state *state)
{
    char *rest = arg, *word;
    o->n_positions = 0;
    while ((word = strsep(&rest, ","))) {
        if (o->n_positions == EVAL_MAX_POSITIONS)
            argp_error(state, "--positions: at most %d", EVAL_MAX_POSITIONS);
        o->positions[o->n_positions++] = (int)open_int(state, "--positions", word, 128, 1 << 24);
    }
}

static void check_text(const struct eval_options *o, const struct argp_state *state)
{
    int bases = (o->base || o->base_mode) + !!o->base_file;
    if (o->kl && bases != 1)
        argp_error(state, "--kl wants --base, --base-mode or both, or else --base-file");
    if (!o->kl && bases) argp_error(state, "a base is for --kl");
    if (o->kl && o->save_base) argp_error(state, "--kl and --save-base exclude each other");
    if (o->skip >= o->window - 1)
        argp_error(state, "--skip %d leaves nothing of a window of %d to be scored", o->skip,
                   o->window);
    if (o->base_mode && strcmp(o->base_mode, "default") != 0 && strcmp(o->base_mode, "f32") != 0 &&
        strcmp(o->base_mode, "float") != 0)
        argp_error(state, "--base-mode %s: there are default, f32 and float", o->base_mode);
    if (o->n_by || o->out || o->n_tries > 1)
        argp_error(state, "--by, --out and --tries are for problems, not for --ppl");
    if (o->ask.drafts == SPECULATE_ON)
        argp_error(state, "--draft on is for answers; --ppl draws no token");
}

static void check_combination(struct eval_options *o, const struct argp_state *state)
{
    if (!o->model) argp_error(state, "which model?");
    if ((o->n_tasks > 0) + !!o->text + o->long_context != 1)
        argp_error(state, "one of --task, --ppl and --longbench-like is wanted");
    if (o->text) check_text(o, state);
    if (!o->text &&
        (o->special || o->kl || o->base || o->base_mode || o->base_file || o->save_base))
        argp_error(state, "--special, --kl, its bases and --save-base need the text of --ppl");
    if (o->n_positions && !o->long_context)
        argp_error(state, "--positions is for --longbench-like");
}

static bool read_problem_option(struct eval_options *o, int key, char *arg,
                                struct argp_state *state)
{
    switch (key) {
    case KEY_TASK:
        if (o->n_tasks == EVAL_MAX_TASKS)
            argp_error(state, "--task more than %d times", EVAL_MAX_TASKS);
        o->tasks[o->n_tasks++] = arg;
        return true;
    case KEY_BY:
        if (o->n_by == EVAL_MAX_BY) argp_error(state, "--by more than %d times", EVAL_MAX_BY);
        o->by[o->n_by++] = arg;
        return true;
    case KEY_TRIES:
        o->n_tries = (int)open_int(state, "--tries", arg, 1, MAX_TRIES);
        return true;
    case KEY_OUT:
        o->out = arg;
        return true;
    case KEY_LONG:
        o->long_context = true;
        return true;
    case KEY_POSITIONS:
        read_positions(o, arg, state);
        return true;
    default:
        return false;
    }
}

static bool read_text_option(struct eval_options *o, int key, char *arg,
                             const struct argp_state *state)
{
    switch (key) {
    case KEY_PPL:
        o->text = arg;
        return true;
    case KEY_SPECIAL:
        o->special = true;
        return true;
    case KEY_WINDOW:
        o->window = (int)open_int(state, "--window", arg, 4, MAX_WINDOW);
        return true;
    case KEY_SKIP:
        o->skip = (int)open_int(state, "--skip", arg, 0, MAX_WINDOW);
        return true;
    case KEY_KL:
        o->kl = true;
        return true;
    case KEY_BASE:
        o->base = arg;
        return true;
    case KEY_BASE_MODE:
        o->base_mode = arg;
        return true;
    case KEY_BASE_FILE:
        o->base_file = arg;
        return true;
    case KEY_SAVE_BASE:
        o->save_base = arg;
        return true;
    default:
        return false;
    }
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct eval_options *o = state->input;
    if (read_problem_option(o, key, arg, state) || read_text_option(o, key, arg, state)) return 0;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &o->ask;
        return 0;
    case KEY_LIMIT:
        o->limit = (int)open_int(state, "--limit", arg, 1, INT32_MAX);
        return 0;
    case KEY_BATCH:
        o->batch = (int)open_int(state, "--batch", arg, 1, BATCH_MAX_SLOTS);
        return 0;
    case KEY_JSON:
        o->json = true;
        return 0;
    case ARGP_KEY_ARG:
        if (state->arg_num > 0) argp_error(state, "one model, please");
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
    .args_doc = "MODEL --task FILE\nMODEL --longbench-like\nMODEL --ppl FILE\n"
                "MODEL --ppl FILE --save-base FILE\n"
                "MODEL --ppl FILE --kl [--base MODEL] [--base-mode MODE]\n"
                "MODEL --ppl FILE --kl --base-file FILE",
    .doc =
        "Measures accuracy, perplexity or KL divergence, with 95 % intervals. Unlike run it takes "
        "the "
        "most likely token (--temp 0), at most 1024 tokens an answer (-n 1024) and seed 0 unless "
        "told otherwise.\v"
        "An answer is judged by its last number (or \\boxed{...}, or ####), or by how its text "
        "ends: "
        "src/measure/judge.h has the rule. Ctrl-C ends early and prints what is complete. Each "
        "answer is the one that run gives to the question with the same options.",
    .children = children,
};

int cli_eval(int argc, char **argv)
{
    struct eval_options o = {.n_tries = 1, .window = DEFAULT_WINDOW, .skip = -1};
    struct err err = {0};
    bool partial = false;
    ask_init(&o.ask);
    o.ask.sampling.temperature = 0;
    o.ask.max_tokens = DEFAULT_TOKENS;
    int rc = argp_parse(&parser, argc, argv, 0, NULL, &o) ? CLI_USAGE : 0;
    if (rc == 0) {
        bool failed = ask_check(&o.ask, &err) != 0;
        if (!failed)
            failed = (o.text ? eval_text(&o, &partial, &err) : eval_task(&o, &partial, &err)) != 0;
        rc = failed ? cli_fail(&err) : partial ? CLI_INTERRUPTED : 0;
    }
    ask_fini(&o.ask);
    return rc;
}
