/* What answers must look like, compiled: the last ones are kept, since clients send the same schema with every
 * request. One thread uses a cache, the one that prepares requests. */
#pragma once
#include "engine/engine.h"
#include "text/constraint.h"

enum { CONSTRAINT_CACHE_SIZE = 16, CONSTRAINT_CACHE_MAX_KEY = 1 << 18 };

struct constraint_cache;

/* e is borrowed. NULL when there is no memory. Nothing of the vocabulary is prepared before the first use. */
struct constraint_cache *constraint_cache_new(const struct engine *e);
void constraint_cache_free(
    struct constraint_cache *c); /* no constraint is used any more; takes NULL */

/* A constraint for the spec, kept or new; the caller drops it. Fails as constraint_new. */
MUST_USE int constraint_cache_get(struct constraint_cache *c, const struct constraint_spec *spec,
                                  struct constraint **out, struct err *err);
