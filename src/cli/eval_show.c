/* Results of problems as tables and as JSON. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/eval.h"

static double per(double n, double by)
{
    return by > 0 ? n / by : 0;
}

/* ---- JSON ---- */

json_t *eval_number(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

json_t *eval_interval(struct interval range)
{
    return json_pack("[o, o]", eval_number(range.low), eval_number(range.high));
}

int eval_print_json(json_t *root, struct err *err)
{
    bool bad = json_dumpf(root, stdout, JSON_REAL_PRECISION(12)) || putchar('\n') == EOF;
    json_decref(root);
    return bad ? err_set(err, ERR_IO, "cannot write to standard output") : 0;
}

static json_t *row_json(const struct eval_groups *g, const struct score_row *r, const char *a,
                        const char *b)
{
    json_t *o = json_object();
    if (a) json_object_set_new(o, a, json_string(r->a));
    if (b) json_object_set_new(o, b, json_string(r->b));
    json_object_set_new(o, "accuracy", eval_number(r->accuracy));
    json_object_set_new(o, "interval", eval_interval(r->range));
    json_object_set_new(o, "problems", json_integer(r->n_problems));
    json_object_set_new(o, "answers", json_integer(r->n_answers));
    json_object_set_new(o, "right", json_integer(r->n_right));
    json_object_set_new(o, "cut", json_integer(r->n_cut));
    if (g->n_tries == 1) return o;
    json_object_set_new(o, "whole", json_integer(r->n_whole));
    json_object_set_new(o, "pass", eval_number(r->n_pass / (double)r->n_whole));
    json_object_set_new(o, "pass_interval", eval_interval(stats_wilson(r->n_pass, r->n_whole)));
    json_object_set_new(o, "majority", eval_number(r->n_majority / (double)r->n_whole));
    json_object_set_new(o, "majority_interval",
                        eval_interval(stats_wilson(r->n_majority, r->n_whole)));
    return o;
}

/* Sets root[name] to the list of rows by a, or by a and b. */
static int add_rows(json_t *root, const char *name, const struct eval_groups *g, const char *a,
                    const char *b, struct err *err)
{
    struct score_row *rows;
    int n;
    if (score_rows(g->score, a, b, &rows, &n, err)) return -1;
    json_t *list = json_array();
    for (int i = 0; i < n; i++)
        json_array_append_new(list, row_json(g, &rows[i], a, b));
    json_object_set_new(root, name, list);
    free(rows);
    return 0;
}

static void add_run(json_t *root, const struct eval_groups *g)
{
    const struct solve_stats *s = g->stats;
    json_object_set_new(root, "planned", json_integer(s->n_planned));
    json_object_set_new(root, "partial", json_boolean(s->cancelled));
    json_object_set_new(root, "tries", json_integer(g->n_tries));
    json_object_set_new(root, "temperature", json_real((double)g->generate->sampling.temperature));
    json_object_set_new(root, "seed", json_integer((json_int_t)g->seed));
    json_object_set_new(root, "max_tokens", json_integer(g->generate->max_tokens));
    json_object_set_new(root, "prompt_tokens", json_integer(s->n_prompt_tokens));
    json_object_set_new(root, "generated_tokens", json_integer(s->n_tokens));
    json_object_set_new(
        root, "drafts",
        json_pack("{s:I, s:I}", "made", (json_int_t)s->n_drafts, "right", (json_int_t)s->n_right));
    json_object_set_new(root, "tokens_per_answer",
                        eval_number(per((double)s->n_tokens, s->n_answers)));
    json_object_set_new(root, "seconds", eval_number(s->seconds));
    json_object_set_new(root, "tokens_per_second",
                        eval_number(per((double)s->n_tokens, s->seconds)));
}

int eval_json(json_t *root, const struct eval_groups *g, struct err *err)
{
    struct score_row *all, none = {.accuracy = NAN, .range = {NAN, NAN}};
    int n;
    add_run(root, g);
    if (score_rows(g->score, NULL, NULL, &all, &n, err)) return -1;
    json_object_set_new(root, "overall", row_json(g, n ? all : &none, NULL, NULL));
    free(all);
    char name[2 * TASK_MAX_LABEL];
    const char *fields[2 + EVAL_MAX_BY] = {g->row, g->column};
    memcpy(fields + 2, g->by, (size_t)g->n_by * sizeof *fields);
    for (int i = 0; i < 2 + g->n_by; i++) {
        snprintf(name, sizeof name, "by_%s", fields[i]);
        if (add_rows(root, name, g, fields[i], NULL, err)) return -1;
    }
    snprintf(name, sizeof name, "by_%s_%s", g->row, g->column);
    return add_rows(root, name, g, g->row, g->column, err);
}

/* ---- tables ---- */

/* The value may be anything that a file holds. */
static void print_row(const struct eval_groups *g, const char *value, const struct score_row *r)
{
    char label[64];
    snprintf(label, sizeof label, "%s", value);
    make_printable(label);
    printf("%-20s %6.1f %%  %5.1f .. %-5.1f %7d of %-7d %6d", label, 100 * r->accuracy,
           100 * r->range.low, 100 * r->range.high, r->n_right, r->n_answers, r->n_cut);
    if (g->n_tries > 1)
        printf("  %6.1f %%  %6.1f %%", 100 * per(r->n_pass, r->n_whole),
               100 * per(r->n_majority, r->n_whole));
    putchar('\n');
}

static int print_group(const struct eval_groups *g, const char *field, struct err *err)
{
    struct score_row *rows;
    int n;
    if (score_rows(g->score, field, NULL, &rows, &n, err)) return -1;
    printf("\n%-20s accuracy  95 %% interval      right           cut", field ? field : "");
    if (g->n_tries > 1) printf("   pass@%-4d majority", g->n_tries);
    putchar('\n');
    for (int i = 0; i < n; i++)
        print_row(g, field ? rows[i].a : "all", &rows[i]);
    free(rows);
    return 0;
}

static const struct score_row *find_cell(const struct score_row *cells, int n, const char *a,
                                         const char *b)
{
    for (int i = 0; i < n; i++)
        if (!strcmp(cells[i].a, a) && !strcmp(cells[i].b, b)) return &cells[i];
    return NULL;
}

enum { CELL = 14 };

/* Two lines for each row: share and counts, then the intervals. */
static void print_matrix_row(const char *label, const struct score_row *columns, int n_columns,
                             const struct score_row *cells, int n_cells)
{
    for (int line = 0; line < 2; line++) {
        printf("%-20s", line ? "" : label);
        for (int j = 0; j < n_columns; j++) {
            const struct score_row *c = find_cell(cells, n_cells, label, columns[j].a);
            char text[64] = "";
            if (c && line == 0)
                snprintf(text, sizeof text, "%.1f %d/%d", 100 * c->accuracy, c->n_right,
                         c->n_answers);
            else if (c)
                snprintf(text, sizeof text, "%.1f..%.1f", 100 * c->range.low, 100 * c->range.high);
            printf(" %*s", CELL, text);
        }
        putchar('\n');
    }
}

static int print_matrix(const struct eval_groups *g, struct err *err)
{
    struct score_row *rows = NULL, *columns = NULL, *cells = NULL;
    int n_rows, n_columns, n_cells, rc = -1;
    if (score_rows(g->score, g->row, NULL, &rows, &n_rows, err) ||
        score_rows(g->score, g->column, NULL, &columns, &n_columns, err) ||
        score_rows(g->score, g->row, g->column, &cells, &n_cells, err))
        goto done;
    printf("\n%-20s", g->row);
    for (int j = 0; j < n_columns; j++)
        printf(" %*.*s", CELL, CELL, columns[j].a);
    putchar('\n');
    for (int i = 0; i < n_rows; i++)
        print_matrix_row(rows[i].a, columns, n_columns, cells, n_cells);
    rc = 0;
done:
    free(rows);
    free(columns);
    free(cells);
    return rc;
}

static void print_run(const struct eval_groups *g, const char *what)
{
    const struct solve_stats *s = g->stats;
    double temperature = (double)g->generate->sampling.temperature;
    if (s->cancelled)
        printf("PARTIAL: interrupted after %d of %d answers\n", s->n_answers, s->n_planned);
    printf("%s: %d answers, ", what, s->n_answers);
    if (temperature > 0)
        printf("temperature %g, seed %llu", temperature, (unsigned long long)g->seed);
    else
        printf("greedy");
    if (g->generate->max_tokens >= 0)
        printf(", at most %d tokens each\n", g->generate->max_tokens);
    else
        printf(", until the context is full\n");
    printf("%lld tokens in %.1f s: %.0f tokens/s, %.1f tokens an answer\n", (long long)s->n_tokens,
           s->seconds, per((double)s->n_tokens, s->seconds),
           per((double)s->n_tokens, s->n_answers));
    if (s->n_drafts)
        printf("%lld of %lld drafts right (%.1f %%)\n", (long long)s->n_right,
               (long long)s->n_drafts, 100 * per((double)s->n_right, (double)s->n_drafts));
}

int eval_show(const struct eval_groups *g, const char *what, struct err *err)
{
    print_run(g, what);
    if (print_group(g, NULL, err) || print_group(g, g->row, err) || print_group(g, g->column, err))
        return -1;
    for (int i = 0; i < g->n_by; i++)
        if (print_group(g, g->by[i], err)) return -1;
    return print_matrix(g, err);
}
