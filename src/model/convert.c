#include "model/convert.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/progress.h"
#include "model/convert_meta.h"
#include "model/convert_rows.h"
#include "model/model.h"
#include "quant/blocks.h"
#include "quant/convert.h"
#include "format/names.h"
#include "format/weights.h"

enum { PIECE = 4 << 20, MAX_PATH = 1 << 16 };

/* A tensor of the new file: one view, or all experts of a stack. */
struct output {
    char name[NAME_MAX_SIZE];
    int block;                      /* -1 outside the layers */
    const struct weight_view *view; /* of a stack: expert 0 */
    bool stacked;
    enum dtype dtype;
};

struct converter {
    struct weights *weights;
    struct gguf *gguf; /* of the source, NULL for safetensors */
    struct gguf_writer *writer;
    struct output *outputs;
    int n_outputs;
    uint8_t *in, *out; /* pieces of rows */
    size_t in_size, out_size;
    struct progress *bar;
    struct err *err;
};

/* ---- which tensors, and as what ---- */

static bool holds_numbers(enum dtype t)
{
    return t != DT_I8 && t != DT_U8 && t != DT_I32 && t != DT_I64 && t != DT_F8_E8M0;
}

static enum dtype target_dtype(const struct weight_view *v, bool f32)
{
    if (f32 && holds_numbers(v->dtype)) return DT_F32;
    switch (v->dtype) {
    case DT_FP4:
        return DT_MXFP4;
    case DT_F8_E4M3:
        return DT_Q8_0;
    case DT_I64:
        return DT_I32;
    case DT_F16:
    case DT_BF16:
        return v->is_vector ? DT_F32 : v->dtype;
    case DT_F32:
    case DT_I32:
    case DT_Q8_0:
    case DT_Q4_0:
    case DT_MXFP4:
        return v->dtype;
    default:
        return DT_COUNT;
    }
}

/* "….experts.7.…" gives 7 and the place of the number; -1 for other names. */
static int expert_of(const char *name, const char **number)
{
    const char *at = strstr(name, ".experts.");
    *number = name;
    if (!at) return -1;
    *number = at + strlen(".experts.");
    return (int)strtol(*number, NULL, 10);
}

static void name_expert(char out[NAME_MAX_SIZE], const char *name, int expert)
{
    const char *number;
    expert_of(name, &number);
    const char *rest = number + strspn(number, "0123456789");
    snprintf(out, NAME_MAX_SIZE, "%.*s%d%s", (int)(number - name), name, expert, rest);
}

static const struct weight_view *expert_view(const struct converter *c, const struct output *o,
                                             int expert)
{
    char name[NAME_MAX_SIZE];
    name_expert(name, o->view->name, expert);
    return weights_find(c->weights, name);
}

/* All experts of a stack are there and alike. */
static int check_stack(struct converter *c, const struct output *o)
{
    for (int i = 0; i < weights_config(c->weights)->n_experts; i++) {
        const struct weight_view *v = expert_view(c, o, i);
        if (!v || v->dtype != o->view->dtype || v->rows != o->view->rows ||
            v->cols != o->view->cols)
            return err_set(c->err, ERR_FORMAT, "%s: expert %d of %s is missing or unlike the first",
                           weights_path(c->weights), i, o->name);
    }
    return 0;
}

static int add_output(struct converter *c, const struct weight_view *v,
                      const struct convert_options *options)
{
    const char *number;
    int n_layers = weights_config(c->weights)->n_layers;
    struct output *o = &c->outputs[c->n_outputs];
    *o = (struct output){.view = v, .block = -1, .stacked = expert_of(v->name, &number) == 0};
    if (expert_of(v->name, &number) > 0 || (!options->mtp && !strncmp(v->name, "mtp.", 4)))
        return 0;
    if (!name_to_gguf(o->name, v->name, n_layers)) {
        log_warn("convert: %s is left out: GGUF has no name for it", v->name);
        return 0;
    }
    o->dtype = target_dtype(v, options->f32);
    if (o->dtype == DT_COUNT)
        return err_set(c->err, ERR_UNSUPPORTED, "%s: %s of %s does not convert to GGUF",
                       weights_path(c->weights), v->name, dtype_name(v->dtype));
    if (v->cols % dtype_block(o->dtype))
        return err_set(c->err, ERR_UNSUPPORTED,
                       "%s: rows of %d values in %s do not fill blocks of %s",
                       weights_path(c->weights), v->cols, v->name, dtype_name(o->dtype));
    sscanf(o->name, "blk.%d.", &o->block);
    c->n_outputs++;
    return o->stacked ? check_stack(c, o) : 0;
}

static int by_block(const void *a, const void *b)
{
    const struct output *x = a, *y = b;
    return x->block != y->block ? x->block - y->block : strcmp(x->name, y->name);
}

static int list_outputs(struct converter *c, const struct convert_options *options)
{
    int n = weights_count(c->weights);
    c->outputs = xcalloc((size_t)n, sizeof *c->outputs);
    for (int i = 0; i < n; i++)
        if (add_output(c, weights_at(c->weights, i), options)) return -1;
    qsort(c->outputs, (size_t)c->n_outputs, sizeof *c->outputs, by_block);
    return 0;
}

static void declare(struct converter *c)
{
    for (int i = 0; i < c->n_outputs; i++) {
        const struct output *o = &c->outputs[i];
        uint64_t dim[3] = {(uint64_t)o->view->cols, (uint64_t)o->view->rows,
                           (uint64_t)weights_config(c->weights)->n_experts};
        int n_dims = o->stacked ? 3 : o->view->is_vector ? 1 : 2;
        gguf_declare(c->writer, o->name, o->dtype, n_dims, dim);
    }
}

/* ---- the bytes ---- */

static float scale_at(const struct weight_view *v, const uint8_t *scales, size_t i)
{
    float f;
    if (v->scale_dtype == DT_F8_E8M0) return e8m0_to_f32(scales[i]);
    memcpy(&f, scales + 4 * i, sizeof f);
    return f;
}

static void row_scales(float *line, const struct weight_view *v, int row, const uint8_t *scales)
{
    size_t first = (size_t)(row / v->block_rows) * (size_t)v->scale_cols;
    for (int i = 0; i < v->scale_cols; i++)
        line[i] = scale_at(v, scales, first + (size_t)i);
}

/* One row as the f32 values it stands for. */
static int row_values(const struct weight_view *v, int row, const uint8_t *in,
                      const uint8_t *scales, float *line, uint8_t *out, struct err *err)
{
    float *values = line + v->scale_cols;
    switch (v->dtype) {
    case DT_BF16:
        row_bf16_to_f32(in, v->cols, out);
        return 0;
    case DT_F16:
        row_f16_to_f32(in, v->cols, out);
        return 0;
    case DT_F8_E4M3:
        row_scales(line, v, row, scales);
        fp8_decode(values, in, line, v->block_cols, v->cols);
        break;
    case DT_FP4:
        fp4_decode(values, in, scales + (size_t)row * (size_t)v->scale_cols, v->cols);
        break;
    case DT_MXFP4:
        mxfp4_decode(values, in, v->cols);
        break;
    case DT_Q8_0:
        q8_0_decode(values, in, v->cols);
        break;
    case DT_Q4_0:
        q4_0_decode(values, in, v->cols);
        break;
    default:
        return err_set(err, ERR_UNSUPPORTED, "%s has no f32 values", dtype_name(v->dtype));
    }
    for (int i = 0; i < v->cols; i++)
        if (!isfinite(values[i])) return err_set(err, ERR_NUMERIC, "a value that is not finite");
    memcpy(out, values, (size_t)v->cols * sizeof *values);
    return 0;
}

/* One row; `row` picks its scales. line is room for scale_cols + cols floats. */
static int convert_row(const struct weight_view *v, enum dtype to, int row, const uint8_t *in,
                       const uint8_t *scales, float *line, uint8_t *out, struct err *err)
{
    if (to == DT_F32 && v->dtype != DT_F32) return row_values(v, row, in, scales, line, out, err);
    if (v->dtype == DT_FP4)
        return row_fp4_to_mxfp4(in, scales + (size_t)row * (size_t)v->scale_cols, v->cols, out,
                                err);
    if (v->dtype == DT_F8_E4M3) {
        row_scales(line, v, row, scales);
        return row_fp8_to_q8_0(in, line, v->block_cols, v->cols, line + v->scale_cols, out, err);
    }
    if (v->dtype == DT_I64) return row_i64_to_i32(in, v->cols, out, err);
    memcpy(out, in, v->data.row_bytes);
    return 0;
}

static void grow(uint8_t **p, size_t *size, size_t wanted)
{
    if (wanted <= *size) return;
    *p = xrealloc(*p, wanted, 1);
    *size = wanted;
}

static int convert_rows(struct converter *c, const struct weight_view *v, enum dtype to,
                        const uint8_t *scales, float *line)
{
    size_t in_row = v->data.row_bytes, out_row = dtype_row_bytes(to, (uint64_t)v->cols);
    int step = (int)(PIECE / (in_row > out_row ? in_row : out_row));
    if (step < 1) step = 1;
    if (step > v->rows) step = v->rows;
    grow(&c->in, &c->in_size, (size_t)step * in_row);
    grow(&c->out, &c->out_size, (size_t)step * out_row);
    for (int row = 0; row < v->rows; row += step) {
        int n = v->rows - row < step ? v->rows - row : step;
        if (weights_read(c->weights, v, row, n, c->in, c->err)) return -1;
        for (int i = 0; i < n; i++)
            if (convert_row(v, to, row + i, c->in + (size_t)i * in_row, scales, line,
                            c->out + (size_t)i * out_row, c->err))
                return err_prefix(c->err, "%s: %s, row %d", weights_path(c->weights), v->name,
                                  row + i);
        if (gguf_write(c->writer, c->out, (size_t)n * out_row, c->err)) return -1;
        progress_add(c->bar, (uint64_t)n * out_row);
    }
    return 0;
}

static int convert_view(struct converter *c, const struct weight_view *v, enum dtype to)
{
    uint8_t *scales = xmalloc((size_t)v->scale_rows * v->scale.row_bytes);
    float *line = xcalloc((size_t)v->scale_cols + (size_t)v->cols, sizeof *line);
    int rc = 0;
    if (v->scale_rows) rc = weights_read_scales(c->weights, v, scales, c->err);
    if (rc == 0) rc = convert_rows(c, v, to, scales, line);
    free(scales);
    free(line);
    return rc;
}

static int convert_output(struct converter *c, const struct output *o)
{
    if (!o->stacked) return convert_view(c, o->view, o->dtype);
    for (int i = 0; i < weights_config(c->weights)->n_experts; i++)
        if (convert_view(c, expert_view(c, o, i), o->dtype)) return -1;
    return 0;
}

/* ---- the whole ---- */

/* tokenizer.json in the model's folder, or beside its file; the caller frees. */
static char *tokenizer_path(const char *model)
{
    struct stat st;
    struct buf b;
    const char *slash = strrchr(model, '/');
    buf_init(&b, MAX_PATH);
    if (stat(model, &st) == 0 && S_ISDIR(st.st_mode))
        buf_printf(&b, "%s/tokenizer.json", model);
    else
        buf_printf(&b, "%.*stokenizer.json", slash ? (int)(slash - model + 1) : 0, model);
    return buf_take(&b);
}

static int put_metadata(struct converter *c, const char *model, bool mtp)
{
    const struct config *config = weights_config(c->weights);
    char *path = tokenizer_path(model);
    convert_put_config(c->writer, config, mtp);
    int rc = convert_put_tokenizer(c->writer, config, c->gguf, path, c->err);
    free(path);
    return rc;
}

static int convert(struct converter *c, const char *model, const char *out,
                   const struct convert_options *options)
{
    if (weights_open(&c->weights, model, c->err)) return -1;
    if (!strcmp(weights_container(c->weights), "gguf") && gguf_open(&c->gguf, model, c->err))
        return -1;
    if (options->mtp && !weights_have_mtp(c->weights))
        return err_set(c->err, ERR_ARGUMENT, "%s: has no MTP block to convert", model);
    if (model_check(c->weights, options->mtp, c->err)) return -1;
    if (!options->mtp && weights_have_mtp(c->weights))
        log_warn("convert: the MTP block is left out, since llama.cpp reads no file with it; --mtp "
                 "keeps it");
    if (gguf_writer_open(&c->writer, out, c->err) || put_metadata(c, model, options->mtp) ||
        list_outputs(c, options))
        return -1;
    declare(c);
    c->bar = progress_new("convert", gguf_declared_bytes(c->writer), "B");
    if (gguf_begin(c->writer, c->err)) return -1;
    for (int i = 0; i < c->n_outputs; i++)
        if (convert_output(c, &c->outputs[i])) return -1;
    return gguf_finish(c->writer, c->err);
}

int convert_to_gguf(const char *model, const char *out, const struct convert_options *options,
                    struct err *err)
{
    struct converter c = {.err = err};
    int rc = convert(&c, model, out, options);
    progress_free(c.bar);
    gguf_writer_close(c.writer);
    gguf_close(c.gguf);
    weights_close(c.weights);
    free(c.outputs);
    free(c.in);
    free(c.out);
    return rc;
}
