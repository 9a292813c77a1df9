/* The gate of the HTTP server: the same bytes give the same requests and the same refusal in one piece,
 * byte by byte and in pieces that the bytes themselves choose; what comes out is never more than went
 * in. */
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "serve/gate.h"

enum { MAX_BODY = 500, LARGEST_STORY = 64 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* How the input is cut. */
enum split { WHOLE, BYTES, OWN };

/* One reading of the input. */
struct run {
    struct gate *g;
    const uint8_t *data;
    size_t size;
    size_t at;    /* bytes taken */
    size_t begin; /* of them before the current request */
    struct buf *story;
};

static size_t piece_of(const struct run *r, enum split split)
{
    size_t left = r->size - r->at;
    size_t n = left;
    if (split == BYTES) n = 1;
    if (split == OWN) n = 1 + r->data[(r->at * 7 + r->size) % r->size] % 24;
    return n < left ? n : left;
}

static void add_text(struct buf *out, const char *s)
{
    CHECK(s, "a NULL");
    buf_add(out, s, strlen(s) + 1);
}

static void tell_head(const struct gate *g, struct buf *out)
{
    static const char *const names[] = {"host", "content-length", "expect", "authorization", "a"};
    const char *path = gate_path(g), *query = gate_query(g);
    CHECK(path[0] == '/' || !strcmp(path, "*"), "a path: %s", path);
    for (const char *s = path; *s; s++)
        CHECK((unsigned char)*s >= 0x20 && *s != 0x7f, "a control byte in the path");
    add_text(out, gate_method(g));
    add_text(out, path);
    add_text(out, query);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = gate_header(g, names[i]);
        if (value) add_text(out, value);
    }
    CHECK(gate_minor(g) == 0 || gate_header(g, "host"), "no Host");
    buf_printf(out, "%d%d%d%d", gate_minor(g), gate_wants_keep(g), gate_wants_continue(g),
               gate_has_body(g));
}

static void tell_body(const struct run *r)
{
    size_t size;
    const char *body = gate_body(r->g, &size);
    CHECK(size <= MAX_BODY && size <= r->at - r->begin && body[size] == 0, "a body of %zu", size);
    CHECK(size == 0 || gate_has_body(r->g), "a body that was not announced");
    buf_add(r->story, body, size);
    buf_add_byte(r->story, ';');
}

static void end_request(struct run *r)
{
    tell_body(r);
    CHECK(gate_feed(r->g, "GET", 3) == 0, "bytes of the next request are taken");
    gate_next(r->g);
    r->begin = r->at;
}

/* Feeds n bytes and writes down what happens. */
static void feed(struct run *r, size_t n)
{
    size_t end = r->at + n;
    for (bool goes_on = true; goes_on;) {
        enum gate_state before = gate_state(r->g);
        size_t used = gate_feed(r->g, r->data + r->at, end - r->at);
        enum gate_state now = gate_state(r->g);
        CHECK(used <= end - r->at, "more taken than offered");
        r->at += used;
        if (now == GATE_REFUSED) return;
        if (now == GATE_READY) tell_head(r->g, r->story);
        if (now == GATE_DONE) end_request(r);
        goes_on = used > 0 || now != before;
    }
    CHECK(r->at == end, "bytes are left over");
}

static void tell_refusal(const struct run *r)
{
    CHECK(gate_status(r->g) >= 400 && gate_status(r->g) <= 505, "status %d", gate_status(r->g));
    CHECK(gate_reason(r->g)[0], "no reason");
    CHECK(gate_feed(r->g, "GET", 3) == 0, "bytes are taken behind a refusal");
    buf_printf(r->story, "%d %s at %zu", gate_status(r->g), gate_reason(r->g), r->at);
}

static void tell(enum split split, const uint8_t *data, size_t size, struct buf *story)
{
    struct run r = {.g = gate_new(MAX_BODY), .data = data, .size = size, .story = story};
    CHECK(r.g, "no memory");
    while (r.at < size && gate_state(r.g) != GATE_REFUSED) {
        if (split == OWN) feed(&r, 0);
        feed(&r, piece_of(&r, split));
    }
    if (gate_state(r.g) == GATE_REFUSED) tell_refusal(&r);
    gate_free(r.g);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf story[3];
    for (int split = WHOLE; split <= OWN; split++) {
        buf_init(&story[split], LARGEST_STORY);
        if (size > 0) tell((enum split)split, data, size, &story[split]);
        CHECK(!story[split].failed, "a long story");
        CHECK(story[split].size == story[0].size &&
                  !memcmp(buf_text(&story[split]), buf_text(&story[0]), story[0].size),
              "split %d: %s; in one piece: %s", split, buf_text(&story[split]),
              buf_text(&story[0]));
    }
    for (int split = WHOLE; split <= OWN; split++)
        buf_fini(&story[split]);
    return 0;
}
