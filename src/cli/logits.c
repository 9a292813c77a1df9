/* tenon logits: the logits of given tokens, and their digest. */
#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/progress.h"
#include "base/sha256.h"
#include "cli/cli.h"
#include "cli/open.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "logits are written as they lie in memory");

struct options {
    struct open_options open;
    const char *model, *tokens, *out;
    int chunk;
    bool mtp, json;
};

enum { KEY_TOKENS = 0x2000, KEY_OUT, KEY_CHUNK, KEY_MTP, KEY_JSON };

static const struct argp_option option_table[] = {
    {"tokens", KEY_TOKENS, "FILE", 0, "Decimal ids separated by white space; - is standard input",
     1},
    {"out", KEY_OUT, "FILE", 0, "Gets f32 little-endian [T, vocab]: row t follows token t", 1},
    {"chunk", KEY_CHUNK, "N", 0,
     "Tokens per step; default 128, 1 is token by token. Results do not depend on it", 1},
    {"mtp", KEY_MTP, NULL, 0,
     "Logits of the MTP block instead: row t from the streams at t and token t + 1; T - 1 rows", 1},
    {"json", KEY_JSON, NULL, 0, "Print an object with the whole digest", 1},
    {0},
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &o->open;
        return 0;
    case KEY_TOKENS:
        o->tokens = arg;
        return 0;
    case KEY_OUT:
        if (!strcmp(arg, "-"))
            argp_error(state, "--out wants a file: the digest goes to standard output");
        o->out = arg;
        return 0;
    case KEY_CHUNK:
        o->chunk = (int)open_int(state, "--chunk", arg, 1, 1 << 20);
        return 0;
    case KEY_MTP:
        o->mtp = true;
        return 0;
    case KEY_JSON:
        o->json = true;
        return 0;
    case ARGP_KEY_ARG:
        if (state->arg_num > 0) argp_error(state, "one model, please");
        o->model = arg;
        return 0;
    case ARGP_KEY_END:
        if (!o->model || !o->tokens || !o->out)
            argp_error(state, "a model, --tokens FILE and --out FILE are wanted");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_child children[] = {{&open_argp, 0, "Machine", 10}, {0}};
static const struct argp parser = {
    .options = option_table,
    .parser = parse_option,
    .args_doc = "MODEL --tokens FILE --out FILE",
    .doc =
        "Writes the logits of every token and prints T, the vocabulary and the digest: the first "
        "16 hex digits of the SHA-256 of the bytes written. Needs no tokenizer.",
    .children = children,
};

/* Runs the tokens through a fresh sequence, a chunk at a time, and writes each chunk's rows. */
static int write_logits(FILE *out, struct sha256 *hash, struct model *m, struct kv *kv,
                        const struct options *o, const struct ids *ids, struct err *err)
{
    size_t vocab = (size_t)model_config(m)->vocab;
    int n = (int)ids->n, chunk = o->chunk < n ? o->chunk : n;
    float *logits = malloc((size_t)chunk * vocab * sizeof *logits);
    if (!logits)
        return err_set(err, ERR_LIMIT, "no memory for %d rows of %zu logits; --chunk makes it less",
                       chunk, vocab);
    struct progress *progress = progress_new("logits", (uint64_t)n, "tokens");
    int rc = 0;
    for (int t = 0; t < n && rc == 0; t += chunk) {
        int rows = n - t < chunk ? n - t : chunk;
        struct model_input in = {
            .kv = kv, .tokens = ids->data + t, .n = rows, .n_logits = o->mtp ? 0 : rows};
        struct model_output step = {.logits = o->mtp ? NULL : logits,
                                    .mtp_logits = o->mtp ? logits : NULL};
        rc = model_forward(m, &in, 1, &step, NULL, err);
        if (rc) break;
        size_t bytes = (size_t)(o->mtp ? step.n_mtp : rows) * vocab * sizeof *logits;
        sha256_add(hash, logits, bytes);
        if (fwrite(logits, 1, bytes, out) != bytes)
            rc = err_set(err, ERR_IO, "%s: %s", o->out, strerror(errno));
        progress_add(progress, (uint64_t)rows);
    }
    progress_free(progress);
    free(logits);
    return rc;
}

static void print_digest(const struct options *o, int tokens, int vocab, const uint8_t digest[32])
{
    char hex[65];
    sha256_hex(digest, o->json ? 32 : 8, hex);
    if (o->json)
        printf("{\"tokens\": %d, \"rows\": %d, \"vocab\": %d, \"digest\": \"%s\"}\n", tokens,
               tokens - o->mtp, vocab, hex);
    else
        printf("T=%d vocab=%d digest=%s\n", tokens, vocab, hex);
}

/* Half a result must not look like a whole one; but a device such as /dev/null stays. */
static void remove_partial(const char *path)
{
    struct stat st;
    if (stat(path, &st) == 0 && S_ISREG(st.st_mode)) unlink(path);
}

static int logits_to(FILE *out, struct opened *open, const struct options *o, const struct ids *ids,
                     struct err *err)
{
    struct kv_pool *pool = kv_pool_new(open->backend, model_layout(open->model), 0);
    struct kv *kv = kv_new(pool);
    struct sha256 *hash = sha256_new();
    uint8_t digest[32];
    int rc = kv ? write_logits(out, hash, open->model, kv, o, ids, err)
                : err_set(err, ERR_LIMIT, "no memory for a sequence");
    if (fclose(out) && rc == 0) rc = err_set(err, ERR_IO, "%s: %s", o->out, strerror(errno));
    sha256_end(hash, digest);
    if (rc == 0)
        print_digest(o, (int)ids->n, model_config(open->model)->vocab, digest);
    else
        remove_partial(o->out);
    sha256_free(hash);
    kv_free(kv);
    kv_pool_free(pool);
    return rc;
}

static int check_count(const struct options *o, const struct config *c, const struct ids *ids,
                       struct err *err)
{
    if (ids->n > (size_t)c->max_positions)
        return err_set(err, ERR_LIMIT, "%s: %zu tokens, the model has %d positions", o->tokens,
                       ids->n, c->max_positions);
    if (o->mtp && ids->n < 2)
        return err_set(err, ERR_ARGUMENT, "%s: --mtp needs at least 2 tokens", o->tokens);
    return 0;
}

static int logits(const struct options *o, struct err *err)
{
    struct opened open;
    struct ids ids = {0};
    struct engine_options engine = {0};
    enum open_mtp mtp = o->mtp ? OPEN_MTP_MUST : OPEN_MTP_NONE;
    if (open_model(&open, o->model, &o->open, false, mtp, &engine, err)) return -1;
    const struct config *c = model_config(open.model);
    int rc = open_ids(&ids, o->tokens, c->vocab, err);
    if (rc == 0) rc = check_count(o, c, &ids, err);
    if (rc == 0) {
        FILE *out = fopen(o->out, "wb");
        rc = out ? logits_to(out, &open, o, &ids, err)
                 : err_set(err, ERR_IO, "%s: %s", o->out, strerror(errno));
    }
    ids_fini(&ids);
    open_close(&open);
    return rc;
}

int cli_logits(int argc, char **argv)
{
    struct options o = {.chunk = ENGINE_CHUNK};
    struct err err = {0};
    if (argp_parse(&parser, argc, argv, 0, NULL, &o)) return CLI_USAGE;
    return logits(&o, &err) ? cli_fail(&err) : 0;
}
