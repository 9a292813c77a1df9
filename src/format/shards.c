#include "format/shards.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "format/scan.h"

enum { MAX_INDEX = 100 << 20, MAX_PATH = 1 << 16, MAX_METADATA = 1 << 16, MAX_TENSORS = 1 << 20 };

static const char index_name[] = "model.safetensors.index.json";

/* One line of weight_map. */
struct entry {
    const char *tensor, *file;
};

struct index {
    char *path, *text; /* the names point into text */
    struct entry *entries;
    size_t n;
};

static void index_free(struct index *x)
{
    free(x->path);
    free(x->text);
    free(x->entries);
}

static int by_file_and_tensor(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    int order = strcmp(x->file, y->file);
    return order ? order : strcmp(x->tensor, y->tensor);
}

/* "metadata": {"total_size": ...}; flat, not used. */
static void read_metadata(struct scan *s)
{
    const char **keys = NULL, *key;
    size_t n = 0, cap = 0;
    scan_object(s);
    while ((key = scan_key(s)) != NULL) {
        if (n == MAX_METADATA) scan_fail(s, ERR_LIMIT, "too many metadata entries");
        if (n == cap) {
            cap = cap ? cap * 2 : 16;
            keys = xrealloc(keys, cap, sizeof *keys);
        }
        keys[n++] = key;
        scan_skip_scalar(s);
    }
    if (!s->failed && scan_check_unique(s->what, keys, n, s->err)) s->failed = true;
    free(keys);
}

static void read_weight_map(struct scan *s, struct index *x)
{
    size_t cap = 0;
    const char *key;
    scan_object(s);
    while ((key = scan_key(s)) != NULL) {
        if (x->n == MAX_TENSORS) {
            scan_fail(s, ERR_LIMIT, "more than a million tensors");
            return;
        }
        if (x->n == cap) {
            cap = cap ? cap * 2 : 64;
            x->entries = xrealloc(x->entries, cap, sizeof *x->entries);
        }
        x->entries[x->n++] = (struct entry){.tensor = key, .file = scan_string(s)};
    }
}

static int check_unique(const struct index *x, struct err *err)
{
    const char **names = xcalloc(x->n, sizeof *names);
    for (size_t i = 0; i < x->n; i++)
        names[i] = x->entries[i].tensor;
    int rc = scan_check_unique(x->path, names, x->n, err);
    free(names);
    return rc;
}

/* Entries sorted by file, then tensor. */
static int read_index(struct index *x, const char *dir, struct err *err)
{
    struct buf path;
    size_t size;
    struct scan s;
    const char *key;
    bool map = false, metadata = false;
    buf_init(&path, MAX_PATH);
    buf_printf(&path, "%s/%s", dir, index_name);
    x->path = buf_take(&path);
    if (file_slurp(x->path, MAX_INDEX, &x->text, &size, err)) return -1;

    scan_init(&s, x->path, x->text, size, err);
    scan_object(&s);
    while ((key = scan_key(&s)) != NULL) {
        if (!strcmp(key, "weight_map") && !map) {
            map = true;
            read_weight_map(&s, x);
        } else if (!strcmp(key, "metadata") && !metadata) {
            metadata = true;
            read_metadata(&s);
        } else {
            scan_fail(&s, ERR_FORMAT, "an unknown or repeated key");
        }
    }
    if (scan_end(&s)) return -1;
    if (x->n == 0) return err_set(err, ERR_FORMAT, "%s: weight_map names no tensor", x->path);
    if (check_unique(x, err)) return -1;
    qsort(x->entries, x->n, sizeof *x->entries, by_file_and_tensor);
    return 0;
}

static void add_slot(struct shards *s)
{
    s->n++;
    s->files = xrealloc(s->files, (size_t)s->n, sizeof *s->files);
    s->headers = xrealloc(s->headers, (size_t)s->n, sizeof *s->headers);
    s->files[s->n - 1] = (struct file){.fd = -1, .direct_fd = -1};
    s->headers[s->n - 1] = (struct safetensors){0};
}

static int by_tensor(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    return strcmp(x->tensor, y->tensor);
}

/* entries [n] are those of one shard: it must hold exactly these tensors. */
static int check_shard(const struct safetensors *st, const struct file *f,
                       const struct entry *entries, size_t n, struct err *err)
{
    for (int i = 0; i < st->n; i++) {
        struct entry key = {.tensor = st->tensors[i].name};
        if (!bsearch(&key, entries, n, sizeof *entries, by_tensor))
            return err_set(err, ERR_FORMAT, "%s: tensor %.200s is not in %s for this file", f->path,
                           key.tensor, index_name);
    }
    if ((size_t)st->n != n) /* names are unique on both sides, so some of the index are not here */
        return err_set(err, ERR_FORMAT, "%s: holds %d tensors, %s says %zu", f->path, st->n,
                       index_name, n);
    return 0;
}

static int open_indexed(struct shards *s, const char *dir, const struct index *x, struct err *err)
{
    for (size_t from = 0, to; from < x->n; from = to) {
        const char *name = x->entries[from].file;
        for (to = from; to < x->n && !strcmp(x->entries[to].file, name); to++)
            ;
        if (s->n == SHARDS_MAX)
            return err_set(err, ERR_LIMIT, "%s: more than %d files", x->path, SHARDS_MAX);
        add_slot(s);
        struct file *f = &s->files[s->n - 1];
        struct safetensors *st = &s->headers[s->n - 1];
        if (file_open_beneath(f, dir, name, err) || safetensors_open(st, f, err) ||
            check_shard(st, f, x->entries + from, to - from, err))
            return -1;
    }
    return 0;
}

/* "model.safetensors", or the one file of that kind. Returns a name the caller frees. */
static char *find_single(const char *dir, struct err *err)
{
    static const char suffix[] = ".safetensors";
    DIR *d = opendir(dir);
    char *found = NULL;
    int count = 0;
    if (!d) {
        err_set(err, ERR_IO, "%s: %s", dir, strerror(errno));
        return NULL;
    }
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        size_t n = strlen(e->d_name);
        if (n < sizeof suffix || strcmp(e->d_name + n - (sizeof suffix - 1), suffix)) continue;
        bool main_file = !strcmp(e->d_name, "model.safetensors");
        if (!found || main_file) {
            free(found);
            found = xstrdup(e->d_name);
        }
        count++;
        if (main_file) {
            count = 1;
            break;
        }
    }
    closedir(d);
    if (count == 1) return found;
    err_set(err, ERR_IO, "%s: %d files *.safetensors, none is model.safetensors, and no %s", dir,
            count, index_name);
    free(found);
    return NULL;
}

int shards_open_file(struct shards *s, const char *path, struct err *err)
{
    *s = (struct shards){0};
    add_slot(s);
    if (file_open(&s->files[0], path, err) || safetensors_open(&s->headers[0], &s->files[0], err)) {
        shards_close(s);
        return -1;
    }
    return 0;
}

static bool index_exists(const char *dir)
{
    struct buf path;
    buf_init(&path, MAX_PATH);
    buf_printf(&path, "%s/%s", dir, index_name);
    bool there = access(buf_text(&path), F_OK) == 0;
    buf_fini(&path);
    return there;
}

int shards_open_folder(struct shards *s, const char *dir, struct err *err)
{
    struct index x = {0};
    char *name = NULL;
    *s = (struct shards){0};
    if (index_exists(dir)) {
        if (read_index(&x, dir, err) || open_indexed(s, dir, &x, err)) goto fail;
    } else {
        name = find_single(dir, err);
        if (!name) goto fail;
        add_slot(s);
        if (file_open_beneath(&s->files[0], dir, name, err) ||
            safetensors_open(&s->headers[0], &s->files[0], err))
            goto fail;
    }
    index_free(&x);
    free(name);
    return 0;

fail:
    index_free(&x);
    free(name);
    shards_close(s);
    return -1;
}

void shards_drop_headers(struct shards *s)
{
    for (int i = 0; i < s->n; i++)
        safetensors_close(&s->headers[i]);
}

void shards_close(struct shards *s)
{
    for (int i = 0; i < s->n; i++) {
        safetensors_close(&s->headers[i]);
        file_close(&s->files[i]);
    }
    free(s->files);
    free(s->headers);
    *s = (struct shards){0};
}
