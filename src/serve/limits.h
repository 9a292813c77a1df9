/* What each key may still do, and what it has done. For the I/O thread alone.
 * Source: docs/spec, API, sections 1.1 and 6; security and reliability, rule R2.
 *
 *     limits_check(l, key, now, e)            the head of a request is here: may it go on?
 *     limits_enter(l, key, &pass, e)          it is whole: it is one of those under way
 *     limits_reserve(&pass, &demand, now, e)  its tokens are counted: the worst case is set aside
 *     limits_leave(l, &pass, &used, now)      it is over: what was not used is given back
 *
 * Refused with
 *     429   requests or tokens per minute, requests at once, or what is left of the day's tokens is set aside for
 *           requests under way. Retry-After is when enough will be there (1 s where that is not known).
 *     402   "Insufficient Balance": the day's tokens are used up, or fewer are left than the prompt has and one more.
 *           Retry-After is the next day's begin, UTC.
 *     403   a model that is not the key's (exchange_check_model).
 *
 * Per minute: a bucket that holds a minute's worth and fills evenly. Tokens are those of the prompt, cached ones
 * too, and of all answers. The worst case (max_tokens for each choice) is taken from the bucket, at most all it can hold;
 * an answer that takes more leaves it in debt. A day's tokens are never exceeded: the last answer is cut to
 * what is left (finish_reason "length"). A request counts to the day on which it ends.
 *
 * Accounts go by the key's name, and outlive a new reading of the file. They begin anew with the server. */
#pragma once
#include <stdint.h>

#include "secure/keys.h"
#include "serve/api_error.h"

/* Now; tests make their own. */
struct moment {
    double seconds; /* of a clock that never goes back */
    int64_t unix;   /* seconds, of the calendar */
};
struct moment moment_now(void);

struct limits;
struct account;

struct limits *limits_new(void);
void limits_free(struct limits *l); /* takes NULL; no pass may be out */
/* The keys that hold from here on; borrowed while called, then held. NULL: none. */
void limits_set_keys(struct limits *l, struct keys *keys);

/* What a request under way holds; zero for one without a key, which nothing limits. */
struct pass {
    struct keys *keys; /* that key belongs to, held */
    const struct key *key;
    struct account *account;
    unsigned group; /* a number of the account, from 1 on */
    int64_t from_minute, from_day;
};

/* What a request may come to. max_tokens of each choice is made smaller where the day's tokens do not reach. */
struct demand {
    int n_prompt, n_choices, max_tokens;
};

/* What it came to. */
struct used {
    int n_prompt, n_cached; /* of the prompt; of these not computed */
    int n_tokens;           /* of all answers */
};

/* key NULL: no key is wanted, and nothing is refused. Else it is one of the set. -1: refused, in e. */
int limits_check(struct limits *l, const struct key *key, struct moment now, struct api_error *e);
int limits_enter(struct limits *l, const struct key *key, struct pass *out, struct api_error *e);
/* Once for a pass. */
int limits_reserve(struct pass *pass, struct demand *d, struct moment now, struct api_error *e);
/* Takes a zero pass, and makes it zero. */
void limits_leave(struct limits *l, struct pass *pass, const struct used *used, struct moment now);

/* What was done with a key since the server began, or since the key came. */
struct key_totals {
    const char *name;
    int n_running;                  /* requests under way now */
    uint64_t n_requests, n_refused; /* let in; refused with 402 or 429 */
    uint64_t n_prompt_tokens, n_cached_tokens, n_tokens;
    int64_t used_today, daily; /* tokens; the limit, 0: none */
};

/* Calls each for every key of the set, and for those taken out of which requests are under way. */
void limits_each(const struct limits *l, struct moment now,
                 void (*each)(void *ctx, const struct key_totals *t), void *ctx);
