/* Streaming parser of what a DeepSeek-V4 model writes: reasoning, content, DSML tool calls.
 * Source: docs/spec, tokenizer and prompt, section 4.
 *
 *     p = parse_new(&options, emit, ctx, err);
 *     for each token:  r = parse_token(p, id, bytes, size, err);   1: stop generating
 *     parse_end(p, PARSE_LENGTH, err);                             out of tokens
 *     ... parse_result(p) ...
 *
 * <think>, </think>, the DSML marker and EOS are recognised by token id, everything else by text.
 * Events come as early as they are certain; their concatenation equals the final result whatever
 * the tokens' cuts. */
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "text/tokenizer.h"

/* Ids of the tokens that structure the output; -1 for none (and then never matched). */
struct parse_ids {
    int32_t think, end_think, dsml, eos;
};

/* Looks the four up by their text. */
struct parse_ids parse_ids_of(const struct tokenizer *t);

enum { PARSE_MAX_STOPS = 16, PARSE_MAX_STOP_BYTES = 256, PARSE_MAX_CALLS = 1024 };

struct parse_options {
    struct parse_ids ids;
    bool thinking;            /* generation starts inside the reasoning; else after </think> */
    const char *const *stops; /* stop strings, applied to content; copied. 1..256 bytes each */
    int n_stops;
    /* For the types of parameters, as given to prompt_encode; NULL: none. Borrowed until parse_end: parse_free
     * does not look at it. */
    const json_t *tools;
    size_t max_bytes; /* cap on all text kept; 0 takes 16 MiB */
};

enum parse_kind {
    PARSE_REASONING,  /* text: UTF-8, whole characters */
    PARSE_CONTENT,    /* text */
    PARSE_CALL,       /* a tool call opens; text: its name */
    PARSE_ARGUMENTS,  /* text: the next part of the arguments, a JSON object in the end */
    PARSE_CALL_END,   /* the call is complete */
    PARSE_CALL_BROKEN /* the output ended inside the call: it is not in the result */
};

struct parse_event {
    enum parse_kind kind;
    int call;         /* index of the call, from 0; -1 for reasoning and content */
    const char *text; /* NUL-terminated; valid during the callback only; "" where none */
    size_t size;
};

enum parse_finish {
    PARSE_STOP,      /* EOS or a stop string */
    PARSE_LENGTH,    /* out of tokens */
    PARSE_TOOL_CALLS /* at least one complete call */
};

struct parse_call {
    const char *name;
    const char *arguments; /* text of a JSON object */
};

struct parse_result {
    enum parse_finish finish;
    int stop;              /* index of the stop string that ended it, or -1 */
    const char *reasoning; /* never NULL, as are the others */
    size_t reasoning_size;
    const char *content;
    size_t content_size;
    const struct parse_call *calls;
    int n_calls;
    int n_tokens;           /* tokens fed, EOS included */
    int n_reasoning_tokens; /* of these, up to and including </think>; all without EOS if none came */
};

struct parser;

/* emit is called from inside parse_token and parse_end; it may be NULL. ERR_ARGUMENT for bad stop
 * strings. */
MUST_USE int parse_new(struct parser **out, const struct parse_options *options,
                       void (*emit)(void *ctx, const struct parse_event *e), void *ctx,
                       struct err *err);
void parse_free(struct parser *p); /* takes NULL */

/* Feeds one token with its bytes (tokenizer_piece). 0: go on. 1: the output is complete (EOS, a stop
 * string, or the tool-call block closed); later tokens are ignored. -1: ERR_LIMIT, and the parser
 * is of no further use than parse_result of what it had. */
MUST_USE int parse_token(struct parser *p, int32_t id, const char *bytes, size_t size,
                         struct err *err);

/* No more tokens: lets go of what was held back. reason is PARSE_STOP or PARSE_LENGTH and counts only
 * when the parser had not stopped by itself. */
MUST_USE int parse_end(struct parser *p, enum parse_finish reason, struct err *err);

/* Feeds text in which the four tokens are spelled out, for tests and for text from elsewhere. A call
 * must not end inside such a spelling. Returns as parse_token. */
MUST_USE int parse_text(struct parser *p, const char *text, size_t size, struct err *err);

/* Borrowed until parse_free; complete after parse_end. */
const struct parse_result *parse_result(const struct parser *p);

/* "stop", "length", "tool_calls". */
const char *parse_finish_name(enum parse_finish f);
