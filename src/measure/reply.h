/* A strict reader of one HTTP/1.1 reply, fed with the bytes of a connection in any pieces.
 * Source: RFC 9112, sections 4 to 7.
 *
 *     used = reply_feed(r, bytes, size)    stops where the state changes to one of:
 *         REPLY_DONE     the reply is whole; bytes behind it are not taken
 *         REPLY_BAD      no HTTP that this reader takes; reply_reason says why
 *     reply_close(r)                       the connection ended: a reply without a length is whole then
 *
 * Content is handed on as it comes, without the chunks' frames. Interim replies (100) are passed over. Refused:
 * a head over 64 KiB or 100 lines, lines that do not end in CRLF, Content-Length beside Transfer-Encoding, repeated or no
 * number, codings other than `chunked`, trailers. The same bytes give the same outcome however they are
 * split. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

enum { REPLY_MAX_HEAD = 64 << 10, REPLY_MAX_FIELDS = 100, REPLY_MAX_CHUNK_LINE = 256 };

enum reply_state {
    REPLY_HEAD, /* nothing yet, or inside the head */
    REPLY_BODY,
    REPLY_DONE,
    REPLY_BAD,
};

struct reply;

/* content comes during reply_feed, never with size 0. Aborts without memory. */
struct reply *reply_new(void (*content)(void *ctx, const char *bytes, size_t size), void *ctx);
void reply_free(struct reply *r); /* takes NULL */

/* Takes bytes and returns how many. */
size_t reply_feed(struct reply *r, const char *bytes, size_t size);
void reply_close(struct reply *r);
enum reply_state reply_state(const struct reply *r);
const char *reply_reason(const struct reply *r); /* in REPLY_BAD */

/* From REPLY_BODY on. */
int reply_status(const struct reply *r);
const char *reply_header(const struct reply *r, const char *name); /* the first; NULL when absent */
bool reply_keeps(const struct reply *r); /* another request may follow on the connection */
