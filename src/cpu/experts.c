/* Router and experts on the CPU. Each expert's weights are read once a step: (token, slot) pairs are
 * grouped by expert. */
#include "cpu/ops.h"

#include <string.h>

#include "base/fmath.h"
#include "cpu/linear.h"
#include "cpu/slots.h"

enum { MAX_USED = 64 };

struct route_job {
    const struct step *s;
    const struct route_args *a;
    struct tensor *p; /* [T, E] */
};

static void sort_ids(int32_t *ids, int n)
{
    for (int i = 1; i < n; i++) {
        int32_t id = ids[i];
        int j = i;
        for (; j > 0 && ids[j - 1] > id; j--)
            ids[j] = ids[j - 1];
        ids[j] = id;
    }
}

/* The k largest p + bias, ties to the lower id. A NaN is less than every number. */
static void choose(int32_t *ids, const float *p, const float *bias, int n, int k)
{
    float best[MAX_USED] = {0}; /* scores of ids[0, found), falling */
    int found = 0;
    for (int e = 0; e < n; e++) {
        float score = bias ? p[e] + bias[e] : p[e];
        if (score != score) score = -__builtin_inff();
        if (found == k && !(score > best[k - 1])) continue;
        int at = found < k ? found++ : k - 1;
        for (; at > 0 && score > best[at - 1]; at--) {
            best[at] = best[at - 1];
            ids[at] = ids[at - 1];
        }
        best[at] = score;
        ids[at] = e;
    }
    sort_ids(ids, k);
}

static void route_rows(void *ctx, int first, int last, int thread)
{
    const struct route_job *job = ctx;
    const struct route_args *a = job->a;
    int n = a->gate->rows, k = a->n_used;
    (void)thread;
    for (int t = first; t < last; t++) {
        float *p = job->p->data + (size_t)t * (size_t)n;
        int32_t *ids = a->ids->data + (size_t)t * (size_t)k;
        float *w = a->w->data + (size_t)t * (size_t)k;
        for (int e = 0; e < n; e++)
            p[e] = __builtin_sqrtf(fm_softplus(p[e]));
        if (a->table) {
            size_t token = (size_t)job->s->rows.tokens[t];
            memcpy(ids, packed_i32(a->table) + token * (size_t)k, (size_t)k * sizeof *ids);
            sort_ids(ids, k);
        } else {
            choose(ids, p, a->bias ? packed_f32(a->bias) : NULL, n, k);
        }
        float sum = p[ids[0]];
        for (int i = 1; i < k; i++)
            sum += p[ids[i]];
        for (int i = 0; i < k; i++)
            w[i] = p[ids[i]] / sum * a->scale;
    }
}

void cpu_route(struct step *s, const struct route_args *a)
{
    CHECK(a->n_used <= MAX_USED && a->n_used <= a->gate->rows, "route: %d experts", a->n_used);
    size_t mark = step_mark(s);
    struct tensor p = step_f32(s, a->x->rows, a->gate->rows);
    if (!p.data) return;
    struct acts x = {.rows = a->x->rows, .k = a->x->k, .f32 = a->x->f32};
    struct linear l = {.y = p.data,
                       .ldy = (size_t)p.cols,
                       .w = a->gate,
                       .n_rows = a->gate->rows,
                       .x = &x,
                       .n_t = x.rows};
    linears_run(s, &l, 1);
    struct route_job job = {s, a, &p};
    cpu_run(s, x.rows, 1, route_rows, &job);
    step_release(s, mark);
}

/* The step's (token, slot) pairs sorted by expert, then the shared expert's rows: place i holds token
 * token[i]; pair (t, slot) is at place[t * k + slot]. */
struct groups {
    int n_pairs, n_places;
    int n_active;
    int32_t *expert; /* [n_active]; -1 the shared one */
    int32_t *start;  /* [n_active + 1] places */
    int32_t *token, *place;
};

static int group_pairs(struct step *s, struct groups *g, const struct experts_args *a)
{
    int rows = a->x->rows, k = a->ids->cols, n = a->n_experts;
    g->n_pairs = rows * k;
    g->n_places = g->n_pairs + (a->shared ? rows : 0);
    int32_t *count = cpu_scratch(s, (size_t)(n + 1) * sizeof *count);
    g->expert = cpu_scratch(s, (size_t)(n + 1) * sizeof *g->expert);
    g->start = cpu_scratch(s, (size_t)(n + 2) * sizeof *g->start);
    g->token = cpu_scratch(s, (size_t)g->n_places * sizeof *g->token);
    g->place = cpu_scratch(s, (size_t)g->n_pairs * sizeof *g->place);
    if (s->err.code != ERR_NONE) return -1;

    memset(count, 0, (size_t)(n + 1) * sizeof *count);
    for (int i = 0; i < g->n_pairs; i++)
        count[a->ids->data[i]]++;
    int at = 0;
    g->n_active = 0;
    for (int e = 0; e < n; e++) {
        if (!count[e]) continue;
        g->expert[g->n_active] = e;
        g->start[g->n_active++] = at;
        int size = count[e];
        count[e] = at; /* from here: the next free place */
        at += size;
    }
    for (int i = 0; i < g->n_pairs; i++) {
        int place = count[a->ids->data[i]]++;
        g->token[place] = i / k;
        g->place[i] = place;
    }
    if (a->shared) {
        g->expert[g->n_active] = -1;
        g->start[g->n_active++] = at;
        for (int t = 0; t < rows; t++)
            g->token[at + t] = t;
    }
    g->start[g->n_active] = g->n_places;
    return 0;
}

struct expert_job {
    const struct cpu *cpu;
    const struct experts_args *a;
    const struct groups *g;
    const float *weight; /* [n_places] */
    struct tensor *gate, *up, *out;
    struct acts *inner;
    /* Work for the experts that run together. */
    int32_t *places;     /* [n_places] */
    struct linear *list; /* [2 n_active] */
    struct acts *views;  /* [n_active] */
};

static void activate_places(void *ctx, int first, int last, int thread)
{
    const struct expert_job *job = ctx;
    (void)thread;
    for (int i = first; i < last; i++) {
        int place = job->places[i];
        size_t at = (size_t)place * (size_t)job->gate->cols;
        job->cpu->k->swiglu(job->inner->f32 + at, job->gate->data + at, job->up->data + at,
                            job->gate->cols, job->a->limit, job->weight[place]);
        acts_quantise(job->cpu, job->inner, place, 1);
    }
}

/* Slots of a token are in ascending expert id (op_route), so this is the order of the contract. */
static void combine_rows(void *ctx, int first, int last, int thread)
{
    const struct expert_job *job = ctx;
    const struct experts_args *a = job->a;
    int k = a->ids->cols, dim = a->y->cols;
    (void)thread;
    for (int t = first; t < last; t++) {
        float *y = a->y->data + (size_t)t * (size_t)dim;
        for (int c = 0; c < dim; c++)
            y[c] = 0.0f;
        for (int i = 0; i < k + (a->shared ? 1 : 0); i++) {
            int place = i < k ? job->g->place[t * k + i] : job->g->n_pairs + t;
            const float *from = job->out->data + (size_t)place * (size_t)dim;
            for (int c = 0; c < dim; c++)
                y[c] = y[c] + from[c];
        }
    }
}

static const struct expert *active_expert(const struct experts_args *a, const struct groups *g,
                                          int i)
{
    return g->expert[i] < 0 ? a->shared : &a->experts[g->expert[i]];
}

/* gate and up of the n active experts in which[]. */
static void run_in(struct step *s, const struct expert_job *job, const int32_t *which, int n)
{
    const struct groups *g = job->g;
    for (int j = 0; j < n; j++) {
        int i = which[j];
        const struct expert *e = active_expert(job->a, g, i);
        size_t at = (size_t)g->start[i] * (size_t)job->gate->cols;
        struct linear l = {.y = job->gate->data + at,
                           .ldy = (size_t)job->gate->cols,
                           .w = e->gate,
                           .n_rows = e->gate->rows,
                           .x = job->a->x,
                           .idx = g->token + g->start[i],
                           .n_t = g->start[i + 1] - g->start[i]};
        job->list[2 * j] = l;
        l.y = job->up->data + at;
        l.w = e->up;
        job->list[2 * j + 1] = l;
    }
    linears_run(s, job->list, 2 * n);
}

static void run_out(struct step *s, const struct expert_job *job, const int32_t *which, int n)
{
    const struct groups *g = job->g;
    for (int j = 0; j < n; j++) {
        int i = which[j];
        job->views[j] = acts_from(job->inner, g->start[i]);
        job->list[j] =
            (struct linear){.y = job->out->data + (size_t)g->start[i] * (size_t)job->out->cols,
                            .ldy = (size_t)job->out->cols,
                            .w = active_expert(job->a, g, i)->down,
                            .n_rows = job->out->cols,
                            .x = &job->views[j],
                            .n_t = g->start[i + 1] - g->start[i]};
    }
    linears_run(s, job->list, n);
}

/* The n active experts in which[], for all of their tokens. */
static void run_experts(struct step *s, struct expert_job *job, const int32_t *which, int n)
{
    const struct groups *g = job->g;
    int n_places = 0;
    for (int j = 0; j < n; j++)
        for (int place = g->start[which[j]]; place < g->start[which[j] + 1]; place++)
            job->places[n_places++] = place;
    run_in(s, job, which, n);
    cpu_run(s, n_places, 1, activate_places, job);
    run_out(s, job, which, n);
}

/* Experts on demand: those that have slots while the others are read. Each has its own rows of the
 * result, so the order does not matter. */
static void run_from_slots(struct step *s, struct expert_job *job, int32_t *which)
{
    struct slots *c = cpu_of(s)->slots;
    const struct experts_args *a = job->a;
    int n_routed = job->g->n_active - (a->shared ? 1 : 0), n;
    slots_need(c, a->experts, a->n_experts, job->g->expert, n_routed);
    if (a->shared) run_experts(s, job, &n_routed, 1);
    struct err err = {0};
    while ((n = slots_next(c, which, &err)) > 0) {
        run_experts(s, job, which, n);
        slots_give(c, which, n);
    }
    if (n < 0) step_fail(s, err.code, err.message);
}

void cpu_experts(struct step *s, const struct experts_args *a)
{
    size_t mark = step_mark(s);
    struct groups g;
    if (group_pairs(s, &g, a)) return;
    int inner_dim = a->experts[0].gate->rows;
    size_t n_active = (size_t)g.n_active;
    struct tensor gate = step_f32(s, g.n_places, inner_dim),
                  up = step_f32(s, g.n_places, inner_dim);
    struct tensor out = step_f32(s, g.n_places, a->y->cols);
    struct acts inner = step_acts(s, g.n_places, inner_dim);
    float *weight = cpu_scratch(s, (size_t)g.n_places * sizeof *weight);
    int32_t *places = cpu_scratch(s, (size_t)g.n_places * sizeof *places);
    struct linear *list = cpu_scratch(s, 2 * n_active * sizeof *list);
    struct acts *views = cpu_scratch(s, n_active * sizeof *views);
    int32_t *which = cpu_scratch(s, n_active * sizeof *which);
    if (s->err.code != ERR_NONE) return;

    for (int i = 0; i < g.n_pairs; i++)
        weight[g.place[i]] = a->w->data[i];
    for (int i = g.n_pairs; i < g.n_places; i++)
        weight[i] = 1.0f;
    for (int i = 0; i < g.n_active; i++)
        which[i] = i;
    struct expert_job job = {cpu_of(s), a,      &g,     weight, &gate, &up,
                             &out,      &inner, places, list,   views};
    if (cpu_of(s)->slots && packed_is_deferred(a->experts[0].gate))
        run_from_slots(s, &job, which);
    else
        run_experts(s, &job, which, g.n_active);
    if (s->err.code != ERR_NONE) return;
    cpu_run(s, a->x->rows, 1, combine_rows, &job);
    step_release(s, mark);
}

void cpu_expect(struct step *s, const struct expect_args *a)
{
    if (!cpu_of(s)->slots || !packed_is_deferred(a->experts[0].gate)) return;
    size_t mark = step_mark(s), k = (size_t)a->table->cols;
    int32_t *ids = cpu_scratch(s, (size_t)a->n_experts * sizeof *ids);
    uint8_t *seen = cpu_scratch(s, (size_t)a->n_experts);
    if (s->err.code != ERR_NONE) return;
    memset(seen, 0, (size_t)a->n_experts);
    int n = 0;
    for (int t = 0; t < s->rows.n_rows; t++) {
        const int32_t *row = packed_i32(a->table) + (size_t)s->rows.tokens[t] * k;
        for (size_t i = 0; i < k; i++) {
            if (!seen[row[i]]) ids[n++] = row[i];
            seen[row[i]] = 1;
        }
    }
    slots_expect(cpu_of(s)->slots, a->experts, ids, n);
    step_release(s, mark);
}
