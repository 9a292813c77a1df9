/* What a paced stream sends at each tick: one cell of PADDING_CELL bytes, whatever there is to say.
 * Source: docs/spec, security, rule T4.
 *
 *     pace_put(p, m)                       a message of the engine's, when it comes
 *     at each tick:
 *     while (!pace_has_cell(p) && (m = pace_next(p))) handle(m);     which calls pace_event
 *     pace_cell(p, &cell)                  and cell is sent
 *     pace_is_over(p)                      the stream ends
 *
 * Messages wait here, each choice's in its order; the choices take turns. Texts that follow each other are one, and
 * of it an event carries PACE_TEXT bytes as they stand in JSON, whole characters; the rest waits for the next tick.
 * So an event of text fits into one cell. One that does not (log-probabilities, a whole answer once more) takes
 * several, in as many ticks. When nothing waits a cell is a comment.
 *
 * The last event is held back until with it the number of cells is one of padding_class, so that counts are those of
 * a class of lengths, also for clients that go away at the last event.
 *
 * The I/O thread uses it. */
#pragma once
#include <stdbool.h>

#include "serve/padding.h"

struct message;
struct pace;

enum { PACE_TEXT = 160, PACE_MAX_WAITING = 16 << 20 };

struct pace *pace_new(void);    /* NULL when there is no memory */
void pace_free(struct pace *p); /* with messages that wait, but those of ends; takes NULL */

/* Takes m over, unless the result is false: it is one too many for PACE_MAX_WAITING bytes, or one was before, as an
 * answer has no holes. A message of an end always goes in, and stays its owner's. */
MUST_USE bool pace_put(struct pace *p, struct message *m);
/* The next message to handle, texts joined and cut; NULL when none waits. Borrowed until the next call. */
struct message *pace_next(struct pace *p);
/* The oldest message of some choice, as it is, for who gives up pacing; the caller owns it. */
struct message *pace_take(struct pace *p);
int pace_n_ends(const struct pace *p); /* messages of ends that wait */

/* An event to send: see padding_event. Not after pace_end. False when memory is out or 64 MiB of events wait; then
 * the stream has a hole, and an event that is shorter may still go in. */
MUST_USE bool pace_event(struct pace *p, const char *name, const char *json, size_t size);
/* No more events come; done_mark: "data: [DONE]" is the last. */
void pace_end(struct pace *p, bool done_mark);

/* From now on nothing is held back for a class. */
void pace_hurry(struct pace *p);

bool pace_has_cell(const struct pace *p); /* of an event */
/* The bytes of one cell. Borrowed until the next call of anything here. Not once it is over. */
const char *pace_cell(struct pace *p);
bool pace_is_over(const struct pace *p); /* all is sent, the end too */
