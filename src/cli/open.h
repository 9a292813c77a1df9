/* What run, chat and logits share: options that say how a model is opened, and opening it. */
#pragma once
#include <argp.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "engine/engine.h"
#include "format/weights.h"
#include "model/model.h"
#include "ops/backend.h"
#include "text/ids.h"

/* Filled by open_argp; zero-initialise. */
struct open_options {
    int n_threads; /* 0: one per CPU */
    bool is_float; /* --float */
    bool f32_acts; /* --activations f32 */
    const char *isa;
    size_t memory; /* bytes of --memory; 0: what the machine has available */
};

/* --threads, --float, --activations, --isa and --memory, as a child of a subcommand's argp; its input is a
 * struct open_options. */
extern const struct argp open_argp;

enum open_mtp {
    OPEN_MTP_NONE,
    OPEN_MTP_IF_LARGE, /* and there: what a cache holds is not worth drafts, reading it is cheap */
    OPEN_MTP_IF_THERE,
    OPEN_MTP_MUST /* a model without is refused */
};

/* engine_options.memory: half of what is available once the model is loaded; with --memory what of it is
 * kept for sessions (cli/fit.h). */
#define OPEN_WHAT_IS_LEFT SIZE_MAX

/* engine_options.cache: a quarter of engine_options.memory. */
#define OPEN_A_QUARTER SIZE_MAX

struct opened {
    struct weights *weights; /* kept for the digest, and for experts on demand */
    struct backend *backend;
    struct model *model;
    struct tokenizer *tokenizer; /* NULL unless asked for */
    struct engine *engine;
};

/* Opens weights, CPU backend, model and engine; with_text also the tokenizer beside or inside the
 * model. A model larger than the memory keeps its routed experts on disk, and says so unless --memory
 * asked for it; ERR_LIMIT when not even its dense part fits. Shows progress on a terminal. On failure everything is closed. */
MUST_USE int open_model(struct opened *out, const char *path, const struct open_options *o,
                        bool with_text, enum open_mtp mtp, const struct engine_options *engine,
                        struct err *err);
void open_close(struct opened *o); /* takes a zeroed and a half-open one */

/* What the cache of experts on demand did so far; n_slots 0 where all are loaded. */
struct cache_stats open_cache_stats(const struct opened *o);

/* Reads a number for argp: the whole of arg, within [low, high]; else argp_error, which exits. */
long long open_int(const struct argp_state *state, const char *option, const char *arg,
                   long long low, long long high);
double open_real(const struct argp_state *state, const char *option, const char *arg);

/* Decimal ids separated by white space, each below vocab, at least one. path "-" is stdin. */
MUST_USE int open_ids(struct ids *out, const char *path, int vocab, struct err *err);

/* How much the model at path thinks when a request does not say: `reasoning_effort` of its generation_config.json.
 * The caller frees; NULL when there is none that is known. */
char *open_effort(const char *path);
