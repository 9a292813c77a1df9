/* A growable byte buffer with a largest size, for text and files being built.
 *
 *     struct buf b;
 *     buf_init(&b, 1 << 20);
 *     buf_add_str(&b, "hello");
 *     ... b.data, b.size ...
 *     buf_fini(&b);
 *
 * Past its largest size, or when memory runs out, it keeps what it has and sets `failed`; later
 * additions do nothing. So write freely and look at `failed` once at the end. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct buf {
    char *data;  /* always followed by a NUL that is not counted; NULL while empty */
    size_t size; /* bytes used */
    size_t cap;
    size_t max; /* largest size allowed */
    bool failed;
};

void buf_init(struct buf *b, size_t max);
void buf_fini(struct buf *b);
void buf_clear(struct buf *b); /* size 0, memory kept, failed kept */

void buf_add(struct buf *b, const void *data, size_t size);
void buf_add_str(struct buf *b, const char *s);
void buf_add_byte(struct buf *b, char c);
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* The bytes as a C string that the caller frees; the buffer is empty afterwards. */
char *buf_take(struct buf *b);

/* The text so far, never NULL. Borrowed until the next change. */
const char *buf_text(const struct buf *b);
