#include "engine/batch.h"

#include <stdlib.h>
#include <string.h>

#include "engine/round.h"
#include "model/model.h"

struct slot {
    struct generation *generation; /* NULL: free */
    struct batch_job job;
};

struct batch {
    struct model *model;
    struct batch_options o;
    struct slot *slots; /* [n_slots]; the first n_running run, oldest first */
    int n_running;
    struct model_input *inputs; /* [n_slots] of the step */
    struct generation **fed;    /* [n_slots] whose inputs these are */
    struct round *round;
    int prompt_rows; /* the most in a step */
    struct batch_work work;
};

static int check_options(const struct batch_options *o, struct err *err)
{
    if (o->n_slots < 1 || o->n_slots > BATCH_MAX_SLOTS)
        return err_set(err, ERR_ARGUMENT, "%d answers at once, 1 to %d are possible", o->n_slots,
                       BATCH_MAX_SLOTS);
    if (o->max_rows < o->n_slots || o->max_rows > BATCH_MAX_ROWS)
        return err_set(err, ERR_ARGUMENT, "%d rows in a step of %d answers, %d to %d are possible",
                       o->max_rows, o->n_slots, o->n_slots, BATCH_MAX_ROWS);
    return 0;
}

int batch_open(struct batch **out, struct model *m, const struct batch_options *o, struct err *err)
{
    *out = NULL;
    if (check_options(o, err)) return -1;
    size_t n = (size_t)o->n_slots;
    struct batch *b = calloc(1, sizeof *b);
    if (!b) return err_set(err, ERR_LIMIT, "no memory for a batch");
    *b = (struct batch){.model = m, .o = *o, .prompt_rows = o->max_rows};
    b->slots = calloc(n, sizeof *b->slots);
    b->inputs = malloc(n * sizeof *b->inputs);
    b->fed = malloc(n * sizeof *b->fed);
    if (!b->slots || !b->inputs || !b->fed || round_new(&b->round, m, o->n_slots, NULL)) {
        batch_close(b);
        return err_set(err, ERR_LIMIT, "no memory for a batch of %d", o->n_slots);
    }
    *out = b;
    return 0;
}

void batch_close(struct batch *b)
{
    if (!b) return;
    for (int i = 0; i < b->n_running; i++)
        generation_close(b->slots[i].generation);
    free(b->slots);
    free(b->inputs);
    free(b->fed);
    round_free(b->round);
    free(b);
}

bool batch_has_room(const struct batch *b)
{
    return b->n_running < b->o.n_slots;
}

int batch_running(const struct batch *b)
{
    return b->n_running;
}

int batch_add(struct batch *b, const struct batch_job *job, struct err *err)
{
    CHECK(batch_has_room(b), "all %d slots are taken", b->o.n_slots);
    CHECK(session_model(job->session) == b->model, "a session of another model");
    struct slot *slot = &b->slots[b->n_running];
    if (generation_open(&slot->generation, job->session, &job->generate, err)) return -1;
    slot->job = *job;
    b->n_running++;
    return 0;
}

/* Frees the slot of g, then tells its owner, who may fill it again. */
static void end_job(struct batch *b, struct generation *g, const struct err *failure)
{
    int i = 0;
    while (b->slots[i].generation != g)
        i++;
    struct batch_job job = b->slots[i].job;
    b->n_running--;
    memmove(&b->slots[i], &b->slots[i + 1], (size_t)(b->n_running - i) * sizeof *b->slots);
    job.done(job.ctx, failure ? NULL : generation_result(g), failure);
    generation_close(g);
}

static void end_cancelled(struct batch *b)
{
    for (int i = 0; i < b->n_running;) {
        struct generation *g = b->slots[i].generation;
        struct err failure = {0};
        if (!generation_is_cancelled(g))
            i++;
        else
            end_job(b, g, generation_cancel(g, &failure) ? &failure : NULL);
    }
}

static bool is_drawing(const struct slot *s)
{
    return session_length(s->job.session) - session_fed(s->job.session) == 1;
}

/* Puts up to max_rows rows of a slot into the step. -1: its state finds no room. */
static int add_input(struct batch *b, int *n_in, const struct slot *s, int max_rows,
                     struct err *err)
{
    struct model_input *in = &b->inputs[*n_in];
    if (generation_input(s->generation, max_rows, in, err) || kv_reserve(in->kv, in->n, err))
        return -1;
    b->fed[(*n_in)++] = s->generation;
    return 0;
}

/* Whether rows of this slot count to those whose logits tell of prompts. */
static bool is_telling(const struct slot *s)
{
    return !is_drawing(s) && generation_wants_prompt(s->generation);
}

/* Lays out the step; a job that cannot take part ends. Returns the number of inputs. */
static int collect(struct batch *b)
{
    int n_in = 0, left = b->o.max_rows, telling = GENERATE_PROMPT_LOGITS;
    b->work = (struct batch_work){0};
    for (int prompts = 0; prompts < 2; prompts++) {
        if (prompts && left > b->prompt_rows) left = b->prompt_rows;
        for (int i = 0; i < b->n_running && left > 0;) {
            struct slot *s = &b->slots[i];
            struct err failure = {0};
            bool tells = is_telling(s);
            int most = tells && telling < left ? telling : left;
            if (is_drawing(s) == (bool)prompts || most == 0) {
                i++;
            } else if (add_input(b, &n_in, s, most, &failure)) {
                end_job(b, s->generation, &failure);
            } else {
                left -= b->inputs[n_in - 1].n;
                telling -= tells ? b->inputs[n_in - 1].n : 0;
                *(prompts ? &b->work.prompt_rows : &b->work.drawing) += b->inputs[n_in - 1].n;
                i++;
            }
        }
    }
    return n_in;
}

static void accept_logits(struct batch *b, int n_in)
{
    for (int i = 0; i < n_in; i++) {
        struct err failure = {0};
        int rc = round_accept(b->round, i, &failure);
        if (rc) end_job(b, b->fed[i], rc < 0 ? &failure : NULL);
    }
}

void batch_step(struct batch *b)
{
    struct err failure = {0};
    end_cancelled(b);
    int n_in = collect(b);
    if (n_in == 0) return;
    if (round_run(b->round, b->fed, b->inputs, n_in, b->o.max_rows, &failure) == 0)
        accept_logits(b, n_in);
    else
        b->work.failed = true;
    for (int i = 0; b->work.failed && i < n_in; i++)
        end_job(b, b->fed[i], &failure);
}

void batch_limit_prompts(struct batch *b, int rows)
{
    CHECK(rows >= 1, "%d rows of prompts", rows);
    b->prompt_rows = rows;
}

struct batch_work batch_last(const struct batch *b)
{
    return b->work;
}
