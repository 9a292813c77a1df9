/* A small configuration, and the check that views lie inside their file. */
#pragma once
#include "format/weights_build.h"

static inline void check_extent(const struct extent *x, int rows, uint64_t file_size)
{
    if (rows == 0) return;
    uint64_t span = (uint64_t)(rows - 1) * x->row_stride + x->row_bytes;
    CHECK(x->offset <= file_size && span <= file_size - x->offset, "a view outside the file");
}

static inline void check_views(const struct view_list *v, uint64_t file_size)
{
    for (int i = 0; i < v->n; i++) {
        const struct weight_view *w = &v->at[i];
        CHECK(w->rows > 0 && w->cols > 0 &&
                  dtype_row_bytes(w->dtype, (uint64_t)w->cols) == w->data.row_bytes,
              "%s: %d x %d", w->name, w->rows, w->cols);
        check_extent(&w->data, w->rows, file_size);
        check_extent(&w->scale, w->scale_rows, file_size);
        if (w->scale_rows)
            CHECK((int64_t)w->scale_rows * w->block_rows >= w->rows &&
                      (int64_t)w->scale_cols * w->block_cols >= w->cols,
                  "%s: scales do not cover it", w->name);
    }
}

/* Two layers, two experts of [32, 32]: what the corpora are made for. */
static inline struct config small_model(void)
{
    return (struct config){
        .vocab = 16, .dim = 32, .n_layers = 2, .n_experts = 2, .n_used = 1, .expert_dim = 32};
}
