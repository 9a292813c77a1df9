/* Problems with a final answer, read from files.
 *
 * JSON Lines: one object a line with the strings id, lang, question, answer and kind. lang and kind may
 * be missing ("?"); id too (file name and line then). Other strings are kept and can be asked for by
 * name; other values are passed over. Empty lines too.
 *
 * TSV, as MGSM has it, when the name ends in .tsv: question TAB answer, no header. The language is what
 * follows the last '_' of the name (mgsm_de.tsv: de), else "?"; the kind is "mgsm".
 *
 * Files are not trusted: lengths are checked, text must be UTF-8 without NUL, id, lang and kind without
 * control characters; the other strings may hold anything. An error names file and line. */
#pragma once
#include <jansson.h>
#include <stddef.h>

#include "base/err.h"

enum {
    TASK_MAX_BYTES = 256 << 20, /* of a file */
    TASK_MAX_LINE = 1 << 20,
    TASK_MAX_LABEL = 128, /* bytes of id, lang, kind */
    TASK_MAX_PROBLEMS = 1 << 20
};

struct problem {
    const char *id, *lang, *kind, *question, *answer; /* question and answer are not empty */
    json_t *others; /* an object of the other strings; in a task never NULL */
};

struct task {
    struct problem *at;
    int n, cap;
};

/* Zero-initialise a task. */
void task_fini(struct task *t);

/* Appends the problems of a text; name chooses the format and stands in errors. On failure those before
 * the bad line are there. ERR_FORMAT, ERR_LIMIT. */
MUST_USE int task_add_text(struct task *t, const char *name, const char *text, size_t size,
                           struct err *err);

/* The same for a file (or a pipe) of at most TASK_MAX_BYTES; one without any problem is refused. */
MUST_USE int task_add_file(struct task *t, const char *path, struct err *err);

/* Appends a problem made in memory: the strings are copied; others (or NULL) is taken over, also on
 * failure. */
MUST_USE int task_add(struct task *t, const struct problem *p, struct err *err);

/* A field by name: id, lang, kind or one of the others; NULL when this problem has none. Borrowed. */
const char *problem_field(const struct problem *p, const char *name);
