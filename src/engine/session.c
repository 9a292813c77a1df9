#include "engine/session.h"

#include <stdlib.h>
#include <string.h>

#include "model/model.h"

struct session {
    struct model *model;
    struct kv_pool *pool;
    struct kv *kv; /* its length is the number of tokens fed */
    int32_t *tokens;
    int n, cap;
    struct sampler_key key;
};

static struct session *session_around(struct model *m, struct kv_pool *pool, struct kv *kv)
{
    struct session *s = kv ? calloc(1, sizeof *s) : NULL;
    if (!s) {
        kv_free(kv);
        return NULL;
    }
    *s = (struct session){.model = m, .pool = pool, .kv = kv};
    return s;
}

struct session *session_new(struct model *m, struct kv_pool *pool)
{
    return session_around(m, pool, kv_new(pool));
}

struct session *session_fork(const struct session *s)
{
    struct session *fork = session_around(s->model, s->pool, kv_fork(s->kv));
    if (!fork) return NULL;
    fork->key = s->key;
    if (s->n && session_append(fork, s->tokens, s->n, NULL)) {
        session_free(fork);
        return NULL;
    }
    return fork;
}

int session_from(struct session **out, struct model *m, struct kv_pool *pool, struct kv *kv,
                 const int32_t *tokens, int n, struct sampler_key key, struct err *err)
{
    CHECK(kv_length(kv) <= n, "a state of %d positions, %d tokens", kv_length(kv), n);
    *out = NULL;
    struct session *s = session_around(m, pool, kv);
    if (!s) return err_set(err, ERR_LIMIT, "no memory for a session");
    s->key = key;
    if (n && session_append(s, tokens, n, err)) {
        session_free(s);
        return -1;
    }
    *out = s;
    return 0;
}

void session_free(struct session *s)
{
    if (!s) return;
    kv_free(s->kv);
    free(s->tokens);
    free(s);
}

const int32_t *session_tokens(const struct session *s)
{
    return s->tokens;
}

int session_length(const struct session *s)
{
    return s->n;
}

int session_fed(const struct session *s)
{
    return kv_length(s->kv);
}

struct sampler_key session_key(const struct session *s)
{
    return s->key;
}

void session_set_key(struct session *s, struct sampler_key key)
{
    s->key = key;
}

struct model *session_model(const struct session *s)
{
    return s->model;
}

const struct kv *session_kv(const struct session *s)
{
    return s->kv;
}

struct kv_pool *session_pool(const struct session *s)
{
    return s->pool;
}

int session_common(const struct session *s, const int32_t *tokens, int n)
{
    int i = 0;
    while (i < n && i < s->n && s->tokens[i] == tokens[i])
        i++;
    return i;
}

int session_append(struct session *s, const int32_t *tokens, int n, struct err *err)
{
    int vocab = model_config(s->model)->vocab;
    for (int i = 0; i < n; i++)
        if (tokens[i] < 0 || tokens[i] >= vocab)
            return err_set(err, ERR_ARGUMENT, "token %d is %d, the vocabulary has 0 to %d", i,
                           tokens[i], vocab - 1);
    if (n > INT32_MAX / 2 - s->n)
        return err_set(err, ERR_LIMIT, "%d tokens and %d more are too many", s->n, n);
    if (s->n + n > s->cap) {
        int cap = s->cap ? s->cap : 256;
        while (cap < s->n + n)
            cap *= 2;
        int32_t *grown = realloc(s->tokens, (size_t)cap * sizeof *grown);
        if (!grown) return err_set(err, ERR_LIMIT, "no memory for %d tokens", cap);
        s->tokens = grown;
        s->cap = cap;
    }
    if (n) memcpy(s->tokens + s->n, tokens, (size_t)n * sizeof *tokens);
    s->n += n;
    return 0;
}

bool session_input(const struct session *s, int max_rows, struct model_input *in)
{
    int fed = session_fed(s), pending = s->n - fed;
    if (pending == 0) return false;
    int n = pending < max_rows ? pending : max_rows;
    *in = (struct model_input){
        .kv = s->kv, .tokens = s->tokens + fed, .n = n, .n_logits = n == pending};
    return true;
}

int session_feed(struct session *s, int end, int chunk, float *logits, const atomic_bool *cancel,
                 struct err *err)
{
    CHECK(end <= s->n && chunk >= 1, "end %d of %d, chunk %d", end, s->n, chunk);
    CHECK(!logits || session_fed(s) < end, "no token below %d is pending", end);
    while (session_fed(s) < end) {
        if (cancel && atomic_load(cancel)) return err_set(err, ERR_CANCELLED, "cancelled");
        int left = end - session_fed(s);
        struct model_input in;
        session_input(s, left < chunk ? left : chunk, &in);
        in.n_logits = logits && in.n == left;
        struct model_output out = {.logits = in.n_logits ? logits : NULL};
        if (model_forward(s->model, &in, 1, &out, NULL, err)) return -1;
    }
    return 0;
}

void session_drop_pending(struct session *s)
{
    s->n = session_fed(s);
    int32_t *less = s->n ? realloc(s->tokens, (size_t)s->n * sizeof *less) : NULL;
    if (!less) return;
    s->tokens = less;
    s->cap = s->n;
}

void session_keep(struct session *s)
{
    kv_keep(s->kv);
}
