/* GET /models, /models/NAME and /user/balance. Source: docs/spec, API, section 6. */
#pragma once

struct server;
struct http_request;

void v1_models(struct server *s, struct http_request *r);
void v1_balance(struct server *s, struct http_request *r);
