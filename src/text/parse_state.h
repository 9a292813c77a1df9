/* Inside of the output parser: parse.c has reasoning and content, parse_calls.c the tool calls.
 * Private to text.
 *
 * Tokens become bytes in `in`: text repaired to UTF-8, and the control tokens as marker bytes
 * (text/parse_tag.h). What lies before `at` is dealt with. A state that cannot decide leaves bytes
 * there and is asked again when there are more, or `ended` is set. */
#pragma once
#include "base/buf.h"
#include "text/parse.h"
#include "text/parse_tag.h"
#include "text/stops.h"
#include "text/utf8.h"

enum parse_state {
    IN_REASONING,
    IN_HELD_BLOCK, /* a block of calls that opened inside reasoning: which it is shows later */
    IN_CONTENT,
    IN_CALLS,  /* between calls */
    IN_INVOKE, /* between parameters */
    IN_VALUE,
    IN_END
};

enum value_mode {
    VALUE_STREAM, /* a string: goes out as it comes */
    VALUE_JSON,   /* JSON if it is valid, else a string */
    VALUE_STRING_OR_JSON_STRING,
    VALUE_TYPED, /* JSON if it is of the schema's type, else a string */
    VALUE_SKIP   /* a second parameter of one name */
};

struct parser {
    struct parse_options options; /* stops unused: they live below */
    void (*emit)(void *ctx, const struct parse_event *e);
    void *ctx;
    struct stops stops;

    struct utf8_stream utf8;
    struct buf in;
    size_t at;
    bool ended; /* nothing follows what `in` holds */
    enum parse_state state;

    struct buf reasoning, content;
    struct buf pending; /* content that may begin a stop string */
    size_t kept;        /* bytes of text and calls so far, against options.max_bytes */
    bool failed;        /* over it, or out of memory */
    bool finished;      /* result.finish is known */

    /* a block of calls */
    size_t block;      /* where it begins in `in`, with the white space before */
    size_t scanned;    /* how far a held block has been looked through */
    bool block_closed; /* its end tag came */

    /* the call that is open */
    struct buf name, arguments, value;
    json_t *keys;           /* its parameters so far */
    const json_t *schema;   /* "properties" of its tool, or NULL */
    enum value_mode mode;   /* of the open parameter */
    const char *value_type; /* the schema's, for VALUE_TYPED */
    bool attribute_json;    /* the open parameter says string="false" */

    struct parse_call *calls; /* name and arguments are ours */
    int n_calls, cap_calls;
    int n_opened; /* calls whose PARSE_CALL went out */

    struct parse_result result;
};

/* Sends an event, text as it is. */
void parse_send(struct parser *p, enum parse_kind kind, int call, const char *text, size_t size);

/* Appends s with markers spelled out. */
void parse_spell(struct buf *out, const char *s, size_t size);

/* Counts bytes against the cap; false when there is no room, and then p->failed. */
bool parse_keep(struct parser *p, size_t size);

/* One step of IN_CALLS, IN_INVOKE or IN_VALUE; true when something was done, false when more text
 * is needed. */
bool parse_calls_step(struct parser *p);

/* The output ended inside a block. */
void parse_calls_end(struct parser *p);
