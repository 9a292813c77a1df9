/* Bodies of POST /chat/completions: what is accepted must hold what the header says, and the encoder and
 * the parser of the output must take it; what is refused must have an answer in both dialects. */
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "serve/chat_request.h"
#include "serve/fields.h"
#include "text/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_refusal(const struct api_error *e)
{
    CHECK(e->status == 400 || e->status == 422, "status %d: %s", e->status, e->message);
    CHECK(e->message[0] && utf8_valid(e->message, strlen(e->message)), "no message");
    for (int d = API_OPENAI; d <= API_ANTHROPIC; d++) {
        json_t *json = api_error_json(e, (enum api_dialect)d, "req_fuzz");
        const json_t *error = json_object_get(json, "error");
        const char *message = json_string_value(json_object_get(error, "message"));
        CHECK(message && strcmp(message, e->message) == 0, "message lost: %s", e->message);
        CHECK(d == API_ANTHROPIC || json_object_size(error) == 4, "a field lost: %s", e->param);
        json_decref(json);
    }
}

static void check_numbers(const struct chat_request *r)
{
    const struct sampler_options *s = &r->sampling;
    struct err err = {0};
    CHECK(sampler_check(s, INT_MAX, &err) == 0 || strstr(err.message, "logit bias for token"), "%s",
          err.message);
    CHECK(s->temperature >= 0 && s->temperature <= 2, "temperature %g", (double)s->temperature);
    CHECK(s->presence_penalty >= -2 && s->presence_penalty <= 2, "presence penalty");
    CHECK(s->frequency_penalty >= -2 && s->frequency_penalty <= 2, "frequency penalty");
    CHECK(s->n_bias >= 0 && s->n_bias <= SAMPLING_MAX_BIAS && s->bias == r->bias, "%d biases",
          s->n_bias);
    CHECK(r->logprobs == (s->logprobs >= 0), "logprobs %d", s->logprobs);
    for (int i = 0; i < s->n_bias; i++)
        CHECK(s->bias[i].id >= 0 && s->bias[i].bias >= -100 && s->bias[i].bias <= 100, "bias %d",
              i);
    CHECK(r->n >= 1 && r->n <= CHAT_MAX_CHOICES, "n %d", r->n);
    CHECK(r->max_tokens == -1 || r->max_tokens >= 1, "max_tokens %d", r->max_tokens);
    CHECK(r->ends.min_tokens >= 0, "min_tokens %d", r->ends.min_tokens);
    CHECK(r->n_stops >= 0 && r->n_stops <= PARSE_MAX_STOPS, "%d stops", r->n_stops);
}

static void check_messages(const struct chat_request *r)
{
    static const char *const encoder_only[] = {"task", "tools", "response_format"};
    size_t n = json_array_size(r->messages);
    CHECK(n > 0, "no messages");
    for (size_t i = 0; i < n; i++) {
        const json_t *m = json_array_get(r->messages, i);
        const char *role = json_string_value(json_object_get(m, "role"));
        CHECK(json_is_string(json_object_get(m, "content")), "content of message %zu", i);
        CHECK(strcmp(role, "developer") != 0, "a developer");
        for (int k = 0; k < 3; k++)
            CHECK(!json_object_get(m, encoder_only[k]), "%s is left", encoder_only[k]);
        bool goes_on = json_is_true(json_object_get(m, "wo_eos"));
        CHECK(goes_on == (r->continues && i + 1 == n), "message %zu goes on", i);
        CHECK(!goes_on || strcmp(role, "assistant") == 0, "a %s goes on", role);
        CHECK(i + 1 < n || goes_on || strcmp(role, "assistant") != 0, "nothing to answer");
    }
}

/* What comes after the reading: the prompt, and a parser of the answer. */
static void check_use(const struct chat_request *r)
{
    struct prompt p;
    struct parser *parser = NULL;
    struct err err = {0};
    struct parse_options o = {.ids = {-1, -1, -1, -1},
                              .thinking = r->prompt.thinking,
                              .stops = r->stops,
                              .n_stops = r->n_stops,
                              .tools = r->tools};
    CHECK(prompt_encode(&p, r->messages, r->tools, &r->prompt, &err) == 0, "%s", err.message);
    CHECK(p.text.size > 0 && utf8_valid(p.text.data, p.text.size), "not UTF-8");
    prompt_fini(&p);
    CHECK(parse_new(&parser, &o, NULL, NULL, &err) == 0, "%s", err.message);
    parse_free(parser);
}

static void check_body(const char *text, size_t size, const struct chat_rules *rules)
{
    struct chat_request r;
    struct api_error e = {0};
    json_t *body;
    if (body_parse(&body, text, size, &e)) {
        check_refusal(&e);
        return;
    }
    if (chat_request_read(&r, body, rules, &e)) {
        check_refusal(&e);
    } else {
        CHECK(e.status == 0, "accepted with an error: %s", e.message);
        CHECK(strlen(r.model) >= 1 && strlen(r.model) <= CHAT_MAX_MODEL, "model");
        CHECK(!r.sharing.user || (r.sharing.user[0] && strlen(r.sharing.user) <= SHARING_MAX_NAME),
              "user");
        CHECK(!r.tools == (r.tool_choice == TOOLS_NONE), "tool choice %d", (int)r.tool_choice);
        CHECK(!r.is_bound || r.answer_field, "a form that nobody asked for");
        CHECK(r.is_bound || (r.answer.kind == CONSTRAINT_NONE && r.tool_choice <= TOOLS_AUTO),
              "a form that is forgotten");
        check_numbers(&r);
        check_messages(&r);
        check_use(&r);
    }
    chat_request_fini(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (int family = 0; family < FAMILY_COUNT; family++) {
        struct chat_rules rules = {.family = (enum prompt_family)family};
        check_body((const char *)data, size, &rules);
        rules.deepseek_compat = true;
        rules.effort = "low";
        check_body((const char *)data, size, &rules);
    }
    return 0;
}
