/* POST /responses: OpenAI's Responses API, without a store. */
#include <stdlib.h>

#include "serve/chat_job.h"
#include "serve/responses_answer.h"
#include "serve/responses_request.h"
#include "serve/server_state.h"

/* What a paced stream repeats of its request: three times, in cells. */
enum { MAX_PACED_ECHO = 80 << 10 };

struct responses {
    struct responses_request request;
    struct chat_request chat;
    struct chat_answer answer;
    struct responses_answer out;
};

static void send_to_client(void *x, const char *name, json_t *data)
{
    exchange_event(x, name, data);
}

static int prepare(struct exchange *x, json_t *body, struct api_error *e)
{
    struct responses *r = calloc(1, sizeof *r);
    if (!r) {
        json_decref(body);
        return api_refuse_memory(e);
    }
    x->request = r;
    if (responses_request_read(&r->request, body, e)) return -1;
    json_t *chat = r->request.chat;
    r->request.chat = NULL;
    if (chat_job_prepare(x, &r->chat, chat, e)) return -1;
    if (r->chat.stream && x->server->o.padding == PADDING_PACED &&
        responses_request_limit(&r->request, MAX_PACED_ECHO, e))
        return -1;
    chat_answer_init(&r->answer, x->job.generate.parse.thinking);
    r->out = (struct responses_answer){.send = r->chat.stream ? send_to_client : NULL,
                                       .ctx = x,
                                       .request = &r->request,
                                       .id = x->id,
                                       .model = x->server->o.model,
                                       .created = x->created};
    return 0;
}

static bool streams(const struct exchange *x)
{
    const struct responses *r = x->request;
    return r->chat.stream;
}

/* Some clients wait for an event, not a comment. */
static bool alive(struct exchange *x)
{
    struct responses *r = x->request;
    if (r->out.begun) return false;
    responses_answer_begin(&r->out);
    return true;
}

static void event(struct exchange *x, int choice, const struct parse_event *e)
{
    struct responses *r = x->request;
    (void)choice;
    if (!r->chat.parallel_tool_calls && e->call > 0) return; /* one call is wanted */
    chat_answer_add(&r->answer, e);
    responses_answer_event(&r->out, &r->answer, e);
}

static void complete(struct exchange *x)
{
    struct responses *r = x->request;
    json_t *body = NULL;
    if (r->answer.failed || r->out.failed) api_refuse_memory(&x->error);
    if (!x->error.status) body = responses_answer_end(&r->out, &r->answer, &x->ends[0]);
    if (!body && !streams(x)) api_refuse_memory(&x->error);
    if (x->error.status)
        exchange_fail(x, &x->error);
    else if (streams(x))
        exchange_end_stream(x, false);
    else
        exchange_reply(x, 200, body);
}

static void failed(struct exchange *x, const struct api_error *e)
{
    struct responses *r = x->request;
    responses_answer_fail(&r->out, e);
}

static void fini(struct exchange *x)
{
    struct responses *r = x->request;
    if (!r) return;
    responses_answer_fini(&r->out);
    chat_answer_fini(&r->answer);
    chat_request_fini(&r->chat);
    responses_request_fini(&r->request);
    free(r);
    x->request = NULL;
}

const struct api responses_api = {.id_prefix = "resp_",
                                  .dialect = API_OPENAI,
                                  .prepare = prepare,
                                  .streams = streams,
                                  .alive = alive,
                                  .failed = failed,
                                  .event = event,
                                  .complete = complete,
                                  .fini = fini};
