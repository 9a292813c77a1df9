/* tenon serve: the HTTP server. */
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/fit.h"
#include "cli/open.h"
#include "cli/settings.h"
#include "engine/scheduler.h"
#include "serve/server.h"

enum {
    KEY_HOST = 0x7000,
    KEY_PORT,
    KEY_KEY,
    KEY_KEY_FILE,
    KEY_KEYS,
    KEY_AUDIT,
    KEY_CORS,
    KEY_TLS_CERT,
    KEY_TLS_KEY,
    KEY_NAME,
    KEY_ANY_MODEL,
    KEY_STREAMS,
    KEY_QUEUE,
    KEY_QUEUE_TOKENS,
    KEY_WAIT,
    KEY_CTX,
    KEY_COMPAT,
    KEY_METRICS,
    KEY_PADDING,
    KEY_TICK,
    KEY_FAMILY,
    KEY_EFFORT,
    KEY_BODY,
    KEY_CONNECTIONS,
    KEY_DRAIN,
    KEY_CACHE_MEMORY,
    KEY_CACHE_EVERY,
    KEY_CACHE_DIR,
    KEY_CACHE_DISK,
    KEY_CONFIG,
    KEY_MODEL
};

enum { DEFAULT_CONTEXT = 32768, MAX_KEY = 4096 };
enum { MAX_CONNECTIONS = 1 << 20, OTHER_FILES = 256 };

#define DEFAULT_DISK (16ull << 30)

struct options {
    struct open_options open;
    struct server_options server;
    const char *model, *name, *key_file, *effort;
    char *key; /* owned */
    bool has_family;
    int context;
    size_t cache;                      /* bytes; OPEN_A_QUARTER unless asked for */
    const char *config, *config_model; /* a file of options, and the model that it names */
    bool has_config;                   /* it has been read, and these are its options, too */
};

static const struct argp_option option_table[] = {
    {"config", KEY_CONFIG, "FILE", 0,
     "Lines of `port = 8080`, as all options here, and `model = MODEL`; the command line wins", 1},
    {"model", KEY_MODEL, "MODEL", OPTION_HIDDEN, "In the file of --config alone", 1},
    {"host", KEY_HOST, "ADDRESS", 0,
     "Numeric address to listen on; default 127.0.0.1. Another one than loopback wants a key", 1},
    {"port", KEY_PORT, "N", 0, "Port; default 8080; 0 takes a free one and prints it", 1},
    {"api-key-file", KEY_KEY_FILE, "FILE", 0, "Clients must send the key that FILE holds", 1},
    {"keys", KEY_KEYS, "FILE", 0,
     "Clients must send one of the keys of FILE, which tenon key makes; read again at SIGHUP", 1},
    {"api-key", KEY_KEY, "KEY", 0, "The same; other users of this machine can see it", 1},
    {"tls-cert", KEY_TLS_CERT, "FILE", 0,
     "HTTPS with this certificate (PEM, with its chain); read again at SIGHUP", 1},
    {"tls-key", KEY_TLS_KEY, "FILE", 0, "The certificate's private key (PEM)", 1},
    {"cors", KEY_CORS, "ORIGIN", 0,
     "Pages of this origin (https://example.org, or * for all) may ask from a browser", 1},
    {"audit-log", KEY_AUDIT, "FILE", 0,
     "A line of JSON for each request, without its texts; opened again at SIGHUP", 1},
    {"padding", KEY_PADDING, "HOW", 0,
     "Against who watches the line. bucket: events and answers are multiples of 256 bytes long; "
     "paced: streams have one event of 512 bytes at each tick; off (default)",
     1},
    {"padding-tick", KEY_TICK, "MS", 0, "Of --padding paced; default 50", 1},
    {"metrics-key", KEY_METRICS, NULL, 0, "GET /metrics wants the key, too", 1},
    {"served-model-name", KEY_NAME, "NAME", 0,
     "The model's name in the API; default the name of its folder or file", 1},
    {"any-model", KEY_ANY_MODEL, NULL, 0,
     "Requests may name any model, and get this one; for clients with names of their own", 1},
    {"max-streams", KEY_STREAMS, "N", 0, "Answers at once; default 16", 2},
    {"max-queue", KEY_QUEUE, "N", 0, "Requests that wait for a place; default 256", 2},
    {"max-queue-tokens", KEY_QUEUE_TOKENS, "N", 0,
     "Tokens of the prompts that wait; default 4194304", 2},
    {"max-wait", KEY_WAIT, "SECONDS", 0,
     "A request that has not begun then is refused; default 600; 0: it waits on", 2},
    {"ctx", KEY_CTX, "N", 0, "Most tokens of a prompt and its answer; default 32768", 2},
    {"max-body", KEY_BODY, "SIZE", 0, "Largest request, as 8M; default 64M", 2},
    {"max-connections", KEY_CONNECTIONS, "N", 0, "More are closed at once; default 1024", 2},
    {"drain", KEY_DRAIN, "SECONDS", 0, "For answers under way when it is to stop; default 30", 2},
    {"cache-memory", KEY_CACHE_MEMORY, "SIZE", 0,
     "For the beginnings of prompts that came before, as 2G; 0: none. Default a quarter of what "
     "sessions have",
     3},
    {"cache-every", KEY_CACHE_EVERY, "N", 0,
     "Tokens between the points of a long prompt that are kept; default 2048", 3},
    {"cache-dir", KEY_CACHE_DIR, "DIR", 0, "Keeps them there as well, over restarts", 3},
    {"cache-disk", KEY_CACHE_DISK, "SIZE", 0, "Most bytes in that directory; default 16G", 3},
    {"family", KEY_FAMILY, "F", 0,
     "Prompt format: preview, official, v4.1; default as the model says", 2},
    {"effort", KEY_EFFORT, "E", 0,
     "How much it thinks when a request does not say: low, high, max; default as the model says, "
     "else high",
     2},
    {"deepseek-compat", KEY_COMPAT, NULL, 0,
     "Behave as DeepSeek's own API where that is stricter: no sampling while thinking, ...", 2},
    {0},
};

/* Where the text of an option goes as it is; NULL: it does not. */
static const char **text_of(struct options *o, int key)
{
    switch (key) {
    case KEY_HOST:
        return &o->server.http.host;
    case KEY_KEYS:
        return &o->server.keys;
    case KEY_TLS_CERT:
        return &o->server.tls_cert;
    case KEY_TLS_KEY:
        return &o->server.tls_key;
    case KEY_CORS:
        return &o->server.cors;
    case KEY_AUDIT:
        return &o->server.audit;
    case KEY_NAME:
        return &o->name;
    case KEY_EFFORT:
        return &o->effort;
    case KEY_CONFIG:
        return &o->config;
    case KEY_MODEL:
        return &o->config_model;
    default:
        return NULL;
    }
}

static enum padding read_padding(struct argp_state *state, const char *word)
{
    if (!strcmp(word, "bucket")) return PADDING_BUCKET;
    if (!strcmp(word, "paced")) return PADDING_PACED;
    if (strcmp(word, "off") != 0)
        argp_error(state, "--padding: %s; it is off, bucket or paced", word);
    return PADDING_OFF;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;
    const char **text = text_of(o, key);
    struct err err = {0};
    if (text) {
        *text = arg;
        return 0;
    }
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &o->open;
        return 0;
    case KEY_PORT:
        o->server.http.port = (int)open_int(state, "--port", arg, 0, 65535);
        return 0;
    case KEY_KEY:
    case KEY_KEY_FILE: /* the last one wins */
        free(o->key);
        o->key = key == KEY_KEY ? xstrdup(arg) : NULL;
        o->key_file = key == KEY_KEY ? NULL : arg;
        return 0;
    case KEY_ANY_MODEL:
        o->server.any_model = true;
        return 0;
    case KEY_STREAMS:
        o->server.max_streams = (int)open_int(state, "--max-streams", arg, 1, BATCH_MAX_SLOTS);
        return 0;
    case KEY_QUEUE:
        o->server.max_queue = (int)open_int(state, "--max-queue", arg, 0, SCHEDULER_MAX_QUEUE);
        return 0;
    case KEY_QUEUE_TOKENS:
        o->server.max_queue_tokens = open_int(state, "--max-queue-tokens", arg, 1, INT64_MAX);
        return 0;
    case KEY_WAIT:
        o->server.max_wait = (int)open_int(state, "--max-wait", arg, 0, 1000000);
        return 0;
    case KEY_CTX:
        o->context = (int)open_int(state, "--ctx", arg, 1, INT32_MAX);
        return 0;
    case KEY_BODY:
        o->server.http.max_body = fit_parse(arg);
        if (!o->server.http.max_body) argp_error(state, "--max-body %s: a size is wanted", arg);
        return 0;
    case KEY_CONNECTIONS:
        o->server.http.max_connections =
            (int)open_int(state, "--max-connections", arg, 1, MAX_CONNECTIONS);
        return 0;
    case KEY_DRAIN:
        o->server.drain_seconds = (int)open_int(state, "--drain", arg, 0, 86400);
        return 0;
    case KEY_CACHE_MEMORY:
        o->cache = fit_parse(arg);
        if (!o->cache && strcmp(arg, "0") != 0)
            argp_error(state, "--cache-memory %s: a size is wanted, or 0", arg);
        return 0;
    case KEY_CACHE_EVERY:
        o->server.cache.every = (int)open_int(state, "--cache-every", arg, 1, INT32_MAX);
        return 0;
    case KEY_CACHE_DIR:
        o->server.cache.dir = arg;
        return 0;
    case KEY_CACHE_DISK:
        o->server.cache.disk = fit_parse(arg);
        if (!o->server.cache.disk) argp_error(state, "--cache-disk %s: a size is wanted", arg);
        return 0;
    case KEY_FAMILY:
        if (prompt_family_find(&o->server.rules.family, arg, &err))
            argp_error(state, "%s", err.message);
        o->has_family = true;
        return 0;
    case KEY_PADDING:
        o->server.padding = read_padding(state, arg);
        return 0;
    case KEY_TICK:
        o->server.tick_ms = (int)open_int(state, "--padding-tick", arg, 5, 10000);
        return 0;
    case KEY_METRICS:
        o->server.metrics_key = true;
        return 0;
    case KEY_COMPAT:
        o->server.rules.deepseek_compat = true;
        return 0;
    case ARGP_KEY_ARG:
        if (o->model) argp_error(state, "one model, please");
        o->model = arg;
        return 0;
    case ARGP_KEY_END:
        if (!o->model) o->model = o->config_model;
        if (!o->model && (o->has_config || !o->config)) argp_error(state, "which model?");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_child children[] = {{&open_argp, 0, "Machine", 10}, {0}};
static const struct argp parser = {
    .options = option_table,
    .parser = parse_option,
    .args_doc = "MODEL",
    .doc = "Serves MODEL over HTTP, for clients of DeepSeek's, OpenAI's and Anthropic's APIs.\v"
           "Ctrl-C and SIGTERM let answers under way end; a second one cuts them off.",
    .children = children,
};

/* The last part of the path, without .gguf or .safetensors. */
static char *name_of(const char *path)
{
    static const char *const endings[] = {".gguf", ".safetensors"};
    size_t end = strlen(path), start;
    while (end > 1 && path[end - 1] == '/')
        end--;
    for (start = end; start && path[start - 1] != '/'; start--)
        ;
    char *name = xstrndup(path + start, end - start);
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        size_t n = strlen(name), cut = strlen(endings[i]);
        if (n > cut && !strcmp(name + n - cut, endings[i])) name[n - cut] = 0;
    }
    return name;
}

static int read_key(struct options *o, struct err *err)
{
    size_t size;
    if (!o->key_file) return 0;
    if (file_slurp(o->key_file, MAX_KEY, &o->key, &size, err)) return -1;
    if (strlen(o->key) != size)
        return err_set(err, ERR_FORMAT, "%s: no key has a NUL in it", o->key_file);
    o->key[strcspn(o->key, "\r\n")] = 0;
    return 0;
}

/* A connection is an open file; the limit that a process begins with is often 1024. */
static void allow_files(int n_connections)
{
    struct rlimit limit;
    rlim_t wanted = (rlim_t)n_connections + OTHER_FILES;
    if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur >= wanted) return;
    limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
    if (setrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur < wanted)
        log_warn("serve: %d connections want %llu open files, the system allows %llu",
                 n_connections, (unsigned long long)wanted, (unsigned long long)limit.rlim_cur);
}

/* Whose states a cache directory holds. */
static int digest_model(struct options *o, const struct opened *opened, struct err *err)
{
    if (o->server.cache.dir && !o->cache)
        return err_set(err, ERR_ARGUMENT, "--cache-dir wants memory for the cache, too");
    return o->server.cache.dir ? weights_digest(opened->weights, o->server.cache.model_digest, err)
                               : 0;
}

static int serve(struct options *o, struct err *err)
{
    struct opened opened;
    struct server *server = NULL;
    if (read_key(o, err)) return -1;
    allow_files(o->server.http.max_connections);
    struct engine_options engine = {.max_context = o->context,
                                    .n_sessions = o->server.max_streams,
                                    .memory = OPEN_WHAT_IS_LEFT,
                                    .cache = o->cache,
                                    .drafts = SPECULATE_AUTO};
    if (open_model(&opened, o->model, &o->open, true, OPEN_MTP_IF_LARGE, &engine, err)) return -1;
    char *effort = o->effort ? xstrdup(o->effort) : open_effort(o->model);
    o->server.rules.effort = effort;
    char *name = o->name ? xstrdup(o->name) : name_of(o->model);
    o->server.model = name;
    o->server.api_key = o->key;
    if (o->server.max_rows < o->server.max_streams) o->server.max_rows = o->server.max_streams;
    if (!o->has_family) o->server.rules.family = prompt_family_detect(o->model);
    int rc = digest_model(o, &opened, err);
    if (rc == 0) rc = server_open(&server, opened.engine, &o->server, err);
    if (rc == 0) {
        bool is_v6 = strchr(o->server.http.host, ':') != NULL;
        printf("serving %s on http%s://%s%s%s:%d\n", name, o->server.tls_cert ? "s" : "",
               is_v6 ? "[" : "", o->server.http.host, is_v6 ? "]" : "", server_port(server));
        fflush(stdout);
        server_run(server);
    }
    server_close(server);
    open_close(&opened);
    free(name);
    free(effort);
    return rc;
}

static int read_config(struct settings *out, const char *path, struct err *err)
{
    const struct argp_option *const tables[] = {option_table, open_argp.options};
    char *text;
    size_t size;
    if (file_slurp(path, SETTINGS_MAX_BYTES, &text, &size, err)) return -1;
    int rc = settings_parse(out, path, text, size, tables, 2, err);
    free(text);
    return rc;
}

int cli_serve(int argc, char **argv)
{
    const struct options defaults = {
        .server = server_defaults(), .context = DEFAULT_CONTEXT, .cache = OPEN_A_QUARTER};
    struct options o = defaults;
    struct settings settings = {0};
    struct err err = {0};
    char **all = NULL;
    argp_parse(&parser, argc, argv, 0, NULL, &o);
    if (o.config) { /* once more, with what it says before the command line */
        if (read_config(&settings, o.config, &err)) {
            free(o.key);
            return cli_fail(&err);
        }
        all = settings_before(&settings, argc, argv);
        free(o.key);
        o = defaults;
        o.has_config = true;
        argp_parse(&parser, argc + settings.n, all, 0, NULL, &o);
    }
    if (!o.server.cache.disk) o.server.cache.disk = DEFAULT_DISK;
    log_set_level(LOG_INFO);
    int rc = serve(&o, &err);
    free(o.key);
    free(all);
    settings_fini(&settings);
    return rc ? cli_fail(&err) : 0;
}
