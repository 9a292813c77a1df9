/* tenon convert: any model as one GGUF file. */
#include <argp.h>
#include <stdbool.h>
#include <stdio.h>

#include "cli/cli.h"
#include "model/convert.h"

struct options {
    const char *model, *out;
    struct convert_options convert;
};

enum { KEY_MTP = 256, KEY_F32 };

static const struct argp_option option_table[] = {
    {"mtp", KEY_MTP, NULL, 0,
     "Keep the MTP block, for drafting; llama.cpp does not read such files", 0},
    {"f32", KEY_F32, NULL, 0, "Write every value as F32: exact and large, to compare engines", 0},
    {0},
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;
    switch (key) {
    case KEY_MTP:
        o->convert.mtp = true;
        return 0;
    case KEY_F32:
        o->convert.f32 = true;
        return 0;
    case ARGP_KEY_ARG:
        if (state->arg_num > 1) argp_error(state, "one model and one file, please");
        *(state->arg_num == 0 ? &o->model : &o->out) = arg;
        return 0;
    case ARGP_KEY_END:
        if (!o->out) argp_error(state, "which model, and which file to write?");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp parser = {
    .options = option_table,
    .parser = parse_option,
    .args_doc = "MODEL OUT.gguf",
    .doc =
        "Writes MODEL (a folder, .safetensors or .gguf) as one GGUF file. FP4 experts become MXFP4 "
        "without loss, FP8 becomes Q8_0, the rest is kept.",
};

int cli_convert(int argc, char **argv)
{
    struct options o = {0};
    struct err err = {0};
    if (argp_parse(&parser, argc, argv, 0, NULL, &o)) return CLI_USAGE;
    if (convert_to_gguf(o.model, o.out, &o.convert, &err)) return cli_fail(&err);
    printf("%s\n", o.out);
    return 0;
}
