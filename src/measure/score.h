/* Counts of right answers, by fields of the problems.
 *
 * Accuracy is the mean over problems of the share of a problem's answers that are right; its 95 %
 * Wilson interval counts problems, not answers, as the tries of one problem are not independent. With
 * several tries, over the problems whose tries are all there:
 *   - pass: at least one is right;
 *   - majority: the answer given most often (judge_given; ties: the one of the lowest try) is right.
 * An answer that was cut off is wrong and has no vote. */
#pragma once
#include "measure/solve.h"
#include "measure/stats.h"

struct score;

struct score_row {
    const char *a,
        *b;         /* values of the two fields, "?" where a problem has none; NULL: not grouped */
    int n_problems; /* with at least one answer */
    int n_answers, n_right, n_cut;
    double accuracy;
    struct interval range;
    int n_whole, n_pass, n_majority; /* problems with all tries; with one try: of that */
    double share_sum;                /* of the problems' shares */
};

enum { SCORE_MAX_ROWS = 4096 };

/* t is borrowed. */
struct score *score_new(const struct task *t, int n_tries);
void score_free(struct score *s); /* takes NULL */

void score_add(struct score *s, const struct answer *a);

/* Rows of problems that agree in field a, or in a and b (NULL: no grouping), in the order in which they
 * first stand in the task. *rows is the caller's, its strings are the task's. ERR_LIMIT for more than
 * SCORE_MAX_ROWS. */
MUST_USE int score_rows(const struct score *s, const char *a, const char *b,
                        struct score_row **rows, int *n, struct err *err);
