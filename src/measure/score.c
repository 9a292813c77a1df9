#include "measure/score.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "measure/judge.h"

enum { MAX_KEY = 1 << 16 };

enum verdict { MISSING, WRONG, RIGHT, CUT };

struct verdicts {
    enum verdict verdict;
    char *given; /* with several tries: what was answered; NULL when cut */
};

struct score {
    const struct task *task;
    int n_tries;
    struct verdicts *at; /* [problems, tries] */
};

struct score *score_new(const struct task *t, int n_tries)
{
    struct score *s = xcalloc(1, sizeof *s);
    *s = (struct score){.task = t, .n_tries = n_tries};
    s->at = xcalloc((size_t)t->n * (size_t)n_tries, sizeof *s->at);
    return s;
}

void score_free(struct score *s)
{
    if (!s) return;
    for (size_t i = 0; i < (size_t)s->task->n * (size_t)s->n_tries; i++)
        free(s->at[i].given);
    free(s->at);
    free(s);
}

void score_add(struct score *s, const struct answer *a)
{
    struct verdicts *v = &s->at[(size_t)a->problem * (size_t)s->n_tries + (size_t)a->try];
    CHECK(v->verdict == MISSING, "problem %d, try %d: counted twice", a->problem, a->try);
    v->verdict = a->right ? RIGHT : WRONG;
    if (a->result->finish == FINISH_LENGTH) {
        v->verdict = CUT;
    } else if (s->n_tries > 1 && a->result->text) {
        struct buf given;
        buf_init(&given, MAX_KEY);
        judge_given(a->result->text->content, a->result->text->content_size,
                    s->task->at[a->problem].answer, &given);
        v->given = buf_take(&given);
    }
}

static bool same_given(const struct verdicts *a, const struct verdicts *b)
{
    return a->given && b->given && !strcmp(a->given, b->given);
}

static bool majority_is_right(const struct verdicts *v, int n)
{
    int best = -1, most = 0;
    for (int i = 0; i < n; i++) {
        int votes = 0;
        for (int j = 0; j < n; j++)
            votes += same_given(&v[i], &v[j]);
        if (votes > most) {
            most = votes;
            best = i;
        }
    }
    return best >= 0 && v[best].verdict == RIGHT;
}

static void count_problem(struct score_row *row, const struct verdicts *v, int n_tries)
{
    int n = 0, right = 0;
    for (int i = 0; i < n_tries; i++) {
        n += v[i].verdict != MISSING;
        right += v[i].verdict == RIGHT;
        row->n_cut += v[i].verdict == CUT;
    }
    if (n == 0) return;
    row->n_problems++;
    row->n_answers += n;
    row->n_right += right;
    row->share_sum += (double)right / n;
    if (n < n_tries) return;
    row->n_whole++;
    row->n_pass += right > 0;
    row->n_majority += n_tries == 1 ? right : majority_is_right(v, n_tries);
}

static const char *value_of(const struct problem *p, const char *field)
{
    const char *v = field ? problem_field(p, field) : NULL;
    return v || !field ? v : "?";
}

static bool agrees(const char *x, const char *y)
{
    return !x || !strcmp(x, y);
}

/* The row of these values, made when it is new; NULL when there are too many. */
static struct score_row *find_row(struct score_row *rows, int *n, const char *a, const char *b)
{
    for (int i = 0; i < *n; i++)
        if (agrees(a, rows[i].a) && agrees(b, rows[i].b)) return &rows[i];
    if (*n == SCORE_MAX_ROWS) return NULL;
    rows[*n] = (struct score_row){.a = a, .b = b};
    return &rows[(*n)++];
}

static bool has_answers(const struct verdicts *v, int n_tries)
{
    for (int i = 0; i < n_tries; i++)
        if (v[i].verdict != MISSING) return true;
    return false;
}

int score_rows(const struct score *s, const char *a, const char *b, struct score_row **rows, int *n,
               struct err *err)
{
    *n = 0;
    *rows = xcalloc(SCORE_MAX_ROWS, sizeof **rows);
    for (int i = 0; i < s->task->n; i++) {
        const struct problem *p = &s->task->at[i];
        const struct verdicts *v = &s->at[(size_t)i * (size_t)s->n_tries];
        if (!has_answers(v, s->n_tries)) continue;
        struct score_row *row = find_row(*rows, n, value_of(p, a), value_of(p, b));
        if (!row) {
            free(*rows);
            *rows = NULL;
            return err_set(err, ERR_LIMIT, "field \"%s\": more than %d different values", b ? b : a,
                           SCORE_MAX_ROWS);
        }
        count_problem(row, v, s->n_tries);
    }
    for (int i = 0; i < *n; i++) {
        struct score_row *row = &(*rows)[i];
        row->accuracy = row->share_sum / row->n_problems;
        row->range = stats_wilson(row->share_sum, row->n_problems);
    }
    return 0;
}
