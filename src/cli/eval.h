/* Private to the subcommand eval: its options, its modes and how it prints. */
#pragma once
#include "cli/ask.h"
#include "measure/score.h"

enum { EVAL_MAX_TASKS = 256, EVAL_MAX_BY = 4, EVAL_MAX_POSITIONS = 16 };

struct eval_options {
    struct ask_options ask;
    const char *model;
    bool json;
    int limit; /* 0: all, or the mode's default */
    int batch; /* 0: the mode's default */
    /* problems */
    const char *tasks[EVAL_MAX_TASKS];
    int n_tasks;
    const char *by[EVAL_MAX_BY];
    int n_by;
    int n_tries;
    const char *out;
    bool long_context;
    int positions[EVAL_MAX_POSITIONS];
    int n_positions;
    /* text */
    const char *text;
    bool special;     /* control tokens written in the text count as such */
    int window, skip; /* skip -1: half of the window */
    bool kl;
    const char *base, *base_mode, *base_file, *save_base;
};

/* The modes. *partial tells that Ctrl-C ended it early; what was complete is printed. */
MUST_USE int eval_task(const struct eval_options *o, bool *partial, struct err *err);
MUST_USE int eval_text(const struct eval_options *o, bool *partial, struct err *err);

/* Results of problems, for both kinds of output. */
struct eval_groups {
    const struct score *score;
    const struct solve_stats *stats;
    const struct generate_options *generate;
    const char *row, *column; /* the fields of the matrix */
    const char *const *by;    /* more fields */
    int n_by;
    int n_tries;
    uint64_t seed;
};

MUST_USE int eval_show(const struct eval_groups *g, const char *what, struct err *err);

/* Adds the same to an object. */
MUST_USE int eval_json(json_t *root, const struct eval_groups *g, struct err *err);

/* One line, and gives root back. */
MUST_USE int eval_print_json(json_t *root, struct err *err);

/* A number, or null when it is none. */
json_t *eval_number(double x);
json_t *eval_interval(struct interval range);
