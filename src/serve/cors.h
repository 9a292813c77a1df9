/* Pages of another origin that may use this server from a browser.
 * Source: Fetch standard, section 3.2; docs/spec, security, rule H5: off unless asked for. */
#pragma once
#include "base/err.h"
#include "serve/http.h"

/* "*" for every origin, or one as browsers write it: scheme://host or scheme://host:port. ERR_ARGUMENT. */
MUST_USE int cors_check(const char *origin, struct err *err);

/* Header lines for any answer to r, before it begins. */
void cors_add(struct http_request *r, const char *origin);
/* Answers OPTIONS: all methods and headers that the browser asks for may be sent. */
void cors_reply(struct http_request *r);
