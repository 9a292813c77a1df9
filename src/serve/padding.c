#include "serve/padding.h"

#include <string.h>

enum { LEAST_UNIT = 16 };

static const char DATA[] = "data: ", ENDING[] = "\n\n", DONE[] = "data: [DONE]\n\n";

int64_t padding_class(int64_t n)
{
    int64_t unit = LEAST_UNIT;
    while (n >= 8 * unit)
        unit *= 2;
    return (n + unit - 1) / unit * unit;
}

static void add_dots(struct buf *out, size_t n)
{
    for (size_t i = 0; i < n; i++)
        buf_add_byte(out, '.');
}

/* The object with one more member, so that with `before` bytes in front and the ending behind it fills units. */
static void add_padded(struct buf *out, const char *json, size_t size, size_t before, size_t unit)
{
    static const char member[] = ",\"padding\":\"\"";
    size_t whole = before + size + strlen(member) + strlen(ENDING);
    buf_add(out, json, size - 1); /* without the brace */
    buf_add(out, member, strlen(member) - 1);
    add_dots(out, (unit - whole % unit) % unit);
    buf_add_str(out, "\"}");
}

void padding_event(struct buf *out, const char *name, const char *json, size_t size, size_t unit)
{
    size_t begin = out->size;
    if (name) buf_printf(out, "event: %s\n", name);
    buf_add_str(out, DATA);
    if (unit)
        add_padded(out, json, size, out->size - begin, unit);
    else
        buf_add(out, json, size);
    buf_add_str(out, ENDING);
}

void padding_comment(struct buf *out, size_t unit)
{
    CHECK(unit >= strlen(": \n\n"), "a comment of %zu bytes", unit);
    buf_add_str(out, ": ");
    add_dots(out, unit - strlen(": \n\n"));
    buf_add_str(out, ENDING);
}

void padding_done(struct buf *out, size_t unit)
{
    if (unit) padding_comment(out, unit - strlen(DONE));
    buf_add_str(out, DONE);
}

size_t padding_body(enum padding how, size_t size)
{
    size_t bucket = PADDING_BUCKET_BYTES, cell = PADDING_CELL;
    if (how == PADDING_BUCKET) return (size + bucket - 1) / bucket * bucket;
    if (how == PADDING_PACED)
        return (size_t)padding_class((int64_t)((size + cell - 1) / cell)) * cell;
    return size;
}
