/* The fixed texts of the prompt format: control tokens, constants, and what differs between the
 * families. Private to text.
 * Source: docs/spec, tokenizer and prompt, sections 1.4, 2, 3 and 6. */
#pragma once
#include "text/prompt.h"

#define TOKEN_BOS "<｜begin▁of▁sentence｜>"
#define TOKEN_EOS "<｜end▁of▁sentence｜>"
#define TOKEN_USER "<｜User｜>"
#define TOKEN_ASSISTANT "<｜Assistant｜>"
#define TOKEN_REMINDER "<｜latest_reminder｜>"
#define TOKEN_THINK "<think>"
#define TOKEN_END_THINK "</think>"
#define TOKEN_DSML "｜DSML｜"
#define TOKEN_FIM_BEGIN "<｜fim▁begin｜>"
#define TOKEN_FIM_HOLE "<｜fim▁hole｜>"
#define TOKEN_FIM_END "<｜fim▁end｜>"

/* Byte for byte as in DeepSeek's encoder. */
extern const char prompt_effort_abs[];
extern const char prompt_effort_beyond[];
extern const char prompt_tools_prefix[];
extern const char prompt_tools_suffix[];
extern const char prompt_response_format_prefix[];

struct prompt_task {
    const char *name;
    const char *token;
};

/* Ends with a NULL name. */
extern const struct prompt_task prompt_tasks[];

struct prompt_effort {
    const char *name;
    const char *text; /* right after BOS in thinking mode */
};

struct prompt_family_text {
    const char *name;
    const struct prompt_effort *efforts; /* ends with a NULL name; the first is the default */
    bool effort_number;                  /* an integer 1..100 will do too */
    const char *system;                  /* token before system text, or "" */
    const char *calls;                   /* tag names, as they follow the DSML token */
    const char *invoke;
    const char *parameter;
};

extern const struct prompt_family_text prompt_families[FAMILY_COUNT];

/* The effort line of a family with numbers; "%d" makes it a printf format. */
#define PROMPT_EFFORT_LINE(n)                                                                      \
    "Reasoning Effort: " n                                                                         \
    " (range 1-100, the higher the value, the more thorough the reasoning)\n\n"
