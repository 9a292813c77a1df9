#include "format/gguf_parse.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/size.h"
#include "format/gguf_types.h"

enum {
    MAX_HEADER = 100 << 20,
    MAX_TENSORS = 1 << 20,
    MAX_KV = 1 << 16,
    MAX_STRING = 16 << 20,
    MAX_KEY = 1 << 16,
    MAX_TENSOR_NAME = 255,
    MAX_ALIGNMENT = 1 << 16,
    MIN_KV = 8 + 4 + 1,             /* bytes of the shortest entry */
    MIN_TENSOR = 8 + 4 + 8 + 4 + 8, /* likewise */
    FIRST_READ = 1 << 16,
};

/* The header has no stated size, so the file is read as far as parsing needs, doubling. */
struct reader {
    const char *what;
    const struct file *file; /* NULL: all bytes are there */
    uint8_t *owned;
    const uint8_t *head;
    size_t have, pos, limit;
    uint64_t file_size;
    bool failed;
    struct err *err;
};

static bool fail(struct reader *r)
{
    r->failed = true;
    return false;
}

/* Makes bytes [pos, pos + n) available. */
static bool need(struct reader *r, uint64_t n)
{
    if (r->failed) return false;
    if (n > r->limit - r->pos) {
        err_set(r->err, ERR_FORMAT, "%s: byte %zu: %llu more bytes are wanted, %zu are left%s",
                r->what, r->pos, (unsigned long long)n, r->limit - r->pos,
                r->limit < r->file_size ? " of a header of at most 100 MB" : "");
        return fail(r);
    }
    if (r->pos + n <= r->have) return true;
    size_t to = r->have < FIRST_READ / 2 ? FIRST_READ : r->have * 2;
    if (to < r->pos + n) to = r->pos + (size_t)n;
    if (to > r->limit) to = r->limit;
    r->owned = xrealloc(r->owned, to, 1);
    r->head = r->owned;
    if (file_read(r->file, r->have, r->owned + r->have, to - r->have, r->err)) return fail(r);
    r->have = to;
    return true;
}

uint64_t gguf_le(const uint8_t *p, int n)
{
    uint64_t v = 0;
    for (int i = n - 1; i >= 0; i--)
        v = v << 8 | p[i];
    return v;
}

static uint64_t take_int(struct reader *r, int bytes)
{
    if (!need(r, (uint64_t)bytes)) return 0;
    uint64_t v = gguf_le(r->head + r->pos, bytes);
    r->pos += (size_t)bytes;
    return v;
}

int gguf_scalar_bytes(uint32_t type)
{
    static const int bytes[GGUF_TYPE_COUNT] = {
        [GGUF_U8] = 1,  [GGUF_I8] = 1,  [GGUF_U16] = 2, [GGUF_I16] = 2,
        [GGUF_U32] = 4, [GGUF_I32] = 4, [GGUF_F32] = 4, [GGUF_BOOL] = 1,
        [GGUF_U64] = 8, [GGUF_I64] = 8, [GGUF_F64] = 8};
    return type < GGUF_TYPE_COUNT ? bytes[type] : 0;
}

/* Skips a counted string and returns where its length stands. */
static size_t skip_string(struct reader *r, uint64_t *length, uint64_t max)
{
    size_t at = r->pos;
    *length = take_int(r, 8);
    if (r->failed) return at;
    if (*length > max) {
        err_set(r->err, ERR_LIMIT, "%s: byte %zu: a string of %llu bytes, at most %llu are allowed",
                r->what, at, (unsigned long long)*length, (unsigned long long)max);
        fail(r);
    } else if (need(r, *length)) {
        r->pos += (size_t)*length;
    }
    return at;
}

/* A counted string as a C string the caller frees; one that is empty or holds a NUL is refused. */
static char *take_name(struct reader *r, uint64_t max)
{
    uint64_t length;
    size_t at = skip_string(r, &length, max);
    if (r->failed) return NULL;
    const char *s = (const char *)r->head + at + 8;
    if (length == 0 || memchr(s, 0, (size_t)length)) {
        err_set(r->err, ERR_FORMAT, "%s: byte %zu: an empty name or one with a NUL", r->what, at);
        fail(r);
        return NULL;
    }
    return xstrndup(s, (size_t)length);
}

static void bad_type(struct reader *r, const struct gguf_kv *kv, uint64_t type)
{
    err_set(r->err, ERR_FORMAT, "%s: key %.200s has the unknown type %llu", r->what, kv->key,
            (unsigned long long)type);
    fail(r);
}

static void check_bools(struct reader *r, const struct gguf_kv *kv, size_t at, uint64_t n)
{
    for (uint64_t i = 0; i < n && !r->failed; i++)
        if (r->head[at + i] > 1) {
            err_set(r->err, ERR_FORMAT, "%s: key %.200s: a bool of value %d", r->what, kv->key,
                    r->head[at + i]);
            fail(r);
        }
}

static void take_array(struct reader *r, struct gguf_kv *kv)
{
    uint64_t element = take_int(r, 4), bytes;
    kv->count = take_int(r, 8);
    if (r->failed) return;
    int each = element == GGUF_STRING ? 8 : gguf_scalar_bytes((uint32_t)element);
    if (element == GGUF_ARRAY) {
        err_set(r->err, ERR_UNSUPPORTED, "%s: key %.200s is an array of arrays", r->what, kv->key);
        fail(r);
        return;
    }
    if (each == 0 || element >= GGUF_TYPE_COUNT) {
        bad_type(r, kv, element);
        return;
    }
    kv->element = (enum gguf_type)element;
    kv->data = r->pos;
    if (size_mul(kv->count, (uint64_t)each, &bytes) || bytes > r->limit - r->pos) {
        err_set(r->err, ERR_FORMAT, "%s: key %.200s: %llu elements do not fit the file", r->what,
                kv->key, (unsigned long long)kv->count);
        fail(r);
        return;
    }
    if (element != GGUF_STRING) {
        if (!need(r, bytes)) return;
        if (element == GGUF_BOOL) check_bools(r, kv, kv->data, bytes);
        r->pos += (size_t)bytes;
        return;
    }
    kv->starts = xcalloc((size_t)kv->count, sizeof *kv->starts);
    for (uint64_t i = 0; i < kv->count && !r->failed; i++) {
        uint64_t length;
        kv->starts[i] = (uint32_t)skip_string(r, &length, MAX_STRING);
    }
}

static void take_kv(struct reader *r, struct gguf_kv *kv)
{
    kv->key = take_name(r, MAX_KEY);
    uint64_t type = take_int(r, 4);
    if (r->failed) return;
    kv->payload = r->pos;
    kv->count = 1;
    kv->type = (enum gguf_type)type;
    int bytes = gguf_scalar_bytes((uint32_t)type);
    if (type == GGUF_STRING) {
        kv->data = skip_string(r, &kv->count, MAX_STRING) + 8;
    } else if (type == GGUF_ARRAY) {
        take_array(r, kv);
    } else if (bytes == 0) {
        bad_type(r, kv, type);
    } else if (need(r, (uint64_t)bytes)) {
        if (type == GGUF_BOOL) check_bools(r, kv, r->pos, 1);
        r->pos += (size_t)bytes;
    }
    kv->size = r->pos - kv->payload;
}

static int by_key(const void *a, const void *b)
{
    const struct gguf_kv *const *x = a, *const *y = b;
    return strcmp((*x)->key, (*y)->key);
}

static void take_metadata(struct reader *r, struct gguf_part *part, uint64_t n)
{
    part->kv = xcalloc((size_t)n, sizeof *part->kv);
    part->by_key = xcalloc((size_t)n, sizeof *part->by_key);
    for (uint64_t i = 0; i < n && !r->failed; i++) {
        part->n_kv++;
        take_kv(r, &part->kv[i]);
        part->by_key[i] = &part->kv[i];
    }
    if (r->failed || n == 0) return;
    qsort(part->by_key, (size_t)n, sizeof *part->by_key, by_key);
    for (uint64_t i = 1; i < n; i++)
        if (!strcmp(part->by_key[i - 1]->key, part->by_key[i]->key)) {
            err_set(r->err, ERR_FORMAT, "%s: key %.200s is there twice", r->what,
                    part->by_key[i]->key);
            fail(r);
            return;
        }
}

/* Shape and type give the bytes. */
static void size_tensor(struct reader *r, struct gguf_tensor *t)
{
    uint64_t rows = 1;
    for (int i = 0; i < t->n_dims; i++)
        if (t->dim[i] == 0 || t->dim[i] > INT64_MAX / 64 ||
            (i > 0 && size_mul(rows, t->dim[i], &rows))) {
            err_set(r->err, ERR_FORMAT, "%s: tensor %s: dimension %d is %llu", r->what, t->name, i,
                    (unsigned long long)t->dim[i]);
            fail(r);
            return;
        }
    if (t->dim[0] % (uint64_t)dtype_block(t->dtype)) {
        err_set(r->err, ERR_FORMAT, "%s: tensor %s: rows of %llu values do not fill blocks of %s",
                r->what, t->name, (unsigned long long)t->dim[0], dtype_name(t->dtype));
        fail(r);
    } else if (size_mul(rows, dtype_row_bytes(t->dtype, t->dim[0]), &t->bytes)) {
        err_set(r->err, ERR_FORMAT, "%s: tensor %s: its size overflows", r->what, t->name);
        fail(r);
    }
}

static void take_tensor(struct reader *r, struct gguf_tensor *t)
{
    t->name = take_name(r, MAX_TENSOR_NAME);
    uint64_t n_dims = take_int(r, 4);
    if (r->failed) return;
    if (n_dims < 1 || n_dims > GGUF_MAX_DIMS) {
        err_set(r->err, ERR_FORMAT, "%s: tensor %s has %llu dimensions, 1 to 4 are allowed",
                r->what, t->name, (unsigned long long)n_dims);
        fail(r);
        return;
    }
    t->n_dims = (int)n_dims;
    for (int i = 0; i < GGUF_MAX_DIMS; i++)
        t->dim[i] = i < t->n_dims ? take_int(r, 8) : 1;
    uint32_t type = (uint32_t)take_int(r, 4);
    t->offset = take_int(r, 8);
    if (r->failed) return;
    t->dtype = gguf_dtype(type);
    if (t->dtype == DT_COUNT) {
        err_set(r->err, ERR_UNSUPPORTED,
                "%s: tensor %s has type %s (%u), which Tenon does not read", r->what, t->name,
                gguf_type_name(type), type);
        fail(r);
        return;
    }
    size_tensor(r, t);
}

static int by_offset(const void *a, const void *b)
{
    const struct gguf_tensor *const *x = a, *const *y = b;
    return (*x)->offset < (*y)->offset ? -1 : (*x)->offset > (*y)->offset;
}

/* Tensors lie inside the file, aligned, and share no byte. Makes offsets absolute. */
static void place_tensors(struct reader *r, struct gguf_part *part, uint64_t alignment)
{
    uint64_t start, end = 0;
    if (part->n_tensors == 0) return;
    if (size_align(r->pos, alignment, &start) || start > r->file_size) {
        err_set(r->err, ERR_FORMAT, "%s: ends at byte %llu, before its tensors", r->what,
                (unsigned long long)r->file_size);
        fail(r);
        return;
    }
    uint64_t room = r->file_size - start;
    struct gguf_tensor **order = xcalloc((size_t)part->n_tensors, sizeof *order);
    for (int i = 0; i < part->n_tensors; i++)
        order[i] = &part->tensors[i];
    qsort(order, (size_t)part->n_tensors, sizeof *order, by_offset);
    for (int i = 0; i < part->n_tensors && !r->failed; i++) {
        struct gguf_tensor *t = order[i];
        if (t->offset % alignment || t->offset < end || t->offset > room ||
            t->bytes > room - t->offset) {
            err_set(r->err, ERR_FORMAT,
                    "%s: tensor %s: %llu bytes at %llu of %llu: outside, unaligned or overlapping",
                    r->what, t->name, (unsigned long long)t->bytes, (unsigned long long)t->offset,
                    (unsigned long long)room);
            fail(r);
        }
        end = t->offset + t->bytes;
        t->offset += start;
    }
    free(order);
}

static uint64_t take_count(struct reader *r, const char *of, uint64_t max, uint64_t least_bytes)
{
    uint64_t n = take_int(r, 8);
    if (!r->failed && (n > max || n > (r->limit - r->pos) / least_bytes)) {
        err_set(r->err, ERR_LIMIT,
                "%s: %llu %s; the file has room for %llu, at most %llu are allowed", r->what,
                (unsigned long long)n, of, (unsigned long long)((r->limit - r->pos) / least_bytes),
                (unsigned long long)max);
        fail(r);
    }
    return n;
}

static void check_magic(struct reader *r)
{
    if (!need(r, 8)) return;
    uint64_t version = gguf_le(r->head + 4, 4);
    if (memcmp(r->head, "GGUF", 4) != 0)
        err_set(r->err, ERR_FORMAT, "%s: is no GGUF file", r->what);
    else if (version == (uint64_t)3 << 24)
        err_set(r->err, ERR_UNSUPPORTED, "%s: is big-endian GGUF, supported is little-endian",
                r->what);
    else if (version != 3)
        err_set(r->err, ERR_UNSUPPORTED, "%s: is GGUF version %llu, supported is 3", r->what,
                (unsigned long long)version);
    else
        r->pos = 8;
    if (r->pos != 8) fail(r);
}

static uint64_t read_alignment(struct reader *r, struct gguf_part *part)
{
    const struct gguf_kv *kv = gguf_kv_find(part, "general.alignment");
    uint64_t v = 32;
    if (!kv) return v;
    part->head = r->head; /* for the typed read */
    if (!gguf_kv_u64(part, kv, &v) || v == 0 || v > MAX_ALIGNMENT || (v & (v - 1))) {
        err_set(r->err, ERR_FORMAT, "%s: general.alignment is not a power of two up to 65536",
                r->what);
        fail(r);
    }
    return v;
}

int gguf_part_parse(struct gguf_part *part, const char *what, const struct file *f,
                    const void *bytes, size_t size, int file_index, struct err *err)
{
    struct reader r = {.what = what,
                       .file = f,
                       .head = bytes,
                       .have = f ? 0 : size,
                       .file_size = f ? f->size : size,
                       .err = err};
    *part = (struct gguf_part){0};
    r.limit = r.file_size < MAX_HEADER ? (size_t)r.file_size : MAX_HEADER;

    check_magic(&r);
    uint64_t n_tensors = take_count(&r, "tensors", MAX_TENSORS, MIN_TENSOR);
    uint64_t n_kv = take_count(&r, "metadata entries", MAX_KV, MIN_KV);
    if (!r.failed) take_metadata(&r, part, n_kv);
    uint64_t alignment = r.failed ? 32 : read_alignment(&r, part);
    if (!r.failed) part->tensors = xcalloc((size_t)n_tensors, sizeof *part->tensors);
    for (uint64_t i = 0; i < n_tensors && !r.failed; i++) {
        struct gguf_tensor *t = &part->tensors[part->n_tensors++];
        t->file = file_index;
        take_tensor(&r, t);
    }
    if (!r.failed) place_tensors(&r, part, alignment);
    if (r.owned && !r.failed) r.head = r.owned = xrealloc(r.owned, r.pos, 1);
    part->owned = r.owned;
    part->head = r.head;
    if (r.failed) gguf_part_fini(part);
    return r.failed ? -1 : 0;
}

void gguf_part_fini(struct gguf_part *part)
{
    for (int i = 0; i < part->n_kv; i++) {
        free(part->kv[i].key);
        free(part->kv[i].starts);
    }
    for (int i = 0; i < part->n_tensors; i++)
        mem_free_const(part->tensors[i].name);
    free(part->kv);
    free(part->by_key);
    free(part->tensors);
    free(part->owned);
    *part = (struct gguf_part){0};
}
