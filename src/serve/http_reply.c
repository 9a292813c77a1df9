#include <event2/buffer.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "serve/http_conn.h"

enum { MAX_HEAD = 80 << 10 };

/* ---- words ---- */

static const char *phrase_of(int status)
{
    static const struct {
        int status;
        const char *phrase;
    } known[] = {{200, "OK"},
                 {201, "Created"},
                 {202, "Accepted"},
                 {204, "No Content"},
                 {304, "Not Modified"},
                 {400, "Bad Request"},
                 {401, "Unauthorized"},
                 {402, "Payment Required"},
                 {403, "Forbidden"},
                 {404, "Not Found"},
                 {405, "Method Not Allowed"},
                 {408, "Request Timeout"},
                 {409, "Conflict"},
                 {413, "Content Too Large"},
                 {414, "URI Too Long"},
                 {415, "Unsupported Media Type"},
                 {417, "Expectation Failed"},
                 {421, "Misdirected Request"},
                 {422, "Unprocessable Content"},
                 {429, "Too Many Requests"},
                 {431, "Request Header Fields Too Large"},
                 {500, "Internal Server Error"},
                 {501, "Not Implemented"},
                 {503, "Service Unavailable"},
                 {505, "HTTP Version Not Supported"},
                 {529, "Overloaded"}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].status == status) return known[i].phrase;
    return "Unknown";
}

/* As RFC 9110 section 5.6.7 has it; strftime's names follow the locale. */
static void add_date(struct buf *out)
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    time_t now = time(NULL);
    struct tm t;
    if (!gmtime_r(&now, &t)) return;
    buf_printf(out, "Date: %.3s, %02d %.3s %d %02d:%02d:%02d GMT\r\n", days + 3 * t.tm_wday,
               t.tm_mday, months + 3 * t.tm_mon, 1900 + t.tm_year, t.tm_hour, t.tm_min, t.tm_sec);
}

static bool is_line_safe(const char *s)
{
    for (; *s; s++)
        if (((unsigned char)*s < 0x20 && *s != '\t') || *s == 0x7f) return false;
    return true;
}

static void add_line(struct buf *out, const char *name, const char *value)
{
    CHECK(name[0] && !strpbrk(name, " \t:") && is_line_safe(name) && is_line_safe(value),
          "a bad header line");
    buf_printf(out, "%s: %s\r\n", name, value);
}

/* ---- writing ---- */

static void write_bytes(struct connection *c, const void *bytes, size_t size)
{
    if (c->broken) return;
    if (bufferevent_write(c->bev, bytes, size))
        conn_break(c);
    else
        conn_wrote(c);
}

/* framing is a line with its CRLF, or "". lines may be NULL. */
static void write_head(struct connection *c, int status, const char *type, const struct buf *lines,
                       const char *framing)
{
    struct buf head;
    const struct http_handler *h = &c->server->handler;
    CHECK(status >= 200 && status <= 599, "status %d", status);
    if (h->answered) h->answered(h->ctx, status);
    buf_init(&head, MAX_HEAD);
    buf_printf(&head, "HTTP/1.1 %d %s\r\n", status, phrase_of(status));
    add_date(&head);
    if (type) add_line(&head, "Content-Type", type);
    buf_add_str(&head, framing);
    if (!c->keep)
        add_line(&head, "Connection", "close");
    else if (gate_minor(c->gate) == 0)
        add_line(&head, "Connection", "keep-alive");
    if (lines) buf_add(&head, buf_text(lines), lines->size);
    buf_add_str(&head, "\r\n");
    if (head.failed || (lines && lines->failed))
        conn_break(c);
    else
        write_bytes(c, head.data, head.size);
    buf_fini(&head);
}

/* An unread body would be taken for the next request. */
static bool may_keep(const struct connection *c)
{
    bool whole = gate_state(c->gate) == GATE_DONE || !gate_has_body(c->gate);
    return whole && gate_wants_keep(c->gate) && !c->overrun && !c->eof && !c->server->stopping;
}

static bool is_bodiless(const struct connection *c, int status)
{
    return status == 204 || status == 304 || !strcmp(gate_method(c->gate), "HEAD");
}

static void begin(struct http_request *r, int status)
{
    CHECK(!r->streaming, "a second answer");
    r->bodiless = is_bodiless(r->conn, status);
    r->conn->keep = may_keep(r->conn);
}

static void write_length_head(struct connection *c, int status, const char *type,
                              const struct buf *lines, size_t size)
{
    char framing[48] = "";
    if (status != 204 && status != 304)
        snprintf(framing, sizeof framing, "Content-Length: %zu\r\n", size);
    write_head(c, status, type, lines, framing);
}

void http_reply(struct http_request *r, int status, const char *type, const void *body, size_t size)
{
    struct connection *c = r->conn;
    begin(r, status);
    write_length_head(c, status, type, &r->headers, size);
    if (!r->bodiless && size > 0) write_bytes(c, body, size);
    conn_answered(c);
}

void reply_error(struct connection *c, int status, const char *body)
{
    size_t size = body ? strlen(body) : 0;
    write_length_head(c, status, body ? "application/json" : NULL, NULL, size);
    if (size > 0 && !is_bodiless(c, status)) write_bytes(c, body, size);
}

void http_stream_begin(struct http_request *r, int status, const char *type)
{
    struct connection *c = r->conn;
    begin(r, status);
    r->streaming = true;
    r->chunked = gate_minor(c->gate) == 1;
    if (!r->chunked) c->keep = false; /* the close ends it */
    write_head(c, status, type, &r->headers, r->chunked ? "Transfer-Encoding: chunked\r\n" : "");
}

void http_stream_send(struct http_request *r, const void *bytes, size_t size)
{
    struct connection *c = r->conn;
    char frame[32];
    CHECK(r->streaming, "a piece of no stream");
    if (r->bodiless || size == 0) return;
    /* In one place, so that it goes out in one write and one TLS record. */
    if (!c->broken && evbuffer_expand(bufferevent_get_output(c->bev), size + sizeof frame))
        conn_break(c);
    if (r->chunked) write_bytes(c, frame, (size_t)snprintf(frame, sizeof frame, "%zx\r\n", size));
    write_bytes(c, bytes, size);
    if (r->chunked) write_bytes(c, "\r\n", 2);
}

void http_stream_end(struct http_request *r)
{
    CHECK(r->streaming, "the end of no stream");
    if (r->chunked && !r->bodiless) write_bytes(r->conn, "0\r\n\r\n", 5);
    conn_answered(r->conn);
}

/* ---- the request, seen by its handler ---- */

const char *http_method(const struct http_request *r)
{
    return gate_method(r->conn->gate);
}

const char *http_path(const struct http_request *r)
{
    return gate_path(r->conn->gate);
}

const char *http_query(const struct http_request *r)
{
    return gate_query(r->conn->gate);
}

const char *http_header(const struct http_request *r, const char *name)
{
    return gate_header(r->conn->gate, name);
}

const char *http_peer(const struct http_request *r)
{
    return r->conn->peer;
}

const char *http_body(const struct http_request *r, size_t *size)
{
    return gate_body(r->conn->gate, size);
}

void http_on_gone(struct http_request *r, void (*gone)(void *ctx), void *ctx)
{
    r->gone = gone;
    r->gone_ctx = ctx;
}

void http_add_header(struct http_request *r, const char *name, const char *value)
{
    CHECK(!r->streaming, "a header line after the head");
    add_line(&r->headers, name, value);
}

size_t http_buffered(const struct http_request *r)
{
    return r->conn->waiting;
}

bool http_is_full(const struct http_request *r)
{
    return r->conn->waiting > r->conn->server->options.max_buffered;
}

void http_on_drained(struct http_request *r, void (*drained)(void *ctx), void *ctx)
{
    r->drained = drained;
    r->drained_ctx = ctx;
    if (drained && r->conn->waiting <= r->conn->server->options.max_buffered / 4)
        bufferevent_trigger(r->conn->bev, EV_WRITE,
                            BEV_TRIG_IGNORE_WATERMARKS | BEV_TRIG_DEFER_CALLBACKS);
}
