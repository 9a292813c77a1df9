#include "serve/pace.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "serve/server_state.h"

enum { MAX_EVENTS = 64 << 20 };

/* What waits of one choice. */
struct line {
    struct message *head, *tail;
    size_t used; /* bytes of the head's text that have gone */
};

struct pace {
    struct line lines[EXCHANGE_MAX_CHOICES];
    int turn; /* the choice that is next */
    int n_ends;
    size_t waiting;        /* bytes of messages */
    bool is_full;          /* one did not go in */
    struct message *given; /* by pace_next, to be freed */
    struct message *text;  /* room for one of PACE_TEXT bytes */
    struct buf events;     /* whole cells */
    size_t sent, last;     /* bytes of events: that have gone; where the last one begins */
    int64_t n_cells;       /* sent */
    struct buf filler;     /* a cell */
    bool ending, in_a_hurry;
};

struct pace *pace_new(void)
{
    struct pace *p = calloc(1, sizeof *p);
    if (!p) return NULL;
    p->text = calloc(1, sizeof *p->text + PACE_TEXT + 1);
    buf_init(&p->events, MAX_EVENTS);
    buf_init(&p->filler, PADDING_CELL);
    padding_comment(&p->filler, PADDING_CELL);
    if (p->text && !p->filler.failed) return p;
    pace_free(p);
    return NULL;
}

static void free_message(struct message *m)
{
    if (m && m->kind != MESSAGE_ENDED) free(m);
}

void pace_free(struct pace *p)
{
    struct message *m;
    if (!p) return;
    while ((m = pace_take(p)))
        free_message(m);
    free_message(p->given);
    free(p->text);
    buf_fini(&p->events);
    buf_fini(&p->filler);
    free(p);
}

/* ---- messages ---- */

static bool is_text(const struct message *m)
{
    return m->kind == MESSAGE_EVENT &&
           (m->event.kind == PARSE_REASONING || m->event.kind == PARSE_CONTENT ||
            m->event.kind == PARSE_ARGUMENTS);
}

static size_t bytes_of(const struct message *m)
{
    return m->kind == MESSAGE_ENDED ? 0 : sizeof *m + m->event.size;
}

bool pace_put(struct pace *p, struct message *m)
{
    struct line *l = &p->lines[m->choice];
    size_t size = bytes_of(m);
    p->is_full |= size > PACE_MAX_WAITING - p->waiting;
    if (p->is_full && m->kind != MESSAGE_ENDED) return false;
    p->waiting += size;
    p->n_ends += m->kind == MESSAGE_ENDED;
    m->item.next = NULL;
    if (l->tail)
        l->tail->item.next = &m->item;
    else
        l->head = m;
    l->tail = m;
    return true;
}

int pace_n_ends(const struct pace *p)
{
    return p->n_ends;
}

static struct message *take_head(struct pace *p, struct line *l)
{
    struct message *m = l->head;
    l->head = (struct message *)(void *)m->item.next; /* the item is first */
    if (!l->head) l->tail = NULL;
    l->used = 0;
    p->waiting -= bytes_of(m);
    p->n_ends -= m->kind == MESSAGE_ENDED;
    return m;
}

/* The line whose turn it is, or NULL: nothing waits. */
static struct line *next_line(struct pace *p)
{
    for (int i = 0; i < EXCHANGE_MAX_CHOICES; i++) {
        struct line *l = &p->lines[(p->turn + i) % EXCHANGE_MAX_CHOICES];
        if (!l->head) continue;
        p->turn = (p->turn + i) % EXCHANGE_MAX_CHOICES;
        return l;
    }
    return NULL;
}

struct message *pace_take(struct pace *p)
{
    struct line *l = next_line(p);
    return l ? take_head(p, l) : NULL;
}

/* ---- texts ---- */

/* Bytes that the character takes in a text of JSON. */
static size_t cost_of(unsigned char c, size_t size)
{
    if (c && strchr("\"\\\b\f\n\r\t", c)) return 2;
    return c < 0x20 ? 6 : size;
}

static size_t length_of(unsigned char first)
{
    if (first < 0x80) return 1;
    return first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

/* How many bytes of a text go into the room that is left, which gets smaller. */
static size_t fit(const char *text, size_t size, size_t *room)
{
    size_t at = 0;
    while (at < size) {
        unsigned char first = (unsigned char)text[at];
        size_t n = length_of(first), cost = cost_of(first, n);
        if (n > size - at) n = size - at;
        if (cost > *room) break;
        *room -= cost;
        at += n;
    }
    return at;
}

static struct message *take_text(struct pace *p, struct line *l)
{
    struct message *out = p->text;
    char *text = (char *)(out + 1);
    size_t room = PACE_TEXT;
    *out = *l->head;
    out->event.size = 0;
    while (l->head && is_text(l->head) && l->head->event.kind == out->event.kind &&
           l->head->event.call == out->event.call) {
        const char *rest = (const char *)(l->head + 1) + l->used;
        size_t left = l->head->event.size - l->used, n = fit(rest, left, &room);
        memcpy(text + out->event.size, rest, n);
        out->event.size += n;
        l->used += n;
        if (n < left) break;
        free(take_head(p, l));
    }
    text[out->event.size] = 0;
    return out;
}

struct message *pace_next(struct pace *p)
{
    struct line *l = next_line(p);
    free_message(p->given);
    p->given = NULL;
    if (!l) return NULL;
    if (is_text(l->head)) {
        p->turn = (p->turn + 1) % EXCHANGE_MAX_CHOICES;
        return take_text(p, l);
    }
    p->given = take_head(p, l);
    return p->given;
}

/* ---- cells ---- */

/* Whether what was added behind `last` is there wholly; if not it goes, and there is room for less. */
static bool keep_added(struct pace *p, size_t last)
{
    if (p->events.failed) {
        p->events.failed = false;
        p->events.size = last;
        return false;
    }
    p->last = last;
    return true;
}

bool pace_event(struct pace *p, const char *name, const char *json, size_t size)
{
    CHECK(!p->ending, "an event behind the last one");
    if (!pace_has_cell(p)) {
        buf_clear(&p->events);
        p->sent = 0;
    }
    size_t last = p->events.size;
    padding_event(&p->events, name, json, size, PADDING_CELL);
    return keep_added(p, last);
}

void pace_end(struct pace *p, bool done_mark)
{
    size_t last = p->events.size;
    p->ending = true;
    if (!done_mark) return;
    padding_done(&p->events, PADDING_CELL);
    (void)keep_added(p, last);
}

bool pace_has_cell(const struct pace *p)
{
    return p->sent < p->events.size;
}

static bool fills_class(int64_t n)
{
    return n > 0 && padding_class(n) == n;
}

const char *pace_cell(struct pace *p)
{
    int64_t left = (int64_t)(p->events.size - p->sent) / PADDING_CELL;
    bool is_held =
        p->ending && !p->in_a_hurry && p->sent == p->last && !fills_class(p->n_cells + left);
    p->n_cells++;
    if (!left || is_held) return p->filler.data;
    const char *cell = p->events.data + p->sent;
    p->sent += PADDING_CELL;
    return cell;
}

bool pace_is_over(const struct pace *p)
{
    return p->ending && !pace_has_cell(p) && (p->in_a_hurry || fills_class(p->n_cells));
}

void pace_hurry(struct pace *p)
{
    p->in_a_hurry = true;
}
