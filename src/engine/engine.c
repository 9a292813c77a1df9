#include "engine/engine.h"

#include <stdlib.h>

#include "engine/state_file.h"
#include "model/model.h"

struct engine {
    struct model *model;
    struct tokenizer *tokenizer; /* or NULL */
    struct kv_pool *pool;
    struct speculate *speculate; /* NULL: no drafts */
    int context;
    size_t memory; /* of the pool */
    size_t cache;  /* of it, a prefix cache may take */
    int user;      /* the token before a user's message; -1: none */
};

enum { DEFAULT_CONTEXT = 65536 };

/* A fork may hold a live block and one page of its own. */
static size_t fork_bytes(const struct kv_layout *l)
{
    return l->live_bytes + l->page_bytes;
}

/* Blocks of a session of `n` positions and of a fork along its way: one more of each while it is copied.
 * It may have a draft to take back. */
static size_t session_bytes(const struct kv_layout *l, int n)
{
    size_t pages = (size_t)n / KV_PAGE + 1;
    return pages * l->page_bytes + kv_undo_bytes(l, GENERATE_MAX_DRAFT) + 2 * fork_bytes(l);
}

int engine_open(struct engine **out, struct model *m, struct tokenizer *t,
                const struct engine_options *o, struct err *err)
{
    *out = NULL;
    const struct config *c = model_config(m);
    int context = o->max_context ? o->max_context : DEFAULT_CONTEXT;
    if (!o->max_context && context > c->max_positions) context = c->max_positions;
    if (context < 1 || context > c->max_positions)
        return err_set(err, ERR_ARGUMENT, "a context of %d tokens; the model has 1 to %d", context,
                       c->max_positions);
    if (t && tokenizer_count(t) > c->vocab)
        return err_set(err, ERR_FORMAT, "the tokenizer has %d ids, the model only %d logits",
                       tokenizer_count(t), c->vocab);
    int n_sessions = o->n_sessions ? o->n_sessions : 1;
    CHECK(n_sessions > 0 && o->n_snapshots >= 0, "%d sessions, %d snapshots", n_sessions,
          o->n_snapshots);
    struct engine *e = calloc(1, sizeof *e);
    if (!e) return err_set(err, ERR_LIMIT, "no memory for an engine");
    *e = (struct engine){.model = m, .tokenizer = t, .context = context};
    if (o->drafts != SPECULATE_OFF && model_has_mtp(m)) {
        e->speculate = speculate_new(o->drafts);
        if (!e->speculate) {
            free(e);
            return err_set(err, ERR_LIMIT, "no memory for an engine");
        }
    }
    const struct kv_layout *l = model_layout(m);
    e->memory =
        (size_t)n_sessions * session_bytes(l, context) + (size_t)o->n_snapshots * fork_bytes(l);
    e->memory = o->cache < SIZE_MAX - e->memory ? e->memory + o->cache : SIZE_MAX;
    if (o->memory && o->memory < e->memory) e->memory = o->memory;
    if (e->memory < session_bytes(l, context)) {
        err_set(err, ERR_LIMIT, "a session of %d tokens takes %zu bytes, there are %zu", context,
                session_bytes(l, context), o->memory);
        engine_close(e);
        return -1;
    }
    e->cache = o->cache < e->memory ? o->cache : e->memory;
    e->user = t ? tokenizer_find(t, "<｜User｜>") : -1;
    e->pool = kv_pool_new(model_backend(m), l, e->memory);
    *out = e;
    return 0;
}

void engine_close(struct engine *e)
{
    if (!e) return;
    kv_pool_free(e->pool);
    speculate_free(e->speculate);
    free(e);
}

size_t engine_memory(const struct engine *e)
{
    return e->memory;
}

size_t engine_session_bytes(const struct engine *e, int n_tokens)
{
    return session_bytes(model_layout(e->model), n_tokens);
}

int engine_vocab(const struct engine *e)
{
    return model_config(e->model)->vocab;
}

int engine_context(const struct engine *e)
{
    return e->context;
}

int engine_eos(const struct engine *e)
{
    return model_config(e->model)->eos;
}

const struct tokenizer *engine_tokenizer(const struct engine *e)
{
    return e->tokenizer;
}

int engine_session_new(struct session **out, struct engine *e, struct err *err)
{
    *out = session_new(e->model, e->pool);
    return *out ? 0 : err_set(err, ERR_LIMIT, "no memory for a session");
}

int engine_session_load(struct session **out, struct engine *e, const uint8_t model_digest[32],
                        const char *path, struct err *err)
{
    return session_load(out, e->model, e->pool, model_digest, path, err);
}

int engine_batch_open(struct batch **out, struct engine *e, const struct batch_options *o,
                      struct err *err)
{
    return batch_open(out, e->model, o, err);
}

int engine_cache_open(struct prefix_cache **out, struct engine *e, const struct prefix_options *o,
                      struct err *err)
{
    struct prefix_options options = *o;
    options.memory = e->cache;
    *out = NULL;
    if (!e->cache) return 0;
    return prefix_cache_open(out, e->model, e->pool, &options, err);
}

int engine_system_length(const struct engine *e, const int32_t *ids, int n)
{
    for (int i = 0; i < n && e->user >= 0; i++)
        if (ids[i] == e->user) return i;
    return 0;
}

int engine_prompt(const struct engine *e, const json_t *messages, const json_t *tools,
                  const struct prompt_options *o, struct ids *out, struct err *err)
{
    CHECK(e->tokenizer, "a prompt needs a tokenizer");
    struct prompt p = {0};
    int rc = prompt_encode(&p, messages, tools, o, err);
    if (rc == 0) rc = prompt_tokenize(&p, e->tokenizer, out, err);
    prompt_fini(&p);
    return rc;
}

int engine_raw(const struct engine *e, const char *text, size_t size, bool specials,
               struct ids *out, struct err *err)
{
    CHECK(e->tokenizer, "text needs a tokenizer");
    return tokenizer_encode(e->tokenizer, text, size, specials, out, err);
}

struct generate_options engine_generate_options(const struct engine *e, bool thinking)
{
    struct generate_options o = {
        .max_tokens = -1,
        .max_context = e->context,
        .chunk = ENGINE_CHUNK,
        .eos = engine_eos(e),
        .sampling = sampler_defaults(),
        .tokenizer = e->tokenizer,
        .parse = {.ids = {.think = -1, .end_think = -1, .dsml = -1, .eos = -1},
                  .thinking = thinking},
        .speculate = e->speculate,
    };
    if (e->tokenizer) o.parse.ids = parse_ids_of(e->tokenizer);
    return o;
}
