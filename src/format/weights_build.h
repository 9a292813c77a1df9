/* From stored tensors to views. Private to format/. */
#pragma once
#include "format/stored.h"
#include "format/weights.h"

struct view_list {
    int n, cap;
    struct weight_view *at; /* by official name when built; the names are owned */
};

/* How many values one FP8 scale covers; 0: not stated, so found from the shapes. */
struct scale_block {
    int rows, cols;
};

/* Pairs weights with their scales, slices stacked experts and sorts by official name. Two tensors
 * of one name, a scale without its weight, shapes that contradict each other or the config: error.
 * Sorts `stored`. */
MUST_USE int views_build(struct view_list *out, struct stored *stored, int n,
                         const struct config *c, struct scale_block block, const char *what,
                         struct err *err);

void views_free(struct view_list *v);
