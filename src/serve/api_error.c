#include "serve/api_error.h"

#include <stdio.h>
#include <string.h>

#include "text/utf8.h"

enum { RETRY_SECONDS = 1 };

/* What the two dialects call a status; for one that is not here see openai_type, anthropic_type. */
static const struct {
    int status;
    const char *type, *code; /* OpenAI's and DeepSeek's */
    const char *anthropic;
} names[] = {
    {401, "authentication_error", "invalid_request_error", "authentication_error"},
    {402, "unknown_error", "invalid_request_error", "billing_error"},
    {403, "invalid_request_error", NULL, "permission_error"},
    {404, "invalid_request_error", NULL, "not_found_error"},
    {413, "invalid_request_error", NULL, "request_too_large"},
    {429, "rate_limit_error", NULL, "rate_limit_error"},
    {503, "server_error", NULL, "overloaded_error"},
};

enum { N_NAMES = sizeof names / sizeof *names };

static int find_name(int status)
{
    for (int i = 0; i < N_NAMES; i++)
        if (names[i].status == status) return i;
    return -1;
}

static const char *openai_type(int status)
{
    int i = find_name(status);
    if (i >= 0) return names[i].type;
    return status < 500 ? "invalid_request_error" : "server_error";
}

static const char *anthropic_type(int status)
{
    int i = find_name(status);
    if (i >= 0) return names[i].anthropic;
    return status < 500 ? "invalid_request_error" : "api_error";
}

/* Text that may have been cut anywhere becomes one printable line of UTF-8, in place. */
static void clean(char *s, bool was_cut)
{
    size_t size = strlen(s), at = 0;
    make_printable(s);
    while (at < size) {
        int32_t cp;
        int n = utf8_decode(s + at, size - at, &cp);
        bool is_tail = at + (size_t)n == size;
        if (cp < 0 && is_tail && was_cut)
            s[at] = 0;
        else if (cp < 0)
            memset(s + at, '?', (size_t)n);
        at += (size_t)n;
    }
}

int api_refuse(struct api_error *e, int status, const char *param, const char *fmt, ...)
{
    CHECK(status >= 400 && status <= 599, "no error: %d", status);
    if (e->status) return -1;
    *e = (struct api_error){.status = status, .type = openai_type(status)};
    int i = find_name(status);
    if (i >= 0) e->code = names[i].code;
    if (status == 404 && param && strcmp(param, "model") == 0) e->code = "model_not_found";
    if (status == 429 || status == 503) e->retry_after = RETRY_SECONDS;

    int n = snprintf(e->param, sizeof e->param, "%s", param ? param : "");
    clean(e->param, n >= (int)sizeof e->param);
    va_list ap;
    va_start(ap, fmt);
    n = vsnprintf(e->message, sizeof e->message, fmt, ap);
    va_end(ap);
    clean(e->message, n >= (int)sizeof e->message);
    return -1;
}

int api_refuse_length(struct api_error *e, const char *param, int context, int n, int wanted)
{
    bool is_first = !e->status;
    api_refuse(e, 400, param,
               "This model's maximum context length is %d tokens. However, you requested %lld "
               "tokens (%d in the %s, %d in the completion).",
               context, (long long)n + wanted, n, param, wanted);
    if (is_first) e->code = "context_length_exceeded";
    return -1;
}

int api_refuse_memory(struct api_error *e)
{
    return api_refuse(e, 503, NULL, "the server has no room for this request now");
}

int api_refuse_err(struct api_error *e, const struct err *err)
{
    switch (err->code) {
    case ERR_ARGUMENT:
    case ERR_FORMAT:
    case ERR_UNSUPPORTED:
        return api_refuse(e, 400, NULL, "%s", err->message);
    case ERR_LIMIT:
        return api_refuse_memory(e);
    default:
        return api_refuse(e, 500, NULL, "the server failed to answer this request");
    }
}

json_t *api_error_json(const struct api_error *e, enum api_dialect d, const char *request_id)
{
    json_t *root = json_object(), *error = json_object();
    const char *type = e->type ? e->type : openai_type(e->status);
    if (d == API_ANTHROPIC) {
        json_object_set_new(root, "type", json_string("error"));
        json_object_set_new(error, "type", json_string(anthropic_type(e->status)));
        json_object_set_new(error, "message", json_string(e->message));
    } else {
        json_object_set_new(error, "message", json_string(e->message));
        json_object_set_new(error, "type", json_string(type));
        json_object_set_new(error, "param", e->param[0] ? json_string(e->param) : json_null());
        json_object_set_new(error, "code", json_string(e->code ? e->code : type));
    }
    json_object_set_new(root, "error", error);
    if (d == API_ANTHROPIC && request_id)
        json_object_set_new(root, "request_id", json_string(request_id));
    return root;
}

int api_error_status(const struct api_error *e, enum api_dialect d)
{
    if (d == API_ANTHROPIC && e->status == 422) return 400;
    if (d == API_ANTHROPIC && e->status == 503) return 529;
    return e->status;
}
