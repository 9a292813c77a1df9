#include "serve/limits.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"

enum { DAY = 86400 };

static const double MINUTE = 60;

/* How much of a minute's worth is missing. */
struct bucket {
    double missing, looked_at; /* at this time */
};

struct account {
    struct account *next;
    char name[KEY_MAX_NAME + 1];
    unsigned number;
    const struct key *key; /* in the set of now; NULL: gone */
    struct bucket requests, tokens;
    int64_t day, used_today;
    int64_t set_aside; /* of the day's tokens, for requests under way */
    struct key_totals totals;
};

struct limits {
    struct keys *keys; /* or NULL */
    struct account *first;
    unsigned n_ever;
};

struct moment moment_now(void)
{
    return (struct moment){clock_seconds(), time(NULL)};
}

/* --- accounts --- */

struct limits *limits_new(void)
{
    return xcalloc(1, sizeof(struct limits));
}

void limits_free(struct limits *l)
{
    if (!l) return;
    limits_set_keys(l, NULL);
    CHECK(!l->first, "a request of %s is under way", l->first->name);
    free(l);
}

static struct account *find_account(const struct limits *l, const char *name)
{
    for (struct account *a = l->first; a; a = a->next)
        if (!strcmp(a->name, name)) return a;
    return NULL;
}

static struct account *open_account(struct limits *l, const char *name)
{
    struct account *a = xcalloc(1, sizeof *a), **link = &l->first;
    memcpy(a->name, name, strlen(name) + 1);
    a->number = ++l->n_ever;
    while (*link)
        link = &(*link)->next;
    *link = a;
    return a;
}

/* Closes those whose key is gone and of which nothing is under way. */
static void close_accounts(struct limits *l)
{
    for (struct account **link = &l->first, *a; (a = *link);) {
        if (a->key || a->totals.n_running) {
            link = &a->next;
        } else {
            *link = a->next;
            free(a);
        }
    }
}

void limits_set_keys(struct limits *l, struct keys *keys)
{
    for (struct account *a = l->first; a; a = a->next)
        a->key = NULL;
    for (int i = 0; keys && i < keys_count(keys); i++) {
        const struct key *key = keys_get(keys, i);
        struct account *a = find_account(l, key->name);
        if (!a) a = open_account(l, key->name);
        a->key = key;
    }
    close_accounts(l);
    if (keys) keys_hold(keys);
    keys_release(l->keys);
    l->keys = keys;
}

/* --- buckets --- */

static void fill(struct bucket *b, int64_t limit, double now)
{
    b->missing -= (now - b->looked_at) * (double)limit / MINUTE;
    if (b->missing < 0) b->missing = 0;
    b->looked_at = now;
}

/* Takes n, at most all it can hold. 0, or the seconds until they are there. */
static int take(struct bucket *b, int64_t limit, int64_t n, double now)
{
    double slack = 1e-6 + 1e-9 * (double)limit; /* of rounding */
    fill(b, limit, now);
    double over = b->missing + (double)n - (double)limit;
    if (over > slack) {
        double seconds = ceil(over * MINUTE / (double)limit - 1e-9);
        return seconds < 1 ? 1 : seconds > DAY ? DAY : (int)seconds;
    }
    b->missing += (double)n;
    return 0;
}

/* --- the day --- */

static void begin_day(struct account *a, int64_t unix)
{
    if (a->day == unix / DAY) return;
    a->day = unix / DAY;
    a->used_today = 0;
}

static int refuse_day(struct account *a, int64_t unix, struct api_error *e)
{
    a->totals.n_refused++;
    api_refuse(e, 402, NULL, "Insufficient Balance");
    e->retry_after = (int)(DAY - unix % DAY);
    return -1;
}

static int refuse_now(struct account *a, int seconds, struct api_error *e, int64_t limit,
                      const char *of_what)
{
    a->totals.n_refused++;
    api_refuse(e, 429, NULL, "Rate limit reached: this key has %" PRId64 " %s", limit, of_what);
    e->retry_after = seconds;
    return -1;
}

/* --- a request --- */

static int check_running(struct account *a, const struct key *key, struct api_error *e)
{
    if (!key->concurrent || a->totals.n_running < key->concurrent) return 0;
    return refuse_now(a, 1, e, key->concurrent, "requests at once");
}

int limits_check(struct limits *l, const struct key *key, struct moment now, struct api_error *e)
{
    struct account *a = key ? find_account(l, key->name) : NULL;
    if (!a) return 0;
    begin_day(a, now.unix);
    if (key->daily && a->used_today >= key->daily) return refuse_day(a, now.unix, e);
    if (check_running(a, key, e)) return -1;
    int seconds = key->requests ? take(&a->requests, key->requests, 1, now.seconds) : 0;
    if (seconds) return refuse_now(a, seconds, e, key->requests, "requests per minute");
    a->totals.n_requests++;
    return 0;
}

int limits_enter(struct limits *l, const struct key *key, struct pass *out, struct api_error *e)
{
    struct account *a = key ? find_account(l, key->name) : NULL;
    *out = (struct pass){0};
    if (!a) return 0;
    if (check_running(a, key, e)) return -1;
    *out = (struct pass){.keys = keys_hold(l->keys), .key = key, .account = a, .group = a->number};
    a->totals.n_running++;
    return 0;
}

/* What of the day's tokens nobody has used or been promised, at least the prompt and a token for each choice;
 * then max_tokens fits in. */
static int cut_to_day(struct account *a, const struct key *key, struct demand *d, int64_t unix,
                      struct api_error *e)
{
    int64_t least = (int64_t)d->n_prompt + (d->max_tokens > 0 ? d->n_choices : 0);
    int64_t unused = key->daily - a->used_today, left = unused - a->set_aside;
    if (unused < least) return refuse_day(a, unix, e);
    if (left < least)
        return refuse_now(a, 1, e, key->daily, "tokens per day, set aside for others");
    int64_t most = (left - d->n_prompt) / d->n_choices;
    if (d->max_tokens > most) d->max_tokens = (int)most;
    return 0;
}

int limits_reserve(struct pass *pass, struct demand *d, struct moment now, struct api_error *e)
{
    struct account *a = pass->account;
    const struct key *key = pass->key;
    if (!a) return 0;
    begin_day(a, now.unix);
    if (key->daily && cut_to_day(a, key, d, now.unix, e)) return -1;
    int64_t worst = d->n_prompt + (int64_t)d->n_choices * d->max_tokens, n = worst;
    if (key->tokens) {
        if (n > key->tokens) n = key->tokens;
        int seconds = take(&a->tokens, key->tokens, n, now.seconds);
        if (seconds) return refuse_now(a, seconds, e, key->tokens, "tokens per minute");
        pass->from_minute = n;
    }
    pass->from_day = worst;
    a->set_aside += worst;
    return 0;
}

void limits_leave(struct limits *l, struct pass *pass, const struct used *used, struct moment now)
{
    struct account *a = pass->account;
    if (!a) return;
    int64_t n = (int64_t)used->n_prompt + used->n_tokens;
    begin_day(a, now.unix);
    a->set_aside -= pass->from_day;
    a->used_today += n;
    if (pass->from_minute) {
        fill(&a->tokens, pass->key->tokens, now.seconds);
        a->tokens.missing += (double)(n - pass->from_minute);
    }
    a->totals.n_running--;
    a->totals.n_prompt_tokens += (uint64_t)used->n_prompt;
    a->totals.n_cached_tokens += (uint64_t)used->n_cached;
    a->totals.n_tokens += (uint64_t)used->n_tokens;
    keys_release(pass->keys);
    *pass = (struct pass){0};
    close_accounts(l);
}

void limits_each(const struct limits *l, struct moment now,
                 void (*each)(void *ctx, const struct key_totals *t), void *ctx)
{
    for (const struct account *a = l->first; a; a = a->next) {
        struct key_totals t = a->totals;
        t.name = a->name;
        t.daily = a->key ? a->key->daily : 0;
        t.used_today = a->day == now.unix / DAY ? a->used_today : 0;
        each(ctx, &t);
    }
}
