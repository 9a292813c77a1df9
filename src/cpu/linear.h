/* Lists of linears, split over the pool by output rows. Private to cpu/. */
#pragma once
#include "cpu/internal.h"

/* y[t * ldy + row] = w[row] . x[idx[t]][x_first ..]; see matmul_int in cpu/kernels.h. */
struct linear {
    float *y;
    size_t ldy;
    const struct weight *w;
    int row0, n_rows; /* rows of w, row0 a multiple of PACK_ROWS */
    const struct acts *x;
    int x_first;
    const int32_t *idx; /* NULL: rows 0..n_t of x */
    int n_t;
};

/* Computes all of them; returns when they are done. Row `row0 + i` of w goes to column i of y. */
void linears_run(struct step *s, const struct linear *list, int n);

/* Fills q, scale and pairs of the rows [row, row + n) of a from its f32 values, where it has them. */
void acts_quantise(const struct cpu *c, const struct acts *a, int row, int n);

/* Rows [first, ...) as acts of their own. */
struct acts acts_from(const struct acts *a, int first);
