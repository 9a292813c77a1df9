#include "format/checkpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/progress.h"

enum { MAX_HEADER = 100 << 20, MAX_PATH = 1 << 16, PIECE = 4 << 20 };

struct writer {
    const char *dir;
    int n, cap;
    struct official_tensor *tensors; /* names owned */
    checkpoint_fill *fill;
    void *ctx;
    char *piece;
    struct progress *bar;
    struct err *err;
};

static int collect(void *ctx, const struct official_tensor *t)
{
    struct writer *w = ctx;
    if (w->n == w->cap) {
        w->cap = w->cap ? w->cap * 2 : 1024;
        w->tensors = xrealloc(w->tensors, (size_t)w->cap, sizeof *w->tensors);
    }
    w->tensors[w->n] = *t;
    w->tensors[w->n++].name = xstrdup(t->name);
    return 0;
}

static uint64_t tensor_bytes(const struct official_tensor *t)
{
    return (uint64_t)t->dim[0] * (uint64_t)t->dim[1] * dtype_row_bytes(t->dtype, 1);
}

static void add_le64(struct buf *b, uint64_t v)
{
    for (int i = 0; i < 8; i++)
        buf_add_byte(b, (char)(v >> (8 * i) & 0xff));
}

/* Size and JSON, padded with spaces so that the data starts at a multiple of 8. */
static void make_header(const struct official_tensor *tensors, int n, struct buf *out,
                        uint64_t *data)
{
    struct buf json;
    buf_init(&json, MAX_HEADER);
    *data = 0;
    for (int i = 0; i < n; i++) {
        const struct official_tensor *t = &tensors[i];
        buf_printf(&json, "%c\"%s\":{\"dtype\":\"%s\",\"shape\":[%d", i ? ',' : '{', t->name,
                   dtype_name(t->dtype), t->dim[0]);
        if (t->n_dims == 2) buf_printf(&json, ",%d", t->dim[1]);
        buf_printf(&json, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)*data,
                   (unsigned long long)(*data + tensor_bytes(t)));
        *data += tensor_bytes(t);
    }
    buf_add_byte(&json, '}');
    while (json.size % 8)
        buf_add_byte(&json, ' ');
    add_le64(out, json.size);
    buf_add(out, json.data, json.size);
    if (json.failed) out->failed = true;
    buf_fini(&json);
}

static int write_all(int fd, const void *data, size_t size)
{
    const char *p = data;
    while (size) {
        ssize_t n = write(fd, p, size);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return -1;
        p += n;
        size -= (size_t)n;
    }
    return 0;
}

static int write_tensor(struct writer *w, int fd, const struct official_tensor *t)
{
    uint64_t bytes = tensor_bytes(t);
    for (uint64_t at = 0; at < bytes;) {
        size_t n = bytes - at < PIECE ? (size_t)(bytes - at) : PIECE;
        w->fill(w->ctx, t, at, w->piece, n);
        if (write_all(fd, w->piece, n)) return -1;
        progress_add(w->bar, n);
        at += n;
    }
    return 0;
}

static int write_shard(struct writer *w, const char *name, const struct official_tensor *tensors,
                       int n)
{
    struct buf path, head;
    uint64_t data;
    buf_init(&path, MAX_PATH);
    buf_init(&head, MAX_HEADER);
    buf_printf(&path, "%s/%s", w->dir, name);
    make_header(tensors, n, &head, &data);
    int fd = open(buf_text(&path), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    int bad = fd < 0 || head.failed || write_all(fd, head.data, head.size);
    if (!bad && !w->fill) bad = ftruncate(fd, (off_t)(head.size + data));
    for (int i = 0; i < n && !bad && w->fill; i++)
        bad = write_tensor(w, fd, &tensors[i]);
    if (bad) err_set(w->err, ERR_IO, "%s: %s", buf_text(&path), strerror(errno));
    if (fd >= 0 && close(fd) && !bad)
        bad = err_set(w->err, ERR_IO, "%s: %s", buf_text(&path), strerror(errno));
    buf_fini(&path);
    buf_fini(&head);
    return bad ? -1 : 0;
}

static int write_index(struct writer *w, const struct buf *map, uint64_t total)
{
    struct buf text, path;
    buf_init(&text, MAX_HEADER);
    buf_init(&path, MAX_PATH);
    buf_printf(&text, "{\"metadata\":{\"total_size\":%llu},\n\"weight_map\":{\n",
               (unsigned long long)total);
    buf_add(&text, map->data, map->size);
    buf_add_str(&text, "}}\n");
    buf_printf(&path, "%s/model.safetensors.index.json", w->dir);
    int rc = text.failed || map->failed
                 ? err_set(w->err, ERR_LIMIT, "%s: an index of more than 100 MB", w->dir)
                 : file_replace(buf_text(&path), text.data, text.size, w->err);
    buf_fini(&text);
    buf_fini(&path);
    return rc;
}

/* Tensors of one block are neighbours in the list. */
static int write_shards(struct writer *w, int n_shards, uint64_t total)
{
    struct buf map;
    char name[64];
    int rc = 0, shard = 0;
    buf_init(&map, MAX_HEADER);
    for (int from = 0, to; from < w->n && rc == 0; from = to) {
        snprintf(name, sizeof name, "model-%05d-of-%05d.safetensors", ++shard, n_shards);
        for (to = from; to < w->n && w->tensors[to].layer == w->tensors[from].layer; to++)
            buf_printf(&map, "%s\"%s\":\"%s\"", to ? ",\n" : "", w->tensors[to].name, name);
        rc = write_shard(w, name, w->tensors + from, to - from);
    }
    if (rc == 0) rc = write_index(w, &map, total);
    buf_fini(&map);
    return rc;
}

int checkpoint_write(const char *dir, const struct config *c, struct official_options o,
                     checkpoint_fill *fill, void *ctx, struct err *err)
{
    struct writer w = {.dir = dir, .fill = fill, .ctx = ctx, .err = err};
    uint64_t total = 0;
    official_each(c, o, collect, &w);
    for (int i = 0; i < w.n; i++)
        total += tensor_bytes(&w.tensors[i]);
    w.piece = xmalloc(PIECE);
    if (fill) w.bar = progress_new("writing", total, "B");
    int rc = write_shards(&w, 1 + c->n_layers + o.mtp, total);
    progress_free(w.bar);
    for (int i = 0; i < w.n; i++)
        mem_free_const(w.tensors[i].name);
    free(w.tensors);
    free(w.piece);
    return rc;
}
