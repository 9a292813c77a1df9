/* Server-sent events of an answer as text, as the server writes them: for the answers of the dialects. */
#pragma once
#include "base/buf.h"
#include "serve/chat_answer.h"

/* A `send` of the streams: adds the event to the buf at ctx. Takes data over. */
void sse_send(void *ctx, const char *name, json_t *data);

/* The parser's event of this kind. */
struct parse_event sse_event(enum parse_kind kind, int call, const char *text);

/* Fails unless the text is that of these events. Each is "NAME REST", the data being {"type":"NAME"REST} with ' for
 * " and $N for the id of call N. */
void assert_sse(const struct buf *got, const struct chat_answer *a, const char *const *lines,
                size_t n);
