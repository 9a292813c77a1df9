#include "format/survey.h"

#include <stdio.h>
#include <string.h>

#include "format/official.h"

const char *survey_part_name(enum survey_part p)
{
    static const char *const names[PART_COUNT] = {"embedding",      "head",
                                                  "attention",      "routed experts",
                                                  "shared experts", "router and hyper-connections",
                                                  "MTP block",      "other"};
    return names[p];
}

static bool has(const char *name, const char *part)
{
    return strstr(name, part) != NULL;
}

static enum survey_part part_of(const char *name)
{
    if (!strncmp(name, "mtp.", 4)) return PART_MTP;
    if (!strcmp(name, "embed.weight")) return PART_EMBED;
    if (!strcmp(name, "head.weight")) return PART_HEAD;
    if (has(name, ".experts.")) return PART_EXPERTS;
    if (has(name, ".shared_experts.")) return PART_SHARED;
    if (has(name, "hc_") || has(name, ".ffn.gate.")) return PART_ROUTER;
    if (has(name, ".attn.") || has(name, "norm.weight")) return PART_ATTENTION;
    return PART_OTHER;
}

static uint64_t matrix_bytes(const struct extent *x, int rows)
{
    return x->row_bytes * (uint64_t)rows;
}

/* Share of a tensor's bytes that one decoded token reads. */
static double share_read(const struct weight_view *v, enum survey_part part, const struct config *c)
{
    if (part == PART_MTP || part == PART_OTHER) return 0;
    if (part == PART_EXPERTS) return (double)c->n_used / c->n_experts;
    if (part == PART_EMBED || has(v->name, ".tid2eid")) return 1.0 / v->rows;
    return 1;
}

static void add_view(struct survey *s, const struct weight_view *v, const struct config *c)
{
    enum survey_part part = part_of(v->name);
    uint64_t data = matrix_bytes(&v->data, v->rows),
             scales = matrix_bytes(&v->scale, v->scale_rows);
    double read = (double)(data + scales) * share_read(v, part, c);
    s->part_bytes[part] += data + scales;
    s->dtype_bytes[v->dtype] += data;
    s->dtype_tensors[v->dtype]++;
    if (v->scale_rows) {
        s->dtype_bytes[v->scale_dtype] += scales;
        s->dtype_tensors[v->scale_dtype]++;
    }
    s->parameters += (double)v->rows * v->cols;
    s->bytes_per_token += read;
    if (part == PART_EXPERTS) s->expert_bytes_per_token += read;
}

struct search {
    struct survey *s;
    const struct weights *w;
};

static int look_up(void *ctx, const struct official_tensor *t)
{
    struct search *x = ctx;
    if (t->scale || weights_find(x->w, t->name)) return 0;
    if (x->s->n_missing < SURVEY_NAMED)
        snprintf(x->s->missing[x->s->n_missing], sizeof x->s->missing[0], "%s", t->name);
    x->s->n_missing++;
    return 0;
}

void survey_weights(struct survey *s, const struct weights *w)
{
    const struct config *c = weights_config(w);
    struct search x = {.s = s, .w = w};
    *s = (struct survey){0};
    for (int i = 0; i < weights_count(w); i++)
        add_view(s, weights_at(w, i), c);
    official_each(c, (struct official_options){.mtp = weights_have_mtp(w)}, look_up, &x);
}
