/* What became of the requests of a load, and how long they took. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

/* Numbers, all kept, for exact quantiles. Zero-initialise. */
struct samples {
    float *values;
    size_t n, cap;
    bool sorted;
};

void samples_add(struct samples *s, double x); /* aborts without memory */
void samples_fini(struct samples *s);
/* q in [0, 1], linear between neighbours; NaN when there is none. Sorts. */
double samples_quantile(struct samples *s, double q);

enum load_outcome {
    LOAD_WHOLE,     /* 200, with finish_reason and [DONE] */
    LOAD_REFUSED,   /* another status than 200 */
    LOAD_FAILED,    /* an error event */
    LOAD_CUT,       /* the connection or the answer ended too early */
    LOAD_MALFORMED, /* no HTTP, no events, no JSON */
    LOAD_NO_CONNECTION,
    LOAD_TIMEOUT,
    LOAD_STOPPED, /* by us, when the run was interrupted */
    LOAD_OUTCOMES
};

/* "whole", "refused", ... */
const char *load_outcome_name(enum load_outcome o);

/* One request. Times are in seconds since the moment it was to be sent; first is NaN without text. */
struct load_answer {
    enum load_outcome outcome;
    int status;       /* 0: none came */
    bool retry_after; /* a refusal said when to come again */
    double first;     /* until the first event with text */
    double whole;     /* until the end */
    double gap; /* mean between tokens: from the first text to the last, over the tokens but one */
    long prompt_tokens, cached_tokens, answer_tokens;
};

struct load_limits {
    double first, gap; /* seconds; 0: no limit */
};

enum { LOAD_MAX_STATUS = 599 };

struct load_result {
    struct load_limits limits;
    long n, outcomes[LOAD_OUTCOMES];
    long statuses[LOAD_MAX_STATUS + 1];               /* of answers other than 200 */
    long n_retry_after;                               /* refusals that said when to come again */
    long n_good;                                      /* whole ones within both limits */
    long prompt_tokens, cached_tokens, answer_tokens; /* of whole ones, as the server counts */
    struct samples first, whole; /* seconds, of whole answers; first where there was text */
    struct samples gaps;         /* seconds between two texts of an answer, whole or not */
    struct samples refusals;     /* seconds until a refusal was there */
    double seconds;              /* from the start to the last end */
    bool stopped;
};

void load_result_fini(struct load_result *r);
void load_result_add(struct load_result *r, const struct load_answer *a);
