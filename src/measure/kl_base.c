#include "measure/kl_base.h"

#include <stdlib.h>
#include <string.h>

#include "base/sha256.h"
#include "base/size.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "rows are written as they lie in memory");

static const char MAGIC[8] = "TENONKL1";

enum { AT_VERSION = 8, AT_NUMBERS = 12, AT_MODEL = 32, AT_TOKENS = 64, AT_HASH = 96, N_MODES = 3 };

static uint32_t get_u32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static void put_u32(uint8_t *p, uint32_t x)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(x >> 8 * i);
}

static void hash_file(const uint8_t *p, size_t size, uint8_t out[32])
{
    struct sha256 *h = sha256_new();
    sha256_add(h, p, AT_HASH);
    sha256_add(h, p + KL_BASE_HEADER, size - KL_BASE_HEADER);
    sha256_end(h, out);
    sha256_free(h);
}

/* Rows and bytes of a file with these numbers; -1 when they cannot be. */
static int measure_file(const struct kl_base_id *id, uint64_t *rows, uint64_t *size)
{
    uint64_t bytes;
    if (id->vocab < 1 || id->windows < 1 || id->length < 4 || id->skip > id->length - 2) return -1;
    if (size_mul(id->windows, id->length - 1 - id->skip, rows) ||
        size_mul(*rows, 4 * (uint64_t)id->vocab, &bytes) || size_add(bytes, KL_BASE_HEADER, size) ||
        *size > KL_BASE_MAX_BYTES)
        return -1;
    return 0;
}

static int parse(struct kl_base_view *v, const uint8_t *p, size_t size, struct err *err)
{
    if (size < KL_BASE_HEADER || memcmp(p, MAGIC, sizeof MAGIC))
        return err_set(err, ERR_FORMAT,
                       "not a base file (it does not begin with %.8s and a header)", MAGIC);
    if (get_u32(p + AT_VERSION) != KL_BASE_VERSION)
        return err_set(err, ERR_UNSUPPORTED, "base file version %u, this program reads %d",
                       get_u32(p + AT_VERSION), KL_BASE_VERSION);
    uint8_t hash[32];
    hash_file(p, size, hash);
    if (memcmp(hash, p + AT_HASH, sizeof hash))
        return err_set(err, ERR_FORMAT,
                       "the file is damaged or cut off (its SHA-256 does not match)");
    const uint8_t *n = p + AT_NUMBERS;
    v->id = (struct kl_base_id){.vocab = get_u32(n),
                                .windows = get_u32(n + 4),
                                .length = get_u32(n + 8),
                                .skip = get_u32(n + 12),
                                .mode = get_u32(n + 16)};
    memcpy(v->id.model, p + AT_MODEL, sizeof v->id.model);
    memcpy(v->id.tokens, p + AT_TOKENS, sizeof v->id.tokens);
    uint64_t rows, need;
    if (measure_file(&v->id, &rows, &need) || need != size || v->id.mode >= N_MODES)
        return err_set(err, ERR_FORMAT,
                       "%zu bytes for %u windows of %u tokens, skip %u, vocabulary %u, mode %u",
                       size, v->id.windows, v->id.length, v->id.skip, v->id.vocab, v->id.mode);
    v->rows = p + KL_BASE_HEADER;
    v->n_rows = (size_t)rows;
    return 0;
}

int kl_base_parse(struct kl_base_view *out, const char *what, const void *data, size_t size,
                  struct err *err)
{
    *out = (struct kl_base_view){0};
    if (parse(out, data, size, err)) {
        *out = (struct kl_base_view){0};
        return err_prefix(err, "%s", what);
    }
    return 0;
}

int kl_base_match(const struct kl_base_view *v, const struct kl_base_id *want, struct err *err)
{
    const struct kl_base_id *got = &v->id;
    if (got->vocab != want->vocab)
        return err_set(err, ERR_ARGUMENT, "the base has a vocabulary of %u, the model of %u",
                       got->vocab, want->vocab);
    if (got->windows != want->windows || got->length != want->length || got->skip != want->skip)
        return err_set(err, ERR_ARGUMENT,
                       "the base has %u windows of %u tokens with skip %u, this run %u of %u with "
                       "skip %u",
                       got->windows, got->length, got->skip, want->windows, want->length,
                       want->skip);
    if (memcmp(got->tokens, want->tokens, sizeof got->tokens))
        return err_set(err, ERR_ARGUMENT,
                       "the base was made of another text, or its tokens differ");
    return 0;
}

int kl_base_row(const struct kl_base_view *v, size_t row, float *out, struct err *err)
{
    CHECK(row < v->n_rows, "row %zu of %zu", row, v->n_rows);
    size_t n = v->id.vocab;
    memcpy(out, v->rows + row * n * sizeof *out, n * sizeof *out);
    for (size_t i = 0; i < n; i++)
        if (!(out[i] >= -1e30f && out[i] <= 1e-3f))
            return err_set(err, ERR_FORMAT, "row %zu: %g is no log-probability", row,
                           (double)out[i]);
    return 0;
}

int kl_base_new(struct kl_base_image *image, const struct kl_base_id *id, struct err *err)
{
    uint64_t rows, size;
    *image = (struct kl_base_image){0};
    if (measure_file(id, &rows, &size))
        return err_set(
            err, ERR_LIMIT,
            "a base of %u windows, %u positions each, vocabulary %u: more than %zu bytes; "
            "--limit makes it less",
            id->windows, id->length - 1 - id->skip, id->vocab, KL_BASE_MAX_BYTES);
    uint8_t *p = calloc(1, (size_t)size);
    if (!p)
        return err_set(err, ERR_LIMIT, "no memory for a base of %llu bytes",
                       (unsigned long long)size);
    memcpy(p, MAGIC, sizeof MAGIC);
    put_u32(p + AT_VERSION, KL_BASE_VERSION);
    const uint32_t numbers[] = {id->vocab, id->windows, id->length, id->skip, id->mode};
    for (int i = 0; i < 5; i++)
        put_u32(p + AT_NUMBERS + 4 * i, numbers[i]);
    memcpy(p + AT_MODEL, id->model, sizeof id->model);
    memcpy(p + AT_TOKENS, id->tokens, sizeof id->tokens);
    *image = (struct kl_base_image){p, (size_t)size};
    return 0;
}

void kl_base_put(struct kl_base_image *image, size_t row, const float *logprobs, int vocab)
{
    size_t bytes = (size_t)vocab * sizeof *logprobs, at = KL_BASE_HEADER + row * bytes;
    CHECK(at + bytes <= image->size, "row %zu is outside the file", row);
    memcpy(image->data + at, logprobs, bytes);
}

void kl_base_seal(struct kl_base_image *image)
{
    hash_file(image->data, image->size, image->data + AT_HASH);
}
