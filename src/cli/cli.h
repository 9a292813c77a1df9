/* The subcommands of tenon. Each takes its own argv, argv[0] being its name, and returns the exit
 * status. */
#pragma once
#include "base/err.h"

int cli_run(int argc, char **argv);
int cli_chat(int argc, char **argv);
int cli_tokenize(int argc, char **argv);
int cli_prompt(int argc, char **argv);
int cli_inspect(int argc, char **argv);
int cli_logits(int argc, char **argv);
int cli_convert(int argc, char **argv);
int cli_eval(int argc, char **argv);
int cli_bench(int argc, char **argv);
int cli_serve(int argc, char **argv);
int cli_key(int argc, char **argv);

/* Prints "tenon: message" to stderr and returns 1, the exit status for every failure. */
int cli_fail(const struct err *err);

/* "159.6 GB" (powers of 1000) into text; returns text. */
const char *cli_bytes(double bytes, char text[32]);

enum { CLI_USAGE = 2, CLI_INTERRUPTED = 130 }; /* exit statuses of wrong usage and of Ctrl-C */
