/* Messages made into the turns that the format has: checked, tool results joined to users, results in
 * the order of their calls, old reasoning dropped. Private to text.
 * Source: docs/spec, tokenizer and prompt, section 3.1. */
#pragma once
#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"
#include "text/prompt.h"

enum turn_role { TURN_SYSTEM, TURN_USER, TURN_ASSISTANT, TURN_DEVELOPER, TURN_REMINDER };

/* A part of a user turn. content is text, a list of parts, or NULL for none. */
struct turn_block {
    const json_t *content;
    const json_t *id; /* of the tool call; string or NULL */
    bool is_result;
};

/* Everything is borrowed from the messages and checked. */
struct turn {
    enum turn_role role;
    const json_t *message;     /* NULL for a system turn that was made to hold tools */
    const json_t *tools;       /* NULL for none */
    const char *task;          /* its token, or NULL */
    int first_block, n_blocks; /* of a user turn */
    bool drop_reasoning;
};

struct turns {
    struct turn *list;
    int n;
    struct turn_block *blocks;
    int n_blocks;
    bool drop;     /* reasoning of earlier turns is not shown (effective_drop of the spec) */
    int last_user; /* L: index of the last user or developer turn, -1 for none */
};

MUST_USE int turns_make(struct turns *t, const json_t *messages, const json_t *tools,
                        const struct prompt_options *options, struct err *err);
void turns_fini(struct turns *t);
