#include "measure/load.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "measure/load_client.h"

static const double PAUSE_SECONDS = 0.1; /* of a client whose request got no answer */
static const double LOOK_SECONDS =
    3600;                 /* the longest wait for an arrival that is looked at at once */
enum { TICK_US = 20000 }; /* between looks at *stop */

/* A client and the conversation it leads. */
struct talker {
    struct load *load;
    struct load_client *client;
    uint64_t conversation;
    int turn;
    json_t *messages;
};

struct load {
    const struct load_options *o;
    const atomic_bool *stop;
    struct load_result *result;
    struct load_target target;
    struct event_base *base;
    struct event *tick, *arrival;
    struct talker *talkers;
    struct talker **idle; /* a stack */
    int n_idle;
    double start;
    /* Conversations arrive and begin in their order. */
    uint64_t n_arrived, n_begun;
    double next_arrival, next_planned; /* the clock's times: of n_arrived, and of n_begun */
};

static void begin_waiting(struct load *l);

/* ---- requests ---- */

static bool may_begin(const struct load *l, uint64_t conversation, int turn)
{
    const struct load_options *o = l->o;
    uint64_t ordinal = conversation * (uint64_t)o->plan.turns + (uint64_t)turn;
    if (atomic_load(l->stop)) return false;
    if (o->seconds > 0 && clock_seconds() - l->start >= o->seconds) return false;
    return o->requests == 0 || ordinal < (uint64_t)o->requests;
}

static void send_turn(struct talker *t, double planned)
{
    const struct load_plan *plan = &t->load->o->plan;
    load_plan_turn(plan, t->conversation, t->turn, t->messages);
    char *body = load_plan_body(plan, t->conversation, t->turn, t->messages);
    CHECK(body, "no memory for a request");
    load_client_send(t->client, body, strlen(body), planned, t);
    free(body);
}

static void begin(struct talker *t, uint64_t conversation, double planned)
{
    t->conversation = conversation;
    t->turn = 0;
    t->messages = load_plan_begin(&t->load->o->plan);
    send_turn(t, planned);
}

static void end_conversation(struct talker *t)
{
    json_decref(t->messages);
    t->messages = NULL;
    t->load->idle[t->load->n_idle++] = t;
}

/* Nothing is under way, and nothing will be. */
static bool is_over(const struct load *l)
{
    return l->n_idle == l->o->clients && l->n_begun == l->n_arrived &&
           !may_begin(l, l->n_arrived, 0);
}

static void look_for_end(struct load *l)
{
    if (is_over(l)) event_base_loopbreak(l->base);
}

/* ---- answers ---- */

static void on_gap(void *ctx, double seconds)
{
    struct load *l = ctx;
    samples_add(&l->result->gaps, seconds);
}

static void add_answer(struct talker *t, const struct chat_stream *stream)
{
    json_t *text = json_stringn(buf_text(&stream->text), stream->text.size);
    json_array_append_new(t->messages,
                          json_pack("{s:s, s:o}", "role", "assistant", "content", text));
}

static void on_done(void *ctx, struct load_client *c, const struct load_answer *a,
                    const struct chat_stream *stream)
{
    struct load *l = ctx;
    struct talker *t = load_client_user(c);
    double now = clock_seconds();
    load_result_add(l->result, a);
    l->result->seconds = now - l->start;
    bool goes_on = a->outcome == LOAD_WHOLE && t->turn + 1 < l->o->plan.turns &&
                   may_begin(l, t->conversation, t->turn + 1);
    if (goes_on) {
        add_answer(t, stream);
        t->turn++;
        send_turn(t, now);
    } else if (a->status == 0 && a->outcome != LOAD_STOPPED) {
        load_client_pause(c, PAUSE_SECONDS);
    } else {
        end_conversation(t);
        begin_waiting(l);
        look_for_end(l);
    }
}

static void on_paused(void *ctx, struct load_client *c)
{
    struct load *l = ctx;
    end_conversation(load_client_user(c));
    begin_waiting(l);
    look_for_end(l);
}

/* ---- arrivals ---- */

/* The next conversation, for a client that is free. In a closed load it arrives by that. */
static bool take_next(struct load *l, double *planned)
{
    if (l->o->plan.rate > 0) {
        if (l->n_begun == l->n_arrived || atomic_load(l->stop)) return false;
        *planned = l->next_planned;
        l->next_planned += load_plan_gap(&l->o->plan, l->n_begun + 1);
        return true;
    }
    if (!may_begin(l, l->n_arrived, 0)) return false;
    *planned = clock_seconds();
    l->n_arrived++;
    return true;
}

static void begin_waiting(struct load *l)
{
    double planned;
    while (l->n_idle > 0 && take_next(l, &planned))
        begin(l->idle[--l->n_idle], l->n_begun++, planned);
}

static void set_arrival(struct load *l)
{
    double wait = l->next_arrival - clock_seconds();
    if (wait < 0) wait = 0;
    if (wait > LOOK_SECONDS) wait = LOOK_SECONDS;
    struct timeval tv = {.tv_sec = (time_t)wait};
    tv.tv_usec = (suseconds_t)((wait - (double)tv.tv_sec) * 1e6);
    event_add(l->arrival, &tv);
}

static void on_arrival(evutil_socket_t fd, short what, void *ctx)
{
    struct load *l = ctx;
    (void)fd;
    (void)what;
    while (l->next_arrival <= clock_seconds() && may_begin(l, l->n_arrived, 0)) {
        l->n_arrived++;
        l->next_arrival += load_plan_gap(&l->o->plan, l->n_arrived);
    }
    begin_waiting(l);
    if (may_begin(l, l->n_arrived, 0)) set_arrival(l);
    look_for_end(l);
}

static void stop_all(struct load *l)
{
    l->result->stopped = true;
    for (int i = 0; i < l->o->clients; i++)
        load_client_stop(l->talkers[i].client);
    for (; l->n_begun < l->n_arrived; l->n_begun++)
        load_result_add(l->result, &(struct load_answer){.outcome = LOAD_STOPPED});
}

static void on_tick(evutil_socket_t fd, short what, void *ctx)
{
    struct load *l = ctx;
    (void)fd;
    (void)what;
    if (atomic_load(l->stop) && !l->result->stopped) stop_all(l);
    look_for_end(l);
}

/* ---- outside ---- */

static int open_load(struct load *l, struct err *err)
{
    const struct load_options *o = l->o;
    struct timeval tick = {0, TICK_US};
    if (load_target_find(&l->target, o->url, err)) return -1;
    l->base = event_base_new();
    if (!l->base) return err_set(err, ERR_IO, "no event loop");
    l->tick = event_new(l->base, -1, EV_PERSIST, on_tick, l);
    l->arrival = evtimer_new(l->base, on_arrival, l);
    CHECK(l->tick && l->arrival, "no memory for timers");
    event_add(l->tick, &tick);
    struct load_client_options each = {.base = l->base,
                                       .target = &l->target,
                                       .key = o->key,
                                       .timeout = o->timeout,
                                       .keeps_text = o->plan.turns > 1,
                                       .gap = on_gap,
                                       .done = on_done,
                                       .paused = on_paused,
                                       .ctx = l};
    for (int i = 0; i < o->clients; i++) {
        struct talker *t = &l->talkers[i];
        *t = (struct talker){.load = l, .client = load_client_new(&each)};
        l->idle[l->n_idle++] = t;
    }
    return 0;
}

static void close_load(struct load *l)
{
    for (int i = 0; i < l->o->clients; i++) {
        load_client_free(l->talkers[i].client);
        json_decref(l->talkers[i].messages);
    }
    if (l->tick) event_free(l->tick);
    if (l->arrival) event_free(l->arrival);
    if (l->base) event_base_free(l->base);
    free(l->talkers);
    free(l->idle);
}

int load_run(struct load_result *out, const struct load_options *o, const atomic_bool *stop,
             struct err *err)
{
    struct load l = {.o = o, .stop = stop, .result = out};
    *out = (struct load_result){.limits = o->limits};
    CHECK(o->clients >= 1 && o->clients <= LOAD_MAX_CLIENTS, "%d clients", o->clients);
    l.talkers = xcalloc((size_t)o->clients, sizeof *l.talkers);
    l.idle = xcalloc((size_t)o->clients, sizeof(struct talker *));
    int rc = open_load(&l, err);
    if (rc == 0) {
        l.start = clock_seconds();
        if (o->plan.rate > 0) {
            l.next_arrival = l.next_planned = l.start + load_plan_gap(&o->plan, 0);
            set_arrival(&l);
        } else {
            begin_waiting(&l);
        }
        if (!is_over(&l)) event_base_dispatch(l.base);
    }
    close_load(&l);
    return rc;
}
