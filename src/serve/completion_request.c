#include "serve/completion_request.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "serve/chat_request.h"
#include "serve/token_ids.h"
#include "text/prompt.h"

/* Token names that an answer may tell of at once: they are kept until it goes out, about 200 bytes each. */
enum { MAX_NAMES = 1 << 17 };

enum { MAX_PREFIX = 64 << 20, MAX_EXTRA = 1024, MAX_FILE_NAME = 4096 };

/* ---- the prompt ---- */

static int read_texts(struct completion_request *r, const struct fields *f)
{
    const char *texts[COMPLETION_MAX_CHOICES];
    if (field_texts(f, "prompt", COMPLETION_MAX_CHOICES, 0, SIZE_MAX, texts, &r->n_prompts))
        return -1;
    for (int i = 0; i < r->n_prompts; i++)
        r->prompts[i].text = texts[i];
    return 0;
}

static int read_id_lists(struct completion_request *r, const struct fields *f, json_t *list)
{
    if (field_list(f, "prompt", 1, COMPLETION_MAX_CHOICES, &list)) return -1;
    r->n_prompts = (int)json_array_size(list);
    for (int i = 0; i < r->n_prompts; i++) {
        char path[32];
        const json_t *ids = json_array_get(list, (size_t)i);
        snprintf(path, sizeof path, "prompt[%d]", i);
        if (!json_is_array(ids)) return field_refuse(f, 400, path, "must be a list of token ids");
        if (token_ids_check(f, path, ids)) return -1;
        r->prompts[i].ids = ids;
    }
    return 0;
}

/* What it is, its first element says. */
static int read_prompt(struct completion_request *r, const struct fields *f)
{
    json_t *prompt = field_get(f, "prompt");
    if (field_require(f, "prompt")) return -1;
    if (json_is_array(prompt) && !json_array_size(prompt))
        return field_refuse(f, 400, "prompt", "is empty");
    const json_t *first = json_array_get(prompt, 0);
    if (json_is_array(first)) return read_id_lists(r, f, prompt);
    if (!json_is_integer(first)) return read_texts(r, f);
    r->n_prompts = 1;
    r->prompts[0].ids = prompt;
    return token_ids_check(f, "prompt", prompt);
}

static int read_one_prompt(struct completion_request *r, const struct fields *f)
{
    if (read_prompt(r, f)) return -1;
    if (r->n_prompts > 1) return field_refuse(f, 400, "prompt", "must be one here");
    return 0;
}

/* ---- fill-in-the-middle of llama-server ---- */

static int read_extra(struct completion_request *r, const struct fields *f)
{
    json_t *list = NULL;
    if (field_list(f, "input_extra", 0, MAX_EXTRA, &list)) return -1;
    for (size_t i = 0; i < json_array_size(list); i++) {
        struct fields extra;
        const char *text = "", *name = "";
        if (field_element(f, "input_extra", list, i, &extra) || field_require(&extra, "text") ||
            field_text(&extra, "text", 0, SIZE_MAX, &text) ||
            field_text(&extra, "filename", 0, MAX_FILE_NAME, &name))
            return -1;
        if (*name) buf_printf(&r->prefix, "--- %s\n", name);
        buf_add_str(&r->prefix, text);
        buf_add_str(&r->prefix, "\n");
    }
    return 0;
}

static int read_infill(struct completion_request *r, const struct fields *f)
{
    const char *prefix = "", *suffix = "";
    r->n_prompts = 1;
    r->begun = "";
    if (read_extra(r, f) || field_require(f, "input_prefix") ||
        field_text(f, "input_prefix", 0, SIZE_MAX, &prefix) || field_require(f, "input_suffix") ||
        field_text(f, "input_suffix", 0, SIZE_MAX, &suffix) ||
        field_text(f, "prompt", 0, SIZE_MAX, &r->begun))
        return -1;
    r->suffix = suffix;
    buf_add_str(&r->prefix, prefix);
    return r->prefix.failed ? api_refuse_memory(f->e) : 0;
}

/* ---- the other fields ---- */

static int refuse_undone(const struct completion_request *r, const struct fields *f)
{
    if (field_asks(f, "use_beam_search"))
        return field_refuse(f, 400, "use_beam_search", "is not supported here");
    if (r->sampling.n_bias && r->logprobs)
        return field_refuse(f, 400, "logit_bias", "is not supported together with logprobs");
    return 0;
}

static int read_shared(struct completion_request *r, const struct fields *f)
{
    bool skip_specials;
    r->n = 1;
    r->bos = true;
    return field_text(f, "model", 1, CHAT_MAX_MODEL, &r->model) ||
                   sampling_read(&r->sampling, r->bias, f) ||
                   sampling_read_seed(&r->seed, &r->has_seed, f) ||
                   sampling_read_stream(&r->stream, &r->include_usage, f) ||
                   sampling_read_ends(&r->ends, f) || form_read(&r->form, f) ||
                   field_bool(f, "skip_special_tokens", &skip_specials) ||
                   field_texts(f, "stop", PARSE_MAX_STOPS, 1, PARSE_MAX_STOP_BYTES, r->stops,
                               &r->n_stops)
               ? -1
               : 0;
}

static int read_choices(struct completion_request *r, const struct fields *f)
{
    int best_of, most = COMPLETION_MAX_CHOICES / r->n_prompts;
    if (field_int(f, "n", 1, most, &r->n)) return -1;
    best_of = r->n;
    if (field_int(f, "best_of", 1, COMPLETION_MAX_CHOICES, &best_of)) return -1;
    if (best_of != r->n)
        return field_refuse(f, 400, "best_of", "is %d, only what n says is supported: %d", best_of,
                            r->n);
    return 0;
}

static int read_suffix(struct completion_request *r, const struct fields *f)
{
    if (field_text(f, "suffix", 0, SIZE_MAX, &r->suffix)) return -1;
    if (!r->suffix) return 0;
    r->begun = "";
    if (r->echo) return field_refuse(f, 400, "echo", "does not go with suffix");
    if (r->prompts[0].ids) return field_refuse(f, 400, "suffix", "needs a prompt of text");
    return 0;
}

static int read_openai(struct completion_request *r, const struct fields *f)
{
    int top = -1;
    if (field_require(f, "model") || read_prompt(r, f) ||
        field_int(f, "logprobs", 0, SAMPLER_MAX_LOGPROBS, &top) ||
        field_bool(f, "echo", &r->echo) || field_bool(f, "add_special_tokens", &r->bos) ||
        read_suffix(r, f) || read_choices(r, f))
        return -1;
    r->max_tokens = r->suffix ? COMPLETION_FIM_TOKENS : COMPLETION_TOKENS;
    if (field_int(f, "max_tokens", 0, INT_MAX, &r->max_tokens)) return -1;
    r->logprobs = top >= 0;
    r->sampling.logprobs = top;
    return 0;
}

static int read_llama(struct completion_request *r, const struct fields *f,
                      enum completion_shape shape)
{
    struct sampler_options *s = &r->sampling;
    int top = 0;
    r->max_tokens = -1;
    if ((shape == COMPLETION_INFILL ? read_infill(r, f) : read_one_prompt(r, f)) ||
        field_int(f, "n_predict", -2, INT_MAX, &r->max_tokens) ||
        field_int(f, "max_tokens", -1, INT_MAX, &r->max_tokens) ||
        field_number(f, "repeat_penalty", 0.01, 100, &s->repeat_penalty) ||
        field_int(f, "repeat_last_n", -1, INT_MAX, &s->penalty_last_n) ||
        field_int(f, "n_probs", 0, SAMPLER_MAX_LOGPROBS, &top) ||
        field_bool(f, "return_tokens", &r->return_tokens))
        return -1;
    if (r->max_tokens < 0) r->max_tokens = -1;
    r->logprobs = top > 0;
    s->logprobs = top > 0 ? top : -1;
    return 0;
}

int completion_request_read(struct completion_request *out, json_t *body,
                            enum completion_shape shape, struct api_error *e)
{
    struct fields f = fields_of(body, e);
    *out = (struct completion_request){.body = body};
    buf_init(&out->prefix, MAX_PREFIX);
    if (!json_is_object(body)) {
        api_refuse(e, 400, NULL, "the body is not a JSON object");
        goto fail;
    }
    if (read_shared(out, &f) ||
        (shape == COMPLETION_OPENAI ? read_openai(out, &f) : read_llama(out, &f, shape)) ||
        sharing_read(&out->sharing, &f) || refuse_undone(out, &f) ||
        sampling_check_ends(&out->ends, out->max_tokens, out->n_stops, out->form.field, &f))
        goto fail;
    return 0;

fail:
    completion_request_fini(out);
    return -1;
}

void completion_request_fini(struct completion_request *r)
{
    json_decref(r->body);
    buf_fini(&r->prefix);
    *r = (struct completion_request){0};
}

/* ---- to ids ---- */

static int add_fim(const struct completion_request *r, const char *prefix,
                   const struct tokenizer *t, struct ids *out, struct api_error *e)
{
    struct prompt p;
    struct err err = {0};
    if (!prompt_has_fim(t))
        return api_refuse(e, 400, "suffix", "this model has no tokens for fill-in-the-middle");
    int rc = prompt_fim(&p, prefix, r->suffix, &err);
    if (rc == 0) rc = prompt_tokenize(&p, t, out, &err);
    if (rc == 0) rc = tokenizer_encode(t, r->begun, strlen(r->begun), false, out, &err);
    prompt_fini(&p);
    return rc ? token_ids_refuse(out, "prompt", &err, e) : 0;
}

int completion_prompt_ids(const struct completion_request *r, int i, const struct tokenizer *t,
                          struct ids *out, struct api_error *e)
{
    const struct completion_prompt *p = &r->prompts[i];
    int rc;
    if (r->suffix)
        rc = add_fim(r, p->text ? p->text : buf_text(&r->prefix), t, out, e);
    else if (p->ids)
        rc = token_ids_add(p->ids, t, "prompt", out, e);
    else
        rc = token_ids_of_text(p->text, r->bos, t, "prompt", out, e);
    if (rc == 0 && out->n == 0) return api_refuse(e, 400, "prompt", "prompt: is empty");
    return rc;
}

/* ---- for the answer ---- */

static int limit_logprobs(struct completion_request *r, const int *n_ids, struct api_error *e)
{
    size_t most = MAX_NAMES / (2 + (size_t)r->sampling.logprobs) / (size_t)r->n, n = 0;
    for (int i = 0; r->echo && i < r->n_prompts; i++)
        n += (size_t)n_ids[i];
    if (n > most)
        return api_refuse(e, 400, "prompt",
                          "logprobs of %zu tokens of prompts for each of %d choices are too many, "
                          "allowed are %zu",
                          n, r->n, most);
    int left = (int)((most - n) / (size_t)r->n_prompts);
    if (r->stream) return 0;
    if (r->max_tokens < 0) r->max_tokens = left;
    if (r->max_tokens <= left) return 0;
    return api_refuse(e, 400, "max_tokens",
                      "logprobs of more than %d tokens for each choice want a stream", left);
}

int completion_request_limit(struct completion_request *r, const int *n_ids, int context,
                             struct api_error *e)
{
    int wanted = r->max_tokens < 0 ? 1 : r->max_tokens, least = wanted ? 1 : 0;
    for (int i = 0; i < r->n_prompts; i++)
        if (context - n_ids[i] < least)
            return api_refuse_length(e, "prompt", context, n_ids[i], wanted);
    return r->logprobs ? limit_logprobs(r, n_ids, e) : 0;
}

void completion_request_echo(const struct completion_request *r, int i, const struct tokenizer *t,
                             const struct ids *ids, struct buf *out)
{
    const char *text = r->prompts[i].text;
    if (!text) {
        if (tokenizer_decode(t, ids->data, ids->n, false, out, NULL)) out->failed = true;
        return;
    }
    size_t size = 0;
    const char *bos = r->bos ? tokenizer_piece(t, prompt_bos(t), &size) : NULL;
    if (bos && strncmp(text, bos, size) == 0) text += size;
    buf_add_str(out, text);
}

bool completion_request_adds_bos(const struct completion_request *r, int i,
                                 const struct tokenizer *t, const struct ids *ids)
{
    return r->prompts[i].text && r->bos && ids->data[0] == prompt_bos(t);
}

struct generate_options completion_generate_options(const struct completion_request *r,
                                                    const struct engine *e,
                                                    struct constraint *constraint)
{
    struct generate_options g = engine_generate_options(e, false);
    g.max_tokens = r->max_tokens;
    sampling_set_ends(&g, &r->ends);
    g.constraint = constraint;
    g.sampling = r->sampling;
    g.parse.ids = (struct parse_ids){-1, -1, -1, -1}; /* all is text */
    g.parse.stops = r->stops;
    g.parse.n_stops = r->n_stops;
    return g;
}
