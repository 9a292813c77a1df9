/* tenon: finds the subcommand. */
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "cli/cli.h"

struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *does;
};

static const struct command commands[] = {
    {"run", cli_run, "answer one prompt"},
    {"chat", cli_chat, "talk in the terminal"},
    {"serve", cli_serve, "answer over HTTP"},
    {"key", cli_key, "make, list and remove keys for clients of serve"},
    {"inspect", cli_inspect, "show what is in a model and whether it fits this machine"},
    {"tokenize", cli_tokenize, "text to token ids and back, as JSON Lines"},
    {"prompt", cli_prompt, "messages to the exact prompt text"},
    {"logits", cli_logits, "logits of given tokens, and their digest"},
    {"convert", cli_convert, "write a model as GGUF"},
    {"eval", cli_eval, "measure accuracy, perplexity and KL divergence"},
    {"bench", cli_bench, "measure speed beside the limits of the machine"},
};

enum { N_COMMANDS = sizeof commands / sizeof *commands };

/* Read by argp for --version, here and in every subcommand. */
const char *argp_program_version = "tenon " TENON_VERSION;

static void print_help(FILE *out)
{
    fputs("Usage: tenon COMMAND [OPTION...]\n"
          "Runs DeepSeek-V4 models.\n\n",
          out);
    for (int i = 0; i < N_COMMANDS; i++)
        fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].does);
    fputs("\ntenon COMMAND --help tells the options of a command; tenon --version the version.\n",
          out);
}

static const struct command *find_command(const char *name)
{
    for (int i = 0; i < N_COMMANDS; i++)
        if (!strcmp(commands[i].name, name)) return &commands[i];
    return NULL;
}

static int run_command(const struct command *c, int argc, char **argv)
{
    struct buf name;
    buf_init(&name, 256);
    buf_printf(&name, "tenon %s", c->name); /* how argp's messages name the program */
    argv[0] = name.data;
    int status = c->run(argc, argv);
    if ((fflush(stdout) || ferror(stdout)) && status == 0)
        status = cli_fail(&(struct err){ERR_IO, "cannot write to standard output"});
    buf_fini(&name);
    return status;
}

int main(int argc, char **argv)
{
    argp_err_exit_status = CLI_USAGE;
    if (argc < 2) {
        print_help(stderr);
        return CLI_USAGE;
    }
    const char *word = argv[1];
    if (!strcmp(word, "--version") || !strcmp(word, "-V")) return puts(argp_program_version) < 0;
    if (!strcmp(word, "--help") || !strcmp(word, "-?") || !strcmp(word, "help")) {
        print_help(stdout);
        return 0;
    }
    const struct command *c = find_command(word);
    if (c) return run_command(c, argc - 1, argv + 1);
    fprintf(stderr, "tenon: no command \"%s\"; tenon --help lists them\n", word);
    return CLI_USAGE;
}
