/* Reasoning as the opaque text that a client keeps for the next request: `encrypted_content` of the Responses
 * API. It is base64 behind a mark, no cipher: what it holds is the client's own, who may see it. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

/* Adds the opaque form of a text. */
void opaque_make(struct buf *out, const char *text, size_t size);

/* Adds the text of an opaque form. False, and nothing is added, when it was not made here: another service's,
 * or broken. */
bool opaque_read(struct buf *out, const char *opaque, size_t size);
