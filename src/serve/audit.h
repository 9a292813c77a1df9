/* The audit log: who asked for how much, and never what. A file of JSON Lines, one for each request to an endpoint
 * that generates, once it is over or refused. Strangers, whose key is not known, are not in it: they
 * could fill the disk.
 *
 *     {"time": "2027-01-31T12:00:00.123Z", "request_id", "key", "endpoint", "model", "status", "finish",
 *      "prompt_tokens", "cached_tokens", "completion_tokens", "reasoning_tokens",
 *      "queue_ms", "first_token_ms", "total_ms"}
 *
 * A thread of its own writes, so that no disk stalls the server. A line that cannot be written, the disk being full
 * or too slow, is lost and counted, and leaves no piece in the file. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum {
    AUDIT_GONE = 499, /* the status when the client went away before its answer was whole */
    AUDIT_MAX_WAITING = 4 << 20 /* bytes of lines not written yet; more are lost */
};

/* Texts are borrowed. */
struct audit_entry {
    double unix_seconds; /* when it came */
    const char *request_id;
    const char *key; /* its name; NULL: no key is wanted */
    const char *endpoint, *model;
    int status;
    const char *finish; /* of the first choice, "cancelled"; NULL: refused or failed */
    int n_prompt, n_cached, n_tokens, n_reasoning;
    /* In seconds; below 0: it did not come so far, and the line says null. From its coming: to the first token, to its
     * end. */
    double queue, first_token, total;
};

struct audit;

/* Appends to the file, or makes it, readable by its owner alone. path is copied. */
MUST_USE int audit_open(struct audit **out, const char *path, struct err *err);
void audit_close(struct audit *a); /* writes what waits; takes NULL */

/* From one thread; a NULL takes nothing. */
void audit_add(struct audit *a, const struct audit_entry *e);
/* What is added from now on goes to the file that has the name then: another program has moved the old one
 * away. When it cannot be opened, that is logged, and the old one goes on. */
void audit_reopen(struct audit *a);

uint64_t audit_lost(const struct audit *a); /* lines; any thread; takes NULL */
