/* What a model's files hold, in numbers, from the headers alone. */
#pragma once
#include <stdint.h>

#include "format/weights.h"

enum survey_part {
    PART_EMBED,
    PART_HEAD,
    PART_ATTENTION, /* projections, norms, sinks, compressors, indexers */
    PART_EXPERTS,   /* routed */
    PART_SHARED,
    PART_ROUTER, /* gates, biases, tables; hyper-connections */
    PART_MTP,
    PART_OTHER,
    PART_COUNT
};

enum { SURVEY_NAMED = 8 };

struct survey {
    uint64_t part_bytes[PART_COUNT]; /* scales included */
    uint64_t dtype_bytes[DT_COUNT];  /* scales under their own dtype */
    int dtype_tensors[DT_COUNT];
    double parameters; /* values, scales not counted */
    /* Weight bytes that decoding one token reads without drafts: every dense matrix, the share of
     * routed experts that a token uses, one row of the embedding and of each tid2eid table. */
    double bytes_per_token;
    double expert_bytes_per_token;  /* of these, routed experts */
    int n_missing;                  /* tensors the configuration calls for and the files lack */
    char missing[SURVEY_NAMED][96]; /* the first of them */
};

const char *survey_part_name(enum survey_part p);

void survey_weights(struct survey *s, const struct weights *w);
