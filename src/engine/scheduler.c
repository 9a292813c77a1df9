#include "engine/scheduler.h"

#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

enum { FIRST_ROWS = 16 };  /* of a prompt beside answers, before anything was measured */
enum { ALONE_ROWS = 128 }; /* of prompts where no answer is drawn, at least */

static const double STEP_STRETCH = 1.25;
static const double ALONE_SECONDS = 2; /* of a step of prompts alone */
static const double SMOOTH = 0.2;      /* weight of a new measurement in a running mean */

/* An answer under way. */
struct stream {
    struct scheduler *scheduler;
    struct scheduler_job *job; /* NULL: this place is free */
    int choice;
    struct session *session;
};

struct scheduler {
    struct engine *engine;
    struct scheduler_options o;
    struct batch *batch;
    struct stream *streams; /* [max_streams] */
    struct queue *inbox;
    pthread_t thread;
    atomic_bool stopping;
    struct queue_item *waiting; /* jobs not begun, oldest first */
    struct queue_item *forking; /* jobs with choices not begun whose prompt is (being) fed */
    struct queue_item *loading; /* jobs admitted whose beginning is being read */
    int n_loading;
    struct queue_item nudge; /* in the inbox: the cache has something to do */
    atomic_bool nudged;      /* it is there */
    struct queue_item stop;  /* in the inbox: nothing comes behind it */
    bool stopped;            /* it has been taken */
    double draw_seconds;     /* of a step without prompts; 0: not measured */
    double row_seconds;      /* that a row of a prompt adds */
    double alone_seconds;    /* of a row of a prompt where no answer is drawn */
    pthread_mutex_t lock;    /* of stats and slots */
    struct scheduler_stats stats;
    struct scheduler_slot *slots; /* [max_streams] */
};

static struct scheduler_job *job_of(struct queue_item *item)
{
    return (struct scheduler_job *)(void *)((char *)item - offsetof(struct scheduler_job, item));
}

static void push(struct queue_item **list, struct scheduler_job *job)
{
    job->item.next = NULL;
    while (*list)
        list = &(*list)->next;
    *list = &job->item;
}

static void drop(struct queue_item **list, struct scheduler_job *job)
{
    while (*list && *list != &job->item)
        list = &(*list)->next;
    if (*list) *list = job->item.next;
}

/* --- the cache --- */

static struct cache_tenant tenant_of(const struct scheduler_job *job)
{
    struct cache_tenant t = {.group = job->group};
    memcpy(t.scope, job->scope, sizeof t.scope);
    memcpy(t.owner, job->owner, sizeof t.owner);
    return t;
}

/* The cache has no logits of a prompt: one that wants them is fed whole. */
static bool uses_cache(const struct scheduler *s, const struct scheduler_job *job)
{
    return s->o.cache && !job->no_cache && !job->prompted;
}

/* What a job reserves or gives back is taken from the cache, or it may grow into it. */
static void limit_cache(struct scheduler *s)
{
    if (!s->o.cache) return;
    pthread_mutex_lock(&s->lock);
    size_t left = s->stats.memory - s->stats.reserved;
    pthread_mutex_unlock(&s->lock);
    prefix_cache_limit(s->o.cache, left);
}

static void find_beginning(struct scheduler *s, struct scheduler_job *job)
{
    struct cache_tenant t = tenant_of(job);
    if (uses_cache(s, job)) job->found = prefix_cache_find(s->o.cache, &t, job->ids, job->n_ids);
}

static void keep_state(struct scheduler *s, const struct scheduler_job *job,
                       const struct session *session)
{
    struct cache_tenant t = tenant_of(job);
    if (!uses_cache(s, job)) return;
    bool to_disk =
        prefix_cache_wants_disk(s->o.cache, job->n_system, job->n_ids, session_fed(session));
    prefix_cache_store(s->o.cache, &t, session, to_disk);
}

/* Begins to read a beginning so much longer than the one that was found that it is worth it, if there is one. */
static bool load_beginning(struct scheduler *s, struct scheduler_job *job)
{
    struct cache_tenant t = tenant_of(job);
    int have = job->found ? session_fed(job->found) : 0;
    return uses_cache(s, job) &&
           prefix_cache_load(s->o.cache, &job->load, &t, job->ids, job->n_ids, have);
}

static void nudge(void *ctx)
{
    struct scheduler *s = ctx;
    if (!atomic_exchange(&s->nudged, true)) queue_put(s->inbox, &s->nudge);
}

/* At the points of a prompt. */
static int on_pause(void *ctx, const struct session *session)
{
    struct stream *t = ctx;
    keep_state(t->scheduler, t->job, session);
    return prefix_cache_point(t->scheduler->o.cache, t->job->n_system, t->job->n_ids,
                              session_fed(session));
}

/* --- the end of an answer --- */

/* One choice is over. With the last one the job holds nothing any more. */
static void count_end(struct scheduler *s, struct scheduler_job *job)
{
    if (++job->n_done < job->n) return;
    drop(&s->forking, job);
    session_free(job->fork);
    session_free(job->found);
    job->fork = job->found = NULL;
    pthread_mutex_lock(&s->lock);
    s->stats.reserved -= job->bytes;
    pthread_mutex_unlock(&s->lock);
    limit_cache(s);
}

/* Tells of one choice. After the last one the job is no longer ours. */
static void end_choice(struct scheduler *s, struct scheduler_job *job, int choice,
                       const struct generation_result *r, const struct err *failure)
{
    count_end(s, job);
    job->done(job->ctx, choice, r, failure);
}

/* Ends the choices that have not begun. */
static void end_rest(struct scheduler *s, struct scheduler_job *job, const struct err *failure)
{
    static const struct generation_result cancelled = {.finish = FINISH_CANCELLED};
    int first = job->n_started, n = job->n;
    job->n_started = n;
    for (int i = first; i < n; i++)
        end_choice(s, job, i, failure ? NULL : &cancelled, failure);
}

static void count_answer(struct scheduler *s, const struct generation_result *r)
{
    pthread_mutex_lock(&s->lock);
    s->stats.n_prompt_tokens += (uint64_t)(r->stats.n_prompt - r->stats.n_reused);
    s->stats.n_reused_tokens += (uint64_t)r->stats.n_reused;
    s->stats.n_drafts += (uint64_t)r->stats.n_drafts;
    s->stats.n_right += (uint64_t)r->stats.n_right;
    pthread_mutex_unlock(&s->lock);
}

static void add_running(struct scheduler *s, int n)
{
    pthread_mutex_lock(&s->lock);
    s->stats.n_running += n;
    pthread_mutex_unlock(&s->lock);
}

static void on_done(void *ctx, const struct generation_result *r, const struct err *failure)
{
    struct stream *t = ctx;
    struct scheduler *s = t->scheduler;
    struct scheduler_job *job = t->job;
    int choice = t->choice;
    bool lost = choice == 0 && !job->fork && job->n_started < job->n;
    struct session *session = t->session; /* r points into it */
    if (r) count_answer(s, r);
    add_running(s, -1);
    t->job = NULL;
    /* Without the first choice's prompt the others have nothing to begin from. */
    if (lost) end_rest(s, job, failure);
    count_end(s, job);
    if (r) keep_state(s, job, session);
    job->done(job->ctx, choice, r, failure);
    session_free(session);
}

static void on_event(void *ctx, const struct parse_event *e)
{
    struct stream *t = ctx;
    t->job->event(t->job->ctx, t->choice, e);
}

static void on_drawn(void *ctx, const struct pick *p)
{
    struct stream *t = ctx;
    pthread_mutex_lock(&t->scheduler->lock);
    t->scheduler->stats.n_tokens++;
    pthread_mutex_unlock(&t->scheduler->lock);
    if (t->job->drawn) t->job->drawn(t->job->ctx, t->choice, p);
}

static void on_prompted(void *ctx, const struct pick *p)
{
    struct stream *t = ctx;
    t->job->prompted(t->job->ctx, p);
}

/* --- the beginning of an answer --- */

/* The session of the next choice: the prompt, of which a beginning may have been fed already; or a fork of it
 * with its last token pending. */
static int make_session(struct scheduler *s, struct scheduler_job *job, struct session **out,
                        struct err *err)
{
    if (job->fork) {
        *out = session_fork(job->fork);
        if (!*out) return err_set(err, ERR_LIMIT, "no memory for a session");
    } else {
        *out = job->found;
        job->found = NULL;
        if (!*out && engine_session_new(out, s->engine, err)) return -1;
        int n = session_length(*out);
        if (session_append(*out, job->ids + n, job->n_ids - n, err)) {
            session_free(*out);
            return -1;
        }
    }
    session_set_key(*out, (struct sampler_key){job->seed, (uint32_t)job->n_started});
    return 0;
}

static double now(const struct scheduler *s)
{
    return s->o.clock ? s->o.clock() : clock_seconds();
}

/* Begins the job's next choice; there is a place. On failure this choice is over. */
static void start_choice(struct scheduler *s, struct scheduler_job *job)
{
    struct stream *t = s->streams;
    struct err err = {0};
    while (t->job)
        t++;
    *t = (struct stream){s, NULL, job->n_started, NULL};
    bool feeds_for_all = job->n_started == 0 && job->n > 1;
    bool caches = job->n_started == 0 && uses_cache(s, job);
    if (job->n_started == 0) job->begun = now(s);
    int rc = make_session(s, job, &t->session, &err);
    if (rc == 0) {
        struct batch_job b = {
            .session = t->session, .generate = job->generate, .done = on_done, .ctx = t};
        b.generate.emit = on_event;
        b.generate.drawn = on_drawn;
        b.generate.prompted = job->prompted && job->n_started == 0 ? on_prompted : NULL;
        b.generate.ctx = t;
        b.generate.cancel = job->cancel;
        b.generate.snapshot = feeds_for_all ? &job->fork : NULL;
        b.generate.pause = caches ? on_pause : NULL;
        rc = batch_add(s->batch, &b, &err);
        if (rc) session_free(t->session);
    }
    job->n_started++;
    if (rc) {
        int choice = t->choice;
        if (feeds_for_all) end_rest(s, job, &err);
        end_choice(s, job, choice, NULL, &err);
        return;
    }
    t->job = job;
    add_running(s, 1);
    if (feeds_for_all) push(&s->forking, job);
}

/* One that was admitted. What was found goes when a longer one is read: together they might have more memory than
 * the job has reserved. */
static void begin_job(struct scheduler *s, struct scheduler_job *job)
{
    if (!load_beginning(s, job)) {
        start_choice(s, job);
        return;
    }
    session_free(job->found);
    job->found = NULL;
    push(&s->loading, job);
    s->n_loading++;
    add_running(s, 1);
}

static void end_loads(struct scheduler *s)
{
    for (struct cache_load *l; s->loading && (l = prefix_cache_loaded(s->o.cache));) {
        struct scheduler_job *job =
            (struct scheduler_job *)(void *)((char *)l - offsetof(struct scheduler_job, load));
        bool ends = atomic_load(job->cancel) || atomic_load(&s->stopping);
        job->found = prefix_cache_take(s->o.cache, l, job->ids);
        drop(&s->loading, job);
        s->n_loading--;
        add_running(s, -1);
        if (!job->found && !ends) find_beginning(s, job);
        if (ends)
            end_rest(s, job, NULL);
        else
            start_choice(s, job);
    }
}

static bool has_place(const struct scheduler *s)
{
    return batch_running(s->batch) + s->n_loading < s->o.max_streams;
}

static int running_of(const struct scheduler *s, unsigned group)
{
    int n = 0;
    for (const struct queue_item *i = s->loading; i; i = i->next)
        n += ((const struct scheduler_job *)(const void *)((const char *)i -
                                                           offsetof(struct scheduler_job, item)))
                 ->group == group;
    for (int i = 0; i < s->o.max_streams; i++)
        n += s->streams[i].job && s->streams[i].job->group == group;
    return n;
}

/* With what it has gained by waiting. */
static int aged_priority(const struct scheduler_job *job, int highest)
{
    int aged = job->priority + job->n_passed / SCHEDULER_AGE;
    return aged < highest ? aged : highest;
}

static int highest_waiting(const struct scheduler *s)
{
    int highest = INT_MIN;
    for (struct queue_item *i = s->waiting; i; i = i->next)
        if (job_of(i)->priority > highest) highest = job_of(i)->priority;
    return highest;
}

/* Of the jobs of the highest priority: the oldest of the group that has the fewest answers running. */
static struct scheduler_job *next_job(const struct scheduler *s)
{
    struct scheduler_job *best = NULL;
    int fewest = 0, first = 0, highest = highest_waiting(s);
    for (struct queue_item *i = s->waiting; i; i = i->next) {
        struct scheduler_job *job = job_of(i);
        int n = running_of(s, job->group), priority = aged_priority(job, highest);
        if (best && (priority < first || (priority == first && n >= fewest))) continue;
        best = job;
        fewest = n;
        first = priority;
    }
    return best;
}

static void start_forks(struct scheduler *s)
{
    for (struct queue_item *i = s->forking, *next; i; i = next) {
        struct scheduler_job *job = job_of(i);
        next = i->next;
        while (job->fork && job->n_started < job->n && has_place(s)) {
            bool is_last = job->n_started + 1 == job->n;
            if (is_last) drop(&s->forking, job);
            start_choice(s, job);
            if (is_last) break; /* it may be over, and the caller's */
        }
    }
}

/* What of the job is in the cache is held before room is made there. */
static bool reserve(struct scheduler *s, struct scheduler_job *job)
{
    pthread_mutex_lock(&s->lock);
    bool fits = job->bytes <= s->stats.memory - s->stats.reserved;
    if (fits) {
        s->stats.reserved += job->bytes;
        s->stats.n_waiting--;
        s->stats.waiting_tokens -= job->n_ids;
    }
    pthread_mutex_unlock(&s->lock);
    if (!fits) return false;
    find_beginning(s, job);
    limit_cache(s);
    return true;
}

/* Jobs that were cancelled, that have waited too long, or that a scheduler that stops does not begin any more. */
static void end_waiting(struct scheduler *s)
{
    double time = now(s);
    for (struct queue_item *i = s->waiting, *next; i; i = next) {
        struct scheduler_job *job = job_of(i);
        next = i->next;
        job->waited_too_long = s->o.max_wait > 0 && time - job->submitted >= s->o.max_wait;
        if (!job->waited_too_long && !atomic_load(job->cancel) && !atomic_load(&s->stopping))
            continue;
        drop(&s->waiting, job);
        pthread_mutex_lock(&s->lock);
        s->stats.n_waiting--;
        s->stats.waiting_tokens -= job->n_ids;
        s->stats.reserved += job->bytes; /* count_end gives it back */
        pthread_mutex_unlock(&s->lock);
        end_rest(s, job, NULL);
    }
}

/* Choices that wait for a place, of a job that was cancelled. */
static void end_forks(struct scheduler *s)
{
    for (struct queue_item *i = s->forking, *next; i; i = next) {
        struct scheduler_job *job = job_of(i);
        next = i->next;
        if (atomic_load(job->cancel) || atomic_load(&s->stopping)) end_rest(s, job, NULL);
    }
}

/* Begins what can begin. The next job waits for memory if it must: smaller ones behind it do not pass. */
static void admit(struct scheduler *s)
{
    end_waiting(s);
    end_forks(s);
    start_forks(s);
    struct scheduler_job *job;
    while (has_place(s) && (job = next_job(s)) && reserve(s, job)) {
        drop(&s->waiting, job);
        for (struct queue_item *i = s->waiting; i; i = i->next)
            job_of(i)->n_passed++;
        begin_job(s, job);
    }
}

/* --- steps --- */

static void smooth(double *mean, double x)
{
    *mean = *mean > 0 ? *mean + SMOOTH * (x - *mean) : x;
}

static int prompt_rows(const struct scheduler *s)
{
    if (s->draw_seconds <= 0 || s->row_seconds <= 0) return FIRST_ROWS;
    double rows = (STEP_STRETCH - 1) * s->draw_seconds / s->row_seconds;
    return rows < 1 ? 1 : rows > s->o.max_rows ? s->o.max_rows : (int)rows;
}

/* No answer waits for the step, but whoever comes meanwhile does: as many as take ALONE_SECONDS, and
 * ALONE_ROWS at least, since a step of fewer reads as many weights. */
static int prompt_rows_alone(const struct scheduler *s)
{
    double rows = s->alone_seconds > 0 ? ALONE_SECONDS / s->alone_seconds : ALONE_ROWS;
    if (rows < ALONE_ROWS) rows = ALONE_ROWS;
    return rows > s->o.max_rows ? s->o.max_rows : (int)rows;
}

/* Whether an answer is being drawn: a stream whose prompt is fed. */
static bool is_drawing(const struct scheduler *s)
{
    for (int i = 0; i < s->o.max_streams; i++) {
        const struct stream *t = &s->streams[i];
        if (t->job && session_length(t->session) > t->job->n_ids) return true;
    }
    return false;
}

static struct scheduler_slot slot_of(const struct stream *t)
{
    if (!t->job) return (struct scheduler_slot){0};
    return (struct scheduler_slot){.is_running = true,
                                   .n_prompt = t->job->n_ids,
                                   .n_fed = session_fed(t->session),
                                   .n_drawn = session_length(t->session) - t->job->n_ids};
}

static void note_begin(struct scheduler *s, double now)
{
    pthread_mutex_lock(&s->lock);
    s->stats.step_began = now;
    pthread_mutex_unlock(&s->lock);
}

static void note_step(struct scheduler *s, const struct batch_work *work, double now,
                      double seconds)
{
    struct scheduler_stats *stats = &s->stats;
    int rows = work->drawing + work->prompt_rows, bucket = 0;
    while (bucket < SCHEDULER_STEP_BUCKETS - 1 && rows > 1 << bucket)
        bucket++;
    pthread_mutex_lock(&s->lock);
    stats->n_steps++;
    stats->step_seconds += seconds;
    stats->n_rows += (uint64_t)rows;
    stats->n_prompt_rows += (uint64_t)work->prompt_rows;
    if (s->o.cache) stats->cache = prefix_cache_stats(s->o.cache);
    stats->step_rows[bucket]++;
    stats->step_began = 0;
    stats->step_failed = work->failed;
    if (!work->failed) stats->last_good = now;
    for (int i = 0; i < s->o.max_streams; i++)
        s->slots[i] = slot_of(&s->streams[i]);
    pthread_mutex_unlock(&s->lock);
}

static void step(struct scheduler *s)
{
    batch_limit_prompts(s->batch, is_drawing(s) ? prompt_rows(s) : prompt_rows_alone(s));
    double start = clock_seconds();
    note_begin(s, start);
    batch_step(s->batch);
    double now = clock_seconds(), seconds = now - start;
    struct batch_work work = batch_last(s->batch);
    if (work.drawing && !work.prompt_rows)
        smooth(&s->draw_seconds, seconds);
    else if (work.drawing && seconds > s->draw_seconds)
        smooth(&s->row_seconds, (seconds - s->draw_seconds) / work.prompt_rows);
    else if (!work.drawing && work.prompt_rows >= ALONE_ROWS)
        smooth(&s->alone_seconds, seconds / work.prompt_rows);
    note_step(s, &work, now, seconds);
}

static void cancel_all(struct scheduler *s)
{
    for (int i = 0; i < s->o.max_streams; i++)
        if (s->streams[i].job) atomic_store(s->streams[i].job->cancel, true);
}

static void take_mail(struct scheduler *s, struct queue_item *i)
{
    for (struct queue_item *next; i; i = next) {
        next = i->next;
        if (i == &s->nudge)
            atomic_store(&s->nudged, false);
        else if (i == &s->stop)
            s->stopped = true;
        else
            push(&s->waiting, job_of(i));
    }
}

/* What can be done now. True: there may be more. */
static bool work(struct scheduler *s)
{
    if (atomic_load(&s->stopping)) cancel_all(s);
    end_loads(s);
    admit(s);
    bool runs = batch_running(s->batch) > 0;
    if (runs) step(s);
    return (s->o.cache && prefix_cache_work(s->o.cache)) || runs;
}

static void *serve_jobs(void *ctx)
{
    struct scheduler *s = ctx;
    for (bool more = false;;) {
        if (s->stopped && !more && !s->waiting && !s->forking && !s->loading) return NULL;
        take_mail(s, more ? queue_take(s->inbox) : queue_wait(s->inbox));
        more = work(s);
    }
}

/* --- from other threads --- */

static int check_job(struct scheduler *s, struct scheduler_job *job, struct err *err)
{
    const struct generate_options *g = &job->generate;
    int context = g->max_context, left = context - job->n_ids;
    CHECK(job->n >= 1 && job->n_ids >= 1 && job->cancel, "%d choices of %d tokens", job->n,
          job->n_ids);
    if (left < 0)
        return err_set(err, ERR_ARGUMENT, "the prompt has %d tokens, the context %d", job->n_ids,
                       context);
    int longest = g->max_tokens >= 0 && g->max_tokens < left ? job->n_ids + g->max_tokens : context;
    size_t each = engine_session_bytes(s->engine, longest), all = engine_memory(s->engine);
    if (each > all / (size_t)job->n)
        return err_set(err, ERR_ARGUMENT, "%d answers of %d tokens do not fit in memory", job->n,
                       longest);
    job->bytes = each * (size_t)job->n;
    return 0;
}

int scheduler_submit(struct scheduler *s, struct scheduler_job *job, struct err *err)
{
    if (check_job(s, job, err)) return -1;
    job->fork = job->found = NULL;
    job->n_started = job->n_done = job->n_passed = 0;
    job->submitted = now(s);
    job->begun = 0;
    job->waited_too_long = false;
    pthread_mutex_lock(&s->lock);
    int64_t tokens = s->stats.waiting_tokens;
    bool full = s->stats.n_waiting >= s->o.max_queue + s->o.max_streams - s->stats.n_running;
    bool too_long = s->o.max_queue_tokens && tokens && tokens + job->n_ids > s->o.max_queue_tokens;
    if (!full && !too_long) {
        s->stats.n_waiting++;
        s->stats.waiting_tokens += job->n_ids;
    }
    pthread_mutex_unlock(&s->lock);
    if (full) return err_set(err, ERR_LIMIT, "%d requests wait already", s->o.max_queue);
    if (too_long) return err_set(err, ERR_LIMIT, "%" PRId64 " tokens wait already", tokens);
    queue_put(s->inbox, &job->item);
    return 0;
}

struct scheduler_stats scheduler_stats(struct scheduler *s)
{
    pthread_mutex_lock(&s->lock);
    struct scheduler_stats stats = s->stats;
    pthread_mutex_unlock(&s->lock);
    return stats;
}

void scheduler_slots(struct scheduler *s, struct scheduler_slot *out)
{
    pthread_mutex_lock(&s->lock);
    memcpy(out, s->slots, (size_t)s->o.max_streams * sizeof *out);
    pthread_mutex_unlock(&s->lock);
}

int scheduler_open(struct scheduler **out, struct engine *e, const struct scheduler_options *o,
                   struct err *err)
{
    struct batch_options b = {.n_slots = o->max_streams, .max_rows = o->max_rows};
    struct batch *batch = NULL;
    *out = NULL;
    if (o->max_queue < 0 || o->max_queue > SCHEDULER_MAX_QUEUE)
        return err_set(err, ERR_ARGUMENT, "a queue of %d, 0 to %d are possible", o->max_queue,
                       SCHEDULER_MAX_QUEUE);
    if (engine_batch_open(&batch, e, &b, err)) return -1;
    struct scheduler *s = xcalloc(1, sizeof *s);
    s->engine = e;
    s->o = *o;
    s->batch = batch;
    s->streams = xcalloc((size_t)o->max_streams, sizeof *s->streams);
    s->slots = xcalloc((size_t)o->max_streams, sizeof *s->slots);
    s->inbox = queue_new(NULL, NULL);
    s->stats.memory = engine_memory(e);
    pthread_mutex_init(&s->lock, NULL);
    if (o->cache) prefix_cache_on_wake(o->cache, nudge, s);
    if (pthread_create(&s->thread, NULL, serve_jobs, s)) {
        if (o->cache) prefix_cache_on_wake(o->cache, NULL, NULL);
        pthread_mutex_destroy(&s->lock);
        queue_free(s->inbox);
        batch_close(batch);
        free(s->streams);
        free(s->slots);
        free(s);
        return err_set(err, ERR_LIMIT, "no thread for the engine");
    }
    *out = s;
    return 0;
}

void scheduler_close(struct scheduler *s)
{
    if (!s) return;
    atomic_store(&s->stopping, true);
    queue_put(s->inbox, &s->stop);
    pthread_join(s->thread, NULL);
    if (s->o.cache) prefix_cache_on_wake(s->o.cache, NULL, NULL);
    pthread_mutex_destroy(&s->lock);
    queue_free(s->inbox);
    batch_close(s->batch);
    free(s->streams);
    free(s->slots);
    free(s);
}
