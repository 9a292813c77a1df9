#include "measure/load_plan.h"

#include "base/fmath.h"
#include "engine/philox.h"

enum purpose { PREFIX, PROMPT, PROMPT_LENGTH, ANSWER_LENGTH, ARRIVAL };

enum { MAX_TEXT = 64 << 20, N_WORDS = 64 };

/* Each is one token with a blank before it. */
static const char *const words[N_WORDS] = {
    "the",  "of",   "and",   "to",      "in",    "is",     "that",    "for",     "it",    "on",
    "at",   "are",  "have",  "or",      "an",    "there",  "we",      "has",     "more",  "than",
    "may",  "do",   "now",   "man",     "me",    "many",   "day",     "days",    "each",  "total",
    "red",  "blue", "green", "dog",     "cat",   "fish",   "bird",    "house",   "tree",  "sun",
    "moon", "star", "rain",  "snow",    "key",   "lamp",   "leaf",    "boat",    "apple", "pear",
    "car",  "pen",  "cow",   "animals", "brown", "answer", "minutes", "dollars", "does",  "com",
    "per",  "par",  "a",     "plus"};

/* The block-th four words of 32 random bits for one thing. */
static void draw(const struct load_plan *p, enum purpose what, uint64_t i, int turn, uint32_t block,
                 uint32_t out[4])
{
    const uint32_t key[2] = {(uint32_t)p->seed, (uint32_t)(p->seed >> 32)};
    const uint32_t counter[4] = {(uint32_t)i, (uint32_t)(i >> 32),
                                 (uint32_t)turn << 4 | (uint32_t)what, block};
    philox4x32_10(counter, key, out);
}

static int draw_length(const struct load_plan *p, enum purpose what, uint64_t i, int turn,
                       struct load_range range)
{
    uint32_t bits[4];
    draw(p, what, i, turn, 0, bits);
    return range.low + (int)(bits[0] % ((uint32_t)(range.high - range.low) + 1));
}

static json_t *make_text(const struct load_plan *p, enum purpose what, uint64_t i, int turn, int n)
{
    struct buf text;
    uint32_t bits[4];
    buf_init(&text, MAX_TEXT);
    for (int k = 0; k < n; k++) {
        if (k % 4 == 0) draw(p, what, i, turn, (uint32_t)k / 4, bits);
        buf_add_byte(&text, ' ');
        buf_add_str(&text, words[bits[k % 4] % N_WORDS]);
    }
    json_t *made = text.failed ? NULL : json_stringn(buf_text(&text), text.size);
    buf_fini(&text);
    return made;
}

static void add_message(json_t *messages, const char *role, json_t *content)
{
    json_array_append_new(messages, json_pack("{s:s, s:o}", "role", role, "content", content));
}

json_t *load_plan_begin(const struct load_plan *p)
{
    json_t *messages = json_array();
    if (p->prefix) add_message(messages, "system", make_text(p, PREFIX, 0, 0, p->prefix));
    return messages;
}

void load_plan_turn(const struct load_plan *p, uint64_t i, int turn, json_t *messages)
{
    int n = draw_length(p, PROMPT_LENGTH, i, turn, p->prompt);
    add_message(messages, "user", make_text(p, PROMPT, i, turn, n));
}

char *load_plan_body(const struct load_plan *p, uint64_t i, int turn, json_t *messages)
{
    int n = draw_length(p, ANSWER_LENGTH, i, turn, p->answer);
    json_t *body =
        json_pack("{s:s, s:O, s:b, s:{s:b}, s:i, s:f, s:I, s:{s:s}}", "model", p->model, "messages",
                  messages, "stream", 1, "stream_options", "include_usage", 1, "max_tokens", n,
                  "temperature", p->temperature, "seed", (json_int_t)(i & INT32_MAX), "thinking",
                  "type", p->thinking ? "enabled" : "disabled");
    if (body && !p->ends) json_object_set_new(body, "ignore_eos", json_true());
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    json_decref(body);
    return text;
}

double load_plan_gap(const struct load_plan *p, uint64_t i)
{
    uint32_t bits[4];
    draw(p, ARRIVAL, i, 0, 0, bits);
    double u = ((double)bits[0] + 0.5) / 4294967296.0;
    return -fm_log64(u) / p->rate;
}
