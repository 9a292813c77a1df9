/* What an endpoint refuses with: an HTTP status and the fields of the error object.
 * Source: docs/spec, API, section 1.1. */
#pragma once
#include <jansson.h>
#include <stdarg.h>

#include "base/err.h"

/* Which client library the answer is for. */
enum api_dialect { API_OPENAI, API_ANTHROPIC };

struct api_error {
    int status;        /* 0: none */
    const char *type;  /* OpenAI's: "invalid_request_error", ... static text; NULL: by status */
    const char *code;  /* likewise; NULL: as type */
    char param[64];    /* the field at fault, "" for none */
    char message[512]; /* one line */
    int retry_after; /* seconds for the Retry-After header; 0: none. 429 and 503 always have one */
};

/* Fills e, unless it holds an error already, and returns -1. status is 400..599 (CHECK); param may be NULL.
 * Type and code follow from the status ("model_not_found" is the code of 404 for param "model"); the
 * caller may set others afterwards. Bytes that are not printable UTF-8 appear as '?'. */
int api_refuse(struct api_error *e, int status, const char *param, const char *fmt, ...)
    PRINTF_LIKE(4, 5);

/* From an error below: ERR_ARGUMENT, ERR_FORMAT and ERR_UNSUPPORTED become 400 with its message; ERR_LIMIT
 * becomes 503 and all else 500, with a message that tells nothing of the inside (rule H6). A limit that is
 * the request's own fault (its JSON too deep, its prompt longer than the context) is for the caller to
 * refuse with 400. */
int api_refuse_err(struct api_error *e, const struct err *err);

/* 400, "context_length_exceeded", in OpenAI's words: a prompt of n tokens, and so many wanted behind it, are too long for
 * a context of that many. */
int api_refuse_length(struct api_error *e, const char *param, int context, int n, int wanted);

/* 503: there is no memory for this request now. */
int api_refuse_memory(struct api_error *e);

/* The body to send; the caller owns it; NULL when there is no memory. request_id is for Anthropic's shape,
 * and may be NULL. */
json_t *api_error_json(const struct api_error *e, enum api_dialect d, const char *request_id);

/* The status that goes out: Anthropic's clients know 422 as 400 and 503 as 529. */
int api_error_status(const struct api_error *e, enum api_dialect d);
