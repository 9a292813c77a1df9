/* The body of POST /chat/completions, checked: every number in its closed range, every known field of
 * its type; unknown fields are left alone.
 * Source: docs/spec, API, sections 2.1, 2.6; security, rules P1, H4. */
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/sampler.h"
#include "serve/api_error.h"
#include "serve/sampling.h"
#include "text/constraint.h"
#include "text/parse.h"
#include "text/prompt.h"

enum {
    CHAT_MAX_CHOICES = 16,
    CHAT_MAX_TOOLS = 128,
    CHAT_MAX_MODEL = 256,    /* bytes */
    CHAT_MAX_ANSWERS = 10000 /* of a choice */
};

/* What the server brings to the reading of a body. */
struct chat_rules {
    enum prompt_family family;
    /* Of a thinking answer whose request names none: a word of the API ("low"); NULL: "high", as the
     * hosted API. */
    const char *effort;
    /* As the hosted API: sampling is ignored while thinking; reasoning of turns with tool calls must come
     * back (400); tool_choice required or named is refused while thinking (400); every tool call has its
     * result and every result its call (400). max_tokens above the context is for the caller to refuse. */
    bool deepseek_compat;
};

enum tool_choice { TOOLS_NONE, TOOLS_AUTO, TOOLS_REQUIRED, TOOLS_NAMED };

/* Not to be copied or moved: sampling points to bias. */
struct chat_request {
    json_t *body;      /* owned; the rest borrows from it */
    const char *model; /* as asked for, 1..CHAT_MAX_MODEL bytes; may be one that is not served */
    json_t *messages;  /* normalised for text/prompt.h: see below */
    json_t *tools;     /* likewise, not empty; NULL: none, or tool_choice none */
    struct prompt_options prompt; /* family, thinking, keep_thinking, effort */
    /* The last message is an assistant's that is to be completed: the answer starts in its content,
     * also while thinking. */
    bool continues;
    /* sampler_defaults() but for what is asked. Token ids of the bias are not yet checked against the
     * vocabulary. */
    struct sampler_options sampling;
    struct logit_bias bias[SAMPLING_MAX_BIAS];
    uint64_t seed;  /* two's complement of a negative one */
    bool has_seed;  /* false also for -1, which means a random one */
    int n;          /* choices, 1..CHAT_MAX_CHOICES */
    int max_tokens; /* -1: not given */
    struct sampling_ends ends;
    const char *stops[PARSE_MAX_STOPS];
    int n_stops;
    bool stream, include_usage;
    bool logprobs; /* sampling.logprobs is then the number of alternatives, else -1 */
    enum tool_choice tool_choice;
    const char *tool_name; /* of TOOLS_NAMED; one of the tools */
    bool parallel_tool_calls;
    /* What the answer must look like (text/constraint.h), when is_bound; answer_field says so, for errors. */
    struct constraint_spec answer;
    bool is_bound;
    const char *answer_field;
    struct sharing sharing;
};

/* Whether chat_rules.effort may be this word. */
bool chat_effort_exists(const char *word);

/* Checks and normalises. Takes body over, which nobody else may hold (also on failure, and frees it then);
 * the texts of the result live as long as it does. After success prompt_encode of messages, tools and prompt
 * fails for want of memory only. 400, 422; 503 when there is no memory.
 *
 * Normalised messages: developer becomes system; content given as a list of text parts becomes one string
 * (plain concatenation; an image part is refused, 400); null content of an assistant becomes ""; `reasoning`
 * becomes `reasoning_content`; arguments of a tool call given as an object become its text, empty or absent
 * ones {}. Fields that only the prompt encoder knows (task, tools, response_format, wo_eos) count as
 * unknown and go. prefix true on the last assistant message sets `continues` and `wo_eos` of that message;
 * anywhere else it is 400; continue_final_message true does the same. The last message must be of user, tool
 * or system, or an assistant's to be continued.
 *
 * Thinking: thinking.type (enabled, adaptive, disabled) decides; without it chat_template_kwargs.thinking,
 * then .enable_thinking; without these the effort: none is off, anything else on; without an effort the model
 * name: deepseek-chat off, deepseek-reasoner on; else on. The effort is reasoning_effort, else
 * thinking.reasoning_effort, else chat_template_kwargs.reasoning_effort. Efforts map to the family's:
 *                minimal low   medium high  xhigh  max, ultra
 *     preview    high    high  high   high  max    max
 *     official   low     low   high   high  high   max
 *     v4.1       low     low   high   high  xhigh  max
 * chat_template_kwargs.drop_thinking false keeps the reasoning of earlier turns.
 *
 * max_completion_tokens goes before max_tokens. top_k -1 is off, as 0.
 *
 * The form of the answer: response_format json_object or json_schema; json_schema, grammar; structured_outputs
 * (json, regex, choice, grammar, json_object); guided_json, guided_regex, guided_choice, guided_grammar. One of them,
 * not with ignore_eos or min_tokens. guided_json and structured_outputs.json may be a string that holds the schema. Tools come into
 * it for tool_choice required or named, a strict function, parallel_tool_calls false, and beside a form.
 *
 * What is known and not done yet is refused by name with 400, never ignored: logit_bias together with logprobs,
 * min_tokens together with stop, functions, add_generation_prompt false without anything to continue. */
MUST_USE int chat_request_read(struct chat_request *out, json_t *body,
                               const struct chat_rules *rules, struct api_error *e);
void chat_request_fini(struct chat_request *r); /* takes what read left after a failure, too */
