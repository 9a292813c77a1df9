#include "engine/round.h"

#include <stdlib.h>

#include "base/clock.h"
#include "engine/speculate.h"
#include "model/model.h"

struct round {
    struct model *model;
    int n_max, vocab, width; /* width: values of a row's streams */
    size_t n_rows;       /* of logits: n_max (1 + GENERATE_MAX_DRAFT) + GENERATE_PROMPT_LOGITS */
    float *logits;       /* [n_rows, V] */
    float *streams;      /* [n_rows, width]; NULL without MTP, as what follows */
    float *draft_logits; /* [n_max, V] */
    struct model_draft *drafts;
    int *drafting; /* [n_max] the answers that draft */
    /* the last pass */
    struct generation *const *g;
    const struct model_input *in;
    int *row; /* [n_max] each answer's first row of logits */
};

int round_new(struct round **out, struct model *m, int n, struct err *err)
{
    const struct config *c = model_config(m);
    size_t size = (size_t)n, vocab = (size_t)c->vocab;
    size_t rows = size * (model_has_mtp(m) ? 1 + GENERATE_MAX_DRAFT : 1) + GENERATE_PROMPT_LOGITS;
    struct round *r = calloc(1, sizeof *r);
    *out = NULL;
    if (!r) return err_set(err, ERR_LIMIT, "no memory for a step of %d answers", n);
    *r = (struct round){
        .model = m, .n_max = n, .vocab = c->vocab, .width = c->hc_mult * c->dim, .n_rows = rows};
    r->logits = malloc(rows * vocab * sizeof *r->logits);
    r->row = malloc(size * sizeof *r->row);
    bool bad = !r->logits || !r->row;
    if (!bad && model_has_mtp(m)) {
        r->streams = malloc(rows * (size_t)r->width * sizeof *r->streams);
        r->draft_logits = malloc(size * vocab * sizeof *r->draft_logits);
        r->drafts = malloc(size * sizeof *r->drafts);
        r->drafting = malloc(size * sizeof *r->drafting);
        bad = !r->streams || !r->draft_logits || !r->drafts || !r->drafting;
    }
    if (bad) {
        round_free(r);
        return err_set(err, ERR_LIMIT, "no memory for the logits of %d answers", n);
    }
    *out = r;
    return 0;
}

void round_free(struct round *r)
{
    if (!r) return;
    free(r->logits);
    free(r->streams);
    free(r->draft_logits);
    free(r->drafts);
    free(r->drafting);
    free(r->row);
    free(r);
}

/* The answers that could draft; returns how many. */
static int find_drafting(struct round *r, struct generation *const *g, int n,
                         struct speculate **control)
{
    int n_drafts = 0;
    *control = NULL;
    for (int i = 0; i < n; i++) {
        if (!generation_speculate(g[i])) continue;
        *control = generation_speculate(g[i]);
        if (r->drafts && generation_wants_draft(g[i])) r->drafting[n_drafts++] = i;
    }
    return n_drafts;
}

/* Adds a row to the shares of the answers that draft; returns to how many. A failure of MTP is none of
 * the answers': they go on without. */
static int add_drafts(struct round *r, struct generation *const *g, struct model_input *in,
                      int n_drafts)
{
    int n_added = 0;
    for (int k = 0; k < n_drafts; k++) {
        const struct model_input *share = &in[r->drafting[k]];
        r->drafts[k] = (struct model_draft){share->kv, share->tokens[0]};
    }
    if (model_draft(r->model, r->drafts, n_drafts, r->draft_logits, NULL)) return 0;
    for (int k = 0; k < n_drafts; k++) {
        int i = r->drafting[k];
        const float *logits = r->draft_logits + (size_t)k * (size_t)r->vocab;
        n_added += generation_draft(g[i], logits, &in[i]);
    }
    return n_added;
}

/* What the shares are: all their rows, and how many of them are one token whose logits are wanted, which
 * is an answer that goes on (or the last token of a prompt, now and then). */
static int count_rows(const struct model_input *in, int n, int *n_drawing)
{
    int rows = 0;
    *n_drawing = 0;
    for (int i = 0; i < n; i++) {
        rows += in[i].n;
        *n_drawing += in[i].n == 1 && in[i].n_logits == 1;
    }
    return rows;
}

int round_run(struct round *r, struct generation *const *g, struct model_input *in, int n,
              int max_rows, struct err *err)
{
    struct speculate *control;
    int n_drawing, rows = count_rows(in, n, &n_drawing);
    int n_drafts = find_drafting(r, g, n, &control), n_added = 0;
    CHECK(n >= 1 && n <= r->n_max, "a step of %d answers", n);
    bool can_draft = n_drafts && n_drafts <= max_rows - rows, timed = can_draft && n_drawing == n;
    bool drafted = can_draft && speculate_wants(control, n_drawing, timed);
    double start = clock_seconds();
    if (drafted) n_added = add_drafts(r, g, in, n_drafts);

    r->g = g;
    r->in = in;
    rows = 0;
    for (int i = 0; i < n; i++) {
        r->row[i] = rows;
        rows += in[i].n_logits;
    }
    CHECK((size_t)rows <= r->n_rows, "%d rows of logits, room for %zu", rows, r->n_rows);
    struct model_output out = {.logits = rows ? r->logits : NULL,
                               .streams = n_added ? r->streams : NULL};
    if (model_forward(r->model, in, n, &out, NULL, err)) return -1;
    if (timed) speculate_note_step(control, n, drafted, n_added, clock_seconds() - start);
    return 0;
}

int round_accept(struct round *r, int i, struct err *err)
{
    size_t row = (size_t)r->row[i];
    if (!r->in[i].n_logits) return 0;
    return generation_accept(r->g[i], r->logits + row * (size_t)r->vocab,
                             r->streams ? r->streams + row * (size_t)r->width : NULL, err);
}
