/* tenon key: the keys that clients of `tenon serve` send. */
#include <argp.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/sha256.h"
#include "cli/cli.h"
#include "secure/keys.h"

enum { OPTION_FILE = 'f', OPTION_LIMIT = 0x8000 };

struct options {
    const char *file;
    struct key key; /* its limits */
    const char *words[2];
    int n_words;
    bool has_limits;
};

/* The names of limits in the file are the long options. */
static const struct argp_option option_table[] = {
    {"file", OPTION_FILE, "FILE", 0, "The file of keys, as for tenon serve --keys; default keys",
     1},
    {"requests", OPTION_LIMIT, "N", 0, "Requests per minute", 2},
    {"tokens", OPTION_LIMIT + 1, "N", 0, "Tokens per minute, of prompts and answers", 2},
    {"concurrent", OPTION_LIMIT + 2, "N", 0, "Requests at once", 2},
    {"daily", OPTION_LIMIT + 3, "N", 0, "Tokens in a day (UTC)", 2},
    {"models", OPTION_LIMIT + 4, "A,B", 0, "Names of models that it may use", 2},
    {"priority", OPTION_LIMIT + 5, "N", 0, "-9 to 9, default 0: higher ones go first in the queue",
     2},
    {"expires", OPTION_LIMIT + 6, "DATE", 0, "As 2027-01-31: not valid from that day on (UTC)", 2},
    {0},
};

static const char *limit_name(int key)
{
    for (const struct argp_option *o = option_table; o->name; o++)
        if (o->key == key) return o->name;
    return NULL;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;
    struct err err = {0};
    if (key == OPTION_FILE) {
        o->file = arg;
        return 0;
    }
    if (key >= OPTION_LIMIT && limit_name(key)) {
        char what[32];
        snprintf(what, sizeof what, "--%s", limit_name(key));
        o->has_limits = true;
        if (strpbrk(arg, " \t\r\n")) argp_error(state, "%s: no blanks, please", what);
        if (key_set(&o->key, limit_name(key), arg, what, &err))
            argp_error(state, "%s", err.message);
        return 0;
    }
    if (key == ARGP_KEY_ARG) {
        if (o->n_words == 2) argp_error(state, "%s is one word too many", arg);
        o->words[o->n_words++] = arg;
        return 0;
    }
    return ARGP_ERR_UNKNOWN;
}

static const struct argp parser = {
    .options = option_table,
    .parser = parse_option,
    .args_doc = "new NAME\nlist\nremove NAME",
    .doc = "Makes, lists and removes the keys that clients of tenon serve send.\v"
           "`new` prints the key, once: the file keeps its hash alone. A running server reads the "
           "file again at SIGHUP.",
};

static int make_new(struct options *o, struct err *err)
{
    char text[KEY_TEXT];
    if (!keys_is_name(o->words[1]))
        return err_set(err, ERR_ARGUMENT,
                       "\"%s\" is no name for a key: 1 to %d letters, digits, . _ - are",
                       o->words[1], KEY_MAX_NAME);
    snprintf(o->key.name, sizeof o->key.name, "%s", o->words[1]);
    key_make(text);
    sha256_of(text, strlen(text), o->key.hash);
    if (keys_add(o->file, &o->key, err)) return -1;
    printf("%s\n", text);
    return 0;
}

static int list(const struct options *o, struct err *err)
{
    struct keys *keys = NULL;
    if (keys_read(&keys, o->file, NULL, err)) return -1;
    for (int i = 0; i < keys_count(keys); i++) {
        const struct key *k = keys_get(keys, i);
        struct buf line;
        char hash[9];
        buf_init(&line, KEYS_MAX_BYTES);
        sha256_hex(k->hash, 4, hash);
        buf_printf(&line, "%s %s", k->name, hash);
        key_limits(k, &line);
        printf("%s\n", buf_text(&line));
        buf_fini(&line);
    }
    keys_release(keys);
    return 0;
}

int cli_key(int argc, char **argv)
{
    struct options o = {.file = "keys"};
    struct err err = {0};
    if (argp_parse(&parser, argc, argv, 0, NULL, &o)) return CLI_USAGE;
    const char *verb = o.n_words ? o.words[0] : "";
    bool is_new = !strcmp(verb, "new"), is_list = !strcmp(verb, "list"),
         is_remove = !strcmp(verb, "remove");
    int rc;
    if (!(is_new || is_list || is_remove) || o.n_words != (is_list ? 1 : 2) ||
        (o.has_limits && !is_new)) {
        fprintf(stderr, "tenon key: new NAME [limits], list or remove NAME; tenon key --help\n");
        key_fini(&o.key);
        return CLI_USAGE;
    }
    if (is_new)
        rc = make_new(&o, &err);
    else
        rc = is_list ? list(&o, &err) : keys_remove(o.file, o.words[1], &err);
    key_fini(&o.key);
    return rc ? cli_fail(&err) : 0;
}
