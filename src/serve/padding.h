/* Sizes of what goes to clients, so that they tell little of the tokens in it to who watches an encrypted line.
 * Source: docs/spec, security, rule T4.
 *
 * An event's JSON object gets a member "padding"; behind a whole body come spaces; an event that is no JSON gets a
 * comment before it. So nothing is there that a reader of events or JSON would not pass over. */
#pragma once
#include <stdint.h>

#include "base/buf.h"

enum padding {
    PADDING_OFF,
    PADDING_BUCKET, /* each event and each body a multiple of 256 bytes */
    PADDING_PACED   /* each stream one event of PADDING_CELL bytes per tick: serve/pace.h */
};

enum { PADDING_BUCKET_BYTES = 256, PADDING_CELL = 512 };

/* The least length of a class that is not below n >= 1: 16, 32, 48 and 64, then four to a doubling, so that at most a
 * quarter comes on top of 64 and more. */
int64_t padding_class(int64_t n);

/* Adds an event: "data: JSON\n\n", before it "event: NAME\n" when name is not NULL. json is an object's text of
 * `size` bytes. With unit > 0 the event has a multiple of `unit` bytes. */
void padding_event(struct buf *out, const char *name, const char *json, size_t size, size_t unit);
/* Adds "data: [DONE]\n\n", with unit > 0 behind a comment and with it of `unit` bytes. */
void padding_done(struct buf *out, size_t unit);
/* Adds a comment of `unit` >= 4 bytes, which is an event to who watches and nothing to who reads. */
void padding_comment(struct buf *out, size_t unit);

/* Bytes of a JSON body of `size` bytes when spaces have been added behind it. */
size_t padding_body(enum padding how, size_t size);
