/* tenon tokenize: JSON Lines on stdin, text to ids or, with --decode, ids to text. */
#include <argp.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "cli/cli.h"
#include "text/tokenizer.h"

enum { MAX_LINE = 64 << 20, MAX_TEXT = 256 << 20 };

struct options {
    const char *model;
    bool decode;
    bool skip_special;
};

enum { KEY_DECODE = 256, KEY_SKIP_SPECIAL };

static const struct argp_option option_table[] = {
    {"decode", KEY_DECODE, NULL, 0, "Read ids and answer with text", 0},
    {"skip-special", KEY_SKIP_SPECIAL, NULL, 0, "With --decode, leave special tokens out", 0},
    {0},
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;
    switch (key) {
    case KEY_DECODE:
        o->decode = true;
        return 0;
    case KEY_SKIP_SPECIAL:
        o->skip_special = true;
        return 0;
    case ARGP_KEY_ARG:
        if (state->arg_num > 0) argp_error(state, "one model, please");
        o->model = arg;
        return 0;
    case ARGP_KEY_END:
        if (!o->model) argp_error(state, "which model?");
        if (o->skip_special && !o->decode) argp_error(state, "--skip-special needs --decode");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp parser = {
    .options = option_table,
    .parser = parse_option,
    .args_doc = "MODEL_OR_TOKENIZER_JSON",
    .doc =
        "Reads JSON Lines from standard input: {\"text\": ...}, or {\"ids\": [...]} with --decode. "
        "Answers each with a line {\"ids\": [...]} or {\"text\": ...}. Special tokens in the text "
        "become their ids.",
};

static int print_line(json_t *answer, struct err *err)
{
    bool bad = !answer || json_dumpf(answer, stdout, 0) || putchar('\n') == EOF;
    json_decref(answer);
    return bad ? err_set(err, ERR_IO, "cannot write to standard output") : 0;
}

static int encode_line(const struct tokenizer *t, const json_t *line, struct err *err)
{
    const json_t *text = json_object_get(line, "text");
    struct ids ids;
    if (!json_is_string(text)) return err_set(err, ERR_ARGUMENT, "\"text\" is not a string");
    ids_init(&ids, MAX_TEXT);
    int rc =
        tokenizer_encode(t, json_string_value(text), json_string_length(text), true, &ids, err);
    if (rc == 0) {
        json_t *list = json_array();
        for (size_t i = 0; i < ids.n; i++)
            json_array_append_new(list, json_integer(ids.data[i]));
        rc = print_line(json_pack("{s:o}", "ids", list), err);
    }
    ids_fini(&ids);
    return rc;
}

static int read_ids(const json_t *list, struct ids *ids, struct err *err)
{
    if (!json_is_array(list)) return err_set(err, ERR_ARGUMENT, "\"ids\" is not a list");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *id = json_array_get(list, i);
        json_int_t value = json_integer_value(id);
        if (!json_is_integer(id) || value < 0 || value > INT32_MAX)
            return err_set(err, ERR_ARGUMENT, "\"ids\": element %zu is no token id", i);
        if (ids_add(ids, (int32_t)value, err)) return -1;
    }
    return 0;
}

static int decode_line(const struct tokenizer *t, const json_t *line, bool skip_special,
                       struct err *err)
{
    struct ids ids;
    struct buf text;
    ids_init(&ids, MAX_TEXT);
    buf_init(&text, MAX_TEXT);
    int rc = read_ids(json_object_get(line, "ids"), &ids, err);
    if (rc == 0) rc = tokenizer_decode(t, ids.data, ids.n, skip_special, &text, err);
    if (rc == 0) rc = print_line(json_pack("{s:s%}", "text", buf_text(&text), text.size), err);
    ids_fini(&ids);
    buf_fini(&text);
    return rc;
}

static int answer_line(const struct tokenizer *t, const struct options *o, const char *text,
                       size_t size, struct err *err)
{
    json_t *line = NULL;
    if (size > MAX_LINE) return err_set(err, ERR_LIMIT, "over %d bytes", MAX_LINE);
    if (json_parse(&line, "input", text, size, err)) return -1;
    int rc = o->decode ? decode_line(t, line, o->skip_special, err) : encode_line(t, line, err);
    json_decref(line);
    return rc;
}

static int answer_all(const struct tokenizer *t, const struct options *o, struct err *err)
{
    char *line = NULL;
    size_t cap = 0, number = 0;
    ssize_t size;
    int rc = 0;
    while (rc == 0 && (size = getline(&line, &cap, stdin)) >= 0) {
        number++;
        if (strspn(line, " \t\r\n") == (size_t)size) continue;
        rc = answer_line(t, o, line, (size_t)size, err);
        if (rc) err_prefix(err, "standard input, line %zu", number);
    }
    free(line);
    if (rc == 0 && ferror(stdin)) rc = err_set(err, ERR_IO, "cannot read standard input");
    if (rc == 0 && fflush(stdout)) rc = err_set(err, ERR_IO, "cannot write to standard output");
    return rc;
}

int cli_tokenize(int argc, char **argv)
{
    struct options o = {0};
    struct err err = {0};
    struct tokenizer *t = NULL;
    if (argp_parse(&parser, argc, argv, 0, NULL, &o)) return 1;
    if (tokenizer_open(&t, o.model, &err)) return cli_fail(&err);
    int rc = answer_all(t, &o, &err);
    tokenizer_close(t);
    return rc ? cli_fail(&err) : 0;
}
