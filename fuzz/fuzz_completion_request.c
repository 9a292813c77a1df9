/* Bodies that continue raw text, in all shapes: what is accepted must hold what the header says and become ids
 * of the vocabulary; no text becomes a control token; what is refused must have an answer. Run from the
 * repository root. */
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "serve/completion_request.h"
#include "serve/fields.h"
#include "text/prompt.h"
#include "text/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_IDS = 1 << 20 };

static void check_refusal(const struct api_error *e)
{
    CHECK(e->status == 400 || e->status == 422, "status %d: %s", e->status, e->message);
    CHECK(e->message[0] && utf8_valid(e->message, strlen(e->message)), "no message");
}

static void check_fields(const struct completion_request *r, enum completion_shape shape)
{
    const struct sampler_options *s = &r->sampling;
    struct err err = {0};
    CHECK(sampler_check(s, INT_MAX, &err) == 0 || strstr(err.message, "logit bias for token"), "%s",
          err.message);
    CHECK(r->logprobs == (s->logprobs >= 0), "logprobs %d", s->logprobs);
    CHECK(r->n_prompts >= 1 && r->n >= 1 && r->n * r->n_prompts <= COMPLETION_MAX_CHOICES,
          "%d choices of %d prompts", r->n, r->n_prompts);
    CHECK(r->max_tokens >= (shape == COMPLETION_OPENAI ? 0 : -1), "max_tokens %d", r->max_tokens);
    CHECK(shape == COMPLETION_OPENAI || (r->n == 1 && r->n_prompts == 1), "one is wanted");
    CHECK(shape != COMPLETION_OPENAI || r->model, "no model");
    CHECK(!r->suffix || (r->begun && !r->echo), "a suffix");
    CHECK(r->n_stops >= 0 && r->n_stops <= PARSE_MAX_STOPS, "%d stops", r->n_stops);
    CHECK(r->ends.n_stop_ids >= 0 && r->ends.n_stop_ids <= SAMPLING_MAX_STOP_IDS, "%d stop tokens",
          r->ends.n_stop_ids);
    CHECK(r->ends.min_tokens == 0 || (!r->form.field && !r->n_stops), "an end that cannot come");
    CHECK(!r->form.field == (r->form.spec.kind == CONSTRAINT_NONE), "a form");
}

/* How many control tokens the server writes itself. */
static size_t most_added(const struct completion_request *r)
{
    if (r->suffix) return 4;
    return r->bos ? 1 : 0;
}

static void check_ids(const struct completion_request *r, int i, const struct tokenizer *t)
{
    struct api_error e = {0};
    struct ids ids;
    size_t n_added = 0;
    ids_init(&ids, MAX_IDS);
    if (completion_prompt_ids(r, i, t, &ids, &e)) {
        check_refusal(&e);
    } else {
        CHECK(ids.n > 0, "no ids");
        for (size_t k = 0; k < ids.n; k++) {
            CHECK(ids.data[k] >= 0 && ids.data[k] < tokenizer_count(t), "id %d", (int)ids.data[k]);
            n_added += tokenizer_is_added(t, ids.data[k]);
        }
        CHECK(r->prompts[i].ids || n_added <= most_added(r), "%zu control tokens", n_added);
    }
    ids_fini(&ids);
}

static void check_body(const char *text, size_t size, enum completion_shape shape,
                       const struct tokenizer *t)
{
    struct completion_request r;
    struct api_error e = {0};
    json_t *body;
    if (body_parse(&body, text, size, &e)) {
        check_refusal(&e);
        return;
    }
    if (completion_request_read(&r, body, shape, &e)) {
        check_refusal(&e);
    } else {
        CHECK(e.status == 0, "accepted with an error: %s", e.message);
        check_fields(&r, shape);
        for (int i = 0; i < r.n_prompts; i++)
            check_ids(&r, i, t);
    }
    completion_request_fini(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct tokenizer *nano;
    struct err err = {0};
    if (!nano && tokenizer_open(&nano, "models/nano", &err)) CHECK(false, "%s", err.message);
    for (int shape = COMPLETION_OPENAI; shape <= COMPLETION_INFILL; shape++)
        check_body((const char *)data, size, (enum completion_shape)shape, nano);
    return 0;
}
