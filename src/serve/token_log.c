#include "serve/token_log.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_NAME = 1 << 20 };

void token_log_fini(struct token_log *l)
{
    free(l->at);
    free(l->tops);
    *l = (struct token_log){0};
}

/* Room for `more` behind n elements of `size` bytes. */
static bool grow(void **list, int n, int *cap, int more, size_t size)
{
    if (*cap - n >= more) return true;
    int want = *cap ? 2 * *cap : 64;
    void *grown = realloc(*list, (size_t)want * size);
    if (!grown) return false;
    *list = grown;
    *cap = want;
    return true;
}

void token_log_add(struct token_log *l, int id, const struct pick *p, bool silent)
{
    void *at = l->at, *tops = l->tops;
    int n_top = p ? p->n_top : 0;
    bool ok = grow(&at, l->n, &l->cap, 1, sizeof *l->at);
    l->at = at;
    ok = ok && grow(&tops, l->n_tops, &l->cap_tops, n_top, sizeof *l->tops);
    l->tops = tops;
    if (!ok) {
        l->failed = true;
        return;
    }
    l->at[l->n++] = (struct logged){.id = id,
                                    .logprob = p ? p->logprob : 0,
                                    .top = l->n_tops,
                                    .n_top = n_top,
                                    .known = p != NULL,
                                    .silent = silent};
    if (n_top) memcpy(l->tops + l->n_tops, p->top, (size_t)n_top * sizeof *l->tops);
    l->n_tops += n_top;
}

void token_name(const struct tokenizer *t, int id, struct buf *out)
{
    size_t size;
    const char *piece = tokenizer_piece(t, id, &size);
    if (!piece) return;
    if (utf8_valid(piece, size)) {
        buf_add(out, piece, size);
        return;
    }
    buf_add_str(out, "bytes:");
    for (size_t i = 0; i < size; i++)
        buf_printf(out, "\\x%02x", (unsigned)(unsigned char)piece[i]);
}

json_t *token_log_json(void)
{
    return json_pack("{s:[], s:[], s:[], s:[]}", "tokens", "token_logprobs", "top_logprobs",
                     "text_offset");
}

/* Characters that begin in a token's bytes. */
static size_t chars_of(const struct tokenizer *t, int id)
{
    size_t size, n = 0;
    const char *piece = tokenizer_piece(t, id, &size);
    for (size_t i = 0; piece && i < size; i++)
        n += ((unsigned char)piece[i] & 0xc0) != 0x80;
    return n;
}

static json_t *name_json(const struct tokenizer *t, int id)
{
    struct buf name;
    buf_init(&name, MAX_NAME);
    token_name(t, id, &name);
    json_t *out = name.failed ? NULL : json_stringn(buf_text(&name), name.size);
    buf_fini(&name);
    return out;
}

/* The most likely tokens and, beside them, the one that stands there. */
static json_t *tops_json(const struct token_log *l, const struct logged *at,
                         const struct tokenizer *t)
{
    json_t *out = json_object();
    struct buf name;
    bool bad = !out;
    buf_init(&name, MAX_NAME);
    for (int i = 0; !bad && i <= at->n_top; i++) {
        bool is_own = i == at->n_top;
        int id = is_own ? at->id : l->tops[at->top + i].id;
        double logprob = (double)(is_own ? at->logprob : l->tops[at->top + i].logprob);
        buf_clear(&name);
        token_name(t, id, &name);
        bad = name.failed ||
              json_object_setn_new(out, buf_text(&name), name.size, json_real(logprob));
    }
    buf_fini(&name);
    if (!bad) return out;
    json_decref(out);
    return NULL;
}

bool token_log_write(const struct token_log *l, int from, const struct tokenizer *t, size_t *chars,
                     json_t *lists)
{
    json_t *tokens = json_object_get(lists, "tokens");
    json_t *logprobs = json_object_get(lists, "token_logprobs");
    json_t *tops = json_object_get(lists, "top_logprobs");
    json_t *offsets = json_object_get(lists, "text_offset");
    int n_bad = l->failed;
    for (int i = from; !n_bad && i < l->n; i++) {
        const struct logged *at = &l->at[i];
        n_bad = json_array_append_new(tokens, name_json(t, at->id)) ||
                json_array_append_new(logprobs,
                                      at->known ? json_real((double)at->logprob) : json_null()) ||
                json_array_append_new(tops, at->known ? tops_json(l, at, t) : json_null()) ||
                json_array_append_new(offsets, json_integer((json_int_t)*chars));
        if (!at->silent) *chars += chars_of(t, at->id);
    }
    return !n_bad;
}
