#include "format/weights.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/progress.h"
#include "base/sha256.h"
#include "format/gguf.h"
#include "format/shards.h"
#include "format/weights_build.h"

enum { MAX_CONFIG = 1 << 18, MAX_PATH = 1 << 16, MAX_TENSORS = 1 << 20 };

struct weights {
    char *path;
    struct config config;
    struct shards shards; /* either these */
    struct gguf *gguf;    /* or this */
    struct view_list views;
    uint32_t *slots; /* hash table: 1 + index of a view, 0 where free */
    size_t n_slots;  /* a power of two, at least twice the views */
    uint64_t seed;   /* of the hash, so that a file cannot aim at one slot */
    uint64_t file_bytes, tensor_bytes;
    bool mtp;
};

/* ---- finding by name ---- */

static size_t first_slot(const struct weights *w, const char *name)
{
    return (size_t)XXH3_64bits_withSeed(name, strlen(name), w->seed) & (w->n_slots - 1);
}

static void index_views(struct weights *w)
{
    if (getrandom(&w->seed, sizeof w->seed, GRND_NONBLOCK) != (ssize_t)sizeof w->seed) w->seed = 1;
    w->n_slots = 16;
    while (w->n_slots < 2 * (size_t)w->views.n)
        w->n_slots *= 2;
    w->slots = xcalloc(w->n_slots, sizeof *w->slots);
    for (int i = 0; i < w->views.n; i++) {
        size_t slot = first_slot(w, w->views.at[i].name);
        while (w->slots[slot])
            slot = (slot + 1) & (w->n_slots - 1);
        w->slots[slot] = (uint32_t)i + 1;
    }
}

const struct weight_view *weights_find(const struct weights *w, const char *official_name)
{
    for (size_t slot = first_slot(w, official_name); w->slots[slot];
         slot = (slot + 1) & (w->n_slots - 1)) {
        const struct weight_view *v = &w->views.at[w->slots[slot] - 1];
        if (!strcmp(v->name, official_name)) return v;
    }
    return NULL;
}

/* ---- opening: what both containers share ---- */

/* F3: logits, embedding and config speak of the same vocabulary and width. */
static int check_vocabulary(const struct weights *w, struct err *err)
{
    static const char *const names[] = {"embed.weight", "head.weight"};
    for (int i = 0; i < 2; i++) {
        const struct weight_view *v = weights_find(w, names[i]);
        if (v && (v->rows != w->config.vocab || v->cols != w->config.dim))
            return err_set(err, ERR_FORMAT, "%s: %s is [%d, %d], by the config [%d, %d]", w->path,
                           names[i], v->rows, v->cols, w->config.vocab, w->config.dim);
    }
    return 0;
}

static void find_mtp(struct weights *w)
{
    static const char *const needed[] = {"e_proj.weight", "h_proj.weight", "enorm.weight",
                                         "hnorm.weight",  "norm.weight",   "attn.wq_a.weight",
                                         "hc_head_fn",    "hc_head_base",  "hc_head_scale"};
    char name[NAME_MAX_SIZE];
    w->mtp = true;
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++) {
        snprintf(name, sizeof name, "mtp.0.%s", needed[i]);
        if (weights_find(w, name)) continue;
        if (w->mtp) log_debug("weights: %s is missing, so no drafts", name);
        w->mtp = false;
    }
    if (weights_find(w, "mtp.0.main_proj.weight")) {
        w->mtp = false;
        log_warn("%s: mtp.* holds a DSpark drafter, which Tenon does not run; no drafts", w->path);
    }
}

static int finish_open(struct weights *w, struct stored *stored, int n, struct scale_block block,
                       struct err *err)
{
    if (views_build(&w->views, stored, n, &w->config, block, w->path, err)) return -1;
    index_views(w);
    for (int i = 0; i < n; i++)
        w->tensor_bytes += stored[i].bytes; /* no overlap, inside the files: no overflow */
    find_mtp(w);
    return check_vocabulary(w, err);
}

/* ---- safetensors ---- */

static char *join(const char *dir, const char *name)
{
    struct buf b;
    buf_init(&b, MAX_PATH);
    buf_printf(&b, "%s/%s", dir, name);
    return buf_take(&b);
}

/* quantization_config.weight_block_size; only Hugging Face configs have it. */
static int read_block(const json_t *root, const char *what, struct scale_block *block,
                      struct err *err)
{
    const json_t *size =
        json_object_get(json_object_get(root, "quantization_config"), "weight_block_size");
    json_int_t v[2];
    *block = (struct scale_block){0};
    if (!size || json_is_null(size)) return 0;
    for (size_t i = 0; i < 2; i++) {
        const json_t *n = json_array_get(size, i);
        v[i] = json_is_integer(n) ? json_integer_value(n) : 0;
        if (v[i] < 1 || v[i] > 1 << 20 || json_array_size(size) != 2)
            return err_set(err, ERR_FORMAT, "%s: weight_block_size is no pair of sizes", what);
    }
    *block = (struct scale_block){.rows = (int)v[0], .cols = (int)v[1]};
    return 0;
}

/* config.json in dir, else inference/config.json. */
static int read_config(struct weights *w, const char *dir, struct scale_block *block,
                       struct err *err)
{
    char *path = join(dir, "config.json");
    json_t *root = NULL;
    int rc = -1;
    if (access(path, F_OK)) {
        free(path);
        path = join(dir, "inference/config.json");
        if (access(path, F_OK)) {
            err_set(err, ERR_IO, "%s: neither config.json nor inference/config.json is there", dir);
            goto out;
        }
    }
    if (json_parse_file(&root, path, MAX_CONFIG, err) ||
        config_from_json(&w->config, path, root, err) || read_block(root, path, block, err))
        goto out;
    rc = 0;

out:
    json_decref(root);
    free(path);
    return rc;
}

static int count_shards(const struct weights *w, int *n, struct err *err)
{
    uint64_t total = 0;
    for (int i = 0; i < w->shards.n; i++)
        total += (uint64_t)w->shards.headers[i].n;
    if (total > MAX_TENSORS)
        return err_set(err, ERR_LIMIT, "%s: more than %d tensors", w->path, MAX_TENSORS);
    *n = (int)total;
    return 0;
}

static int list_shards(const struct weights *w, struct stored *list, struct err *err)
{
    for (int i = 0; i < w->shards.n; i++) {
        const struct safetensors *st = &w->shards.headers[i];
        if (stored_from_safetensors(list, st, i, w->path, err)) return -1;
        list += st->n;
    }
    return 0;
}

static int open_safetensors(struct weights *w, const char *dir, struct err *err)
{
    struct scale_block block;
    int n = 0, rc = -1;
    for (int i = 0; i < w->shards.n; i++) {
        w->file_bytes += w->shards.files[i].size;
        file_prefer_direct(&w->shards.files[i]);
    }
    if (read_config(w, dir, &block, err) || count_shards(w, &n, err)) return -1;
    struct stored *stored = xcalloc((size_t)n, sizeof *stored);
    if (list_shards(w, stored, err) == 0) rc = finish_open(w, stored, n, block, err);
    stored_free(stored, n);
    shards_drop_headers(&w->shards);
    return rc;
}

/* ---- GGUF ---- */

static int open_gguf(struct weights *w, const char *path, struct err *err)
{
    int rc = -1;
    if (gguf_open(&w->gguf, path, err) || config_from_gguf(&w->config, path, w->gguf, err))
        return -1;
    for (int i = 0; i < gguf_file_count(w->gguf); i++)
        w->file_bytes += gguf_file_at(w->gguf, i)->size;
    int n = gguf_tensor_count(w->gguf);
    struct stored *stored = xcalloc((size_t)n, sizeof *stored);
    if (stored_from_gguf(stored, w->gguf, w->config.n_layers, path, err) == 0)
        rc = finish_open(w, stored, n, (struct scale_block){0}, err);
    stored_free(stored, n);
    return rc;
}

/* ---- opening ---- */

static bool ends_with(const char *s, const char *suffix)
{
    size_t n = strlen(s), m = strlen(suffix);
    return n >= m && !strcmp(s + n - m, suffix);
}

static int open_path(struct weights *w, const char *path, struct err *err)
{
    struct stat st;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return shards_open_folder(&w->shards, path, err) || open_safetensors(w, path, err) ? -1 : 0;
    if (ends_with(path, ".gguf")) return open_gguf(w, path, err);
    if (!ends_with(path, ".safetensors"))
        return err_set(err, ERR_ARGUMENT, "%s: is no folder, no .gguf and no .safetensors file",
                       path);
    if (shards_open_file(&w->shards, path, err)) return -1;
    char *dir = xstrdup(path), *slash = strrchr(dir, '/');
    if (slash) *slash = 0;
    int rc = open_safetensors(w, !slash ? "." : slash == dir ? "/" : dir, err);
    free(dir);
    return rc;
}

int weights_open(struct weights **out, const char *path, struct err *err)
{
    struct weights *w = xcalloc(1, sizeof *w);
    *out = NULL;
    w->path = xstrdup(path);
    if (open_path(w, path, err)) {
        weights_close(w);
        return -1;
    }
    *out = w;
    return 0;
}

void weights_close(struct weights *w)
{
    if (!w) return;
    views_free(&w->views);
    shards_close(&w->shards);
    gguf_close(w->gguf);
    free(w->slots);
    free(w->path);
    free(w);
}

/* ---- looking and reading ---- */

const struct config *weights_config(const struct weights *w)
{
    return &w->config;
}

const char *weights_path(const struct weights *w)
{
    return w->path;
}

const char *weights_container(const struct weights *w)
{
    return w->gguf ? "gguf" : "safetensors";
}

int weights_count(const struct weights *w)
{
    return w->views.n;
}

const struct weight_view *weights_at(const struct weights *w, int i)
{
    CHECK(i >= 0 && i < w->views.n, "view %d of %d", i, w->views.n);
    return &w->views.at[i];
}

bool weights_have_mtp(const struct weights *w)
{
    return w->mtp;
}

uint64_t weights_file_bytes(const struct weights *w)
{
    return w->file_bytes;
}

uint64_t weights_tensor_bytes(const struct weights *w)
{
    return w->tensor_bytes;
}

static const struct file *file_of(const struct weights *w, const struct extent *x)
{
    return w->gguf ? gguf_file_at(w->gguf, x->file) : &w->shards.files[x->file];
}

/* once: past the system's cache, see file_read_once. */
static int read_rows(const struct weights *w, const struct extent *x, int row, int n, void *out,
                     bool once, struct err *err)
{
    int (*read)(const struct file *, uint64_t, void *, size_t, struct err *) =
        once ? file_read_once : file_read;
    const struct file *f = file_of(w, x);
    uint64_t at = x->offset + (uint64_t)row * x->row_stride;
    if (x->row_stride == x->row_bytes) return read(f, at, out, (size_t)n * x->row_bytes, err);
    for (int i = 0; i < n; i++)
        if (read(f, at + (uint64_t)i * x->row_stride, (char *)out + (size_t)i * x->row_bytes,
                 x->row_bytes, err))
            return -1;
    return 0;
}

int weights_read(const struct weights *w, const struct weight_view *v, int row, int n, void *out,
                 struct err *err)
{
    CHECK(row >= 0 && n >= 0 && n <= v->rows - row, "rows %d + %d of %d", row, n, v->rows);
    return read_rows(w, &v->data, row, n, out, false, err);
}

int weights_read_scales(const struct weights *w, const struct weight_view *v, void *out,
                        struct err *err)
{
    return read_rows(w, &v->scale, 0, v->scale_rows, out, false, err);
}

/* The files may have changed meanwhile. */
static int check_files(const struct weights *w, const struct weight_view *v, struct err *err)
{
    if (v->scale_rows && v->scale.file != v->data.file && file_check(file_of(w, &v->scale), err))
        return -1;
    return file_check(file_of(w, &v->data), err);
}

int weights_read_once(const struct weights *w, const struct weight_view *v, int row, int n,
                      void *out, struct err *err)
{
    CHECK(row >= 0 && n >= 0 && n <= v->rows - row, "rows %d + %d of %d", row, n, v->rows);
    if (read_rows(w, &v->data, row, n, out, true, err)) return -1;
    return check_files(w, v, err);
}

int weights_read_scales_once(const struct weights *w, const struct weight_view *v, void *out,
                             struct err *err)
{
    if (read_rows(w, &v->scale, 0, v->scale_rows, out, true, err)) return -1;
    return check_files(w, v, err);
}

/* ---- digest ---- */

enum { DIGEST_PIECE = 4 << 20 };

static void hash_text(struct sha256 *h, const char *s)
{
    sha256_add(h, s, strlen(s) + 1);
}

/* Name, dtype and shape as text with a NUL after each, so that no two differ only in where one
 * ends. */
static void hash_head(struct sha256 *h, const char *name, const char *kind, enum dtype t, int rows,
                      int cols)
{
    char shape[64];
    snprintf(shape, sizeof shape, "%s %s %d %d", kind, dtype_name(t), rows, cols);
    hash_text(h, name);
    hash_text(h, shape);
}

static int hash_rows(const struct weights *w, struct sha256 *h, const struct extent *x, int rows,
                     char *piece, struct progress *bar, struct err *err)
{
    int step = x->row_bytes ? (int)(DIGEST_PIECE / x->row_bytes) : rows;
    if (step < 1) step = 1; /* a row is at most 2^31 values; the piece has room for one */
    for (int row = 0; row < rows; row += step) {
        int n = rows - row < step ? rows - row : step;
        if (read_rows(w, x, row, n, piece, false, err)) return -1;
        sha256_add(h, piece, (size_t)n * x->row_bytes);
        progress_add(bar, (uint64_t)n * x->row_bytes);
    }
    return 0;
}

static size_t longest_row(const struct weights *w)
{
    size_t max = DIGEST_PIECE;
    for (int i = 0; i < w->views.n; i++) {
        const struct weight_view *v = &w->views.at[i];
        if (v->data.row_bytes > max) max = v->data.row_bytes;
        if (v->scale.row_bytes > max) max = v->scale.row_bytes;
    }
    return max;
}

int weights_digest(const struct weights *w, uint8_t out[32], struct err *err)
{
    struct sha256 *h = sha256_new();
    struct progress *bar = progress_new("digest", w->tensor_bytes, "B");
    char *piece = xmalloc(longest_row(w)), *config = config_canonical(&w->config);
    int rc = 0;
    hash_text(h, config);
    for (int i = 0; i < w->views.n && rc == 0; i++) {
        const struct weight_view *v = &w->views.at[i];
        hash_head(h, v->name, "data", v->dtype, v->rows, v->cols);
        rc = hash_rows(w, h, &v->data, v->rows, piece, bar, err);
        if (rc || v->scale_rows == 0) continue;
        hash_head(h, v->name, "scale", v->scale_dtype, v->scale_rows, v->scale_cols);
        rc = hash_rows(w, h, &v->scale, v->scale_rows, piece, bar, err);
    }
    if (rc == 0) sha256_end(h, out);
    free(config);
    free(piece);
    progress_free(bar);
    sha256_free(h);
    return rc;
}
