#include "ops/step.h"

#include "ops/backend.h"

const char *op_name(enum op op)
{
    static const char *const names[OP_COUNT] = {
        [OP_EMBED] = "embed",
        [OP_ROPE_ROWS] = "rope_rows",
        [OP_HC_MIX] = "hc_mix",
        [OP_PROJECT] = "project",
        [OP_NORM] = "norm",
        [OP_ROWS_APPEND] = "rows_append",
        [OP_ROWS_KEEP] = "rows_keep",
        [OP_COMPRESS] = "compress",
        [OP_QUERY] = "query",
        [OP_SELECT] = "select",
        [OP_ATTEND] = "attend",
        [OP_PROJECT_GROUPED] = "project_grouped",
        [OP_HC_JOIN] = "hc_join",
        [OP_ROUTE] = "route",
        [OP_EXPERTS] = "experts",
        [OP_HEAD] = "head",
        [OP_MTP_STREAMS] = "mtp_streams",
        [OP_MTP_JOIN] = "mtp_join",
    };
    return names[op];
}

void step_begin(struct step *s, struct backend *b, const struct step_rows *rows,
                const struct observer *observer)
{
    *s = (struct step){
        .backend = b, .mode = b->mode, .rows = *rows, .layer = -1, .observer = observer};
    b->step_begin(s);
}

int step_end(struct step *s, struct err *err)
{
    s->backend->step_end(s);
    if (s->err.code == ERR_NONE) return 0;
    return err_set(err, s->err.code, "%s", s->err.message);
}

void step_fail(struct step *s, enum err_code code, const char *message)
{
    err_set(&s->err, code, "%s", message);
}

/* Scratch as elements; NULL and a failed step when there is none. */
static void *scratch(struct step *s, size_t n, size_t size)
{
    if (s->err.code != ERR_NONE) return NULL;
    return s->backend->scratch(s, n * size);
}

struct tensor step_f32(struct step *s, int rows, int cols)
{
    return (struct tensor){rows, cols, scratch(s, (size_t)rows * (size_t)cols, sizeof(float))};
}

struct itensor step_i32(struct step *s, int rows, int cols)
{
    return (struct itensor){rows, cols, scratch(s, (size_t)rows * (size_t)cols, sizeof(int32_t))};
}

struct acts step_acts(struct step *s, int rows, int k)
{
    size_t n = (size_t)rows * (size_t)k;
    struct acts a = {.rows = rows, .k = k, .f32 = scratch(s, n, sizeof(float))};
    if (s->mode != MODE_DEFAULT || k % 32) return a;
    a.q = scratch(s, n, 1);
    a.scale = scratch(s, n / 32, sizeof(float));
    a.pairs = scratch(s, n / 16, sizeof(int16_t));
    return a;
}

struct rows step_stored(struct step *s, int rows, size_t row_bytes)
{
    return (struct rows){rows, row_bytes, scratch(s, (size_t)rows * row_bytes, 1)};
}

size_t step_mark(struct step *s)
{
    return s->backend->mark(s);
}

void step_release(struct step *s, size_t mark)
{
    s->backend->release(s, mark);
}

void step_read(struct step *s, float *host, const struct tensor *t)
{
    if (s->err.code == ERR_NONE) s->backend->read(s, host, t);
}
