#include "format/weights_build.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/size.h"

struct builder {
    struct view_list *out;
    const struct config *config;
    struct scale_block block;
    const char *what;
    struct err *err;
};

/* A weight and its scales, both as count x [rows, cols]. */
struct pair {
    const struct stored *weight, *scale; /* scale may be NULL */
    struct weight_view view;             /* of the first of them; name not set */
    int count;                           /* stacked matrices, 1 for a plain tensor */
    uint64_t step, scale_step;           /* bytes from one to the next */
};

static int by_name(const void *a, const void *b)
{
    const struct stored *x = a, *y = b;
    int order = strcmp(x->official, y->official);
    return order ? order : x->scale - y->scale;
}

static int refuse(struct builder *b, const struct stored *t, const char *why)
{
    return err_set(b->err, ERR_FORMAT, "%s: tensor %.200s: %s", b->what, t->spelled, why);
}

/* Splits dim into count x rows x cols: a vector is one row; leading dimensions of a tensor that is
 * no stack are rows. */
static int shape_of(struct builder *b, const struct stored *t, bool stacked, int *count, int *rows,
                    int *cols)
{
    uint64_t n_rows = 1;
    int first = stacked ? 1 : 0;
    if (stacked && t->n_dims != 3) return refuse(b, t, "a stack of experts has three dimensions");
    for (int i = first; i < t->n_dims - 1; i++)
        if (size_mul(n_rows, t->dim[i], &n_rows)) return refuse(b, t, "too many rows");
    if (size_to_int(stacked ? t->dim[0] : 1, count) || size_to_int(n_rows, rows) ||
        size_to_int(t->n_dims ? t->dim[t->n_dims - 1] : 1, cols))
        return refuse(b, t, "a dimension beyond 2^31");
    return 0;
}

static struct extent extent_of(const struct stored *t, uint64_t row_bytes)
{
    return (struct extent){
        .file = t->file, .offset = t->offset, .row_bytes = row_bytes, .row_stride = row_bytes};
}

/* ---- block scales ---- */

static bool covers(int n, int block, int n_scales)
{
    return ((int64_t)n + block - 1) / block == n_scales;
}

/* The block edge when nobody states it: 128, or the power of two from 32 on that gives n_scales. */
static int derive_block(int n, int n_scales)
{
    if (covers(n, 128, n_scales)) return 128;
    for (int edge = 32; edge <= 1 << 20; edge *= 2)
        if (covers(n, edge, n_scales)) return edge;
    return 0;
}

static int check_fp4_scale(struct builder *b, struct pair *p)
{
    struct weight_view *v = &p->view;
    if (v->cols > INT32_MAX / 2) return refuse(b, p->weight, "a dimension beyond 2^31");
    v->dtype = DT_FP4;
    v->cols *= 2;
    v->block_rows = 1;
    v->block_cols = 32;
    if (v->cols % 32 || v->scale_rows != v->rows || v->scale_cols != v->cols / 32)
        return err_set(
            b->err, ERR_FORMAT,
            "%s: tensor %.200s: scales [%d, %d] for FP4 [%d, %d], one per 32 values is wanted",
            b->what, p->weight->spelled, v->scale_rows, v->scale_cols, v->rows, v->cols);
    return 0;
}

static int check_fp8_scale(struct builder *b, struct pair *p)
{
    struct weight_view *v = &p->view;
    v->block_rows = b->block.rows ? b->block.rows : derive_block(v->rows, v->scale_rows);
    v->block_cols = b->block.cols ? b->block.cols : derive_block(v->cols, v->scale_cols);
    if (!b->block.rows && v->scale_rows == v->rows) v->block_rows = 1;
    if (v->block_rows < 1 || v->block_cols < 32 || v->block_cols % 32 ||
        !covers(v->rows, v->block_rows, v->scale_rows) ||
        !covers(v->cols, v->block_cols, v->scale_cols))
        return err_set(b->err, ERR_FORMAT,
                       "%s: tensor %.200s: scales [%d, %d] for FP8 [%d, %d] in blocks of %d x %d",
                       b->what, p->weight->spelled, v->scale_rows, v->scale_cols, v->rows, v->cols,
                       v->block_rows, v->block_cols);
    return 0;
}

static int attach_scale(struct builder *b, struct pair *p, bool stacked)
{
    struct weight_view *v = &p->view;
    const struct stored *s = p->scale;
    int count;
    if (shape_of(b, s, stacked, &count, &v->scale_rows, &v->scale_cols)) return -1;
    if (count != p->count || s->n_dims != p->weight->n_dims)
        return refuse(b, p->weight, "its scales have another number of dimensions or experts");
    v->scale_dtype = s->dtype;
    v->scale = extent_of(s, dtype_row_bytes(s->dtype, (uint64_t)v->scale_cols));
    p->scale_step = v->scale.row_bytes * (uint64_t)v->scale_rows;

    bool e8m0 = s->dtype == DT_F8_E8M0;
    if ((v->dtype == DT_I8 || v->dtype == DT_U8) && e8m0) return check_fp4_scale(b, p);
    if (v->dtype == DT_F8_E4M3 && (e8m0 || s->dtype == DT_F32)) return check_fp8_scale(b, p);
    return err_set(b->err, ERR_UNSUPPORTED, "%s: tensor %.200s: %s with scales of %s", b->what,
                   p->weight->spelled, dtype_name(v->dtype), dtype_name(s->dtype));
}

static int make_pair(struct builder *b, struct pair *p)
{
    const struct stored *t = p->weight;
    bool stacked = t->kind == NAME_EXPERTS || t->kind == NAME_GATE_UP;
    struct weight_view *v = &p->view;
    *v = (struct weight_view){.dtype = t->dtype, .is_vector = t->n_dims <= 1};
    if (shape_of(b, t, stacked, &p->count, &v->rows, &v->cols)) return -1;
    v->data = extent_of(t, dtype_row_bytes(t->dtype, (uint64_t)v->cols));
    p->step = v->data.row_bytes * (uint64_t)v->rows;
    if (p->scale) return attach_scale(b, p, stacked);
    if (t->dtype == DT_F8_E4M3) return refuse(b, t, "FP8 without scales");
    return 0;
}

/* ---- views ---- */

static void add_view(struct builder *b, const struct weight_view *v, const char *name)
{
    struct view_list *list = b->out;
    if (list->n == list->cap) {
        list->cap = list->cap ? list->cap * 2 : 1024;
        list->at = xrealloc(list->at, (size_t)list->cap, sizeof *list->at);
    }
    list->at[list->n] = *v;
    list->at[list->n++].name = xstrdup(name);
}

/* Rows [first, first + n) of a view. Where scales cover several rows, the cut must lie between
 * blocks. */
static int cut_rows(struct builder *b, const struct pair *p, int first, int n,
                    struct weight_view *out)
{
    *out = p->view;
    out->rows = n;
    out->data.offset += (uint64_t)first * out->data.row_stride;
    if (!p->scale) return 0;
    if (first % out->block_rows)
        return refuse(b, p->weight, "one block of scales covers w1 and w3");
    out->scale_rows = (n + out->block_rows - 1) / out->block_rows;
    out->scale.offset += (uint64_t)(first / out->block_rows) * out->scale.row_stride;
    return 0;
}

/* Columns [first, first + n). Stored blocks of values must not be cut. */
static int cut_cols(struct builder *b, const struct pair *p, int first, int n,
                    struct weight_view *out)
{
    *out = p->view;
    if (first % dtype_block(out->dtype) || n % dtype_block(out->dtype) || p->scale)
        return refuse(b, p->weight, "its halves do not end between blocks");
    out->cols = n;
    out->data.offset += dtype_row_bytes(out->dtype, (uint64_t)first);
    out->data.row_bytes = dtype_row_bytes(out->dtype, (uint64_t)n);
    return 0;
}

static int add_eh_proj(struct builder *b, const struct pair *p)
{
    const char *e_name = p->weight->official;
    char h_name[NAME_MAX_SIZE];
    struct weight_view half;
    int n = p->view.cols / 2;
    if (p->view.cols != 2 * p->view.rows) return refuse(b, p->weight, "eh_proj is not [D, 2 D]");
    if (cut_cols(b, p, 0, n, &half)) return -1;
    add_view(b, &half, e_name);
    if (cut_cols(b, p, n, n, &half)) return -1;
    snprintf(h_name, sizeof h_name, "%s", e_name);
    *strstr(h_name, "e_proj") = 'h';
    add_view(b, &half, h_name);
    return 0;
}

/* F3: a stack holds what the config says, which also bounds the number of views by the file. */
static int check_stack(struct builder *b, const struct pair *p)
{
    const struct config *c = b->config;
    bool gate_up = p->weight->kind == NAME_GATE_UP;
    bool down = strstr(p->weight->official, ".w2.") != NULL;
    int rows = down ? c->dim : gate_up ? 2 * c->expert_dim : c->expert_dim;
    int cols = down ? c->expert_dim : c->dim;
    if (p->count != c->n_experts || p->view.rows != rows || p->view.cols != cols)
        return err_set(b->err, ERR_FORMAT,
                       "%s: tensor %.200s: %d experts of [%d, %d], by the config %d of [%d, %d]",
                       b->what, p->weight->spelled, p->count, p->view.rows, p->view.cols,
                       c->n_experts, rows, cols);
    return 0;
}

static int add_experts(struct builder *b, const struct pair *p)
{
    bool gate_up = p->weight->kind == NAME_GATE_UP;
    int rows = gate_up ? p->view.rows / 2 : p->view.rows;
    if (check_stack(b, p)) return -1;
    for (int expert = 0; expert < p->count; expert++) {
        struct pair one = *p;
        struct weight_view v;
        char name[NAME_MAX_SIZE];
        one.view.data.offset += (uint64_t)expert * p->step;
        one.view.scale.offset += (uint64_t)expert * p->scale_step;
        if (cut_rows(b, &one, 0, rows, &v)) return -1;
        name_of_expert(name, p->weight->official, expert);
        add_view(b, &v, name);
        if (!gate_up) continue;
        if (cut_rows(b, &one, rows, rows, &v)) return -1;
        strstr(name, ".w1.")[2] = '3';
        add_view(b, &v, name);
    }
    return 0;
}

static int add_pair(struct builder *b, const struct stored *weight, const struct stored *scale)
{
    struct pair p = {.weight = weight, .scale = scale};
    if (weight->kind == NAME_IGNORED) {
        log_debug("weights: tensor %s is not used", weight->spelled);
        return 0;
    }
    if (make_pair(b, &p)) return -1;
    if (weight->kind == NAME_EH_PROJ) return add_eh_proj(b, &p);
    if (weight->kind != NAME_PLAIN) return add_experts(b, &p);
    add_view(b, &p.view, weight->official);
    return 0;
}

static int by_view_name(const void *a, const void *b)
{
    const struct weight_view *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static int sort_views(struct builder *b)
{
    struct view_list *list = b->out;
    if (list->n) qsort(list->at, (size_t)list->n, sizeof *list->at, by_view_name);
    for (int i = 1; i < list->n; i++)
        if (!strcmp(list->at[i - 1].name, list->at[i].name))
            return err_set(b->err, ERR_FORMAT, "%s: two tensors are %s", b->what, list->at[i].name);
    return 0;
}

int views_build(struct view_list *out, struct stored *stored, int n, const struct config *c,
                struct scale_block block, const char *what, struct err *err)
{
    struct builder b = {.out = out, .config = c, .block = block, .what = what, .err = err};
    *out = (struct view_list){0};
    if (n) qsort(stored, (size_t)n, sizeof *stored, by_name);
    for (int i = 0; i < n;) {
        const struct stored *weight = &stored[i], *scale = NULL;
        if (weight->scale) {
            refuse(&b, weight, "scales without their weight, or twice");
            goto fail;
        }
        i++;
        if (i < n && stored[i].scale && !strcmp(stored[i].official, weight->official))
            scale = &stored[i++];
        if (add_pair(&b, weight, scale)) goto fail;
    }
    if (sort_views(&b)) goto fail;
    return 0;

fail:
    views_free(out);
    return -1;
}

void views_free(struct view_list *v)
{
    for (int i = 0; i < v->n; i++)
        mem_free_const(v->at[i].name);
    free(v->at);
    *v = (struct view_list){0};
}
