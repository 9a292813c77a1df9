#include "serve/messages_answer.h"

#include <string.h>

static const char *stop_reason(const struct choice_end *end, const char *stop)
{
    switch (end->finish) {
    case FINISH_LENGTH:
        return "max_tokens";
    case FINISH_TOOL_CALLS:
        return "tool_use";
    default:
        return stop ? "stop_sequence" : "end_turn";
    }
}

/* Its input_tokens leave out those that were at hand. */
static json_t *usage_json(int n_prompt, int n_reused, int n_tokens)
{
    return json_pack("{s:i, s:i, s:i, s:i}", "input_tokens", n_prompt - n_reused,
                     "cache_creation_input_tokens", 0, "cache_read_input_tokens", n_reused,
                     "output_tokens", n_tokens);
}

/* Takes content and usage over. */
static json_t *message_json(const char *id, const char *model, json_t *content, const char *reason,
                            const char *stop, json_t *usage)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:o, s:s?, s:s?, s:o}", "id", id, "type", "message",
                     "role", "assistant", "model", model, "content", content, "stop_reason", reason,
                     "stop_sequence", stop, "usage", usage);
}

/* ---- as a stream ---- */

/* Takes value over. */
static void send(struct messages_stream *s, const char *name, const char *field, json_t *value)
{
    s->send(s->ctx, name, json_pack("{s:s, s:o}", "type", name, field, value));
}

static void send_of_block(struct messages_stream *s, const char *name, const char *field,
                          json_t *value)
{
    s->send(s->ctx, name,
            json_pack("{s:s, s:i, s:o}", "type", name, "index", s->n_blocks - 1, field, value));
}

void messages_stream_ping(struct messages_stream *s)
{
    s->send(s->ctx, "ping", json_pack("{s:s}", "type", "ping"));
}

void messages_stream_begin(struct messages_stream *s, int n_prompt)
{
    if (s->begun) return;
    s->begun = true;
    send(s, "message_start", "message",
         message_json(s->id, s->model, json_array(), NULL, NULL, usage_json(n_prompt, 0, 0)));
    messages_stream_ping(s);
}

static void send_delta(struct messages_stream *s, const char *type, const char *field,
                       const char *text, size_t size)
{
    send_of_block(s, "content_block_delta", "delta",
                  json_pack("{s:s, s:s%}", "type", type, field, text, size));
}

static void close_block(struct messages_stream *s)
{
    if (!s->is_open) return;
    if (s->open == PARSE_REASONING)
        send_delta(s, "signature_delta", "signature", s->id, strlen(s->id));
    s->send(s->ctx, "content_block_stop",
            json_pack("{s:s, s:i}", "type", "content_block_stop", "index", s->n_blocks - 1));
    s->is_open = false;
}

/* Takes block over. */
static void open_block(struct messages_stream *s, enum parse_kind kind, json_t *block)
{
    close_block(s);
    s->is_open = true;
    s->open = kind;
    s->n_blocks++;
    send_of_block(s, "content_block_start", "content_block", block);
}

static bool is_in(const struct messages_stream *s, enum parse_kind kind)
{
    return s->is_open && s->open == kind;
}

static void tell_event(struct messages_stream *s, const struct chat_answer *a,
                       const struct parse_event *e)
{
    switch (e->kind) {
    case PARSE_REASONING:
        if (!is_in(s, e->kind))
            open_block(
                s, e->kind,
                json_pack("{s:s, s:s, s:s}", "type", "thinking", "thinking", "", "signature", ""));
        send_delta(s, "thinking_delta", "thinking", e->text, e->size);
        break;
    case PARSE_CONTENT:
        if (!is_in(s, e->kind))
            open_block(s, e->kind, json_pack("{s:s, s:s}", "type", "text", "text", ""));
        send_delta(s, "text_delta", "text", e->text, e->size);
        break;
    case PARSE_CALL:
        if (e->call < a->n_calls)
            open_block(s, e->kind,
                       json_pack("{s:s, s:s, s:s, s:{}}", "type", "tool_use", "id",
                                 a->calls[e->call].id, "name", e->text, "input"));
        break;
    case PARSE_ARGUMENTS:
        if (is_in(s, PARSE_CALL))
            send_delta(s, "input_json_delta", "partial_json", e->text, e->size);
        break;
    default:
        close_block(s);
    }
}

void messages_stream_event(struct messages_stream *s, const struct chat_answer *a,
                           const struct parse_event *e, int n_prompt)
{
    messages_stream_begin(s, n_prompt);
    tell_event(s, a, e);
}

void messages_stream_end(struct messages_stream *s, const struct choice_end *end, const char *stop)
{
    messages_stream_begin(s, end->n_prompt);
    close_block(s);
    s->send(s->ctx, "message_delta",
            json_pack("{s:s, s:{s:s, s:s?}, s:o}", "type", "message_delta", "delta", "stop_reason",
                      stop_reason(end, stop), "stop_sequence", stop, "usage",
                      usage_json(end->n_prompt, end->n_reused, end->n_tokens)));
    s->send(s->ctx, "message_stop", json_pack("{s:s}", "type", "message_stop"));
}

/* ---- as a whole ---- */

/* The arguments of a call as an object. */
static json_t *input_of(const struct chat_call *c)
{
    json_t *input = json_loadb(buf_text(&c->arguments), c->arguments.size, JSON_ALLOW_NUL, NULL);
    if (input) return input;
    /* It is JSON that jansson does not read: a NUL in a name. */
    return json_pack("{s:s%}", "arguments", buf_text(&c->arguments), c->arguments.size);
}

json_t *messages_answer_json(const struct chat_answer *a, const char *id, const char *model,
                             const struct choice_end *end, const char *stop)
{
    json_t *content = json_array();
    int n_bad = a->failed;
    if (a->reasoning.size)
        n_bad += json_array_append_new(content, json_pack("{s:s, s:s%, s:s}", "type", "thinking",
                                                          "thinking", buf_text(&a->reasoning),
                                                          a->reasoning.size, "signature", id));
    if (a->content.size)
        n_bad += json_array_append_new(content, json_pack("{s:s, s:s%}", "type", "text", "text",
                                                          buf_text(&a->content), a->content.size));
    for (int i = 0; i < a->n_calls; i++) {
        const struct chat_call *c = &a->calls[i];
        if (!c->complete) continue;
        n_bad += json_array_append_new(content,
                                       json_pack("{s:s, s:s, s:s, s:o}", "type", "tool_use", "id",
                                                 c->id, "name", c->name, "input", input_of(c)));
    }
    json_t *message = message_json(id, model, content, stop_reason(end, stop), stop,
                                   usage_json(end->n_prompt, end->n_reused, end->n_tokens));
    if (!n_bad) return message;
    json_decref(message);
    return NULL;
}
