#include "engine/generate.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "engine/round.h"
#include "engine/speculate.h"
#include "model/model.h"

struct generation {
    struct session *session;
    struct generate_options o;
    int vocab;
    int first; /* index of the first token drawn */
    bool wants_snapshot;
    int pause_at;              /* tokens fed of the prompt; INT_MAX: no more */
    double began, prompt_done; /* clock; 0: not yet */
    struct sampler *sampler;
    struct parser *parser;        /* NULL without tokenizer */
    struct constraint_run *bound; /* NULL: the answer is free */
    uint64_t *going_on; /* [V] bits, of the tokens that end nothing; NULL without min_tokens */
    struct pick *picks; /* with logprobs */
    int cap_picks;
    struct kv_undo *undo;             /* NULL: no drafts */
    struct kv *kv;                    /* of the session, while a draft is in the step */
    int rows[1 + GENERATE_MAX_DRAFT]; /* the step's tokens then: one drawn, and the draft */
    int n_draft;                      /* in the step */
    int n_told;                       /* rows of the step that tell of the prompt */
    bool done;
    struct generation_result result;
};

const char *finish_name(enum finish f)
{
    static const char *const names[] = {[FINISH_STOP] = "stop",
                                        [FINISH_LENGTH] = "length",
                                        [FINISH_TOOL_CALLS] = "tool_calls",
                                        [FINISH_CANCELLED] = "cancelled"};
    return names[f];
}

static int check_options(const struct session *s, const struct generate_options *o, struct err *err)
{
    int n = session_length(s);
    if (o->chunk < 1) return err_set(err, ERR_ARGUMENT, "chunk %d is below 1", o->chunk);
    if (o->max_tokens < -1)
        return err_set(err, ERR_ARGUMENT, "%d tokens to generate: below -1", o->max_tokens);
    if (o->constraint && (!o->tokenizer || o->ignore_eos || o->min_tokens > 0))
        return err_set(err, ERR_ARGUMENT, "a constraint wants text, and EOS to end it");
    if (session_fed(s) == n) return err_set(err, ERR_ARGUMENT, "nothing to continue: no new token");
    if (n > o->max_context)
        return err_set(err, ERR_LIMIT, "the prompt has %d tokens, the context %d", n,
                       o->max_context);
    return 0;
}

static bool is_end(const struct generation *g, int id)
{
    if (id == g->o.eos && !g->o.ignore_eos) return true;
    for (int i = 0; i < g->o.n_stop_ids; i++)
        if (id == g->o.stop_ids[i]) return true;
    return false;
}

static void not_going_on(struct generation *g, int id)
{
    if (id >= 0 && id < g->vocab) g->going_on[id / 64] &= ~((uint64_t)1 << id % 64);
}

static int find_going_on(struct generation *g, struct err *err)
{
    size_t words = ((size_t)g->vocab + 63) / 64;
    if (g->o.min_tokens <= 0) return 0;
    g->going_on = calloc(words, sizeof *g->going_on);
    if (!g->going_on) return err_set(err, ERR_LIMIT, "no memory for a generation");
    memset(g->going_on, 0xff, words * sizeof *g->going_on);
    if (g->vocab % 64) g->going_on[words - 1] = ((uint64_t)1 << g->vocab % 64) - 1;
    if (!g->o.ignore_eos) not_going_on(g, g->o.eos);
    for (int i = 0; i < g->o.n_stop_ids; i++)
        not_going_on(g, g->o.stop_ids[i]);
    for (size_t i = 0; i < words; i++)
        if (g->going_on[i]) return 0;
    return err_set(err, ERR_ARGUMENT, "every token ends the answer");
}

int generation_open(struct generation **out, struct session *s, const struct generate_options *o,
                    struct err *err)
{
    *out = NULL;
    if (check_options(s, o, err)) return -1;
    struct generation *g = calloc(1, sizeof *g);
    if (!g) return err_set(err, ERR_LIMIT, "no memory for a generation");
    g->session = s;
    g->o = *o;
    g->vocab = model_config(session_model(s))->vocab;
    g->first = session_length(s);
    g->pause_at = o->pause ? session_fed(s) : INT_MAX;
    g->wants_snapshot = o->snapshot && session_fed(s) <= g->first - 1;
    if (sampler_new(&g->sampler, &o->sampling, g->vocab, err)) goto fail;
    if (o->tokenizer) {
        g->o.parse.ids.eos = o->ignore_eos ? -1 : o->eos;
        if (parse_new(&g->parser, &g->o.parse, o->emit, o->ctx, err)) goto fail;
    }
    if (o->constraint && constraint_begin(&g->bound, o->constraint, o->parse.thinking, err))
        goto fail;
    if (find_going_on(g, err)) goto fail;
    /* Without room for its block there are no drafts; that is no failure. */
    if (o->speculate && model_has_mtp(session_model(s)) &&
        kv_undo_rows(model_layout(session_model(s))) > GENERATE_MAX_DRAFT &&
        kv_undo_new(&g->undo, session_pool(s), GENERATE_MAX_DRAFT, NULL))
        g->undo = NULL;
    g->result.stats.n_prompt = g->first;
    g->result.stats.n_reused = session_fed(s);
    *out = g;
    return 0;

fail:
    generation_close(g);
    return -1;
}

void generation_close(struct generation *g)
{
    if (!g) return;
    parse_free(g->parser);
    constraint_end(g->bound);
    free(g->going_on);
    kv_undo_free(g->undo);
    sampler_free(g->sampler);
    free(g->picks);
    free(g);
}

static int keep_pick(struct generation *g, const struct pick *pick, struct err *err)
{
    if (g->o.sampling.logprobs < 0) return 0;
    if (g->result.n == g->cap_picks) {
        int cap = g->cap_picks ? 2 * g->cap_picks : 64;
        struct pick *grown = realloc(g->picks, (size_t)cap * sizeof *grown);
        if (!grown) return err_set(err, ERR_LIMIT, "no memory for %d log-probabilities", cap);
        g->picks = grown;
        g->cap_picks = cap;
    }
    g->picks[g->result.n] = *pick;
    g->result.picks = g->picks;
    return 0;
}

/* Closes the answer. The parser knows best whether there were tool calls. */
static int finish(struct generation *g, enum finish why, struct err *err)
{
    g->done = true;
    g->result.finish = why;
    if (g->prompt_done > 0) g->result.stats.decode_seconds = clock_seconds() - g->prompt_done;
    if (!g->parser) return 1;
    if (parse_end(g->parser, why == FINISH_STOP ? PARSE_STOP : PARSE_LENGTH, err)) return -1;
    g->result.text = parse_result(g->parser);
    if (g->result.text->finish == PARSE_TOOL_CALLS && why != FINISH_CANCELLED)
        g->result.finish = FINISH_TOOL_CALLS;
    return 1;
}

/* Hands the token to the parser. 1: the answer is complete. */
static int parse_drawn(struct generation *g, int id, struct err *err)
{
    bool is_eos = id == g->o.eos;
    if (!g->parser) return is_eos && !g->o.ignore_eos;
    size_t size = 0;
    const char *bytes = is_eos ? NULL : tokenizer_piece(g->o.tokenizer, id, &size);
    return parse_token(g->parser, id, bytes ? bytes : "", size, err);
}

static bool is_full(const struct generation *g)
{
    return g->result.n == g->o.max_tokens || session_length(g->session) >= g->o.max_context;
}

/* What the next draw may choose from. */
static int allow(struct generation *g, struct err *err)
{
    const uint64_t *mask = g->result.n < g->o.min_tokens ? g->going_on : NULL;
    if (g->bound && constraint_mask(g->bound, &mask, err)) return -1;
    sampler_allow(g->sampler, mask);
    return 0;
}

/* Takes the token into account for text and constraint. 1: the answer is complete. */
static int read_drawn(struct generation *g, int id, struct err *err)
{
    if ((id != g->o.eos || g->o.ignore_eos) && is_end(g, id)) return 1;
    int ended = g->bound ? constraint_token(g->bound, id, err) : 0;
    int rc = ended < 0 ? -1 : parse_drawn(g, id, err);
    return rc ? rc : ended;
}

/* The next token, from the logits of the one before. 1: the answer is complete. */
static int draw_next(struct generation *g, const float *logits, int *drawn, struct err *err)
{
    struct session *s = g->session;
    if (is_full(g)) return finish(g, FINISH_LENGTH, err);
    struct pick pick;
    struct sampler_key key = session_key(s);
    if (allow(g, err) ||
        sampler_pick(g->sampler, logits, session_tokens(s), session_length(s), &key, &pick, err) ||
        keep_pick(g, &pick, err))
        return -1;
    int32_t id = *drawn = pick.id;
    if (session_append(s, &id, 1, err)) return -1;
    g->result.ids = session_tokens(s) + g->first;
    g->result.n++;
    g->result.stats.n_generated++;
    if (g->o.drawn) g->o.drawn(g->o.ctx, &pick);
    int rc = read_drawn(g, id, err);
    if (rc < 0) return -1;
    if (rc) return finish(g, FINISH_STOP, err);
    return is_full(g) ? finish(g, FINISH_LENGTH, err) : 0;
}

bool generation_wants_prompt(const struct generation *g)
{
    return g->o.prompted && session_fed(g->session) < g->first;
}

/* The step's last n_told rows fed the tokens before [fed - n_told, fed): each tells of the token behind it, but
 * for the last one of the prompt. Returns the logits of the last row. */
static const float *tell_prompt(struct generation *g, const float *logits)
{
    const int32_t *tokens = session_tokens(g->session);
    int fed = session_fed(g->session), n = g->n_told, n_top = g->o.sampling.logprobs;
    for (int i = 0; i < n; i++) {
        int next = fed - n + i + 1;
        struct pick p = {0};
        if (next == g->first) break;
        p.id = tokens[next];
        pick_report(&p, logits + (size_t)i * (size_t)g->vocab, g->vocab, n_top > 0 ? n_top : 0);
        g->o.prompted(g->o.ctx, &p);
    }
    g->n_told = 0;
    return logits + (size_t)(n - 1) * (size_t)g->vocab;
}

int generation_accept(struct generation *g, const float *logits, const float *streams,
                      struct err *err)
{
    CHECK(!g->done, "the answer is complete");
    if (g->n_told) {
        logits = tell_prompt(g, logits);
        if (session_fed(g->session) < g->first) return 0;
    }
    if (g->prompt_done == 0) {
        g->prompt_done = clock_seconds();
        g->result.stats.prompt_seconds = g->prompt_done - g->began;
    }
    int n = g->n_draft, right = 0, rc, id = -1;
    for (;;) {
        rc = draw_next(g, logits + (size_t)right * (size_t)g->vocab, &id, err);
        if (rc || right == n || id != g->rows[1 + right] || generation_is_cancelled(g)) break;
        right++;
    }
    g->n_draft = 0;
    if (n == 0) return rc;
    const struct config *c = model_config(session_model(g->session));
    size_t width = (size_t)c->hc_mult * (size_t)c->dim;
    if (right < n)
        kv_undo_back(g->undo, g->kv, kv_length(g->kv) - n + right, streams + (size_t)right * width);
    g->result.stats.n_drafts += n;
    g->result.stats.n_right += right;
    speculate_note_drafts(g->o.speculate, n, right);
    return rc;
}

struct speculate *generation_speculate(const struct generation *g)
{
    return g->o.speculate;
}

bool generation_wants_draft(const struct generation *g)
{
    const struct session *s = g->session;
    int n = session_length(s);
    return g->undo && g->result.n > 0 && n - session_fed(s) == 1 &&
           g->result.n + 1 != g->o.max_tokens && n + 1 < g->o.max_context;
}

bool generation_draft(struct generation *g, const float *mtp_logits, struct model_input *in)
{
    const struct session *s = g->session;
    struct sampler_key key = session_key(s);
    int n = session_length(s), id;
    /* From the same mask as the true draw, or the draft could not come true. */
    if (allow(g, NULL)) return false;
    if (sampler_draw(g->sampler, mtp_logits, session_tokens(s), n, &key, &id, NULL)) return false;
    if (is_end(g, id)) return false;
    if (kv_reserve(in->kv, 2, NULL)) return false;
    g->kv = in->kv;
    g->rows[0] = in->tokens[0];
    g->rows[1] = id;
    g->n_draft = 1;
    kv_undo_keep(g->undo, g->kv, n, 1);
    in->tokens = g->rows;
    in->n = in->n_logits = 2;
    return true;
}

/* Rows of the prompt up to the next pause, after the one that may be due. */
static int rows_to_pause(struct generation *g)
{
    int fed = session_fed(g->session);
    if (fed == g->pause_at) {
        int next = g->o.pause(g->o.ctx, g->session);
        CHECK(next > fed, "a pause at %d of a prompt that is fed up to %d", next, fed);
        g->pause_at = next < g->first ? next : INT_MAX;
    }
    return g->pause_at == INT_MAX ? INT_MAX : g->pause_at - fed;
}

int generation_input(struct generation *g, int max_rows, struct model_input *in, struct err *err)
{
    CHECK(!g->done, "the answer is complete");
    struct session *s = g->session;
    if (g->began == 0) g->began = clock_seconds();
    int before_last = g->first - 1 - session_fed(s);
    if (g->wants_snapshot && before_last == 0) {
        *g->o.snapshot = session_fork(s);
        if (!*g->o.snapshot) return err_set(err, ERR_LIMIT, "no memory for a snapshot");
        g->wants_snapshot = false;
    }
    if (g->wants_snapshot && before_last < max_rows) max_rows = before_last;
    int left = rows_to_pause(g);
    if (left < max_rows) max_rows = left;
    bool tells = generation_wants_prompt(g);
    if (tells && max_rows > GENERATE_PROMPT_LOGITS) max_rows = GENERATE_PROMPT_LOGITS;
    session_input(s, max_rows, in);
    if (tells) in->n_logits = g->n_told = in->n;
    return 0;
}

bool generation_is_cancelled(const struct generation *g)
{
    return g->o.cancel && atomic_load(g->o.cancel);
}

int generation_cancel(struct generation *g, struct err *err)
{
    CHECK(!g->done, "the answer is complete");
    return finish(g, FINISH_CANCELLED, err) < 0 ? -1 : 0;
}

int generation_run(struct generation *g, struct err *err)
{
    struct round *round = NULL;
    int rc = round_new(&round, session_model(g->session), 1, err);
    while (rc == 0 && !g->done) {
        struct model_input in;
        if (generation_is_cancelled(g)) {
            rc = generation_cancel(g, err);
            break;
        }
        rc = generation_input(g, g->o.chunk, &in, err);
        if (rc == 0) rc = round_run(round, &g, &in, 1, INT_MAX, err);
        if (rc == 0) rc = round_accept(round, 0, err);
    }
    round_free(round);
    return rc < 0 ? -1 : 0;
}

const struct generation_result *generation_result(const struct generation *g)
{
    return &g->result;
}
