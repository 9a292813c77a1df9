/* tenon eval --task and --longbench-like: answers to problems. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/eval.h"
#include "cli/interrupt.h"
#include "measure/longctx.h"

enum {
    TASK_BATCH = 32,
    LONG_BATCH = 4,
    LONG_LIMIT = 10,
    STEP_ROWS = 256, /* of a step, or 2 for each answer if that is more */
};

struct run {
    const struct eval_options *o;
    struct opened open;
    struct prompt_options prompt;
    struct task task;
    struct score *score;
    FILE *out; /* of --out; or NULL */
};

/* ---- prompts and answers ---- */

static int encode(const struct run *r, const char *name, const char *question, struct ids *ids,
                  struct err *err)
{
    json_t *messages = NULL;
    if (ask_text_messages(&messages, &r->o->ask, name, question, strlen(question), err)) return -1;
    int rc = engine_prompt(r->open.engine, messages, NULL, &r->prompt, ids, err);
    json_decref(messages);
    return rc;
}

static int make_prompt(void *ctx, const struct problem *p, struct ids *out, bool *thinking,
                       struct err *err)
{
    const struct run *r = ctx;
    if (encode(r, "question", p->question, out, err)) return -1;
    *thinking = ask_begins_thinking(r->open.tokenizer, out->data, (int)out->n);
    return 0;
}

/* Tokens of the prompt that a question makes, for problems of a wanted length. */
static int count_tokens(void *ctx, const char *question, int *n, struct err *err)
{
    struct ids ids;
    ids_init(&ids, 1 << 26);
    int rc = encode(ctx, "question", question, &ids, err);
    *n = (int)ids.n;
    ids_fini(&ids);
    return rc;
}

static json_t *answer_json(const struct problem *p, const struct answer *a)
{
    const struct parse_result *text = a->result->text;
    json_t *line = json_pack("{s:s, s:s, s:s, s:i, s:I, s:b, s:s}", "id", p->id, "lang", p->lang,
                             "kind", p->kind, "try", a->try, "seed", (json_int_t)a->seed, "right",
                             a->right, "answer", p->answer);
    json_object_set_new(line, "content", json_stringn(text->content, text->content_size));
    json_object_set_new(line, "reasoning", json_stringn(text->reasoning, text->reasoning_size));
    json_object_set_new(line, "finish", json_string(finish_name(a->result->finish)));
    json_object_set_new(line, "n_tokens", json_integer(a->result->n));
    json_object_update_missing(line, p->others);
    return line;
}

/* Flushed, so that a run that ends early leaves whole lines. */
static int keep_answer(const struct run *r, const struct answer *a, struct err *err)
{
    json_t *line = answer_json(&r->task.at[a->problem], a);
    bool bad =
        json_dumpf(line, r->out, JSON_COMPACT) || putc('\n', r->out) == EOF || fflush(r->out) != 0;
    json_decref(line);
    return bad ? err_set(err, ERR_IO, "%s: %s", r->o->out, strerror(errno)) : 0;
}

static int on_answer(void *ctx, const struct answer *a, struct err *err)
{
    struct run *r = ctx;
    score_add(r->score, a);
    return r->out ? keep_answer(r, a, err) : 0;
}

/* ---- the problems ---- */

static int read_tasks(struct run *r, struct err *err)
{
    for (int i = 0; i < r->o->n_tasks; i++)
        if (task_add_file(&r->task, r->o->tasks[i], err)) return -1;
    return 0;
}

static int make_long(struct run *r, struct err *err)
{
    const struct eval_options *o = r->o;
    static const int usual[] = {1024, 4096, 16384};
    struct longctx_options l = {
        .positions = o->n_positions ? o->positions : usual,
        .n_positions = o->n_positions ? o->n_positions : (int)(sizeof usual / sizeof *usual),
        .n_each = o->limit ? o->limit : LONG_LIMIT,
        .seed = o->ask.seed,
        .count = count_tokens,
        .ctx = r,
    };
    return longctx_make(&r->task, &l, err);
}

/* ---- running ---- */

static int report(const struct run *r, const struct solve_options *s,
                  const struct solve_stats *stats, struct err *err)
{
    const struct eval_options *o = r->o;
    struct eval_groups g = {.score = r->score,
                            .stats = stats,
                            .generate = &s->generate,
                            .row = o->long_context ? "kind" : "lang",
                            .column = o->long_context ? "position" : "kind",
                            .by = o->by,
                            .n_by = o->n_by,
                            .n_tries = o->n_tries,
                            .seed = s->seed};
    if (!o->json) return eval_show(&g, o->model, err);
    json_t *root = json_pack("{s:s, s:s}", "mode", o->long_context ? "long-context" : "task",
                             "model", o->model);
    if (eval_json(root, &g, err)) {
        json_decref(root);
        return -1;
    }
    return eval_print_json(root, err);
}

static int solve_all(struct run *r, int batch, bool *partial, struct err *err)
{
    const struct eval_options *o = r->o;
    atomic_bool cancel;
    struct solve_stats stats;
    struct solve_options s = {
        .generate = ask_generate_options(&o->ask, r->open.engine, o->ask.thinking),
        .n_tries = o->n_tries,
        .n_problems = o->long_context ? 0 : o->limit,
        .seed = o->ask.seed,
        .batch = {.n_slots = batch, .max_rows = 2 * batch > STEP_ROWS ? 2 * batch : STEP_ROWS},
        .cancel = &cancel,
        .prompt = make_prompt,
        .answered = on_answer,
        .ctx = r};
    r->score = score_new(&r->task, o->n_tries);
    interrupt_watch(&cancel, true);
    int rc = solve(r->open.engine, &r->task, &s, &stats, err);
    interrupt_forget();
    if (rc == 0) rc = report(r, &s, &stats, err);
    *partial = stats.cancelled;
    return rc;
}

static int open_out(struct run *r, struct err *err)
{
    if (!r->o->out) return 0;
    r->out = fopen(r->o->out, "we");
    return r->out ? 0 : err_set(err, ERR_IO, "%s: %s", r->o->out, strerror(errno));
}

int eval_task(const struct eval_options *o, bool *partial, struct err *err)
{
    struct run r = {.o = o, .prompt = ask_prompt_options(&o->ask, o->model)};
    int batch = o->batch ? o->batch : o->long_context ? LONG_BATCH : TASK_BATCH;
    struct engine_options engine = {
        .max_context = o->ask.context, .n_sessions = batch, .drafts = o->ask.drafts};
    int rc = read_tasks(&r, err); /* first: it is quick to say what is wrong with them */
    if (rc == 0)
        rc = open_model(&r.open, o->model, &o->ask.open, true, ask_mtp(&o->ask), &engine, err);
    if (rc == 0 && o->long_context) rc = make_long(&r, err);
    if (rc == 0) rc = open_out(&r, err);
    if (rc == 0) rc = solve_all(&r, batch, partial, err);
    if (r.out && fclose(r.out) && rc == 0)
        rc = err_set(err, ERR_IO, "%s: %s", o->out, strerror(errno));
    score_free(r.score);
    task_fini(&r.task);
    open_close(&r.open);
    return rc;
}
