#include "serve/responses_answer.h"

#include <stdio.h>
#include <string.h>

#include "serve/opaque.h"

enum { MAX_OPAQUE = 128 << 20 };

void responses_answer_fini(struct responses_answer *r)
{
    json_decref(r->output);
    r->output = NULL;
}

static bool streams(const struct responses_answer *r)
{
    return r->send != NULL;
}

/* Takes the fields of the event over. */
static void send_event(struct responses_answer *r, const char *name, json_t *fields)
{
    json_t *data = json_pack("{s:s, s:i}", "type", name, "sequence_number", r->sequence++);
    if (!fields || json_object_update(data, fields)) {
        json_decref(data);
        data = NULL;
    }
    json_decref(fields);
    r->send(r->ctx, name, data);
}

/* ---- the response ---- */

/* Takes error, incomplete and usage over, each of which may be NULL for null. */
static json_t *response_json(const struct responses_answer *r, const char *status, json_t *error,
                             json_t *incomplete, json_t *usage)
{
    json_t *out = json_pack("{s:s, s:s, s:I, s:s, s:o?, s:o?, s:s, s:o}", "id", r->id, "object",
                            "response", "created_at", (json_int_t)r->created, "status", status,
                            "error", error, "incomplete_details", incomplete, "model", r->model,
                            "output", r->output ? json_copy(r->output) : json_array());
    int n_bad = json_object_update(out, r->request->echo);
    n_bad += json_object_set_new(out, "usage", usage ? usage : json_null());
    if (!n_bad) return out;
    json_decref(out);
    return NULL;
}

void responses_answer_begin(struct responses_answer *r)
{
    static const char *const names[] = {"response.created", "response.in_progress"};
    if (r->begun) return;
    r->begun = true;
    r->output = json_array();
    for (int i = 0; i < 2 && streams(r); i++)
        send_event(
            r, names[i],
            json_pack("{s:o}", "response", response_json(r, "in_progress", NULL, NULL, NULL)));
}

/* ---- items ---- */

/* "msg_HEX_2": the response's id with the item's index. */
static void item_id(const struct responses_answer *r, char out[EXCHANGE_ID])
{
    const char *prefix = "msg", *hex = strchr(r->id, '_');
    if (r->open == PARSE_REASONING) prefix = "rs";
    if (r->open == PARSE_CALL) prefix = r->is_custom ? "ctc" : "fc";
    snprintf(out, EXCHANGE_ID, "%s%s_%d", prefix, hex ? hex : "", (int)json_array_size(r->output));
}

/* Sends an event of the open item. Takes its further fields over. */
static void send_of_item(struct responses_answer *r, const char *name, json_t *more)
{
    char id[EXCHANGE_ID];
    item_id(r, id);
    json_t *fields =
        json_pack("{s:s, s:i}", "item_id", id, "output_index", (int)json_array_size(r->output));
    if (json_object_update(fields, more)) {
        json_decref(fields);
        fields = NULL;
    }
    json_decref(more);
    send_event(r, name, fields);
}

/* Events of a part carry its index, which is always 0. */
static const char *index_name(const struct responses_answer *r)
{
    return r->open == PARSE_REASONING && r->request->summary ? "summary_index" : "content_index";
}

/* {"type": TYPE, "text": text}, for a message with what else its parts have. */
static json_t *part_json(const char *type, const char *text, size_t size)
{
    if (strcmp(type, "output_text") != 0)
        return json_pack("{s:s, s:s%}", "type", type, "text", text, size);
    return json_pack("{s:s, s:s%, s:[], s:[]}", "type", type, "text", text, size, "annotations",
                     "logprobs");
}

static const char *part_type(const struct responses_answer *r)
{
    if (r->open == PARSE_CONTENT) return "output_text";
    return r->request->summary ? "summary_text" : "reasoning_text";
}

static json_t *opaque_json(const char *text, size_t size)
{
    struct buf b;
    buf_init(&b, MAX_OPAQUE);
    opaque_make(&b, text, size);
    json_t *out = b.failed ? NULL : json_stringn(buf_text(&b), b.size);
    buf_fini(&b);
    return out;
}

/* The open item, text being its own. Until it is complete it has no parts. */
static json_t *text_item(const struct responses_answer *r, const char *status, const char *text,
                         size_t size, bool complete)
{
    char id[EXCHANGE_ID];
    json_t *none = json_array(), *parts = json_array();
    item_id(r, id);
    if (complete && json_array_append_new(parts, part_json(part_type(r), text, size))) {
        json_decref(parts);
        parts = NULL;
    }
    if (r->open == PARSE_CONTENT) {
        json_decref(none);
        return json_pack("{s:s, s:s, s:s, s:s, s:o}", "id", id, "type", "message", "status", status,
                         "role", "assistant", "content", parts);
    }
    bool summary = r->request->summary;
    json_t *item =
        json_pack("{s:s, s:s, s:s, s:o, s:o}", "id", id, "type", "reasoning", "status", status,
                  "summary", summary ? parts : none, "content", summary ? none : parts);
    if (complete && r->request->encrypted &&
        json_object_set_new(item, "encrypted_content", opaque_json(text, size))) {
        json_decref(item);
        return NULL;
    }
    return item;
}

/* What a custom tool is called with: the one text of its arguments, or these as they are when there is no
 * such text. */
static json_t *custom_input(const char *arguments, size_t size)
{
    json_t *object = json_loadb(arguments, size, JSON_ALLOW_NUL, NULL);
    json_t *input = json_object_get(object, "input");
    json_t *out = json_is_string(input) ? json_incref(input) : json_stringn(arguments, size);
    json_decref(object);
    return out;
}

/* text: the arguments, "" while they are not known. */
static json_t *call_item(const struct responses_answer *r, const struct chat_call *c,
                         const char *status, const char *text, size_t size)
{
    char id[EXCHANGE_ID];
    item_id(r, id);
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:o}", "id", id, "type",
                     r->is_custom ? "custom_tool_call" : "function_call", "status", status,
                     "call_id", c->id, "name", c->name, r->is_custom ? "input" : "arguments",
                     r->is_custom ? custom_input(text, size) : json_stringn(text, size));
}

/* Takes item over. */
static void send_item(struct responses_answer *r, const char *name, json_t *item)
{
    send_event(
        r, name,
        json_pack("{s:i, s:o}", "output_index", (int)json_array_size(r->output), "item", item));
}

/* ---- open and close ---- */

static void open_text(struct responses_answer *r, enum parse_kind kind, size_t from)
{
    r->is_open = true;
    r->open = kind;
    r->from = from;
    if (!streams(r)) return;
    send_item(r, "response.output_item.added", text_item(r, "in_progress", "", 0, false));
    if (kind == PARSE_REASONING && !r->request->summary) return;
    send_of_item(r,
                 kind == PARSE_CONTENT ? "response.content_part.added"
                                       : "response.reasoning_summary_part.added",
                 json_pack("{s:i, s:o}", index_name(r), 0, "part", part_json(part_type(r), "", 0)));
}

static void open_call(struct responses_answer *r, const struct chat_answer *a, int call)
{
    r->is_open = true;
    r->open = PARSE_CALL;
    r->call = call;
    r->is_custom = json_object_get(r->request->custom, a->calls[call].name) != NULL;
    if (streams(r))
        send_item(r, "response.output_item.added",
                  call_item(r, &a->calls[call], "in_progress", "", 0));
}

/* The names of the events of an item's text. */
static const char *text_event(const struct responses_answer *r, bool done)
{
    if (r->open == PARSE_CONTENT)
        return done ? "response.output_text.done" : "response.output_text.delta";
    if (r->request->summary)
        return done ? "response.reasoning_summary_text.done"
                    : "response.reasoning_summary_text.delta";
    return done ? "response.reasoning_text.done" : "response.reasoning_text.delta";
}

static void send_text(struct responses_answer *r, const char *text, size_t size, bool done)
{
    json_t *fields =
        json_pack("{s:i, s:s%}", index_name(r), 0, done ? "text" : "delta", text, size);
    if (r->open == PARSE_CONTENT) json_object_set_new(fields, "logprobs", json_array());
    send_of_item(r, text_event(r, done), fields);
}

static json_t *close_text(struct responses_answer *r, const struct chat_answer *a,
                          const char *status)
{
    const struct buf *b = r->open == PARSE_REASONING ? &a->reasoning : &a->content;
    const char *text = buf_text(b) + r->from;
    size_t size = b->size - r->from;
    if (streams(r)) {
        send_text(r, text, size, true);
        if (r->open == PARSE_CONTENT || r->request->summary)
            send_of_item(r,
                         r->open == PARSE_CONTENT ? "response.content_part.done"
                                                  : "response.reasoning_summary_part.done",
                         json_pack("{s:i, s:o}", index_name(r), 0, "part",
                                   part_json(part_type(r), text, size)));
    }
    return text_item(r, status, text, size, true);
}

static json_t *close_call(struct responses_answer *r, const struct chat_answer *a,
                          const char *status)
{
    const struct chat_call *c = &a->calls[r->call];
    json_t *item = call_item(r, c, status, buf_text(&c->arguments), c->arguments.size);
    if (streams(r) && r->is_custom) {
        json_t *input = json_object_get(item, "input");
        send_of_item(r, "response.custom_tool_call_input.delta",
                     json_pack("{s:O}", "delta", input));
        send_of_item(r, "response.custom_tool_call_input.done", json_pack("{s:O}", "input", input));
    } else if (streams(r)) {
        send_of_item(r, "response.function_call_arguments.done",
                     json_pack("{s:s, s:s%}", "name", c->name, "arguments", buf_text(&c->arguments),
                               c->arguments.size));
    }
    return item;
}

static void close_item(struct responses_answer *r, const struct chat_answer *a, const char *status)
{
    if (!r->is_open) return;
    json_t *item = r->open == PARSE_CALL ? close_call(r, a, status) : close_text(r, a, status);
    if (streams(r)) send_item(r, "response.output_item.done", json_incref(item));
    if (json_array_append_new(r->output, item)) r->failed = true;
    r->is_open = false;
    r->is_custom = false;
}

/* ---- events ---- */

static void add_text(struct responses_answer *r, const struct chat_answer *a,
                     const struct parse_event *e)
{
    const struct buf *b = e->kind == PARSE_REASONING ? &a->reasoning : &a->content;
    if (!r->is_open || r->open != e->kind) {
        close_item(r, a, "completed");
        open_text(r, e->kind, b->size - e->size);
    }
    if (streams(r)) send_text(r, e->text, e->size, false);
}

void responses_answer_event(struct responses_answer *r, const struct chat_answer *a,
                            const struct parse_event *e)
{
    responses_answer_begin(r);
    if (a->failed || r->failed) return;
    switch (e->kind) {
    case PARSE_REASONING:
    case PARSE_CONTENT:
        add_text(r, a, e);
        break;
    case PARSE_CALL:
        close_item(r, a, "completed");
        open_call(r, a, e->call);
        break;
    case PARSE_ARGUMENTS:
        if (streams(r) && !r->is_custom)
            send_of_item(r, "response.function_call_arguments.delta",
                         json_pack("{s:s%}", "delta", e->text, e->size));
        break;
    default:
        close_item(r, a, e->kind == PARSE_CALL_END ? "completed" : "incomplete");
    }
}

static json_t *usage_json(const struct choice_end *end)
{
    return json_pack("{s:i, s:{s:i}, s:i, s:{s:i}, s:i}", "input_tokens", end->n_prompt,
                     "input_tokens_details", "cached_tokens", end->n_reused, "output_tokens",
                     end->n_tokens, "output_tokens_details", "reasoning_tokens", end->n_reasoning,
                     "total_tokens", end->n_prompt + end->n_tokens);
}

json_t *responses_answer_end(struct responses_answer *r, const struct chat_answer *a,
                             const struct choice_end *end)
{
    bool cut = end->finish == FINISH_LENGTH;
    const char *status = cut ? "incomplete" : "completed";
    responses_answer_begin(r);
    close_item(r, a, status);
    json_t *response =
        r->failed || a->failed
            ? NULL
            : response_json(r, status, NULL,
                            cut ? json_pack("{s:s}", "reason", "max_output_tokens") : NULL,
                            usage_json(end));
    if (!streams(r)) return response;
    send_event(r, cut ? "response.incomplete" : "response.completed",
               json_pack("{s:o}", "response", response));
    return NULL;
}

void responses_answer_fail(struct responses_answer *r, const struct api_error *e)
{
    json_t *error =
        json_pack("{s:s, s:s}", "code", e->status == 429 ? "rate_limit_exceeded" : "server_error",
                  "message", e->message);
    responses_answer_begin(r);
    send_event(r, "response.failed",
               json_pack("{s:o}", "response", response_json(r, "failed", error, NULL, NULL)));
}
