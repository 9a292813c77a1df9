#include "text/parse.h"

#include <stdlib.h>
#include <string.h>

#include "text/parse_state.h"
#include "text/prompt_text.h"

/* Text that is still being looked at may exceed the cap a little. */
enum { DEFAULT_MAX = 16 << 20, SLACK = 1 << 16, MAX_BLANKS = 16 };

/* ---- making ---- */

struct parse_ids parse_ids_of(const struct tokenizer *t)
{
    return (struct parse_ids){.think = tokenizer_find(t, TOKEN_THINK),
                              .end_think = tokenizer_find(t, TOKEN_END_THINK),
                              .dsml = tokenizer_find(t, TOKEN_DSML),
                              .eos = tokenizer_find(t, TOKEN_EOS)};
}

const char *parse_finish_name(enum parse_finish f)
{
    static const char *const names[] = {"stop", "length", "tool_calls"};
    return names[f];
}

static void sync_result(struct parser *p)
{
    struct parse_result *r = &p->result;
    r->reasoning = buf_text(&p->reasoning);
    r->reasoning_size = p->reasoning.size;
    r->content = buf_text(&p->content);
    r->content_size = p->content.size;
    r->calls = p->calls;
    r->n_calls = p->n_calls;
}

static struct parser *new_parser(const struct parse_options *options)
{
    struct parser *p = calloc(1, sizeof *p);
    if (!p) return NULL;
    p->options = *options;
    if (p->options.max_bytes == 0) p->options.max_bytes = DEFAULT_MAX;
    p->state = options->thinking ? IN_REASONING : IN_CONTENT;
    struct buf *bufs[] = {&p->in,   &p->reasoning, &p->content, &p->pending,
                          &p->name, &p->arguments, &p->value};
    for (size_t i = 0; i < sizeof bufs / sizeof *bufs; i++)
        buf_init(bufs[i], 2 * p->options.max_bytes + SLACK);
    p->result.stop = -1;
    sync_result(p);
    return p;
}

int parse_new(struct parser **out, const struct parse_options *options,
              void (*emit)(void *ctx, const struct parse_event *e), void *ctx, struct err *err)
{
    *out = NULL;
    if (options->max_bytes > SIZE_MAX / 16)
        return err_set(err, ERR_ARGUMENT, "output parser: a cap of %zu bytes", options->max_bytes);
    struct parser *p = new_parser(options);
    if (!p) return err_set(err, ERR_LIMIT, "output parser: no memory");
    if (stops_init(&p->stops, options->stops, options->n_stops, err)) {
        parse_free(p);
        return -1;
    }
    p->emit = emit;
    p->ctx = ctx;
    *out = p;
    return 0;
}

static void free_string(const char *s)
{
    union {
        const char *in;
        char *out;
    } owned = {.in = s};
    free(owned.out);
}

void parse_free(struct parser *p)
{
    if (!p) return;
    json_decref(p->keys);
    for (int i = 0; i < p->n_calls; i++) {
        free_string(p->calls[i].name);
        free_string(p->calls[i].arguments);
    }
    free(p->calls);
    struct buf *bufs[] = {&p->in,   &p->reasoning, &p->content, &p->pending,
                          &p->name, &p->arguments, &p->value};
    for (size_t i = 0; i < sizeof bufs / sizeof *bufs; i++)
        buf_fini(bufs[i]);
    free(p);
}

const struct parse_result *parse_result(const struct parser *p)
{
    return &p->result;
}

/* ---- output ---- */

void parse_send(struct parser *p, enum parse_kind kind, int call, const char *text, size_t size)
{
    struct parse_event e = {.kind = kind, .call = call, .text = text, .size = size};
    if (p->emit && !p->failed) p->emit(p->ctx, &e);
}

void parse_spell(struct buf *out, const char *s, size_t size)
{
    size_t plain = 0;
    for (size_t i = 0; i < size; i++) {
        int c = (unsigned char)s[i];
        if (c < MARK_THINK) continue;
        buf_add(out, s + plain, i - plain);
        buf_add_str(out, c == MARK_DSML        ? TOKEN_DSML
                         : c == MARK_END_THINK ? TOKEN_END_THINK
                                               : TOKEN_THINK);
        plain = i + 1;
    }
    buf_add(out, s + plain, size - plain);
}

bool parse_keep(struct parser *p, size_t size)
{
    if (size > p->options.max_bytes - p->kept) p->failed = true;
    if (!p->failed) p->kept += size;
    return !p->failed;
}

/* What `out` holds from `from` on is new. */
static void send_text(struct parser *p, enum parse_kind kind, struct buf *out, size_t from)
{
    size_t size = out->size - from;
    if (out->failed) p->failed = true;
    if (size > 0 && parse_keep(p, size)) parse_send(p, kind, -1, buf_text(out) + from, size);
}

static void add_reasoning(struct parser *p, const char *s, size_t size)
{
    size_t from = p->reasoning.size;
    parse_spell(&p->reasoning, s, size);
    send_text(p, PARSE_REASONING, &p->reasoning, from);
}

/* The first n bytes that wait for a stop string are content. */
static void release_pending(struct parser *p, size_t n)
{
    size_t from = p->content.size;
    buf_add(&p->content, buf_text(&p->pending), n);
    send_text(p, PARSE_CONTENT, &p->content, from);
    if (n == 0) return;
    memmove(p->pending.data, p->pending.data + n, p->pending.size - n);
    p->pending.size -= n;
    p->pending.data[p->pending.size] = 0;
}

static void add_content(struct parser *p, const char *s, size_t size)
{
    int found;
    size_t from = p->pending.size;
    parse_spell(&p->pending, s, size);
    if (p->pending.failed) {
        p->failed = true;
        return;
    }
    size_t taken =
        stops_feed(&p->stops, buf_text(&p->pending) + from, p->pending.size - from, &found);
    if (found < 0) {
        release_pending(p, p->pending.size - stops_held(&p->stops));
        return;
    }
    release_pending(p, from + taken - (size_t)p->stops.list[found].size);
    buf_clear(&p->pending);
    p->result.stop = found;
    p->state = IN_END;
}

/* ---- reasoning and content ---- */

/* Where white space begins that goes away if a block of calls opens at `end`: blanks, and before
 * them up to two newlines. */
static size_t space_before(const struct parser *p, size_t end)
{
    const char *in = buf_text(&p->in);
    size_t start = end;
    while (start > p->at && end - start < MAX_BLANKS &&
           (in[start - 1] == ' ' || in[start - 1] == '\t'))
        start--;
    for (int n = 0; n < 2 && start > p->at && in[start - 1] == '\n'; n++)
        start--;
    return start;
}

/* The next thing in the text that is not text. */
struct found {
    size_t text_end; /* text is certain up to here */
    int mark;        /* a <think> or </think> there, or 0 */
    bool opens;      /* a block of calls opens; its tag ends at `end` */
    size_t end;
};

static struct found find_structure(const struct parser *p)
{
    const char *in = buf_text(&p->in);
    size_t size = p->in.size;
    for (size_t i = p->at; i < size; i++) {
        int c = (unsigned char)in[i];
        struct tag tag;
        if (c == MARK_THINK || c == MARK_END_THINK)
            return (struct found){.text_end = i, .mark = c, .end = i + 1};
        if (c != '<') continue;
        enum tag_match m = tag_match(&tag, in + i, size - i);
        if (m == TAG_YES && tag.kind == TAG_BLOCK && !tag.closes)
            return (struct found){
                .text_end = space_before(p, i), .opens = true, .end = i + tag.size};
        if (m == TAG_PARTIAL && !p->ended) return (struct found){.text_end = space_before(p, i)};
    }
    return (struct found){.text_end = p->ended ? size : space_before(p, size)};
}

static bool reasoning_step(struct parser *p)
{
    struct found f = find_structure(p);
    add_reasoning(p, buf_text(&p->in) + p->at, f.text_end - p->at);
    p->at = f.text_end;
    if (f.opens) {
        p->state = IN_HELD_BLOCK;
        p->block = f.text_end;
        p->scanned = f.end;
        p->block_closed = false;
        return true;
    }
    if (f.mark == MARK_END_THINK) p->state = IN_CONTENT;
    if (f.mark) p->at = f.end;
    return f.mark != 0;
}

static bool content_step(struct parser *p)
{
    struct found f = find_structure(p);
    add_content(p, buf_text(&p->in) + p->at, f.text_end - p->at);
    p->at = f.text_end;
    if (p->state == IN_END) return true;
    if (f.opens) {
        release_pending(p, p->pending.size);
        p->block = p->at;
        p->at = f.end;
        p->state = IN_CALLS;
        return true;
    }
    if (f.mark) p->at = f.end; /* a stray one: never back to reasoning */
    return f.mark != 0;
}

/* ---- a block inside reasoning ---- */

/* It was only reasoning, up to `end`. */
static void release_block(struct parser *p, size_t end)
{
    add_reasoning(p, buf_text(&p->in) + p->at, end - p->at);
    p->at = end;
    p->state = IN_REASONING;
}

/* Looks for a sign that the reasoning goes on: </think>, or text behind the block. */
static bool held_step(struct parser *p)
{
    for (; p->scanned < p->in.size; p->scanned++) {
        const char *s = buf_text(&p->in) + p->scanned;
        struct tag tag;
        int c = (unsigned char)*s;
        bool blank = c == ' ' || c == '\n' || c == '\t' || c == '\r';
        if (c == MARK_END_THINK || (p->block_closed && !blank)) {
            release_block(p, p->scanned);
            return true;
        }
        if (c != '<') continue;
        enum tag_match m = tag_match(&tag, s, p->in.size - p->scanned);
        if (m == TAG_PARTIAL && !p->ended) return false;
        if (m != TAG_YES) continue;
        if (tag.kind == TAG_BLOCK && tag.closes) p->block_closed = true;
        p->scanned += tag.size - 1;
    }
    return false;
}

/* Does what is held have a complete call? Parses it once without telling anybody. */
static bool block_has_call(const struct parser *p)
{
    struct parse_options options = p->options;
    options.thinking = false;
    struct parser *trial = new_parser(&options);
    if (!trial) return false;
    buf_add(&trial->in, buf_text(&p->in) + p->at, p->in.size - p->at);
    trial->ended = true;
    while (!trial->failed && trial->state != IN_END) {
        bool more = trial->state == IN_CONTENT ? content_step(trial) : parse_calls_step(trial);
        if (!more) break;
    }
    bool yes = !trial->failed && trial->n_calls > 0;
    parse_free(trial);
    return yes;
}

/* ---- the machine ---- */

static void run(struct parser *p)
{
    bool more = true;
    while (more && !p->failed && p->state != IN_END) {
        switch (p->state) {
        case IN_REASONING:
            more = reasoning_step(p);
            break;
        case IN_HELD_BLOCK:
            more = held_step(p);
            break;
        case IN_CONTENT:
            more = content_step(p);
            break;
        default:
            more = parse_calls_step(p);
            break;
        }
    }
    if (p->in.failed) p->failed = true;
}

/* Forgets what is dealt with, once that is most of it. */
static void compact(struct parser *p)
{
    size_t keep_from = p->at;
    if (p->state == IN_CALLS && p->n_opened == 0) keep_from = p->block;
    if (keep_from < 4096 || keep_from < p->in.size / 2) return;
    memmove(p->in.data, p->in.data + keep_from, p->in.size - keep_from);
    p->in.size -= keep_from;
    p->in.data[p->in.size] = 0;
    p->at -= keep_from;
    p->block = p->block > keep_from ? p->block - keep_from : 0;
    p->scanned = p->scanned > keep_from ? p->scanned - keep_from : 0;
}

static void set_finish(struct parser *p, enum parse_finish reason)
{
    p->state = IN_END;
    p->finished = true;
    p->result.finish = p->n_calls > 0 ? PARSE_TOOL_CALLS : reason;
}

static void finish(struct parser *p, enum parse_finish reason)
{
    p->ended = true;
    utf8_stream_end(&p->utf8, &p->in);
    run(p);
    if (p->state == IN_HELD_BLOCK && reason == PARSE_STOP && block_has_call(p)) {
        p->state = IN_CONTENT; /* the turn ends without </think>: the calls are calls */
        run(p);
    }
    if (p->state == IN_END)
        reason = PARSE_STOP; /* the last bytes were a stop string or an end tag */
    if (p->state == IN_HELD_BLOCK) release_block(p, p->in.size);
    if (p->state == IN_CONTENT) release_pending(p, p->pending.size);
    if (p->state == IN_CALLS && p->n_opened == 0) {
        /* A block that opened and held nothing: it was text. */
        size_t from = p->content.size;
        parse_spell(&p->content, buf_text(&p->in) + p->block, p->in.size - p->block);
        send_text(p, PARSE_CONTENT, &p->content, from);
    }
    if (p->state != IN_REASONING && p->state != IN_CONTENT) parse_calls_end(p);
    set_finish(p, reason);
}

/* After `in` grew. 1 when the output is complete. */
static int advance(struct parser *p, struct err *err)
{
    run(p);
    if (p->state == IN_END && !p->finished) set_finish(p, PARSE_STOP);
    compact(p);
    sync_result(p);
    if (p->failed)
        return err_set(err, ERR_LIMIT, "output of over %zu bytes or %d calls, or no memory for it",
                       p->options.max_bytes, PARSE_MAX_CALLS);
    return p->state == IN_END;
}

static void add_mark(struct parser *p, int mark)
{
    utf8_stream_end(&p->utf8, &p->in);
    buf_add_byte(&p->in, (char)mark);
}

int parse_end(struct parser *p, enum parse_finish reason, struct err *err)
{
    if (p->state != IN_END && !p->failed) finish(p, reason);
    return advance(p, err) < 0 ? -1 : 0;
}

int parse_token(struct parser *p, int32_t id, const char *bytes, size_t size, struct err *err)
{
    if (p->state == IN_END) return 1;
    p->result.n_tokens++;
    if (id >= 0 && id == p->options.ids.eos) {
        finish(p, PARSE_STOP);
        return advance(p, err);
    }
    if (p->state == IN_REASONING || p->state == IN_HELD_BLOCK) p->result.n_reasoning_tokens++;
    if (id >= 0 && id == p->options.ids.think)
        add_mark(p, MARK_THINK);
    else if (id >= 0 && id == p->options.ids.end_think)
        add_mark(p, MARK_END_THINK);
    else if (id >= 0 && id == p->options.ids.dsml)
        add_mark(p, MARK_DSML);
    else
        utf8_stream_add(&p->utf8, bytes, size, &p->in);
    return advance(p, err);
}

int parse_text(struct parser *p, const char *text, size_t size, struct err *err)
{
    static const struct {
        const char *text;
        int mark; /* 0: EOS */
    } spelled[] = {{TOKEN_THINK, MARK_THINK},
                   {TOKEN_END_THINK, MARK_END_THINK},
                   {TOKEN_DSML, MARK_DSML},
                   {TOKEN_EOS, 0}};
    for (size_t i = 0; i < size;) {
        size_t k = 0, n = 1;
        for (; k < 4; k++) {
            n = strlen(spelled[k].text);
            if (n <= size - i && memcmp(text + i, spelled[k].text, n) == 0) break;
        }
        if (k == 3) {
            if (p->state != IN_END) finish(p, PARSE_STOP);
            break;
        }
        if (k < 3)
            add_mark(p, spelled[k].mark);
        else
            utf8_stream_add(&p->utf8, text + i, n = 1, &p->in);
        i += n;
    }
    return advance(p, err);
}
