/* The sessions of one conversation whose prompt is written anew at each turn.
 *
 * A prompt that is written anew often begins like an earlier one and then differs (V4 leaves the
 * reasoning of earlier turns out), and a state cannot be shortened. So a snapshot is kept at each
 * turn, and a new prompt starts from the longest state whose tokens it begins with. */
#pragma once
#include "base/err.h"
#include "engine/engine.h"
#include "text/ids.h"

enum { HISTORY_SNAPSHOTS = 32 };

struct history;

/* e is borrowed; it wants n_snapshots of HISTORY_SNAPSHOTS + 1. NULL when memory is out. */
struct history *history_new(struct engine *e);
void history_free(struct history *h); /* takes NULL */

/* Prepares the session for this whole prompt: *out (borrowed) then holds exactly its tokens, with at
 * least the last one pending. */
MUST_USE int history_begin(struct history *h, const struct ids *prompt, struct session **out,
                           struct err *err);

/* Where generate_options.snapshot goes for the answer to that prompt. */
struct session **history_snapshot(struct history *h);

/* After the answer: keeps the snapshot; the oldest goes when there are too many. */
void history_end(struct history *h);

/* After a failure: the session is given up; the next prompt starts from a snapshot. */
void history_fail(struct history *h);

/* Back to before the last history_begin: its snapshot goes. */
void history_undo(struct history *h);

/* Forgets everything. */
void history_clear(struct history *h);
