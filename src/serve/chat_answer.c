#include "serve/chat_answer.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "serve/server_state.h"
#include "text/utf8.h"

enum { MAX_TEXT = 64 << 20 };

void chat_answer_init(struct chat_answer *a, bool thinking)
{
    *a = (struct chat_answer){
        .thinking = thinking, .call_prefix = "call_", .in_reasoning = thinking};
    buf_init(&a->reasoning, MAX_TEXT);
    buf_init(&a->content, MAX_TEXT);
}

void chat_answer_fini(struct chat_answer *a)
{
    buf_fini(&a->reasoning);
    buf_fini(&a->content);
    for (int i = 0; i < a->n_calls; i++) {
        free(a->calls[i].name);
        buf_fini(&a->calls[i].arguments);
    }
    free(a->calls);
    json_decref(a->content_picks);
    json_decref(a->reasoning_picks);
    *a = (struct chat_answer){0};
}

static void open_call(struct chat_answer *a, const struct parse_event *e)
{
    if (a->n_calls == a->cap) {
        int cap = a->cap ? 2 * a->cap : 4;
        struct chat_call *grown = realloc(a->calls, (size_t)cap * sizeof *grown);
        if (!grown) {
            a->failed = true;
            return;
        }
        a->calls = grown;
        a->cap = cap;
    }
    struct chat_call *c = &a->calls[a->n_calls++];
    *c = (struct chat_call){.name = strdup(e->text)};
    a->failed |= !c->name;
    random_id(c->id, a->call_prefix);
    buf_init(&c->arguments, MAX_TEXT);
}

void chat_answer_add(struct chat_answer *a, const struct parse_event *e)
{
    struct chat_call *call = e->call >= 0 && e->call < a->n_calls ? &a->calls[e->call] : NULL;
    switch (e->kind) {
    case PARSE_REASONING:
        buf_add(&a->reasoning, e->text, e->size);
        a->failed |= a->reasoning.failed;
        break;
    case PARSE_CONTENT:
        buf_add(&a->content, e->text, e->size);
        a->failed |= a->content.failed;
        break;
    case PARSE_CALL:
        open_call(a, e);
        break;
    case PARSE_ARGUMENTS:
        if (call) buf_add(&call->arguments, e->text, e->size);
        a->failed |= call && call->arguments.failed;
        break;
    case PARSE_CALL_END:
        if (call) call->complete = true;
        break;
    default:
        break;
    }
}

static json_t *call_delta(const struct chat_answer *a, const struct parse_event *e)
{
    if (e->call >= a->n_calls) return NULL;
    if (e->kind == PARSE_ARGUMENTS)
        return json_pack("{s:[{s:i, s:{s:s%}}]}", "tool_calls", "index", e->call, "function",
                         "arguments", e->text, e->size);
    return json_pack("{s:[{s:i, s:s, s:s, s:{s:s, s:s}}]}", "tool_calls", "index", e->call, "id",
                     a->calls[e->call].id, "type", "function", "function", "name", e->text,
                     "arguments", "");
}

json_t *chat_answer_delta(const struct chat_answer *a, const struct parse_event *e)
{
    switch (e->kind) {
    case PARSE_REASONING:
        return json_pack("{s:n, s:s%}", "content", "reasoning_content", e->text, e->size);
    case PARSE_CONTENT:
        return a->thinking
                   ? json_pack("{s:s%, s:n}", "content", e->text, e->size, "reasoning_content")
                   : json_pack("{s:s%}", "content", e->text, e->size);
    case PARSE_CALL:
    case PARSE_ARGUMENTS:
        return call_delta(a, e);
    default:
        return NULL;
    }
}

json_t *chat_answer_message(const struct chat_answer *a)
{
    json_t *calls = json_array();
    json_t *message = json_pack("{s:s, s:s%}", "role", "assistant", "content",
                                buf_text(&a->content), a->content.size);
    if (a->failed || !message) {
        json_decref(calls);
        json_decref(message);
        return NULL;
    }
    if (a->thinking)
        json_object_set_new(message, "reasoning_content",
                            json_stringn(buf_text(&a->reasoning), a->reasoning.size));
    for (int i = 0; i < a->n_calls; i++) {
        const struct chat_call *c = &a->calls[i];
        if (!c->complete) continue;
        json_array_append_new(calls, json_pack("{s:i, s:s, s:s, s:{s:s, s:s%}}", "index",
                                               (int)json_array_size(calls), "id", c->id, "type",
                                               "function", "function", "name", c->name, "arguments",
                                               buf_text(&c->arguments), c->arguments.size));
    }
    if (json_array_size(calls)) json_object_set(message, "tool_calls", calls);
    json_decref(calls);
    return message;
}

/* {"token", "logprob", "bytes"}: bytes that are no whole character read as U+FFFD in the text. */
static json_t *token_json(const struct tokenizer *t, int id, float logprob)
{
    size_t size;
    const char *piece = tokenizer_piece(t, id, &size);
    struct buf text;
    json_t *bytes = json_array();
    buf_init(&text, MAX_TEXT);
    if (tokenizer_decode(t, &id, 1, false, &text, NULL)) buf_clear(&text);
    for (size_t i = 0; piece && i < size; i++)
        json_array_append_new(bytes, json_integer((unsigned char)piece[i]));
    json_t *out = json_pack("{s:s%, s:f, s:o}", "token", buf_text(&text), text.size, "logprob",
                            (double)logprob, "bytes", bytes);
    buf_fini(&text);
    return out;
}

static json_t *pick_json(const struct tokenizer *t, const struct pick *p)
{
    json_t *out = token_json(t, p->id, p->logprob), *top = json_array();
    for (int i = 0; i < p->n_top; i++)
        json_array_append_new(top, token_json(t, p->top[i].id, p->top[i].logprob));
    json_object_set_new(out, "top_logprobs", top);
    return out;
}

void chat_answer_pick(struct chat_answer *a, const struct tokenizer *t, const struct parse_ids *ids,
                      const struct pick *p)
{
    json_t **list = a->in_reasoning ? &a->reasoning_picks : &a->content_picks;
    if (p->id == ids->eos) return;
    if (!*list) *list = json_array();
    if (json_array_append_new(*list, pick_json(t, p))) a->failed = true;
    if (p->id == ids->end_think) a->in_reasoning = false;
}

json_t *chat_answer_logprobs(struct chat_answer *a)
{
    json_t *content = a->content_picks, *reasoning = a->reasoning_picks;
    if (!content && !reasoning) return json_null();
    a->content_picks = a->reasoning_picks = NULL;
    return json_pack("{s:o, s:o}", "content", content ? content : json_array(), "reasoning_content",
                     reasoning ? reasoning : json_array());
}
