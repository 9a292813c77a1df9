/* Typed access to GGUF metadata. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "format/gguf_internal.h"

static const char *const type_names[GGUF_TYPE_COUNT] = {
    "u8", "i8", "u16", "i16", "u32", "i32", "f32", "bool", "string", "array", "u64", "i64", "f64"};
static const char *const array_names[GGUF_TYPE_COUNT] = {
    "array of u8",  "array of i8",  "array of u16",  "array of i16",    "array of u32",
    "array of i32", "array of f32", "array of bool", "array of string", "array of array",
    "array of u64", "array of i64", "array of f64"};

static int compare_key(const void *key, const void *kv)
{
    return strcmp(key, (*(struct gguf_kv *const *)kv)->key);
}

const struct gguf_kv *gguf_kv_find(const struct gguf_part *part, const char *key)
{
    if (part->n_kv == 0) return NULL;
    struct gguf_kv **at =
        bsearch(key, part->by_key, (size_t)part->n_kv, sizeof *part->by_key, compare_key);
    return at ? *at : NULL;
}

static bool is_int(enum gguf_type t)
{
    return t <= GGUF_I32 || t == GGUF_U64 || t == GGUF_I64;
}

static bool is_signed(enum gguf_type t)
{
    return t == GGUF_I8 || t == GGUF_I16 || t == GGUF_I32 || t == GGUF_I64;
}

static int64_t int_of(enum gguf_type t, const uint8_t *p)
{
    int bytes = gguf_scalar_bytes(t);
    uint64_t v = gguf_le(p, bytes);
    if (is_signed(t) && bytes < 8 && v >> (8 * bytes - 1)) v |= ~(uint64_t)0 << (8 * bytes);
    int64_t out;
    memcpy(&out, &v, sizeof out);
    return out;
}

static double float_of(enum gguf_type t, const uint8_t *p)
{
    if (t == GGUF_F32) {
        uint32_t bits = (uint32_t)gguf_le(p, 4);
        float v;
        memcpy(&v, &bits, sizeof v);
        return (double)v;
    }
    if (t == GGUF_F64) {
        uint64_t bits = gguf_le(p, 8);
        double v;
        memcpy(&v, &bits, sizeof v);
        return v;
    }
    return t == GGUF_U64 ? (double)gguf_le(p, 8) : (double)int_of(t, p);
}

bool gguf_kv_u64(const struct gguf_part *part, const struct gguf_kv *kv, uint64_t *v)
{
    if (!kv || !is_int(kv->type)) return false;
    int64_t x = int_of(kv->type, part->head + kv->payload);
    if (x < 0 && kv->type != GGUF_U64) return false;
    memcpy(v, &x, sizeof *v);
    return true;
}

static const char *type_text(const struct gguf_kv *kv)
{
    return kv->type == GGUF_ARRAY ? array_names[kv->element] : type_names[kv->type];
}

/* The value when it is there and fits; otherwise the error. */
static const struct gguf_kv *get(const struct gguf *g, const char *key, const char *wanted,
                                 bool (*fits)(const struct gguf_kv *), struct err *err)
{
    const struct gguf_kv *kv = gguf_kv_find(&g->meta, key);
    if (!kv) {
        err_set(err, ERR_FORMAT, "%s: key %s is missing", g->path, key);
        return NULL;
    }
    if (!fits(kv)) {
        err_set(err, ERR_FORMAT, "%s: key %s is of type %s, wanted is %s", g->path, key,
                type_text(kv), wanted);
        return NULL;
    }
    return kv;
}

static bool fits_string(const struct gguf_kv *kv)
{
    return kv->type == GGUF_STRING;
}

static bool fits_int(const struct gguf_kv *kv)
{
    return is_int(kv->type);
}

static bool fits_float(const struct gguf_kv *kv)
{
    return is_int(kv->type) || kv->type == GGUF_F32 || kv->type == GGUF_F64;
}

static bool fits_bool(const struct gguf_kv *kv)
{
    return kv->type == GGUF_BOOL;
}

static bool fits_strings(const struct gguf_kv *kv)
{
    return kv->type == GGUF_ARRAY && kv->element == GGUF_STRING;
}

static bool fits_ints(const struct gguf_kv *kv)
{
    return kv->type == GGUF_ARRAY && is_int(kv->element);
}

static bool fits_floats(const struct gguf_kv *kv)
{
    return fits_ints(kv) ||
           (kv->type == GGUF_ARRAY && (kv->element == GGUF_F32 || kv->element == GGUF_F64));
}

bool gguf_has(const struct gguf *g, const char *key)
{
    return gguf_kv_find(&g->meta, key) != NULL;
}

int gguf_get_string(const struct gguf *g, const char *key, const char **s, size_t *len,
                    struct err *err)
{
    const struct gguf_kv *kv = get(g, key, "string", fits_string, err);
    if (!kv) return -1;
    *s = (const char *)g->meta.head + kv->data;
    *len = (size_t)kv->count;
    return 0;
}

int gguf_get_u64(const struct gguf *g, const char *key, uint64_t *v, struct err *err)
{
    const struct gguf_kv *kv = get(g, key, "an integer", fits_int, err);
    if (!kv) return -1;
    if (!gguf_kv_u64(&g->meta, kv, v))
        return err_set(err, ERR_FORMAT, "%s: key %s is negative", g->path, key);
    return 0;
}

int gguf_get_f64(const struct gguf *g, const char *key, double *v, struct err *err)
{
    const struct gguf_kv *kv = get(g, key, "a number", fits_float, err);
    if (!kv) return -1;
    double x = float_of(kv->type, g->meta.head + kv->payload);
    if (!isfinite(x)) return err_set(err, ERR_FORMAT, "%s: key %s is not finite", g->path, key);
    *v = x;
    return 0;
}

int gguf_get_bool(const struct gguf *g, const char *key, bool *v, struct err *err)
{
    const struct gguf_kv *kv = get(g, key, "bool", fits_bool, err);
    if (!kv) return -1;
    *v = g->meta.head[kv->payload];
    return 0;
}

static int get_array(const struct gguf *g, const char *key, const char *wanted,
                     bool (*fits)(const struct gguf_kv *), struct gguf_array *a, struct err *err)
{
    const struct gguf_kv *kv = get(g, key, wanted, fits, err);
    if (!kv) return -1;
    *a = (struct gguf_array){.type = kv->element,
                             .count = (size_t)kv->count,
                             .data = kv->starts ? g->meta.head : g->meta.head + kv->data,
                             .starts = kv->starts};
    return 0;
}

int gguf_get_strings(const struct gguf *g, const char *key, struct gguf_array *a, struct err *err)
{
    return get_array(g, key, "array of string", fits_strings, a, err);
}

int gguf_get_ints(const struct gguf *g, const char *key, struct gguf_array *a, struct err *err)
{
    return get_array(g, key, "array of integers", fits_ints, a, err);
}

int gguf_get_floats(const struct gguf *g, const char *key, struct gguf_array *a, struct err *err)
{
    return get_array(g, key, "array of numbers", fits_floats, a, err);
}

const char *gguf_string_at(const struct gguf_array *a, size_t i, size_t *len)
{
    CHECK(i < a->count && a->type == GGUF_STRING, "element %zu of %zu", i, a->count);
    const uint8_t *p = a->data + a->starts[i];
    *len = (size_t)gguf_le(p, 8);
    return (const char *)p + 8;
}

static const uint8_t *element(const struct gguf_array *a, size_t i)
{
    CHECK(i < a->count && a->type != GGUF_STRING, "element %zu of %zu", i, a->count);
    return a->data + i * (size_t)gguf_scalar_bytes(a->type);
}

int64_t gguf_int_at(const struct gguf_array *a, size_t i)
{
    return int_of(a->type, element(a, i));
}

double gguf_float_at(const struct gguf_array *a, size_t i)
{
    return float_of(a->type, element(a, i));
}

const char *gguf_type_of(const struct gguf *g, const char *key)
{
    const struct gguf_kv *kv = gguf_kv_find(&g->meta, key);
    return kv ? type_text(kv) : NULL;
}

int gguf_key_count(const struct gguf *g)
{
    return g->meta.n_kv;
}

const char *gguf_key_at(const struct gguf *g, int i)
{
    CHECK(i >= 0 && i < g->meta.n_kv, "key %d of %d", i, g->meta.n_kv);
    return g->meta.kv[i].key;
}

enum gguf_type gguf_raw_at(const struct gguf *g, int i, const uint8_t **data, size_t *size)
{
    CHECK(i >= 0 && i < g->meta.n_kv, "key %d of %d", i, g->meta.n_kv);
    *data = g->meta.head + g->meta.kv[i].payload;
    *size = g->meta.kv[i].size;
    return g->meta.kv[i].type;
}
