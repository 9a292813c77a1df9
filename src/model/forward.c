/* The forward pass over any mix of sequences: spec deepseek-v4, sections 2 and 6. */
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "model/layers.h"

/* --- the rows of a step --- */

static void pass_reserve(struct pass *p, int rows, int seqs)
{
    if (rows > p->cap_rows) {
        int **arrays[] = {&p->tokens,     &p->pos,     &p->seq,     &p->logit_rows,
                          &p->mtp_tokens, &p->mtp_pos, &p->mtp_seq, &p->mtp_row};
        for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
            *arrays[i] = xrealloc(*arrays[i], (size_t)rows, sizeof(int));
        p->cap_rows = rows;
    }
    if (seqs > p->cap_seqs) {
        p->seqs = xrealloc(p->seqs, (size_t)seqs, sizeof *p->seqs);
        p->mtp_seqs = xrealloc(p->mtp_seqs, (size_t)seqs, sizeof *p->mtp_seqs);
        p->mtp_last = xrealloc(p->mtp_last, (size_t)seqs, sizeof *p->mtp_last);
        p->cap_seqs = seqs;
    }
}

static int check_inputs(const struct model *m, const struct model_input *in, int n_in,
                        struct err *err)
{
    for (int i = 0; i < n_in; i++) {
        CHECK(in[i].n >= 1 && in[i].n_logits >= 0 && in[i].n_logits <= in[i].n, "forward: input %d",
              i);
        for (int j = 0; j < i; j++)
            CHECK(in[j].kv != in[i].kv, "forward: a sequence twice in one step");
        for (int j = 0; j < in[i].n; j++)
            if (in[i].tokens[j] < 0 || in[i].tokens[j] >= m->config.vocab)
                return err_set(err, ERR_ARGUMENT, "token id %d is not in the vocabulary of %d",
                               in[i].tokens[j], m->config.vocab);
    }
    return 0;
}

/* The step's rows, and which of them give logits; returns how many do. */
static int lay_rows(struct pass *p, struct step_rows *rows, const struct model_input *in, int n_in)
{
    int t = 0, n_logits = 0;
    for (int i = 0; i < n_in; i++) {
        int pos = kv_length(in[i].kv);
        p->seqs[i] = (struct step_seq){t, in[i].n, pos, kv_live(in[i].kv), kv_pages(in[i].kv)};
        for (int j = 0; j < in[i].n; j++, t++) {
            p->tokens[t] = in[i].tokens[j];
            p->pos[t] = pos + j;
            p->seq[t] = i;
            if (j >= in[i].n - in[i].n_logits) p->logit_rows[n_logits++] = t;
        }
    }
    *rows = (struct step_rows){t, n_in, p->tokens, p->pos, p->seq, p->seqs};
    return n_logits;
}

/* MTP pairs the streams at position p - 1 with the token at p, and runs at position p - 1: one row
 * for every row of the step but position 0. */
static void lay_mtp_rows(struct pass *p, struct step_rows *rows, const struct step_rows *main)
{
    int t = 0;
    for (int i = 0; i < main->n_seqs; i++) {
        const struct step_seq *seq = &main->seqs[i];
        int skip = seq->pos == 0;
        p->mtp_seqs[i] = *seq;
        p->mtp_seqs[i].first = t;
        p->mtp_seqs[i].n = seq->n - skip;
        p->mtp_seqs[i].pos = seq->pos - !skip;
        p->mtp_last[i] = seq->first + seq->n - 1;
        for (int j = skip; j < seq->n; j++, t++) {
            p->mtp_tokens[t] = main->tokens[seq->first + j];
            p->mtp_pos[t] = seq->pos + j - 1;
            p->mtp_seq[t] = i;
            p->mtp_row[t] = j ? seq->first + j - 1 : -1;
        }
    }
    *rows = (struct step_rows){t, main->n_seqs, p->mtp_tokens, p->mtp_pos, p->mtp_seq, p->mtp_seqs};
}

/* --- the pass --- */

static void rope_tables(struct step *s, const struct model *m, struct tensor cs[ROPE_KINDS])
{
    for (int kind = 0; kind < ROPE_KINDS; kind++) {
        cs[kind] = step_f32(s, s->rows.n_rows, m->config.rope_dim);
        op_rope_rows(s, &(struct rope_rows_args){&cs[kind], &m->rope[kind]});
    }
}

static void check_finite(struct step *s, const float *logits, size_t n)
{
    for (size_t i = 0; i < n && s->err.code == ERR_NONE; i++)
        if (!isfinite(logits[i])) step_fail(s, ERR_NUMERIC, "the logits hold a NaN or an infinity");
}

static void head(struct step *s, const struct model *m, float *out, const struct tensor *h,
                 const int *rows, int n, const struct hyper_weights *hc, const struct weight *norm)
{
    if (!n || !out) return;
    size_t mark = step_mark(s);
    struct tensor logits = step_f32(s, n, m->config.vocab);
    struct hyper hyper = hyper_of(&m->config, hc);
    op_head(s, &(struct head_args){&logits, h, rows, &hyper, norm, m->head});
    step_read(s, out, &logits);
    check_finite(s, out, (size_t)n * (size_t)m->config.vocab);
    step_release(s, mark);
}

/* The MTP block over the pairs of the step's rows: hs [T, n D] streams at their positions. logits
 * NULL: only the rows that its ring needs. */
static void mtp_pairs(struct step *s, struct model *m, const struct tensor *hs, bool keep,
                      float *logits)
{
    const struct config *c = &m->config;
    const struct mtp *mtp = m->mtp;
    int rows = hs->rows;
    struct tensor in = step_f32(s, rows, hs->cols), cs[ROPE_KINDS];
    rope_tables(s, m, cs);
    op_mtp_join(s, &(struct mtp_join_args){.h = &in,
                                           .hs = hs,
                                           .embed = m->embed,
                                           .enorm = mtp->enorm,
                                           .hnorm = mtp->hnorm,
                                           .e_proj = mtp->e_proj,
                                           .h_proj = mtp->h_proj,
                                           .n = c->hc_mult,
                                           .eps = c->norm_eps});
    if (!logits) {
        layer_keep_rows(s, c, &mtp->block, &in, cs);
        return;
    }
    layer_forward(s, c, &mtp->block, &in, cs, keep);
    for (int t = 0; t < rows; t++)
        m->pass.mtp_row[t] = t;
    head(s, m, logits, &in, m->pass.mtp_row, rows, &mtp->hc_head, mtp->norm);
}

/* The MTP block over the pairs that this step completes; keeps its ring in step with the main
 * layers. */
static void mtp_forward(struct step *s, struct model *m, const struct tensor *h,
                        struct model_output *out)
{
    struct step_rows main = s->rows;
    lay_mtp_rows(&m->pass, &s->rows, &main);
    s->layer = m->config.n_layers;
    struct tensor hs = step_f32(s, s->rows.n_rows, h->cols);
    op_mtp_streams(s, &(struct mtp_streams_args){&hs, h, m->pass.mtp_row, m->pass.mtp_last,
                                                 m->layout.mtp_streams});
    if (hs.rows) mtp_pairs(s, m, &hs, true, out->mtp_logits);
    out->n_mtp = hs.rows;
    s->rows = main;
}

static void read_streams(struct step *s, float *out, const struct tensor *h, const int *rows, int n)
{
    size_t width = (size_t)h->cols;
    for (int i = 0; out && i < n; i++)
        step_read(s, out + (size_t)i * width,
                  &(struct tensor){1, h->cols, h->data + (size_t)rows[i] * width});
}

/* The experts of hash layers follow from the tokens. */
static void expect_hashed(struct step *s, const struct model *m)
{
    for (int i = 0; i < m->config.n_layers && m->layers[i].moe.table; i++) {
        const struct moe *moe = &m->layers[i].moe;
        op_expect(s, &(struct expect_args){moe->table, moe->experts, m->config.n_experts});
    }
}

int model_forward(struct model *m, const struct model_input *in, int n_in, struct model_output *out,
                  const struct observer *observer, struct err *err)
{
    const struct config *c = &m->config;
    int n_rows = 0;
    if (check_inputs(m, in, n_in, err)) return -1;
    for (int i = 0; i < n_in; i++) {
        if (kv_reserve(in[i].kv, in[i].n, err)) return -1;
        n_rows += in[i].n;
    }
    pass_reserve(&m->pass, n_rows, n_in);
    struct step_rows rows;
    int n_logits = lay_rows(&m->pass, &rows, in, n_in);

    struct step s;
    step_begin(&s, m->backend, &rows, observer);
    struct tensor cs[ROPE_KINDS];
    rope_tables(&s, m, cs);
    struct tensor h = step_f32(&s, n_rows, c->hc_mult * c->dim);
    op_embed(&s, &(struct embed_args){&h, m->embed});
    expect_hashed(&s, m);
    for (s.layer = 0; s.layer < c->n_layers; s.layer++)
        layer_forward(&s, c, &m->layers[s.layer], &h, cs, true);
    s.layer = -1;
    head(&s, m, out->logits, &h, m->pass.logit_rows, n_logits, &m->hc_head, m->norm);
    read_streams(&s, out->streams, &h, m->pass.logit_rows, n_logits);
    out->n_mtp = 0;
    if (m->mtp) mtp_forward(&s, m, &h, out);

    if (step_end(&s, err)) return -1;
    for (int i = 0; i < n_in; i++)
        kv_advance(in[i].kv, in[i].n);
    return 0;
}

/* One pair of each sequence: the streams that it kept, at the position before the token's. */
static int lay_draft_rows(const struct model *m, struct pass *p, struct step_rows *rows,
                          const struct model_draft *in, int n, struct err *err)
{
    for (int i = 0; i < n; i++) {
        int pos = kv_length(in[i].kv);
        CHECK(pos >= 1, "a draft for an empty sequence");
        if (in[i].token < 0 || in[i].token >= m->config.vocab)
            return err_set(err, ERR_ARGUMENT, "token id %d is not in the vocabulary of %d",
                           in[i].token, m->config.vocab);
        p->mtp_seqs[i] = (struct step_seq){i, 1, pos - 1, kv_live(in[i].kv), kv_pages(in[i].kv)};
        p->mtp_tokens[i] = in[i].token;
        p->mtp_pos[i] = pos - 1;
        p->mtp_seq[i] = i;
        p->mtp_row[i] = -1;
    }
    *rows = (struct step_rows){n, n, p->mtp_tokens, p->mtp_pos, p->mtp_seq, p->mtp_seqs};
    return 0;
}

int model_draft(struct model *m, const struct model_draft *in, int n, float *logits,
                struct err *err)
{
    CHECK(m->mtp && logits && n >= 1, "drafts of %d sequences", n);
    struct step_rows rows;
    pass_reserve(&m->pass, n, n);
    if (lay_draft_rows(m, &m->pass, &rows, in, n, err)) return -1;

    struct step s;
    step_begin(&s, m->backend, &rows, NULL);
    s.layer = m->config.n_layers;
    struct tensor hs = step_f32(&s, n, m->config.hc_mult * m->config.dim);
    op_mtp_streams(
        &s, &(struct mtp_streams_args){&hs, &hs, m->pass.mtp_row, NULL, m->layout.mtp_streams});
    mtp_pairs(&s, m, &hs, false, logits);
    return step_end(&s, err);
}
