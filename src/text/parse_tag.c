#include "text/parse_tag.h"

#include <string.h>

/* Longer ones are no tags; bounds what waits for a closing bracket. */
enum { MAX_TAG = 4096, MAX_WORD = 16 };

struct cursor {
    const char *s;
    size_t size, at;
};

static int peek(const struct cursor *c)
{
    return c->at < c->size ? (unsigned char)c->s[c->at] : -1;
}

static void skip_space(struct cursor *c)
{
    while (peek(c) == ' ' || peek(c) == '\n' || peek(c) == '\t' || peek(c) == '\r')
        c->at++;
}

static size_t skip_word(struct cursor *c)
{
    size_t start = c->at;
    while ((peek(c) >= 'a' && peek(c) <= 'z') || peek(c) == '_')
        c->at++;
    return c->at - start;
}

/* The text ended inside the tag: more may come, unless it is too long by now. */
static enum tag_match at_end(const struct cursor *c)
{
    return c->size == MAX_TAG ? TAG_NO : TAG_PARTIAL;
}

static bool is_text(const char *s, size_t size, const char *text)
{
    return size == strlen(text) && memcmp(s, text, size) == 0;
}

static enum tag_kind kind_of(const char *word, size_t size)
{
    /* tool_calls: V4; function_calls: V3.2; calls: V4.1 */
    if (is_text(word, size, "tool_calls") || is_text(word, size, "function_calls") ||
        is_text(word, size, "calls"))
        return TAG_BLOCK;
    if (is_text(word, size, "invoke")) return TAG_INVOKE;
    if (is_text(word, size, "parameter")) return TAG_PARAMETER;
    return TAG_OTHER;
}

/* attr="value"; the value ends at the next quote, for nothing is escaped. */
static enum tag_match read_attribute(struct tag *tag, struct cursor *c)
{
    const char *key = c->s + c->at;
    size_t key_size = skip_word(c);
    if (peek(c) < 0) return at_end(c);
    if (key_size == 0 || peek(c) != '=') return TAG_NO;
    c->at++;
    if (peek(c) < 0) return at_end(c);
    if (peek(c) != '"') return TAG_NO;
    const char *value = c->s + ++c->at;
    while (peek(c) >= 0 && peek(c) != '"') {
        if (peek(c) >= MARK_THINK) return TAG_NO;
        c->at++;
    }
    if (peek(c) < 0) return at_end(c);
    size_t size = (size_t)(c->s + c->at - value);
    c->at++;
    if (is_text(key, key_size, "name")) {
        tag->name = value;
        tag->name_size = size;
    } else if (is_text(key, key_size, "string")) {
        tag->string = is_text(value, size, "true") ? 1 : is_text(value, size, "false") ? 0 : -1;
    }
    return TAG_YES;
}

enum tag_match tag_match(struct tag *tag, const char *s, size_t size)
{
    struct cursor c = {s, size < MAX_TAG ? size : MAX_TAG, 1};
    *tag = (struct tag){.string = -1};
    if (s[0] != '<') return TAG_NO;
    if (peek(&c) == '/') {
        tag->closes = true;
        c.at++;
    }
    if (peek(&c) < 0) return TAG_PARTIAL;
    if (peek(&c) != MARK_DSML) return TAG_NO;
    c.at++;
    if (peek(&c) == ' ') c.at++;
    const char *word = s + c.at;
    size_t word_size = skip_word(&c);
    if (peek(&c) < 0) return word_size > MAX_WORD ? TAG_NO : TAG_PARTIAL;
    if (word_size == 0 || word_size > MAX_WORD) return TAG_NO;
    tag->kind = kind_of(word, word_size);
    for (;;) {
        skip_space(&c);
        if (peek(&c) < 0) return at_end(&c);
        if (peek(&c) == '>') break;
        enum tag_match m = read_attribute(tag, &c);
        if (m != TAG_YES) return m;
    }
    tag->size = c.at + 1;
    return TAG_YES;
}
