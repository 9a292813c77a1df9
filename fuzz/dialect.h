/* What must hold of a body of another dialect, for its fuzz target: what is refused has a message, what is
 * accepted can be read as a chat request or is refused there, and then encoded. */
#pragma once
#include <stdint.h>
#include <string.h>

#include "serve/chat_request.h"
#include "serve/fields.h"
#include "text/utf8.h"

static inline void check_refusal(const struct api_error *e)
{
    CHECK(e->status == 400 || e->status == 422, "status %d: %s", e->status, e->message);
    CHECK(e->message[0] && utf8_valid(e->message, strlen(e->message)), "no message");
}

/* Takes chat over. */
static inline void check_chat(json_t *chat)
{
    struct chat_rules rules = {.family = FAMILY_OFFICIAL};
    struct chat_request r;
    struct prompt p;
    struct api_error e = {0};
    struct err err = {0};
    if (chat_request_read(&r, chat, &rules, &e)) {
        check_refusal(&e);
    } else {
        CHECK(r.n == 1 && !r.logprobs, "%d choices", r.n);
        CHECK(prompt_encode(&p, r.messages, r.tools, &r.prompt, &err) == 0, "%s", err.message);
        CHECK(utf8_valid(p.text.data, p.text.size), "not UTF-8");
        prompt_fini(&p);
    }
    chat_request_fini(&r);
}
