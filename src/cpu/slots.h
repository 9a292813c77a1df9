/* The cache of experts on demand: ops/cache.h says what it is for. Private to cpu/.
 *
 * One lock guards all of it; loader threads read and pack, one matrix of an expert at a time, so that
 * several read one expert. Experts that the step waits for come first, those expected later after
 * them. An expert's data pointers are set while it has a slot; ops may follow them only between
 * slots_next and slots_give, while the expert cannot lose it.
 *
 * Bytes go through the page cache of the system, which may hold what the slots do not. */
#pragma once
#include "cpu/packed.h"
#include "ops/cache.h"
#include "ops/route.h"

struct slots;

MUST_USE int slots_open(struct slots **out, const struct cache_options *o, struct err *err);
/* Waits for the loaders; frees all deferred experts. Takes NULL and a half-open one. */
void slots_close(struct slots *c);

/* Before the first step. The expert's weights stay owned by c. */
MUST_USE int slots_defer(struct slots *c, struct expert *out, const struct weight_src src[3],
                         struct err *err);

void slots_stats(struct slots *c, struct cache_stats *out);

/* One layer's use of its experts, from one thread:
 *     slots_need; while ((n = slots_next(...)) > 0) { compute with them; slots_give; }
 * slots_need lists the experts (of layer[0 .. n_experts), all deferred to c) and starts reading those that
 * have no slot, as far as there are slots. slots_next waits until some of them are ready, writes
 * their indexes in `ids` to out (room for n) and returns how many; 0 when all had their turn; -1 when
 * reading one failed: then the layer's use is over. ids is borrowed until then. */
void slots_need(struct slots *c, const struct expert *layer, int n_experts, const int32_t *ids,
                int n);
MUST_USE int slots_next(struct slots *c, int32_t *out, struct err *err);
void slots_give(struct slots *c, const int32_t *indexes, int n);

/* Experts that will or may be needed later: read when nothing else is to be, into slots that nothing under way
 * needs, and at most half of them. Forgotten when their layer's turn comes without need of them. */
void slots_expect(struct slots *c, const struct expert *layer, const int32_t *ids, int n);
