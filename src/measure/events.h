/* The events of a text/event-stream, fed in any pieces.
 * Source: WHATWG HTML, section 9.2, of which a server of chat answers uses little: lines end in LF or CRLF;
 * comments and fields other than `data` are passed over; several lines of data are joined by LF. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

enum { EVENTS_MAX = 8 << 20 }; /* bytes of a line, and of an event's data */

struct events {
    void (*event)(void *ctx, const char *data, size_t size); /* data is followed by a NUL */
    void *ctx;
    struct buf line, data;
    bool has_data;
    bool failed; /* one was too large: no more come */
};

void events_init(struct events *e, void (*event)(void *ctx, const char *data, size_t size),
                 void *ctx);
void events_fini(struct events *e);
void events_feed(struct events *e, const char *bytes, size_t size);

/* Before another stream: what is left of an event without its empty line is thrown away. */
void events_reset(struct events *e);
