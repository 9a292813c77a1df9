#include "cli/open.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/fit.h"
#include "cpu/cpu.h"
#include "serve/chat_request.h"

enum { KEY_THREADS = 't', KEY_FLOAT = 0x4000, KEY_ACTIVATIONS, KEY_ISA, KEY_MEMORY };

/* Bytes of a model that no processor's cache holds. */
#define LARGE (1ull << 30)

enum { MAX_THREADS = 4096, MAX_IDS_BYTES = 256 << 20, MAX_IDS = 16 << 20, MAX_CONFIG = 1 << 20 };

static const struct argp_option option_table[] = {
    {"threads", KEY_THREADS, "N", 0, "Threads; default one per CPU. Results do not depend on it",
     10},
    {"float", KEY_FLOAT, NULL, 0, "Round nothing: the yardstick mode, slow", 10},
    {"activations", KEY_ACTIVATIONS, "TYPE", 0, "f32: no int8 activations; int8 (default)", 10},
    {"isa", KEY_ISA, "NAME", 0,
     "Kernels: ref, avx2, avxvnni, avx512, neon, i8mm; default the best of this CPU", 10},
    {"memory", KEY_MEMORY, "SIZE", 0,
     "Memory for weights, sessions and scratch, as 4G (K, M, G, T: powers of 1024); where the "
     "weights "
     "do not fit, routed experts are read from disk on demand. Default what is available. Results "
     "do not depend on it",
     10},
    {0},
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct open_options *o = state->input;
    switch (key) {
    case KEY_THREADS:
        o->n_threads = (int)open_int(state, "--threads", arg, 1, MAX_THREADS);
        return 0;
    case KEY_FLOAT:
        o->is_float = true;
        if (o->f32_acts)
            argp_error(state, "--float and --activations f32 are two modes: choose one");
        return 0;
    case KEY_ACTIVATIONS:
        if (strcmp(arg, "f32") != 0 && strcmp(arg, "int8") != 0)
            argp_error(state, "--activations %s: there are f32 and int8", arg);
        o->f32_acts = !strcmp(arg, "f32");
        if (o->is_float && o->f32_acts)
            argp_error(state, "--float and --activations f32 are two modes: choose one");
        return 0;
    case KEY_ISA:
        o->isa = arg;
        return 0;
    case KEY_MEMORY:
        o->memory = fit_parse(arg);
        if (!o->memory)
            argp_error(state, "--memory %s: a size is wanted, as 4G, 1.5T or 800M", arg);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

const struct argp open_argp = {.options = option_table, .parser = parse_option};

static enum numeric_mode mode_of(const struct open_options *o)
{
    if (o->is_float) return MODE_FLOAT;
    return o->f32_acts ? MODE_F32_ACTS : MODE_DEFAULT;
}

/* How the model goes into memory; may say so. */
static int plan_memory(struct model_options *options, const struct opened *open,
                       const struct open_options *o, struct err *err)
{
    struct fit fit;
    char text[FIT_TEXT];
    const char *path = weights_path(open->weights);
    if (fit_model(&fit, open->backend, open->weights, options->mtp, o->memory, err)) return -1;
    if (fit.too_small) return err_set(err, ERR_LIMIT, "%s: %s", path, fit_text(&fit, text));
    options->expert_slots = fit.n_slots;
    if (fit.n_slots && !fit.given) log_warn("%s: %s", path, fit_text(&fit, text));
    return 0;
}

static size_t memory_left(const struct open_options *o)
{
    size_t total, available;
    if (o->memory) return fit_reserve(o->memory);
    mem_host(&total, &available);
    return available / 2;
}

int open_model(struct opened *out, const char *path, const struct open_options *o, bool with_text,
               enum open_mtp mtp, const struct engine_options *engine, struct err *err)
{
    *out = (struct opened){0};
    struct model_options options = {.mtp = mtp != OPEN_MTP_NONE, .progress = true};
    /* The tokenizer first: it is quick to say that it is missing. */
    if (with_text && tokenizer_open(&out->tokenizer, path, err)) goto fail;
    if (weights_open(&out->weights, path, err)) goto fail;
    if (mtp == OPEN_MTP_IF_LARGE && weights_tensor_bytes(out->weights) < LARGE) options.mtp = false;
    if (mtp == OPEN_MTP_MUST && !weights_have_mtp(out->weights)) {
        err_set(err, ERR_ARGUMENT, "%s: this model has no MTP block", path);
        goto fail;
    }
    if (cpu_open(&out->backend, mode_of(o), o->n_threads, o->isa, err)) goto fail;
    if (plan_memory(&options, out, o, err)) goto fail;
    if (model_open(&out->model, out->backend, out->weights, &options, err)) goto fail;
    struct engine_options sessions = *engine;
    if (sessions.memory == OPEN_WHAT_IS_LEFT) sessions.memory = memory_left(o);
    if (sessions.cache == OPEN_A_QUARTER) sessions.cache = sessions.memory / 4;
    if (engine_open(&out->engine, out->model, out->tokenizer, &sessions, err)) goto fail;
    return 0;

fail:
    open_close(out);
    return -1;
}

void open_close(struct opened *o)
{
    engine_close(o->engine);
    model_close(o->model);
    if (o->backend) o->backend->close(o->backend);
    weights_close(o->weights);
    tokenizer_close(o->tokenizer);
    *o = (struct opened){0};
}

struct cache_stats open_cache_stats(const struct opened *o)
{
    struct cache_stats s;
    o->backend->cache_stats(o->backend, &s);
    return s;
}

long long open_int(const struct argp_state *state, const char *option, const char *arg,
                   long long low, long long high)
{
    char *end;
    errno = 0;
    long long n = strtoll(arg, &end, 10);
    if (errno || end == arg || *end || n < low || n > high)
        argp_error(state, "%s %s: a whole number from %lld to %lld is wanted", option, arg, low,
                   high);
    return n;
}

double open_real(const struct argp_state *state, const char *option, const char *arg)
{
    char *end;
    errno = 0;
    double x = strtod(arg, &end);
    if (end == arg || *end) argp_error(state, "%s %s: a number is wanted", option, arg);
    return x;
}

/* One id at text[*at]; moves on behind it and the white space that follows. */
static int read_id(const char *text, size_t size, size_t *at, int32_t *id)
{
    int64_t n = 0;
    size_t i = *at, digits = 0;
    for (; i < size && isdigit((unsigned char)text[i]) && digits < 10; i++, digits++)
        n = 10 * n + (text[i] - '0');
    if (!digits || (i < size && !isspace((unsigned char)text[i])) || n > INT32_MAX) return -1;
    while (i < size && isspace((unsigned char)text[i]))
        i++;
    *at = i;
    *id = (int32_t)n;
    return 0;
}

static int read_ids(struct ids *out, const char *name, const char *text, size_t size, int vocab,
                    struct err *err)
{
    size_t at = 0;
    while (at < size && isspace((unsigned char)text[at]))
        at++;
    while (at < size) {
        int32_t id;
        if (read_id(text, size, &at, &id))
            return err_set(err, ERR_FORMAT,
                           "%s: byte %zu (after %zu ids) is not a decimal token id", name, at,
                           out->n);
        if (id >= vocab)
            return err_set(err, ERR_FORMAT, "%s: id %zu is %d, the vocabulary has 0 to %d", name,
                           out->n, id, vocab - 1);
        if (ids_add(out, id, err)) return err_prefix(err, "%s", name);
    }
    return out->n ? 0 : err_set(err, ERR_FORMAT, "%s: no token ids", name);
}

int open_ids(struct ids *out, const char *path, int vocab, struct err *err)
{
    char *text = NULL;
    size_t size = 0;
    ids_init(out, MAX_IDS);
    if (file_slurp_input(path, MAX_IDS_BYTES, &text, &size, err)) return -1;
    int rc = read_ids(out, strcmp(path, "-") ? path : "standard input", text, size, vocab, err);
    free(text);
    if (rc) ids_fini(out);
    return rc;
}

char *open_effort(const char *model)
{
    json_t *config = NULL;
    char path[4096];
    snprintf(path, sizeof path, "%s/generation_config.json", model);
    if (json_parse_file(&config, path, MAX_CONFIG, NULL)) return NULL;
    const char *effort = json_string_value(json_object_get(config, "reasoning_effort"));
    if (effort && !chat_effort_exists(effort)) {
        log_warn("%s: reasoning_effort \"%.32s\" is unknown, and left alone", path, effort);
        effort = NULL;
    }
    char *copy = effort ? xstrdup(effort) : NULL;
    json_decref(config);
    return copy;
}
