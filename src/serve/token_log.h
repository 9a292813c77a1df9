/* Log-probabilities of tokens, kept small until they are told, and told in the shape of completions:
 * {"tokens", "token_logprobs", "top_logprobs", "text_offset"}.
 * Source: docs/spec, API, section 3. */
#pragma once
#include <jansson.h>
#include <stdbool.h>

#include "engine/sampler.h"
#include "text/tokenizer.h"

struct token_log {
    struct logged {
        int id;
        float logprob;
        int top, n_top; /* among tops */
        bool known;     /* the first token of a text has no log-probability */
        bool silent;    /* adds nothing to the text: BOS, EOS */
    } * at;
    int n, cap;
    struct logprob *tops;
    int n_tops, cap_tops;
    bool failed; /* memory was short: something is missing */
};

void token_log_fini(struct token_log *l); /* takes a zeroed one, too */

/* NULL pick: a token without a log-probability, called id. */
void token_log_add(struct token_log *l, int id, const struct pick *p, bool silent);

/* Four empty lists. The caller owns it. */
json_t *token_log_json(void);

/* Appends the tokens from `from` on to the lists. *chars: characters of the text before them, and afterwards
 * with them. A token that is no whole characters is called "bytes:\xe2\x80". False when memory is out. */
bool token_log_write(const struct token_log *l, int from, const struct tokenizer *t, size_t *chars,
                     json_t *lists);

/* A token's text as above. */
void token_name(const struct tokenizer *t, int id, struct buf *out);
