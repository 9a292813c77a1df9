/* Linears and RMS norm on the CPU. */
#include "cpu/ops.h"

#include "cpu/linear.h"
#include "cpu/vec.h"

void cpu_project(struct step *s, const struct project_args *a)
{
    struct linear list[PROJECT_MAX];
    for (int i = 0; i < a->n; i++)
        list[i] = (struct linear){.y = a->y[i]->data,
                                  .ldy = (size_t)a->y[i]->cols,
                                  .w = a->w[i],
                                  .n_rows = a->w[i]->rows,
                                  .x = a->x,
                                  .n_t = a->x->rows};
    linears_run(s, list, a->n);
}

struct quantise_job {
    const struct cpu *cpu;
    const struct acts *acts;
};

static void quantise_rows(void *ctx, int first, int last, int thread)
{
    const struct quantise_job *job = ctx;
    (void)thread;
    acts_quantise(job->cpu, job->acts, first, last - first);
}

void cpu_project_grouped(struct step *s, const struct project_grouped_args *a)
{
    int m = a->w->rows / a->groups;
    size_t mark = step_mark(s);
    struct linear *list = cpu_scratch(s, (size_t)a->groups * sizeof *list);
    if (!list) return;
    for (int g = 0; g < a->groups; g++)
        list[g] = (struct linear){.y = a->y->f32 + (size_t)g * (size_t)m,
                                  .ldy = (size_t)a->y->k,
                                  .w = a->w,
                                  .row0 = g * m,
                                  .n_rows = m,
                                  .x = a->x,
                                  .x_first = g * a->w->cols,
                                  .n_t = a->x->rows};
    linears_run(s, list, a->groups);
    struct quantise_job job = {cpu_of(s), a->y};
    cpu_run(s, a->y->rows, 1, quantise_rows, &job);
    step_release(s, mark);
}

struct norm_job {
    const struct cpu *cpu;
    const struct norm_args *a;
};

static void norm_rows(void *ctx, int first, int last, int thread)
{
    const struct norm_job *job = ctx;
    const struct norm_args *a = job->a;
    (void)thread;
    for (int t = first; t < last; t++) {
        size_t at = (size_t)t * (size_t)a->x->cols;
        vec_rms_norm(job->cpu, a->y->f32 + at, a->x->data + at, packed_f32(a->w), a->x->cols,
                     a->eps);
        acts_quantise(job->cpu, a->y, t, 1);
    }
}

void cpu_norm(struct step *s, const struct norm_args *a)
{
    struct norm_job job = {cpu_of(s), a};
    cpu_run(s, a->x->rows, 1, norm_rows, &job);
}
