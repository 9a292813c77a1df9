/* A load on a server of chat answers, over HTTP: many clients, what they ask, and what came of it.
 *
 * Two kinds. Closed (rate 0): `clients` of them, each beginning its next conversation when its last is over. Open
 * (rate > 0): conversations arrive at random times that do not depend on the server (a Poisson process), and at most
 * `clients` are under way; more wait their turn.
 *
 * The time of a request counts from when it was to be sent, not from when it was: in an open load from the
 * planned arrival of its conversation, whatever it waited for, so a server that stalls is not spared by a load
 * that stalls with it (coordinated omission). A later turn, and all of a closed load, is to be sent as soon as what it
 * follows is over.
 *
 * A conversation whose turn gets no whole answer ends there. After a request that got no answer at all its client
 * waits for 0.1 s. */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>

#include "base/err.h"
#include "measure/load_plan.h"
#include "measure/load_stats.h"

struct load_options {
    const char *url;
    const char *key; /* NULL: none */
    struct load_plan plan;
    int clients;    /* 1..LOAD_MAX_CLIENTS */
    long requests;  /* this many, turns counted; 0: no limit */
    double seconds; /* no conversation arrives and no turn follows later than this; 0: no limit */
    double timeout; /* seconds for an answer */
    struct load_limits limits;
};

enum { LOAD_MAX_CLIENTS = 16384 };

/* Runs to its end, or until *stop: then what is under way is cut and counts as stopped. Failures of requests are
 * results; ERR_ARGUMENT, ERR_UNSUPPORTED, ERR_IO for a bad URL. load_result_fini frees what out holds, also after a
 * failure. */
MUST_USE int load_run(struct load_result *out, const struct load_options *o,
                      const atomic_bool *stop, struct err *err);
