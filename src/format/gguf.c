#include "format/gguf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "format/gguf_parse.h"

enum { MAX_FILES = 4096, MAX_PATH = 1 << 16 };

/* ---- split sets ---- */

static const char split_first[] = "-00001-of-";

/* "NAME-00001-of-00007.gguf": bytes before the dash, when path has this form for n files. */
static bool split_stem(const char *path, uint64_t n, size_t *stem)
{
    char tail[64];
    snprintf(tail, sizeof tail, "%s%05llu.gguf", split_first, (unsigned long long)n);
    size_t size = strlen(path), tail_size = strlen(tail);
    if (size <= tail_size || strcmp(path + size - tail_size, tail) != 0) return false;
    *stem = size - tail_size;
    return true;
}

static int open_split_file(struct gguf *g, size_t stem, int i, int n, struct err *err)
{
    struct buf path;
    buf_init(&path, MAX_PATH);
    buf_printf(&path, "%.*s-%05d-of-%05d.gguf", (int)stem, g->path, i + 1, n);
    char *dir = buf_take(&path), *slash = strrchr(dir, '/'),
         *name = xstrdup(slash ? slash + 1 : dir);
    if (slash) *slash = 0;
    int rc = file_open_beneath(&g->files[i], !slash ? "." : slash == dir ? "/" : dir, name, err);
    free(name);
    free(dir);
    return rc;
}

static uint64_t split_value(const struct gguf_part *part, const char *key, uint64_t absent)
{
    uint64_t v = absent;
    const struct gguf_kv *kv = gguf_kv_find(part, key);
    if (kv && !gguf_kv_u64(part, kv, &v)) v = UINT64_MAX;
    return v;
}

static void move_tensors(struct gguf *g, struct gguf_part *part)
{
    if (part->n_tensors == 0) return;
    size_t n = (size_t)g->n_tensors, more = (size_t)part->n_tensors;
    g->tensors = xrealloc(g->tensors, n + more, sizeof *g->tensors);
    memcpy(g->tensors + n, part->tensors, more * sizeof *g->tensors);
    g->n_tensors += part->n_tensors;
    part->n_tensors = 0;
}

static int open_others(struct gguf *g, int n, size_t stem, struct err *err)
{
    for (int i = 1; i < n; i++) {
        struct gguf_part part;
        g->files = xrealloc(g->files, (size_t)n, sizeof *g->files);
        g->files[i] = (struct file){.fd = -1, .direct_fd = -1};
        g->n_files = i + 1;
        if (open_split_file(g, stem, i, n, err)) return -1;
        const struct file *f = &g->files[i];
        if (gguf_part_parse(&part, f->path, f, NULL, 0, i, err)) return -1;
        if (split_value(&part, "split.no", UINT64_MAX) != (uint64_t)i ||
            split_value(&part, "split.count", 0) != (uint64_t)n) {
            gguf_part_fini(&part);
            return err_set(err, ERR_FORMAT, "%s: its split.no and split.count are not %d and %d",
                           f->path, i, n);
        }
        move_tensors(g, &part);
        gguf_part_fini(&part);
    }
    return 0;
}

static int open_splits(struct gguf *g, struct err *err)
{
    uint64_t n = split_value(&g->meta, "split.count", 1), total;
    size_t stem;
    if (n <= 1) return 0; /* some writers say 0 for a file of its own */
    if (n > MAX_FILES)
        return err_set(err, ERR_LIMIT, "%s: split.count is no number up to %d", g->path, MAX_FILES);
    if (split_value(&g->meta, "split.no", UINT64_MAX) != 0 || !split_stem(g->path, n, &stem))
        return err_set(err, ERR_FORMAT,
                       "%s: is part of %llu files; open the one named ...%s%05llu.gguf", g->path,
                       (unsigned long long)n, split_first, (unsigned long long)n);
    if (g->n_files == 0)
        return err_set(err, ERR_UNSUPPORTED, "%s: a split set needs files", g->path);
    if (open_others(g, (int)n, stem, err)) return -1;
    total = split_value(&g->meta, "split.tensors.count", (uint64_t)g->n_tensors);
    if (total != (uint64_t)g->n_tensors)
        return err_set(err, ERR_FORMAT, "%s: the set holds %d tensors, split.tensors.count is %llu",
                       g->path, g->n_tensors, (unsigned long long)total);
    return 0;
}

/* ---- tensors ---- */

static int by_name(const void *a, const void *b)
{
    const struct gguf_tensor *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

static int index_tensors(struct gguf *g, struct err *err)
{
    size_t n = (size_t)g->n_tensors;
    g->by_name = xcalloc(n, sizeof *g->by_name);
    for (size_t i = 0; i < n; i++)
        g->by_name[i] = &g->tensors[i];
    if (n) qsort(g->by_name, n, sizeof *g->by_name, by_name);
    for (size_t i = 1; i < n; i++)
        if (!strcmp(g->by_name[i - 1]->name, g->by_name[i]->name))
            return err_set(err, ERR_FORMAT, "%s: tensor %s is there twice", g->path,
                           g->by_name[i]->name);
    return 0;
}

static int finish_open(struct gguf *g, struct err *err)
{
    move_tensors(g, &g->meta);
    return open_splits(g, err) || index_tensors(g, err) ? -1 : 0;
}

int gguf_open(struct gguf **out, const char *path, struct err *err)
{
    struct gguf *g = xcalloc(1, sizeof *g);
    *out = NULL;
    g->path = xstrdup(path);
    g->files = xcalloc(1, sizeof *g->files);
    if (file_open(&g->files[0], path, err)) goto fail;
    g->n_files = 1;
    if (gguf_part_parse(&g->meta, path, &g->files[0], NULL, 0, 0, err)) goto fail;
    if (finish_open(g, err)) goto fail;
    for (int i = 0; i < g->n_files; i++)
        file_prefer_direct(&g->files[i]);
    *out = g;
    return 0;

fail:
    gguf_close(g);
    return -1;
}

int gguf_open_bytes(struct gguf **out, const char *what, const void *data, size_t size,
                    struct err *err)
{
    struct gguf *g = xcalloc(1, sizeof *g);
    *out = NULL;
    g->path = xstrdup(what);
    if (gguf_part_parse(&g->meta, what, NULL, data, size, 0, err) || finish_open(g, err)) {
        gguf_close(g);
        return -1;
    }
    *out = g;
    return 0;
}

void gguf_close(struct gguf *g)
{
    if (!g) return;
    struct gguf_part names = {.tensors = g->tensors, .n_tensors = g->n_tensors};
    gguf_part_fini(&names);
    gguf_part_fini(&g->meta);
    for (int i = 0; i < g->n_files; i++)
        file_close(&g->files[i]);
    free(g->files);
    free(g->by_name);
    free(g->path);
    free(g);
}

int gguf_tensor_count(const struct gguf *g)
{
    return g->n_tensors;
}

const struct gguf_tensor *gguf_tensor_at(const struct gguf *g, int i)
{
    CHECK(i >= 0 && i < g->n_tensors, "tensor %d of %d", i, g->n_tensors);
    return &g->tensors[i];
}

static int compare_name(const void *key, const void *t)
{
    return strcmp(key, (*(const struct gguf_tensor *const *)t)->name);
}

const struct gguf_tensor *gguf_tensor_find(const struct gguf *g, const char *name)
{
    if (g->n_tensors == 0) return NULL;
    const struct gguf_tensor **at =
        bsearch(name, g->by_name, (size_t)g->n_tensors, sizeof *g->by_name, compare_name);
    return at ? *at : NULL;
}

int gguf_file_count(const struct gguf *g)
{
    return g->n_files;
}

const struct file *gguf_file_at(const struct gguf *g, int i)
{
    CHECK(i >= 0 && i < g->n_files, "file %d of %d", i, g->n_files);
    return &g->files[i];
}
