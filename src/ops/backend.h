/* What a device must do. The model calls the op_* functions of ops/, which check shapes and call
 * these. Contract of each op: its header (embed.h, hyper.h, project.h, rows.h, select.h, attend.h,
 * route.h, head.h); bits: docs/spec/numerics.md. */
#pragma once
#include "ops/attend.h"
#include "ops/cache.h"
#include "ops/embed.h"
#include "ops/head.h"
#include "ops/hyper.h"
#include "ops/project.h"
#include "ops/route.h"
#include "ops/rows.h"
#include "ops/select.h"
#include "ops/step.h"
#include "ops/tensor.h"
#include "ops/weight.h"

struct backend {
    const char *name; /* "cpu", "null" */
    const char *isa;  /* "ref", "avx2", ...; what bench and verify print */
    enum numeric_mode mode;
    void (*close)(struct backend *b);

    /* Packs a matrix for the device. Fails with ERR_FORMAT on NaN codes or forbidden scales, with
     * ERR_LIMIT when memory is out, or with the reader's error. Safe from several threads. */
    int (*weight_load)(struct backend *b, struct weight **out, const struct weight_src *src,
                       struct err *err);
    void (*weight_free)(struct backend *b, struct weight *w); /* takes NULL */

    /* Device bytes of n weights, each with its alignment. Fails as weight_load does on shapes and formats. */
    int (*weight_bytes)(struct backend *b, size_t *out, const struct weight_src *src, int n,
                        struct err *err);

    /* Experts on demand: cache.h. */
    /* ERR_LIMIT when memory or threads are out. */
    int (*cache_open)(struct backend *b, const struct cache_options *o, struct err *err);
    /* src: gate, up, down. The weights are described, not read. The sources are copied; their ctx and functions stay
     * valid until cache_close, and are called from other threads, several at a time. */
    int (*expert_defer)(struct backend *b, struct expert *out, const struct weight_src src[3],
                        struct err *err);
    /* Frees the deferred weights too: no weight_free for those. Does nothing where none is open. */
    void (*cache_close)(struct backend *b);
    void (*cache_stats)(struct backend *b, struct cache_stats *out); /* zeros where none is open */

    /* Zeroed device memory for session state; NULL when it is out. */
    void *(*block_new)(struct backend *b, size_t size);
    void (*block_free)(struct backend *b, void *block, size_t size);
    void (*block_copy)(struct backend *b, void *to, const void *from, size_t size);
    void (*block_read)(struct backend *b, void *host, const void *block, size_t offset,
                       size_t size);
    void (*block_write)(struct backend *b, void *block, size_t offset, const void *host,
                        size_t size);

    void (*step_begin)(struct step *s);
    void (*step_end)(struct step *s);
    void *(*scratch)(struct step *s, size_t size); /* 64-byte aligned */
    size_t (*mark)(struct step *s);
    void (*release)(struct step *s, size_t mark);
    void (*read)(struct step *s, float *host, const struct tensor *t);

    void (*embed)(struct step *s, const struct embed_args *a);
    void (*rope_rows)(struct step *s, const struct rope_rows_args *a);
    void (*hc_mix)(struct step *s, const struct hc_mix_args *a);
    void (*hc_join)(struct step *s, const struct hc_join_args *a);
    void (*project)(struct step *s, const struct project_args *a);
    void (*project_grouped)(struct step *s, const struct project_grouped_args *a);
    void (*norm)(struct step *s, const struct norm_args *a);
    void (*rows_append)(struct step *s, const struct rows_append_args *a);
    void (*rows_keep)(struct step *s, const struct rows_keep_args *a);
    void (*compress)(struct step *s, const struct compress_args *a);
    void (*query)(struct step *s, const struct query_args *a);
    void (*select)(struct step *s, const struct select_args *a);
    void (*attend)(struct step *s, const struct attend_args *a);
    void (*route)(struct step *s, const struct route_args *a);
    void (*experts)(struct step *s, const struct experts_args *a);
    void (*expect)(struct step *s, const struct expect_args *a);
    void (*head)(struct step *s, const struct head_args *a);
    void (*mtp_streams)(struct step *s, const struct mtp_streams_args *a);
    void (*mtp_join)(struct step *s, const struct mtp_join_args *a);
};
