/* What answers must look like, compiled: the last ones are kept, since clients send the same schema with every
 * request. One thread uses a cache, the one that prepares requests.
 * Source: docs/spec, security and reliability, rules T1, T2, P4.
 *
 * A form is found by who left it there alone: by the same group and scope (engine/cache_key.h), as a prefix is. So the
 * time of a request does not tell whether another one asked for its form before.
 *
 * Groups are equal: when all places are taken, the one that has most gives the form that it used longest ago; the
 * group that asks goes first among those with the same number, if it has any. So a group that has no more than its share
 * (places by groups that have some) loses nothing to the others. With more groups than places none has a
 * place for sure, and the form goes that was used longest ago. */
#pragma once
#include "engine/cache_key.h"
#include "engine/engine.h"
#include "text/constraint.h"

enum { CONSTRAINT_CACHE_SIZE = 32, CONSTRAINT_CACHE_MAX_KEY = 1 << 18 };

struct constraint_cache;

/* e is borrowed; it has a tokenizer. NULL when there is no memory. */
struct constraint_cache *constraint_cache_new(const struct engine *e);
void constraint_cache_free(
    struct constraint_cache *c); /* no constraint is used any more; takes NULL */

/* A constraint for the spec, kept or new; the caller drops it. Fails as constraint_new. */
MUST_USE int constraint_cache_get(struct constraint_cache *c, const struct cache_tenant *t,
                                  const struct constraint_spec *spec, struct constraint **out,
                                  struct err *err);
