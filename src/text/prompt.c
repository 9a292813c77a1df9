#include "text/prompt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "text/prompt_text.h"
#include "text/prompt_turns.h"
#include "text/pyjson.h"

enum { MAX_PROMPT = 512 << 20, MAX_ENCODER_FILE = 1 << 20 };

/* ---- families ---- */

const char *prompt_family_name(enum prompt_family f)
{
    return prompt_families[f].name;
}

int prompt_family_find(enum prompt_family *out, const char *name, struct err *err)
{
    for (int f = 0; f < FAMILY_COUNT; f++) {
        if (strcmp(name, prompt_families[f].name) != 0) continue;
        *out = (enum prompt_family)f;
        return 0;
    }
    return err_set(err, ERR_ARGUMENT, "prompt family \"%s\"; there are preview, official and v4.1",
                   name);
}

/* Which constant the encoder defines. */
static enum prompt_family family_of_encoder(const char *text)
{
    if (strstr(text, "range 1-100")) return FAMILY_V41;
    if (strstr(text, "REASONING_EFFORT_PROMPTS")) return FAMILY_OFFICIAL;
    if (strstr(text, "REASONING_EFFORT_MAX")) return FAMILY_PREVIEW;
    return FAMILY_OFFICIAL;
}

enum prompt_family prompt_family_detect(const char *path)
{
    enum prompt_family family = FAMILY_OFFICIAL;
    struct stat st;
    struct buf name;
    char *text = NULL;
    size_t size;
    const char *slash = strrchr(path, '/');
    buf_init(&name, 1 << 16);
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        buf_printf(&name, "%s/", path);
    else if (slash)
        buf_add(&name, path, (size_t)(slash - path) + 1);
    buf_add_str(&name, "encoding/encoding_dsv4.py");
    if (!name.failed && stat(buf_text(&name), &st) == 0 &&
        file_slurp(buf_text(&name), MAX_ENCODER_FILE, &text, &size, NULL) == 0)
        family = family_of_encoder(text);
    free(text);
    buf_fini(&name);
    return family;
}

/* The effort's text into `line`, which holds 128 bytes, or a fixed one. */
static int find_effort(const char **text, char *line, size_t line_size,
                       const struct prompt_options *o, struct err *err)
{
    const struct prompt_family_text *f = &prompt_families[o->family];
    *text = f->efforts[0].text;
    if (!o->effort) return 0;
    for (const struct prompt_effort *e = f->efforts; e->name; e++) {
        if (strcmp(o->effort, e->name) != 0) continue;
        *text = e->text;
        return 0;
    }
    char *end;
    errno = 0;
    long number = strtol(o->effort, &end, 10);
    if (f->effort_number && end != o->effort && *end == 0 && errno == 0 && number >= 1 &&
        number <= 100) {
        snprintf(line, line_size, PROMPT_EFFORT_LINE("%d"), (int)number);
        *text = line;
        return 0;
    }
    struct buf names;
    buf_init(&names, 256);
    for (const struct prompt_effort *e = f->efforts; e->name; e++)
        buf_printf(&names, "%s%s", e == f->efforts ? "" : ", ", e->name);
    if (f->effort_number) buf_add_str(&names, ", 1..100");
    err_set(err, ERR_ARGUMENT, "effort \"%s\"; family %s has %s", o->effort, f->name,
            buf_text(&names));
    buf_fini(&names);
    return -1;
}

int prompt_options_check(const struct prompt_options *o, struct err *err)
{
    const char *text;
    char line[128];
    return find_effort(&text, line, sizeof line, o, err);
}

/* ---- writing ---- */

struct writer {
    struct prompt *p;
    int cap_segments;
    bool failed;
    const struct prompt_family_text *family;
    const struct prompt_options *options;
    const struct turns *turns;
};

/* The text grew from `start` on, by bytes of this origin. */
static void note_segment(struct writer *w, size_t start, bool is_template)
{
    struct prompt *p = w->p;
    size_t size = p->text.size - start;
    if (size == 0) return;
    if (p->n_segments && p->segments[p->n_segments - 1].is_template == is_template) {
        p->segments[p->n_segments - 1].size += size;
        return;
    }
    if (p->n_segments == w->cap_segments) {
        int cap = w->cap_segments ? w->cap_segments * 2 : 16;
        struct segment *s = realloc(p->segments, (size_t)cap * sizeof *s);
        if (!s) {
            w->failed = true;
            return;
        }
        p->segments = s;
        w->cap_segments = cap;
    }
    p->segments[p->n_segments++] = (struct segment){start, size, is_template};
}

static void put(struct writer *w, const char *template)
{
    size_t start = w->p->text.size;
    buf_add_str(&w->p->text, template);
    note_segment(w, start, true);
}

static void put_string(struct writer *w, const json_t *client)
{
    size_t start = w->p->text.size;
    buf_add(&w->p->text, json_string_value(client), json_string_length(client));
    note_segment(w, start, false);
}

static void put_client(struct writer *w, const char *s)
{
    size_t start = w->p->text.size;
    buf_add_str(&w->p->text, s);
    note_segment(w, start, false);
}

static void put_json(struct writer *w, const json_t *client)
{
    size_t start = w->p->text.size;
    pyjson_add(&w->p->text, client);
    note_segment(w, start, false);
}

/* Text that may be a list of parts. */
static void put_text(struct writer *w, const json_t *content)
{
    if (json_is_string(content)) {
        put_string(w, content);
        return;
    }
    for (size_t i = 0; i < json_array_size(content); i++) {
        const json_t *part = json_array_get(content, i);
        const char *type = json_string_value(json_object_get(part, "type"));
        if (i) put(w, "\n\n");
        if (strcmp(type, "text") == 0) {
            put_string(w, json_object_get(part, "text"));
        } else {
            put_client(w, "[Unsupported ");
            put_client(w, type);
            put_client(w, "]");
        }
    }
}

/* ---- system text ---- */

/* The family's spelling of the tag name that `at` begins with in V4's spelling. */
static const char *spell_tag(const struct prompt_family_text *f, const char *at, size_t *size)
{
    static const char *const names[] = {"tool_calls", "invoke", "parameter"};
    const char *const spellings[] = {f->calls, f->invoke, f->parameter};
    for (int i = 0; i < 3; i++) {
        *size = strlen(names[i]);
        if (strncmp(at, names[i], *size) == 0) return spellings[i];
    }
    *size = 0;
    return "";
}

static void put_tools_prefix(struct writer *w)
{
    size_t start = w->p->text.size, size;
    const char *at = prompt_tools_prefix;
    for (const char *tag; (tag = strstr(at, TOKEN_DSML));) {
        tag += strlen(TOKEN_DSML);
        buf_add(&w->p->text, at, (size_t)(tag - at));
        buf_add_str(&w->p->text, spell_tag(w->family, tag, &size));
        at = tag + size;
    }
    buf_add_str(&w->p->text, at);
    note_segment(w, start, true);
}

static void put_tools(struct writer *w, const json_t *tools)
{
    if (!tools) return;
    put(w, "\n\n");
    put_tools_prefix(w);
    for (size_t i = 0; i < json_array_size(tools); i++) {
        const json_t *tool = json_array_get(tools, i);
        const json_t *function = json_object_get(tool, "function");
        if (i) put(w, "\n");
        put_json(w, json_is_object(function) ? function : tool);
    }
    put(w, prompt_tools_suffix);
}

/* Empty containers, empty strings, zero, false and null do not count, as in Python. */
static bool is_true(const json_t *value)
{
    if (json_is_object(value)) return json_object_size(value) > 0;
    if (json_is_array(value)) return json_array_size(value) > 0;
    if (json_is_string(value)) return json_string_length(value) > 0;
    if (json_is_number(value)) return json_number_value(value) != 0;
    return json_is_true(value);
}

static void put_response_format(struct writer *w, const json_t *message)
{
    const json_t *format = json_object_get(message, "response_format");
    if (!is_true(format)) return;
    put(w, "\n\n");
    put(w, prompt_response_format_prefix);
    put_json(w, format);
}

/* ---- tool calls ---- */

static void put_parameter(struct writer *w, const char *key, const json_t *value, bool raw)
{
    put(w, "<" TOKEN_DSML);
    put(w, w->family->parameter);
    put(w, " name=\"");
    put_client(w, key);
    put(w, raw ? "\" string=\"true\">" : "\" string=\"false\">");
    if (raw)
        put_string(w, value);
    else
        put_json(w, value);
    put(w, "</" TOKEN_DSML);
    put(w, w->family->parameter);
    put(w, ">");
}

/* arguments is the object, or text that holds one; other text is one parameter of its own. */
static void put_arguments(struct writer *w, json_t *arguments)
{
    json_t *parsed = json_incref(arguments);
    if (json_is_string(arguments)) {
        json_decref(parsed);
        parsed = json_loadb(json_string_value(arguments), json_string_length(arguments),
                            JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    }
    if (!json_is_object(parsed)) {
        put_parameter(w, "arguments", arguments, true);
    } else {
        const char *key, *separator = "";
        json_t *value;
        json_object_foreach(parsed, key, value)
        {
            put(w, separator);
            put_parameter(w, key, value, json_is_string(value));
            separator = "\n";
        }
    }
    json_decref(parsed);
}

static void put_calls(struct writer *w, const json_t *calls)
{
    if (json_array_size(calls) == 0) return;
    put(w, "\n\n<" TOKEN_DSML);
    put(w, w->family->calls);
    put(w, ">\n");
    for (size_t i = 0; i < json_array_size(calls); i++) {
        const json_t *call = json_array_get(calls, i);
        const json_t *function = json_object_get(call, "function");
        if (!json_is_object(function)) function = call;
        put(w, "<" TOKEN_DSML);
        put(w, w->family->invoke);
        put(w, " name=\"");
        put_string(w, json_object_get(function, "name"));
        put(w, "\">\n");
        put_arguments(w, json_object_get(function, "arguments"));
        put(w, "\n</" TOKEN_DSML);
        put(w, w->family->invoke);
        put(w, ">\n");
    }
    put(w, "</" TOKEN_DSML);
    put(w, w->family->calls);
    put(w, ">");
}

/* ---- turns ---- */

static void put_user(struct writer *w, const struct turn *turn)
{
    put(w, TOKEN_USER);
    for (int i = 0; i < turn->n_blocks; i++) {
        const struct turn_block *block = &w->turns->blocks[turn->first_block + i];
        if (i) put(w, "\n\n");
        if (block->is_result) put(w, "<tool_result>");
        put_text(w, block->content);
        if (block->is_result) put(w, "</tool_result>");
    }
}

static void put_assistant(struct writer *w, int i)
{
    const struct turns *t = w->turns;
    const json_t *message = t->list[i].message;
    bool after_task = i > 0 && t->list[i - 1].task;
    if (w->options->thinking && !after_task && (!t->drop || i > t->last_user)) {
        if (!t->list[i].drop_reasoning)
            put_string(w, json_object_get(message, "reasoning_content"));
        put(w, TOKEN_END_THINK);
    }
    put_text(w, json_object_get(message, "content"));
    put_calls(w, json_object_get(message, "tool_calls"));
    if (!json_is_true(json_object_get(message, "wo_eos"))) put(w, TOKEN_EOS);
}

/* What makes the model answer, or the task token, behind turn i. */
static void put_transition(struct writer *w, int i)
{
    const struct turns *t = w->turns;
    const struct turn *turn = &t->list[i];
    if (i + 1 < t->n && t->list[i + 1].role != TURN_ASSISTANT &&
        t->list[i + 1].role != TURN_REMINDER)
        return;
    bool thinking = w->options->thinking;
    if (turn->task) {
        if (strcmp(turn->task, prompt_tasks[0].token) == 0) {
            put(w, TOKEN_ASSISTANT);
            put(w, thinking ? TOKEN_THINK : TOKEN_END_THINK);
        }
        put(w, turn->task);
        return;
    }
    bool later_system = w->options->family == FAMILY_V41 && i > 0 && turn->role == TURN_SYSTEM;
    if (turn->role != TURN_USER && turn->role != TURN_DEVELOPER && !later_system) return;
    put(w, TOKEN_ASSISTANT);
    put(w, thinking && (!t->drop || i >= t->last_user) ? TOKEN_THINK : TOKEN_END_THINK);
}

static void put_turn(struct writer *w, int i, const char *effort)
{
    const struct turn *turn = &w->turns->list[i];
    const json_t *content = json_object_get(turn->message, "content");
    bool show_effort = i == 0 && w->options->thinking && *effort;
    if (turn->role == TURN_SYSTEM || show_effort) put(w, w->family->system);
    if (show_effort) put(w, effort);
    switch (turn->role) {
    case TURN_SYSTEM:
        put_text(w, content);
        put_tools(w, turn->tools);
        put_response_format(w, turn->message);
        break;
    case TURN_DEVELOPER:
        put(w, TOKEN_USER);
        put_text(w, content);
        put_tools(w, turn->tools);
        put_response_format(w, turn->message);
        break;
    case TURN_USER:
        put_user(w, turn);
        break;
    case TURN_REMINDER:
        put(w, TOKEN_REMINDER);
        put_text(w, content);
        break;
    case TURN_ASSISTANT:
        put_assistant(w, i);
        break;
    }
    put_transition(w, i);
}

/* ---- entry points ---- */

void prompt_fini(struct prompt *p)
{
    buf_fini(&p->text);
    free(p->segments);
    *p = (struct prompt){0};
}

static int finish(struct writer *w, struct err *err)
{
    if (!w->failed && !w->p->text.failed) return 0;
    prompt_fini(w->p);
    return err_set(err, ERR_LIMIT, "a prompt of over %d bytes, or no memory for it", MAX_PROMPT);
}

int prompt_encode(struct prompt *p, const json_t *messages, const json_t *tools,
                  const struct prompt_options *options, struct err *err)
{
    struct turns turns;
    const char *effort;
    char line[128];
    *p = (struct prompt){0};
    if (find_effort(&effort, line, sizeof line, options, err)) return -1;
    if (turns_make(&turns, messages, tools, options, err)) return -1;
    struct writer w = {
        .p = p, .family = &prompt_families[options->family], .options = options, .turns = &turns};
    buf_init(&p->text, MAX_PROMPT);
    if (!options->no_bos) put(&w, TOKEN_BOS);
    for (int i = 0; i < turns.n; i++)
        put_turn(&w, i, effort);
    turns_fini(&turns);
    return finish(&w, err);
}

int prompt_bos(const struct tokenizer *t)
{
    return tokenizer_find(t, TOKEN_BOS);
}

bool prompt_has_fim(const struct tokenizer *t)
{
    return tokenizer_find(t, TOKEN_FIM_BEGIN) >= 0 && tokenizer_find(t, TOKEN_FIM_HOLE) >= 0 &&
           tokenizer_find(t, TOKEN_FIM_END) >= 0;
}

int prompt_fim(struct prompt *p, const char *prefix, const char *suffix, struct err *err)
{
    struct writer w = {.p = p};
    *p = (struct prompt){0};
    buf_init(&p->text, MAX_PROMPT);
    put(&w, TOKEN_BOS TOKEN_FIM_BEGIN);
    put_client(&w, prefix);
    put(&w, TOKEN_FIM_HOLE);
    put_client(&w, suffix);
    put(&w, TOKEN_FIM_END);
    return finish(&w, err);
}

int prompt_tokenize(const struct prompt *p, const struct tokenizer *t, struct ids *out,
                    struct err *err)
{
    struct span *trusted = calloc((size_t)p->n_segments + 1, sizeof *trusted);
    int n = 0;
    if (!trusted) return err_set(err, ERR_LIMIT, "no memory for %d segments", p->n_segments);
    for (int i = 0; i < p->n_segments; i++) {
        const struct segment *s = &p->segments[i];
        if (s->is_template) trusted[n++] = (struct span){s->start, s->start + s->size};
    }
    int rc = tokenizer_encode_trusted(t, buf_text(&p->text), p->text.size, trusted, n, out, err);
    free(trusted);
    return rc;
}
