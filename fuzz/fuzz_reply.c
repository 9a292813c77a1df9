/* What the load tool reads of a server: HTTP replies, the events in them, the answers in those. The same bytes give
 * the same outcome in one piece, byte by byte and in pieces that the bytes themselves choose. */
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "measure/chat_stream.h"
#include "measure/events.h"
#include "measure/reply.h"

enum { LARGEST_STORY = 64 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* How the input is cut. */
enum split { WHOLE, BYTES, OWN };

/* One reading of the input. */
struct run {
    struct reply *reply;
    struct events events;
    struct chat_stream chat;
    const uint8_t *data;
    size_t size, at;
    size_t content; /* bytes of the reply's content so far */
    struct buf *story;
};

static void on_event(void *ctx, const char *data, size_t size)
{
    struct run *r = ctx;
    CHECK(data[size] == 0 && size <= r->size, "an event of %zu bytes", size);
    bool text = chat_stream_take(&r->chat, data, size);
    buf_printf(r->story, "event %zu %d;", size, text);
}

static void on_content(void *ctx, const char *bytes, size_t size)
{
    struct run *r = ctx;
    CHECK(size > 0 && size <= r->size, "content of %zu bytes", size);
    CHECK(reply_state(r->reply) == REPLY_BODY, "content of no body");
    r->content += size;
    CHECK(r->content <= r->size, "more content than bytes");
    events_feed(&r->events, bytes, size);
}

static void begin(struct run *r)
{
    r->content = 0;
    events_init(&r->events, on_event, r);
    chat_stream_init(&r->chat, true);
}

static void end(struct run *r)
{
    const struct chat_stream *c = &r->chat;
    buf_printf(r->story, "%ld %ld %ld %d %d%d%d%d ", c->prompt_tokens, c->cached_tokens,
               c->answer_tokens, c->n_texts, c->finished, c->done, c->failed, c->malformed);
    buf_add(r->story, buf_text(&c->text), c->text.size);
    events_fini(&r->events);
    chat_stream_fini(&r->chat);
}

static void tell_reply(struct run *r)
{
    const char *type = reply_header(r->reply, "content-type");
    CHECK(reply_status(r->reply) >= 200 && reply_status(r->reply) <= 599, "status %d",
          reply_status(r->reply));
    buf_printf(r->story, "%d %d %zu %s;", reply_status(r->reply), reply_keeps(r->reply), r->content,
               type ? type : "");
    end(r);
    reply_free(r->reply);
    r->reply = reply_new(on_content, r);
    begin(r);
}

static size_t piece_of(const struct run *r, enum split split)
{
    size_t left = r->size - r->at;
    size_t n = left;
    if (split == BYTES) n = 1;
    if (split == OWN) n = 1 + r->data[(r->at * 7 + r->size) % r->size] % 24;
    return n < left ? n : left;
}

static void feed(struct run *r, size_t n)
{
    size_t stop = r->at + n;
    while (r->at < stop && reply_state(r->reply) != REPLY_BAD) {
        size_t used = reply_feed(r->reply, (const char *)r->data + r->at, stop - r->at);
        CHECK(used > 0 && used <= stop - r->at, "%zu bytes of %zu taken", used, stop - r->at);
        r->at += used;
        if (reply_state(r->reply) == REPLY_DONE) tell_reply(r);
    }
}

static void tell(enum split split, const uint8_t *data, size_t size, struct buf *story)
{
    struct run r = {.data = data, .size = size, .story = story};
    r.reply = reply_new(on_content, &r);
    begin(&r);
    while (r.at < size && reply_state(r.reply) != REPLY_BAD)
        feed(&r, piece_of(&r, split));
    if (reply_state(r.reply) != REPLY_BAD) reply_close(r.reply);
    if (reply_state(r.reply) == REPLY_DONE) tell_reply(&r);
    if (reply_state(r.reply) == REPLY_BAD)
        buf_printf(story, "%s at %zu;", reply_reason(r.reply), r.at);
    end(&r);
    reply_free(r.reply);
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
