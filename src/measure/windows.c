#include "measure/windows.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/sha256.h"
#include "measure/stats.h"

enum { STEP_ROWS = 256, STEP_BYTES = 64 << 20 };

/* ---- cutting ---- */

int windows_cut(struct windows *w, const struct ids *text, int bos, int length, int skip, int limit,
                struct err *err)
{
    CHECK(length >= 4 && skip >= 0 && skip <= length - 2, "window %d, skip %d", length, skip);
    *w = (struct windows){.length = length, .skip = skip};
    size_t n = (text->n + 1) / (size_t)length;
    if (n == 0)
        return err_set(err, ERR_ARGUMENT, "the text has %zu tokens with BOS, a window %d",
                       text->n + 1, length);
    if (n > INT32_MAX) return err_set(err, ERR_LIMIT, "%zu windows are too many", n);
    w->n = limit && (size_t)limit < n ? limit : (int)n;
    w->tokens = malloc((size_t)w->n * (size_t)length * sizeof *w->tokens);
    if (!w->tokens) return err_set(err, ERR_LIMIT, "no memory for %d windows", w->n);
    for (int i = 0; i < w->n; i++) {
        int32_t *to = w->tokens + (size_t)i * (size_t)length;
        size_t first = (size_t)stats_spread((int)n, w->n, i) * (size_t)length;
        to[0] = bos;
        /* Token t of the text stands at t + 1 behind BOS. */
        memcpy(to + 1, text->data + first, ((size_t)length - 1) * sizeof *to);
    }
    return 0;
}

void windows_fini(struct windows *w)
{
    free(w->tokens);
    *w = (struct windows){0};
}

int windows_scored(const struct windows *w)
{
    return w->length - 1 - w->skip;
}

void windows_digest(const struct windows *w, uint8_t out[32])
{
    struct sha256 *h = sha256_new();
    for (size_t i = 0; i < (size_t)w->n * (size_t)w->length; i++) {
        uint32_t id = (uint32_t)w->tokens[i];
        uint8_t bytes[4] = {(uint8_t)id, (uint8_t)(id >> 8), (uint8_t)(id >> 16),
                            (uint8_t)(id >> 24)};
        sha256_add(h, bytes, sizeof bytes);
    }
    sha256_end(h, out);
    sha256_free(h);
}

/* ---- logits ---- */

struct scorer {
    struct model *model;
    const struct windows *w;
    int at_once, chunk;
    int first, n_running; /* windows of the group that runs */
    int pos;              /* its next position */
    struct kv_pool *pool;
    struct kv **kv;             /* [at_once] */
    struct model_input *inputs; /* [at_once] */
    float *logits;              /* [at_once * chunk, V] */
    struct scored_row *rows;    /* [at_once * chunk] */
};

int scorer_open(struct scorer **out, struct model *m, const struct windows *w, int at_once,
                struct err *err)
{
    size_t vocab = (size_t)model_config(m)->vocab;
    size_t fit = STEP_BYTES / (vocab * sizeof(float));
    int rows = fit < 1 ? 1 : fit > STEP_ROWS ? STEP_ROWS : (int)fit;
    CHECK(at_once >= 1, "%d windows at once", at_once);
    *out = NULL;
    struct scorer *s = xcalloc(1, sizeof *s);
    *s = (struct scorer){.model = m, .w = w, .at_once = at_once < rows ? at_once : rows};
    s->chunk = rows / s->at_once;
    size_t n = (size_t)s->at_once * (size_t)s->chunk;
    s->pool = kv_pool_new(model_backend(m), model_layout(m), 0);
    s->kv = calloc((size_t)s->at_once, sizeof(struct kv *));
    s->inputs = calloc((size_t)s->at_once, sizeof *s->inputs);
    s->logits = malloc(n * vocab * sizeof *s->logits);
    s->rows = calloc(n, sizeof *s->rows);
    if (!s->kv || !s->inputs || !s->logits || !s->rows) {
        scorer_close(s);
        return err_set(err, ERR_LIMIT, "no memory for %zu rows of %zu logits", n, vocab);
    }
    *out = s;
    return 0;
}

static void end_group(struct scorer *s)
{
    for (int i = 0; i < s->n_running; i++) {
        kv_free(s->kv[i]);
        s->kv[i] = NULL;
    }
    s->first += s->n_running;
    s->n_running = s->pos = 0;
}

void scorer_close(struct scorer *s)
{
    if (!s) return;
    end_group(s);
    kv_pool_free(s->pool);
    free(s->kv);
    free(s->inputs);
    free(s->logits);
    free(s->rows);
    free(s);
}

static int begin_group(struct scorer *s, struct err *err)
{
    int left = s->w->n - s->first;
    s->n_running = left < s->at_once ? left : s->at_once;
    for (int i = 0; i < s->n_running; i++) {
        s->kv[i] = kv_new(s->pool);
        if (!s->kv[i]) return err_set(err, ERR_LIMIT, "no memory for %d windows", s->n_running);
    }
    return 0;
}

/* Inputs of the positions [pos, end) of each window, and the rows that they give. */
static int lay_rows(struct scorer *s, int end)
{
    size_t vocab = (size_t)model_config(s->model)->vocab;
    int scored = s->pos > s->w->skip ? s->pos : s->w->skip, n = 0;
    if (scored > end) scored = end;
    for (int i = 0; i < s->n_running; i++) {
        int window = s->first + i;
        const int32_t *tokens = s->w->tokens + (size_t)window * (size_t)s->w->length;
        s->inputs[i] = (struct model_input){
            .kv = s->kv[i], .tokens = tokens + s->pos, .n = end - s->pos, .n_logits = end - scored};
        for (int p = scored; p < end; p++, n++)
            s->rows[n] = (struct scored_row){window, p - s->w->skip, tokens[p + 1],
                                             s->logits + (size_t)n * vocab};
    }
    return n;
}

int scorer_step(struct scorer *s, const struct scored_row **rows, int *n, struct err *err)
{
    int last = s->w->length - 1; /* the last token predicts what is not in the window */
    *rows = s->rows;
    *n = -1;
    if (s->n_running && s->pos == last) end_group(s);
    if (s->first == s->w->n) return 0;
    if (!s->n_running && begin_group(s, err)) return -1;
    int end = last - s->pos < s->chunk ? last : s->pos + s->chunk;
    *n = lay_rows(s, end);
    struct model_output out = {.logits = s->logits};
    s->pos = end;
    return model_forward(s->model, s->inputs, s->n_running, &out, NULL, err);
}
