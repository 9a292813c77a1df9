#include "serve/cors.h"

#include <string.h>

int cors_check(const char *origin, struct err *err)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_:[]";
    const char *host = strstr(origin, "://");
    if (!strcmp(origin, "*")) return 0;
    if (host && host > origin && host[3] && strspn(host + 3, allowed) == strlen(host + 3) &&
        strspn(origin, allowed) >= (size_t)(host - origin))
        return 0;
    return err_set(err, ERR_ARGUMENT, "\"%s\" is no origin, as https://example.org or *", origin);
}

void cors_add(struct http_request *r, const char *origin)
{
    http_add_header(r, "access-control-allow-origin", origin);
    http_add_header(r, "access-control-expose-headers", "x-request-id, retry-after");
    if (strcmp(origin, "*") != 0) http_add_header(r, "vary", "origin");
}

void cors_reply(struct http_request *r)
{
    /* Client libraries send headers of their own, and "*" would not mean Authorization. */
    const char *headers = http_header(r, "access-control-request-headers");
    http_add_header(r, "access-control-allow-methods", "GET, POST, OPTIONS");
    http_add_header(r, "access-control-allow-headers",
                    headers ? headers : "authorization, content-type, x-api-key");
    http_add_header(r, "access-control-max-age", "600");
    http_reply(r, 204, NULL, NULL, 0);
}
