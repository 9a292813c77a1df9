/* Options that run and chat share: how to open the model, how to sample, how to write the prompt. */
#pragma once
#include <argp.h>
#include <jansson.h>

#include "cli/open.h"

struct ask_options {
    struct open_options open;
    int max_tokens; /* -n; -1 */
    int context;    /* --ctx; 0: the engine's choice */
    bool ignore_eos;
    struct sampler_options sampling; /* bias points to `bias` */
    struct logit_bias *bias;
    uint64_t seed;
    bool has_seed;
    const char *stops[PARSE_MAX_STOPS];
    int n_stops;
    bool thinking;
    const char *effort; /* NULL */
    bool has_family;
    enum prompt_family family;
    const char *system; /* NULL */
    enum speculate_mode drafts;
};

void ask_init(struct ask_options *o);
void ask_fini(struct ask_options *o);

/* A child of a subcommand's argp; its input is a struct ask_options. */
extern const struct argp ask_argp;

/* Whether MTP is to be loaded. */
enum open_mtp ask_mtp(const struct ask_options *o);

/* Checks the sampling options before a model is opened. */
MUST_USE int ask_check(const struct ask_options *o, struct err *err);

/* The prompt format for the model at path: the family given, or the one its folder says. */
struct prompt_options ask_prompt_options(const struct ask_options *o, const char *path);

/* How to generate; `thinking` as the prompt ends. The rest points into o. */
struct generate_options ask_generate_options(const struct ask_options *o, const struct engine *e,
                                             bool thinking);

/* The seed given, or a random one below 2^32. */
uint64_t ask_seed(const struct ask_options *o);

/* A JSON list of messages, or an object with `messages` and perhaps `tools` (*tools may come out
 * NULL). path "-" is stdin. The caller gives both back with json_decref. */
MUST_USE int ask_messages(json_t **messages, json_t **tools, const char *path, struct err *err);

/* The messages of a question: --system, if given, and the text as the user's. ERR_FORMAT when the text
 * is not UTF-8; name is where it came from. The caller gives *messages back with json_decref. */
MUST_USE int ask_text_messages(json_t **messages, const struct ask_options *o, const char *name,
                               const char *text, size_t size, struct err *err);

/* Whether the answer to this prompt begins inside the reasoning: iff the prompt's last token opened
 * it. A message that is to be completed, for one, leaves it behind. */
bool ask_begins_thinking(const struct tokenizer *t, const int32_t *prompt, int n);

/* "12 prompt tokens (5 reused) at 80.1/s, 40 tokens at 55.2/s", for people; where experts are read on
 * demand, ", experts 61.0% hits, 1.2 GB read, 0.8 s waited" since the model was opened. */
void ask_print_stats(FILE *out, const struct generation_stats *s, const struct cache_stats *cache);
