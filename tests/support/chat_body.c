#include "chat_body.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"

const struct chat_rules rules_plain = {.family = FAMILY_OFFICIAL};
const struct chat_rules rules_compat = {.family = FAMILY_OFFICIAL, .deepseek_compat = true};

int body_read(struct chat_request *r, const char *text, const struct chat_rules *rules,
              struct api_error *e)
{
    json_t *body;
    *e = (struct api_error){0};
    *r = (struct chat_request){0};
    if (body_parse(&body, text, strlen(text), e)) return e->status;
    int rc = chat_request_read(r, body, rules, e);
    assert_int_equal(rc, e->status ? -1 : 0);
    if (rc) assert_null(r->body);
    return e->status;
}

int body_read_with(struct chat_request *r, const char *fields, const struct chat_rules *rules,
                   struct api_error *e)
{
    struct buf b;
    buf_init(&b, 1 << 24);
    buf_add_str(&b, "{\"model\": \"m\", \"messages\": [{\"role\": \"user\", \"content\": \"hi\"}]");
    if (*fields) buf_printf(&b, ", %s", fields);
    buf_add_str(&b, "}");
    int status = body_read(r, buf_text(&b), rules, e);
    buf_fini(&b);
    return status;
}

void assert_body(const char *fields, const struct chat_rules *rules, int status, const char *param)
{
    struct chat_request r;
    struct api_error e;
    int got = body_read_with(&r, fields, rules, &e);
    if (got != status || (status && strcmp(e.param, param) != 0))
        fail_msg("%s: %d, param \"%s\" (%s), wanted %d, param \"%s\"", fields, got, e.param,
                 e.message, status, param);
    chat_request_fini(&r);
}

struct chat_request *body_good(const char *fields, const struct chat_rules *rules)
{
    static struct chat_request r;
    struct api_error e;
    if (body_read_with(&r, fields, rules, &e)) fail_msg("%s: %s", fields, e.message);
    return &r;
}
