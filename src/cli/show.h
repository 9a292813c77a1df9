/* Shows an answer as it comes.
 *
 * On a terminal: reasoning dimmed, then the content, tool calls as "[call NAME ARGUMENTS]"; control
 * characters of the model's text become "?", so that it cannot drive the terminal. Elsewhere (a pipe
 * or a file): the content as it is and tool calls on lines of their own; no reasoning unless asked
 * for, and then between <think> and </think>. */
#pragma once
#include <stdbool.h>
#include <stdio.h>

#include "text/parse.h"

struct show {
    FILE *out;
    bool terminal;
    bool thinking;    /* reasoning is wanted elsewhere too; false after show_init */
    bool in_thinking; /* reasoning is being shown */
    bool in_call;     /* a call's bracket is open */
    char last;        /* last byte written; 0 at the start */
};

void show_init(struct show *s, FILE *out);
void show_event(struct show *s, const struct parse_event *e);

/* Ends what is open, and the line. */
void show_end(struct show *s);
