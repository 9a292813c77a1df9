#include "measure/events.h"

#include <string.h>

void events_init(struct events *e, void (*event)(void *ctx, const char *data, size_t size),
                 void *ctx)
{
    *e = (struct events){.event = event, .ctx = ctx};
    buf_init(&e->line, EVENTS_MAX);
    buf_init(&e->data, EVENTS_MAX);
}

void events_fini(struct events *e)
{
    buf_fini(&e->line);
    buf_fini(&e->data);
}

void events_reset(struct events *e)
{
    void (*event)(void *ctx, const char *data, size_t size) = e->event;
    void *ctx = e->ctx;
    events_fini(e);
    events_init(e, event, ctx);
}

static void end_event(struct events *e)
{
    if (e->has_data) e->event(e->ctx, buf_text(&e->data), e->data.size);
    e->has_data = false;
    buf_clear(&e->data);
}

static void end_line(struct events *e)
{
    static const char name[] = "data:";
    const char *s = buf_text(&e->line);
    size_t n = e->line.size;
    if (n > 0 && s[n - 1] == '\r') n--;
    if (n == 0) {
        end_event(e);
    } else if (n >= sizeof name - 1 && !memcmp(s, name, sizeof name - 1)) {
        s += sizeof name - 1;
        n -= sizeof name - 1;
        bool blank = n > 0 && *s == ' ';
        if (e->has_data) buf_add_byte(&e->data, '\n');
        buf_add(&e->data, s + blank, n - blank);
        e->has_data = true;
    }
    buf_clear(&e->line);
}

void events_feed(struct events *e, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size && !e->failed;) {
        const char *lf = memchr(bytes + i, '\n', size - i);
        size_t n = lf ? (size_t)(lf - bytes) - i : size - i;
        buf_add(&e->line, bytes + i, n);
        if (lf && !e->line.failed) end_line(e);
        i += n + (lf != NULL);
        e->failed = e->line.failed || e->data.failed;
    }
}
