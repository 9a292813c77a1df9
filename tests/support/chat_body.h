/* Bodies of chat requests for tests. `fields` is what is added to a good body: "\"n\": 1, \"stop\": []", or
 * "" for nothing. */
#pragma once
#include "serve/chat_request.h"
#include "serve/fields.h"

#define LENGTH(a) (sizeof(a) / sizeof *(a))
#define TOOL(name) "{\"type\": \"function\", \"function\": {\"name\": \"" name "\"}}"

extern const struct chat_rules rules_plain, rules_compat; /* both of FAMILY_OFFICIAL */

/* A whole body as text; 0 or the status of the refusal. r wants chat_request_fini in both cases. */
int body_read(struct chat_request *r, const char *text, const struct chat_rules *rules,
              struct api_error *e);

/* The same for a good body with these fields. */
int body_read_with(struct chat_request *r, const char *fields, const struct chat_rules *rules,
                   struct api_error *e);

/* Fails unless the status, and for a refusal the param, are these. */
void assert_body(const char *fields, const struct chat_rules *rules, int status, const char *param);

/* Fails unless it is accepted. The one result, valid until the next call; wants chat_request_fini. */
struct chat_request *body_good(const char *fields, const struct chat_rules *rules);
