/* Linears; numerics, sections 3 and 4, written out. */
#include "cpu/kernels_ref.h"

#include <string.h>

enum { GROUP = 32, TOKENS = 16, TILE_K = 256 };

static size_t act_row(const int32_t *idx, int t)
{
    return (size_t)(idx ? idx[t] : t);
}

/* One group of 32 of up to 8 rows against up to TOKENS tokens. */
static void int_group(float acc[TOKENS][PACK_ROWS], const struct packed *w, int row, int n_rows,
                      int g, const struct acts *x, size_t x_group, const int32_t *idx, int t0,
                      int n_t)
{
    size_t groups = (size_t)x->k / GROUP;
    int16_t v[GROUP];
    for (int r = 0; r < n_rows; r++) {
        packed_ints(v, w, row + r, g);
        float ws = packed_scale(w, row + r, g);
        for (int t = 0; t < n_t; t++) {
            size_t at = act_row(idx, t0 + t) * groups + x_group;
            const int8_t *q = x->q + at * GROUP;
            int32_t sum = 0;
            for (int k = 0; k < GROUP; k++)
                sum += v[k] * q[k];
            float s = ws * x->scale[at];
            acc[t][r] = __builtin_fmaf((float)sum, s, acc[t][r]);
        }
    }
}

void matmul_int_ref(float *y, size_t ldy, const struct packed *w, int row0, int row1,
                    const struct acts *x, int x_first, const int32_t *idx, int n_t)
{
    float acc[TOKENS][PACK_ROWS];
    for (int row = row0; row < row1; row += PACK_ROWS)
        for (int t0 = 0; t0 < n_t; t0 += TOKENS) {
            int n = n_t - t0 < TOKENS ? n_t - t0 : TOKENS;
            int n_rows = row1 - row < PACK_ROWS ? row1 - row : PACK_ROWS;
            memset(acc, 0, sizeof acc);
            for (int g = 0; g < w->base.cols / GROUP; g++)
                int_group(acc, w, row, n_rows, g, x, (size_t)(x_first / GROUP + g), idx, t0, n);
            for (int t = 0; t < n; t++)
                memcpy(y + (size_t)(t0 + t) * ldy + row, acc[t], (size_t)n_rows * sizeof(float));
        }
}

/* p[k mod 16] += w[k] x[k]; k0 = 0 modulo 16. */
static void dot_part(float p[16], const float *w, const float *x, int n)
{
    for (int k = 0; k < n; k++)
        p[k % 16] = __builtin_fmaf(w[k], x[k], p[k % 16]);
}

static float dot_end(float p[16])
{
    for (int half = 8; half; half /= 2)
        for (int i = 0; i < half; i++)
            p[i] += p[i + half];
    return p[0];
}

/* All tokens against one tile of one row after the other, so that a tile is dequantised once for
 * TOKENS tokens. */
static void f32_row(float *y, size_t ldy, const struct packed *w, int row, const struct acts *x,
                    int x_first, const int32_t *idx, int t0, int n_t)
{
    float tile[TILE_K], p[TOKENS][16] = {{0}};
    for (int k = 0; k < w->base.cols; k += TILE_K) {
        int n = w->base.cols - k < TILE_K ? w->base.cols - k : TILE_K;
        packed_tile_f32(tile, 0, w, row, 1, k, n);
        for (int t = 0; t < n_t; t++)
            dot_part(p[t], tile, x->f32 + act_row(idx, t0 + t) * (size_t)x->k + x_first + k, n);
    }
    for (int t = 0; t < n_t; t++)
        y[(size_t)(t0 + t) * ldy + row] = dot_end(p[t]);
}

void matmul_f32_ref(float *y, size_t ldy, const struct packed *w, int row0, int row1,
                    const struct acts *x, int x_first, const int32_t *idx, int n_t)
{
    for (int row = row0; row < row1; row++)
        for (int t0 = 0; t0 < n_t; t0 += TOKENS) {
            int n = n_t - t0 < TOKENS ? n_t - t0 : TOKENS;
            f32_row(y, ldy, w, row, x, x_first, idx, t0, n);
        }
}

float sum_squares_ref(const float *x, int n)
{
    float p[16] = {0};
    dot_part(p, x, x, n);
    return dot_end(p);
}
