#include "format/gguf_write.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "format/gguf_types.h"

enum { ALIGNMENT = 32, MAX_HEADER = 100 << 20, MAX_PATH = 1 << 16 };

struct gguf_writer {
    char *path, *temp;
    int fd;
    struct buf kv, infos; /* encoded metadata and tensor descriptions */
    uint64_t n_kv;
    uint64_t open_elements; /* of the current array that are still to come */
    int n_tensors;
    uint64_t *bytes; /* [n_tensors] */
    uint64_t next_offset, total;
    bool begun;
    int current;   /* tensor being written */
    uint64_t done; /* bytes of it */
};

/* ---- encoding ---- */

static void add_le(struct buf *b, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++)
        buf_add_byte(b, (char)(v >> (8 * i) & 0xff));
}

static void add_string(struct buf *b, const char *s, size_t size)
{
    add_le(b, size, 8);
    buf_add(b, s, size);
}

static uint32_t float_bits(float v)
{
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits;
}

static void start_kv(struct gguf_writer *w, const char *key, enum gguf_type type)
{
    CHECK(!w->begun && w->open_elements == 0, "key %s out of order", key);
    w->n_kv++;
    add_string(&w->kv, key, strlen(key));
    add_le(&w->kv, type, 4);
}

void gguf_put_u32(struct gguf_writer *w, const char *key, uint32_t v)
{
    start_kv(w, key, GGUF_U32);
    add_le(&w->kv, v, 4);
}

void gguf_put_f32(struct gguf_writer *w, const char *key, float v)
{
    start_kv(w, key, GGUF_F32);
    add_le(&w->kv, float_bits(v), 4);
}

void gguf_put_bool(struct gguf_writer *w, const char *key, bool v)
{
    start_kv(w, key, GGUF_BOOL);
    add_le(&w->kv, v, 1);
}

void gguf_put_string(struct gguf_writer *w, const char *key, const char *s, size_t size)
{
    start_kv(w, key, GGUF_STRING);
    add_string(&w->kv, s, size);
}

void gguf_put_raw(struct gguf_writer *w, const char *key, enum gguf_type type, const void *data,
                  size_t size)
{
    start_kv(w, key, type);
    buf_add(&w->kv, data, size);
}

void gguf_put_array(struct gguf_writer *w, const char *key, enum gguf_type element, uint64_t count)
{
    start_kv(w, key, GGUF_ARRAY);
    add_le(&w->kv, element, 4);
    add_le(&w->kv, count, 8);
    w->open_elements = count;
}

static void take_element(struct gguf_writer *w)
{
    CHECK(w->open_elements > 0, "an element outside an array");
    w->open_elements--;
}

void gguf_add_string(struct gguf_writer *w, const char *s, size_t size)
{
    take_element(w);
    add_string(&w->kv, s, size);
}

void gguf_add_i32(struct gguf_writer *w, int32_t v)
{
    take_element(w);
    add_le(&w->kv, (uint32_t)v, 4);
}

void gguf_add_f32(struct gguf_writer *w, float v)
{
    take_element(w);
    add_le(&w->kv, float_bits(v), 4);
}

static uint64_t padded(uint64_t n)
{
    return (n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

void gguf_declare(struct gguf_writer *w, const char *name, enum dtype dtype, int n_dims,
                  const uint64_t *dim)
{
    int number = gguf_number_of(dtype);
    uint64_t bytes = dtype_row_bytes(dtype, dim[0]);
    CHECK(!w->begun && w->open_elements == 0 && number >= 0, "tensor %s of %s", name,
          dtype_name(dtype));
    add_string(&w->infos, name, strlen(name));
    add_le(&w->infos, (uint64_t)n_dims, 4);
    for (int i = 0; i < n_dims; i++) {
        add_le(&w->infos, dim[i], 8);
        if (i > 0) bytes *= dim[i];
    }
    add_le(&w->infos, (uint64_t)number, 4);
    add_le(&w->infos, w->next_offset, 8);
    w->bytes = xrealloc(w->bytes, (size_t)w->n_tensors + 1, sizeof *w->bytes);
    w->bytes[w->n_tensors++] = bytes;
    w->next_offset += padded(bytes);
    w->total += bytes;
}

uint64_t gguf_declared_bytes(const struct gguf_writer *w)
{
    return w->total;
}

/* ---- the file ---- */

static int io_failed(const struct gguf_writer *w, struct err *err)
{
    return err_set(err, ERR_IO, "%s: %s", w->path, strerror(errno));
}

static int write_all(struct gguf_writer *w, const void *data, size_t size, struct err *err)
{
    return file_write_all(w->fd, data, size) ? io_failed(w, err) : 0;
}

static int write_padding(struct gguf_writer *w, uint64_t after, struct err *err)
{
    static const char zeros[ALIGNMENT];
    return write_all(w, zeros, (size_t)(padded(after) - after), err);
}

int gguf_writer_open(struct gguf_writer **out, const char *path, struct err *err)
{
    struct gguf_writer *w = xcalloc(1, sizeof *w);
    struct buf temp;
    *out = NULL;
    w->path = xstrdup(path);
    buf_init(&w->kv, MAX_HEADER);
    buf_init(&w->infos, MAX_HEADER);
    buf_init(&temp, MAX_PATH);
    buf_printf(&temp, "%s.XXXXXX", path);
    w->temp = buf_take(&temp);
    w->fd = mkstemp(w->temp);
    if (w->fd < 0) {
        io_failed(w, err);
        free(w->temp);
        w->temp = NULL; /* nothing to remove */
        gguf_writer_close(w);
        return -1;
    }
    *out = w;
    return 0;
}

int gguf_begin(struct gguf_writer *w, struct err *err)
{
    struct buf head;
    CHECK(!w->begun && w->open_elements == 0, "the header out of order");
    w->begun = true;
    if (w->kv.failed || w->infos.failed)
        return err_set(err, ERR_LIMIT, "%s: a header of more than 100 MB", w->path);
    buf_init(&head, 64);
    buf_add(&head, "GGUF", 4);
    add_le(&head, 3, 4);
    add_le(&head, (uint64_t)w->n_tensors, 8);
    add_le(&head, w->n_kv, 8);
    int rc = write_all(w, head.data, head.size, err) || write_all(w, w->kv.data, w->kv.size, err) ||
                     write_all(w, w->infos.data, w->infos.size, err) ||
                     write_padding(w, head.size + w->kv.size + w->infos.size, err)
                 ? -1
                 : 0;
    buf_fini(&head);
    return rc;
}

int gguf_write(struct gguf_writer *w, const void *data, size_t size, struct err *err)
{
    const char *p = data;
    CHECK(w->begun, "tensor bytes before the header");
    while (size) {
        CHECK(w->current < w->n_tensors, "%zu bytes after the last tensor", size);
        uint64_t left = w->bytes[w->current] - w->done;
        size_t n = size < left ? size : (size_t)left;
        if (write_all(w, p, n, err)) return -1;
        p += n;
        size -= n;
        w->done += n;
        if (n < left) continue;
        if (write_padding(w, w->done, err)) return -1;
        w->current++;
        w->done = 0;
    }
    return 0;
}

int gguf_finish(struct gguf_writer *w, struct err *err)
{
    CHECK(w->begun && w->current == w->n_tensors, "%d of %d tensors written", w->current,
          w->n_tensors);
    mode_t mask = umask(0);
    umask(mask);
    if (fchmod(w->fd, 0666 & ~mask) || fsync(w->fd) || rename(w->temp, w->path))
        return io_failed(w, err);
    free(w->temp);
    w->temp = NULL;
    return 0;
}

void gguf_writer_close(struct gguf_writer *w)
{
    if (!w) return;
    if (w->fd >= 0) close(w->fd);
    if (w->temp) unlink(w->temp);
    buf_fini(&w->kv);
    buf_fini(&w->infos);
    free(w->bytes);
    free(w->temp);
    free(w->path);
    free(w);
}
