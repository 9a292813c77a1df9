#include "dialect_body.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "chat_body.h"

/* ' becomes ". */
static void add_quoted(struct buf *b, const char *text)
{
    for (; *text; text++)
        buf_add_byte(b, *text == '\'' ? '"' : *text);
}

json_t *dialect_json(const char *text)
{
    struct buf b;
    buf_init(&b, 1 << 24);
    add_quoted(&b, text);
    json_t *value = json_loadb(b.data, b.size, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    if (!value) fail_msg("no JSON: %s", text);
    buf_fini(&b);
    return value;
}

static json_t *body_of(const struct dialect_row *row, const char *good, const char *name,
                       const char *input)
{
    struct buf b;
    char begin[64];
    struct api_error e = {0};
    json_t *body = NULL;
    snprintf(begin, sizeof begin, "'%s':", name);
    buf_init(&b, 1 << 24);
    add_quoted(&b, good);
    if (!strstr(row->fields, begin)) add_quoted(&b, input);
    if (*row->fields) buf_add_str(&b, ", ");
    add_quoted(&b, row->fields);
    buf_add_str(&b, "}");
    if (body_parse(&body, b.data, b.size, &e)) fail_msg("%s: %s", row->fields, e.message);
    buf_fini(&b);
    return body;
}

static void assert_value(const struct dialect_row *row, const json_t *chat)
{
    const json_t *got = json_object_get(chat, row->key);
    if (!row->want) {
        if (got) fail_msg("%s: there is a %s", row->fields, row->key);
        return;
    }
    json_t *want = dialect_json(row->want);
    if (!json_equal(got, want)) {
        char *text = json_dumps(got, JSON_ENCODE_ANY);
        fail_msg("%s: %s is %s, wanted %s", row->fields, row->key, text ? text : "absent",
                 row->want);
    }
    json_decref(want);
}

/* Takes chat over. */
static void assert_chat(const struct dialect_row *row, json_t *chat)
{
    static const char *const may_refuse[] = {"tools", "tool_choice", "response_format"};
    struct chat_request r;
    struct api_error e = {0};
    int rc = chat_request_read(&r, chat, &rules_plain, &e);
    bool may = false;
    for (size_t i = 0; row->key && i < LENGTH(may_refuse); i++)
        may |= strcmp(row->key, may_refuse[i]) == 0;
    if (rc && !may) fail_msg("%s: chat_request_read: %s", row->fields, e.message);
    chat_request_fini(&r);
}

void assert_dialect(const struct dialect_row *rows, size_t n, dialect_reader read, const char *good,
                    const char *name, const char *input)
{
    for (size_t i = 0; i < n; i++) {
        const struct dialect_row *row = &rows[i];
        struct api_error e = {0};
        json_t *chat = NULL;
        int rc = read(&chat, body_of(row, good, name, input), &e);
        if (e.status != row->status || (row->status && strcmp(e.param, row->param) != 0))
            fail_msg("%s: %d, param \"%s\" (%s), wanted %d, \"%s\"", row->fields, e.status, e.param,
                     e.message, row->status, row->param ? row->param : "");
        assert_int_equal(rc, row->status ? -1 : 0);
        assert_true(!chat == !!row->status);
        if (!chat) continue;
        if (row->key) assert_value(row, chat);
        assert_chat(row, chat);
    }
}
