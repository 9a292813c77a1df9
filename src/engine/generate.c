#include "engine/generate.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "model/model.h"

struct generation {
    struct session *session;
    struct generate_options o;
    int vocab;
    int first; /* index of the first token drawn */
    bool wants_snapshot;
    double began, prompt_done; /* clock; 0: not yet */
    struct sampler *sampler;
    struct parser *parser; /* NULL without tokenizer */
    struct pick *picks;    /* with logprobs */
    int cap_picks;
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
    if (session_fed(s) == n) return err_set(err, ERR_ARGUMENT, "nothing to continue: no new token");
    if (n > o->max_context)
        return err_set(err, ERR_LIMIT, "the prompt has %d tokens, the context %d", n,
                       o->max_context);
    return 0;
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
    g->wants_snapshot = o->snapshot && session_fed(s) <= g->first - 1;
    if (sampler_new(&g->sampler, &o->sampling, g->vocab, err)) goto fail;
    if (o->tokenizer) {
        g->o.parse.ids.eos = o->ignore_eos ? -1 : o->eos;
        if (parse_new(&g->parser, &g->o.parse, o->emit, o->ctx, err)) goto fail;
    }
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

int generation_accept(struct generation *g, const float *logits, struct err *err)
{
    CHECK(!g->done, "the answer is complete");
    struct session *s = g->session;
    if (g->prompt_done == 0) {
        g->prompt_done = clock_seconds();
        g->result.stats.prompt_seconds = g->prompt_done - g->began;
    }
    if (is_full(g)) return finish(g, FINISH_LENGTH, err);
    struct pick pick;
    struct sampler_key key = session_key(s);
    if (sampler_pick(g->sampler, logits, session_tokens(s), session_length(s), &key, &pick, err) ||
        keep_pick(g, &pick, err))
        return -1;
    int32_t id = pick.id;
    if (session_append(s, &id, 1, err)) return -1;
    g->result.ids = session_tokens(s) + g->first;
    g->result.n++;
    g->result.stats.n_generated++;
    int rc = parse_drawn(g, id, err);
    if (rc < 0) return -1;
    if (rc) return finish(g, FINISH_STOP, err);
    return is_full(g) ? finish(g, FINISH_LENGTH, err) : 0;
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
    session_input(s, max_rows, in);
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
    float *logits = malloc((size_t)g->vocab * sizeof *logits);
    if (!logits) return err_set(err, ERR_LIMIT, "no memory for the logits of %d tokens", g->vocab);
    int rc = 0;
    while (rc == 0 && !g->done) {
        struct model_input in;
        if (generation_is_cancelled(g)) {
            rc = generation_cancel(g, err);
            break;
        }
        rc = generation_input(g, g->o.chunk, &in, err);
        struct model_output out = {.logits = in.n_logits ? logits : NULL};
        if (rc == 0) rc = model_forward(session_model(g->session), &in, 1, &out, NULL, err);
        if (rc == 0 && in.n_logits) rc = generation_accept(g, logits, err);
    }
    free(logits);
    return rc < 0 ? -1 : 0;
}

const struct generation_result *generation_result(const struct generation *g)
{
    return &g->result;
}
