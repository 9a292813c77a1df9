/* tenon prompt: messages to the exact prompt text. */
#include <argp.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "base/json.h"
#include "cli/cli.h"
#include "text/prompt.h"

enum { MAX_MESSAGES_FILE = 256 << 20 };

struct options {
    const char *model;
    const char *file;
    const char *family; /* NULL: as the model's folder says */
    struct prompt_options prompt;
};

enum { KEY_THINKING = 256, KEY_CHAT, KEY_EFFORT, KEY_FAMILY, KEY_KEEP };

static const struct argp_option option_table[] = {
    {"thinking", KEY_THINKING, NULL, 0, "The answer starts with reasoning (default)", 0},
    {"chat", KEY_CHAT, NULL, 0, "The answer starts at once", 0},
    {"effort", KEY_EFFORT, "E", 0, "Reasoning effort: low, high, max, as the family has them", 0},
    {"family", KEY_FAMILY, "F", 0,
     "Prompt family: preview, official, v4.1 (default: as the model folder says, else official)",
     0},
    {"keep-thinking", KEY_KEEP, NULL, 0, "Keep the reasoning of earlier turns", 0},
    {0},
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;
    switch (key) {
    case KEY_THINKING:
        o->prompt.thinking = true;
        return 0;
    case KEY_CHAT:
        o->prompt.thinking = false;
        return 0;
    case KEY_EFFORT:
        o->prompt.effort = arg;
        return 0;
    case KEY_FAMILY:
        o->family = arg;
        return 0;
    case KEY_KEEP:
        o->prompt.keep_thinking = true;
        return 0;
    case ARGP_KEY_ARG:
        if (state->arg_num > 1) argp_error(state, "one model and one file, please");
        if (state->arg_num == 0)
            o->model = arg;
        else
            o->file = arg;
        return 0;
    case ARGP_KEY_END:
        if (!o->file) argp_error(state, "which model and which file of messages?");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp parser = {
    .options = option_table,
    .parser = parse_option,
    .args_doc = "MODEL_OR_TOKENIZER_JSON FILE",
    .doc = "FILE holds a JSON list of messages, or an object with \"messages\" and optionally "
           "\"tools\"; - is standard input. Prints the prompt text and nothing else.",
};

static int print_prompt(const struct options *o, const json_t *root, struct err *err)
{
    struct prompt p;
    const json_t *messages = root, *tools = NULL;
    if (json_is_object(root)) {
        messages = json_object_get(root, "messages");
        tools = json_object_get(root, "tools");
    }
    if (prompt_encode(&p, messages, tools, &o->prompt, err)) return err_prefix(err, "%s", o->file);
    bool ok = fwrite(buf_text(&p.text), 1, p.text.size, stdout) == p.text.size && !fflush(stdout);
    prompt_fini(&p);
    return ok ? 0 : err_set(err, ERR_IO, "cannot write to standard output");
}

int cli_prompt(int argc, char **argv)
{
    struct options o = {.prompt.thinking = true};
    struct err err = {0};
    json_t *root = NULL;
    if (argp_parse(&parser, argc, argv, 0, NULL, &o)) return 1;
    if (access(o.model, R_OK)) {
        err_set(&err, ERR_IO, "%s: cannot be read", o.model);
        return cli_fail(&err);
    }
    o.prompt.family = prompt_family_detect(o.model);
    if (o.family && prompt_family_find(&o.prompt.family, o.family, &err)) return cli_fail(&err);
    if (prompt_options_check(&o.prompt, &err)) return cli_fail(&err);
    if (json_parse_input(&root, o.file, MAX_MESSAGES_FILE, &err)) return cli_fail(&err);
    int rc = print_prompt(&o, root, &err);
    json_decref(root);
    return rc ? cli_fail(&err) : 0;
}
