/* Does a model fit in memory, and what is done where it does not. */
#pragma once
#include <stdbool.h>

#include "model/model.h"

struct fit {
    struct model_size size;
    size_t memory; /* that may be taken */
    bool
        given; /* by --memory; else what the machine has available (0: unknown, and all is loaded) */
    size_t reserve; /* of it, kept for sessions and scratch: an eighth, at most 2 GiB */
    bool too_small; /* not even the dense part and one expert fit */
    int n_slots;    /* for experts on demand; 0: all are loaded */
};

/* Bytes of dense part and experts, all of them. */
size_t fit_bytes(const struct fit *f);

/* memory: of --memory, or 0. Needs headers only. The backend is the one that the model is for. */
MUST_USE int fit_model(struct fit *out, struct backend *b, const struct weights *w, bool mtp,
                       size_t memory, struct err *err);

/* What of so much memory is kept for sessions and scratch. */
size_t fit_reserve(size_t memory);

/* Bytes that --memory asks for: digits, perhaps a fraction, perhaps K, M, G or T (powers of 1024). 0
 * when arg is no such thing. */
size_t fit_parse(const char *arg);

/* What was decided: one line of text. */
enum { FIT_TEXT = 256 };
const char *fit_text(const struct fit *f, char text[FIT_TEXT]);
