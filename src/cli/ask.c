#include "cli/ask.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "cli/cli.h"

enum {
    KEY_N = 'n',
    KEY_CTX = 0x3000,
    KEY_TEMP,
    KEY_TOP_K,
    KEY_TOP_P,
    KEY_MIN_P,
    KEY_REPEAT,
    KEY_PRESENCE,
    KEY_FREQUENCY,
    KEY_LAST_N,
    KEY_SEED,
    KEY_STOP,
    KEY_BIAS,
    KEY_IGNORE_EOS,
    KEY_SYSTEM,
    KEY_THINKING,
    KEY_CHAT,
    KEY_EFFORT,
    KEY_FAMILY,
    KEY_DRAFT
};

enum { MAX_MESSAGES_BYTES = 256 << 20 };

static const struct argp_option option_table[] = {
    {NULL, 0, NULL, 0, "Prompt", 2},
    {"system", KEY_SYSTEM, "TEXT", 0, "System prompt", 2},
    {"thinking", KEY_THINKING, NULL, 0, "The model thinks before it answers (default)", 2},
    {"chat", KEY_CHAT, NULL, 0, "It answers at once", 2},
    {"effort", KEY_EFFORT, "E", 0, "How much it thinks: low, high, max", 2},
    {"family", KEY_FAMILY, "F", 0,
     "Prompt format: preview, official, v4.1; default as the model says", 2},
    {NULL, 0, NULL, 0, "Sampling", 3},
    {"draft", KEY_DRAFT, "WHEN", 0,
     "Draft tokens with the model's MTP block and check them together: on, off, or auto (default): "
     "with models of 1 GiB or more, while it is faster. The answer is the same",
     10},
    {NULL, KEY_N, "N", 0, "At most N tokens; default until the context is full (eval: 1024)", 3},
    {"temp", KEY_TEMP, "X", 0, "Temperature; 0 takes the most likely token. Default 1 (eval: 0)",
     3},
    {"top-k", KEY_TOP_K, "N", 0, "Only the N most likely; 0 (default): all", 3},
    {"top-p", KEY_TOP_P, "X", 0, "Only the most likely that make up X; default 1", 3},
    {"min-p", KEY_MIN_P, "X", 0, "Only those at least X times as likely as the first; default 0",
     3},
    {"repeat-penalty", KEY_REPEAT, "X", 0, "Divides logits of tokens seen; default 1", 3},
    {"presence-penalty", KEY_PRESENCE, "X", 0, "Subtracted once from tokens seen; default 0", 3},
    {"frequency-penalty", KEY_FREQUENCY, "X", 0, "Subtracted each time seen; default 0", 3},
    {"repeat-last-n", KEY_LAST_N, "N", 0,
     "Penalties look back N tokens, prompt included; -1: all. "
     "Default 64",
     3},
    {"logit-bias", KEY_BIAS, "ID=X", 0, "Adds X to the logit of a token; may be repeated", 3},
    {"seed", KEY_SEED, "N", 0, "Of the random numbers; default a new one (eval: 0)", 3},
    {"stop", KEY_STOP, "TEXT", 0, "Ends the answer; may be repeated", 3},
    {"ignore-eos", KEY_IGNORE_EOS, NULL, 0, "Go on after the end-of-sentence token", 3},
    {"ctx", KEY_CTX, "N", 0, "Most tokens of prompt and answers; default 65536", 3},
    {0},
};

static void add_bias(struct ask_options *o, const char *arg, struct argp_state *state)
{
    const char *eq = strchr(arg, '=');
    if (!eq) argp_error(state, "--logit-bias %s: ID=X is wanted", arg);
    char *id = xstrndup(arg, (size_t)(eq - arg));
    struct logit_bias b = {.id = (int)open_int(state, "--logit-bias", id, 0, INT32_MAX),
                           .bias = (float)open_real(state, "--logit-bias", eq + 1)};
    free(id);
    if (o->sampling.n_bias == SAMPLER_MAX_BIAS)
        argp_error(state, "--logit-bias more than %d times", SAMPLER_MAX_BIAS);
    o->bias = xrealloc(o->bias, (size_t)o->sampling.n_bias + 1, sizeof *o->bias);
    o->bias[o->sampling.n_bias++] = b;
    o->sampling.bias = o->bias;
}

static void add_stop(struct ask_options *o, const char *arg, struct argp_state *state)
{
    size_t size = strlen(arg);
    if (o->n_stops == PARSE_MAX_STOPS)
        argp_error(state, "--stop more than %d times", PARSE_MAX_STOPS);
    if (size < 1 || size > PARSE_MAX_STOP_BYTES)
        argp_error(state, "--stop: 1 to %d bytes are wanted", PARSE_MAX_STOP_BYTES);
    o->stops[o->n_stops++] = arg;
}

static bool parse_sampling(struct ask_options *o, int key, char *arg, struct argp_state *state)
{
    struct sampler_options *s = &o->sampling;
    switch (key) {
    case KEY_TEMP:
        s->temperature = (float)open_real(state, "--temp", arg);
        return true;
    case KEY_TOP_K:
        s->top_k = (int)open_int(state, "--top-k", arg, 0, INT32_MAX);
        return true;
    case KEY_TOP_P:
        s->top_p = (float)open_real(state, "--top-p", arg);
        return true;
    case KEY_MIN_P:
        s->min_p = (float)open_real(state, "--min-p", arg);
        return true;
    case KEY_REPEAT:
        s->repeat_penalty = (float)open_real(state, "--repeat-penalty", arg);
        return true;
    case KEY_PRESENCE:
        s->presence_penalty = (float)open_real(state, "--presence-penalty", arg);
        return true;
    case KEY_FREQUENCY:
        s->frequency_penalty = (float)open_real(state, "--frequency-penalty", arg);
        return true;
    case KEY_LAST_N:
        s->penalty_last_n = (int)open_int(state, "--repeat-last-n", arg, -1, INT32_MAX);
        return true;
    case KEY_BIAS:
        add_bias(o, arg, state);
        return true;
    case KEY_STOP:
        add_stop(o, arg, state);
        return true;
    case KEY_SEED:
        o->seed = (uint64_t)open_int(state, "--seed", arg, 0, INT64_MAX);
        o->has_seed = true;
        return true;
    default:
        return false;
    }
}

static int read_drafts(enum speculate_mode *mode, const char *arg)
{
    static const char *const names[] = {
        [SPECULATE_OFF] = "off", [SPECULATE_AUTO] = "auto", [SPECULATE_ON] = "on"};
    for (int i = 0; i < (int)(sizeof names / sizeof *names); i++)
        if (!strcmp(arg, names[i])) {
            *mode = (enum speculate_mode)i;
            return 0;
        }
    return -1;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct ask_options *o = state->input;
    struct err err = {0};
    if (parse_sampling(o, key, arg, state)) return 0;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &o->open;
        return 0;
    case KEY_N:
        o->max_tokens = (int)open_int(state, "-n", arg, -1, INT32_MAX);
        return 0;
    case KEY_CTX:
        o->context = (int)open_int(state, "--ctx", arg, 1, INT32_MAX);
        return 0;
    case KEY_IGNORE_EOS:
        o->ignore_eos = true;
        return 0;
    case KEY_SYSTEM:
        o->system = arg;
        return 0;
    case KEY_THINKING:
        o->thinking = true;
        return 0;
    case KEY_CHAT:
        o->thinking = false;
        return 0;
    case KEY_DRAFT:
        if (read_drafts(&o->drafts, arg))
            argp_error(state, "--draft %s: there are auto, on and off", arg);
        return 0;
    case KEY_EFFORT:
        o->effort = arg;
        return 0;
    case KEY_FAMILY:
        if (prompt_family_find(&o->family, arg, &err)) argp_error(state, "%s", err.message);
        o->has_family = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_child children[] = {{&open_argp, 0, "Machine", 10}, {0}};
const struct argp ask_argp = {
    .options = option_table, .parser = parse_option, .children = children};

void ask_init(struct ask_options *o)
{
    *o = (struct ask_options){.max_tokens = -1,
                              .sampling = sampler_defaults(),
                              .thinking = true,
                              .drafts = SPECULATE_AUTO};
}

void ask_fini(struct ask_options *o)
{
    free(o->bias);
    o->bias = NULL;
}

int ask_check(const struct ask_options *o, struct err *err)
{
    return sampler_check(&o->sampling, INT32_MAX, err);
}

enum open_mtp ask_mtp(const struct ask_options *o)
{
    static const enum open_mtp mtp[] = {[SPECULATE_OFF] = OPEN_MTP_NONE,
                                        [SPECULATE_AUTO] = OPEN_MTP_IF_LARGE,
                                        [SPECULATE_ON] = OPEN_MTP_MUST};
    return mtp[o->drafts];
}

struct prompt_options ask_prompt_options(const struct ask_options *o, const char *path)
{
    return (struct prompt_options){
        .family = o->has_family ? o->family : prompt_family_detect(path),
        .thinking = o->thinking,
        .effort = o->effort,
    };
}

struct generate_options ask_generate_options(const struct ask_options *o, const struct engine *e,
                                             bool thinking)
{
    struct generate_options g = engine_generate_options(e, thinking);
    g.max_tokens = o->max_tokens;
    g.ignore_eos = o->ignore_eos;
    g.sampling = o->sampling;
    g.parse.stops = o->stops;
    g.parse.n_stops = o->n_stops;
    return g;
}

uint64_t ask_seed(const struct ask_options *o)
{
    uint32_t seed;
    if (o->has_seed) return o->seed;
    if (getrandom(&seed, sizeof seed, 0) != sizeof seed)
        seed = (uint32_t)(clock_seconds() * 1e6); /* before the kernel has any; still a new one */
    return seed;
}

int ask_messages(json_t **messages, json_t **tools, const char *path, struct err *err)
{
    json_t *root = NULL;
    *messages = *tools = NULL;
    if (json_parse_input(&root, path, MAX_MESSAGES_BYTES, err)) return -1;
    const char *name = strcmp(path, "-") ? path : "standard input";
    json_t *list = json_is_object(root) ? json_object_get(root, "messages") : root;
    json_t *given = json_is_object(root) ? json_object_get(root, "tools") : NULL;
    int rc = 0;
    if (!json_is_array(list))
        rc = err_set(err, ERR_FORMAT,
                     "%s: a list of messages, or an object with \"messages\", is wanted", name);
    else if (given && !json_is_null(given) && !json_is_array(given))
        rc = err_set(err, ERR_FORMAT, "%s: \"tools\" is not a list", name);
    if (rc == 0) {
        *messages = json_incref(list);
        if (json_is_array(given)) *tools = json_incref(given);
    }
    json_decref(root);
    return rc;
}

int ask_text_messages(json_t **messages, const struct ask_options *o, const char *name,
                      const char *text, size_t size, struct err *err)
{
    json_t *list = json_array();
    *messages = NULL;
    if (o->system)
        json_array_append_new(list,
                              json_pack("{s:s, s:s}", "role", "system", "content", o->system));
    json_t *content = json_stringn(text, size);
    if (!content || (o->system && json_array_size(list) != 1)) {
        const char *bad = content ? "command line" : name;
        json_decref(content);
        json_decref(list);
        return err_set(err, ERR_FORMAT, "%s: the text is not UTF-8", bad);
    }
    json_array_append_new(list, json_pack("{s:s, s:o}", "role", "user", "content", content));
    *messages = list;
    return 0;
}

bool ask_begins_thinking(const struct tokenizer *t, const int32_t *prompt, int n)
{
    return n && prompt[n - 1] == parse_ids_of(t).think;
}

static double per_second(int n, double seconds)
{
    return seconds > 0 ? (double)n / seconds : 0;
}

void ask_print_stats(FILE *out, const struct generation_stats *s, const struct cache_stats *cache)
{
    int fed = s->n_prompt - s->n_reused, decoded = s->n_generated > 1 ? s->n_generated - 1 : 0;
    fprintf(out, "%d prompt tokens (%d reused) at %.1f/s, %d tokens at %.1f/s", s->n_prompt,
            s->n_reused, per_second(fed, s->prompt_seconds), s->n_generated,
            per_second(decoded, s->decode_seconds));
    if (s->n_drafts) fprintf(out, ", %d of %d drafts right", s->n_right, s->n_drafts);
    uint64_t needed = cache->hits + cache->misses;
    char read[32];
    if (needed)
        fprintf(out, ", experts %.1f%% hits, %s read, %.1f s waited",
                100.0 * (double)cache->hits / (double)needed,
                cli_bytes((double)cache->bytes_read, read), cache->wait_seconds);
    putc('\n', out);
}
