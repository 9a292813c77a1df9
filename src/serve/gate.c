#include "serve/gate.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "text/utf8.h"

/* Lines are kept without CRLF, a NUL behind each; their parts are cut out by more NULs. */
enum { MAX_HEAD = GATE_MAX_LINE + GATE_MAX_HEADERS + 2 };

enum framing { NO_BODY, BY_LENGTH, BY_CHUNKS };

enum chunk_state { CHUNK_SIZE, CHUNK_EXTENSION, CHUNK_SIZE_LF, CHUNK_DATA, CHUNK_CR, CHUNK_LF };

/* Places are offsets in head: it moves while it grows. */
struct field {
    size_t name, value;
};

struct gate {
    enum gate_state state;
    int status;
    const char *reason;
    size_t max_body;

    struct buf head;
    size_t line;         /* where the current line begins in head */
    size_t header_bytes; /* of lines behind the request line, with CRLF */
    bool in_headers;
    bool after_cr;
    bool skipped; /* the one empty line in front of a request */

    size_t path, query, authority; /* authority 0: the target has none. The method is at 0 */
    int minor;
    struct field fields[GATE_MAX_FIELDS];
    int n_fields;
    bool keep, expects;

    enum framing framing;
    struct buf body;
    uint64_t left; /* bytes of the body or of its chunk that are still to come */
    enum chunk_state chunk;
    int chunk_line;   /* bytes of the size line so far */
    int chunk_digits; /* of its size */
    bool last_chunk;
    int n_chunks;
};

static void refuse(struct gate *g, int status, const char *reason)
{
    if (g->state == GATE_REFUSED) return;
    g->state = GATE_REFUSED;
    g->status = status;
    g->reason = reason;
}

/* ---- bytes ---- */

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static int hex_value(int c)
{
    if (is_digit(c)) return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

static bool is_in(int c, const char *set)
{
    return c != 0 && strchr(set, c) != NULL;
}

static bool is_token(int c)
{
    return is_digit(c) || is_letter(c) || is_in(c, "!#$%&'*+-.^_`|~");
}

/* Of a path or a query; '%' is looked at apart. */
static bool is_target(int c)
{
    return is_digit(c) || is_letter(c) || is_in(c, "-._~!$&'()*+,;=:@/");
}

static bool all(const char *s, bool (*good)(int c))
{
    for (; *s; s++)
        if (!good((unsigned char)*s)) return false;
    return true;
}

/* ---- the request line ---- */

/* name or [IPv6], then perhaps :port */
static bool is_host(const char *s)
{
    const char *p = s;
    if (*p == '[') {
        const char *inside = ++p;
        while (hex_value((unsigned char)*p) >= 0 || *p == ':' || *p == '.')
            p++;
        if (*p != ']' || p - inside < 2) return false;
        p++;
    } else {
        while (is_digit((unsigned char)*p) || is_letter((unsigned char)*p) || is_in(*p, "-._"))
            p++;
        if (p == s) return false;
    }
    if (!*p) return true;
    if (*p != ':') return false;
    size_t n = strlen(++p);
    return n >= 1 && n <= 5 && all(p, is_digit) && strtol(p, NULL, 10) <= 65535;
}

/* Whether every byte may stand in a target and every '%' begins an escape. */
static bool is_escaped_well(const char *s)
{
    for (; *s; s++) {
        if (*s == '%') {
            if (hex_value((unsigned char)s[1]) < 0 || hex_value((unsigned char)s[2]) < 0)
                return false;
            s += 2;
        } else if (!is_target((unsigned char)*s) && *s != '?') {
            return false;
        }
    }
    return true;
}

/* In place; false when a control byte comes out, or no UTF-8. */
static bool decode_path(char *path)
{
    char *out = path;
    for (const char *s = path; *s; s++) {
        int c = (unsigned char)*s;
        if (c == '%') {
            c = hex_value((unsigned char)s[1]) * 16 + hex_value((unsigned char)s[2]);
            s += 2;
        }
        if (c < 0x20 || c == 0x7f) return false;
        *out++ = (char)c;
    }
    *out = 0;
    return utf8_valid(path, (size_t)(out - path));
}

/* http://host/path: the host moves two bytes to the left, so that there is room for a NUL behind it, and
 * for the '/' of an empty path. Returns the path, NULL when the target is none of these. */
static char *split_absolute(struct gate *g, char *target)
{
    size_t scheme = !strncasecmp(target, "http://", 7)    ? 7
                    : !strncasecmp(target, "https://", 8) ? 8
                                                          : 0;
    if (scheme == 0) return NULL;
    char *host = target + scheme;
    size_t n = strcspn(host, "/?");
    char *path = host + n;
    memmove(host - 2, host, n);
    path[-2] = 0;
    if (*path != '/') *--path = '/';
    g->authority = (size_t)(host - 2 - g->head.data);
    return is_host(host - 2) ? path : NULL;
}

static void take_target(struct gate *g, char *target)
{
    char *path = target;
    bool options = !strcmp(g->head.data, "OPTIONS");
    if (*target != '/' && !(options && !strcmp(target, "*"))) path = split_absolute(g, target);
    if (!path) {
        refuse(g, 400, "bad target");
        return;
    }
    char *end = path + strlen(path), *mark = strchr(path, '?');
    if (mark) *mark = 0;
    char *query = mark ? mark + 1 : end;
    g->path = (size_t)(path - g->head.data);
    g->query = (size_t)(query - g->head.data);
    if (!is_escaped_well(path) || !is_escaped_well(query) || !decode_path(path))
        refuse(g, 400, "bad target");
}

static bool is_known_method(const char *s)
{
    static const char *const known[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(s, known[i])) return true;
    return false;
}

static void request_line(struct gate *g, char *line)
{
    char *target = strchr(line, ' ');
    char *version = target ? strchr(target + 1, ' ') : NULL;
    if (!version || target == line) {
        refuse(g, 400, "bad request line");
        return;
    }
    *target++ = 0;
    *version++ = 0;
    bool spelt = strlen(version) == 8 && !strncmp(version, "HTTP/", 5) &&
                 is_digit((unsigned char)version[5]) && version[6] == '.' &&
                 is_digit((unsigned char)version[7]);
    g->minor = spelt && version[7] == '1';
    if (!spelt || !all(line, is_token))
        refuse(g, 400, "bad request line");
    else if (strcmp(version, "HTTP/1.1") && strcmp(version, "HTTP/1.0"))
        refuse(g, 505, "unknown version");
    else if (!is_known_method(line))
        refuse(g, 501, "unknown method");
    else
        take_target(g, target);
}

/* ---- header lines ---- */

/* A folded line begins with a blank, which is no part of a name. */
static void field_line(struct gate *g, char *line)
{
    char *colon = strchr(line, ':');
    if (g->n_fields == GATE_MAX_FIELDS) {
        refuse(g, 431, "too many header lines");
        return;
    }
    if (colon) *colon = 0;
    if (!colon || colon == line || !all(line, is_token)) {
        refuse(g, 400, "bad header line");
        return;
    }
    char *value = colon + 1 + strspn(colon + 1, " \t");
    char *end = value + strlen(value);
    while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
        *--end = 0;
    g->fields[g->n_fields++] = (struct field){.name = (size_t)(line - g->head.data),
                                              .value = (size_t)(value - g->head.data)};
}

/* How many lines have this name; *value is the first one's. */
static int count_fields(const struct gate *g, const char *name, const char **value)
{
    int n = 0;
    *value = NULL;
    for (int i = 0; i < g->n_fields; i++)
        if (!strcasecmp(g->head.data + g->fields[i].name, name) && n++ == 0)
            *value = g->head.data + g->fields[i].value;
    return n;
}

static void check_host(struct gate *g)
{
    const char *host;
    int n = count_fields(g, "host", &host);
    if (n > 1 || (n == 0 && g->minor == 1) || (host && !is_host(host)))
        refuse(g, 400, "bad Host");
    else if (host && g->authority && strcasecmp(host, g->head.data + g->authority))
        refuse(g, 400, "Host and target differ");
}

static void check_length(struct gate *g, const char *length)
{
    size_t n = strlen(length);
    if (n == 0 || !all(length, is_digit) || (n > 1 && length[0] == '0')) {
        refuse(g, 400, "bad Content-Length");
        return;
    }
    unsigned long long size = strtoull(length, NULL, 10); /* the largest when it does not fit */
    if (size > g->max_body) refuse(g, 413, "body too large");
    g->framing = size > 0 ? BY_LENGTH : NO_BODY;
    g->left = size;
}

static void check_framing(struct gate *g)
{
    const char *length, *coding;
    int lengths = count_fields(g, "content-length", &length);
    int codings = count_fields(g, "transfer-encoding", &coding);
    if (lengths + codings > 1)
        refuse(g, 400, "more than one length");
    else if (codings && g->minor == 0)
        refuse(g, 400, "Transfer-Encoding in HTTP/1.0");
    else if (codings && strcmp(coding, "chunked"))
        refuse(g, 501, "unknown Transfer-Encoding");
    else if (codings)
        g->framing = BY_CHUNKS;
    else if (lengths)
        check_length(g, length);
}

static void check_expectations(struct gate *g)
{
    const char *value;
    int n = count_fields(g, "expect", &value);
    if (n > 0 && g->minor == 1) {
        if (n > 1 || strcasecmp(value, "100-continue")) refuse(g, 417, "unknown Expect");
        g->expects = g->framing != NO_BODY;
    }
    n = count_fields(g, "content-encoding", &value);
    if (n > 1 || (value && strcasecmp(value, "identity"))) refuse(g, 415, "Content-Encoding");
}

/* Whether a comma-separated list holds the word. */
static bool list_has(const char *list, const char *word)
{
    size_t n = strlen(word);
    for (const char *s = list; *s; s += strcspn(s, ",")) {
        s += strspn(s, ", \t");
        size_t length = strcspn(s, ", \t");
        if (length == n && !strncasecmp(s, word, n)) return true;
    }
    return false;
}

static void look_at_connection(struct gate *g)
{
    bool close = false, keep = g->minor == 1;
    for (int i = 0; i < g->n_fields; i++) {
        if (strcasecmp(g->head.data + g->fields[i].name, "connection")) continue;
        close |= list_has(g->head.data + g->fields[i].value, "close");
        keep |= list_has(g->head.data + g->fields[i].value, "keep-alive");
    }
    g->keep = keep && !close;
}

static void end_head(struct gate *g)
{
    check_host(g);
    check_framing(g);
    check_expectations(g);
    look_at_connection(g);
    if (g->state != GATE_REFUSED) g->state = GATE_READY;
}

/* ---- the head, byte by byte ---- */

static void end_line(struct gate *g)
{
    size_t begin = g->line;
    bool empty = g->head.size == begin;
    g->after_cr = false;
    if (empty && g->in_headers) {
        end_head(g);
        return;
    }
    if (empty) { /* in front of the request */
        if (g->skipped) refuse(g, 400, "empty lines");
        g->skipped = true;
        return;
    }
    buf_add_byte(&g->head, 0);
    if (g->head.failed) return;
    g->line = g->head.size;
    if (g->in_headers)
        field_line(g, g->head.data + begin);
    else
        request_line(g, g->head.data + begin);
    g->in_headers = true;
}

/* A byte that is neither CR nor LF. */
static void line_byte(struct gate *g, int c)
{
    if ((c < 0x20 && !(c == '\t' && g->in_headers)) || c == 0x7f)
        refuse(g, 400, "control byte");
    else if (!g->in_headers && g->head.size >= GATE_MAX_LINE)
        refuse(g, 414, "request line too long");
    else
        buf_add_byte(&g->head, (char)c);
    if (g->state == GATE_IDLE) g->state = GATE_HEAD;
}

static void head_byte(struct gate *g, int c)
{
    if (g->in_headers && ++g->header_bytes > GATE_MAX_HEADERS)
        refuse(g, 431, "headers too large");
    else if (c == '\n' && g->after_cr)
        end_line(g);
    else if (c == '\n' || g->after_cr)
        refuse(g, 400, "a line must end in CRLF");
    else if (c == '\r')
        g->after_cr = true;
    else
        line_byte(g, c);
    if (g->head.failed) refuse(g, 503, "no memory");
}

/* ---- the body ---- */

static size_t take_body(struct gate *g, const char *s, size_t size)
{
    size_t n = size < g->left ? size : (size_t)g->left;
    buf_add(&g->body, s, n);
    if (g->body.failed) refuse(g, 503, "no memory");
    g->left -= n;
    return n;
}

static bool is_lf(struct gate *g, int c)
{
    if (c != '\n') refuse(g, 400, "a line must end in CRLF");
    return c == '\n';
}

static void chunk_line_ends(struct gate *g)
{
    g->last_chunk = g->left == 0;
    g->chunk = g->last_chunk ? CHUNK_CR : CHUNK_DATA;
    if (!g->last_chunk && ++g->n_chunks > GATE_MAX_CHUNKS) refuse(g, 413, "too many chunks");
}

static void chunk_digit(struct gate *g, int c)
{
    int digit = hex_value(c);
    if (digit < 0) {
        refuse(g, 400, "bad chunk size");
        return;
    }
    g->chunk_digits++;
    g->left = g->left * 16 + (uint64_t)digit; /* max_body bounds it before it can wrap */
    if (g->left > g->max_body - g->body.size) refuse(g, 413, "body too large");
}

/* A byte of a chunk's size line, CR apart. */
static void chunk_line_byte(struct gate *g, int c)
{
    if (g->chunk_line++ == GATE_MAX_CHUNK_LINE)
        refuse(g, 400, "chunk line too long");
    else if (c == ';' && g->chunk_digits > 0)
        g->chunk = CHUNK_EXTENSION;
    else if (g->chunk == CHUNK_SIZE)
        chunk_digit(g, c);
    else if ((c < 0x20 && c != '\t') || c >= 0x7f)
        refuse(g, 400, "control byte in a chunk line");
}

static void chunk_begins(struct gate *g)
{
    g->chunk = CHUNK_SIZE;
    g->chunk_line = 0;
    g->chunk_digits = 0;
    g->left = 0;
}

static void chunk_ends(struct gate *g)
{
    if (g->last_chunk)
        g->state = GATE_DONE;
    else
        chunk_begins(g);
}

/* A byte of a chunked body that is not content. */
static void chunk_byte(struct gate *g, int c)
{
    switch (g->chunk) {
    case CHUNK_SIZE:
    case CHUNK_EXTENSION:
        if (c == '\r' && g->chunk_digits > 0)
            g->chunk = CHUNK_SIZE_LF;
        else
            chunk_line_byte(g, c);
        break;
    case CHUNK_SIZE_LF:
        if (is_lf(g, c)) chunk_line_ends(g);
        break;
    case CHUNK_CR:
        g->chunk = CHUNK_LF;
        if (c != '\r') refuse(g, 400, g->last_chunk ? "trailer" : "chunk longer than its size");
        break;
    case CHUNK_LF:
        if (is_lf(g, c)) chunk_ends(g);
        break;
    case CHUNK_DATA:
        break;
    }
}

static size_t body_bytes(struct gate *g, const char *s, size_t size)
{
    size_t used = 1;
    if (g->framing == BY_LENGTH) {
        used = take_body(g, s, size);
        if (g->left == 0 && g->state == GATE_BODY) g->state = GATE_DONE;
    } else if (g->chunk == CHUNK_DATA) {
        used = take_body(g, s, size);
        if (g->left == 0) g->chunk = CHUNK_CR;
    } else {
        chunk_byte(g, (unsigned char)*s);
    }
    return used;
}

/* ---- outside ---- */

static void gate_init(struct gate *g, size_t max_body)
{
    memset(g, 0, sizeof *g);
    g->max_body = max_body;
    buf_init(&g->head, MAX_HEAD);
    buf_init(&g->body, max_body);
}

struct gate *gate_new(size_t max_body)
{
    struct gate *g = malloc(sizeof *g);
    /* So that a chunk's size cannot wrap. */
    if (g) gate_init(g, max_body < SIZE_MAX / 64 ? max_body : SIZE_MAX / 64);
    return g;
}

void gate_free(struct gate *g)
{
    if (!g) return;
    buf_fini(&g->head);
    buf_fini(&g->body);
    free(g);
}

size_t gate_feed(struct gate *g, const void *bytes, size_t size)
{
    const char *s = bytes;
    size_t used = 0;
    if (g->state == GATE_READY) g->state = g->framing == NO_BODY ? GATE_DONE : GATE_BODY;
    while (used < size && (g->state == GATE_IDLE || g->state == GATE_HEAD))
        head_byte(g, (unsigned char)s[used++]);
    while (used < size && g->state == GATE_BODY)
        used += body_bytes(g, s + used, size - used);
    return used;
}

enum gate_state gate_state(const struct gate *g)
{
    return g->state;
}

void gate_next(struct gate *g)
{
    CHECK(g->state == GATE_DONE, "a request is not whole yet");
    buf_fini(&g->head);
    buf_fini(&g->body);
    gate_init(g, g->max_body);
}

int gate_status(const struct gate *g)
{
    return g->status;
}

const char *gate_reason(const struct gate *g)
{
    return g->reason;
}

const char *gate_method(const struct gate *g)
{
    return g->in_headers ? g->head.data : "";
}

const char *gate_path(const struct gate *g)
{
    return g->head.data + g->path;
}

const char *gate_query(const struct gate *g)
{
    return g->head.data + g->query;
}

const char *gate_header(const struct gate *g, const char *name)
{
    const char *value;
    count_fields(g, name, &value);
    return value;
}

int gate_minor(const struct gate *g)
{
    return g->minor;
}

bool gate_wants_keep(const struct gate *g)
{
    return g->keep;
}

bool gate_wants_continue(const struct gate *g)
{
    return g->expects;
}

bool gate_has_body(const struct gate *g)
{
    return g->framing != NO_BODY;
}

const char *gate_body(const struct gate *g, size_t *size)
{
    *size = g->body.size;
    return buf_text(&g->body);
}
