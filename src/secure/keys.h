/* The keys that clients of a server send, and what each of them may do: a file of lines.
 * Source: docs/spec, security, rule H5.
 *
 *     # a comment, or an empty line
 *     NAME HASH [LIMIT=VALUE ...]
 *     ann 2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae requests=60 models=tenon-nano
 *
 *     NAME           1 to 64 of letters, digits, . _ - ; once in the file; what logs and figures show
 *     HASH           SHA-256 of the key, 64 hex digits; once in the file
 *     requests=N     per minute
 *     tokens=N       per minute, of prompts and answers
 *     concurrent=N   requests at once
 *     daily=N        tokens in a day (UTC)
 *     models=A,B     names of models; without it all
 *     priority=N     -9 to 9, 0 without it; a higher one goes first where requests wait
 *     expires=DATE   2027-01-31: not valid any more when that day begins (UTC)
 *
 * N is 1 to 10^12 but for priority; a limit that is not there does not limit. The file holds no key: one is
 * 256 random bits, so nobody finds it by trying, and a plain hash protects it as well as a slow one with salt,
 * which exists for passwords that people choose, would. A fast one also costs no time for each request. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum {
    KEYS_MAX = 4096,          /* in a file */
    KEYS_MAX_BYTES = 1 << 20, /* of a file */
    KEY_MAX_NAME = 64,
    KEY_MAX_PRIORITY = 9,
    KEY_TEXT = 3 + 64 + 1 /* "sk-", 32 bytes in hex, NUL */
};

/* One key; unchanging. Limits are 0 where there is none. */
struct key {
    char name[KEY_MAX_NAME + 1];
    uint8_t hash[32];
    int64_t requests, tokens; /* per minute */
    int64_t concurrent;
    int64_t daily; /* tokens */
    char *models;  /* separated by commas, owned; NULL: all */
    int priority;
    int64_t expires; /* unix seconds; 0: never */
};

/* A set of keys, unchanging, for all threads; freed when the last who holds it lets go. */
struct keys;

/* The caller holds *out. `what` names the text in errors, which give the number of the line. */
MUST_USE int keys_parse(struct keys **out, const char *what, const char *text, size_t size,
                        struct err *err);
/* The same from a file; path NULL is an empty one. hash, when not NULL, is that of one more key, of the name
 * "default" and without limits. */
MUST_USE int keys_read(struct keys **out, const char *path, const uint8_t hash[32],
                       struct err *err);
struct keys *keys_hold(struct keys *k);
void keys_release(struct keys *k); /* takes NULL */

int keys_count(const struct keys *k);
const struct key *keys_get(const struct keys *k, int i);

/* The key that a client sent, or NULL. Takes the same time whatever was sent. An expired one is found. */
const struct key *keys_find(const struct keys *k, const char *text);

/* Whether it may use the model that is asked for by `name` and is called `served` here. */
bool key_allows(const struct key *k, const char *name, const char *served);

/* --- writing; for one caller at a time, in any process --- */

/* Whether a key may have this name. */
bool keys_is_name(const char *name);

/* A new random key; aborts where the system has no random numbers. */
void key_make(char text[KEY_TEXT]);

/* One value of a limit, by its name in the file: "requests", "60". Models are kept. `what` begins the message. */
MUST_USE int key_set(struct key *k, const char *name, const char *value, const char *what,
                     struct err *err);
void key_fini(struct key *k);
/* Its limits as the file has them, each behind a blank. */
void key_limits(const struct key *k, struct buf *out);

/* Appends a line to the file, or makes it; comments stay. ERR_ARGUMENT when the name is bad or there already. The file is
 * replaced whole: it is the old one or the new one, readable by its owner alone. */
MUST_USE int keys_add(const char *path, const struct key *k, struct err *err);
/* Takes the line of that name out. ERR_ARGUMENT when there is none. */
MUST_USE int keys_remove(const char *path, const char *name, struct err *err);
