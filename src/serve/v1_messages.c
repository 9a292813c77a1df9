/* POST /v1/messages and /v1/messages/count_tokens: Anthropic's API. */
#include <stdlib.h>
#include <string.h>

#include "serve/chat_job.h"
#include "serve/messages_answer.h"
#include "serve/messages_request.h"
#include "serve/server_state.h"

struct messages {
    struct chat_request request;
    struct chat_answer answer;
    struct messages_stream stream;
};

static void send_event(void *x, const char *name, json_t *data)
{
    exchange_event(x, name, data);
}

/* The body as one of a chat request. Anthropic's own models mean the one that is here. */
static int read_body(const struct exchange *x, json_t **chat, json_t *body, bool counts,
                     struct api_error *e)
{
    if (messages_request_read(chat, body, counts, e)) return -1;
    const char *model = json_string_value(json_object_get(*chat, "model"));
    if (model && strncmp(model, "claude", 6) == 0 &&
        json_object_set_new(*chat, "model", json_string(x->server->o.model))) {
        json_decref(*chat);
        return api_refuse_memory(e);
    }
    return 0;
}

static struct messages *make(struct exchange *x, json_t *body, struct api_error *e)
{
    struct messages *m = calloc(1, sizeof *m);
    if (!m) {
        json_decref(body);
        api_refuse_memory(e);
    }
    x->request = m;
    return m;
}

static int prepare(struct exchange *x, json_t *body, struct api_error *e)
{
    json_t *chat;
    struct messages *m = make(x, body, e);
    if (!m || read_body(x, &chat, body, false, e) || chat_job_prepare(x, &m->request, chat, e))
        return -1;
    chat_answer_init(&m->answer, x->job.generate.parse.thinking);
    m->answer.call_prefix = "toolu_";
    m->stream = (struct messages_stream){
        .send = send_event, .ctx = x, .id = x->id, .model = x->server->o.model};
    return 0;
}

static bool streams(const struct exchange *x)
{
    const struct messages *m = x->request;
    return m->request.stream;
}

static bool alive(struct exchange *x)
{
    struct messages *m = x->request;
    if (m->stream.begun)
        messages_stream_ping(&m->stream);
    else
        messages_stream_begin(&m->stream, (int)x->prompt.n);
    return true;
}

static void event(struct exchange *x, int choice, const struct parse_event *e)
{
    struct messages *m = x->request;
    (void)choice;
    if (!m->request.parallel_tool_calls && e->call > 0) return; /* one call is wanted */
    chat_answer_add(&m->answer, e);
    if (streams(x)) messages_stream_event(&m->stream, &m->answer, e, (int)x->prompt.n);
}

static void complete(struct exchange *x)
{
    struct messages *m = x->request;
    const struct choice_end *end = &x->ends[0];
    const char *stop = end->stop >= 0 ? m->request.stops[end->stop] : NULL;
    if (!streams(x)) {
        json_t *body = messages_answer_json(&m->answer, x->id, x->server->o.model, end, stop);
        if (!body) api_refuse_memory(&x->error);
        if (body)
            exchange_reply(x, 200, body);
        else
            exchange_fail(x, &x->error);
        return;
    }
    if (m->answer.failed) api_refuse_memory(&x->error);
    if (!x->error.status) messages_stream_end(&m->stream, end, stop);
    if (x->error.status)
        exchange_fail(x, &x->error);
    else
        exchange_end_stream(x, false);
}

static void fini(struct exchange *x)
{
    struct messages *m = x->request;
    if (!m) return;
    chat_answer_fini(&m->answer);
    chat_request_fini(&m->request);
    free(m);
    x->request = NULL;
}

const struct api messages_api = {.id_prefix = "msg_",
                                 .dialect = API_ANTHROPIC,
                                 .prepare = prepare,
                                 .streams = streams,
                                 .alive = alive,
                                 .event = event,
                                 .complete = complete,
                                 .fini = fini};

/* ---- count_tokens: no more than the prompt is made ---- */

static int prepare_count(struct exchange *x, json_t *body, struct api_error *e)
{
    json_t *chat;
    struct messages *m = make(x, body, e);
    if (!m || read_body(x, &chat, body, true, e)) return -1;
    if (chat_job_encode(x, &m->request, chat, e)) return -1;
    buf_printf(&x->answer, "{\"input_tokens\":%zu}", x->prompt.n);
    x->answered = true;
    return x->answer.failed ? api_refuse_memory(e) : 0;
}

const struct api count_tokens_api = {.id_prefix = "count_",
                                     .dialect = API_ANTHROPIC,
                                     .prepare = prepare_count,
                                     .streams = streams,
                                     .fini = fini};
