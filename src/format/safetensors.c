#include "format/safetensors.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/size.h"
#include "format/scan.h"

enum { MAX_HEADER = 100 << 20, MAX_TENSORS = 1 << 20, MAX_METADATA = 1 << 16 };

/* A growing list of keys, to find duplicates. */
struct keys {
    const char **at;
    size_t n, cap;
};

static void keys_add(struct keys *k, const char *key)
{
    if (k->n == k->cap) {
        k->cap = k->cap ? k->cap * 2 : 16;
        k->at = xrealloc(k->at, k->cap, sizeof *k->at);
    }
    k->at[k->n++] = key;
}

/* "__metadata__": {text: text}. Nothing of it is used. */
static void read_metadata(struct scan *s)
{
    struct keys keys = {0};
    const char *key;
    scan_object(s);
    while ((key = scan_key(s)) != NULL) {
        if (keys.n == MAX_METADATA) scan_fail(s, ERR_LIMIT, "too many metadata entries");
        keys_add(&keys, key);
        scan_string(s);
    }
    if (!s->failed && scan_check_unique(s->what, keys.at, keys.n, s->err)) s->failed = true;
    free(keys.at);
}

static enum dtype read_dtype(struct scan *s, const char *tensor)
{
    static const enum dtype stored[] = {DT_F32, DT_F16, DT_BF16, DT_F8_E4M3, DT_F8_E8M0,
                                        DT_I8,  DT_U8,  DT_I32,  DT_I64};
    const char *name = scan_string(s);
    if (!name) return DT_COUNT;
    for (size_t i = 0; i < sizeof stored / sizeof *stored; i++)
        if (!strcmp(name, dtype_name(stored[i]))) return stored[i];
    err_set(s->err, ERR_UNSUPPORTED, "%s: tensor %.200s has dtype %.40s, which Tenon does not read",
            s->what, tensor, name);
    s->failed = true;
    return DT_COUNT;
}

static void read_shape(struct scan *s, struct safetensor *t)
{
    t->n_dims = 0;
    scan_list(s);
    while (scan_more(s)) {
        if (t->n_dims == SAFETENSORS_MAX_DIMS) {
            scan_fail(s, ERR_LIMIT, "a tensor of more than 8 dimensions");
            return;
        }
        t->dim[t->n_dims++] = scan_u64(s);
    }
}

/* [begin, end) after the header; kept in offset and bytes until check_tensor. */
static void read_range(struct scan *s, struct safetensor *t)
{
    uint64_t v[2] = {0};
    int n = 0; /* at most the header's bytes, so no overflow */
    scan_list(s);
    while (scan_more(s)) {
        uint64_t x = scan_u64(s);
        if (n < 2) v[n] = x;
        n++;
    }
    if (s->failed || n != 2 || v[0] > v[1]) {
        scan_fail(s, ERR_FORMAT, "data_offsets is no pair of begin and end");
        return;
    }
    t->offset = v[0];
    t->bytes = v[1] - v[0];
}

/* Shape, dtype, range and file must agree. */
static int check_tensor(struct safetensor *t, const char *what, uint64_t data_start,
                        uint64_t file_size, struct err *err)
{
    uint64_t count = 1, bytes;
    for (int i = 0; i < t->n_dims; i++)
        if (t->dim[i] == 0 || size_mul(count, t->dim[i], &count))
            return err_set(err, ERR_FORMAT, "%s: tensor %.200s: dimension %d is %llu", what,
                           t->name, i, (unsigned long long)t->dim[i]);
    if (size_mul(count, dtype_row_bytes(t->dtype, 1), &bytes) || bytes != t->bytes)
        return err_set(
            err, ERR_FORMAT, "%s: tensor %.200s: %llu values of %s do not fill %llu bytes", what,
            t->name, (unsigned long long)count, dtype_name(t->dtype), (unsigned long long)t->bytes);
    uint64_t room = file_size - data_start;
    if (t->offset > room || t->bytes > room - t->offset)
        return err_set(err, ERR_FORMAT,
                       "%s: tensor %.200s: %llu bytes at %llu, but only %llu follow the header",
                       what, t->name, (unsigned long long)t->bytes, (unsigned long long)t->offset,
                       (unsigned long long)room);
    t->offset += data_start;
    return 0;
}

static void read_tensor(struct scan *s, struct safetensor *t)
{
    bool dtype = false, shape = false, range = false;
    const char *key;
    scan_object(s);
    while ((key = scan_key(s)) != NULL) {
        bool *seen = !strcmp(key, "dtype")          ? &dtype
                     : !strcmp(key, "shape")        ? &shape
                     : !strcmp(key, "data_offsets") ? &range
                                                    : NULL;
        if (!seen || *seen) {
            scan_fail(s, ERR_FORMAT, "an unknown or repeated key in a tensor's entry");
            return;
        }
        *seen = true;
        if (seen == &dtype) t->dtype = read_dtype(s, t->name);
        if (seen == &shape) read_shape(s, t);
        if (seen == &range) read_range(s, t);
    }
    if (!s->failed && !(dtype && shape && range))
        scan_fail(s, ERR_FORMAT, "a tensor's entry lacks dtype, shape or data_offsets");
}

static void read_header(struct scan *s, struct safetensors *st, uint64_t data_start,
                        uint64_t file_size)
{
    size_t cap = 0;
    bool metadata = false;
    const char *key;
    scan_object(s);
    while ((key = scan_key(s)) != NULL) {
        if (!strcmp(key, "__metadata__")) {
            if (metadata) scan_fail(s, ERR_FORMAT, "__metadata__ is there twice");
            metadata = true;
            read_metadata(s);
            continue;
        }
        if (st->n == MAX_TENSORS) {
            scan_fail(s, ERR_LIMIT, "more than a million tensors");
            return;
        }
        if ((size_t)st->n == cap) {
            cap = cap ? cap * 2 : 64;
            st->tensors = xrealloc(st->tensors, cap, sizeof *st->tensors);
        }
        struct safetensor *t = &st->tensors[st->n++];
        *t = (struct safetensor){.name = key};
        read_tensor(s, t);
        if (!s->failed && check_tensor(t, s->what, data_start, file_size, s->err)) s->failed = true;
    }
}

static int by_offset(const void *a, const void *b)
{
    const struct safetensor *x = a, *y = b;
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* No byte of the file belongs to two tensors or to none. */
static int check_cover(const struct safetensors *st, const char *what, uint64_t data_start,
                       uint64_t file_size, struct err *err)
{
    uint64_t at = data_start;
    for (int i = 0; i < st->n; i++) {
        if (st->tensors[i].offset != at)
            return err_set(err, ERR_FORMAT, "%s: tensor %.200s starts at byte %llu, %llu is wanted",
                           what, st->tensors[i].name, (unsigned long long)st->tensors[i].offset,
                           (unsigned long long)at);
        at += st->tensors[i].bytes; /* inside the file: check_tensor */
    }
    if (at != file_size)
        return err_set(err, ERR_FORMAT, "%s: the tensors end at byte %llu of %llu", what,
                       (unsigned long long)at, (unsigned long long)file_size);
    return 0;
}

static int check_names(const struct safetensors *st, const char *what, struct err *err)
{
    const char **names = xcalloc((size_t)st->n, sizeof *names);
    for (int i = 0; i < st->n; i++)
        names[i] = st->tensors[i].name;
    int rc = scan_check_unique(what, names, (size_t)st->n, err);
    free(names);
    return rc;
}

int safetensors_parse(struct safetensors *st, const char *what, char *header, size_t size,
                      uint64_t file_size, struct err *err)
{
    struct scan s;
    uint64_t data_start;
    *st = (struct safetensors){.header = header};
    if (size > MAX_HEADER || size_add(size, 8, &data_start) || data_start > file_size) {
        err_set(err, ERR_FORMAT, "%s: a header of %zu bytes in a file of %llu", what, size,
                (unsigned long long)file_size);
        goto fail;
    }
    scan_init(&s, what, header, size, err);
    read_header(&s, st, data_start, file_size);
    if (scan_end(&s)) goto fail;
    if (st->n) qsort(st->tensors, (size_t)st->n, sizeof *st->tensors, by_offset);
    if (check_names(st, what, err) || check_cover(st, what, data_start, file_size, err)) goto fail;
    return 0;

fail:
    safetensors_close(st);
    return -1;
}

int safetensors_open(struct safetensors *st, const struct file *f, struct err *err)
{
    uint8_t raw[8];
    uint64_t size = 0;
    *st = (struct safetensors){0};
    if (f->size < sizeof raw)
        return err_set(err, ERR_FORMAT, "%s: %llu bytes are no safetensors file", f->path,
                       (unsigned long long)f->size);
    if (file_read(f, 0, raw, sizeof raw, err)) return -1;
    for (int i = 7; i >= 0; i--)
        size = size << 8 | raw[i];
    if (size > MAX_HEADER || size > f->size - sizeof raw)
        return err_set(
            err, ERR_FORMAT,
            "%s: the header claims %llu bytes; the file has %llu, at most 100 MB are allowed",
            f->path, (unsigned long long)size, (unsigned long long)f->size);
    char *header = xmalloc((size_t)size + 1);
    if (file_read(f, sizeof raw, header, (size_t)size, err)) {
        free(header);
        return -1;
    }
    return safetensors_parse(st, f->path, header, (size_t)size, f->size, err);
}

void safetensors_close(struct safetensors *st)
{
    free(st->tensors);
    free(st->header);
    *st = (struct safetensors){0};
}
