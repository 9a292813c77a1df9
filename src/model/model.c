#include "model/model.h"

#include <stdlib.h>

#include "base/mem.h"
#include "model/layers.h"

/* What the ops need beyond what any config must hold. */
static int check_config(const struct config *c, const char *path, struct err *err)
{
    if (c->n_mtp > 1)
        return err_set(err, ERR_UNSUPPORTED, "%s: %d MTP blocks, at most one is known", path,
                       c->n_mtp);
    if (c->o_lora % 8)
        return err_set(err, ERR_UNSUPPORTED, "%s: o_lora_rank %d is not a multiple of 8", path,
                       c->o_lora);
    if (c->hc_mult > 7)
        return err_set(err, ERR_UNSUPPORTED, "%s: %d hyper-connection streams, at most 7", path,
                       c->hc_mult);
    return 0;
}

/* A model without weights. */
static struct model *model_new(struct backend *b, const struct weights *w, bool mtp)
{
    const struct config *c = weights_config(w);
    struct model *m = xcalloc(1, sizeof *m);
    m->config = *c;
    m->backend = b;
    m->layers = xcalloc((size_t)c->n_layers, sizeof *m->layers);
    if (mtp && weights_have_mtp(w)) m->mtp = xcalloc(1, sizeof *m->mtp);
    kv_layout_init(&m->layout, c, b ? b->mode : MODE_DEFAULT, m->mtp != NULL);
    return m;
}

int model_check(const struct weights *w, bool mtp, struct err *err)
{
    if (check_config(weights_config(w), weights_path(w), err)) return -1;
    struct model *m = model_new(NULL, w, mtp);
    int rc = model_list(m, w, err);
    model_close(m);
    return rc;
}

int model_measure(struct model_size *out, struct backend *b, const struct weights *w, bool mtp,
                  struct err *err)
{
    if (check_config(weights_config(w), weights_path(w), err)) return -1;
    struct model *m = model_new(NULL, w, mtp);
    int rc = model_add_up(m, b, w, out, err);
    model_close(m);
    return rc;
}

int model_open(struct model **out, struct backend *b, const struct weights *w,
               const struct model_options *options, struct err *err)
{
    *out = NULL;
    if (check_config(weights_config(w), weights_path(w), err)) return -1;

    struct model *m = model_new(b, w, options->mtp);
    model_rope_init(m);
    if (model_bind(m, w, options, err)) {
        model_close(m);
        return -1;
    }
    *out = m;
    return 0;
}

static void pass_fini(struct pass *p)
{
    int *arrays[] = {p->tokens,  p->pos,     p->seq,     p->logit_rows, p->mtp_tokens,
                     p->mtp_pos, p->mtp_seq, p->mtp_row, p->mtp_last};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        free(arrays[i]);
    free(p->seqs);
    free(p->mtp_seqs);
}

void model_close(struct model *m)
{
    if (!m) return;
    if (m->readers) m->backend->cache_close(m->backend);
    free(m->readers);
    for (int i = 0; i < m->n_all; i++)
        m->backend->weight_free(m->backend, m->all[i]);
    free(m->all);
    for (int i = 0; i < m->config.n_layers; i++)
        free(m->layers[i].moe.experts);
    free(m->layers);
    if (m->mtp) free(m->mtp->block.moe.experts);
    free(m->mtp);
    for (int i = 0; i < ROPE_KINDS; i++)
        free(m->rope[i].freq);
    pass_fini(&m->pass);
    free(m);
}

const struct config *model_config(const struct model *m)
{
    return &m->config;
}

const struct kv_layout *model_layout(const struct model *m)
{
    return &m->layout;
}

struct backend *model_backend(const struct model *m)
{
    return m->backend;
}

bool model_has_mtp(const struct model *m)
{
    return m->mtp != NULL;
}

size_t model_bytes(const struct model *m)
{
    return m->bytes;
}

size_t model_bytes_per_token(const struct model *m)
{
    return m->bytes_per_token;
}
