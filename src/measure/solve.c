#include "measure/solve.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/progress.h"
#include "measure/judge.h"
#include "measure/stats.h"

enum { MAX_PROMPT_IDS = 16 << 20 };

struct solver {
    struct engine *engine;
    const struct task *task;
    const struct solve_options *o;
    struct solve_stats *stats;
    struct batch *batch;
    struct progress *progress;
    struct asked *asked; /* [batch.n_slots] */
    struct ids ids;      /* of the prompt being made */
    int n_problems;      /* asked in all */
    int next, next_try;  /* what is asked next: the next-th problem */
    struct err failure;  /* the first */
};

/* An answer under way. */
struct asked {
    struct solver *solver;
    struct session *session; /* NULL: this place is free */
    int problem, try;
    uint64_t seed;
};

static bool is_right(const struct problem *p, const struct generation_result *r)
{
    return r->finish == FINISH_STOP && r->text &&
           judge_answer(r->text->content, r->text->content_size, p->answer);
}

static void tell(struct asked *q, const struct generation_result *r)
{
    struct solver *s = q->solver;
    struct answer a = {.problem = q->problem,
                       .try = q->try,
                       .seed = q->seed,
                       .right = is_right(&s->task->at[q->problem], r),
                       .result = r};
    s->stats->n_answers++;
    s->stats->n_tokens += r->n;
    s->stats->n_prompt_tokens += r->stats.n_prompt;
    s->stats->n_drafts += r->stats.n_drafts;
    s->stats->n_right += r->stats.n_right;
    progress_add(s->progress, 1);
    if (s->failure.code == ERR_NONE && s->o->answered(s->o->ctx, &a, &s->failure))
        CHECK(s->failure.code != ERR_NONE, "a failure without a message");
}

static void on_done(void *ctx, const struct generation_result *r, const struct err *failure)
{
    struct asked *q = ctx;
    if (failure)
        err_set(&q->solver->failure, failure->code, "%s: %s", q->solver->task->at[q->problem].id,
                failure->message);
    else if (r->finish != FINISH_CANCELLED)
        tell(q, r);
    session_free(q->session);
    q->session = NULL;
}

/* A session with the prompt of problem q->problem, and its job. */
static int prepare(struct asked *q, struct batch_job *job, struct err *err)
{
    struct solver *s = q->solver;
    const struct problem *p = &s->task->at[q->problem];
    bool thinking = false;
    ids_clear(&s->ids);
    if (s->o->prompt(s->o->ctx, p, &s->ids, &thinking, err)) return -1;
    if (engine_session_new(&q->session, s->engine, err)) return -1;
    if (session_append(q->session, s->ids.data, (int)s->ids.n, err)) return -1;
    session_set_key(q->session, (struct sampler_key){.seed = q->seed, .choice = (uint32_t)q->try});
    *job = (struct batch_job){
        .session = q->session, .generate = s->o->generate, .done = on_done, .ctx = q};
    job->generate.parse.thinking = thinking;
    job->generate.cancel = s->o->cancel;
    return 0;
}

static int ask_next(struct solver *s, struct err *err)
{
    struct batch_job job;
    struct asked *q = s->asked;
    while (q->session)
        q++;
    q->solver = s;
    q->problem = stats_spread(s->task->n, s->n_problems, s->next);
    q->try = s->next_try;
    q->seed = s->o->seed + (uint64_t)q->problem;
    if (prepare(q, &job, err) || batch_add(s->batch, &job, err))
        return err_prefix(err, "%s", s->task->at[q->problem].id);
    if (++s->next_try == s->o->n_tries) {
        s->next_try = 0;
        s->next++;
    }
    return 0;
}

static bool is_stopped(const struct solver *s)
{
    return s->failure.code != ERR_NONE || (s->o->cancel && atomic_load(s->o->cancel));
}

static void run(struct solver *s)
{
    while (s->failure.code == ERR_NONE) {
        while (!is_stopped(s) && s->next < s->n_problems && batch_has_room(s->batch))
            if (ask_next(s, &s->failure)) break;
        if (!batch_running(s->batch)) break;
        batch_step(s->batch);
    }
    s->stats->cancelled = s->stats->n_answers < s->stats->n_planned;
}

int solve(struct engine *e, const struct task *t, const struct solve_options *o,
          struct solve_stats *stats, struct err *err)
{
    struct solver s = {.engine = e, .task = t, .o = o, .stats = stats};
    double start = clock_seconds();
    s.n_problems = o->n_problems && o->n_problems < t->n ? o->n_problems : t->n;
    *stats = (struct solve_stats){0};
    if (o->n_tries < 1 || s.n_problems > INT32_MAX / o->n_tries)
        return err_set(err, ERR_ARGUMENT, "%d tries of %d problems", o->n_tries, s.n_problems);
    stats->n_planned = s.n_problems * o->n_tries;
    if (engine_batch_open(&s.batch, e, &o->batch, err)) return -1;
    s.asked = xcalloc((size_t)o->batch.n_slots, sizeof *s.asked);
    ids_init(&s.ids, MAX_PROMPT_IDS);
    s.progress = progress_new("eval", (uint64_t)stats->n_planned, "answers");
    run(&s);
    progress_free(s.progress);
    batch_close(s.batch);
    for (int i = 0; i < o->batch.n_slots; i++)
        session_free(s.asked[i].session);
    free(s.asked);
    ids_fini(&s.ids);
    stats->seconds = clock_seconds() - start;
    return s.failure.code == ERR_NONE ? 0 : err_set(err, s.failure.code, "%s", s.failure.message);
}
