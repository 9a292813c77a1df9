/* What a streamed answer of POST /chat/completions says, event by event, as far as a load needs it.
 * Source: docs/spec, API, section 2.3. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

enum { CHAT_STREAM_MAX_TEXT = 4 << 20 };

struct chat_stream {
    bool keeps_text;
    struct buf text;    /* the content, when it is kept */
    long prompt_tokens; /* by the server's usage; -1: it told none */
    long cached_tokens; /* of these; 0 when it tells nothing */
    long answer_tokens; /* -1: it told none */
    int n_texts;        /* events that brought text */
    bool finished;      /* a finish_reason came */
    bool done;          /* [DONE] came */
    bool failed;        /* an error event came */
    bool malformed;     /* an event was no JSON object, or came behind [DONE] */
};

void chat_stream_init(struct chat_stream *c, bool keeps_text);
void chat_stream_fini(struct chat_stream *c);

/* Takes the data of an event. True when it brings text: of the answer, of the reasoning, of a call. */
bool chat_stream_take(struct chat_stream *c, const char *data, size_t size);
