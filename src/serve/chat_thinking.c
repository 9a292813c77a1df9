#include "serve/chat_thinking.h"

#include <string.h>

/* The API's words, and what each family calls them. */
enum { EFFORT_NONE, EFFORT_COUNT = 8 };

static const char *const efforts[EFFORT_COUNT] = {"none", "minimal", "low", "medium",
                                                  "high", "xhigh",   "max", "ultra"};

static const char *const family_efforts[FAMILY_COUNT][EFFORT_COUNT] = {
    [FAMILY_PREVIEW] = {NULL, "high", "high", "high", "high", "max", "max", "max"},
    [FAMILY_OFFICIAL] = {NULL, "low", "low", "high", "high", "high", "max", "max"},
    [FAMILY_V41] = {NULL, "low", "low", "high", "high", "xhigh", "max", "max"},
};

bool chat_effort_exists(const char *word)
{
    for (int i = EFFORT_NONE + 1; i < EFFORT_COUNT; i++)
        if (strcmp(word, efforts[i]) == 0) return true;
    return false;
}

static int find_effort(const char *word)
{
    for (int i = EFFORT_NONE + 1; i < EFFORT_COUNT; i++)
        if (strcmp(word, efforts[i]) == 0) return i;
    CHECK(false, "the server's effort \"%s\" is unknown", word);
}

/* -1: nothing said; 0, 1: off, on. */
static int read_switch(const struct fields *thinking, const struct fields *kwargs, int *on)
{
    static const char *const words[] = {"disabled", "enabled", "adaptive"};
    static const char *const names[] = {"thinking", "enable_thinking"};
    int type = -1;
    if (field_word(thinking, "type", words, 3, &type)) return -1;
    if (type >= 0) *on = type > 0;
    for (int i = 0; i < 2; i++) {
        bool value = false;
        if (field_bool(kwargs, names[i], &value)) return -1;
        if (*on < 0 && field_get(kwargs, names[i])) *on = value;
    }
    return 0;
}

/* The first of the three places that has one. */
static int read_effort(const struct fields *body, const struct fields *thinking,
                       const struct fields *kwargs, int *effort)
{
    const struct fields *places[] = {kwargs, thinking, body};
    for (int i = 0; i < 3; i++)
        if (field_word(places[i], "reasoning_effort", efforts, EFFORT_COUNT, effort)) return -1;
    return 0;
}

int chat_thinking_read(struct chat_request *r, const struct fields *body,
                       const struct chat_rules *rules)
{
    struct fields thinking, kwargs;
    int on = -1, effort = -1;
    bool drop = true;
    if (field_object(body, "thinking", &thinking) ||
        field_object(body, "chat_template_kwargs", &kwargs) ||
        read_switch(&thinking, &kwargs, &on) || read_effort(body, &thinking, &kwargs, &effort) ||
        field_bool(&kwargs, "drop_thinking", &drop))
        return -1;

    if (on < 0 && effort >= 0) on = effort != EFFORT_NONE;
    if (on < 0) on = strcmp(r->model, "deepseek-chat") != 0;
    if (effort <= EFFORT_NONE) effort = find_effort(rules->effort ? rules->effort : "high");
    r->prompt =
        (struct prompt_options){.family = rules->family,
                                .thinking = on,
                                .keep_thinking = !drop,
                                .effort = on ? family_efforts[rules->family][effort] : NULL};
    return 0;
}
