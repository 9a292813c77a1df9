/* The strict reader of HTTP/1.1 requests, fed with the bytes of one connection in any pieces.
 * Source: docs/spec, security, rules H1 to H3; RFC 9112.
 *
 *     used = gate_feed(g, bytes, size)     stops where the state changes to one of:
 *         GATE_READY     the head is whole: look at it, feed on for the body
 *         GATE_DONE      the request is whole; the bytes behind it are not taken until gate_next
 *         GATE_REFUSED   answer gate_status, close; nothing more is taken
 *
 * What is not exactly well formed is refused: no bare LF, no folded lines, no second opinion on where a
 * body ends. The same bytes give the same outcome however they are split. Time is the caller's matter.
 *
 * Refused with 400: Content-Length together with Transfer-Encoding, repeated, or other than digits
 * without a leading zero; Transfer-Encoding repeated or in HTTP/1.0; Host missing, repeated or unlike the
 * absolute target; control bytes; anything behind the last chunk but CRLF. 413: a body over the limit, or
 * over GATE_MAX_CHUNKS chunks. 414, 431: head too large. 415: Content-Encoding. 417: Expect other than
 * 100-continue. 501: methods other than GET HEAD POST PUT PATCH DELETE OPTIONS, a Transfer-Encoding other
 * than `chunked`. 503: no memory. 505: versions other than 1.0 and 1.1. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

enum {
    GATE_MAX_LINE = 8 << 10,     /* bytes of the request line, without CRLF */
    GATE_MAX_HEADERS = 32 << 10, /* bytes of all header lines, with CRLF */
    GATE_MAX_FIELDS = 100,       /* header lines */
    GATE_MAX_CHUNK_LINE = 256,   /* bytes of a chunk's size and extensions */
    GATE_MAX_CHUNKS = 64 << 10   /* of a body, without the last, empty one */
};

enum gate_state {
    GATE_IDLE,  /* nothing of a request yet; one empty line may have been passed over */
    GATE_HEAD,  /* inside the head */
    GATE_READY, /* the head is whole */
    GATE_BODY,  /* inside the body */
    GATE_DONE,  /* the request is whole */
    GATE_REFUSED,
};

struct gate;

/* For bodies of at most max_body bytes, after removal of the chunks' frames. NULL without memory. */
struct gate *gate_new(size_t max_body);
void gate_free(struct gate *g); /* takes NULL */

/* Takes bytes and returns how many. In GATE_READY it goes on with the body, to GATE_DONE at once when
 * there is none: size may be 0 for that. */
size_t gate_feed(struct gate *g, const void *bytes, size_t size);
enum gate_state gate_state(const struct gate *g);

/* In GATE_DONE: forgets the request and frees its memory; the next byte begins another. */
void gate_next(struct gate *g);

/* In GATE_REFUSED: the status to answer, and why, a few words of static text. */
int gate_status(const struct gate *g);
const char *gate_reason(const struct gate *g);

/* From GATE_READY on, until gate_next. Texts are the gate's.
 * path is decoded, valid UTF-8 without control bytes, begins with '/', or is "*". query is undecoded, ""
 * when there is none. header finds a name in any case, the first of several, without the blanks around
 * its value; the value may hold tabs and bytes over 127. The method may be asked for at any time: "" while
 * it is not known. */
const char *gate_method(const struct gate *g);
const char *gate_path(const struct gate *g);
const char *gate_query(const struct gate *g);
const char *gate_header(const struct gate *g, const char *name);
int gate_minor(const struct gate *g);       /* 0 or 1: HTTP/1.0 or 1.1 */
bool gate_wants_keep(const struct gate *g); /* more requests may follow on the connection */
bool gate_wants_continue(
    const struct gate *g);                /* the client waits for 100 before it sends the body */
bool gate_has_body(const struct gate *g); /* one of at least a byte or a chunk is announced */

/* What is here of the body, followed by a NUL that is not counted. */
const char *gate_body(const struct gate *g, size_t *size);
