/* Which path is answered by whom, and who may ask. */
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "serve/cors.h"
#include "serve/page.h"
#include "serve/server_state.h"
#include "serve/v1_engine.h"
#include "serve/v1_models.h"
#include "serve/v1_status.h"

struct route {
    const char *method, *path;
    bool open;             /* without a key, too */
    const struct api *api; /* it generates; else: */
    void (*answer)(struct server *s, struct http_request *r);
};

static void health(struct server *s, struct http_request *r)
{
    struct api_error e = {0};
    if (!s->draining) {
        reply_json(r, 200, json_pack("{s:s}", "status", "ok"));
        return;
    }
    api_refuse(&e, 503, NULL, "The server is shutting down");
    reply_refusal(r, API_OPENAI, &e, NULL);
}

static void version(struct server *s, struct http_request *r)
{
    (void)s;
    reply_json(r, 200, json_pack("{s:s}", "version", TENON_VERSION));
}

static const struct route routes[] = {
    {.method = "POST", .path = "/chat/completions", .api = &chat_api},
    {.method = "POST", .path = "/completions", .api = &completions_api},
    {.method = "POST", .path = "/responses", .api = &responses_api},
    {.method = "POST", .path = "/completion", .api = &llama_completion_api},
    {.method = "POST", .path = "/infill", .api = &infill_api},
    {.method = "POST", .path = "/tokenize", .api = &tokenize_api},
    {.method = "POST", .path = "/detokenize", .api = &detokenize_api},
    {.method = "POST", .path = "/apply-template", .api = &template_api},
    {.method = "POST", .path = "/messages", .api = &messages_api},
    {.method = "POST", .path = "/messages/count_tokens", .api = &count_tokens_api},
    {.method = "GET", .path = "/models", .answer = v1_models},
    {.method = "GET", .path = "/user/balance", .answer = v1_balance},
    {.method = "GET", .path = "/status.json", .answer = v1_status},
    {.method = "GET", .path = "/metrics", .open = true, .answer = v1_metrics},
    {.method = "GET", .path = "/props", .answer = v1_props},
    {.method = "GET", .path = "/tokenizer_info", .answer = v1_tokenizer_info},
    {.method = "GET", .path = "/slots", .answer = v1_slots},
    {.method = "GET", .path = "/load", .answer = v1_load},
    {.method = "GET", .path = "/loads", .answer = v1_loads},
    {.method = "GET", .path = "/get_load", .answer = v1_loads},
    {.method = "GET", .path = "/get_server_info", .answer = v1_server_info},
    {.method = "GET", .path = "/get_model_info", .answer = v1_model_info},
    {.method = "GET", .path = "/health_generate", .open = true, .answer = v1_health_generate},
    {.method = "GET", .path = "/lora-adapters", .answer = v1_lora_adapters},
    {.method = "GET", .path = "/health", .open = true, .answer = health},
    {.method = "GET", .path = "/ping", .open = true, .answer = health},
    {.method = "GET", .path = "/version", .open = true, .answer = version},
    {.method = "GET", .path = "/", .open = true, .answer = page_answer},
    {.method = "GET", .path = "/page", .open = true, .answer = page_answer},
};

enum { N_ROUTES = sizeof routes / sizeof *routes, SLACK = 64, HELD_BODIES = 4 };

/* The path behind the bases that clients put before it. */
static const char *bare_path(const char *path)
{
    static const char *const bases[] = {"/beta/v1", "/beta", "/v1", "/anthropic/v1", "/anthropic"};
    for (size_t i = 0; i < sizeof bases / sizeof *bases; i++) {
        size_t n = strlen(bases[i]);
        if (!strncmp(path, bases[i], n) && path[n] == '/') return path + n;
    }
    return path;
}

/* *known: there is something at this path. HEAD is answered as GET. */
static const struct route *find_route(const struct http_request *r, bool *known)
{
    const char *path = bare_path(http_path(r)), *method = http_method(r);
    if (!strcmp(method, "HEAD")) method = "GET";
    *known = false;
    for (int i = 0; i < N_ROUTES; i++) {
        const struct route *route = &routes[i];
        size_t n = strlen(route->path);
        bool below = (route->answer == v1_models || route->answer == page_answer) && n > 1 &&
                     !strncmp(path, route->path, n) && path[n] == '/';
        if (strcmp(path, route->path) != 0 && !below) continue;
        *known = true;
        if (!strcmp(route->method, method)) return route;
    }
    return NULL;
}

/* The key of a request, "" for none. */
static const char *given_key(const struct http_request *r)
{
    static const char bearer[] = "bearer ";
    const char *auth = http_header(r, "authorization"), *key = http_header(r, "x-api-key");
    if (auth && !strncasecmp(auth, bearer, sizeof bearer - 1)) return auth + sizeof bearer - 1;
    return key ? key : "";
}

const struct key *routes_key(const struct server *s, const struct http_request *r)
{
    const struct key *key = s->keys ? keys_find(s->keys, given_key(r)) : NULL;
    return key && (!key->expires || time(NULL) < key->expires) ? key : NULL;
}

static bool is_open(const struct server *s, const struct route *route)
{
    return route->open && !(s->o.metrics_key && route->answer == v1_metrics);
}

/* Against pages that make a browser ask us under a name of theirs (DNS rebinding): on loopback without a
 * key the Host must be a loopback's. */
static bool is_own_host(const struct server *s, const struct http_request *r)
{
    const char *host = http_header(r, "host");
    if (s->keys || !host) return true;
    size_t n = *host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":");
    static const char *const own[] = {"localhost", "[::1]"};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (n == strlen(own[i]) && !strncasecmp(host, own[i], n)) return true;
    return !strncmp(host, "127.", 4) && strspn(host, "0123456789.") == n;
}

int routes_max_exchanges(const struct server *s)
{
    return s->o.max_streams + s->o.max_queue + SLACK;
}

/* More is under way than could run or wait: nothing is read any more. */
static bool is_overloaded(const struct server *s)
{
    return s->n_exchanges - s->n_sending >= routes_max_exchanges(s) ||
           s->held_bytes >= HELD_BODIES * s->o.http.max_body;
}

/* The method of what is at the path. */
static const char *allowed_at(const struct http_request *r)
{
    const char *path = bare_path(http_path(r));
    for (int i = 0; i < N_ROUTES; i++)
        if (!strcmp(path, routes[i].path)) return routes[i].method;
    return "GET";
}

static void refuse_unknown(const struct http_request *r, struct api_error *e)
{
    if (!absent_refuse(bare_path(http_path(r)), e))
        api_refuse(e, 404, NULL, "There is nothing at %s %s", http_method(r), http_path(r));
}

/* The client that asks there. route may be NULL. */
static enum api_dialect dialect_of(const struct http_request *r, const struct route *route)
{
    if (route && route->api) return route->api->dialect;
    return strncmp(http_path(r), "/anthropic/", 11) ? API_OPENAI : API_ANTHROPIC;
}

const char *routes_endpoint(const struct http_request *r)
{
    bool known;
    const struct route *route = find_route(r, &known);
    return route ? route->path : "";
}

double routes_unix_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void routes_audit_refusal(const struct server *s, const struct http_request *r,
                          const struct api_error *e, const char *request_id)
{
    const struct key *key = routes_key(s, r);
    if (s->keys && !key) return;
    audit_add(s->audit, &(struct audit_entry){.unix_seconds = routes_unix_now(),
                                              .request_id = request_id,
                                              .key = key ? key->name : NULL,
                                              .endpoint = routes_endpoint(r),
                                              .model = s->o.model,
                                              .status = e->status,
                                              .queue = -1,
                                              .first_token = -1});
}

bool routes_head(void *ctx, struct http_request *r)
{
    struct server *s = ctx;
    struct api_error e = {0};
    bool known;
    const struct route *route = find_route(r, &known);
    const struct key *key = routes_key(s, r);
    if (s->o.cors) cors_add(r, s->o.cors);
    if (s->o.cors && known && is_own_host(s, r) && !strcmp(http_method(r), "OPTIONS")) {
        cors_reply(r);
        return false;
    }
    if (!is_own_host(s, r))
        api_refuse(&e, 403, NULL, "This server answers to localhost only");
    else if (!known)
        refuse_unknown(r, &e);
    else if (!route)
        api_refuse(&e, 405, NULL, "%s is not possible at %s", http_method(r), http_path(r));
    else if (!is_open(s, route) && s->keys && !key)
        api_refuse(&e, 401, NULL, "Authentication Fails, Your api key is invalid");
    else if (route->api && s->draining)
        api_refuse(&e, 503, NULL, "The server is shutting down");
    else if (route->api && is_overloaded(s))
        api_refuse(&e, 503, NULL, "The server is overloaded");
    else if (!route->open && !strcmp(route->method, "POST"))
        limits_check(s->limits, key, moment_now(), &e);
    if (!e.status) return true;
    char id[EXCHANGE_ID];
    routes_request_id(r, id);
    if (route && route->api) routes_audit_refusal(s, r, &e, id);
    if (e.status == 405) http_add_header(r, "allow", allowed_at(r));
    reply_refusal(r, dialect_of(r, route), &e, id);
    return false;
}

void routes_request(void *ctx, struct http_request *r)
{
    struct server *s = ctx;
    bool known;
    const struct route *route = find_route(r, &known);
    CHECK(route, "%s was let in", http_path(r));
    if (route->api)
        exchange_begin(s, r, route->api);
    else
        route->answer(s, r);
}

const char *routes_error_body(void *ctx, int status)
{
    (void)ctx;
    switch (status) {
    case 413:
        return "{\"error\":{\"message\":\"The body is too "
               "large\",\"type\":\"invalid_request_error\","
               "\"param\":null,\"code\":\"invalid_request_error\"}}";
    case 431:
        return "{\"error\":{\"message\":\"The head is too "
               "large\",\"type\":\"invalid_request_error\","
               "\"param\":null,\"code\":\"invalid_request_error\"}}";
    default:
        return "{\"error\":{\"message\":\"Not a request that this server "
               "reads\",\"type\":\"invalid_request_error\",\"param\":null,\"code\":\"invalid_"
               "request_"
               "error\"}}";
    }
}

void random_id(char out[EXCHANGE_ID], const char *prefix)
{
    unsigned char bytes[16];
    int n = snprintf(out, EXCHANGE_ID, "%s", prefix);
    CHECK(n >= 0 && n + 33 <= EXCHANGE_ID, "the prefix %s is too long", prefix);
    CHECK(RAND_bytes(bytes, sizeof bytes) == 1, "no random numbers");
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(out + n + 2 * i, 3, "%02x", bytes[i]);
}

void routes_request_id(const struct http_request *r, char out[EXCHANGE_ID])
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
    const char *given = http_header(r, "x-request-id");
    size_t n = given ? strlen(given) : 0;
    if (n && n < EXCHANGE_ID && strspn(given, allowed) == n)
        memcpy(out, given, n + 1);
    else
        random_id(out, "");
}

void reply_add_id(struct http_request *r, enum api_dialect d, const char *request_id)
{
    http_add_header(r, "x-request-id", request_id);
    if (d == API_ANTHROPIC) http_add_header(r, "request-id", request_id);
}

/* Takes body over. */
static void send_json(struct http_request *r, int status, json_t *body)
{
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    json_decref(body);
    if (text)
        http_reply(r, status, "application/json", text, strlen(text));
    else
        http_reply(r, 503, "application/json", "{}", 2);
    free(text);
}

void reply_json(struct http_request *r, int status, json_t *body)
{
    char id[EXCHANGE_ID];
    routes_request_id(r, id);
    reply_add_id(r, API_OPENAI, id);
    send_json(r, status, body);
}

void reply_refusal(struct http_request *r, enum api_dialect d, const struct api_error *e,
                   const char *request_id)
{
    char id[EXCHANGE_ID], seconds[16];
    routes_request_id(r, id);
    if (!request_id) request_id = id;
    snprintf(seconds, sizeof seconds, "%d", e->retry_after);
    if (e->retry_after) http_add_header(r, "retry-after", seconds);
    if (e->status == 401) http_add_header(r, "www-authenticate", "Bearer");
    reply_add_id(r, d, request_id);
    send_json(r, api_error_status(e, d), api_error_json(e, d, request_id));
}
