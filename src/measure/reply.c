#include "measure/reply.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/mem.h"

enum framing { NO_BODY, BY_LENGTH, BY_CHUNKS, UNTIL_CLOSE };

enum chunk_state { CHUNK_SIZE, CHUNK_EXTENSION, CHUNK_SIZE_LF, CHUNK_DATA, CHUNK_CR, CHUNK_LF };

/* Offsets in head: it moves while it grows. */
struct field {
    size_t name, value;
};

struct reply {
    void (*content)(void *ctx, const char *bytes, size_t size);
    void *ctx;
    enum reply_state state;
    const char *reason;
    struct buf head; /* lines without CRLF, a NUL behind each */
    size_t line;     /* where the current one begins */
    bool after_cr;
    struct field fields[REPLY_MAX_FIELDS];
    int n_fields;
    int status, minor;
    bool keeps;
    enum framing framing;
    uint64_t left; /* bytes of the content, or of its chunk, that are still to come */
    enum chunk_state chunk;
    int chunk_line, chunk_digits;
    bool last_chunk;
};

static const uint64_t MAX_SIZE = UINT64_MAX >> 8;

static void refuse(struct reply *r, const char *reason)
{
    if (r->state == REPLY_BAD) return;
    r->state = REPLY_BAD;
    r->reason = reason;
}

/* ---- the head ---- */

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static bool is_token(int c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c && strchr("!#$%&'*+-.^_`|~", c));
}

/* HTTP/1.1 200 OK */
static void status_line(struct reply *r, const char *s)
{
    bool good = !strncmp(s, "HTTP/1.", 7) && (s[7] == '0' || s[7] == '1') && s[8] == ' ' &&
                s[9] >= '1' && s[9] <= '5' && is_digit(s[10]) && is_digit(s[11]) &&
                (s[12] == ' ' || s[12] == 0);
    if (!good) {
        refuse(r, "bad status line");
        return;
    }
    r->minor = s[7] - '0';
    r->status = (s[9] - '0') * 100 + (s[10] - '0') * 10 + s[11] - '0';
}

static void field_line(struct reply *r, char *line)
{
    char *colon = line, *end = line + strlen(line);
    while (is_token((unsigned char)*colon))
        colon++;
    if (colon == line || *colon != ':' || r->n_fields == REPLY_MAX_FIELDS) {
        refuse(r, "bad header line");
        return;
    }
    char *value = colon + 1 + strspn(colon + 1, " \t");
    while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
        *--end = 0;
    *colon = 0;
    r->fields[r->n_fields++] =
        (struct field){(size_t)(line - r->head.data), (size_t)(value - r->head.data)};
}

/* How many lines have this name; *value is the first one's. */
static int count_fields(const struct reply *r, const char *name, const char **value)
{
    int n = 0;
    *value = NULL;
    for (int i = 0; i < r->n_fields; i++)
        if (!strcasecmp(r->head.data + r->fields[i].name, name) && n++ == 0)
            *value = r->head.data + r->fields[i].value;
    return n;
}

static void take_length(struct reply *r, const char *s)
{
    r->framing = BY_LENGTH;
    r->left = 0;
    if (!*s) refuse(r, "bad Content-Length");
    for (; *s; s++) {
        if (!is_digit(*s) || r->left > MAX_SIZE / 10) {
            refuse(r, "bad Content-Length");
            return;
        }
        r->left = r->left * 10 + (uint64_t)(*s - '0');
    }
    if (r->left == 0) r->framing = NO_BODY;
}

static void take_framing(struct reply *r)
{
    const char *length, *coding;
    int lengths = count_fields(r, "content-length", &length);
    int codings = count_fields(r, "transfer-encoding", &coding);
    r->framing = UNTIL_CLOSE;
    if (lengths + codings > 1)
        refuse(r, "more than one length");
    else if (codings && (r->minor == 0 || strcasecmp(coding, "chunked")))
        refuse(r, "unknown Transfer-Encoding");
    else if (codings)
        r->framing = BY_CHUNKS;
    else if (lengths)
        take_length(r, length);
    if (r->status == 204 || r->status == 304) r->framing = NO_BODY;
}

/* An interim reply is over, and another follows. */
static void forget(struct reply *r)
{
    buf_clear(&r->head);
    r->line = 0;
    r->n_fields = 0;
    r->left = 0;
}

static void end_head(struct reply *r)
{
    const char *connection;
    take_framing(r);
    if (r->state == REPLY_BAD) return;
    if (r->status < 200) {
        if (r->status == 101)
            refuse(r, "another protocol");
        else
            forget(r);
        return;
    }
    count_fields(r, "connection", &connection);
    bool closes = connection && !strcasecmp(connection, "close");
    bool stays = connection && !strcasecmp(connection, "keep-alive");
    r->keeps = r->framing != UNTIL_CLOSE && !closes && (r->minor == 1 || stays);
    r->state = r->framing == NO_BODY ? REPLY_DONE : REPLY_BODY;
}

static void end_line(struct reply *r)
{
    size_t begin = r->line;
    bool empty = r->head.size == begin;
    r->after_cr = false;
    if (empty && begin > 0) {
        end_head(r);
        return;
    }
    if (r->head.size >= REPLY_MAX_HEAD) refuse(r, "head too large");
    buf_add_byte(&r->head, 0);
    r->line = r->head.size;
    if (begin == 0)
        status_line(r, r->head.data);
    else
        field_line(r, r->head.data + begin);
}

static void head_byte(struct reply *r, int c)
{
    if (c == '\n' && r->after_cr)
        end_line(r);
    else if (c == '\n' || r->after_cr)
        refuse(r, "a line must end in CRLF");
    else if (c == '\r')
        r->after_cr = true;
    else if ((c < 0x20 && c != '\t') || c == 0x7f)
        refuse(r, "control byte");
    else if (r->head.size >= REPLY_MAX_HEAD)
        refuse(r, "head too large");
    else
        buf_add_byte(&r->head, (char)c);
}

/* ---- the content ---- */

static size_t take_content(struct reply *r, const char *s, size_t size)
{
    size_t n = size < r->left ? size : (size_t)r->left;
    r->left -= n;
    r->content(r->ctx, s, n);
    return n;
}

static int hex_value(int c)
{
    if (is_digit(c)) return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* A byte of a chunk's size line, CR apart. */
static void size_byte(struct reply *r, int c)
{
    int digit = hex_value(c);
    if (r->chunk_line++ == REPLY_MAX_CHUNK_LINE)
        refuse(r, "chunk line too long");
    else if (c == ';' && r->chunk_digits > 0)
        r->chunk = CHUNK_EXTENSION;
    else if (r->chunk == CHUNK_EXTENSION && c >= 0x20 && c < 0x7f)
        return;
    else if (r->chunk == CHUNK_EXTENSION || digit < 0 || r->left > MAX_SIZE)
        refuse(r, "bad chunk size");
    else {
        r->left = r->left * 16 + (uint64_t)digit;
        r->chunk_digits++;
    }
}

static void chunk_line_ends(struct reply *r)
{
    r->last_chunk = r->left == 0;
    r->chunk = r->last_chunk ? CHUNK_CR : CHUNK_DATA;
}

static void chunk_ends(struct reply *r)
{
    r->chunk = CHUNK_SIZE;
    r->chunk_line = r->chunk_digits = 0;
    if (r->last_chunk) r->state = REPLY_DONE;
}

/* A byte of a chunked body that is not content. */
static void chunk_byte(struct reply *r, int c)
{
    switch (r->chunk) {
    case CHUNK_SIZE:
    case CHUNK_EXTENSION:
        if (c == '\r' && r->chunk_digits > 0)
            r->chunk = CHUNK_SIZE_LF;
        else
            size_byte(r, c);
        break;
    case CHUNK_CR:
        r->chunk = CHUNK_LF;
        if (c != '\r') refuse(r, r->last_chunk ? "trailer" : "chunk longer than its size");
        break;
    default:
        if (c != '\n')
            refuse(r, "a line must end in CRLF");
        else if (r->chunk == CHUNK_SIZE_LF)
            chunk_line_ends(r);
        else
            chunk_ends(r);
    }
}

static size_t body_bytes(struct reply *r, const char *s, size_t size)
{
    if (r->framing == UNTIL_CLOSE) {
        r->content(r->ctx, s, size);
        return size;
    }
    if (r->framing == BY_CHUNKS && r->chunk != CHUNK_DATA) {
        chunk_byte(r, (unsigned char)*s);
        return 1;
    }
    size_t used = take_content(r, s, size);
    if (r->left == 0 && r->framing == BY_LENGTH) r->state = REPLY_DONE;
    if (r->left == 0 && r->framing == BY_CHUNKS) r->chunk = CHUNK_CR;
    return used;
}

/* ---- outside ---- */

struct reply *reply_new(void (*content)(void *ctx, const char *bytes, size_t size), void *ctx)
{
    struct reply *r = xcalloc(1, sizeof *r);
    r->content = content;
    r->ctx = ctx;
    buf_init(&r->head, REPLY_MAX_HEAD + 2);
    return r;
}

void reply_free(struct reply *r)
{
    if (!r) return;
    buf_fini(&r->head);
    free(r);
}

size_t reply_feed(struct reply *r, const char *bytes, size_t size)
{
    size_t used = 0;
    while (used < size && r->state == REPLY_HEAD)
        head_byte(r, (unsigned char)bytes[used++]);
    while (used < size && r->state == REPLY_BODY)
        used += body_bytes(r, bytes + used, size - used);
    if (r->head.failed) refuse(r, "no memory");
    return used;
}

void reply_close(struct reply *r)
{
    if (r->state == REPLY_BODY && r->framing == UNTIL_CLOSE)
        r->state = REPLY_DONE;
    else if (r->state != REPLY_DONE)
        refuse(r, "the connection ended before the reply");
}

enum reply_state reply_state(const struct reply *r)
{
    return r->state;
}

const char *reply_reason(const struct reply *r)
{
    return r->reason;
}

int reply_status(const struct reply *r)
{
    return r->status;
}

const char *reply_header(const struct reply *r, const char *name)
{
    const char *value;
    count_fields(r, name, &value);
    return value;
}

bool reply_keeps(const struct reply *r)
{
    return r->keeps;
}
