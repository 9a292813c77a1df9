/* Messages to the prompt text of DeepSeek V4.
 * Source: docs/spec, tokenizer and prompt, sections 2 and 3.
 *
 * messages is a JSON list of objects with `role` (system, user, assistant, tool, developer,
 * latest_reminder) and `content`; assistant may have `reasoning_content`, `tool_calls` and
 * `wo_eos`, tool `tool_call_id`, user `task`, system and developer `tools` and `response_format`.
 *
 * Beside the text it keeps which bytes are the template's and which came from the caller, so that
 * nothing a person types becomes a control token (security rule P5). */
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "text/ids.h"
#include "text/tokenizer.h"

/* Generations of the format. They differ in effort texts, tags and system token. */
enum prompt_family {
    FAMILY_PREVIEW,  /* V4-Flash and V4-Pro of April: effort max has a text */
    FAMILY_OFFICIAL, /* V4-Flash-0731 and later: high and max have texts */
    FAMILY_V41,      /* V4.1: effort is a number. Not checked against an official file. */
    FAMILY_COUNT
};

/* "preview", "official", "v4.1"; find gives ERR_ARGUMENT and lists them. */
const char *prompt_family_name(enum prompt_family f);
MUST_USE int prompt_family_find(enum prompt_family *out, const char *name, struct err *err);

/* The family of a model folder, by the constant in its encoding/encoding_dsv4.py, which is read as
 * text and never run; FAMILY_OFFICIAL when there is no such file. `path` may also be a file inside
 * the folder (tokenizer.json, .gguf). */
enum prompt_family prompt_family_detect(const char *path);

struct prompt_options {
    enum prompt_family family;
    bool thinking;      /* the answer starts with reasoning; else chat mode */
    bool keep_thinking; /* keep the reasoning of earlier turns (drop_thinking false) */
    bool no_bos;        /* leave out the BOS: the text continues a prompt already encoded */
    const char
        *effort; /* NULL: the family's default; else low, high, max (v4.1: also xhigh, 1..100).
                           Only thinking mode shows it. */
};

/* Whether the family has that effort; prompt_encode checks it too. */
MUST_USE int prompt_options_check(const struct prompt_options *o, struct err *err);

/* A run of text of one origin. */
struct segment {
    size_t start, size; /* bytes of prompt.text */
    bool is_template;   /* written by the encoder; else it came from the caller */
};

struct prompt {
    struct buf text;
    struct segment *segments; /* in order, without gaps; neighbours differ in origin */
    int n_segments;
};

/* Zero-initialise p or give what prompt_fini left. tools may be NULL; it goes to the first system
 * message (or a first developer message), which is made when there is none; elements are
 * {"type":"function","function":{...}} or the function alone. ERR_ARGUMENT names the message's
 * index and the field. On failure p is empty. */
MUST_USE int prompt_encode(struct prompt *p, const json_t *messages, const json_t *tools,
                           const struct prompt_options *options, struct err *err);

/* The id of BOS, or -1; and whether the tokens of fill-in-the-middle are there. */
int prompt_bos(const struct tokenizer *t);
bool prompt_has_fim(const struct tokenizer *t);

/* Fill-in-the-middle: BOS, fim begin, prefix, fim hole, suffix, fim end. */
MUST_USE int prompt_fim(struct prompt *p, const char *prefix, const char *suffix, struct err *err);

void prompt_fini(struct prompt *p);

/* Appends the ids. Control tokens come from template segments alone; all other ids are those of
 * the reference, also where a piece spans two segments. */
MUST_USE int prompt_tokenize(const struct prompt *p, const struct tokenizer *t, struct ids *out,
                             struct err *err);
