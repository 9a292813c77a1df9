#include "sse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

void sse_send(void *ctx, const char *name, json_t *data)
{
    struct buf *out = ctx;
    char *text = json_dumps(data, JSON_COMPACT);
    assert_non_null(text);
    buf_printf(out, "event: %s\ndata: %s\n\n", name, text);
    free(text);
    json_decref(data);
}

struct parse_event sse_event(enum parse_kind kind, int call, const char *text)
{
    return (struct parse_event){kind, call, text, strlen(text)};
}

/* $0, $1, ... become the ids of the calls, ' becomes ". */
static void add_line(struct buf *out, const struct chat_answer *a, const char *line)
{
    for (; *line; line++) {
        if (*line == '$') {
            int call = *++line - '0';
            assert_in_range(call, 0, a->n_calls - 1);
            buf_add_str(out, a->calls[call].id);
        } else {
            buf_add_byte(out, *line == '\'' ? '"' : *line);
        }
    }
}

void assert_sse(const struct buf *got, const struct chat_answer *a, const char *const *lines,
                size_t n)
{
    struct buf want;
    buf_init(&want, 1 << 20);
    for (size_t i = 0; i < n; i++) {
        size_t name = strcspn(lines[i], " ");
        buf_printf(&want, "event: %.*s\ndata: {\"type\":\"%.*s\"", (int)name, lines[i], (int)name,
                   lines[i]);
        add_line(&want, a, lines[i] + name + 1);
        buf_add_str(&want, "}\n\n");
    }
    assert_string_equal(buf_text(got), buf_text(&want));
    buf_fini(&want);
}
